//! A change of its definition made it ill.
//!
//! Looks for errors, deaths or a failing probe that began with the newest change. Proof: it
//! was well before, and the time fits. What changed is shown; going back is the cure.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "bad-revision",
    title: "the newest change of its definition made it ill",
    look,
    examples: &[Example {
        scene: r#"
            has_previous = true
            uptime_s = 12.0
            lines = [
                { text = "TypeError: render is not a function", age_s = 6.0 },
                { text = "TypeError: render is not a function", age_s = 4.0 },
                { text = "TypeError: render is not a function", age_s = 2.0 },
                { text = "TypeError: render is not a function", age_s = 1.0 },
            ]
            [change]
            age_s = 13.0
            keys = [["command", "node v1.js", "node v2.js"]]
        "#,
        says: &["revision", "command", "TypeError"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let change = scene
        .change
        .as_ref()
        .filter(|change| change.age_s < 900.0)?;
    let storm = scene
        .storms(60.0)
        .into_iter()
        .next()
        .filter(|(_, times, since)| *times >= 3 && *since <= change.age_s + 1.0);
    let died = scene.death().filter(|dead| dead.age_s <= change.age_s);
    let failing = scene.probe_failures >= 2 && scene.probe_down_s <= change.age_s + 2.0;
    if storm.is_none() && died.is_none() && !failing {
        return None;
    }
    let keys: Vec<String> = change
        .keys
        .iter()
        .take(4)
        .map(|(key, old, new)| format!("{key}: `{}` became `{}`", quotable(old), quotable(new)))
        .collect();
    let what = if keys.is_empty() {
        String::new()
    } else {
        format!(" What changed: {}.", keys.join("; "))
    };
    let sign = match (&storm, died) {
        (Some((line, times, _)), _) => format!("the error `{}` ({times} times)", line.shown()),
        (None, Some(dead)) => format!("its death: {}, `{}`", dead.exit, quotable(&dead.error)),
        (None, None) => format!("its failing probe ({})", scene.probe_error),
    };
    let before = scene
        .lines
        .iter()
        .any(|line| line.age_s > change.age_s && matches!(line.kind, "exception"));
    let crashed = scene.crashes.iter().any(|crash| crash.age_s > change.age_s);
    let ran_well = scene.was_online && !before && !crashed;
    let well = if ran_well {
        " Before that it ran well."
    } else {
        ""
    };
    let mut found = Found::new(format!(
        "The new revision (deploy) of `{}` is bad: since its definition changed {} ago there is {sign}.{well}{what}",
        scene.name, span(change.age_s),
    ))
    .proof(0.35, scene.fact("config"), format!("changed {} ago. {}", span(change.age_s), keys.join("; ")));
    if let Some((line, times, _)) = &storm {
        found = found.proof(
            if *times >= 4 { 0.6 } else { 0.45 },
            line.id.clone(),
            line.shown(),
        );
    }
    if let Some(dead) = died {
        found = found.proof(
            0.55,
            dead.error_id.clone(),
            format!("{}: {}", dead.exit, dead.error),
        );
    }
    let found = found
        .proof_if(
            failing,
            0.4,
            format!("probe:{}", scene.name),
            scene.probe_error.clone(),
        )
        .proof_if(
            scene.has_previous && ran_well,
            0.3,
            scene.fact("previous"),
            "there is a former revision that ran",
        )
        .against(before, 0.6, "it had the same errors before the change")
        .against(crashed, 0.6, "it crashed before the change, too")
        .against(
            !scene.has_previous,
            0.3,
            "there is no revision to go back to",
        );
    let found = if scene.has_previous && ran_well {
        found.auto(Action::Rollback, "go back to the revision that ran well")
    } else {
        found
    };
    Some(found.person("correct the new revision before it is applied again"))
}
