//! From entries and snapshots to what people and programs see.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{Entry, RegistryHandle};
use crate::clock::until;
use crate::command::view::{
    HealthStatus, HealthView, InstanceView, LimitsView, ListenView, MetricsView, ProcessView,
};
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Snapshot, detail};
use crate::launch::Listening;
use crate::sampler::Sampler;
use crate::secret::without_passwords;
use crate::spec::{Listen, Notify, ProcessSpec};
use crate::state::{ExitStatus, Hold, State, Status};
use crate::store::Desired;

/// What the brain asks of a process beyond its view.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Its view.
    pub view: ProcessView,
    /// Its definition.
    pub spec: ProcessSpec,
    /// Should it run?
    pub wanted: bool,
    /// Copies wanted.
    pub desired: u16,
    /// Is there a definition to go back to?
    pub has_previous: bool,
    /// When the definition last changed.
    pub changed_at: Option<Timestamp>,
    /// Since when each instance's probe has been failing, by index.
    pub failing_since: Vec<Option<Timestamp>>,
    /// Probe rows.
    pub health: Vec<HealthView>,
}

/// How a process does, without a copy of what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// The worst state of its copies.
    pub state: Status,
    /// Should it run?
    pub wanted: bool,
    /// Is a copy held?
    pub held: bool,
    /// Does a probe fail of a copy that is online?
    pub failing: bool,
    /// Is it probed at all?
    pub probed: bool,
    /// Its limit, in bytes.
    pub max_memory: Option<u64>,
    /// For so long no run of its copies has ended; for ever, while all are the first ones.
    pub unbroken: Duration,
}

/// How a process stands, for messages about one of its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The worst state of its copies.
    pub state: Status,
    /// The state of that copy.
    pub copy: Status,
    /// How many copies it has.
    pub instances: usize,
    /// Restarts of that copy since the last manual start.
    pub restarts: u64,
    /// When that copy is tried again, if it waits for that.
    pub next_try: Option<Timestamp>,
    /// Who is told of it.
    pub notify: Notify,
}

impl RegistryHandle {
    /// How a process stands, for a message about one of its copies.
    pub fn standing(&self, name: &ProcessName, instance: Option<u16>) -> Option<Standing> {
        let inner = self.inner();
        let entry = inner.entry(name)?;
        let mut standing = Standing {
            state: Status::Stopped,
            copy: Status::Stopped,
            instances: entry.handles.len(),
            restarts: 0,
            next_try: None,
            notify: entry.row.spec.config.notify.clone(),
        };
        let mut severest = None;
        for handle in &entry.handles {
            let snapshot = handle.snapshot();
            let saved = &snapshot.saved;
            let state = saved.state.status();
            if severest <= Some(state.severity()) {
                (severest, standing.state) = (Some(state.severity()), state);
            }
            if instance.is_none_or(|one| one == handle.id().index) {
                standing.copy = state;
                standing.restarts = saved.counters.restarts;
                standing.next_try = match &saved.state {
                    State::Errored {
                        hold: Hold::Retrying { next_at, .. },
                    } => Some(*next_at),
                    _ => None,
                };
            }
        }
        Some(standing)
    }

    /// How a process does: what costs next to nothing to know.
    pub fn vitals(&self, name: &ProcessName) -> Option<Vitals> {
        let now = self.context().clock.now();
        let inner = self.inner();
        let entry = inner.entry(name)?;
        let config = &entry.row.spec.config;
        let mut vitals = Vitals {
            state: Status::Stopped,
            wanted: entry.row.desired == Desired::Online,
            held: false,
            failing: false,
            probed: !config.health.is_empty(),
            max_memory: config.max_memory.map(|limit| limit.0),
            unbroken: Duration::MAX,
        };
        let mut severest = None;
        for handle in &entry.handles {
            let snapshot = handle.snapshot();
            let (saved, state) = (&snapshot.saved, snapshot.saved.state.status());
            if severest <= Some(state.severity()) {
                (severest, vitals.state) = (Some(state.severity()), state);
            }
            vitals.held |= held_by(&saved.state).is_some();
            vitals.failing |= state == Status::Online && snapshot.health == HealthStatus::Fail;
            let lasts = match saved.state.run() {
                None => Duration::ZERO,
                Some(_) if saved.counters.generation <= 1 => Duration::MAX,
                Some(run) => until(run.started_at, now),
            };
            vitals.unbroken = vitals.unbroken.min(lasts);
        }
        Some(vitals)
    }

