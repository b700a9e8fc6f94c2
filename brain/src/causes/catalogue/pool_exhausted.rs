//! A pool is used up, and nobody hands anything back.
//!
//! Looks for complaints about pools of connections. Proof: they last, while the other end is
//! well. A restart empties the pool; what forgets to hand back is a bug.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "pool-exhausted",
    title: "a connection pool is used up",
    look,
    examples: &[Example {
        scene: r#"
            probed = true
            lines = [
                "SequelizeConnectionAcquireTimeoutError: Operation timeout while acquiring a connection from the pool",
                "SequelizeConnectionAcquireTimeoutError: Operation timeout while acquiring a connection from the pool",
                "SequelizeConnectionAcquireTimeoutError: Operation timeout while acquiring a connection from the pool",
            ]
        "#,
        says: &["pool", "exhausted"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("pool")?;
    let green = scene.probed && scene.probe_failures == 0;
    let sick = scene
        .depends_on
        .iter()
        .filter_map(|name| scene.neighbour(name))
        .any(|one| !one.well);
    let found = Found::new(format!(
        "The connection pool of `{}` is exhausted: all its connections are in use and never handed back (a leak on some path), so whoever wants one waits until it times out{}. {}{}",
        scene.name,
        if green { ", while its health probe, which needs none, is green" } else { "" },
        quote(&said), again(&said),
    ))
    .line(said.weight().max(0.55), &said.line)
    .proof_if(said.times >= 3 && said.since_s > 2.0, 0.4, said.line.id.clone(), format!("{} times in {}", said.times, span(said.since_s)))
    .against(sick, 0.6, "its dependency is not well: the pool may only wait for it")
    .against(said.line.was_handled(), 0.6, "it says itself that it was dealt with")
    .against(!said.deadly && said.line.age_s > FRESH_S, 0.6, "it has not complained for a while");
    Some(
        found
            .advise("restart", "a restart empties the pool")
            .person("find the path that does not hand its connection back (often the error path)"),
    )
}
