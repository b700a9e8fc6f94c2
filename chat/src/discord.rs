//! Discord, by its gateway and its REST API.
//!
//! ```text
//!   gateway ──wire──► read ──Incoming──► inbox ──► whoever calls receive()
//!      │ an argument is typed    │          ▲ places: is it a thread?
//!      └──► suggest              └──► acks  └── beside the others
//!
//!   Card ──render──► embed, buttons ──► answers: in the place of "thinking …"
//!                                   └─► outbox: a message as any other ──flow──► api
//! ```
//!
//! The connection has a task, since Discord ends one that does not answer its heartbeats; it
//! lives as long as the bot that made it. Everything is sent over the workspace's own HTTP
//! client. No privileged intent is needed: commands, buttons, private messages and mentions
//! have their text without one.

mod acks;
mod answers;
mod api;
mod commands;
mod escape;
mod failure;
mod flow;
mod gateway;
mod ids;
mod inbox;
mod life;
mod outbox;
mod places;
mod read;
mod render;
mod replies;
mod settings;
mod suggest;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::answers::Answers;
use self::api::Api;
use self::gateway::Gateway;
use self::outbox::Outbox;
pub use self::settings::{Settings, SettingsError};
pub use self::suggest::Names;
use self::wire::Me;
use crate::{
    Card, Channel, ChatError, Identity, Incoming, MenuEntry, MessageRef, Note, Place, Platform,
};

/// What the bot has to be allowed in a channel: see it and its past, send messages there and in
/// threads, with embeds and files.
const RIGHTS: u64 = 1 << 10 | 1 << 11 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 38;

/// A bot on Discord.
pub struct Discord {
    api: Arc<Api>,
    outbox: Arc<Outbox>,
    answers: Arc<Answers>,
    gateway: Gateway,
    guild: Option<String>,
}

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discord").finish_non_exhaustive()
    }
}

impl Discord {
    /// The bot of these settings, which suggests these names to whoever types one. Nothing is
    /// asked of Discord yet.
    ///
    /// # Errors
    /// When a setting cannot be right.
    pub fn new(settings: &Settings, names: Option<Names>) -> Result<Self, SettingsError> {
        let api = Arc::new(Api::new(settings)?);
        let outbox = Arc::new(Outbox::new(Arc::clone(&api)));
        let answers = Arc::new(Answers::new(Arc::clone(&api), Arc::clone(&outbox)));
        Ok(Self {
            gateway: Gateway::new(Arc::clone(&api), Arc::clone(&answers), names),
            answers,
            guild: settings.guild.clone(),
            outbox,
            api,
        })
    }

    /// Who the bot is, without a connection: to try a token out.
    ///
    /// # Errors
    /// What Discord says.
    pub async fn identity(&self) -> Result<Identity, ChatError> {
        let me = self.me().await?;
        let name = format!("@{}", me.username);
        Ok(Identity { id: me.id, name })
    }

    /// The address by which somebody brings the bot onto their server, with the rights that it
    /// needs there.
    ///
    /// # Errors
    /// What Discord says when it is asked for the application.
    pub async fn invitation(&self) -> Result<String, ChatError> {
        let id = self.api.application().await?;
        Ok(format!(
            "https://discord.com/oauth2/authorize?client_id={id}&permissions={RIGHTS}\
             &scope=bot+applications.commands"
        ))
    }

    async fn me(&self) -> Result<Me, ChatError> {
        Ok(self.api.get("/users/@me").await?)
    }
}

#[async_trait]
impl Channel for Discord {
    fn platform(&self) -> Platform {
        Platform::Discord
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        let me = self.me().await?;
        self.api.application().await?;
        self.gateway.open(&me).await?;
        let name = format!("@{}", me.username);
        Ok(Identity { id: me.id, name })
    }

    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        let guild = self.guild.as_deref();
        let commands = commands::of(entries, guild.is_none());
        self.gateway.list(commands::listed(&commands));
        let application = self.api.application().await?;
        self.outbox.menu(application, guild, &commands).await
    }

    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        self.outbox.send(to, card).await
    }

    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        match self.answers.edit(message, card).await {
            Some(edited) => edited,
            None => self.outbox.edit(message, card).await,
        }
    }

    async fn reply(&self, to: &Incoming, card: &Card) -> Result<MessageRef, ChatError> {
        self.answers.reply(to, card).await
    }

    async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        self.answers.note(to, note).await
    }

    async fn close(&self, to: &Incoming) -> Result<(), ChatError> {
        self.answers.close(to).await
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        loop {
            if let Some(incoming) = self.gateway.next().await? {
                return Ok(incoming);
            }
            self.connect().await?;
        }
    }

    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        self.gateway.take(&incoming.delivery);
        self.answers.acknowledge(incoming).await
    }
}

/// A card as it is sent.
#[cfg(test)]
pub(crate) fn drawn(card: &Card) -> serde_json::Value {
    serde_json::json!(render::Body::card(card, None))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
