//! What goes out: messages, what becomes of them, answers, the commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use super::api::{Api, Route};
use super::commands::Command;
use super::failure::Failure;
use super::render::{self, Body};
use super::wire::{Chat, Sent};
use super::{ids, lock};
use crate::{Card, ChatError, Document, MessageRef, Place, Platform};

/// Private chats that are remembered.
const MOST: usize = 1_000;

/// The sending end of a bot.
pub(super) struct Outbox {
    api: Arc<Api>,
    /// Private chats by their user.
    private: Mutex<HashMap<String, String>>,
}

impl Outbox {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            private: Mutex::default(),
        }
    }

    /// Lists the commands, in the place of all that were listed there.
    pub(super) async fn menu(
        &self,
        application: &str,
        guild: Option<&str>,
        commands: &[Command],
    ) -> Result<(), ChatError> {
        let path = match guild {
            Some(guild) => format!("/applications/{application}/guilds/{guild}/commands"),
            None => format!("/applications/{application}/commands"),
        };
        let route = Route::new(Method::PUT, path);
        let _: serde::de::IgnoredAny = self.api.send(&route, &commands).await?;
        Ok(())
    }

    /// Sends a card, with its file. A place that is a user's id is their private chat.
    pub(super) async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        let file = card.file.as_ref().map(|file| file.at_most(render::FILE));
        let body = Body::card(card, file.as_ref());
        let named = ids::channel(to)?;
        let known = lock(&self.private).get(named).cloned();
        let channel = known.as_deref().unwrap_or(named);
        let sent = match self.post(channel, &body, file.as_ref()).await {
            Err(failure) if failure.is_no_channel() && to.thread.is_none() => {
                let chat = self.open(named).await?;
                let sent = self.post(&chat, &body, file.as_ref()).await?;
                return Ok(reference(&Place::chat(Platform::Discord, chat), sent));
            }
            sent => sent?,
        };
        let place = match &known {
            Some(chat) => Place::chat(Platform::Discord, chat),
            None => to.clone(),
        };
        Ok(reference(&place, sent))
    }

    /// Puts another card in its place.
    pub(super) async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        let (channel, id) = ids::of(message)?;
        let path = format!("/channels/{channel}/messages/{id}");
        let route = Route::new(Method::PATCH, path);
        self.put(&route, card).await?;
        Ok(())
    }

    /// Sends a card by this route.
    pub(super) async fn put(&self, route: &Route, card: &Card) -> Result<Sent, Failure> {
        let file = card.file.as_ref().map(|file| file.at_most(render::FILE));
        let body = Body::card(card, file.as_ref());
        self.deliver(route, &body, file.as_ref()).await
    }

    async fn post(
        &self,
        channel: &str,
        body: &Body,
        file: Option<&Document>,
    ) -> Result<Sent, Failure> {
        let route = Route::new(Method::POST, format!("/channels/{channel}/messages"));
        self.deliver(&route, body, file).await
    }

    async fn deliver(
        &self,
        route: &Route,
        body: &impl Serialize,
        file: Option<&Document>,
    ) -> Result<Sent, Failure> {
        match file {
            Some(file) => self.api.upload(route, body, file).await,
            None => self.api.send(route, body).await,
        }
    }

    /// Opens the private chat with a user.
    async fn open(&self, user: &str) -> Result<String, ChatError> {
        let route = Route::new(Method::POST, "/users/@me/channels");
        let body = json!({ "recipient_id": user });
        let opened: Result<Chat, Failure> = self.api.send(&route, &body).await;
        let chat = opened.map_err(|failure| match failure.status {
            // Neither a channel nor a user, or one who takes no messages.
            Some(400 | 403 | 404) => ChatError::Gone(failure.text),
            _ => failure.into(),
        })?;
        let id = ids::number(&chat.id, "channel")?.to_owned();
        let mut private = lock(&self.private);
        if private.len() >= MOST {
            private.clear();
        }
        private.insert(user.to_owned(), id.clone());
        Ok(id)
    }
}

fn reference(place: &Place, sent: Sent) -> MessageRef {
    MessageRef {
        place: place.clone(),
        id: sent.id,
    }
}
