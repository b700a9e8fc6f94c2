//! Slack, by its Web API, and by Socket Mode or signed requests.
//!
//! ```text
//!   Socket Mode ──line──┐                   ┌──► read ──Incoming──► whoever calls receive()
//!                       ├──Delivery──► queue┤     └ words: whom it is for     │ on record
//!   signed HTTP ──hook──┘       ▲           └◄──────────── taken() ◄──────────┘
//!                               └ acknowledged: on record, or after two seconds
//!
//!   Card ──render──► blocks ──flow──► api: chat.postMessage, chat.update, files
//!                             └ waits: 1/s a channel, 50/min a method
//! ```
//!
//! Slack wants to be answered whoever has time, so connections have tasks of their own; they
//! live as long as the bot does. A bot that is dropped is gone from Slack, too.

mod api;
mod failure;
mod flow;
mod handshake;
mod line;
mod outbox;
mod read;
mod render;
mod settings;
mod signed;
mod socket;
mod wire;
mod words;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::de::IgnoredAny;
use serde_json::json;
use supervisor::Clock;

use self::api::{Api, As};
use self::outbox::Outbox;
pub use self::settings::{Settings, SettingsError, Signed};
use self::signed::Door;
use self::socket::Sockets;
use self::wire::{Delivery, Me};
use crate::hook::Hook;
use crate::queue::Queue;
use crate::{
    Card, Channel, ChatError, Identity, Incoming, MenuEntry, MessageRef, Note, Place, Platform,
};

/// A bot on Slack.
pub struct Slack {
    api: Arc<Api>,
    settings: Settings,
    me: Mutex<Option<Me>>,
    /// Words that are commands, as the menu has them.
    commands: Mutex<Arc<Vec<String>>>,
    queue: Arc<Queue<Delivery>>,
    outbox: Outbox,
    sockets: Option<Sockets>,
    hook: tokio::sync::Mutex<Option<Hook>>,
    clock: Clock,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slack").finish_non_exhaustive()
    }
}

impl Slack {
    /// The bot of these settings. Nothing is asked of Slack yet.
    ///
    /// # Errors
    /// When a setting cannot be right.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let api = Arc::new(Api::new(settings)?);
        let queue = Arc::new(Queue::default());
        let sockets = settings.app_token.as_ref().map(|_| {
            let (api, queue) = (Arc::clone(&api), Arc::clone(&queue));
            Sockets::new(api, queue, settings.into())
        });
        Ok(Self {
            outbox: Outbox::new(Arc::clone(&api)),
            settings: settings.clone(),
            me: Mutex::default(),
            commands: Mutex::default(),
            hook: tokio::sync::Mutex::default(),
            clock: Clock::system(),
            queue,
            sockets,
            api,
        })
    }

    /// Where signed requests are listened for, once it is connected. The settings may have
    /// left the port to the system.
    pub async fn listens_at(&self) -> Option<SocketAddr> {
        self.hook.lock().await.as_ref().map(Hook::address)
    }

    /// Who the bot is, and whether connections may be opened for it. None is.
    ///
    /// # Errors
    /// What Slack said of one of the tokens.
    pub async fn identity(&self) -> Result<Identity, ChatError> {
        let me = self.ask_who().await?;
        if self.sockets.is_some() {
            let method = "apps.connections.open";
            let _: IgnoredAny = self.api.ask(As::App, method, &json!({})).await?;
        }
        Ok(me.into())
    }

    /// Who the bot is, as it was when it was last asked.
    async fn me(&self) -> Result<Me, ChatError> {
        let known = lock(&self.me).clone();
        match known {
            Some(me) => Ok(me),
            None => self.ask_who().await,
        }
    }

    async fn ask_who(&self) -> Result<Me, ChatError> {
        let me: Me = self.api.ask(As::Bot, "auth.test", &json!({})).await?;
        if me.bot_id.is_none() {
            return Err(ChatError::Unauthorised(
                "it is the token of a person, not of a bot".into(),
            ));
        }
        *lock(&self.me) = Some(me.clone());
        Ok(me)
    }

    /// Opens whatever things come in by, if it is not open.
    async fn open(&self) -> Result<(), ChatError> {
        if let Some(signed) = &self.settings.signed {
            let mut hook = self.hook.lock().await;
            if hook.is_none() {
                let door = Door {
                    secret: signed.secret.clone(),
                    queue: Arc::clone(&self.queue),
                    latest: self.settings.latest,
                    clock: self.clock.clone(),
                };
                let opened = Hook::open(signed.listen, Arc::new(door)).await;
                *hook = Some(opened.map_err(|error| {
                    ChatError::Unavailable(format!(
                        "nobody can knock at {}: {error}",
                        signed.listen
                    ))
                })?);
            }
        }
        match &self.sockets {
            Some(sockets) => sockets.connect().await,
            None => Ok(()),
        }
    }

    async fn is_open(&self) -> bool {
        let knocked = self.settings.signed.is_none() || self.hook.lock().await.is_some();
        knocked
            && match &self.sockets {
                Some(sockets) => sockets.is_connected().await || self.queue.is_broken(),
                None => true,
            }
    }
}

#[async_trait]
impl Channel for Slack {
    fn platform(&self) -> Platform {
        Platform::Slack
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        let me = self.ask_who().await?;
        // Before anything new can break it.
        self.queue.again();
        self.open().await?;
        Ok(me.into())
    }

    /// Slack has one slash command, which stands in the app's own settings; here the words are
    /// only remembered, to know them without a slash.
    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        let words = entries.iter().map(|entry| entry.name.to_owned());
        *lock(&self.commands) = Arc::new(words.collect());
        Ok(())
    }

    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        self.outbox.send(to, card).await
    }

    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        self.outbox.edit(message, card).await
    }

    async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        self.outbox.answer(to, note).await
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        let me = self.me().await?;
        if !self.is_open().await {
            self.open().await?;
        }
        let commands = lock(&self.commands).clone();
        // What has no time of its own came when it was delivered: neither when this began to
        // wait, nor when it is read.
        let read = |delivery: Delivery, age| {
            let came = self.clock.now() - age;
            read::read(&delivery, &me, &commands, came)
        };
        let incoming = self.queue.next(read).await?;
        self.outbox.heard(&incoming);
        Ok(incoming)
    }

    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        self.queue.taken(incoming);
        Ok(())
    }
}

impl From<Me> for Identity {
    fn from(me: Me) -> Self {
        Self {
            name: format!("@{} in {}", me.user, me.team),
            id: me.user_id,
        }
    }
}

/// A card as it is sent.
#[cfg(test)]
pub(crate) fn drawn(card: &Card) -> serde_json::Value {
    serde_json::json!({ "text": render::notice(card), "blocks": render::blocks(card) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
