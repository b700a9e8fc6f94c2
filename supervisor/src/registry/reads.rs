//! Questions. None of them asks an instance: snapshots, rows and files answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::target::{Pick, copies};
use super::view::{limits_view, metrics_view};
use super::{Inner, RegistryHandle};
use crate::command::Target;
use crate::command::view::{
    CronView, EnvEntry, EnvView, HealthStatus, HealthView, LimitsView, LinkGroup, LinkView,
    MetricsView, ProcessView, VersionView,
};
use crate::control::ControlError;
use crate::event::{Event, EventKind};
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::logs::feed::FeedSource;
use crate::logs::{self, Copies, LogPage, LogQuery, Source};
use crate::paths::Stream;
use crate::schedule::Schedule;
use crate::secret::{MASK, Secret, is_secret_name, masked, without_passwords};
use crate::spec::ProcessSpec;
use crate::state::Status;
use crate::store::EventFilter;

/// Version of the protocol on the socket.
const PROTOCOL: u32 = 1;

impl Inner {
    pub(super) fn groups_of(&self, name: &ProcessName) -> Vec<String> {
        self.groups
            .values()
            .filter(|group| group.members.contains(name))
            .map(|group| group.name.clone())
            .collect()
    }

    fn picked_handles(&self, target: Option<&Target>) -> Result<Vec<InstanceHandle>, ControlError> {
        match target {
            Some(target) => Ok(self
                .pick(target)?
                .items
                .iter()
                .flat_map(|pick| self.handles(pick))
                .collect()),
            None => Ok(self
                .processes
                .iter()
                .flat_map(|entry| entry.handles.clone())
                .collect()),
        }
    }
}

impl RegistryHandle {
    pub(super) fn list(&self, tag: Option<&str>) -> Vec<ProcessView> {
        let inner = self.inner();
        let with_tag = |entry: &super::Entry| {
            tag.is_none_or(|tag| entry.row.spec.config.tags.iter().any(|own| own == tag))
        };
        inner
            .processes
            .iter()
            .enumerate()
            .filter(|(_, entry)| with_tag(entry))
            .map(|(index, entry)| self.view(entry, index, inner.groups_of(entry.name())))
            .collect()
    }

    /// The names of all processes, in registration order.
    pub fn names(&self) -> Vec<ProcessName> {
        self.inner()
            .processes
            .iter()
            .map(|entry| entry.name().clone())
            .collect()
    }

    /// The names of those of which a copy uses this share of its limit of memory or more.
    pub fn near_limit(&self, percent: u64) -> Vec<ProcessName> {
        let sampler = &self.context().sampler;
        let near = |entry: &&super::Entry| {
            let Some(limit) = entry.row.spec.config.max_memory else {
                return false;
            };
            let used = |handle: &InstanceHandle| sampler.latest(handle.id());
            entry.handles.iter().filter_map(used).any(|sample| {
                u128::from(sample.rss_bytes) * 100 >= u128::from(limit.0) * u128::from(percent)
            })
        };
        let inner = self.inner();
        let entries = inner.processes.iter().filter(near);
        entries.map(|entry| entry.name().clone()).collect()
    }

    /// The names of those that are neither up nor stopped, or of which a probe fails.
    pub fn troubled(&self) -> BTreeSet<ProcessName> {
        let troubled = |handle: &InstanceHandle| {
            let snapshot = handle.snapshot();
            let calm = matches!(
                snapshot.saved.state.status(),
                Status::Online | Status::Stopped
            );
            !calm || snapshot.health == HealthStatus::Fail
        };
        let inner = self.inner();
        let entries = inner.processes.iter();
        entries
            .filter(|entry| entry.handles.iter().any(troubled))
            .map(|entry| entry.name().clone())
            .collect()
    }

    pub(super) fn status(&self, target: &Target) -> Result<Vec<ProcessView>, ControlError> {
        let inner = self.inner();
        let picked = inner.pick(target)?;
        let mut views = Vec::new();
        for pick in &picked.items {
            let Some(index) = inner
                .processes
                .iter()
                .position(|entry| *entry.name() == pick.name)
            else {
                continue;
            };
            let mut view = self.view(&inner.processes[index], index, inner.groups_of(&pick.name));
            if let Some(only) = pick.index {
                view.instances.retain(|instance| instance.index == only);
            }
            views.push(view);
        }
        Ok(views)
    }

