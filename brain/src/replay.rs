//! What could be seen of a process at one moment, and asking it later.
//!
//! ```text
//!   incident ──Snapshot::take──► events, samples, lines, probes, neighbours ──► history.db
//!   new playbook ──question──► kept answer? ── no ──► SeenThen: answered from the snapshot
//!                                                       └── not covered: "diverged"
//! ```
//!
//! Bounded: a snapshot has at most a few ten KiB. A question beyond what it covers has no
//! answer rather than a wrong one.

mod backtest;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde::{Deserialize, Serialize};
use supervisor::{Event, EventKind, ProcessName, until};

pub use backtest::{Answered, Moment, Tried, backtest};

use crate::facts::{Facts, HostFacts, LogHit, ProbeResult, ProcessFacts, Sample};

/// How far back events are kept with a snapshot.
const EVENTS: Duration = Duration::from_secs(24 * 3600);
/// Newest events that keep a program's last words.
const WORDY: usize = 8;
/// How far back samples are kept: the memory part of the score wants half an hour.
const SAMPLES: Duration = Duration::from_secs(1800);
/// Samples of that time that are kept.
const SAMPLE_COUNT: usize = 240;
/// How far back lines are kept.
const LINES: Duration = Duration::from_secs(600);
/// Lines of that time that are kept, the newest.
const LINE_COUNT: usize = 240;
/// Longest line that is kept, in characters.
const LINE: usize = 300;
/// Probe tries that are kept.
const PROBES: usize = 40;
/// Neighbours that are kept.
const NEIGHBOURS: usize = 12;

/// What could be seen of a process at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    at: Timestamp,
    process: ProcessFacts,
    neighbours: Vec<ProcessFacts>,
    dependents: Vec<ProcessName>,
    events: Vec<Event>,
    samples: Vec<Sample>,
    lines: Vec<LogHit>,
    /// From when on all lines are there.
    lines_from: Timestamp,
    log_bytes: u64,
    probes: Vec<ProbeResult>,
    host: HostFacts,
    max_instances: u16,
}

impl Snapshot {
    /// Looks at a process. Blocking; none if it does not exist.
    pub fn take(facts: &dyn Facts, name: &ProcessName) -> Option<Snapshot> {
        let process = facts.process(name)?;
        let at = facts.now();
        let dependents = facts.dependents(name);
        let mut neighbours: Vec<ProcessFacts> = Vec::new();
        let mut todo: Vec<ProcessName> = process.depends_on.clone();
        todo.extend(dependents.iter().cloned());
        while let Some(next) = todo.pop() {
            let known = next == *name || neighbours.iter().any(|one| one.name == next);
            if known || neighbours.len() >= NEIGHBOURS {
                continue;
            }
            if let Some(found) = facts.process(&next) {
                todo.extend(found.depends_on.iter().cloned());
                neighbours.push(found);
            }
        }
        let mut lines = facts.log_lines(name, ".", LINES, LINE_COUNT);
        let cut = lines.len() >= LINE_COUNT;
        for line in &mut lines {
            if line.text.len() > LINE {
                line.text = line.text.chars().take(LINE).collect();
            }
        }
        let lines_from = match lines.first() {
            Some(first) if cut => first.at,
            _ => before(at, LINES),
        };
        Some(Snapshot {
            at,
            neighbours,
            dependents,
            events: events(facts, name),
            samples: thinned(facts.samples(name, SAMPLES)),
            lines,
            lines_from,
            log_bytes: facts.log_bytes(name, Duration::from_secs(60)),
            probes: facts.probe_results(name, PROBES),
            host: facts.machine(),
            max_instances: facts.max_instances(name),
            process,
        })
    }
}

/// All kinds, and those that are counted over long times by themselves, so that many of one
/// kind do not hide the others.
fn events(facts: &dyn Facts, name: &ProcessName) -> Vec<Event> {
    let mut all = facts.events(name, None, EVENTS);
    for kind in [
        EventKind::Crash,
        EventKind::Restart,
        EventKind::MemoryExceeded,
        EventKind::HealthFail,
    ] {
        all.extend(facts.events(name, Some(kind), EVENTS));
    }
    all.sort_by_key(|event| event.id);
    all.dedup_by_key(|event| event.id);
    // Last words are most of a crash's size, and only the newest are asked about.
    let old = all.len().saturating_sub(WORDY);
    for event in &mut all[..old] {
        if let Some(data) = event.data.as_object_mut() {
            data.remove("last_lines");
        }
    }
    all
}

/// Every so many of too many samples; the newest always.
fn thinned(samples: Vec<Sample>) -> Vec<Sample> {
    let step = samples.len().div_ceil(SAMPLE_COUNT).max(1);
    let last = samples.len().saturating_sub(1);
    samples
        .into_iter()
        .enumerate()
        .filter(|(index, _)| (last - index).is_multiple_of(step))
        .map(|(_, sample)| sample)
        .collect()
}

