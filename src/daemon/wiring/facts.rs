//! The world as the brain sees it: registry, events, samples, logs.
//!
//! Calls may block and are made from blocking threads. A question that cannot be answered
//! has an empty answer, and the reason goes to the log.
//! It is one piece although it is long: a short answer for each question.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent::policy::Bounds;
use brain::{
    AttemptLook, BrokenFile, CertificateLook, ChangeLook, EnvFileLook, Facts, FileLook, HostFacts,
    InstanceFacts, LockLook, LogHit, NeighbourLook, OrderLook, ProbeResult, ProcessFacts,
    ReachLook, Sample,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use supervisor::command::view::HealthView;
use supervisor::logs::{self, Ingest, LogQuery};
use supervisor::store::{EventFilter, StoreHandle};
use supervisor::sys::inspect::{self, CloseLook, DiskRoom, HostLook, PortOwner};
use supervisor::{
    Clock, Event, EventKind, Glance, InstanceId, Paths, ProcessName, RegistryHandle, Sampler,
    Target, Vitals, sys, until,
};
use tracing::warn;

use super::{looks, shown};

/// Events in one answer.
const EVENTS: usize = 100;
/// Lines that are counted at most.
const COUNTED: usize = 100_000;
/// Largest source file that is looked into.
const SOURCE_BYTES: u64 = 2 << 20;
/// How long a close look at a run that is gone is kept.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How long a process must have printed nothing to count as calm.
const SILENT: Duration = Duration::from_secs(60);
/// The share of its memory limit, in percent, from which a process is worth a quick look. Less
/// than what that look worries about.
const NEAR: u64 = 90;
/// Longest source line that is shown, in characters.
const SOURCE_LINE: usize = 200;

/// Reads the live daemon.
pub(super) struct LiveFacts {
    pub(super) registry: RegistryHandle,
    pub(super) store: StoreHandle,
    pub(super) sampler: Sampler,
    pub(super) ingest: Ingest,
    pub(super) paths: Paths,
    pub(super) clock: Clock,
    pub(super) bounds: Bounds,
    /// Close looks at what was ill, by process: they outlast the run they were taken of.
    pub(super) looked: Looked,
}

/// The newest close look at a process while it was ill: when, and at which runs.
pub(super) type Looked = Mutex<BTreeMap<ProcessName, (Timestamp, Vec<u64>, Vec<CloseLook>)>>;

impl LiveFacts {
    /// Those with so much of something that it may pile up, by their newest samples.
    fn large(&self) -> impl Iterator<Item = ProcessName> {
        let large = self.sampler.select(|sample| {
            brain::may_pile_up(
                u64::from(sample.zombies),
                u64::from(sample.processes),
                sample.threads,
                sample.fds,
            )
        });
        large.into_iter().map(|instance| instance.process)
    }

    fn since(&self, window: Duration) -> Timestamp {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        self.clock
            .now()
            .checked_sub(window)
            .unwrap_or(Timestamp::MIN)
    }

    fn instances(&self, name: &ProcessName) -> Vec<InstanceId> {
        self.registry
            .resolve(&Target::process(name))
            .unwrap_or_default()
    }

    /// Last words were recorded without secrets, but with the values of plain names.
    fn hide_values(&self, name: &ProcessName, events: &mut [Event]) {
        let known = self.registry.known_values(name);
        for event in events {
            let lines = event.data.get_mut("last_lines");
            for line in lines.and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::String(text) = line {
                    *text = supervisor::secret::masked(std::mem::take(text), &known);
                }
            }
        }
    }

    /// As they were printed, with their secrets.
    fn lines(
        &self,
        name: &ProcessName,
        pattern: &str,
        window: Duration,
        limit: usize,
    ) -> Vec<logs::LogLine> {
        let query = LogQuery {
            target: Some(Target::process(name)),
            lines: limit,
            since: Some(self.since(window)),
            grep: Some(pattern.to_owned()),
            ..LogQuery::default()
        };
        let sources = self.registry.log_sources(&query).unwrap_or_default();
        match logs::query(&self.paths, &sources, &query) {
            Ok(page) => page.lines,
            Err(error) => {
                warn!(process = %name, %error, "The brain could not read the logs.");
                Vec::new()
            }
        }
    }
}

