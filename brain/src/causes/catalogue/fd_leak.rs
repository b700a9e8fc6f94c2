//! File descriptors run out.
//!
//! Looks for EMFILE, and for descriptors near their limit. Proof: the count beside the limit,
//! a steady rise, and which file is open how often. A restart frees them; the leak stays.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "fd-leak",
    title: "file descriptors run out",
    look,
    examples: &[Example {
        scene: r#"
            probed = true
            probe_failures = 3
            probe_error = "timeout"
            lines = ["accept4: too many open files", "accept4: too many open files"]
            [[close]]
            pid = 4
            fds = 255
            fd_kinds = { socket = 250 }
            limits = { "open files" = 256 }
            close_wait = 200
        "#,
        says: &["too many open files", "255 of 256", "leak"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("descriptors");
    let look = scene.close.iter().max_by_key(|look| look.fds);
    let limit = look.and_then(|look| look.limits.get("open files").copied());
    let fds = look.map_or(0, |look| look.fds);
    let full = limit.is_some_and(|limit| limit > 0 && fds * 100 >= limit * 85);
    let rising = scene
        .slope(|sample| sample.fds)
        .is_some_and(|(per_s, fit)| fit > 0.8 && per_s * 60.0 > 5.0)
        && fds > 50;
    if said.is_none() && !full && !(rising && limit.is_some_and(|limit| fds * 2 > limit)) {
        return None;
    }
    let count = match limit {
        Some(limit) if fds > 0 => format!(" {fds} of {limit} are open."),
        _ => String::new(),
    };
    let kinds = look.map_or_else(String::new, |look| {
        match (
            &look.most_opened,
            look.close_wait,
            look.fd_kinds.iter().max_by_key(|(_, count)| **count),
        ) {
            (Some((file, times)), ..) if *times > 5 => {
                format!(" {file} alone is open {times} times.")
            }
            (_, waiting, _) if waiting > 10 => {
                format!(" {waiting} of them are connections that the peer closed long ago.")
            }
            (_, _, Some((kind, count))) if *count > 20 => {
                format!(" Most of them are {kind}s ({count}).")
            }
            _ => String::new(),
        }
    });
    let mut found = Found::new(format!(
        "`{}` has no file descriptors left: too many open files (EMFILE), a leak of file handles that are opened and never closed.{count}{kinds}{}",
        scene.name,
        said.as_ref()
            .map_or_else(String::new, |said| format!(" {}", quote(said))),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight().max(0.6), &said.line);
    }
    let found = found
        .proof_if(
            full,
            0.75,
            scene.fact("descriptors"),
            format!("open files: {fds} of {}", limit.unwrap_or_default()),
        )
        .proof_if(rising, 0.3, "metric:fds", "open descriptors rise steadily")
        .against(
            limit.is_some_and(|limit| fds * 2 < limit) && fds > 0,
            0.6,
            format!("only {fds} of {} are open now", limit.unwrap_or_default()),
        )
        .against(
            said.as_ref()
                .is_some_and(|said| !said.deadly && said.line.age_s > FRESH_S),
            0.5,
            "it has not complained for a while",
        );
    let found = if said.is_some() && full {
        found.auto(
            Action::Restart { instance: None },
            "a restart closes what it left open",
        )
    } else {
        found.advise("restart", "a restart closes what it left open")
    };
    Some(found.person("close what is opened; a higher limit (limits.nofile) only delays it"))
}
