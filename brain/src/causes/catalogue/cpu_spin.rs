//! It uses a whole core, and has done so for a while.
//!
//! Looks for the share of a core over half a minute. Proof: a thread that is busy all the
//! time, and answers that got slow or failed. Against: it does its work well. More copies
//! leave the spinner where it is.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "cpu-spin",
    title: "it spins at a full core",
    look,
    examples: &[Example {
        scene: r#"
            probed = true
            probe_failures = 2
            probe_error = "timeout"
            lines = ["reindex started"]
            samples = [
                { age_s = 8.0, cpu = 99.0 },
                { age_s = 4.0, cpu = 100.0 },
                { age_s = 1.0, cpu = 101.0 },
            ]
            [[close]]
            pid = 4
            threads = 6
            cpu_percent = 100.0
            busiest_percent = 50.0
            busiest = "python3"
        "#,
        says: &["cpu", "spin", "reindex"],
    }],
};

fn look(scene: &Scene) -> Option<Found> {
    let window = scene.samples.iter().filter(|sample| sample.age_s <= 30.0);
    let recent: Vec<f64> = window.map(|sample| sample.cpu).collect();
    let high = recent
        .iter()
        .rev()
        .take(3)
        .filter(|cpu| **cpu >= 80.0)
        .count();
    let now = scene.cpu_now();
    if now.max(recent.last().copied().unwrap_or(0.0)) < 75.0
        || (scene.online == 0 && scene.close.is_empty() && !scene.failed_just_now())
    {
        return None;
    }
    let suffering = scene.probe_failures > 0 || scene.is_late();
    let average = scene.cpu(15.0).unwrap_or(now);
    let doing = scene.last_deed();
    let busiest = scene.close.first().filter(|look| !look.busiest.is_empty());
    let thread = busiest.map_or_else(String::new, |look| {
        format!(
            " The busiest of {} threads is `{}`.",
            look.threads, look.busiest
        )
    });
    let last = doing.map_or_else(String::new, |line| {
        format!(" What it logged last: `{}`.", line.shown())
    });
    let effect = if suffering {
        ", and requests starve: its probe is late or fails"
    } else {
        ""
    };
    let found = Found::new(format!(
        "`{}` is busy at {average:.0} % of a core (cpu): something in it spins, a thread that loops without end{effect}.{thread}{last}",
        scene.name,
    ))
    .proof(if high >= 2 { 0.6 } else { 0.45 }, "metric:cpu", format!("cpu {average:.0} % of a core"))
    .proof_if(now >= 80.0, 0.3, scene.fact("threads"), format!("cpu {now:.0} % now"))
    .proof_if(suffering, 0.5, format!("probe:{}", scene.name), if scene.probe_error.is_empty() { "its probe got slow".to_owned() } else { scene.probe_error.clone() })
    .proof_if(doing.is_some(), 0.1, doing.map_or_else(String::new, |line| line.id.clone()), doing.map(Line::shown).unwrap_or_default())
    .against(!suffering, 0.7, "it answers in time: it may just be at work")
    .against(scene.log_lines_per_s > 500.0, 0.5, "it is busy with writing its log")
    .against(scene.uptime_s < 8.0, 0.4, "it has just started");
    Some(
        found
            .advise(
                "restart",
                "a restart ends the loop; more copies leave it where it is",
            )
            .person("find the loop: what it logged last began it"),
    )
}
