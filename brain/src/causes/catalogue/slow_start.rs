//! It has not come up yet, and is on its way.
//!
//! Looks for a process that was never up, lives, and still prints or works. Against: it
//! printed an error, or does nothing. Waiting is the cure; a kill begins it all again.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "slow-start",
    title: "it is still starting",
    look,
    examples: &[Example {
        scene: r#"
            state = "starting"
            detail = "starting"
            online = 0
            was_online = false
            uptime_s = 9.0
            probed = true
            probe_failures = 5
            probe_error = "refused"
            lines = ["loading shard 3 of 9", "loading shard 4 of 9"]
            [[close]]
            pid = 4
            cpu_percent = 60.0
        "#,
        says: &["still starting", "shard 4", "slow"],
    }],
};

static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)load|warm|initiali[sz]|start|prepar|migrat|compil|build|connect|read|import|restor|replay|fetch|download|index|%|\d+ ?(?:of|/) ?\d+")
        .expect("a constant")
});

fn look(scene: &Scene) -> Option<Found> {
    let starting = scene.state == "starting"
        || (scene.probed && !scene.was_online && scene.online > 0 && scene.probe_failures > 0);
    if !starting || !scene.deaths.is_empty() && scene.uptime_s < 1.0 {
        return None;
    }
    let progress =
        scene.lines.iter().rev().find(|line| {
            line.age_s <= 30.0 && line.kind.is_empty() && PROGRESS.is_match(&line.text)
        });
    let trouble = scene.lines.iter().rev().find(|line| {
        !line.kind.is_empty() && line.kind != "unknown" && line.age_s < scene.uptime_s + 1.0
    });
    let busy = scene.cpu_now() > 10.0;
    let last = progress.or_else(|| scene.last_line());
    let found = Found::new(format!(
        "`{}` is still starting (a slow start-up): it has been loading for {} and has {} ready yet{}.{} Left alone it comes up; a restart would begin it all again.",
        scene.name, span(scene.uptime_s),
        if scene.was_online { "not been" } else { "never been" },
        if scene.probe_error.is_empty() { String::new() } else { format!("; its probe says {}", scene.probe_error) },
        last.map_or_else(String::new, |line| format!(" Its last output: `{}`.", line.shown())),
    ))
    .proof(0.45, scene.fact("state"), format!("{}, up for {}, never online", scene.detail, span(scene.uptime_s)))
    .proof_if(progress.is_some(), 0.5, progress.map_or_else(String::new, |line| line.id.clone()), progress.map(Line::shown).unwrap_or_default())
    .proof_if(busy, 0.3, "metric:cpu", format!("it works: cpu {:.0} %", scene.cpu_now()))
    .against(trouble.is_some(), 0.6, "it printed an error")
    .against(
        scene.was_online && scene.health_fails.last().is_some_and(|fail| fail.age_s < 120.0),
        0.6,
        "it was up, and was started again because its probe failed",
    )
    .against(!scene.deaths.is_empty(), 0.5, "it died in earlier starts")
    .against(progress.is_none() && !busy && scene.uptime_s > 20.0, 0.5, "it neither prints nor works");
    Some(
        found
            .advise("wait", "let it finish")
            .person("give it more time (start_timeout), if it always takes this long"),
    )
}
