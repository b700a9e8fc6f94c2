//! Another process takes what this one needs.
//!
//! Looks for a process that is short of memory or of the processor, by its own words, by probes
//! that got slow, or since its threads wait to be let run; and for a neighbour beyond its limit
//! or with most of the processor. The neighbour is to blame; the victim is left alone.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "noisy-neighbour",
    title: "another process takes its resources",
    look,
    examples: &[
        // It says nothing; the kernel and its probe do.
        Example {
            scene: r#"
                probed = true
                samples = [{ age_s = 1.0, cpu = 20.0, rss = 30000000.0 }]
                attempts = [
                    { age_s = 9.0, passed = true, took_ms = 4 },
                    { age_s = 3.0, passed = true, took_ms = 700 },
                    { age_s = 2.0, passed = true, took_ms = 900 },
                    { age_s = 1.0, passed = true, took_ms = 800 },
                ]
                [host]
                cpus = 2
                memory = 8000000000
                [[close]]
                pid = 4
                waited_percent = 62.0
                [[neighbours]]
                name = "encoder"
                detail = "online"
                well = true
                cpu_percent = 188.0
                rss_bytes = 50000000
            "#,
            says: &["encoder", "cpu", "188", "waits"],
        },
        Example {
            scene: r#"
            probed = true
            probe_failures = 3
            probe_error = "status 503"
            max_memory = 209715200
            samples = [{ age_s = 1.0, rss = 30000000.0 }]
            lines = [
                "low memory: shedding requests",
                "low memory: shedding requests",
            ]
            [[neighbours]]
            name = "etl"
            detail = "online"
            well = true
            rss_bytes = 400000000
            max_memory = 104857600
            over_memory = 1
            over_bytes = 400000000
            over_event = 12
        "#,
            says: &["etl", "memory", "neighbour"],
        },
    ],
};

static SHORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\bmemory\b|\bshed(?:ding)?\b|\boom\b|overload|throttl|starv|\bcpu\b|load average|over budget|backpressure|no resources")
        .expect("a constant")
});

/// A thread that is ready to run and waits so much of the time is kept from its work, in percent.
const WAITS: f64 = 30.0;
/// So much of the time, also where its probe still passes.
const STARVES: f64 = 50.0;

fn look(scene: &Scene) -> Option<Found> {
    let complaint = scene
        .matching(&SHORT)
        .into_iter()
        .rev()
        .find(|line| !line.was_handled());
    let own = scene.rss().unwrap_or(0.0);
    let own_share = scene.max_memory.map_or(0.0, |limit| own / limit as f64);
    let cores = scene.host.cpus.max(1) as f64 * 100.0;
    let noisy = |one: &NeighbourLook| -> f64 {
        let over = one.max_memory.map_or(0.0, |limit| {
            one.rss_bytes.max(one.over_bytes) as f64 / limit.max(1) as f64
        });
        let host = scene.host.memory.max(1) as f64;
        let most = one.rss_bytes as f64 / host;
        let named = complaint.is_some_and(|line| mentions(&line.text, &one.name));
        let mut score: f64 = 0.0;
        if one.over_memory > 0 || over > 1.0 {
            score += 0.6;
        }
        if named {
            score += 0.5;
        }
        if most > 0.4 {
            score += 0.4;
        }
        if one.cpu_percent / cores > 0.6 {
            score += 0.4;
        }
        score
    };
    let worst = scene
        .neighbours
        .iter()
        .filter(|one| !scene.depends_on.contains(&one.name))
        .map(|one| (noisy(one), one))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score >= 0.4)?;
    let (score, one) = worst;
    let cpu = scene.samples.last().map_or(0.0, |sample| sample.cpu);
    let waited = scene.close.iter().map(|look| look.waited_percent);
    let waited = waited.fold(0.0, f64::max);
    let hogs = one.cpu_percent / cores > 0.6 && one.cpu_percent > cpu * 1.5;
    let late = hogs && scene.is_late();
    let kept_waiting = hogs && waited >= WAITS;
    let starved = kept_waiting && waited >= STARVES;
    if complaint.is_none() && scene.is_well() && !late && !starved {
        return None;
    }
    let bytes = one.rss_bytes.max(one.over_bytes) as f64;
    let limit = one.max_memory.map_or_else(String::new, |limit| {
        format!(", over its own limit of {}", megabytes(limit as f64))
    });
    let by_memory = one.over_memory > 0
        || one.max_memory.is_some_and(|limit| bytes > limit as f64)
        || one.cpu_percent < 70.0;
    let by_memory = by_memory && !(late || kept_waiting);
    let what = if by_memory {
        format!(
            "its memory (rss) reached {}{}",
            megabytes(bytes),
            if bytes > one.max_memory.unwrap_or(u64::MAX) as f64 {
                limit
            } else {
                String::new()
            }
        )
    } else {
        format!("it uses {:.0} % of a core (cpu)", one.cpu_percent)
    };
    let mut found = Found::new(format!(
        "`{}` suffers from a noisy neighbour: `{}` takes what it needs, {what}, while `{}` itself uses only {} of memory and {cpu:.0} % of a core.{}",
        scene.name, one.name, scene.name, megabytes(own),
        if kept_waiting {
            format!(" It waits to be let run {waited:.0} % of the time.")
        } else {
            complaint.map_or_else(String::new, |line| format!(" It says `{}`.", line.shown()))
        },
    ))
    .blame(&one.name);
    if let Some(line) = complaint {
        found = found.proof(0.45, line.id.clone(), line.shown());
    }
    let found = found
        .proof_if(
            one.over_memory > 0,
            0.55,
            format!("event:{}", one.over_event.unwrap_or_default()),
            format!(
                "{} passed its memory limit with {}",
                one.name,
                megabytes(one.over_bytes as f64)
            ),
        )
        .proof_if(
            by_memory && one.over_memory == 0 && score >= 0.5,
            0.4,
            format!("metric:{}/rss", one.name),
            format!("{} uses {}", one.name, megabytes(bytes)),
        )
        .proof_if(
            !by_memory && hogs,
            0.5,
            format!("metric:{}/cpu", one.name),
            format!(
                "{} uses {:.0} % of a core, of {} cores",
                one.name, one.cpu_percent, scene.host.cpus
            ),
        )
        .proof_if(
            complaint.is_some_and(|line| mentions(&line.text, &one.name)),
            0.4,
            complaint.map_or_else(String::new, |line| line.id.clone()),
            format!("it names {}", one.name),
        )
        .proof_if(
            kept_waiting,
            0.5,
            scene.fact("threads"),
            format!("ready to run and not let for {waited:.0} % of the time"),
        )
        .proof_if(
            late,
            0.4,
            format!("probe:{}", scene.name),
            "its probe takes far longer than it did",
        )
        .proof_if(
            !scene.probe_error.is_empty(),
            0.15,
            format!("probe:{}", scene.name),
            scene.probe_error.clone(),
        )
        .against(own_share > 0.85, 0.6, "it uses its own memory up itself")
        .against(
            complaint.is_none() && !kept_waiting && !late,
            0.5,
            "it does not complain about it",
        )
        .against(
            complaint.is_some_and(|line| line.age_s > FRESH_S) && scene.is_well(),
            0.5,
            "it has not complained for a while",
        );
    Some(
        found
            .advise(
                "restart",
                format!(
                    "restart or limit `{}`; leave `{}` alone",
                    one.name, scene.name
                ),
            )
            .person(format!(
                "give `{}` a fitting max_memory or its own machine",
                one.name
            )),
    )
}
