//! It can write no more: a disk, a quota, or a file size limit.
//!
//! Looks for ENOSPC, EDQUOT, EFBIG and EROFS. Proof: no room left where it writes, or a limit
//! on the size of files. Which files may go, a machine does not know.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "disk-full",
    title: "a disk, a quota or a file size limit is full",
    look,
    examples: &[
        Example {
            scene: r#"
                lines = ["write /data/wal/0001: no space left on device", "write /data/wal/0001: no space left on device"]
                [[disks]]
                path = "/data"
                total = 1000000000
                free = 4096
            "#,
            says: &["no space", "/data", "full"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                signal = 25
                error = "write failed: File too large"
            "#,
            says: &["too large", "limit"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("disk");
    let signal = scene.death().is_some_and(|dead| dead.signal == Some(25));
    let full = scene.disks.iter().find(|disk| {
        disk.total > 0
            && (disk.free < 16 << 20
                || disk.free * 200 < disk.total
                || disk.inodes_free_percent == 0
                || disk.read_only)
    });
    if said.is_none() && !signal {
        return None;
    }
    let line = said
        .as_ref()
        .map_or_else(String::new, |said| said.line.text.clone());
    let lower = line.to_lowercase();
    let limit = scene
        .close
        .iter()
        .find_map(|look| look.limits.get("file size").copied());
    let too_large = signal || lower.contains("too large") || lower.contains("efbig");
    let quota = lower.contains("quota") || lower.contains("edquot");
    let path = text::error_path(&line).or_else(|| text::paths(&line).into_iter().next());
    let file = path.as_deref().and_then(|path| scene.file(path));
    let whereat = path.as_ref().map_or_else(String::new, |path| match file {
        Some(file) if file.exists => {
            format!(" The file is {path} ({}).", megabytes(file.bytes as f64))
        }
        _ => format!(" The file is {path}."),
    });
    let what = if let Some(disk) = full {
        if disk.read_only {
            format!("the file system of {} is read-only", disk.path)
        } else if disk.inodes_free_percent == 0 {
            format!(
                "the file system of {} is full: it has no inodes left",
                disk.path
            )
        } else {
            format!(
                "the disk of {} is full, no space left ({} of {} free)",
                disk.path,
                megabytes(disk.free as f64),
                megabytes(disk.total as f64)
            )
        }
    } else if too_large {
        limit.map_or_else(
            || "it cannot write on: the file is too large, its size limit or quota is full (exhausted)".to_owned(),
            |limit| format!("it cannot write on: the file is too large, its size limit (RLIMIT_FSIZE, a quota) of {} is full", megabytes(limit as f64)),
        )
    } else if quota {
        "its disk quota is full (exhausted): it cannot write on".to_owned()
    } else {
        "the disk is full: it cannot write on (no space left on device)".to_owned()
    };
    let mut found = Found::new(format!(
        "`{}` fails because {what}.{whereat}{}",
        scene.name,
        said.as_ref().map_or_else(String::new, |said| format!(
            " {}{}",
            quote(said),
            again(said)
        )),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight(), &said.line);
    }
    let none_full = full.is_none() && !too_large && !quota && !scene.disks.is_empty();
    let found = found
        .proof_if(
            full.is_some(),
            0.7,
            full.map_or_else(String::new, |disk| format!("disk:{}", disk.path)),
            what.clone(),
        )
        .proof_if(
            signal,
            0.85,
            death_id(scene),
            "SIGXFSZ: the file size limit",
        )
        .proof_if(
            too_large && limit.is_some(),
            0.5,
            scene.fact("limits"),
            format!(
                "file size limit {}",
                megabytes(limit.unwrap_or_default() as f64)
            ),
        )
        .against(none_full, 0.4, "the disks here have room")
        .against(
            said.as_ref().is_some_and(|said| said.line.was_handled()),
            0.6,
            "it says itself that it was dealt with",
        )
        .against(
            said.as_ref()
                .is_some_and(|said| !said.deadly && said.line.age_s > 60.0),
            0.5,
            "it has not complained for a while",
        );
    let said_deadly = said.unwrap_or(Said {
        line: Line::default(),
        times: 1,
        since_s: 0.0,
        deadly: true,
        all: String::new(),
    });
    Some(
        hold_if_looping(found, scene, &said_deadly, "it has no room to write").person(format!(
            "free room{} by removing what is scratch, never data; or raise the limit",
            path.map_or_else(String::new, |path| format!(" at {path}"))
        )),
    )
}
