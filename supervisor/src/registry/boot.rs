//! Brings the registry up from what a former daemon recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;
use tracing::{error, info};

use super::against::Moment;
use super::{Entry, Inner, RegistryHandle, Shared, keeper};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::instance::{self, Board, Context, InstanceHandle};
use crate::latest::Teller;
use crate::launch::Launcher;
use crate::logs::{Ingest, KnownCopies};
use crate::paths::Paths;
use crate::sampler::Sampler;
use crate::seams::Archive;
use crate::spec::ProcessSpec;
use crate::state::{Saved, State};
use crate::store::{Desired, Loaded, ProcessRow, StoreHandle};
use crate::tasks::Tasks;

/// The parts a registry stands on.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// Tells the time.
    pub clock: Clock,
    /// Reaches the operating system.
    pub launcher: Arc<dyn Launcher>,
    /// Records states and events.
    pub store: StoreHandle,
    /// Keeps what programs print.
    pub ingest: Ingest,
    /// Measures trees.
    pub sampler: Sampler,
    /// Tells what was recorded.
    pub bus: Bus,
    /// Where everything lies.
    pub paths: Paths,
    /// Where tasks run.
    pub tasks: Tasks,
    /// The version to report.
    pub version: String,
}

impl RegistryHandle {
    /// Starts a task for every recorded instance; each takes over what it finds before it
    /// listens to anybody, so that no instance is ever doubled.
    pub fn open(foundation: Foundation, loaded: Loaded) -> Self {
        let Foundation {
            clock,
            launcher,
            store,
            ingest,
            sampler,
            bus,
            paths,
            tasks,
            version,
        } = foundation;
        let context = Context::new(instance::Shared {
            clock,
            launcher,
            journal: Arc::new(store),
            capture: Arc::new(ingest.clone()),
            sampler,
            bus,
            board: Board::default(),
            paths,
            tasks,
        });
        Self::begin(context, Arc::new(ingest), version, loaded)
    }

    /// As [`Self::open`], on whatever journal, capture and archive.
    pub(crate) fn begin(
        context: Context,
        archive: Arc<dyn Archive>,
        version: String,
        loaded: Loaded,
    ) -> Self {
        let started_at = context.clock.now();
        let shared = Shared {
            inner: Mutex::new(Inner::default()),
            context,
            archive,
            kept: KnownCopies::default(),
            changed: Teller::new(0),
            told: broadcast::Sender::new(super::waiting::TOLD),
            last_told: Mutex::default(),
            registering: tokio::sync::Mutex::new(()),
            started_at,
            version,
        };
        let registry = Self {
            shared: Arc::new(shared),
        };
        registry.load(loaded);
        registry
    }

    fn load(&self, loaded: Loaded) {
        let mut saved: BTreeMap<InstanceId, Saved> = loaded.instances.into_iter().collect();
        let mut rows = loaded.processes;
        rows.sort_by_key(|row| row.position);
        let count = rows.len();
        let listens = |row: &&ProcessRow| {
            let runs = |(id, saved): (&InstanceId, &Saved)| {
                id.process == row.spec.name && saved.state.has_process()
            };
            row.desired == Desired::Online || saved.iter().any(runs)
        };
        let sockets = rows.iter().filter(listens);
        let sockets = sockets.map(|row| (row.spec.name.clone(), row.spec.config.listen.clone()));
        self.context().launcher.inherit_sockets(sockets.collect());
        let mut inner = self.inner();
        inner.groups = loaded
            .groups
            .into_iter()
            .map(|group| (group.name.clone(), group))
            .collect();
        let (mut unfinished, mut shrinking, mut due) = (Vec::new(), Vec::new(), Vec::new());
        for mut row in rows {
            inner.share_environment(Arc::make_mut(&mut row.spec));
            let mut entry = self.entry_of(row);
            let name = entry.name().clone();
            // What runs is taken over, also beyond the wanted number: it must not be lost. A
            // daemon died while it scaled down, and what is too much is stopped below.
            let is_due = entry.row.is_due(&saved);
            let last = saved
                .keys()
                .filter(|id| id.process == name)
                .map(|id| id.index + 1)
                .max()
                .unwrap_or(0);
            for index in 0..entry.count().max(last) {
                let id = InstanceId::new(name.clone(), index);
                let saved = saved.remove(&id).unwrap_or_default();
                let is_surplus = index >= entry.count();
                let start = match is_surplus {
                    false => InstanceHandle::start,
                    // Nobody starts it until it is stopped.
                    true => InstanceHandle::start_surplus,
                };
                let (spec, context) = (Arc::clone(&entry.spec), self.context().clone());
                let handle = start(id, spec, Some(saved), context);
                entry.handles.push(handle);
            }
            if let Some(removal) = entry.row.removal {
                unfinished.push((name, removal));
            } else if is_due {
                due.push(name);
            } else if last > entry.count() {
                shrinking.push(name);
            }
            inner.processes.push(entry);
        }
        drop(inner);
        self.refresh_order();
        for (id, saved) in saved {
            if !matches!(saved.state, State::Stopped) {
                error!(process = %id.process, instance = id.index, "A recorded instance belongs to no process.");
            }
        }
        for name in shrinking {
            let registry = self.clone();
            self.context().tasks.spawn("finish scaling", async move {
                if let Err(error) = registry.shrink(&name).await {
                    error!(process = %name, %error, "Its scaling down could not be finished.");
                }
            });
        }
        self.finish_due(due);
        for (name, removal) in unfinished {
            let registry = self.clone();
            self.context().tasks.spawn("finish deletion", async move {
                info!(process = %name, "Finishing its deletion.");
                let done = registry.finish_removal(&name, removal).await;
                if let Some(error) = done.error {
                    error!(process = %name, %error, "It could not be deleted.");
                }
            });
        }
        info!(processes = count, "The registry is up.");
        self.bump();
    }

    /// An entry without instances.
    pub(super) fn entry_of(&self, row: ProcessRow) -> Entry {
        let spec = Arc::clone(&row.spec);
        let keeper = match row.removal {
            None => keeper::Keeper::start(self, &spec),
            Some(_) => None,
        };
        Entry {
            row,
            spec,
            handles: Vec::new(),
            keeper,
            lock: Arc::default(),
            stopped: Moment::default(),
            held: BTreeMap::new(),
        }
    }

    /// Tells the board who depends on whom, after the set of processes or groups has changed.
    pub(super) fn refresh_order(&self) {
        let inner = self.inner();
        let order = inner.order();
        for entry in &inner.processes {
            let name = entry.name();
            self.context()
                .board
                .depends(name, order.before(name).cloned().collect());
        }
    }
}

impl Inner {
    /// Takes the surroundings of a definition from one that has the same.
    pub(super) fn share_environment(&self, spec: &mut ProcessSpec) {
        let mut known = self.processes.iter().map(|entry| &entry.spec.env.os);
        if let Some(known) = known.find(|known| *known == &spec.env.os) {
            spec.env.os = known.clone();
        }
    }

    /// The order of everything that is registered.
    pub(super) fn order(&self) -> super::graph::Order {
        super::graph::Order::of(
            self.processes.iter().map(|entry| &*entry.spec),
            self.groups.values(),
        )
    }
}
