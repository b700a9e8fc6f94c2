//! A time stamp and the clock do not fit.
//!
//! Looks for complaints about the future, a skew or a jump. Proof: a date in the text that
//! lies ahead. A restart changes neither the clock nor the stamp.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "clock-jump",
    title: "a time stamp lies in the future, or the clock jumped",
    look,
    examples: &[Example {
        scene: r#"
            lines = [
                "WARN token issued at 2047-01-01 is in the future, skipped",
                "WARN token issued at 2047-01-01 is in the future, skipped",
            ]
        "#,
        says: &["future", "clock", "2047"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("clock")?;
    let years = text::years(&said.line.text);
    let ahead = years.iter().max().copied();
    let far = years.len() >= 2 && years.iter().max() > years.iter().min();
    let dates = ahead.map_or_else(String::new, |year| format!(" The stamp is of {year}."));
    let found = Found::new(format!(
        "A time stamp that `{}` works with lies in the future, or the clock is wrong (it jumped, or is skewed), so what is scheduled by it does not run (misfire).{dates} {}{}",
        scene.name, quote(&said), again(&said),
    ))
    .line(said.weight().max(0.6), &said.line)
    .proof_if(far || ahead.is_some_and(|year| year > 2040), 0.4, said.line.id.clone(), "the dates in it do not fit together")
    .against(!said.deadly && said.line.age_s > 60.0, 0.5, "it has not complained for a while")
    .against(said.line.was_handled(), 0.6, "it says itself that it was dealt with");
    Some(
        tell_if_lasting(found, scene, &said)
            .advise("wait", "it is left running: a restart changes neither")
            .person("correct the stored stamp, or the clock of this host (timedatectl)"),
    )
}
