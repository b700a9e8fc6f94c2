//! Work arrives faster than it is done.
//!
//! Looks for a figure beside words like backlog or queue that grows while the process is well.
//! More copies help, a restart only loses time.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "backlog",
    title: "work piles up",
    look,
    examples: &[Example {
        scene: r#"
            lines = [
                { text = "consumer lag 10", age_s = 9.0 },
                { text = "consumer lag 25", age_s = 6.0 },
                { text = "consumer lag 41", age_s = 3.0 },
                { text = "consumer lag 60", age_s = 0.5 },
            ]
        "#,
        says: &["queue", "grows", "60"],
    }],
};

static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:backlog|queue(?:d| depth| length| size)?|pending(?: jobs| messages| tasks)?|(?:consumer )?lag|unprocessed|outstanding|in[- ]?flight|waiting (?:jobs|messages|tasks|items|requests|events)|(?:still )?(?:waiting|behind|to do|not yet (?:done|handled|processed)))\b")
        .expect("a constant")
});

fn look(scene: &Scene) -> Option<Found> {
    if scene.online == 0 {
        return None;
    }
    let series: Vec<(&Line, f64)> = scene
        .lines
        .iter()
        .filter_map(|line| Some((line, text::number_after(&line.text, &WORDS)?)))
        .collect();
    let [first, .., last] = &series[..] else {
        return None;
    };
    if series.len() < 3 || last.0.age_s > 30.0 {
        return None;
    }
    let rises = series
        .windows(2)
        .filter(|pair| pair[1].1 > pair[0].1)
        .count();
    let steady = rises * 3 >= (series.len() - 1) * 2;
    let grown = last.1 >= first.1 + 5.0 && last.1 >= first.1 * 1.3;
    if !grown {
        return None;
    }
    let found = Found::new(format!(
        "The queue of `{}` grows: its backlog went from {} to {} in {}. Work arrives faster than its {} can take it (it does not keep up; too few workers), while it is healthy itself.",
        scene.name, first.1, last.1, span(first.0.age_s - last.0.age_s),
        if scene.online == 1 { "one worker".to_owned() } else { format!("{} workers", scene.online) },
    ))
    .proof(0.55, last.0.id.clone(), last.0.shown())
    .proof(0.2, first.0.id.clone(), first.0.shown())
    .proof_if(steady, 0.4, last.0.id.clone(), format!("{} figures, {rises} of them higher than the one before", series.len()))
    .against(!scene.is_well(), 0.4, "it is not well itself")
    .against(!steady, 0.4, "it goes up and down");
    let room = scene.max_instances > scene.online;
    let found = if room {
        found.advise(
            "scale_up",
            format!(
                "more workers, if they can work side by side: mhost scale {} {}",
                scene.name,
                (scene.online + 2).min(scene.max_instances)
            ),
        )
    } else {
        found
    };
    Some(found.person("if more workers do not help, what they wait for is the bottleneck"))
}