impl Facts for LiveFacts {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn process(&self, name: &ProcessName) -> Option<ProcessFacts> {
        self.registry
            .glance(name)
            .map(|glance| process(glance, self.clock.now()))
    }

    fn vitals(&self, name: &ProcessName) -> Option<Vitals> {
        self.registry.vitals(name)
    }

    fn processes(&self) -> Vec<ProcessName> {
        self.registry.names()
    }

    fn events(&self, name: &ProcessName, kind: Option<EventKind>, window: Duration) -> Vec<Event> {
        let filter = EventFilter {
            processes: vec![name.clone()],
            kinds: kind.into_iter().collect(),
            since: Some(self.since(window)),
            limit: EVENTS,
            ..EventFilter::default()
        };
        match self.store.events_now(&filter) {
            Ok(mut events) => {
                events.reverse();
                self.hide_values(name, &mut events);
                events
            }
            Err(error) => {
                warn!(process = %name, %error, "The brain could not read events.");
                Vec::new()
            }
        }
    }

    fn samples(&self, name: &ProcessName, window: Duration) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::new();
        for instance in self.instances(name) {
            let own = self.sampler.window(&instance, window).into_iter();
            samples.extend(own.map(|sample| Sample {
                at: sample.at,
                instance: instance.index,
                cpu_percent: sample.cpu_percent,
                rss_bytes: sample.rss_bytes,
                fds: sample.fds,
                threads: sample.threads,
                processes: u64::from(sample.processes),
                zombies: u64::from(sample.zombies),
            }));
        }
        samples.sort_by_key(|sample| (sample.at, sample.instance));
        samples
    }

    fn log_lines(
        &self,
        name: &ProcessName,
        pattern: &str,
        window: Duration,
        limit: usize,
    ) -> Vec<LogHit> {
        let known = self.registry.known_values(name);
        let lines = self.lines(name, pattern, window, limit).into_iter();
        lines
            .map(|line| LogHit {
                id: line.id,
                at: line.ts,
                text: supervisor::secret::masked(line.message, &known),
            })
            .collect()
    }

    fn log_count(&self, name: &ProcessName, pattern: &str, window: Duration) -> u64 {
        self.lines(name, pattern, window, COUNTED).len() as u64
    }

    fn log_bytes(&self, name: &ProcessName, window: Duration) -> u64 {
        self.instances(name)
            .iter()
            .map(|instance| self.ingest.bytes_in(instance, window))
            .sum()
    }

    fn port_holder(&self, port: u16) -> Option<(i32, String)> {
        sys::port_holder(port)
    }

    fn probe_attempts(&self, name: &ProcessName, window: Duration) -> Option<(u64, u64)> {
        let glance = self.registry.glance(name)?;
        let since = self.since(window);
        // What failed before the first that passed belongs to the start.
        let attempts = || {
            glance
                .health
                .iter()
                .flat_map(|row| {
                    let up = row.attempts.iter().position(|attempt| attempt.passed);
                    row.attempts.iter().skip(up.unwrap_or(0))
                })
                .filter(|attempt| attempt.at >= since)
        };
        let total = attempts().count() as u64;
        let passed = attempts().filter(|attempt| attempt.passed).count() as u64;
        (total > 0).then_some((passed, total))
    }

    fn probe_results(&self, name: &ProcessName, limit: usize) -> Vec<ProbeResult> {
        let Some(glance) = self.registry.glance(name) else {
            return Vec::new();
        };
        let attempts = glance.health.iter().flat_map(|row| &row.attempts);
        let mut all: Vec<ProbeResult> = attempts
            .map(|attempt| ProbeResult {
                at: attempt.at,
                passed: attempt.passed,
                latency_ms: attempt.latency_ms,
            })
            .collect();
        all.sort_by_key(|one| one.at);
        all.split_off(all.len().saturating_sub(limit))
    }

    fn machine(&self) -> HostFacts {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo");
        let kib = |key: &str| {
            let line = memory.lines().find(|line| line.starts_with(key));
            let figure = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            figure.unwrap_or(0) * 1024
        };
        let load = read("/proc/loadavg");
        let disk = rustix::fs::statvfs(self.paths.home());
        HostFacts {
            cpus: u32::from(self.bounds.cpus),
            load1: load
                .split_whitespace()
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
            mem_total: kib("MemTotal:"),
            mem_free: kib("MemAvailable:"),
            disk_free: disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        }
    }

    fn kernel(&self) -> Option<String> {
        supervisor::sys::kernel_release()
    }

    fn close_look(&self, name: &ProcessName) -> Vec<CloseLook> {
        let Some(process) = self.process(name) else {
            return Vec::new();
        };
        let looks = looks::close_look(&process);
        if !brain::is_well(&process) && !looks.is_empty() {
            let now = self.now();
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            looked.retain(|_, (at, ..)| until(*at, now) < REMEMBERED);
            looked.insert(name.clone(), (now, generations(&process), looks.clone()));
        }
        looks
    }

    fn last_look(&self, name: &ProcessName) -> Vec<CloseLook> {
        let runs = self.process(name).map(|process| generations(&process));
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        match looked.get(name) {
            Some((at, of, looks))
                if until(*at, self.now()) < REMEMBERED && runs.as_ref() != Some(of) =>
            {
                looks.clone()
            }
            _ => Vec::new(),
        }
    }

    fn port_owner(&self, port: u16) -> Option<PortOwner> {
        looks::port_owner(self, port)
    }

    fn disks(&self, name: &ProcessName) -> Vec<DiskRoom> {
        looks::disks(self, name)
    }

    fn file(&self, name: &ProcessName, path: &str) -> Option<FileLook> {
        looks::file(self, name, path)
    }

    fn broken_files(&self, name: &ProcessName) -> Vec<BrokenFile> {
        looks::broken_files(self, name)
    }

    fn lock_file(&self, name: &ProcessName, path: &str) -> Option<LockLook> {
        looks::lock_file(self, name, path)
    }

    fn last_change(&self, name: &ProcessName) -> Option<ChangeLook> {
        looks::last_change(self, name)
    }

    fn env_files(&self, name: &ProcessName) -> Vec<EnvFileLook> {
        looks::env_files(self, name)
    }

    fn reach(&self, addresses: &[(String, u16)]) -> Vec<ReachLook> {
        looks::reach(self, addresses)
    }

    fn certificates(
        &self,
        name: &ProcessName,
        addresses: &[(String, u16)],
        files: &[String],
    ) -> Vec<CertificateLook> {
        looks::certificates(self, name, addresses, files)
    }

    fn orders(&self, name: &ProcessName, window: Duration) -> Vec<OrderLook> {
        looks::orders(self, name, self.since(window))
    }

    fn host(&self) -> HostLook {
        inspect::host_look()
    }

    fn attempts(&self, name: &ProcessName) -> Vec<AttemptLook> {
        looks::attempts(self, name)
    }

    fn neighbours(&self, name: &ProcessName) -> Vec<NeighbourLook> {
        looks::neighbours(self, name)
    }

    fn source_line(&self, name: &ProcessName, file: &str, line: u32) -> Option<String> {
        let folder = self.registry.glance(name)?.spec.cwd.canonicalize().ok()?;
        // Canonical, so that neither `..` nor a symbolic link leads out of the folder.
        let path = folder.join(file).canonicalize().ok()?;
        let kind = path.metadata().ok()?;
        if !path.starts_with(&folder) || !kind.is_file() || kind.len() > SOURCE_BYTES {
            return None;
        }
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let text = BufReader::new(std::fs::File::open(path).ok()?)
            .lines()
            .nth(index)?
            .ok()?;
        Some(text.trim().chars().take(SOURCE_LINE).collect())
    }

    fn file_head(&self, name: &ProcessName, path: &str, bytes: usize) -> Result<String, String> {
        shown::file_head(self, name, path, bytes)
    }

    fn addresses(&self, name: &ProcessName) -> Vec<(String, u16)> {
        shown::addresses(self, name)
    }

    fn urls(&self, name: &ProcessName) -> Vec<String> {
        shown::urls(self, name)
    }

    fn http_get(&self, _: &ProcessName, url: &str) -> Result<String, String> {
        shown::http_get(url)
    }

    fn calm(&self, processes: &[ProcessName]) -> BTreeSet<ProcessName> {
        let mut calm = self.registry.unwatched();
        let asked: BTreeSet<&ProcessName> = processes.iter().collect();
        // One pass for all: asked by name, each would be looked for among all of them.
        let mut busy: BTreeSet<ProcessName> = self.large().collect();
        busy.extend(self.ingest.talking(SILENT));
        calm.retain(|name| asked.contains(name) && !busy.contains(name));
        calm
    }

    fn pulse(&self) -> Option<u64> {
        // Both only grow.
        Some(self.ingest.growth().wrapping_add(self.sampler.stirs()))
    }

    fn stirred(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (mut grew, mut stirs) = (self.ingest.grew(), self.sampler.stirring());
        Box::pin(async move {
            let changed = tokio::select! {
                changed = grew.changed() => changed,
                changed = stirs.changed() => changed,
            };
            if changed.is_err() {
                // The capture or the sampler has ended.
                std::future::pending::<()>().await;
            }
        })
    }

    fn talking(&self) -> Vec<ProcessName> {
        // Asked twice a second: what grows with all processes must stay one pass.
        let mut all = self.registry.near_limit(NEAR);
        all.extend(self.ingest.talking(Duration::from_secs(1)));
        all.extend(self.large());
        all.sort();
        all.dedup();
        all
    }

    fn dependents(&self, name: &ProcessName) -> Vec<ProcessName> {
        self.registry.dependents(name)
    }

    fn max_instances(&self, name: &ProcessName) -> u16 {
        let configured = self
            .registry
            .glance(name)
            .map_or(1, |glance| glance.spec.instances);
        self.bounds.instances(configured)
    }
}

