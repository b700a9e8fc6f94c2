//! Something may not be read, written, executed or bound.
//!
//! Looks for EACCES and EPERM, and for the shell's exit code 126. Proof: the file is there and
//! its bits say so; a port below 1024. Rights are a person's to give.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "permission",
    title: "a permission is missing",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 126
                same = 3
                error = "run.sh: line 7: ./sbin/ingest: Permission denied"
                [[files]]
                path = "./sbin/ingest"
                exists = true
                kind = "file"
                mode = 420
            "#,
            says: &[
                "permission denied",
                "./sbin/ingest",
                "not executable",
                "chmod",
            ],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                error = "PermissionError: [Errno 13] Permission denied: '/var/lib/app/state.db'"
            "#,
            says: &["/var/lib/app/state.db"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("permission")?;
    let port = text::port(&said.line.text).filter(|port| {
        *port < 1024 && said.line.text.contains("listen") | said.line.text.contains("bind")
    });
    let path = text::error_path(&said.line.text).or_else(|| text::error_path(&said.all));
    let file = path.as_deref().and_then(|path| scene.file(path));
    let program = scene
        .death()
        .is_some_and(|dead| dead.code == Some(126) || dead.no_start);
    let not_executable = file.is_some_and(|file| file.kind == "file" && file.mode & 0o111 == 0);
    let shown = path.clone().unwrap_or_else(|| "a file".to_owned());
    let (what, remedy) = match port {
        Some(port) => (
            format!(
                "may not bind port {port}: ports below 1024 need a privilege (permission denied)"
            ),
            format!("use a port from 1024 on, or grant CAP_NET_BIND_SERVICE for port {port}"),
        ),
        None if program && not_executable => (
            format!(
                "cannot start `{shown}`: permission denied, the file is not executable (its execute permission is missing, mode {:o})",
                file.map_or(0, |file| file.mode & 0o777)
            ),
            format!("chmod +x {shown}"),
        ),
        None if program => (
            format!(
                "cannot start `{shown}`: permission denied, it is not executable for it (execute permission)"
            ),
            format!("check the rights of {shown} and of its folders: chmod +x {shown}"),
        ),
        None => (
            format!(
                "may not use `{shown}`: permission denied{}",
                file.map_or_else(String::new, |file| format!(
                    " (mode {:o}, owner {})",
                    file.mode & 0o777,
                    file.owner
                ))
            ),
            format!("give the user it runs as the right to {shown} (chown, chmod)"),
        ),
    };
    let found = Found::new(format!(
        "`{}` {what}. {}{} To do: {remedy}.",
        scene.name,
        quote(&said),
        again(&said)
    ))
    .line(said.weight(), &said.line)
    .proof_if(
        program && not_executable,
        0.7,
        format!("file:{shown}"),
        format!("{shown} has no execute bit"),
    )
    .proof_if(
        program,
        0.3,
        death_id(scene),
        scene
            .death()
            .map_or_else(String::new, |dead| dead.exit.clone()),
    )
    .proof_if(
        port.is_some(),
        0.5,
        said.line.id.clone(),
        "a port below 1024",
    )
    .against(
        said.line.was_handled(),
        0.6,
        "it says itself that it was dealt with",
    )
    .unless_well(scene);
    Some(hold_if_looping(found, scene, &said, "permission denied").person(remedy))
}
