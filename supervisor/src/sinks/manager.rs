//! All sinks of the settings: started, replaced and ended as the settings change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use globset::{Glob, GlobMatcher};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dead::DeadLetters;
use super::place::PlaceFile;
use super::runner::{self, Runner};
use super::status::{Shown, SinkState, SinkStatus};
use super::{Sent, Sink, SinkError};
use crate::clock::Clock;
use crate::config::{DaemonConfig, SinkConfig};
use crate::logs::Level;
use crate::logs::feed::{Bounds, Feed, FeedLine, Inbox, Places};
use crate::paths::Paths;
use crate::tasks::Tasks;

/// How often a flush looks whether it is over.
const FLUSH_LOOK: Duration = Duration::from_millis(10);

/// The sinks there are. Clones are the same.
#[derive(Debug, Clone)]
pub struct Sinks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tasks: Tasks,
    feed: Feed,
    paths: Paths,
    clock: Clock,
    running: Mutex<BTreeMap<String, Running>>,
}

/// A sink of the settings.
#[derive(Debug)]
struct Running {
    config: SinkConfig,
    shown: Shown,
    /// What inboxes of former settings dropped.
    dropped_before: u64,
    work: Option<Work>,
}

#[derive(Debug)]
struct Work {
    inbox: Arc<Inbox>,
    cancel: CancellationToken,
    tasks: [JoinHandle<()>; 2],
}

impl Sinks {
    /// Starts what the settings say, and follows them.
    pub fn start(
        tasks: &Tasks,
        feed: Feed,
        paths: &Paths,
        clock: &Clock,
        mut settings: watch::Receiver<Arc<DaemonConfig>>,
    ) -> Self {
        let sinks = Self {
            shared: Arc::new(Shared {
                tasks: tasks.clone(),
                feed,
                paths: paths.clone(),
                clock: clock.clone(),
                running: Mutex::default(),
            }),
        };
        let (followed, cancel) = (sinks.clone(), tasks.token());
        tasks.spawn("sinks", async move {
            loop {
                let config = settings.borrow_and_update().clone();
                followed.apply(&config.sinks).await;
                tokio::select! {
                    () = cancel.cancelled() => return,
                    changed = settings.changed() => if changed.is_err() { return },
                }
            }
        });
        sinks
    }

    /// Every sink of the settings, by name.
    pub fn status(&self) -> Vec<SinkStatus> {
        let running = self.shared.lock();
        running.values().map(Running::status).collect()
    }