fn process(glance: Glance, now: Timestamp) -> ProcessFacts {
    let Glance {
        view,
        spec,
        wanted,
        desired,
        has_previous,
        changed_at,
        failing_since,
        health,
    } = glance;
    let instances = view.instances.iter().enumerate();
    let instances: Vec<InstanceFacts> = instances
        .map(|(place, one)| {
            let worst = worst_probe(&health, one.index);
            InstanceFacts {
                index: one.index,
                pid: one.pid,
                alive: one.pid.is_some(),
                state: one.state,
                rss_bytes: one.memory_bytes,
                cpu_percent: one.cpu_percent,
                uptime_ms: one.uptime_ms,
                health: one.health,
                probe_failures: worst.map_or(0, |row| row.failures),
                probe_down_ms: failing_since
                    .get(place)
                    .copied()
                    .flatten()
                    .map(|since| until(since, now).as_millis() as u64),
                probe_error: worst.and_then(|row| row.error.clone()),
                generation: one.generation,
            }
        })
        .collect();
    let config = &spec.config;
    ProcessFacts {
        state: view.state,
        detail: view.detail,
        held: view
            .instances
            .iter()
            .any(|instance| instance.held_by.is_some()),
        retries: view
            .instances
            .iter()
            .any(|instance| instance.next_retry_at.is_some()),
        wanted,
        desired,
        instances,
        restarts: view.restarts,
        tags: view.tags,
        autonomy: config.autonomy,
        max_memory: config.max_memory.map(|limit| limit.0),
        max_restarts: config.max_restarts,
        configured_instances: spec.instances,
        depends_on: config
            .depends_on
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect(),
        changed_at,
        has_previous,
        config: masked(serde_json::to_value(config).unwrap_or_default()),
        name: view.name,
    }
}

/// The runs of a process that live.
fn generations(process: &ProcessFacts) -> Vec<u64> {
    let alive = process.instances.iter().filter(|one| one.alive);
    alive.map(|one| one.generation).collect()
}

fn worst_probe(health: &[HealthView], index: u16) -> Option<&HealthView> {
    health
        .iter()
        .filter(|row| row.instance == index)
        .max_by_key(|row| row.failures)
}

/// A definition without the values of its environment.
fn masked(mut config: Value) -> Value {
    if let Some(env) = config.get_mut("env").and_then(Value::as_object_mut) {
        for value in env.values_mut() {
            *value = Value::from("***");
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_the_environment_are_masked() {
        let config = json!({"command": "x", "env": {"A": "secret", "PORT": "80"}});
        assert_eq!(
            masked(config),
            json!({"command": "x", "env": {"A": "***", "PORT": "***"}})
        );
    }
}
