//! The port it wants is taken.
//!
//! Looks for EADDRINUSE in any language. Proof: somebody listens there now, and who: a stray
//! of an earlier run of ours, another process of ours, or a stranger. Strangers are never
//! touched; a port may be freed, so the supervisor's growing delays come first.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "port-in-use",
    title: "the port is in use",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 3
                error = "Error: listen EADDRINUSE: address already in use :::8080"
                [[owners]]
                port = 8080
                pid = 4242
                command = "nginx: master process"
            "#,
            says: &["8080", "in use", "4242", "nginx"],
        },
        Example {
            scene: r#"
                name = "api"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                error = "panic: listen tcp 127.0.0.1:9000: bind: address already in use"
                [[owners]]
                port = 9000
                pid = 7
                command = "./worker"
                ours = "api"
                orphan = true
            "#,
            says: &["9000", "orphan", "previous run"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("port")?;
    let port = text::port(&said.line.text)
        .or_else(|| text::port(&said.all))
        .or_else(|| scene.ports.first().copied());
    let shown = port.map_or_else(
        || "the port it wants".to_owned(),
        |port| format!("port {port}"),
    );
    let owner = scene
        .owners
        .iter()
        .find(|owner| port.is_none_or(|port| owner.port == port));
    let (who, culprit) = match owner {
        Some(owner) if owner.ours.as_deref() == Some(scene.name.as_str()) => (
            format!(
                "It is held by pid {} (`{}`), an orphan: a child process left over from a previous run of `{}`.",
                owner.pid,
                quotable(&owner.command),
                scene.name
            ),
            None,
        ),
        Some(owner) => match &owner.ours {
            Some(other) => (
                format!(
                    "It is held by `{other}` (pid {}, `{}`), another process here: two definitions use one port.",
                    owner.pid,
                    quotable(&owner.command)
                ),
                Some(other.clone()),
            ),
            None => (
                format!(
                    "It is held by pid {} (`{}`, running for {}), another program that is not ours to end.",
                    owner.pid,
                    quotable(&owner.command),
                    span(owner.age_ms as f64 / 1000.0)
                ),
                None,
            ),
        },
        None if port.is_none() => (
            "Which port that is it does not say, so who holds it cannot be told.".to_owned(),
            None,
        ),
        None => (
            "Nobody holds it any more, so the next start should work.".to_owned(),
            None,
        ),
    };
    let stray = owner.is_some_and(|owner| owner.ours.as_deref() == Some(scene.name.as_str()));
    let found = Found::new(format!(
        "`{}` cannot listen: {shown} is already in use (held by another process; EADDRINUSE). {who} {}{}",
        scene.name, quote(&said), again(&said),
    ))
    .line(said.weight(), &said.line)
    .proof_if(owner.is_some(), 0.7, format!("port:{}", port.unwrap_or_default()), who.clone())
    .proof_if(said.deadly && said.times >= 2, 0.3, death_id(scene), format!("{} deaths in a row like this", said.times))
    .unless_well(scene);
    let found = if owner.is_none() && port.is_some() && scene.is_down() && !scene.held {
        found.auto(Action::Start, format!("{shown} is free by now"))
    } else if stray {
        found.auto(
            Action::Restart { instance: None },
            "a restart ends what is left of earlier runs, and takes the port",
        )
    } else {
        found.advise(
            "wait",
            "the holder may leave; it is tried again with growing delays",
        )
    };
    let found = match (owner, &culprit) {
        (Some(owner), None) if !stray => found.person(format!(
            "end pid {} ({}) if it should not run, or give `{}` another port",
            owner.pid,
            quotable(&owner.command),
            scene.name
        )),
        (Some(_), Some(other)) => {
            found.person(format!("give `{other}` or `{}` another port", scene.name))
        }
        _ => found,
    };
    Some(found)
}