    /// Lets every sink that is not down send what was printed until now, at most for this time.
    pub async fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut open: Vec<(Arc<Inbox>, u64, Shown)> = {
            let running = self.shared.lock();
            let works = running.values().filter_map(|sink| {
                let work = sink.work.as_ref()?;
                Some((work.inbox.clone(), work.inbox.hurry(), sink.shown.clone()))
            });
            works.collect()
        };
        loop {
            open.retain(|(inbox, since, shown)| {
                shown.lock().state != SinkState::Down && !inbox.is_through(*since)
            });
            if open.is_empty() || Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep(FLUSH_LOOK).await;
        }
    }

    /// Brings about what the settings say. One that did not change goes on undisturbed.
    async fn apply(&self, wanted: &BTreeMap<String, SinkConfig>) {
        let changed: Vec<String> = {
            let running = self.shared.lock();
            let changed = running
                .iter()
                .filter(|(name, old)| wanted.get(*name) != Some(&old.config));
            changed.map(|(name, _)| name.clone()).collect()
        };
        for name in &changed {
            self.end(name).await;
            if !wanted.contains_key(name) {
                self.shared.lock().remove(name);
                self.place_file(name).remove();
            }
        }
        for (name, config) in wanted {
            // One that is replaced stays in sight, with its counters.
            let old = {
                let running = self.shared.lock();
                running
                    .get(name)
                    .map(|old| (old.shown.clone(), old.dropped_before))
            };
            if old.is_none() || changed.contains(name) {
                let running = self.begin(name, config, old).await;
                self.shared.lock().insert(name.clone(), running);
            }
        }
    }

    /// Ends the work of a sink and waits for that.
    async fn end(&self, name: &str) {
        let work = {
            let mut running = self.shared.lock();
            let sink = running.get_mut(name);
            sink.and_then(|sink| {
                let work = sink.work.take()?;
                sink.dropped_before += work.inbox.dropped();
                Some(work)
            })
        };
        if let Some(work) = work {
            work.cancel.cancel();
            for task in work.tasks {
                // A panic was told where it happened; either way it has ended.
                let _ = task.await;
            }
        }
    }

    fn place_file(&self, name: &str) -> PlaceFile {
        PlaceFile::new(&self.shared.paths.sinks(), name)
    }

    async fn begin(&self, name: &str, config: &SinkConfig, old: Option<(Shown, u64)>) -> Running {
        let Shared {
            tasks,
            feed,
            paths,
            clock,
            ..
        } = &*self.shared;
        let (shown, dropped_before) = old.unwrap_or_else(|| (Shown::new(name, config.kind), 0));
        {
            let mut shown = shown.lock();
            shown.kind = config.kind;
            shown.queued = 0;
            shown.state = if config.enabled {
                SinkState::Idle
            } else {
                SinkState::Off
            };
        }
        let mut running = Running {
            config: config.clone(),
            shown: shown.clone(),
            dropped_before,
            work: None,
        };
        if !config.enabled {
            return running;
        }
        let file = self.place_file(name);
        let saved = {
            let file = file.clone();
            tokio::task::spawn_blocking(move || file.load()).await
        };
        let places = saved
            .ok()
            .flatten()
            .unwrap_or_else(|| Places::from_now(clock));
        let bounds = Bounds {
            lines: config.queue,
            ..Bounds::default()
        };
        let filter = Filter::new(config);
        let inbox = feed.subscribe(places, bounds, move |line| filter.takes(line));
        let cancel = tasks.token().child_token();
        let runner = Runner {
            name: name.to_owned(),
            config: config.clone(),
            sink: super::make(config).unwrap_or_else(|error| Box::new(Broken(error))),
            inbox: inbox.clone(),
            shown,
            dead: DeadLetters::new(&paths.sinks(), name),
            clock: clock.clone(),
            cancel: cancel.clone(),
            failures: 0,
        };
        let saver = runner::save(inbox.clone(), file, cancel.clone());
        running.work = Some(Work {
            inbox,
            cancel,
            tasks: [
                tasks.spawn(format!("sink {name}"), runner.run()),
                tasks.spawn(format!("place of sink {name}"), saver),
            ],
        });
        running
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn status(&self) -> SinkStatus {
        let mut status = self.shown.lock().clone();
        status.dropped = self.dropped_before + status.rejected;
        if let Some(work) = &self.work {
            status.dropped += work.inbox.dropped();
            status.queued += work.inbox.queued() as u64;
        }
        status
    }
}

/// Which lines a sink is for.
struct Filter {
    processes: Option<GlobMatcher>,
    level: Option<Level>,
}

impl Filter {
    fn new(config: &SinkConfig) -> Self {
        let glob = Glob::new(&config.processes).ok();
        Self {
            // The settings were checked; what is no glob takes all.
            processes: glob
                .filter(|_| config.processes != "*")
                .map(|glob| glob.compile_matcher()),
            level: config.level,
        }
    }

    fn takes(&self, line: &FeedLine) -> bool {
        let level = line.level.unwrap_or(Level::Info);
        self.level.is_none_or(|least| level >= least)
            && self
                .processes
                .as_ref()
                .is_none_or(|glob| glob.is_match(line.process.as_str()))
    }
}

/// A sink whose settings cannot work. It says so, and its lines wait.
struct Broken(SinkError);

#[async_trait]
impl Sink for Broken {
    async fn send(&mut self, _batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
        Err(SinkError::Retry(self.0.to_string()))
    }
}
