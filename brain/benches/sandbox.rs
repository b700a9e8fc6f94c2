//! What it costs to ask playbooks: `cargo bench -p brain --bench sandbox`.
//!
//! Printed are the time of a new engine with all its limits, of reading the built-in playbooks,
//! and of asking all of them about a process that crashes again and again, and about one that
//! nobody knows an answer to: in this process, and in one of their own, as the daemon does.
//! Give another number of rounds as the argument.

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::disallowed_macros, reason = "it prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use brain::helper::{self, Helpers};
use brain::scenario::Case;
use brain::{
    DiagnoseContext, Incident, IncidentId, IncidentState, Playbooks, Symptom, SymptomKind,
    diagnose, sandbox,
};
use supervisor::Clock;

const CRASHES: &str = r#"
name = "crashes"
on = "crash"
process = { state = "errored", max_restarts = 0 }
event = [{ kind = "crash", ago = "100ms", times = 5, every = "1s", data = { code = 1 } }]
"#;

const ONCE: &str = r#"
name = "once"
on = "crash"
process = { state = "online" }
event = [{ kind = "crash", ago = "100ms", data = { code = 3 } }]
"#;

fn incident() -> Result<Incident, Box<dyn Error>> {
    let now = jiff::Timestamp::from_second(1_790_000_000)?;
    Ok(Incident {
        id: IncidentId(1),
        process: "api".parse()?,
        opened: now,
        closed: None,
        state: IncidentState::Open,
        symptoms: vec![Symptom {
            kind: SymptomKind::Crash,
            at: now,
            instance: Some(0),
            event: None,
            data: serde_json::json!({"code": 1}),
        }],
        fingerprint: None,
        title: String::new(),
        cause: None,
    })
}

/// Prints median and 95th percentile of so many rounds.
fn measure(what: &str, rounds: usize, mut round: impl FnMut()) {
    round();
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "{what}: median {:.2?}, p95 {:.2?} (N={rounds})",
        times[rounds / 2],
        times[(rounds * 95 / 100).min(rounds - 1)],
    );
}

/// The role of the process that playbooks have of their own.
const ROLE: &str = "role-playbooks";

/// KiB that are a process's own, of what it shares its share.
fn pss(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(ROLE) {
        std::process::exit(helper::run().into());
    }
    let asked = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let rounds: usize = asked.unwrap_or(200).max(1);
    measure("a new engine", rounds, || drop(sandbox::engine()));
    measure(
        "the built-in playbooks are read",
        rounds.div_ceil(10),
        || {
            drop(Playbooks::load(None, BTreeMap::new()));
        },
    );
    let load_apart = || {
        let helpers = Helpers::new(&[ROLE], Clock::system());
        (
            Playbooks::load_apart(helpers.clone(), None, BTreeMap::new()),
            helpers,
        )
    };
    measure(
        "the same, in a process of their own, with its start",
        rounds.div_ceil(10),
        || drop(load_apart()),
    );
    let ctx = DiagnoseContext::default();
    let incident = incident()?;
    let (apart, helpers) = load_apart();
    let here = Playbooks::load(None, BTreeMap::new());
    let both = [(&here, "here"), (&apart, "apart")];
    for (text, (playbooks, place)) in [CRASHES, ONCE]
        .into_iter()
        .flat_map(|text| both.map(|one| (text, one)))
    {
        let case: Case = toml::from_str(text)?;
        let facts = case.facts();
        let found = diagnose(&incident, &facts, playbooks, &ctx);
        let answer = found.proposal.map_or_else(
            || "nobody answers".to_owned(),
            |proposal| format!("{} answers", proposal.playbook),
        );
        measure(&format!("all are asked {place}, {answer}"), rounds, || {
            drop(diagnose(&incident, &facts, playbooks, &ctx));
        });
    }
    for pid in helpers.pids() {
        println!("the process of their own: {:?} KiB", pss(pid));
    }
    Ok(())
}