    pub(super) fn env(&self, target: &Target, reveal: bool) -> Result<Vec<EnvView>, ControlError> {
        let inner = self.inner();
        let picked = inner.pick(target)?;
        let mut views = Vec::new();
        for pick in &picked.items {
            let Some(entry) = inner.entry(&pick.name) else {
                continue;
            };
            for handle in inner.handles(pick) {
                let generation = handle.snapshot().saved.counters.generation;
                let env = entry
                    .spec
                    .environment(handle.id(), generation, &self.context().paths);
                let shown = |(key, value): (String, crate::os_text::OsText)| {
                    let hidden = !reveal && is_secret_name(&key);
                    let value = value.0.to_string_lossy();
                    let value = match (hidden, reveal) {
                        (true, _) => MASK.into(),
                        (false, true) => value.into_owned(),
                        (false, false) => without_passwords(&value).into_owned(),
                    };
                    EnvEntry { key, value }
                };
                views.push(EnvView {
                    name: pick.name.clone(),
                    instance: handle.id().index,
                    env: env.into_iter().map(shown).collect(),
                });
            }
        }
        Ok(views)
    }

    /// A text that a process has printed, without the values that are known of it.
    pub fn masked(&self, name: &ProcessName, text: String) -> String {
        masked(text, &self.known_values(name))
    }

    /// What must not be told of a process when its lines leave for a brain or a model, for
    /// many texts.
    pub fn known_values(&self, name: &ProcessName) -> Vec<Secret> {
        let spec = self.inner().entry(name).map(|entry| entry.spec.clone());
        spec.map(|spec| spec.known_values()).unwrap_or_default()
    }

    pub(super) async fn history(
        &self,
        target: Option<&Target>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Event>, ControlError> {
        let mut filter = EventFilter {
            since,
            limit,
            ..EventFilter::default()
        };
        if let Some(target) = target {
            let picked = self.inner().pick(target)?;
            filter.processes = picked.items.iter().map(|pick| pick.name.clone()).collect();
            if let [only] = picked.items.as_slice() {
                filter.instance = only.index;
            }
        }
        let events = self.context().journal.events(filter).await;
        events.map_err(|message| ControlError::Store { message })
    }

    pub(super) fn health(&self, target: Option<&Target>) -> Result<Vec<HealthView>, ControlError> {
        let inner = self.inner();
        let mut rows = Vec::new();
        for handle in inner.picked_handles(target)? {
            let snapshot = handle.snapshot();
            if snapshot.probes.is_empty() {
                // Nothing runs that could be looked at, or there is nothing to look with.
                let entry = inner.entry(&handle.id().process);
                let status = match snapshot.health {
                    HealthStatus::Pending => HealthStatus::Pending,
                    _ => HealthStatus::Off,
                };
                let defined = entry.map(|entry| probes_of(&entry.row.spec));
                let defined = defined.filter(|probes| !probes.is_empty());
                let row = |probe: &str| HealthView {
                    name: handle.id().process.clone(),
                    instance: handle.id().index,
                    probe: probe.to_owned(),
                    status,
                    last_check: None,
                    latency_ms: None,
                    error: None,
                    failures: 0,
                    attempts: Vec::new(),
                };
                let probes = defined.unwrap_or_else(|| vec!["none"]);
                rows.extend(probes.into_iter().map(row));
            }
            rows.extend(snapshot.probes.iter().cloned());
        }
        Ok(rows)
    }

    pub(super) fn metrics(
        &self,
        target: Option<&Target>,
    ) -> Result<Vec<MetricsView>, ControlError> {
        let now = self.context().clock.now();
        let sampler = &self.context().sampler;
        let handles = self.inner().picked_handles(target)?;
        Ok(handles
            .iter()
            .map(|handle| metrics_view(handle, sampler, now))
            .collect())
    }

    pub(super) fn limits(&self, target: &Target) -> Result<Vec<LimitsView>, ControlError> {
        let inner = self.inner();
        let picked = inner.pick(target)?;
        let mut rows = Vec::new();
        for pick in &picked.items {
            let Some(entry) = inner.entry(&pick.name) else {
                continue;
            };
            let handles = inner.handles(pick);
            rows.extend(
                handles
                    .iter()
                    .map(|handle| limits_view(handle, &entry.spec, &self.context().sampler)),
            );
        }
        Ok(rows)
    }

    pub(super) fn cron(&self) -> Vec<CronView> {
        let now = self.context().clock.now();
        let schedules: Vec<(ProcessName, String, String)> = self
            .inner()
            .processes
            .iter()
            .filter_map(|entry| {
                let config = &entry.row.spec.config;
                Some((
                    entry.name().clone(),
                    config.cron_restart.clone()?,
                    config.timezone.clone(),
                ))
            })
            .collect();
        let view = |(name, schedule, timezone): (ProcessName, String, String)| {
            let next = Schedule::parse(&schedule, &timezone)
                .ok()
                .and_then(|schedule| schedule.next_after(now));
            let filter = EventFilter {
                processes: vec![name.clone()],
                kinds: vec![EventKind::Restart],
                reason: Some("cron".to_owned()),
                limit: 1,
                ..EventFilter::default()
            };
            let events = self
                .context()
                .journal
                .events_now(&filter)
                .unwrap_or_default();
            let last = events.first().map(|event| event.at);
            CronView {
                name,
                schedule,
                timezone,
                next,
                last,
            }
        };
        schedules.into_iter().map(view).collect()
    }

    pub(super) fn links(&self) -> LinkView {
        let inner = self.inner();
        LinkView {
            processes: inner
                .processes
                .iter()
                .map(|entry| entry.name().clone())
                .collect(),
            edges: inner.order().edges(),
            groups: inner
                .groups
                .values()
                .map(|group| LinkGroup {
                    name: group.name.clone(),
                    members: group.members.clone(),
                })
                .collect(),
        }
    }

    /// The streams a log query is over.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub fn log_sources(&self, query: &LogQuery) -> Result<Vec<Source>, ControlError> {
        let streams = query
            .stream
            .map_or_else(|| Stream::BOTH.to_vec(), |stream| vec![stream]);
        let folder = self.context().paths.logs();
        let source = |instance: InstanceId| Source {
            instance,
            streams: streams.clone(),
            folder: folder.clone(),
        };
        Ok(self.copies(query)?.into_iter().map(source).collect())
    }

