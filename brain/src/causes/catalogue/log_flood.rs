//! It floods its log.
//!
//! Looks for the rate of its output. Proof: thousands of lines a second. A switch for debug
//! output that was left on in memory goes with a restart.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "log-flood",
    title: "it floods its log",
    look,
    examples: &[Example {
        scene: r#"
            log_bytes_per_s = 900000.0
            log_lines_per_s = 9000.0
            lines = ["DEBUG enter handler", "DEBUG leave handler"]
        "#,
        says: &["floods", "log", "9000 lines"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    if scene.log_bytes_per_s < 50_000.0 {
        return None;
    }
    let line = scene.last_line();
    let debug = line.is_some_and(|line| {
        let upper = line.text.to_uppercase();
        upper.contains("DEBUG") || upper.contains("TRACE")
    });
    let found = Found::new(format!(
        "`{}` floods its log: about {:.0} lines per second ({} a second, log rate){}.{}",
        scene.name,
        scene.log_lines_per_s,
        megabytes(scene.log_bytes_per_s),
        if debug {
            "; debug or trace output was left on"
        } else {
            ""
        },
        line.map_or_else(String::new, |line| format!(
            " For example: `{}`.",
            line.shown()
        )),
    ))
    .proof(
        if scene.log_bytes_per_s > 200_000.0 {
            0.8
        } else {
            0.6
        },
        "metric:log_bytes",
        format!(
            "{:.0} lines/s, {} /s of log",
            scene.log_lines_per_s,
            megabytes(scene.log_bytes_per_s)
        ),
    )
    .proof_if(
        debug,
        0.3,
        line.map_or_else(String::new, |line| line.id.clone()),
        line.map(Line::shown).unwrap_or_default(),
    )
    .against(
        !scene.storms(10.0).is_empty(),
        0.3,
        "what it prints are errors",
    );
    Some(
        found
            .advise(
                "restart",
                "a restart clears a switch that was set in memory",
            )
            .person("switch its debug output off"),
    )
}
