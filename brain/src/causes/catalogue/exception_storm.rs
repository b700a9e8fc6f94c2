//! The same exception on request after request, while it lives.
//!
//! Looks for lines that name an error, often and lately. Proof: many in seconds. Against: they
//! blame a dependency, or began with a change of the definition, or say they were dealt with.
//! State in memory is broken: a restart resets it, and the bug stays.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "exception-storm",
    title: "it throws the same exception all the time",
    look,
    examples: &[Example {
        scene: r#"
            probed = true
            lines = [
                { text = "NullPointerException: session", age_s = 9.0 },
                { text = "NullPointerException: session", age_s = 7.0 },
                { text = "NullPointerException: session", age_s = 5.0 },
                { text = "NullPointerException: session", age_s = 3.0 },
                { text = "NullPointerException: session", age_s = 2.0 },
                { text = "NullPointerException: session", age_s = 1.0 },
            ]
        "#,
        says: &["NullPointerException", "storm", "6 times"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let storms = scene.storms(20.0);
    let (line, times, since) = storms.first().filter(|(_, times, _)| *times >= 4)?;
    let kind = if line.kind.is_empty() {
        "exception"
    } else {
        line.kind
    };
    let outside = !matches!(kind, "exception" | "unknown");
    let names = scene
        .neighbours
        .iter()
        .any(|one| mentions(&line.text, &one.name));
    let changed = scene
        .change
        .as_ref()
        .is_some_and(|change| change.age_s < 120.0 && change.age_s + 1.0 >= *since);
    let green = if scene.probed && scene.probe_failures == 0 {
        " while its health probe is green"
    } else {
        ""
    };
    let found = Found::new(format!(
        "`{}` throws the same exception on request after request (an error storm, {times} times in {}){green}: `{}`. Something in its memory (a cache, a pool) is broken; a restart resets it, the bug stays.",
        scene.name, span(*since), line.shown(),
    ))
    .proof(match times { 4..=5 => 0.6, 6..=9 => 0.72, _ => 0.8 }, line.id.clone(), line.shown())
    .proof_if(!green.is_empty(), 0.1, format!("probe:{}", scene.name), "its probe passes")
    .against(outside, 0.5, "the message points to a cause outside its code")
    .against(names, 0.6, "the message blames another process")
    .against(changed, 0.5, "it began with a change of its definition")
    .against(line.age_s > 10.0, 0.6, "it stopped");
    Some(
        found
            .advise("restart", "a restart resets what is broken in memory")
            .person("correct the code that throws"),
    )
}