    /// The definition before the newest, which a rollback goes back to.
    pub fn previous(&self, name: &ProcessName) -> Option<ProcessSpec> {
        self.inner().entry(name)?.row.previous.as_deref().cloned()
    }

    /// One process, as the brain wants to see it.
    pub fn glance(&self, name: &ProcessName) -> Option<Glance> {
        let inner = self.inner();
        let index = inner
            .processes
            .iter()
            .position(|entry| entry.name() == name)?;
        let entry = &inner.processes[index];
        let groups = inner.groups_of(name);
        Some(Glance {
            view: self.view(entry, index, groups),
            spec: ProcessSpec::clone(&entry.row.spec),
            wanted: entry.row.desired == Desired::Online,
            desired: entry.count(),
            has_previous: entry.row.previous.is_some(),
            changed_at: entry.row.changed_at,
            failing_since: entry
                .handles
                .iter()
                .map(|handle| handle.snapshot().failing_since)
                .collect(),
            health: entry
                .handles
                .iter()
                .flat_map(|handle| handle.snapshot().probes.to_vec())
                .collect(),
        })
    }

    /// The processes that depend on this one, by their definitions.
    pub fn dependents(&self, name: &ProcessName) -> Vec<ProcessName> {
        let inner = self.inner();
        let specs = inner.processes.iter().map(|entry| &*entry.row.spec);
        specs
            .filter(|spec| {
                spec.name != *name && spec.config.depends_on.iter().any(|on| on == name.as_str())
            })
            .map(|spec| spec.name.clone())
            .collect()
    }

    /// The processes of which only their output could tell trouble: all copies are online, no
    /// probe looks at them, and nobody depends on them.
    pub fn unwatched(&self) -> BTreeSet<ProcessName> {
        let inner = self.inner();
        let needed: BTreeSet<&str> = inner
            .processes
            .iter()
            .flat_map(|entry| &entry.row.spec.config.depends_on)
            .map(String::as_str)
            .collect();
        let online = |entry: &&Entry| {
            entry
                .handles
                .iter()
                .all(|handle| matches!(handle.snapshot().saved.state, State::Online { .. }))
        };
        let entries = inner.processes.iter();
        entries
            .filter(|entry| entry.row.spec.config.health.is_empty())
            .filter(|entry| !needed.contains(entry.name().as_str()))
            .filter(online)
            .map(|entry| entry.name().clone())
            .collect()
    }

    pub(super) fn view(&self, entry: &Entry, index: usize, group: Vec<String>) -> ProcessView {
        let now = self.context().clock.now();
        let sampler = &self.context().sampler;
        let instances: Vec<InstanceView> = entry
            .handles
            .iter()
            .map(|handle| instance_view(handle, sampler, now))
            .collect();
        let worst = instances
            .iter()
            .max_by_key(|instance| (instance.state.severity(), !instance.ready));
        let spec = &entry.row.spec;
        ProcessView {
            index,
            name: spec.name.clone(),
            state: worst.map_or(Status::Stopped, |instance| instance.state),
            detail: worst.map_or_else(|| "stopped".to_owned(), |instance| instance.detail.clone()),
            restarts: instances.iter().map(|instance| instance.restarts).sum(),
            restarts_total: instances
                .iter()
                .map(|instance| instance.restarts_total)
                .sum(),
            health: HealthStatus::worst(instances.iter().map(|instance| instance.health)),
            instances,
            group,
            tags: spec.config.tags.clone(),
            project: spec
                .project
                .as_ref()
                .map(|project| project.file.display().to_string()),
            argv: std::iter::once(&spec.argv.program)
                .chain(&spec.argv.args)
                .map(|word| without_passwords(word).into_owned())
                .collect(),
            cwd: spec.cwd.display().to_string(),
            listen: listen_views(spec, &self.context().launcher.listening(&spec.name)),
            config: spec.config.clone(),
        }
    }
}

/// Each address of a definition, with where it is open if it is.
fn listen_views(spec: &ProcessSpec, open: &[Listening]) -> Vec<ListenView> {
    let mut open: Vec<&Listening> = open.iter().collect();
    let view = |listen: &Listen| {
        let place = open.iter().position(|one| one.address == listen.address);
        ListenView {
            name: listen.name().into_owned(),
            address: listen.address.to_string(),
            bound: place.map(|place| open.remove(place).bound.to_string()),
        }
    };
    spec.config.listen.iter().map(view).collect()
}

