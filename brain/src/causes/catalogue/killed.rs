//! Somebody killed it.
//!
//! Looks for a death by SIGKILL, SIGTERM or the like that mhost did not send. Against: memory
//! was near its limit. The supervisor starts it again, and ends what its tree left behind.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "killed",
    title: "it was killed from outside",
    look,
    examples: &[Example {
        scene: r#"
            uptime_s = 1.0
            [[deaths]]
            signal = 9
            uptime_s = 44.0
        "#,
        says: &["SIGKILL", "outside"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene.death()?;
    let signal = dead
        .signal
        .filter(|signal| matches!(signal, 1 | 2 | 3 | 9 | 13 | 15))?;
    let port = scene.ports.first().map_or_else(String::new, |port| {
        format!(" port {port} (the address in use)")
    });
    let owner = scene
        .owners
        .iter()
        .find(|owner| owner.orphan && owner.ours.as_deref() == Some(scene.name.as_str()));
    let held = scene
        .owners
        .iter()
        .find(|owner| !owner.orphan && owner.ours.as_deref() == Some(scene.name.as_str()));
    let left = match owner {
        Some(owner) => format!(
            " An orphan of that previous run, pid {} (`{}`), still holds port {}.",
            owner.pid,
            quotable(&owner.command),
            owner.port
        ),
        None => format!(
            " What was left over of its process tree, such as a helper (child process, orphan) that still held{}, was ended with it, so that the next run finds its address free.",
            if port.is_empty() {
                " its port".to_owned()
            } else {
                port
            }
        ),
    };
    let near = match (scene.rss(), scene.max_memory) {
        (Some(rss), Some(limit)) => rss > limit as f64 * 0.9,
        _ => false,
    };
    let found = Found::new(format!(
        "`{}` was killed from outside by {} after {}; mhost did not do it, and the program itself says nothing of an error.{left}",
        scene.name,
        knowledge::signal_words(signal),
        span(dead.uptime_s),
    ))
    .proof(0.75, dead.id.clone(), format!("it ended with {}", knowledge::signal_words(signal)))
    .proof_if(
        held.is_some(),
        0.1,
        format!("port:{}", held.map_or(0, |owner| owner.port)),
        held.map_or_else(String::new, |owner| {
            format!(
                "port {} is in use by pid {} ({}), a run of `{}`: no helper (orphan) of the killed one holds it",
                owner.port,
                owner.pid,
                quotable(&owner.command),
                scene.name
            )
        }),
    )
    .against(near && signal == 9, 0.5, "its memory was near the limit: the kernel may have done it")
    .unless_well(scene);
    let found = match owner {
        Some(_) => found.auto(
            Action::Restart { instance: None },
            "a restart ends what is left of the earlier run",
        ),
        None => found.advise("restart", "the supervisor starts it again"),
    };
    Some(found.person(
        "find out who sent the signal: mhost audit, the kernel's log (dmesg), other supervisors",
    ))
}
