//! A file, folder or program that it needs is not there.
//!
//! Looks for ENOENT in any language. Proof: the file is not there now either. Against: it is
//! there by now, or it is well. Something else may write it, so waiting comes first.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "missing-file",
    title: "a file that it needs is missing",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 2
                error = "FileNotFoundError: [Errno 2] No such file or directory: 'conf/keys.yaml'"
                [[files]]
                path = "conf/keys.yaml"
                exists = false
                nearest = "/srv/app/conf"
            "#,
            says: &["conf/keys.yaml", "no such file", "does not exist"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                no_start = true
                exit = "it could not be started: `serverd` was not found (No such file or directory)"
                error = "`serverd` was not found: No such file or directory"
            "#,
            says: &["serverd", "could not be started"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("file")?;
    let path = text::error_path(&said.line.text).or_else(|| text::error_path(&said.all));
    let shown = path.clone().unwrap_or_else(|| "a file".to_owned());
    let file = path.as_deref().and_then(|path| scene.file(path));
    let gone = file.is_some_and(|file| !file.exists);
    let here = file.is_some_and(|file| file.exists);
    let program = scene.death().is_some_and(|dead| {
        dead.no_start || dead.code == Some(127) || said.line.text.contains("command not found")
    });
    let now = match file {
        Some(file) if !file.exists && !file.nearest.is_empty() => format!(
            " It does not exist now either; the folder that does is {}.",
            file.nearest
        ),
        Some(file) if !file.exists => " It does not exist now either.".to_owned(),
        Some(_) => " By now it is there, so the next start should work.".to_owned(),
        None => String::new(),
    };
    let what = if program {
        "could not be started: the program"
    } else {
        "cannot run because the file"
    };
    let found = Found::new(format!(
        "`{}` {what} `{shown}` is missing (no such file; not there, or not written yet).{now} {}{}",
        scene.name,
        quote(&said),
        again(&said),
    ))
    .line(
        if said.deadly {
            said.weight()
        } else {
            said.weight() * 0.7
        },
        &said.line,
    )
    .proof_if(
        gone,
        0.6,
        format!("file:{shown}"),
        format!("{shown} does not exist"),
    )
    .proof_if(
        program,
        0.4,
        death_id(scene),
        scene
            .death()
            .map_or_else(String::new, |dead| dead.exit.clone()),
    )
    .against(
        here && !said.deadly,
        0.5,
        format!("{shown} is there by now"),
    )
    .against(
        said.line.was_handled(),
        0.6,
        "it says itself that it was dealt with",
    )
    .unless_well(scene);
    let found = if here && scene.is_down() && !scene.held {
        found.auto(Action::Start, format!("{shown} is there by now"))
    } else {
        found
    };
    Some(
        found
            .advise(
                "wait",
                format!(
                    "if another program writes {shown}, it comes up by itself with growing delays"
                ),
            )
            .person(format!("create {shown}, or correct the path")),
    )
}
