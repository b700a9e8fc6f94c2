//! What a start reads anew is not what it was at the last good start.
//!
//! Looks for a start that fails although the definition is the same as when it ran, with an
//! env file that was written since. Proof: the variable that differs stands in the error.
//! The file is somebody's and is not written back by a machine.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "config-drift",
    title: "its env file changed since the last good start",
    look,
    examples: &[Example {
        scene: r#"
            state = "errored"
            online = 0
            was_online = true
            [[deaths]]
            code = 1
            same = 2
            error = "FATAL: broker at 10.1.1.1:9 unreachable: connection refused"
            [[env_files]]
            path = "service.env"
            exists = true
            written_s = 12.0
            changed = [["BROKER_PORT", "5672", "9"]]
            values = [["BROKER_PORT", "9"], ["MODE", "prod"]]
        "#,
        says: &["service.env", "BROKER_PORT", "changed", "5672"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let dead = scene.death();
    if scene.is_well() && scene.uptime_s > 10.0 || dead.is_none() && scene.probe_failures == 0 {
        return None;
    }
    let file = scene.env_files.iter().max_by(|a, b| {
        (a.changed.len(), -a.written_s)
            .partial_cmp(&(b.changed.len(), -b.written_s))
            .unwrap_or(std::cmp::Ordering::Equal)
    })?;
    let error = dead.map_or(scene.probe_error.as_str(), |dead| dead.error.as_str());
    let fresh = file.exists && file.written_s < 900.0;
    if file.changed.is_empty() && !(fresh && scene.was_online) {
        return None;
    }
    // A value of the file that stands in the error names the variable to look at.
    let hinted = file.values.iter().find(|(_, value)| {
        !value.is_empty()
            && Regex::new(&format!(
                r"(?:^|[^\w.]){}(?:$|[^\w.])",
                regex::escape(value)
            ))
            .is_ok_and(|pattern| pattern.is_match(error))
    });
    let told: Vec<String> = file
        .changed
        .iter()
        .take(4)
        .map(|(key, old, new)| match old.as_str() {
            "" => format!("{key} is now `{new}` and was not there"),
            _ => format!("{key} is now `{new}` and was `{old}`"),
        })
        .collect();
    let what = match (&told[..], hinted) {
        ([], Some((key, value))) => {
            format!(" The variable to look at is {key}, now `{value}`, which the error names.")
        }
        ([], None) => String::new(),
        _ => format!(" Since the last good start {}.", told.join("; ")),
    };
    let changed_hint = file
        .changed
        .iter()
        .any(|(_, _, new)| !new.is_empty() && error.contains(new.as_str()));
    let found = Found::new(format!(
        "The environment of `{}` drifted: its env file {} changed {} ago, and it does not run with what a start reads from it now.{what} Its definition is the same. {}",
        scene.name, file.path, span(file.written_s),
        dead.map_or_else(String::new, |dead| format!("It says `{}`.", quotable(&dead.error))),
    ))
    .proof_if(!file.changed.is_empty(), 0.75, format!("file:{}", file.path), told.join("; "))
    .proof_if(file.changed.is_empty() && fresh, 0.5, format!("file:{}", file.path), format!("written {} ago, while it ran well before", span(file.written_s)))
    .proof_if(hinted.is_some() || changed_hint, 0.5, dead.map_or_else(|| scene.fact("error"), |dead| dead.error_id.clone()), quotable(error))
    .proof_if(dead.is_some(), 0.3, death_id(scene), dead.map_or_else(String::new, |dead| format!("{} after {}", dead.exit, span(dead.uptime_s))))
    .against(!scene.was_online, 0.6, "it never ran")
    .against(scene.change.as_ref().is_some_and(|change| change.age_s < file.written_s + 60.0), 0.4, "its definition changed, too");
    let said = Said {
        line: Line {
            text: error.to_owned(),
            ..Line::default()
        },
        times: dead.map_or(1, |dead| usize::try_from(dead.same).unwrap_or(1)),
        since_s: 0.0,
        deadly: true,
        all: String::new(),
    };
    Some(
        hold_if_looping(
            found,
            scene,
            &said,
            &format!("{} changed since the last good start", file.path),
        )
        .person(format!(
            "put {} back as it was, then: mhost restart {}",
            file.path, scene.name
        )),
    )
}