    /// The copies that have kept lines, whether they are still there or not.
    pub(super) fn kept_copies(&self) -> Arc<Copies> {
        let context = self.context();
        let now_ns = context.clock.now().as_nanosecond();
        self.shared.kept.now(&context.paths.logs(), now_ns)
    }

    /// The copies a question about logs is over: all of all processes without a target.
    fn copies(&self, query: &LogQuery) -> Result<Vec<InstanceId>, ControlError> {
        let kept = self.kept_copies();
        let all = Target("all".into());
        let target = query.target.as_ref().unwrap_or(&all);
        let inner = self.inner();
        let picks = inner.pick_with(target, &kept)?.items;
        let is_gone = |pick: &Pick| inner.entry(&pick.name).is_none();
        if query.after.is_some() && picks.iter().any(is_gone) {
            // Nothing comes any more of what was deleted, whether its lines are kept or not.
            return Err(inner.unknown(&target.0));
        }
        let picks = picks.iter();
        Ok(picks.flat_map(|pick| copies(&inner, pick, &kept)).collect())
    }

    /// Every instance there is, with both its streams, for the log feed.
    pub fn feed_sources(&self) -> Vec<FeedSource> {
        let folder = self.context().paths.logs();
        let handles = self.inner().picked_handles(None).unwrap_or_default();
        let source = |handle: &InstanceHandle| {
            let snapshot = handle.snapshot();
            let run = snapshot.saved.state.run();
            let run = run.and_then(|run| {
                // The index of a segment keeps the low half of a generation.
                let pid = u32::try_from(run.process.pid).ok()?;
                Some((run.generation as u32, pid))
            });
            FeedSource {
                source: Source {
                    instance: handle.id().clone(),
                    streams: Stream::BOTH.to_vec(),
                    folder: folder.clone(),
                },
                run,
            }
        };
        handles.iter().map(source).collect()
    }

    pub(super) async fn logs(&self, query: LogQuery) -> Result<LogPage, ControlError> {
        let sources = self.log_sources(&query)?;
        let paths = self.context().paths.clone();
        let read = move || logs::query(&paths, &sources, &query);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => Err(ControlError::Invalid {
                details: error.details(),
                message: error.to_string(),
            }),
            Err(error) => Err(ControlError::Internal {
                message: error.to_string(),
            }),
        }
    }

    pub(super) fn version(&self) -> VersionView {
        let uptime = crate::clock::until(self.shared.started_at, self.context().clock.now());
        let (journal, archive) = (&self.context().journal, &self.shared.archive);
        let degraded = [journal.degraded(), archive.degraded()];
        VersionView {
            version: self.shared.version.clone(),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            pid: std::process::id(),
            uptime_ms: uptime.as_millis() as u64,
            protocol: PROTOCOL,
            home: self.context().paths.home().display().to_string(),
            degraded: degraded.into_iter().flatten().collect(),
        }
    }
}

/// The kinds of probes of a definition.
fn probes_of(spec: &ProcessSpec) -> Vec<&'static str> {
    let sets = spec.config.health.sets().into_iter();
    sets.flat_map(|set| set.kinds().map(move |kind| set.role.name_of(kind)))
        .collect()
}
