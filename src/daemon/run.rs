//! The daemon proper, from its first line to its last.
//!
//! ```text
//!   lock ──► store ──► ingest, sampler ──► registry (adopts) ──► gate ──► socket ──► ready
//!   end:  gate closes ──► processes stop ──► tasks ──► logs ──► store ──► socket, pid file
//! ```
//!
//! This file only puts parts together and takes them apart again in the right order.

mod parts;
mod runtime;
mod signals;
mod start_error;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use brain::BrainStore;
use rustix::fs::Mode;
use supervisor::audit::Audit;
use supervisor::logs::Ingest;
use supervisor::logs::feed::Feed;
use supervisor::metrics::Metrics;
use supervisor::sinks::Sinks;
use supervisor::store::{EventFilter, StoreThread};
use supervisor::sys::{self, EXIT_FOR_UPGRADE, OsLauncher};
use supervisor::{
    Bus, Caller, Clock, Command, Control, Foundation, Paths, RegistryHandle, Reply, Sampler, Tasks,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::audit_port::AuditPort;
use super::chat::{self, ChatWires, Memory, Teller};
use super::dispatch::{Dispatcher, End};
use super::gate::Gate;
use super::guarded::Guarded;
use super::logs;
use super::metrics::{Collector, Endpoint, LogFigures, MetricsPort, SinkFigures};
use super::notify::{self, NotifyWires, Reporter};
use super::pid_file::PidFile;
use super::rpc::{Home, Server, Socket};
use super::settings::{Settings, log_to_stderr};
use super::sinks_port::SinksPort;
use super::systemd::Systemd;
use super::trouble::Troubles;
use super::upgrade::UpgradePort;
use super::wiring::{self, Wires};
use parts::{close_databases, follow_metrics, limits, open_store, reopen_log};
use signals::Signals;
pub(super) use start_error::{StartError, cannot, with_source};
use timers::{again, every, on_beat, over, tick};

/// How long tasks may take to end once their work is done.
const TASK_PATIENCE: Duration = Duration::from_secs(5);
/// How long sinks may take for what was printed last.
const SINK_PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait at least between two new guards.
const GUARD_PAUSE: Duration = Duration::from_secs(1);
/// How long after the start, or the last event, what only that needed is given back.
const SETTLED: Duration = Duration::from_secs(10);
/// How the names of the methods begin that are opened when the socket is served already: of the
/// brain and the agent, of the chats and the notifications.
const OPENED_LAST: &[&str] = &["brain.", "agent.", "ai.", "bot.", "notify."];
/// How often it is given back while nothing happens: what looks at all processes every few
/// seconds touches code all over the program.
const SPARE: Duration = Duration::from_secs(5);
/// How often the clock is set anew.
const REANCHOR: Duration = Duration::from_secs(60);

/// Runs the daemon proper. Returns the exit code of the process.
pub(crate) fn run(paths: &Paths, resurrect: bool) -> u8 {
    // Before anything else is opened: it takes a descriptor by its number.
    let guard = Guarded::from_env();
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let level = log_to_stderr();
    let (code, passes) = match start(paths, &guard, level, resurrect) {
        Ok(End::Stop) => (0, false),
        Ok(End::Upgrade) => (u8::try_from(EXIT_FOR_UPGRADE).unwrap_or(u8::MAX), false),
        Err(error) => {
            error!(%error, "The daemon could not start.");
            (1, error.may_pass())
        }
    };
    if let Some(guard) = guard.link() {
        match passes {
            true => guard.later(i32::from(code)),
            false => guard.bye(i32::from(code)),
        }
    }
    code
}

fn start(
    paths: &Paths,
    guard: &Guarded,
    level: super::settings::Level,
    resurrect: bool,
) -> Result<End, StartError> {
    paths.create()?;
    if let Err(error) = sys::set_subreaper() {
        warn!(%error, "Orphans of processes cannot be collected on this system.");
    }
    sys::raise_nofile();
    // Fails only when one is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    sys::share_heaps();
    sys::small_databases();
    let runtime = runtime::build(guard)?;
    runtime.block_on(async {
        let lock = PidFile::take(paths).await?;
        let settings = Settings::load(paths, level);
        let mut daemon = Daemon::open(paths, guard.clone(), settings).await?;
        let end = daemon.live(resurrect).await;
        let code = daemon.close(end).await;
        drop(lock);
        Ok(code)
    })
}

/// All parts, put together.
struct Daemon {
    paths: Paths,
    clock: Clock,
    guard: Guarded,
    /// Not before this time is another guard started.
    next_guard: Instant,
    settings: Settings,
    store_thread: StoreThread,
    ingest: Ingest,
    sinks: Sinks,
    /// Of the supervisor: instances, probes, sampler.
    tasks: Tasks,
    registry: RegistryHandle,
    bus: Bus,
    gate: Arc<Gate>,
    brain: Option<BrainStore>,
    chats: Memory,
    /// Of the socket: ends last, so that a client sees the daemon until it is gone.
    rpc_tasks: Tasks,
    ends: mpsc::Receiver<End>,
    signals: Signals,
    systemd: Systemd,
}

impl Daemon {
    async fn open(paths: &Paths, guard: Guarded, settings: Settings) -> Result<Self, StartError> {
        let signals = Signals::listen().map_err(cannot("listen to signals"))?;
        let clock = Clock::system();
        let (tasks, rpc_tasks) = (Tasks::new(), Tasks::new());
        let (store, store_thread) = open_store(paths, &clock).await?;
        let loaded = store.load().await?;
        let newest = EventFilter {
            limit: 1,
            ..EventFilter::default()
        };
        let heard = store.events(newest).await?;
        let heard = heard.first().map_or(0, |event| event.id);
        let ingest = Ingest::start_with(paths, &clock, limits(&settings))
            .map_err(cannot("start to read logs"))?;
        ingest
            .start_index_with(paths, logs::retention(&settings, &tasks))
            .map_err(cannot("start the index of the logs"))?;
        let bus = Bus::new();
        let sampler = Sampler::start(&tasks, &clock);
        let launcher = if settings.current().daemon.control_groups {
            OsLauncher::new(paths.clone())
        } else {
            OsLauncher::without_cgroups(paths.clone())
        };
        let registry = RegistryHandle::open(
            Foundation {
                clock: clock.clone(),
                launcher: Arc::new(launcher),
                store: store.clone(),
                ingest: ingest.clone(),
                sampler: sampler.clone(),
                bus: bus.clone(),
                paths: paths.clone(),
                tasks: tasks.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            loaded,
        );
        let (end, ends) = mpsc::channel(1);
        let (home, troubles) = (Home::default(), Troubles::default());
        let audit = Audit::new(paths, clock.clone());
        if let Err(error) = audit.prepare() {
            warn!(%error, "The audit log cannot be opened.");
        }
        let dispatch = Dispatcher {
            registry: registry.clone(),
            settings: settings.clone(),
            home: home.clone(),
            troubles: troubles.clone(),
            end: end.clone(),
        };
        let collector = Collector::start(registry.clone(), &bus, &store, &clock, &tasks);
        let past = Metrics::start(
            paths,
            &clock,
            &sampler,
            &tasks,
            follow_metrics(&settings, &sampler, &tasks),
        );
        let metrics = MetricsPort {
            registry: registry.clone(),
            metrics: past.clone(),
            endpoint: Endpoint::start(
                collector.clone(),
                settings.watch(),
                paths.metrics_switch(),
                &tasks,
            ),
            clock: clock.clone(),
        };
        let gate = Arc::new(Gate::new(Arc::new(dispatch), audit.clone(), bus.clone()));
        gate.register(Arc::new(metrics));
        gate.register(Arc::new(AuditPort::new(audit.clone())));
        gate.register(Arc::new(UpgradePort {
            guard: guard.clone(),
            end,
        }));
        let instances = registry.clone();
        let feed = Feed::new(
            &tasks,
            ingest.clone(),
            clock.clone(),
            Arc::new(move || instances.feed_sources()),
        );
        logs::tell_of_patterns(&registry, &ingest, &clock, &tasks);
        collector.add(Arc::new(LogFigures {
            ingest: ingest.clone(),
        }));
        let sinks = Sinks::start(&tasks, feed, paths, &clock, settings.watch());
        collector.add(Arc::new(SinkFigures {
            sinks: sinks.clone(),
        }));
        gate.register(Arc::new(SinksPort {
            sinks: sinks.clone(),
        }));
        gate.announce(OPENED_LAST);
        let socket = Socket::open(paths.clone(), home)
            .await
            .map_err(cannot(format!("open {}", paths.socket().display())))?;
        let server = Server::new(gate.clone(), rpc_tasks.clone(), ingest.grew());
        rpc_tasks.spawn("rpc server", server.serve(socket));
        let (teller, reporter) = (Teller::new(), Reporter::new());
        // Last, since nobody who asks about processes should wait for playbooks.
        let brain = wiring::start(Wires {
            gate: gate.clone(),
            registry: registry.clone(),
            store: store.clone(),
            metrics: past,
            heard,
            sampler,
            ingest: ingest.clone(),
            paths: paths.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: settings.watch(),
            collector,
            troubles,
            hears: teller.hears(),
            ears: reporter.ears(),
        })
        .await;
        let memory = Memory::new(paths, &clock);
        let bots = chat::start(ChatWires {
            gate: gate.clone(),
            registry: registry.clone(),
            audit,
            teller,
            memory: memory.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: settings.watch(),
        });
        notify::start(NotifyWires {
            gate: gate.clone(),
            registry: registry.clone(),
            bus: bus.clone(),
            events: store,
            heard,
            reporter,
            sinks: sinks.clone(),
            memory: memory.clone(),
            bots,
            paths: paths.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: settings.watch(),
        });
        gate.announce(&[]);
        Ok(Self {
            paths: paths.clone(),
            clock,
            guard,
            next_guard: Instant::now(),
            settings,
            store_thread,
            ingest,
            sinks,
            tasks,
            registry,
            bus,
            gate,
            brain,
            chats: memory,
            rpc_tasks,
            ends,
            signals,
            systemd: Systemd::from_env(),
        })
    }

    /// Works until somebody asks for the end.
    async fn live(&mut self, resurrect: bool) -> End {
        if let Some(guard) = self.guard.link() {
            guard.up();
        }
        self.systemd.ready("Ready.");
        info!(
            pid = std::process::id(),
            version = env!("CARGO_PKG_VERSION"),
            home = %self.paths.home().display(),
            "The daemon is up."
        );
        if resurrect {
            self.resurrect();
        }
        let mut reanchor = every(REANCHOR);
        let mut spare = on_beat(&self.clock, SPARE);
        let mut settled = Some(Box::pin(tokio::time::sleep(SETTLED)));
        let mut events = self.bus.subscribe();
        let mut watchdog = self.systemd.watchdog_interval().map(every);
        loop {
            tokio::select! {
                Some(end) = self.ends.recv() => return end,
                _ = self.signals.terminate.recv() => return End::Stop,
                _ = self.signals.interrupt.recv() => return End::Stop,
                _ = self.signals.hangup.recv() => self.reload_settings().await,
                _ = self.signals.reopen.recv() => reopen_log(&self.paths),
                _ = reanchor.tick() => self.each_minute(),
                _ = spare.tick() => {
                    if settled.is_none() {
                        give_back();
                    }
                    if self.settings.are_unread() {
                        self.reload_settings().await;
                    }
                }
                () = over(&mut settled) => give_back(),
                // Also of events that were missed.
                _ = events.recv() => again(&mut settled, SETTLED),
                () = tick(&mut watchdog) => self.systemd.watchdog(),
                () = guard_gone(&self.guard, self.next_guard) => self.replace_guard(),
            }
        }
    }

    /// Takes everything apart, the socket and the pid file last.
    async fn close(self, end: End) -> End {
        info!(?end, "The daemon ends.");
        self.systemd.stopping();
        self.gate.close();
        let daemon = self.settings.current().daemon.clone();
        let stop_children = end == End::Stop && daemon.stop_children_on_exit;
        let left = self
            .registry
            .close(stop_children, daemon.shutdown_timeout)
            .await;
        for process in left {
            error!(%process, "It did not stop in time and is left running.");
        }
        if stop_children {
            // Nobody may come who sends the last words of the processes.
            self.sinks.flush(SINK_PATIENCE).await;
        }
        for task in self.tasks.shutdown(TASK_PATIENCE).await {
            warn!(task, "A task did not end in time.");
        }
        close_databases(self.brain, &self.chats).await;
        let (ingest, store) = (self.ingest, self.store_thread);
        let flushed = tokio::task::spawn_blocking(move || {
            ingest.stop();
            store.close();
        });
        if flushed.await.is_err() {
            error!("The logs or the store could not be closed.");
        }
        for task in self.rpc_tasks.shutdown(TASK_PATIENCE).await {
            warn!(task, "A task did not end in time.");
        }
        info!("The daemon has ended.");
        end
    }

    /// Starts what was saved, once per guard: a daemon that follows a dead one adopts instead.
    fn resurrect(&self) {
        let marker = self.paths.resurrected();
        let guard = self
            .guard
            .link()
            .map_or_else(std::process::id, |guard| guard.pid().unsigned_abs());
        let own = format!("{guard} {}\n", sys::boot_id());
        match std::fs::read_to_string(&marker) {
            Ok(text) if text == own => return,
            Ok(text) if sys::boot_id().is_empty() && text.starts_with(own.trim_end()) => return,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                // What was stopped since must not be started.
                warn!(%error, "It is not known whether the saved processes were started; they are not.");
                return;
            }
            Ok(_) | Err(_) => {}
        }
        if let Err(error) = std::fs::write(&marker, own) {
            warn!(%error, "It cannot be noted that the saved processes were started.");
        }
        let gate = self.gate.clone();
        self.tasks.spawn("resurrect", async move {
            match gate
                .call(&Caller::system(), Command::Resurrect.into())
                .await
            {
                Ok(Reply::Started(outcome)) => {
                    for failed in outcome.processes.iter().filter(|one| one.error.is_some()) {
                        error!(process = %failed.name, error = failed.error, "It could not be started again.");
                    }
                }
                Ok(_) => {}
                Err(error) => error!(%error, "The saved processes could not be started."),
            }
        });
    }

    async fn reload_settings(&self) {
        let settings = self.settings.clone();
        let result = tokio::task::spawn_blocking(move || settings.reload()).await;
        if let Ok(Err(error)) = result {
            error!(%error, "config.toml is wrong; the former settings stay.");
        }
    }

    fn each_minute(&self) {
        self.clock.reanchor();
        self.systemd
            .status(&format!("{} processes.", self.registry.names().len()));
    }

    /// Starts a guard in the place of one that died.
    fn replace_guard(&mut self) {
        self.next_guard = Instant::now() + GUARD_PAUSE;
        warn!("The guard is gone; a new one is started.");
        match super::new_guard(&self.paths) {
            Ok(guard) => self.guard.replace(guard),
            Err(error) => {
                error!(%error, "No new guard could be started; it is tried again.");
            }
        }
    }
}

/// In the background: nobody waits for it.
fn give_back() {
    drop(tokio::task::spawn_blocking(sys::give_back));
}

async fn guard_gone(guard: &Guarded, not_before: Instant) {
    guard.gone().await;
    tokio::time::sleep_until(not_before).await;
}
