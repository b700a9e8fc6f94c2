//! Runs `playbooks/scenarios/*.toml`, and what holds for all playbooks together.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use brain::scenario::{Case, Scenario};
use brain::{
    Asked, DiagnoseContext, Facts, Format, LogHit, PlaybookId, PlaybookState, Playbooks,
    ProcessFacts, Sample, Symptom, SymptomKind, look, replay,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use supervisor::{Event, EventKind, ProcessName};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn before(ago: Duration) -> Timestamp {
    now() - SignedDuration::try_from(ago).unwrap()
}

/// Every scenario holds, and has a case that acts and a case that must not. One that is off
/// until a person enables it is asked alone.
#[test]
fn all_scenarios_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks");
    let all = Playbooks::load(None, BTreeMap::new());
    let list = all.list();
    let mut failures = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(root.join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let scenario = Scenario::parse(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.playbook, file);
        assert!(scenario.is_whole(), "{file} needs both kinds of cases");
        let off = list
            .iter()
            .any(|info| info.name == file && info.state == PlaybookState::Disabled);
        let told = if off {
            let text = fs::read_to_string(root.join(format!("{file}.toml"))).unwrap();
            scenario.run(&Playbooks::only(file, Format::Toml, &text))
        } else {
            scenario.run(&all)
        };
        for case in told {
            if let Some(wrong) = case.wrong {
                failures.push(format!("{file}: {}: {wrong}", case.name));
            }
        }
        files += 1;
    }
    assert!(
        failures.is_empty(),
        "{} fail: {failures:#?}",
        failures.len()
    );
    assert!(files > 10);
}

/// A question that was not asked then makes a replay diverge; it does not make it wrong.
#[test]
fn a_replay_that_asks_something_new_diverges() {
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let symptoms = [Symptom {
        kind: SymptomKind::Crash,
        at: now(),
        instance: None,
        event: None,
        data: Value::Null,
    }];
    let found = replay(
        &"api".parse().unwrap(),
        &symptoms,
        brain::Recording::new(now()),
        &playbooks,
        &DiagnoseContext::default(),
    );
    assert_eq!(found.diverged.as_deref(), Some("deaths"));
    assert_eq!(found.proposal, None);
}

fn storm() -> (Arc<dyn Facts>, ProcessName) {
    let case: Case = toml::from_str(
        r#"
        name = "storm"
        on = "tick"
        log = [{ text = "TypeError: x", ago = "100ms", times = 30, every = "150ms" }]
        "#,
    )
    .unwrap();
    (case.facts(), "api".parse().unwrap())
}

/// A world in which a process crashes once more whenever somebody looks.
struct Crashing {
    facts: Arc<dyn Facts>,
    crashes: AtomicI64,
}

impl Facts for Crashing {
    fn now(&self) -> Timestamp {
        self.facts.now()
    }

    fn process(&self, name: &ProcessName) -> Option<ProcessFacts> {
        self.facts.process(name)
    }

    fn processes(&self) -> Vec<ProcessName> {
        self.facts.processes()
    }

    fn events(&self, name: &ProcessName, kind: Option<EventKind>, _: Duration) -> Vec<Event> {
        if kind.is_some_and(|kind| kind != EventKind::Crash) {
            return Vec::new();
        }
        let event = |id| Event {
            id,
            at: before(Duration::from_secs(1)),
            process: name.clone(),
            instance: Some(0),
            kind: EventKind::Crash,
            data: serde_json::json!({ "code": 7, "uptime_ms": 3 }),
            actor: "system".into(),
        };
        (1..=self.crashes.fetch_add(1, Ordering::Relaxed))
            .map(event)
            .collect()
    }

    fn samples(&self, name: &ProcessName, window: Duration) -> Vec<Sample> {
        self.facts.samples(name, window)
    }

    fn log_lines(&self, name: &ProcessName, text: &str, w: Duration, most: usize) -> Vec<LogHit> {
        self.facts.log_lines(name, text, w, most)
    }

    fn log_count(&self, name: &ProcessName, text: &str, window: Duration) -> u64 {
        self.facts.log_count(name, text, window)
    }

    fn log_bytes(&self, name: &ProcessName, window: Duration) -> u64 {
        self.facts.log_bytes(name, window)
    }

    fn port_holder(&self, port: u16) -> Option<(i32, String)> {
        self.facts.port_holder(port)
    }
}

