//! It does not understand its own command line.
//!
//! Looks for the usage messages of argument parsers. Only its definition can be wrong.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "bad-usage",
    title: "its command line is wrong",
    look,
    examples: &[Example {
        scene: r#"
            state = "errored"
            online = 0
            command = "python3 app.py --prot 80"
            [[deaths]]
            code = 2
            same = 3
            error = "app.py: error: unrecognized arguments: --prot 80"
            words = ["usage: app.py [-h] [--port PORT]", "app.py: error: unrecognized arguments: --prot 80"]
        "#,
        says: &["command line", "unrecognized arguments", "--prot"],
    }],
};

static USAGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^usage:|unrecognized (?:arguments?|option)|unknown (?:option|flag|argument|command)|invalid option|flag provided but not defined|unexpected argument|the following arguments are required|bad option|missing (?:required )?(?:argument|operand|option)|unrecognised option|requires an argument")
        .expect("a constant")
});

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene
        .death()
        .filter(|dead| dead.signal.is_none() && dead.uptime_s < 20.0)?;
    let line = std::iter::once(&dead.error)
        .chain(&dead.words)
        .filter(|line| USAGE.is_match(line))
        .max_by_key(|line| !line.to_lowercase().starts_with("usage"))?;
    let found = Found::new(format!(
        "`{}` does not understand its command line (`{}`): `{}`. It ends with {} at every start.",
        scene.name,
        quotable(&scene.command),
        quotable(line),
        dead.exit,
    ))
    .proof(0.75, dead.error_id.clone(), quotable(line))
    .proof_if(
        dead.code == Some(2) || dead.code == Some(64),
        0.4,
        dead.id.clone(),
        dead.exit.clone(),
    )
    .proof_if(
        dead.same >= 2,
        0.3,
        dead.id.clone(),
        format!("{} deaths in a row like this", dead.same),
    )
    .unless_well(scene);
    let said = Said {
        line: Line {
            text: line.clone(),
            ..Line::default()
        },
        times: usize::try_from(dead.same).unwrap_or(1),
        since_s: 0.0,
        deadly: true,
        all: String::new(),
    };
    Some(
        hold_if_looping(found, scene, &said, "its command line is wrong").person(format!(
            "correct `command` or `args` of [process.{}]",
            scene.name
        )),
    )
}