fn uptime_ms(snapshot: &Snapshot, now: Timestamp) -> Option<u64> {
    snapshot
        .saved
        .state
        .run()
        .map(|run| until(run.started_at, now).as_millis() as u64)
}

fn held_by(state: &State) -> Option<&str> {
    match state {
        State::Errored {
            hold: Hold::Held { by, .. },
        } => Some(by),
        _ => None,
    }
}

fn instance_view(handle: &InstanceHandle, sampler: &Sampler, now: Timestamp) -> InstanceView {
    let snapshot = handle.snapshot();
    let saved = &snapshot.saved;
    let run = saved.state.run();
    let sample = run.and_then(|_| sampler.latest(handle.id()));
    let (exit_code, exit_signal) = match saved.last_exit {
        Some(ExitStatus::Code(code)) => (Some(code), None),
        Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
        Some(ExitStatus::Unknown) | None => (None, None),
    };
    let next_retry_at = match &saved.state {
        State::Errored {
            hold: Hold::Retrying { next_at, .. },
        } => Some(*next_at),
        _ => None,
    };
    InstanceView {
        index: handle.id().index,
        pid: run.map(|run| run.process.pid),
        state: saved.state.status(),
        detail: detail_of(&snapshot, now),
        started_at: run.map(|run| run.started_at),
        uptime_ms: uptime_ms(&snapshot, now),
        restarts: saved.counters.restarts,
        restarts_total: saved.counters.restarts_total,
        exit_code,
        exit_signal,
        last_exit: saved.last_exit,
        cpu_percent: sample.as_ref().map(|sample| sample.cpu_percent),
        memory_bytes: sample.as_ref().map(|sample| sample.rss_bytes),
        health: snapshot.health,
        generation: saved.counters.generation,
        next_retry_at,
        held_by: held_by(&saved.state).map(str::to_owned),
        ready: snapshot.ready,
        status_text: snapshot.status_text.as_deref().map(str::to_owned),
        main_pid: run.and_then(|run| Some(saved.main_of(run)?.pid)),
    }
}

/// The state with its flags, and whether it is ready.
fn detail_of(snapshot: &Snapshot, now: Timestamp) -> String {
    let state = &snapshot.saved.state;
    match state {
        State::Online { leaving: false, .. } if !snapshot.ready => {
            format!("{} (not ready)", state.status().as_str())
        }
        _ => detail(state, now),
    }
}

pub(super) fn metrics_view(
    handle: &InstanceHandle,
    sampler: &Sampler,
    now: Timestamp,
) -> MetricsView {
    let snapshot = handle.snapshot();
    let sample = sampler
        .latest(handle.id())
        .filter(|_| snapshot.saved.state.run().is_some());
    let moved = sample.and_then(|_| sampler.transferred(handle.id()));
    MetricsView {
        name: handle.id().process.clone(),
        instance: handle.id().index,
        cpu_percent: sample.as_ref().map(|sample| sample.cpu_percent),
        memory_bytes: sample.as_ref().map(|sample| sample.rss_bytes),
        pss_bytes: sample.and_then(|sample| sample.pss_bytes),
        read_bytes: moved.map(|(read, _)| read),
        written_bytes: moved.map(|(_, written)| written),
        read_bytes_per_second: sample.and_then(|sample| sample.read_bytes_per_second),
        written_bytes_per_second: sample.and_then(|sample| sample.written_bytes_per_second),
        fds: sample.as_ref().map(|sample| sample.fds),
        threads: sample.as_ref().map(|sample| sample.threads),
        uptime_ms: uptime_ms(&snapshot, now),
        restarts: snapshot.saved.counters.restarts,
    }
}

pub(super) fn limits_view(
    handle: &InstanceHandle,
    spec: &ProcessSpec,
    sampler: &Sampler,
) -> LimitsView {
    let snapshot = handle.snapshot();
    let sample = sampler
        .latest(handle.id())
        .filter(|_| snapshot.saved.state.run().is_some());
    let max = spec.config.max_restarts;
    LimitsView {
        name: handle.id().process.clone(),
        instance: handle.id().index,
        memory_bytes: sample.as_ref().map(|sample| sample.rss_bytes),
        max_memory: spec.config.max_memory.map(|limit| limit.0),
        restarts_left: (max > 0).then(|| max.saturating_sub(snapshot.saved.counters.breaker)),
        fds: sample.as_ref().map(|sample| sample.fds),
        nofile: spec.config.limits.nofile,
        cpu_seconds: spec.config.limits.cpu,
    }
}
