//! Joins the notifications to the daemon.
//!
//! ```text
//!   bus, table of events ──► events ─┐
//!   agent ────────────────► stories ─┼─► redacted ──► Notifier (rules, outbox, workers)
//!   disk, sinks ──────────► watch ───┤                   ▲
//!   what is open ─────────► ends ────┘                   │
//!   config.toml ──► settings ────────────────────────────┘      port ◄── gate ◄── everybody
//! ```
//!
//! Only adapters stand here: who is told what and when is decided by the rules in `chat`, and
//! what happened by those whom it happened to. Nobody waits for a message: what happens is read
//! from the bus, and from its table where the bus was faster. Without a channel in the settings
//! nothing of this is opened.

mod ends;
mod events;
mod heard;
mod news;
mod port;
mod reader;
mod settings;
mod stories;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use chat::notify::{Bots, Notice, Notifier, NotifyError, Setup, Templates};
use chat::store::Store;
use supervisor::config::DaemonConfig;
use supervisor::sinks::Sinks;
use supervisor::store::StoreHandle;
use supervisor::{Bus, Clock, EventId, Paths, RegistryHandle, Tasks};
use tokio::sync::watch as tokio_watch;
use tracing::{error, warn};

use super::chat::Memory;
use super::gate::Gate;
use super::wiring::Redactors;
pub(crate) use news::{Ears, News, Reporter};

/// What the notifications are joined to.
pub(crate) struct NotifyWires {
    /// Where the methods are opened, and the way to what the agent knows.
    pub(crate) gate: Arc<Gate>,
    /// Knows every process.
    pub(crate) registry: RegistryHandle,
    /// Says that something happened.
    pub(crate) bus: Bus,
    /// Past events.
    pub(crate) events: StoreHandle,
    /// The newest event from before this daemon.
    pub(crate) heard: EventId,
    /// Hears of the agent.
    pub(crate) reporter: Reporter,
    /// Where log lines go.
    pub(crate) sinks: Sinks,
    /// The chats' database.
    pub(crate) memory: Memory,
    /// The bots that are connected.
    pub(crate) bots: Arc<dyn Bots>,
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The time.
    pub(crate) clock: Clock,
    /// Where tasks run.
    pub(crate) tasks: Tasks,
    /// The settings in force, and those that follow.
    pub(crate) settings: tokio_watch::Receiver<Arc<DaemonConfig>>,
}

/// What is open, once it is. Clones are the same.
#[derive(Clone, Default)]
struct Opened(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: Option<(Notifier, Store)>,
    failure: Option<String>,
}

impl Opened {
    fn get(&self) -> Option<(Notifier, Store)> {
        self.lock().open.clone()
    }

    fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the methods, and tells what happens as soon as there is a channel.
pub(crate) fn start(wires: NotifyWires) {
    let opened = Opened::default();
    wires.gate.register(Arc::new(port::NotifyPort {
        opened: opened.clone(),
        registry: wires.registry.clone(),
        settings: wires.settings.clone(),
        clock: wires.clock.clone(),
        gate: Arc::downgrade(&wires.gate),
    }));
    let (tasks, token) = (wires.tasks.clone(), wires.tasks.token());
    tasks.spawn("notifications", async move {
        let life = Box::pin(live(wires, opened));
        token.run_until_cancelled(life).await;
    });
}

/// Tells, once secrets are taken out.
#[derive(Clone)]
struct Voice {
    notifier: Notifier,
    redactors: Redactors,
    registry: RegistryHandle,
}

impl Voice {
    /// Tells of one thing. What cannot be told is said in the log.
    async fn tell(&self, notice: Notice) {
        let [notice] = &mut self.redacted(vec![notice]).await[..] else {
            return;
        };
        // What the definition says of a process holds for what the agent says of it, too.
        let standing = (notice.process.parse().ok())
            .and_then(|process| self.registry.standing(&process, None));
        let wish = standing.as_ref().map(heard::wish).unwrap_or_default();
        let told = self.notifier.tell(notice.clone(), wish);
        if let Err(error) = told.await
            && error != NotifyError::Gone
        {
            warn!(%error, "It could not be told.");
        }
    }

    /// Without secrets, and bounded. Off the runtime, since lines may be long.
    async fn redacted(&self, notices: Vec<Notice>) -> Vec<Notice> {
        let redactor = self.redactors.for_guest(Default::default()).await;
        let made = tokio::task::spawn_blocking(move || {
            let redact = |text: String| redactor.redact(&text);
            let notices = notices.into_iter();
            notices.map(|one| one.tidied(&redact)).collect()
        });
        // Rather nothing than what was not looked through.
        made.await.unwrap_or_default()
    }
}

async fn live(wires: NotifyWires, opened: Opened) {
    let mut settings = wires.settings.clone();
    let nobody = |config: &DaemonConfig| config.notifications.channels.is_empty();
    let at_start = !nobody(&settings.borrow_and_update());
    // Nothing is opened before there is somebody to tell.
    while nobody(&settings.borrow_and_update()) {
        if settings.changed().await.is_err() {
            return;
        }
    }
    // What happened before anybody wanted to hear of it is not told.
    let cursor = match at_start {
        true => events::From::Boot(wires.heard),
        false => events::From::Now(events::newest(&wires.events).await),
    };
    let store = match wires.memory.open().await {
        Ok(store) => store,
        Err(error) => {
            error!(%error, "Nobody is told anything.");
            opened.lock().failure = Some(error);
            return;
        }
    };
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let setup = Setup {
        channels: settings::channels(&settings.borrow_and_update()),
        templates: Templates::new(wires.paths.home().join("templates/notify")),
        store: store.clone(),
        clock: wires.clock.clone(),
        // Each notice has been looked through before it is told.
        redact: Arc::new(|text| text),
        host,
        bots: wires.bots.clone(),
    };
    let notifier = match Notifier::start(setup, &wires.tasks).await {
        Ok(notifier) => notifier,
        Err(error) => {
            error!(%error, "Nobody is told anything.");
            opened.lock().failure = Some(error.to_string());
            return;
        }
    };
    opened.lock().open = Some((notifier.clone(), store.clone()));
    let voice = Voice {
        notifier: notifier.clone(),
        redactors: Redactors::new(wires.registry.clone(), wires.settings.clone()),
        registry: wires.registry.clone(),
    };
    let mut reporter = wires.reporter;
    if at_start {
        voice.tell(watch::started(wires.clock.now())).await;
    } else {
        reporter.forget();
    }
    let events = events::Follow {
        voice: voice.clone(),
        registry: wires.registry.clone(),
        bus: wires.bus,
        table: wires.events,
        clock: wires.clock.clone(),
    };
    let reader = reader::Reader(wires.gate.clone());
    let seen = watch::Seen::default();
    let ends = ends::Ends {
        voice: voice.clone(),
        reader: reader.clone(),
        sinks: wires.sinks.clone(),
        paths: wires.paths.clone(),
        clock: wires.clock.clone(),
        seen: seen.clone(),
        back: Arc::default(),
    };
    let clock = wires.clock.clone();
    let stories = stories::Stories::new(voice.clone(), reader, ends.clone(), store, clock);
    let follow = async {
        while settings.changed().await.is_ok() {
            let channels = settings::channels(&settings.borrow_and_update());
            if notifier.reconfigure(channels).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(
        events.run(cursor),
        stories.run(&mut reporter),
        ends.run(),
        watch::disk(&voice, &seen, &wires.paths, &wires.clock),
        watch::sinks(&voice, &seen, &wires.sinks, &wires.clock),
        follow,
    );
}
