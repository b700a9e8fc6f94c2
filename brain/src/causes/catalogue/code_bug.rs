//! The same error of its own code ends it again and again.
//!
//! Looks for an uncaught exception or a panic as last words. Proof: the same stack several
//! times. Against: what it died of has a cause outside. Restarts do not change code.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "code-bug",
    title: "the same bug ends it each time",
    look,
    examples: &[
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 3
                uptime_s = 4.1
                error = "TypeError: Cannot read properties of undefined (reading 'price')"
                place = "worker.js:6"
                source = "const p = table.price"
            "#,
            says: &["TypeError", "worker.js:6", "same"],
        },
        Example {
            scene: r#"
                uptime_s = 120.0
                [[deaths]]
                age_s = 130.0
                code = 1
                error = "ValueError: bad"
            "#,
            says: &[],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene
        .death()
        .filter(|dead| dead.kind == "exception" && dead.signal.is_none())?;
    let place = at(dead);
    let times = if dead.same > 1 {
        format!(
            " It dies of it again and again, {} times in a row, each time about {} after the start: the same code fails on the same input, and a restart does not change that.",
            dead.same,
            span(dead.uptime_s)
        )
    } else {
        String::new()
    };
    let found = Found::new(format!(
        "`{}` dies of an exception in its own code (a bug, or bad input that it does not expect): `{}`{place}.{times}",
        scene.name, quotable(&dead.error),
    ))
    .proof(0.7, dead.error_id.clone(), dead.error.clone())
    .proof(0.2, dead.id.clone(), format!("{} after {}", dead.exit, span(dead.uptime_s)))
    .proof_if(dead.same >= 2, 0.4, dead.id.clone(), format!("{} deaths in a row like this", dead.same))
    .proof_if(!dead.source.is_empty(), 0.2, dead.id.clone(), format!("{} reads {}", dead.place, dead.source))
    .unless_well(scene);
    let said = Said {
        line: Line {
            text: dead.error.clone(),
            ..Line::default()
        },
        times: usize::try_from(dead.same).unwrap_or(1),
        since_s: 0.0,
        deadly: true,
        all: String::new(),
    };
    Some(
        hold_if_looping(found, scene, &said, "the same exception each time").person(format!(
            "correct the code{}, or go back to the version before",
            if dead.place.is_empty() {
                String::new()
            } else {
                format!(" at {}", dead.place)
            }
        )),
    )
}
