//! Runs `playbooks/scenarios/*.toml`: small worlds in which a playbook must act or must not.
//!
//! A case lists what is true at one moment; times are given as how long ago. All built-in
//! playbooks are asked, so a case also says who wins. Each case is replayed from its
//! recording: the answer must be the same without the world.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brain::{
    Asked, DiagnoseContext, Facts, Incident, IncidentId, IncidentState, InstanceFacts, LogHit,
    PlaybookId, Playbooks, ProcessFacts, Sample, Symptom, SymptomKind, Verdict, diagnose, look,
    replay, verify,
};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Event, EventKind, HealthStatus, ProcessName, Status};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    playbook: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The sign: an event name, or `tick`.
    on: SymptomKind,
    /// The actions of the playbook; empty: it must not win.
    #[serde(default)]
    actions: Vec<String>,
    /// What the cause must match.
    #[serde(default)]
    cause: Vec<String>,
    /// What the cause must not match.
    #[serde(default)]
    cause_not: Vec<String>,
    /// What one piece of evidence must match.
    #[serde(default)]
    evidence: Vec<String>,
    /// Measure instead of diagnosing: what `verify` must say.
    verdict: Option<String>,
    /// How long ago the plan was carried out.
    #[serde(default)]
    acted: Ago,
    #[serde(default)]
    process: Process,
    #[serde(default)]
    other: Vec<Process>,
    #[serde(default)]
    event: Vec<ScriptedEvent>,
    #[serde(default)]
    log: Vec<ScriptedLog>,
    #[serde(default)]
    sample: Vec<ScriptedSample>,
    /// Probe attempts: passed, of how many.
    attempts: Option<(u64, u64)>,
    holder: Option<Holder>,
    #[serde(default)]
    source: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(transparent)]
struct Ago(String);

impl Ago {
    fn get(&self) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        humantime::parse_duration(&self.0).expect("a duration")
    }
}

