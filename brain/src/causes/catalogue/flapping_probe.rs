//! Its probe fails now and then, and never for long.
//!
//! Looks for passes and failures that take turns: to fail once and come back is an outage, and no
//! flapping. Against: failures in a row, deaths, errors.
//! The process serves; the probe, or what it checks, is at fault. Nothing is touched.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "flapping-probe",
    title: "its probe flaps",
    look,
    examples: &[
        Example {
            scene: r#"
            probed = true
            attempts = [
                { age_s = 9.0, passed = true },
                { age_s = 8.0, passed = false, error = "status 500" },
                { age_s = 7.0, passed = true },
                { age_s = 6.0, passed = true },
                { age_s = 5.0, passed = false, error = "status 500" },
                { age_s = 4.0, passed = true },
                { age_s = 3.0, passed = true },
                { age_s = 2.0, passed = false, error = "status 500" },
                { age_s = 1.0, passed = true },
            ]
        "#,
            says: &["flaps", "3 of 9", "status 500"],
        },
        // It was not ready, then well, then out for a while: that is one outage.
        Example {
            scene: r#"
                probed = true
                attempts = [
                    { age_s = 30.0, passed = false, error = "refused" },
                    { age_s = 29.0, passed = true },
                    { age_s = 5.0, passed = false, error = "status 503" },
                    { age_s = 4.0, passed = false, error = "status 503" },
                    { age_s = 3.0, passed = true },
                    { age_s = 2.0, passed = true },
                ]
            "#,
            says: &[],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    if !scene.probed || scene.attempts.len() < 6 || scene.online == 0 {
        return None;
    }
    // What failed before the first that passed belongs to the start.
    let recent: Vec<_> = scene
        .attempts
        .iter()
        .filter(|one| one.age_s <= scene.uptime_s.max(1.0))
        .skip_while(|one| !one.passed)
        .collect();
    let failed = recent.iter().filter(|one| !one.passed).count();
    let turns = recent
        .windows(2)
        .filter(|pair| pair[0].passed != pair[1].passed)
        .count();
    let mut row = 0;
    let mut longest = 0;
    for one in &recent {
        row = if one.passed { 0 } else { row + 1 };
        longest = longest.max(row);
    }
    if failed < 2 || turns < 3 || failed == recent.len() || recent.len() < 6 {
        return None;
    }
    let error = recent
        .iter()
        .rev()
        .find_map(|one| one.error.clone())
        .unwrap_or_default();
    let line = scene.lines.iter().rev().find(|line| {
        line.text.to_lowercase().contains("health") || line.text.to_lowercase().contains("probe")
    });
    let mut found = Found::new(format!(
        "The health probe of `{}` flaps (intermittent, unstable): {failed} of {} tries failed ({error}), never more than {longest} in a row, in between it passes. The service itself runs on: the probe, or the little thing it checks, is at fault.",
        scene.name, recent.len(),
    ))
    .proof(0.5, format!("probe:{}", scene.name), format!("{failed} of {} probes failed: {error}", recent.len()))
    .proof_if(turns >= 4, 0.5, format!("probe:{}", scene.name), format!("it changed {turns} times between passing and failing"));
    if let Some(line) = line {
        found = found.proof(0.1, line.id.clone(), line.shown());
    }
    let busy = scene.cpu(15.0).unwrap_or(0.0) > 75.0;
    Some(
        found
            .against(
                longest >= 4 || scene.probe_failures >= 3,
                0.6,
                "it fails for longer at a time",
            )
            .against(!scene.deaths.is_empty(), 0.5, "it died in between")
            .against(
                error.to_lowercase().contains("time") && busy,
                0.5,
                "it is too busy to answer",
            )
            .advise("wait", "leave the process alone: it serves")
            .person("correct what the probe checks, or raise its retries"),
    )
}
