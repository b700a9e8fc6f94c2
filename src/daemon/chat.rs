//! Joins the chats to the daemon.
//!
//! ```text
//!   config.toml ──► bots ──► router ──► desk ──► gate
//!   agent ──changed──► story ──► threads ──► bots
//! ```
//!
//! Only adapters stand here: who may do what is decided by the router and the gate, and what an
//! incident is by the agent. Without `[bot]` nothing of this is opened.

mod bots;
mod desk;
mod made;
mod memory;
mod port;
mod redacted;
mod story;
mod tables;

use std::sync::Arc;

use chat::Pace;
use chat::router::Router;
use chat::thread::Threads;
use supervisor::audit::Audit;
use supervisor::config::DaemonConfig;
use supervisor::{Clock, RegistryHandle, Tasks};
use tokio::sync::watch;
use tracing::error;

use super::gate::Gate;
use super::wiring::Redactors;
use bots::{Base, Bots};
use desk::GateDesk;
pub(crate) use memory::Memory;
pub(crate) use story::{Hears, Teller};
pub(crate) use tables::{approvers, places, roles};

/// What the chats are joined to.
pub(crate) struct ChatWires {
    /// The way to act, and where the methods are opened.
    pub(crate) gate: Arc<Gate>,
    /// Knows the names of all processes.
    pub(crate) registry: RegistryHandle,
    /// Where attempts are put on record.
    pub(crate) audit: Audit,
    /// Hears of incidents.
    pub(crate) teller: Teller,
    /// What the chats remember.
    pub(crate) memory: Memory,
    /// The time.
    pub(crate) clock: Clock,
    /// Where tasks run.
    pub(crate) tasks: Tasks,
    /// The settings in force, and those that follow.
    pub(crate) settings: watch::Receiver<Arc<DaemonConfig>>,
}

/// Opens the methods, and connects the bots as soon as there are any. They are answered, for
/// who speaks through them.
pub(crate) fn start(wires: ChatWires) -> Arc<dyn chat::notify::Bots> {
    let bots = Arc::new(Bots::default());
    wires.gate.register(Arc::new(port::ChatPort {
        bots: bots.clone(),
        settings: wires.settings.clone(),
    }));
    let tasks = wires.tasks.clone();
    let (token, own) = (tasks.token(), bots.clone());
    tasks.spawn("chats", async move {
        let life = Box::pin(live(wires, own));
        token.run_until_cancelled(life).await;
    });
    bots
}

async fn live(wires: ChatWires, bots: Arc<Bots>) {
    let ChatWires {
        gate,
        registry,
        audit,
        teller,
        memory,
        clock,
        tasks,
        mut settings,
    } = wires;
    // Nothing is opened before somebody wants a chat.
    while settings.borrow_and_update().bot.is_none() {
        if settings.changed().await.is_err() {
            return;
        }
    }
    let store = match memory.open().await {
        Ok(store) => store,
        Err(error) => {
            error!(%error, "The chats are not connected.");
            bots.fail(&error);
            return;
        }
    };
    teller.listen();
    let redactors = Redactors::new(registry.clone(), settings.clone());
    let desk = Arc::new(GateDesk {
        gate,
        registry,
        audit,
        clock: clock.clone(),
    });
    let router = Arc::new(Router::new(
        desk.clone(),
        store.clone(),
        clock.clone(),
        Pace::default(),
    ));
    let threads = Threads::new(store.clone(), clock.clone(), tasks.clone());
    let base = Base {
        store,
        clock,
        tasks,
        redactors,
    };
    let hears = teller.hears();
    let told = story::tell(&teller, &desk, &threads);
    let follow = async {
        loop {
            let config = settings.borrow_and_update().clone();
            bots.follow(&config, &router, &threads, &base).await;
            story::catch_up(&hears, &desk, &threads).await;
            if settings.changed().await.is_err() {
                return;
            }
        }
    };
    // Beside it: whoever loses a right loses it at once, however slow a chat is.
    let expire = async {
        loop {
            tokio::time::sleep(EXPIRY).await;
            router.close_expired(&bots.channels()).await;
            router.close_copies(&bots.channels()).await;
        }
    };
    tokio::select! {
        () = async { tokio::join!(told, follow); } => {}
        () = expire => {}
    }
}

/// How often questions are looked at whose time may be over.
const EXPIRY: std::time::Duration = std::time::Duration::from_secs(5);
