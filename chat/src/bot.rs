//! One bot on one platform: connected, listening, and connected again.
//!
//! ```text
//!   connect ─► menu ─► what was left unanswered ─► receive ─► inbox ─► taken ─► router
//!      ▲                                              │ error
//!      └──────── wait 1 s, 2 s, … 60 s ◄──────────────┘
//! ```
//!
//! A platform that fails never ends anything but its own connection. Answers are worked on
//! beside each other, a bounded number at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::again::Again;
use crate::router::Router;
use crate::store::{Stage, Store, Taken};
use crate::{Channel, ChatError, Incoming, Platform, show};

/// Longest wait before it is connected again.
const LONGEST: Duration = Duration::from_secs(60);
/// Answers that are on their way; nothing more is received then. How many are worked on at once
/// is the router's business.
const WAITING: usize = 1_000;
/// How long answers may take once the bot is told to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a bot does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotStatus {
    /// Where.
    pub platform: Platform,
    /// Is it connected?
    pub connected: bool,
    /// As whom.
    pub name: Option<String>,
    /// Since when it is connected, or is not.
    pub since: Timestamp,
    /// What came in since the daemon started.
    pub messages: u64,
    /// Failures of the connection since then.
    pub errors: u64,
    /// The newest of them.
    pub last_error: Option<String>,
}

/// A bot. [`Bot::run`] is its life.
#[derive(Clone)]
pub struct Bot {
    channel: Arc<dyn Channel>,
    router: Arc<Router>,
    store: Store,
    clock: Clock,
    status: Arc<Mutex<BotStatus>>,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot").finish_non_exhaustive()
    }
}

impl Bot {
    /// A bot that is not connected yet.
    pub fn new(channel: Arc<dyn Channel>, router: Arc<Router>, store: Store, clock: Clock) -> Self {
        let status = BotStatus {
            platform: channel.platform(),
            connected: false,
            name: None,
            since: clock.now(),
            messages: 0,
            errors: 0,
            last_error: None,
        };
        Self {
            channel,
            router,
            store,
            clock,
            status: Arc::new(Mutex::new(status)),
        }
    }

    /// How it does.
    pub fn status(&self) -> BotStatus {
        self.lock().clone()
    }

    /// Its platform, for messages that nobody asked for.
    pub fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    /// Listens and answers until it is cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let mut answers = JoinSet::new();
        let living = self.live(&mut answers);
        if cancel.run_until_cancelled(living).await.is_none() {
            let rest = async { while answers.join_next().await.is_some() {} };
            // What is cut off here is taken up again by the next daemon.
            let _ = tokio::time::timeout(PATIENCE, rest).await;
        }
        self.leave(None);
    }

    async fn live(&self, answers: &mut JoinSet<()>) {
        let mut again = Again::new(0, LONGEST);
        let mut taken_up = false;
        loop {
            let mut held = Duration::ZERO;
            let error = match self.channel.connect().await {
                Ok(identity) => {
                    tracing::info!(platform = %self.channel.platform(), name = %identity.name, "The bot is connected.");
                    self.come(identity.name);
                    if let Err(error) = self.channel.menu(&show::menu()).await {
                        tracing::warn!(%error, "The commands could not be listed on the platform.");
                    }
                    // Once: what is worked on since then is not half done, it is on its way.
                    if !std::mem::replace(&mut taken_up, true) {
                        self.take_up(answers).await;
                    }
                    let began = self.clock.now();
                    let error = self.listen(answers).await;
                    held = supervisor::until(began, self.clock.now());
                    error
                }
                Err(error) => error,
            };
            tracing::warn!(platform = %self.channel.platform(), %error, "The bot is not connected.");
            self.leave(Some(&error));
            let wait = again.ended(held);
            let pause = error.retry().unwrap_or(LONGEST).max(wait);
            let rest = async { while answers.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(pause, async {
                rest.await;
                std::future::pending::<()>().await;
            })
            .await;
        }
    }

    /// What a daemon before this one took and did not answer.
    async fn take_up(&self, answers: &mut JoinSet<()>) {
        match self.store.unanswered().await {
            Ok(left) => {
                for (incoming, stage) in left {
                    if incoming.place.platform == self.channel.platform() {
                        self.answer(answers, incoming, Some(stage)).await;
                    }
                }
            }
            Err(error) => tracing::error!(%error, "What was left unanswered cannot be read."),
        }
    }

    /// Listens until the connection breaks.
    async fn listen(&self, answers: &mut JoinSet<()>) -> ChatError {
        loop {
            let incoming = match self.channel.receive().await {
                Ok(incoming) => incoming,
                Err(error) => return error,
            };
            let taken = match self.store.take(&incoming).await {
                Ok(taken) => taken,
                Err(error) => {
                    // Not acknowledged, so that it comes again.
                    return ChatError::Unavailable(error.to_string());
                }
            };
            if let Err(error) = self.channel.taken(&incoming).await {
                tracing::warn!(%error, "The platform was not told that something came in.");
            }
            if taken == Taken::New {
                self.lock().messages += 1;
                self.answer(answers, incoming, None).await;
            }
        }
    }

    async fn answer(&self, answers: &mut JoinSet<()>, incoming: Incoming, left_at: Option<Stage>) {
        while answers.try_join_next().is_some() {}
        if answers.len() >= WAITING {
            answers.join_next().await;
        }
        let (router, channel) = (self.router.clone(), self.channel.clone());
        answers.spawn(async move {
            router.handle(channel.as_ref(), &incoming, left_at).await;
        });
    }

    fn come(&self, name: String) {
        let mut status = self.lock();
        status.connected = true;
        status.name = Some(name);
        status.since = self.clock.now();
    }

    fn leave(&self, error: Option<&ChatError>) {
        let mut status = self.lock();
        if status.connected {
            status.since = self.clock.now();
        }
        status.connected = false;
        if let Some(error) = error {
            status.errors += 1;
            status.last_error = Some(error.to_string());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BotStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
