//! It ends by itself, without an error, and is started again and again.
//!
//! Looks for ends with exit code 0 in a row. Usually the program puts itself into the
//! background, or its work is done at once; both are a matter of its definition.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "exits-at-once",
    title: "it ends by itself without an error",
    look,
    examples: &[Example {
        scene: r#"
            state = "errored"
            online = 0
            exits = [
                { age_s = 6.0, event = 4, figure = 120.0 },
                { age_s = 4.0, event = 5, figure = 120.0 },
                { age_s = 1.0, event = 6, figure = 120.0 },
            ]
        "#,
        says: &["exit code 0", "3 times", "background"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let last = scene.exits.last()?;
    let short: Vec<_> = scene
        .exits
        .iter()
        .filter(|exit| exit.figure < 10_000.0)
        .collect();
    if short.is_empty() || !scene.deaths.is_empty() {
        return None;
    }
    let line = scene.last_line().map_or_else(String::new, |line| {
        format!(" Its last output: `{}`.", line.shown())
    });
    let found = Found::new(format!(
        "`{}` ends by itself with exit code 0, {} times in the last ten minutes, {} after its start. It says no error: either it puts itself into the background (a daemon), or its work is done at once.{line}",
        scene.name, short.len(), span(last.figure / 1000.0),
    ))
    .proof(match short.len() { 1 => 0.5, 2 => 0.7, _ => 0.85 }, format!("event:{}", last.event), format!("exit code 0 after {}", span(last.figure / 1000.0)))
    .unless_well(scene);
    Some(found.person("let it stay in the foreground (often --foreground or --no-daemon); for a job that is done, set autorestart = false"))
}
