//! Telegram, by its Bot API.
//!
//! ```text
//!   getUpdates, or webhook ──wire──► read ──Incoming──► whoever calls receive()
//!       ▲ offset, or status          └ words: whom it is for    │ on record
//!       └────── ledger, or queue ◄──────────── taken() ◄────────┘
//!
//!   Card ──render──► HTML, keyboard ──flow──► api: sendMessage, editMessageText, sendDocument
//!                                     └ waits: 1/s a chat, 20/min a group, 30/s in all
//! ```
//!
//! A poll lives as long as the call of `receive` that made it, and a listener as long as the
//! bot, so a bot that is dropped is gone from Telegram, too.

mod api;
mod failure;
mod flow;
mod ids;
mod ledger;
mod outbox;
mod poll;
mod read;
mod render;
mod settings;
mod webhook;
mod wire;
mod words;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use teloxide_core::payloads::GetMe;

use self::api::Api;
use self::outbox::Outbox;
use self::poll::Poll;
pub use self::settings::{Settings, SettingsError, Webhook};
use self::wire::Me;
use crate::{
    Card, Channel, ChatError, Identity, Incoming, MenuEntry, MessageRef, Note, Place, Platform,
};

/// A bot on Telegram.
pub struct Telegram {
    api: Arc<Api>,
    me: Mutex<Option<Me>>,
    outbox: Outbox,
    inbox: Inbox,
}

/// How things come in.
enum Inbox {
    Poll(Poll),
    Webhook(webhook::Webhook),
}

impl std::fmt::Debug for Telegram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telegram").finish_non_exhaustive()
    }
}

impl Telegram {
    /// The bot of these settings. Nothing is asked of Telegram yet.
    ///
    /// # Errors
    /// When a setting cannot be right.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let api = Arc::new(Api::new(settings)?);
        Ok(Self {
            me: Mutex::default(),
            outbox: Outbox::new(Arc::clone(&api)),
            inbox: match &settings.webhook {
                None => Inbox::Poll(Poll::new(Arc::clone(&api), settings.poll)),
                Some(address) => {
                    let api = Arc::clone(&api);
                    let hook = webhook::Webhook::new(api, address.clone(), &settings.token);
                    Inbox::Webhook(hook)
                }
            },
            api,
        })
    }

    /// Where deliveries are listened for, once it is connected and if there is a webhook. The
    /// settings may have left the port to the system.
    pub async fn listens_at(&self) -> Option<SocketAddr> {
        match &self.inbox {
            Inbox::Poll(_) => None,
            Inbox::Webhook(webhook) => webhook.listens_at().await,
        }
    }

    /// Who the bot is. Nothing is opened.
    ///
    /// # Errors
    /// What Telegram said.
    pub async fn identity(&self) -> Result<Identity, ChatError> {
        let me = self.ask_who().await?;
        let name = me.username.map(|name| format!("@{name}"));
        Ok(Identity {
            id: me.id.to_string(),
            name: name.unwrap_or(me.first_name),
        })
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
        let me: Me = self.api.ask(&GetMe {}).await?;
        *lock(&self.me) = Some(me.clone());
        Ok(me)
    }
}

#[async_trait]
impl Channel for Telegram {
    fn platform(&self) -> Platform {
        Platform::Telegram
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        let identity = self.identity().await?;
        if let Inbox::Webhook(webhook) = &self.inbox {
            webhook.connect().await?;
        }
        Ok(identity)
    }

    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        self.outbox.menu(entries).await
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

    fn whispers(&self) -> bool {
        false
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        let me = self.me().await?;
        match &self.inbox {
            Inbox::Poll(poll) => poll.next(&me).await,
            Inbox::Webhook(webhook) => webhook.next(&me).await,
        }
    }

    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        match &self.inbox {
            Inbox::Poll(poll) => poll.taken(incoming),
            Inbox::Webhook(webhook) => {
                webhook.taken(incoming);
                Ok(())
            }
        }
    }
}

/// A card as it is sent.
#[cfg(test)]
pub(crate) fn drawn(card: &Card) -> serde_json::Value {
    serde_json::json!({
        "text": render::html(card),
        "reply_markup": render::keyboard(card),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
