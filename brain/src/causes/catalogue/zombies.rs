//! Children end and nobody collects them.
//!
//! Looks for zombies below a live process. A zombie cannot be killed: its parent has to wait
//! for it, or to be restarted.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "zombie-children",
    title: "finished children are never collected",
    look,
    examples: &[Example {
        scene: r#"
            lines = ["worker pool: 44 defunct workers", "worker pool: 44 defunct workers"]
            [[close]]
            pid = 4
            zombies = 44
        "#,
        says: &["44", "zombie", "reap"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("zombies");
    let zombies = scene
        .close
        .iter()
        .map(|look| look.zombies)
        .max()
        .unwrap_or(0);
    if said.is_none() && zombies < 10 {
        return None;
    }
    let count = if zombies > 0 {
        format!("{zombies} zombie (defunct) children hang below it")
    } else {
        "finished (defunct, zombie) children hang below it".to_owned()
    };
    let mut found = Found::new(format!(
        "`{}` never collects (reaps) its finished children: {count}, since it does not wait() for them, and each takes a place in the process table.{}",
        scene.name,
        said.as_ref()
            .map_or_else(String::new, |said| format!(" {}", quote(said))),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight() * 0.9, &said.line);
    }
    let found = found
        .proof_if(
            zombies >= 10,
            if zombies >= 25 { 0.8 } else { 0.6 },
            scene.fact("children"),
            format!("{zombies} zombies (defunct)"),
        )
        .against(
            zombies == 0
                && !scene.close.is_empty()
                && said.as_ref().is_some_and(|said| !said.deadly),
            0.5,
            "it has no zombies now",
        );
    let found = if zombies >= 10 && said.is_some() {
        found.auto(
            Action::Restart { instance: None },
            "a restart of the parent clears them; zombies cannot be killed",
        )
    } else {
        found.advise(
            "restart",
            "a restart of the parent clears them; zombies cannot be killed",
        )
    };
    Some(found.person("let it wait for its children (waitpid, subprocess.wait, SIGCHLD)"))
}
