//! The world of a case: what is true at one moment, as [`Facts`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Event, EventKind, HealthStatus, ProcessName, Status};

use super::Case;
use crate::facts::{Facts, InstanceFacts, LogHit, ProcessFacts, Sample};
use crate::incident::{Incident, IncidentId, IncidentState, Symptom, SymptomKind};

#[derive(Debug, Deserialize, Clone, Default)]
#[serde(transparent)]
pub(super) struct Ago(#[serde(deserialize_with = "ago")] Duration);

fn ago<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

impl Ago {
    pub(super) fn get(&self) -> Duration {
        self.0
    }
}

#[derive(Debug, Deserialize, Clone)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Process {
    pub(super) name: ProcessName,
    state: Status,
    held: bool,
    retries: bool,
    copies: u16,
    max_copies: u16,
    up: Ago,
    health: HealthStatus,
    failures: u32,
    down: Ago,
    probe_error: Option<String>,
    max_restarts: u32,
    depends_on: Vec<ProcessName>,
    changed: Option<Ago>,
    has_previous: bool,
    config: Value,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            name: api(),
            state: Status::Online,
            held: false,
            retries: false,
            copies: 1,
            max_copies: 4,
            up: Ago(Duration::from_secs(60)),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedEvent {
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedLog {
    #[serde(default = "api")]
    process: ProcessName,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedSample {
    ago: Ago,
    #[serde(default)]
    cpu: f64,
    #[serde(default)]
    rss: u64,
    #[serde(default = "one_thread")]
    threads: u64,
    #[serde(default)]
    zombies: u64,
}

#[derive(Debug, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Holder {
    port: u16,
    pid: i32,
    command: String,
}

fn one_thread() -> u64 {
    1
}

fn one() -> u32 {
    1
}

fn api() -> ProcessName {
    "api".parse().expect("a constant name")
}

/// The world of a case.
pub(super) struct World {
    now: Timestamp,
    processes: Vec<(ProcessFacts, u16)>,
    events: Vec<Event>,
    logs: Vec<(ProcessName, LogHit)>,
    samples: Vec<Sample>,
    attempts: Option<(u64, u64)>,
    holder: Option<Holder>,
    source: BTreeMap<String, String>,
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a constant time")
}

pub(super) fn before(ago: Duration) -> Timestamp {
    now() - SignedDuration::try_from(ago).unwrap_or(SignedDuration::ZERO)
}

fn process(scripted: &Process) -> (ProcessFacts, u16) {
    let name = scripted.name.clone();
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
        retries: scripted.retries,
        wanted: true,
        desired: scripted.copies,
        instances,
        restarts: 0,
        tags: Vec::new(),
        autonomy: None,
        max_memory: None,
        max_restarts: scripted.max_restarts,
        configured_instances: scripted.copies,
        depends_on: scripted.depends_on.clone(),
        changed_at: scripted.changed.as_ref().map(|ago| before(ago.get())),
        has_previous: scripted.has_previous,
        config: scripted.config.clone(),
    };
    (facts, scripted.max_copies)
}

impl World {
    pub(super) fn of(case: &Case) -> World {
        let mut events = Vec::new();
        for scripted in &case.event {
            for time in 0..scripted.times {
                events.push(Event {
                    id: 0,
                    at: before(scripted.ago.get() + scripted.every.get() * time),
                    process: case.process.name.clone(),
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
                    scripted.process.clone(),
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
                threads: sample.threads,
                processes: 1,
                zombies: sample.zombies,
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
        let Ok(regex) = Regex::new(pattern) else {
            return Vec::new();
        };
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

    fn machine(&self) -> crate::facts::HostFacts {
        crate::facts::HostFacts {
            cpus: 2,
            ..crate::facts::HostFacts::default()
        }
    }

    fn kernel(&self) -> Option<String> {
        Some("6.8.0".to_owned())
    }

    fn max_instances(&self, name: &ProcessName) -> u16 {
        let mut all = self.processes.iter();
        all.find(|(facts, _)| facts.name == *name)
            .map_or(1, |(_, most)| *most)
    }
}

/// Tells the world of another process.
pub(super) fn rename(case: &mut Case, name: &ProcessName) {
    let former = std::mem::replace(&mut case.process.name, name.clone());
    for line in &mut case.log {
        if line.process == former {
            line.process = name.clone();
        }
    }
    for other in &mut case.other {
        for on in &mut other.depends_on {
            if *on == former {
                *on = name.clone();
            }
        }
    }
}

pub(super) fn incident(case: &Case, world: &World) -> Result<Incident, String> {
    let kind = case.on;
    let event = world
        .events
        .iter()
        .rev()
        .find(|event| event.kind.to_string() == kind.as_str());
    if event.is_none() && !matches!(kind, SymptomKind::Tick | SymptomKind::Score) {
        return Err(format!("there is no {} event in the case", kind.as_str()));
    }
    Ok(Incident {
        id: IncidentId(1),
        process: case.process.name.clone(),
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
        cause: None,
    })
}
