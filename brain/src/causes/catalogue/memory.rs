//! It uses more memory than it may: by a leak, or at a stroke.
//!
//! Looks for the limit being passed, for the heap errors of runtimes, and for a kill while it
//! was near its limit. A steady slope makes it a leak, with the time it takes to the limit;
//! a jump makes it a spike. Against: memory is far from the limit and flat. More copies do not
//! help against a leak.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "out-of-memory",
    title: "it uses more memory than it may",
    look,
    examples: &[
        Example {
            scene: r#"
                max_memory = 104857600
                uptime_s = 40.0
                samples = [
                    { age_s = 30.0, rss = 30000000.0 },
                    { age_s = 25.0, rss = 40000000.0 },
                    { age_s = 20.0, rss = 50000000.0 },
                    { age_s = 15.0, rss = 60000000.0 },
                    { age_s = 10.0, rss = 70000000.0 },
                    { age_s = 5.0, rss = 80000000.0 },
                    { age_s = 0.0, rss = 90000000.0 },
                ]
            "#,
            says: &["leak", "memory", "limit"],
        },
        Example {
            scene: r#"
                max_memory = 104857600
                uptime_s = 300.0
                lines = ["import of 90000 rows started"]
                samples = [
                    { age_s = 20.0, rss = 40000000.0 },
                    { age_s = 15.0, rss = 40000000.0 },
                    { age_s = 10.0, rss = 40000000.0 },
                    { age_s = 5.0, rss = 40000000.0 },
                    { age_s = 0.0, rss = 200000000.0 },
                ]
                over_memory = [{ age_s = 0.5, event = 9, figure = 200000000.0 }]
            "#,
            says: &["spike", "exceed", "import of 90000 rows"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                signal = 6
                error = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"
            "#,
            says: &["memory", "heap"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene.said("memory");
    let limit = scene.max_memory.map(|bytes| bytes as f64);
    let rss = scene.rss();
    let over = scene.over_memory.last();
    let share = match (rss, limit) {
        (Some(rss), Some(limit)) if limit > 0.0 => rss / limit,
        _ => 0.0,
    };
    let slope = scene.slope(|sample| sample.rss);
    let growing =
        slope.is_some_and(|(per_s, fit)| fit > 0.7 && per_s > 20_000.0 && grown(scene) > 0.25);
    let killed = scene.death().is_some_and(|dead| dead.signal == Some(9));
    let short = scene.host.memory > 0 && scene.host.memory_available * 20 < scene.host.memory;
    let killed_near = killed && (share > 0.85 || short);
    if said.is_none()
        && over.is_none()
        && !(growing && (share > 0.6 || limit.is_none() && grown(scene) > 1.0))
        && !killed_near
        && share < 0.97
    {
        return None;
    }
    let jump = jump(scene);
    let spike = jump && !growing;
    let kind = if growing {
        "a leak: its memory (rss) grows steadily"
    } else if spike {
        "a spike: its memory (rss) jumped at a stroke"
    } else {
        "its memory (rss) grew over the limit"
    };
    let figures = match (over.map(|over| over.figure).or(rss), limit) {
        (Some(rss), Some(limit)) => format!(
            ", {} against a limit (max_memory) of {}",
            megabytes(rss),
            megabytes(limit)
        ),
        (Some(rss), None) => format!(", {} now", megabytes(rss)),
        _ => String::new(),
    };
    let pace = match (slope, rss, limit) {
        (Some((per_s, _)), Some(rss), Some(limit)) if growing && limit > rss => {
            format!(
                " It gains {} a minute and reaches the limit in {}.",
                megabytes(per_s * 60.0),
                span((limit - rss) / per_s)
            )
        }
        (Some((per_s, _)), ..) if growing => {
            format!(" It gains {} a minute.", megabytes(per_s * 60.0))
        }
        _ => String::new(),
    };
    // What it was doing when it jumped: the line before.
    let at = over.map_or(0.0, |over| over.age_s);
    let doing = scene
        .lines
        .iter()
        .rev()
        .find(|line| line.age_s >= at - 1.0 && line.age_s < at + 30.0);
    let doing_words = doing.map_or_else(String::new, |line| {
        format!(" Its last output at that time: `{}`.", line.shown())
    });
    let word = if over.is_some() || share >= 1.0 {
        "exceeds"
    } else {
        "is about to exceed"
    };
    let mut found = Found::new(format!(
        "`{}` {word} its memory: {kind}{figures}.{pace}{}{doing_words}",
        scene.name,
        said.as_ref()
            .map_or_else(String::new, |said| format!(" {}", quote(said))),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight(), &said.line);
    }
    if let Some(over) = over {
        found = found.proof(
            0.85,
            format!("event:{}", over.event),
            format!("rss {} passed its limit", megabytes(over.figure)),
        );
    }
    if let Some(line) = doing {
        found = found.proof(0.1, line.id.clone(), line.shown());
    }
    if let Some(rss) = rss {
        found = found
            .proof_if(
                share > 0.9,
                0.5,
                "metric:rss",
                format!(
                    "rss {} is {:.0} % of its limit",
                    megabytes(rss),
                    share * 100.0
                ),
            )
            .proof_if(
                growing,
                if share > 0.6 { 0.72 } else { 0.55 },
                "metric:rss",
                format!(
                    "rss grows by {} a minute",
                    megabytes(slope.map_or(0.0, |(per_s, _)| per_s * 60.0))
                ),
            );
    }
    found = found
        .proof_if(
            killed_near,
            0.5,
            death_id(scene),
            "it was killed by SIGKILL near its limit",
        )
        .proof_if(jump, 0.2, "metric:rss", "rss jumped within seconds")
        .against(
            said.is_none() && over.is_none() && share < 0.5 && limit.is_some(),
            0.7,
            format!("its memory is at {:.0} % of its limit", share * 100.0),
        )
        .against(
            said.is_none() && pile_up(scene),
            0.5,
            "its children or threads pile up, and the memory is theirs",
        )
        .against(
            said.as_ref().is_some_and(|said| said.line.was_handled()),
            0.6,
            "it says itself that it was dealt with",
        )
        .against(
            over.is_some_and(|over| over.age_s > 120.0) && share < 0.6,
            0.8,
            "that is a while ago",
        );
    let found = if growing && over.is_none() && share < 0.95 {
        found.advise(
            "restart",
            "a restart before the limit is reached frees it for a while",
        )
    } else if over.is_none() && share > 0.97 {
        found.auto(
            Action::Restart { instance: None },
            "a restart frees what it holds",
        )
    } else {
        found.advise(
            "restart",
            "the supervisor restarts it at its limit, which frees it for a while",
        )
    };
    Some(found.person(if growing {
        "find what it keeps: the leak stays until the code is changed; more copies do not help"
    } else {
        "let it work in smaller pieces, or raise max_memory if it needs that much"
    }))
}

/// Are there many children that are all alike?
fn pile_up(scene: &Scene) -> bool {
    let mut counts = scene.close.iter().flat_map(|look| look.children.values());
    let threads = scene.close.iter().map(|look| look.threads).max();
    let rising = scene.slope(|sample| sample.threads);
    let threads_pile = threads.is_some_and(|threads| threads > 200)
        && rising.is_some_and(|(per_s, fit)| fit > 0.8 && per_s * 60.0 > 60.0);
    threads_pile || counts.any(|count| *count >= 24)
}

/// How much it grew over the run, as a share.
fn grown(scene: &Scene) -> f64 {
    let alive: Vec<f64> = scene
        .samples
        .iter()
        .filter(|sample| sample.age_s <= scene.uptime_s)
        .map(|sample| sample.rss)
        .collect();
    match (alive.first(), alive.last()) {
        (Some(first), Some(last)) if *first > 0.0 => last / first - 1.0,
        _ => 0.0,
    }
}

/// Did it double, by a good deal, from one sample to the next?
fn jump(scene: &Scene) -> bool {
    scene.samples.windows(2).rev().take(20).any(|pair| {
        pair[1].rss > pair[0].rss * 1.6 && pair[1].rss - pair[0].rss > 24e6 && pair[0].rss > 1e6
    })
}
