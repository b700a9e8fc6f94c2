//! The connection that everything comes in by.
//!
//! ```text
//!   open() ──► Life ──► inbox ──► next() ──► receive()
//!                └ the session ──► open()
//! ```
//!
//! A connection has a task of its own, which is its life. What breaks it ends the task and is
//! told by the next `receive`; the session is kept, so that the next connection misses nothing.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use supervisor::config::is_here;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use twilight_gateway::queue::InMemoryQueue;
use twilight_gateway::{ConfigBuilder, Intents, Session, Shard, ShardId};
use twilight_model::gateway::payload::outgoing::identify::IdentifyProperties;

use super::answers::Answers;
use super::api::Api;
use super::commands::Listed;
use super::inbox::Inbox;
use super::life::Life;
use super::places::Places;
use super::suggest::Names;
use super::wire::{Entrance, Me};
use crate::again::Again;
use crate::{ChatError, Incoming};

/// What is wanted of Discord: messages in servers and in private chats. Neither is privileged:
/// what is written to the bot and where it is mentioned has its text all the same, and commands
/// and buttons come without being asked for.
const INTENTS: Intents = Intents::GUILD_MESSAGES.union(Intents::DIRECT_MESSAGES);
/// How long a connection may take to be there. Discord lets one bot introduce itself every
/// five seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is connected again at once, though none of them lived: after a break the
/// session may be forgotten, and the introduction too early. Then it is told, and whoever
/// connects again takes more time for each.
const FREE: u32 = 3;

/// The connection of a bot, and what came in by it.
pub(super) struct Gateway {
    api: Arc<Api>,
    answers: Arc<Answers>,
    places: Places,
    shared: Arc<Shared>,
    /// Held while a connection is made.
    task: tokio::sync::Mutex<Option<Ends>>,
    /// Lets one introduction through every five seconds, over all connections. Made with the
    /// first one, since it has a task.
    queue: OnceLock<InMemoryQueue>,
}

/// What the task and the bot both see.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
    pub(super) names: Option<Names>,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) inbox: Inbox,
    pub(super) listed: Listed,
    /// The session that the next connection goes on with, and where.
    pub(super) session: Option<(Session, Option<String>)>,
    /// How many connections have ended soon, over all lives.
    pub(super) again: Again,
}

#[derive(Default, Clone)]
pub(super) enum Phase {
    /// There is no connection, and there was no reason to tell of.
    #[default]
    Idle,
    /// The task runs, and Discord has not greeted yet.
    Opening,
    /// Events come in.
    Open,
    /// It ended.
    Broken(ChatError),
}

/// Ends the task of a connection that nobody wants any more.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Gateway {
    pub(super) fn new(api: Arc<Api>, answers: Arc<Answers>, names: Option<Names>) -> Self {
        let state = State {
            phase: Phase::default(),
            inbox: Inbox::default(),
            listed: Listed::default(),
            session: None,
            again: Again::new(FREE, PATIENCE),
        };
        Self {
            places: Places::new(Arc::clone(&api)),
            api,
            answers,
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
                names,
            }),
            task: tokio::sync::Mutex::default(),
            queue: OnceLock::new(),
        }
    }

    /// Makes sure that there is a connection.
    pub(super) async fn open(&self, me: &Me) -> Result<(), ChatError> {
        let mut task = self.task.lock().await;
        {
            let mut shared = self.shared.lock();
            if matches!(shared.phase, Phase::Open) {
                // What could not be put on record is handed out once more.
                shared.inbox.again();
                drop(shared);
                self.shared.changed.notify_one();
                return Ok(());
            }
        }
        *task = None;
        let entrance: Entrance = self.api.get("/gateway/bot").await?;
        let session = self.shared.lock().session.clone();
        let limit = &entrance.session_start_limit;
        if session.is_none() && limit.remaining == 0 {
            // More than a thousand a day cost the bot its token.
            let after = Duration::from_millis(limit.reset_after);
            return Err(ChatError::TooFast { after });
        }
        let shard = self.shard(&self.entrance(&entrance.url)?, session);
        self.shared.lock().phase = Phase::Opening;
        let (shared, api) = (Arc::clone(&self.shared), Arc::clone(&self.api));
        let life = Life::new(shared, api, Arc::clone(&self.answers), me.clone());
        let running = tokio::spawn(life.run(shard));
        *task = Some(Ends(running.abort_handle()));
        let greeted = tokio::time::timeout(PATIENCE, self.greeted()).await;
        greeted.unwrap_or_else(|_| {
            *task = None;
            Err(ChatError::Unavailable(
                "Discord's gateway does not greet".into(),
            ))
        })
    }

    async fn greeted(&self) -> Result<(), ChatError> {
        loop {
            let changed = self.shared.changed.notified();
            match self.shared.lock().phase.clone() {
                Phase::Open => return Ok(()),
                Phase::Broken(error) => return Err(error),
                Phase::Idle | Phase::Opening => {}
            }
            changed.await;
        }
    }

    /// The next thing that came in. `None` when there is no connection and never was one.
    pub(super) async fn next(&self) -> Result<Option<Incoming>, ChatError> {
        loop {
            let changed = self.shared.changed.notified();
            let item = {
                let mut state = self.shared.lock();
                let item = state.inbox.next();
                match &state.phase {
                    _ if item.is_some() => {}
                    Phase::Idle => return Ok(None),
                    Phase::Broken(error) => return Err(error.clone()),
                    Phase::Opening | Phase::Open => {}
                }
                item
            };
            match item {
                Some(item) if item.unplaced => self.find(item.incoming.place.chat),
                Some(item) => return Ok(Some(item.incoming)),
                None => changed.await,
            }
        }
    }

    /// Finds out whether a channel is a thread; what came from there comes again then.
    fn find(&self, channel: String) {
        let shared = Arc::clone(&self.shared);
        let of = channel.clone();
        self.places.find(&channel, move |place| {
            shared.lock().inbox.place(&of, &place);
            shared.tell();
        });
    }

    /// It is on record.
    pub(super) fn take(&self, delivery: &str) {
        self.shared.lock().inbox.take(delivery);
    }

    /// These commands are listed, with their arguments in order.
    pub(super) fn list(&self, listed: Listed) {
        self.shared.lock().listed = listed;
    }

    /// An address of a gateway that the token may travel to.
    fn entrance(&self, url: &str) -> Result<String, ChatError> {
        let safe = Url::parse(url).is_ok_and(|parsed| {
            parsed.scheme() == "wss"
                || (parsed.scheme() == "ws" && is_here(url) && self.api.is_here())
        });
        if safe {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let told = self.api.told(url);
        Err(ChatError::Refused(format!(
            "`{told}` is no address of a gateway"
        )))
    }

    fn shard(&self, url: &str, session: Option<(Session, Option<String>)>) -> Shard<InMemoryQueue> {
        let token = self.api.token().expose().to_owned();
        let mut config = ConfigBuilder::new(token, INTENTS)
            .identify_properties(IdentifyProperties::new(
                "mhost",
                "mhost",
                std::env::consts::OS,
            ))
            .proxy_url(url.to_owned())
            .queue(self.queue.get_or_init(InMemoryQueue::default).clone());
        if let Some((session, url)) = session {
            config = config.session(session);
            if let Some(url) = url {
                config = config.resume_url(url);
            }
        }
        Shard::with_config(ShardId::ONE, config.build())
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, phase: Phase) {
        self.lock().phase = phase;
        self.changed.notify_waiters();
    }

    /// Something is other than before.
    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
    }
}