/// On a busy machine a process may die again between two questions: all answers of one look are
/// about the same deaths.
#[test]
fn what_happens_during_a_look_is_of_the_next() {
    let home = tempfile::tempdir().unwrap();
    let script = r#"
        const META = #{ name: "twice", version: 1, description: "x", on: ["tick"], priority: 99, confidence: 0.99 };
        fn matches(c) {
            let crashes = c.crashes("5m");
            crashes > 2 && c.crashes("6m") == crashes && c.same_death(crashes) && !c.same_death(crashes + 1)
        }
        fn plan(c) { [ escalate("the same") ] }
    "#;
    fs::write(home.path().join("twice.rhai"), script).unwrap();
    let playbooks = Playbooks::load(Some(home.path().to_owned()), BTreeMap::new());
    let (facts, api) = storm();
    let facts: Arc<dyn Facts> = Arc::new(Crashing {
        facts,
        crashes: AtomicI64::new(3),
    });
    let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
    let winner = found.proposal.map(|proposal| proposal.playbook);
    assert_eq!(winner, Some(PlaybookId("twice".into())));
}

/// A playbook that ran not long ago is passed over, and the trail says so.
#[test]
fn a_playbook_rests_after_a_run() {
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let (facts, api) = storm();
    let run = |ago, last_hour| DiagnoseContext {
        autonomous: false,
        without: Vec::new(),
        runs: vec![brain::PlaybookRun {
            playbook: PlaybookId("error-storm".into()),
            last: before(Duration::from_secs(ago)),
            last_hour,
        }],
    };
    let winner = |ctx: &DiagnoseContext| {
        let found = look(&api, &facts, &playbooks, ctx);
        let asked = found
            .trail
            .into_iter()
            .find(|entry| entry.playbook.0 == "error-storm")
            .map(|entry| entry.asked);
        (found.proposal.is_some(), asked.unwrap())
    };
    let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
    assert_eq!(found.fingerprint.unwrap().readable, "tick · TypeError: x");
    assert_eq!(winner(&DiagnoseContext::default()), (true, Asked::Won));
    let (won, asked) = winner(&run(60, 1));
    assert!(!won && matches!(asked, Asked::Resting { .. }), "{asked:?}");
    assert_eq!(winner(&run(1200, 2)), (false, Asked::Spent { runs: 2 }));
    assert_eq!(winner(&run(1200, 1)), (true, Asked::Won));
}

/// A playbook that fails three times is off until its file changes; the others go on.
#[test]
fn a_playbook_that_fails_is_turned_off() {
    let home = tempfile::tempdir().unwrap();
    for (name, body) in [
        ("typo", "c.nothing"),
        ("bomb", "loop { }"),
        ("odd", "\"yes\""),
        ("wild", "true"),
    ] {
        let text = format!(
            "const META = #{{ name: \"{name}\", version: 1, description: \"x\", on: [\"tick\"] }};\n\
             fn matches(c) {{ {body} }}\nfn plan(c) {{ [ #{{ action: \"exec\" }} ] }}"
        );
        fs::write(home.path().join(format!("{name}.rhai")), text).unwrap();
    }
    let playbooks = Playbooks::load(Some(home.path().to_owned()), BTreeMap::new());
    let (facts, api) = storm();
    for round in 0..3 {
        let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
        let failed = found.trail.iter();
        let failed = failed.filter(|entry| matches!(entry.asked, Asked::Failed { .. }));
        // What runs into a limit is off at once.
        assert_eq!(failed.count(), if round == 0 { 4 } else { 3 });
        assert_eq!(found.proposal.unwrap().playbook.0, "error-storm");
    }
    let list = playbooks.list();
    for (name, said) in [
        ("typo", "no field `nothing`"),
        ("bomb", "200 ms"),
        ("odd", "matches(c) returned string"),
        ("wild", "no action constructor made"),
    ] {
        let info = list.iter().find(|info| info.name == name).unwrap();
        let text = format!("{:?}", info.state);
        let operations = name == "bomb" && text.contains("Too many operations");
        assert!(text.contains(said) || operations, "{text}");
        assert!(text.contains("off until its file changes"), "{text}");
    }
    let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
    assert!(found.trail.iter().all(|entry| entry.playbook.0 != "typo"));
}