fn before(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.checked_sub(time).unwrap_or(Timestamp::MIN)
}

/// A snapshot that answers as the world did.
pub(crate) struct SeenThen {
    snapshot: Snapshot,
    missed: Mutex<bool>,
}

impl SeenThen {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            missed: Mutex::new(false),
        }
    }

    /// The answer, if all that it rests on was seen then.
    pub(crate) fn ask<T>(&self, answer: impl FnOnce(&dyn Facts) -> T) -> Option<T> {
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = false;
        let found = answer(self);
        let missed = *self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        (!missed).then_some(found)
    }

    fn miss(&self) {
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn is_mine(&self, name: &ProcessName) -> bool {
        let mine = self.snapshot.process.name == *name;
        if !mine {
            self.miss();
        }
        mine
    }

    fn within(&self, at: Timestamp, window: Duration) -> bool {
        until(at, self.snapshot.at) <= window
    }
}

impl Facts for SeenThen {
    fn now(&self) -> Timestamp {
        self.snapshot.at
    }

    fn process(&self, name: &ProcessName) -> Option<ProcessFacts> {
        let mut all = std::iter::once(&self.snapshot.process).chain(&self.snapshot.neighbours);
        let found = all.find(|one| one.name == *name).cloned();
        if found.is_none() {
            self.miss();
        }
        found
    }

    fn processes(&self) -> Vec<ProcessName> {
        std::iter::once(&self.snapshot.process)
            .chain(&self.snapshot.neighbours)
            .map(|one| one.name.clone())
            .collect()
    }

    fn events(&self, name: &ProcessName, kind: Option<EventKind>, window: Duration) -> Vec<Event> {
        if !self.is_mine(name) {
            return Vec::new();
        }
        self.snapshot
            .events
            .iter()
            .filter(|event| kind.is_none_or(|kind| event.kind == kind))
            .filter(|event| self.within(event.at, window))
            .cloned()
            .collect()
    }

    fn samples(&self, name: &ProcessName, window: Duration) -> Vec<Sample> {
        if !self.is_mine(name) {
            return Vec::new();
        }
        let all = self.snapshot.samples.iter();
        all.filter(|sample| self.within(sample.at, window))
            .copied()
            .collect()
    }

    fn log_lines(
        &self,
        name: &ProcessName,
        pattern: &str,
        window: Duration,
        limit: usize,
    ) -> Vec<LogHit> {
        if !self.is_mine(name) {
            // What others said was not kept.
            return Vec::new();
        }
        let Ok(regex) = Regex::new(pattern) else {
            return Vec::new();
        };
        let found: Vec<LogHit> = self
            .snapshot
            .lines
            .iter()
            .filter(|line| self.within(line.at, window) && regex.is_match(&line.text))
            .cloned()
            .collect();
        if found.len() < limit && before(self.snapshot.at, window) < self.snapshot.lines_from {
            self.miss();
        }
        found[found.len().saturating_sub(limit)..].to_vec()
    }

    fn log_count(&self, name: &ProcessName, pattern: &str, window: Duration) -> u64 {
        self.log_lines(name, pattern, window, usize::MAX).len() as u64
    }

    fn log_bytes(&self, name: &ProcessName, window: Duration) -> u64 {
        if !self.is_mine(name) {
            return 0;
        }
        if window == Duration::from_secs(60) {
            return self.snapshot.log_bytes;
        }
        let lines = self.log_lines(name, "", window, usize::MAX);
        lines.iter().map(|line| line.text.len() as u64 + 1).sum()
    }

    fn port_holder(&self, _: u16) -> Option<(i32, String)> {
        self.miss();
        None
    }

    fn probe_attempts(&self, name: &ProcessName, window: Duration) -> Option<(u64, u64)> {
        if !self.is_mine(name) {
            return None;
        }
        let all = self.snapshot.probes.iter();
        let tried: Vec<&ProbeResult> = all.filter(|one| self.within(one.at, window)).collect();
        let passed = tried.iter().filter(|one| one.passed).count() as u64;
        (!tried.is_empty()).then_some((passed, tried.len() as u64))
    }

    fn probe_results(&self, name: &ProcessName, limit: usize) -> Vec<ProbeResult> {
        if !self.is_mine(name) {
            return Vec::new();
        }
        let all = &self.snapshot.probes;
        all[all.len().saturating_sub(limit)..].to_vec()
    }

    fn machine(&self) -> HostFacts {
        self.snapshot.host
    }

    fn source_line(&self, _: &ProcessName, _: &str, _: u32) -> Option<String> {
        None
    }

    fn max_instances(&self, _: &ProcessName) -> u16 {
        self.snapshot.max_instances
    }

    fn dependents(&self, name: &ProcessName) -> Vec<ProcessName> {
        if !self.is_mine(name) {
            return Vec::new();
        }
        self.snapshot.dependents.clone()
    }
}