#[derive(Deserialize, Clone)]
#[serde(default, deny_unknown_fields)]
struct Process {
    name: String,
    state: Status,
    held: bool,
    copies: u16,
    max_copies: u16,
    up: Ago,
    health: HealthStatus,
    failures: u32,
    down: Ago,
    probe_error: Option<String>,
    max_restarts: u32,
    depends_on: Vec<String>,
    changed: Option<Ago>,
    has_previous: bool,
    config: Value,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            name: "api".into(),
            state: Status::Online,
            held: false,
            copies: 1,
            max_copies: 4,
            up: Ago("1m".into()),
            health: HealthStatus::Pass,
            failures: 0,
            down: Ago::default(),
            probe_error: None,
            max_restarts: 10,
            depends_on: Vec::new(),
            changed: None,
            has_previous: false,
            config: json!({}),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedEvent {
    kind: EventKind,
    #[serde(default)]
    ago: Ago,
    #[serde(default = "one")]
    times: u32,
    #[serde(default)]
    every: Ago,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedLog {
    #[serde(default = "api")]
    process: String,
    text: String,
    #[serde(default)]
    ago: Ago,
    #[serde(default = "one")]
    times: u32,
    #[serde(default)]
    every: Ago,
    /// Put in place of `{n}`, and raised by `step` from the oldest line to the newest.
    #[serde(default)]
    from: i64,
    #[serde(default)]
    step: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedSample {
    ago: Ago,
    #[serde(default)]
    cpu: f64,
    #[serde(default)]
    rss: u64,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Holder {
    port: u16,
    pid: i32,
    command: String,
}

fn one() -> u32 {
    1
}

fn api() -> String {
    "api".into()
}

/// The world of a case.
struct World {
    now: Timestamp,
    processes: Vec<(ProcessFacts, u16)>,
    events: Vec<Event>,
    logs: Vec<(ProcessName, LogHit)>,
    samples: Vec<Sample>,
    attempts: Option<(u64, u64)>,
    holder: Option<Holder>,
    source: BTreeMap<String, String>,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn before(ago: Duration) -> Timestamp {
    now() - SignedDuration::try_from(ago).unwrap()
}

fn process(scripted: &Process) -> (ProcessFacts, u16) {
    let name: ProcessName = scripted.name.parse().unwrap();
    let alive = matches!(scripted.state, Status::Online | Status::Starting);
    let instances = (0..scripted.copies)
        .map(|index| InstanceFacts {
            index,
            pid: alive.then_some(4000 + i32::from(index)),
            alive,
            state: scripted.state,
            rss_bytes: Some(50 << 20),
            cpu_percent: Some(1.0),
            uptime_ms: alive.then_some(scripted.up.get().as_millis() as u64),
            health: scripted.health,
            probe_failures: scripted.failures,
            probe_down_ms: (scripted.failures > 0)
                .then_some(scripted.down.get().as_millis() as u64),
            probe_error: scripted.probe_error.clone(),
            generation: 1,
        })
        .collect();
    let facts = ProcessFacts {
        name,
        state: scripted.state,
        detail: scripted.state.as_str().to_owned(),
        held: scripted.held,
        wanted: true,
        desired: scripted.copies,
        instances,
        restarts: 0,
        tags: Vec::new(),
        autonomy: None,
        max_memory: None,
        max_restarts: scripted.max_restarts,
        configured_instances: scripted.copies,
        depends_on: scripted
            .depends_on
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        changed_at: scripted.changed.as_ref().map(|ago| before(ago.get())),
        has_previous: scripted.has_previous,
        config: scripted.config.clone(),
    };
    (facts, scripted.max_copies)
}

impl World {
    fn of(case: &Case) -> World {
        let mut events = Vec::new();
        for scripted in &case.event {
            for time in 0..scripted.times {
                events.push(Event {
                    id: 0,
                    at: before(scripted.ago.get() + scripted.every.get() * time),
                    process: case.process.name.parse().unwrap(),
                    instance: Some(0),
                    kind: scripted.kind,
                    data: scripted.data.clone(),
                    actor: "system".into(),
                });
            }
        }
        events.sort_by_key(|event| event.at);
        for (index, event) in events.iter_mut().enumerate() {
            event.id = 100 + index as i64;
        }
        let mut logs = Vec::new();
        for scripted in &case.log {
            for time in 0..scripted.times {
                let number = scripted.from + scripted.step * i64::from(scripted.times - 1 - time);
                logs.push((
                    scripted.process.parse().unwrap(),
                    LogHit {
                        id: String::new(),
                        at: before(scripted.ago.get() + scripted.every.get() * time),
                        text: scripted.text.replace("{n}", &number.to_string()),
                    },
                ));
            }
        }
        logs.sort_by_key(|(_, line): &(ProcessName, LogHit)| line.at);
        for (index, (_, line)) in logs.iter_mut().enumerate() {
            line.id = format!("{index}");
        }
        let mut samples: Vec<Sample> = case
            .sample
            .iter()
            .map(|sample| Sample {
                at: before(sample.ago.get()),
                instance: 0,
                cpu_percent: sample.cpu,
                rss_bytes: sample.rss,
                fds: 10,
                threads: 1,
            })
            .collect();
        samples.sort_by_key(|sample| sample.at);
        World {
            now: now(),
            processes: std::iter::once(&case.process)
                .chain(&case.other)
                .map(process)
                .collect(),
            events,
            logs,
            samples,
            attempts: case.attempts,
            holder: case.holder.clone(),
            source: case.source.clone(),
        }
    }

    fn lines(&self, name: &ProcessName, window: Duration) -> impl Iterator<Item = &LogHit> {
        let from = before(window);
        self.logs
            .iter()
            .filter(move |(of, line)| of == name && line.at >= from)
            .map(|(_, line)| line)
    }
}

impl Facts for World {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn process(&self, name: &ProcessName) -> Option<ProcessFacts> {
        let mut all = self.processes.iter();
        all.find(|(facts, _)| facts.name == *name)
            .map(|(facts, _)| facts.clone())
    }

    fn processes(&self) -> Vec<ProcessName> {
        self.processes
            .iter()
            .map(|(facts, _)| facts.name.clone())
            .collect()
    }

    fn events(&self, name: &ProcessName, kind: Option<EventKind>, window: Duration) -> Vec<Event> {
        let from = before(window);
        self.events
            .iter()
            .filter(|event| event.process == *name && event.at >= from)
            .filter(|event| kind.is_none_or(|kind| event.kind == kind))
            .cloned()
            .collect()
    }

    fn samples(&self, _: &ProcessName, window: Duration) -> Vec<Sample> {
        let from = before(window);
        let all = self.samples.iter();
        all.filter(|sample| sample.at >= from).copied().collect()
    }

    fn log_lines(
        &self,
        name: &ProcessName,
        pattern: &str,
        window: Duration,
        limit: usize,
    ) -> Vec<LogHit> {
        let regex = Regex::new(pattern).unwrap();
        let found: Vec<LogHit> = self
            .lines(name, window)
            .filter(|line| regex.is_match(&line.text))
            .cloned()
            .collect();
        found[found.len().saturating_sub(limit)..].to_vec()
    }

    fn log_count(&self, name: &ProcessName, pattern: &str, window: Duration) -> u64 {
        self.log_lines(name, pattern, window, 100_000).len() as u64
    }

    fn log_bytes(&self, name: &ProcessName, window: Duration) -> u64 {
        self.lines(name, window)
            .map(|line| line.text.len() as u64 + 1)
            .sum()
    }

    fn port_holder(&self, port: u16) -> Option<(i32, String)> {
        let holder = self.holder.as_ref().filter(|it| it.port == port)?;
        Some((holder.pid, holder.command.clone()))
    }

    fn probe_attempts(&self, _: &ProcessName, _: Duration) -> Option<(u64, u64)> {
        self.attempts
    }

    fn source_line(&self, _: &ProcessName, file: &str, line: u32) -> Option<String> {
        self.source.get(&format!("{file}:{line}")).cloned()
    }

    fn max_instances(&self, name: &ProcessName) -> u16 {
        let mut all = self.processes.iter();
        all.find(|(facts, _)| facts.name == *name)
            .map_or(1, |(_, most)| *most)
    }
}

fn incident(case: &Case, world: &World) -> Incident {
    let kind = case.on;
    let event = world
        .events
        .iter()
        .rev()
        .find(|event| event.kind.to_string() == kind.as_str());
    assert!(
        event.is_some() || kind == SymptomKind::Tick,
        "{}: there is no {} event",
        case.name,
        kind.as_str()
    );
    Incident {
        id: IncidentId(1),
        process: case.process.name.parse().unwrap(),
        opened: now(),
        closed: None,
        state: IncidentState::Open,
        symptoms: vec![Symptom {
            kind,
            at: event.map_or(now(), |event| event.at),
            instance: Some(0),
            event: event.map(|event| event.id),
            data: event.map_or(Value::Null, |event| event.data.clone()),
        }],
        fingerprint: None,
        title: String::new(),
    }
}

fn check(playbook: &str, case: &Case, playbooks: &Playbooks) {
    let label = format!("{playbook}: {}", case.name);
    let world = World::of(case);
    let incident = incident(case, &world);
    let facts: Arc<dyn Facts> = Arc::new(world);
    if let Some(expected) = &case.verdict {
        let verdict = verify(
            &PlaybookId(playbook.to_owned()),
            &incident,
            before(case.acted.get()),
            &facts,
            playbooks,
        );
        let expected: Verdict = serde_json::from_value(json!(expected)).unwrap();
        assert_eq!(verdict, Ok(expected), "{label}");
        return;
    }
    let ctx = DiagnoseContext::default();
    let found = match case.on {
        SymptomKind::Tick => look(&incident.process, &facts, playbooks, &ctx),
        _ => diagnose(&incident, &facts, playbooks, &ctx),
    };
    for entry in &found.trail {
        assert!(
            !matches!(entry.asked, Asked::Failed { .. }),
            "{label}: {entry:?}"
        );
    }
    let winner = found.proposal.as_ref().map(|it| it.playbook.0.as_str());
    if case.actions.is_empty() {
        assert_ne!(winner, Some(playbook), "{label}: {:?}", found.proposal);
    } else {
        assert_eq!(winner, Some(playbook), "{label}: {:?}", found.trail);
        let proposal = found.proposal.as_ref().unwrap();
        let names: Vec<&str> = proposal
            .plan
            .steps
            .iter()
            .map(|step| step.action.name())
            .collect();
        assert_eq!(names, case.actions, "{label}");
        assert!(proposal.cause.contains(&case.process.name), "{label}");
        assert!(!proposal.evidence.is_empty(), "{label}");
        for wanted in &case.cause {
            let regex = Regex::new(&format!("(?i){wanted}")).unwrap();
            assert!(
                regex.is_match(&proposal.cause),
                "{label}: {wanted} is not in: {}",
                proposal.cause
            );
        }
        for unwanted in &case.cause_not {
            let regex = Regex::new(&format!("(?i){unwanted}")).unwrap();
            assert!(
                !regex.is_match(&proposal.cause),
                "{label}: {unwanted} is in: {}",
                proposal.cause
            );
        }
        for wanted in &case.evidence {
            let regex = Regex::new(&format!("(?i){wanted}")).unwrap();
            assert!(
                proposal.evidence.iter().any(|it| regex.is_match(&it.text)),
                "{label}: {wanted} is not in {:?}",
                proposal.evidence
            );
        }
    }
    let symptoms = match case.on {
        SymptomKind::Tick => Incident::look(incident.process.clone(), now()).symptoms,
        _ => incident.symptoms.clone(),
    };
    let again = replay(
        &incident.process,
        &symptoms,
        found.recording.clone(),
        playbooks,
        &ctx,
    );
    assert_eq!(again.diverged, None, "{label}");
    assert_eq!(again.proposal, found.proposal, "{label}: replay");
}

/// Every scenario holds, and has a case that acts and a case that must not.
#[test]
fn all_scenarios_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/scenarios");
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let mut failures = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let scenario: Scenario =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.playbook, file);
        let (acts, rests): (Vec<_>, Vec<_>) = scenario
            .case
            .iter()
            .filter(|case| case.verdict.is_none())
            .partition(|case| !case.actions.is_empty());
        assert!(
            !acts.is_empty() && !rests.is_empty(),
            "{file} needs both kinds of cases"
        );
        for case in &scenario.case {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                check(&scenario.playbook, case, &playbooks);
            }));
            if run.is_err() {
                failures.push(format!("{file}: {}", case.name));
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
    (Arc::new(World::of(&case)), "api".parse().unwrap())
}

/// A playbook that ran not long ago is passed over, and the trail says so.
#[test]
fn a_playbook_rests_after_a_run() {
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let (facts, api) = storm();
    let run = |ago, last_hour| DiagnoseContext {
        autonomous: false,
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
    for _ in 0..3 {
        let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
        let failed = found.trail.iter();
        let failed = failed.filter(|entry| matches!(entry.asked, Asked::Failed { .. }));
        assert_eq!(failed.count(), 4);
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
        assert!(text.contains("off after 3 errors"), "{text}");
    }
    let found = look(&api, &facts, &playbooks, &DiagnoseContext::default());
    assert!(found.trail.iter().all(|entry| entry.playbook.0 != "typo"));
}
