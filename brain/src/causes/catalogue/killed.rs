//! Somebody killed it.
//!
//! Looks for a death by SIGKILL, SIGTERM or the like. The audit log says whether anybody asked
//! mhost for it. Against: memory was near its limit. The supervisor starts it again, and ends what its tree left behind.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "killed",
    title: "it was killed from outside",
    look,
    examples: &[
        Example {
            scene: r#"
                uptime_s = 1.0
                [[deaths]]
                signal = 9
                uptime_s = 44.0
            "#,
            says: &["SIGKILL", "outside", "nobody asked mhost"],
        },
        Example {
            scene: r#"
                uptime_s = 1.0
                [[deaths]]
                age_s = 2.0
                signal = 15
                uptime_s = 44.0
                [[orders]]
                id = "a-7"
                age_s = 2.4
                who = "cli:ana"
                command = "signal"
            "#,
            says: &["SIGTERM", "cli:ana", "`signal`"],
        },
    ],
};

/// How long before a death an order may have been given that led to it.
const ORDERED_S: f64 = 15.0;

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
    // Signals and stops that somebody asked for shortly before it died.
    let order = scene.orders.iter().rev().find(|order| {
        let before = order.age_s - dead.age_s;
        (-0.5..=ORDERED_S).contains(&before)
            && matches!(
                order.command.as_str(),
                "signal" | "stop" | "kill" | "restart" | "delete"
            )
    });
    let sender = match order {
        Some(order) => format!(
            "was ended by {}, which `{}` asked mhost for {} before (`{}`, audit {})",
            knowledge::signal_words(signal),
            order.who,
            span((order.age_s - dead.age_s).max(0.0)),
            order.command,
            order.id
        ),
        None => format!(
            "was killed from outside by {} after {}; nobody asked mhost for it (its audit log has no such order)",
            knowledge::signal_words(signal),
            span(dead.uptime_s)
        ),
    };
    let near = match (scene.rss(), scene.max_memory) {
        (Some(rss), Some(limit)) => rss > limit as f64 * 0.9,
        _ => false,
    };
    let found = Found::new(format!(
        "`{}` {sender}, and the program itself says nothing of an error.{left}",
        scene.name,
    ))
    .proof_if(
        order.is_some(),
        0.5,
        order.map_or_else(String::new, |order| format!("audit:{}", order.id)),
        order.map_or_else(String::new, |order| format!("{} asked for `{}`", order.who, order.command)),
    )
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
