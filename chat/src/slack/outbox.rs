//! What goes out: messages, what becomes of them, files, answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::api::{Api, As};
use super::failure::Failure;
use super::flow::{Flow, Load};
use super::{lock, render};
use crate::text::short;
use crate::{Card, ChatError, Document, Incoming, MessageRef, Note, Place, What};

/// Most UTF-16 units of an answer that only the sender sees.
const ANSWER: usize = 2_000;
/// Private chats that are remembered.
const CHATS: usize = 1_000;
/// Slash commands whose addresses are remembered, to say that the bot is not in a channel.
const COMMANDS: usize = 32;

/// The sending end of a bot.
pub(super) struct Outbox {
    api: Arc<Api>,
    flow: Flow,
    /// Private chats of users.
    chats: Mutex<HashMap<String, String>>,
    /// Where the last slash commands were written, and where they are answered.
    commands: Mutex<VecDeque<(String, String)>>,
}

/// What is left of a message that was sent.
#[derive(Deserialize)]
struct Sent {
    ts: String,
}

impl Outbox {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            flow: Flow::new(),
            chats: Mutex::default(),
            commands: Mutex::default(),
        }
    }

    /// Sends a card, with its file.
    pub(super) async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        let channel = self.channel(to).await?;
        let mut body = message(&channel, card);
        body["mrkdwn"] = false.into();
        body["unfurl_links"] = false.into();
        body["unfurl_media"] = false.into();
        if let Some(thread) = &to.thread {
            body["thread_ts"] = thread.as_str().into();
        }
        let sent = self.post(&channel, &body).await?;
        let sent = MessageRef {
            place: to.clone(),
            id: sent.ts,
        };
        if let Some(file) = &card.file
            && let Err(error) = self.send_file(&channel, &sent, file).await
        {
            // Whoever tries again must not leave half of it behind each time.
            let half = json!({ "channel": channel, "ts": sent.id });
            let _ = self.call("chat.delete", &half).await;
            return Err(error);
        }
        Ok(sent)
    }

    /// Puts another card in its place.
    pub(super) async fn edit(
        &self,
        message_ref: &MessageRef,
        card: &Card,
    ) -> Result<(), ChatError> {
        let channel = self.channel(&message_ref.place).await?;
        let mut body = message(&channel, card);
        body["ts"] = message_ref.id.as_str().into();
        self.call("chat.update", &body).await?;
        match &card.file {
            Some(file) => self.send_file(&channel, message_ref, file).await,
            None => Ok(()),
        }
    }

    /// Answers so that only the sender sees it.
    pub(super) async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        // Nothing turns on Slack until it is answered.
        if note.text.is_empty() {
            return Ok(());
        }
        let text = render::escaped(&short(&note.text, ANSWER));
        if let Some(address) = &to.answer {
            let body = json!({
                "response_type": "ephemeral",
                "replace_original": false,
                "text": text,
            });
            match self.api.respond(address, &body).await {
                Ok(()) => return Ok(()),
                // Half an hour, five times: there is another way yet.
                Err(failure) if ends(&failure) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        if to.origin.private && matches!(to.what, What::Text { .. }) {
            let card = Card::default().text(&note.text);
            return self.send(&to.place, &card).await.map(drop);
        }
        let mut body = json!({
            "channel": self.channel(&to.place).await?,
            "user": user(&to.sender.id),
            "text": text,
        });
        if let Some(thread) = &to.place.thread {
            body["thread_ts"] = thread.as_str().into();
        }
        self.call("chat.postEphemeral", &body).await
    }

    /// Remembers where a slash command can be answered if the bot is not in its channel.
    pub(super) fn heard(&self, incoming: &Incoming) {
        let (What::Text { .. }, Some(address)) = (&incoming.what, &incoming.answer) else {
            return;
        };
        let mut commands = lock(&self.commands);
        commands.retain(|(channel, _)| *channel != incoming.place.chat);
        commands.push_back((incoming.place.chat.clone(), address.clone()));
        if commands.len() > COMMANDS {
            commands.pop_front();
        }
    }

    async fn post(&self, channel: &str, body: &Value) -> Result<Sent, ChatError> {
        let load = Load::Message(channel);
        self.flow.admit(load).await?;
        match self.api.ask(As::Bot, "chat.postMessage", body).await {
            Ok(sent) => Ok(sent),
            Err(failure) => {
                if failure.is_outside() {
                    self.ask_in(channel).await;
                }
                Err(self.heed(load, failure))
            }
        }
    }

    /// A slash command works where the bot is not; its answer does not. So that the sender
    /// does not wait for it in vain, they are told.
    async fn ask_in(&self, channel: &str) {
        let address = {
            let mut commands = lock(&self.commands);
            let at = commands.iter().position(|(one, _)| one == channel);
            at.and_then(|at| commands.remove(at))
        };
        if let Some((_, address)) = address {
            let text = "I am not in this channel, so I cannot answer here. Invite me with \
                        /invite, or write to me directly.";
            let body = json!({ "response_type": "ephemeral", "text": text });
            let _ = self.api.respond(&address, &body).await;
        }
    }

    /// A call for the sake of what it does.
    async fn call(&self, method: &'static str, body: &Value) -> Result<(), ChatError> {
        let load = Load::Method(method);
        self.flow.admit(load).await?;
        let done: Result<IgnoredAny, _> = self.api.ask(As::Bot, method, body).await;
        done.map(drop).map_err(|failure| self.heed(load, failure))
    }

    /// Remembers that something is to be left alone.
    fn heed(&self, load: Load<'_>, failure: Failure) -> ChatError {
        if let Some(after) = failure.wait() {
            self.flow.hold(load, after);
        }
        failure.into()
    }

    /// The channel of a place. A user is a place, too: their private chat with the bot.
    async fn channel(&self, place: &Place) -> Result<String, ChatError> {
        #[derive(Deserialize)]
        struct Opened {
            channel: Channel,
        }
        #[derive(Deserialize)]
        struct Channel {
            id: String,
        }
        let chat = user(&place.chat);
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let is_id = (2..=40).contains(&chat.len()) && chat.bytes().all(fits);
        if !is_id {
            let chat: String = chat.chars().take(40).collect();
            return Err(ChatError::Refused(format!(
                "`{chat}` is no channel or user of Slack, which look like C0123 and U0123"
            )));
        }
        if chat.starts_with('D') {
            return Err(ChatError::Refused(format!(
                "a private chat is named by its user, as /whoami shows it, and not `{chat}`"
            )));
        }
        if !chat.starts_with(['U', 'W']) {
            return Ok(chat.to_owned());
        }
        if let Some(channel) = lock(&self.chats).get(chat) {
            return Ok(channel.clone());
        }
        let load = Load::Method("conversations.open");
        self.flow.admit(load).await?;
        let body = json!({ "users": chat });
        let opened: Result<Opened, _> = self.api.ask(As::Bot, "conversations.open", &body).await;
        let channel = opened
            .map_err(|failure| self.heed(load, failure))?
            .channel
            .id;
        let mut chats = lock(&self.chats);
        if chats.len() >= CHATS {
            chats.clear();
        }
        chats.insert(chat.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Sends a file as a reply to the message that it belongs to.
    async fn send_file(
        &self,
        channel: &str,
        to: &MessageRef,
        file: &Document,
    ) -> Result<(), ChatError> {
        #[derive(Deserialize)]
        struct Room {
            upload_url: String,
            file_id: String,
        }
        let Document { name, text } = file.at_most(render::FILE);
        let load = Load::Method("files.getUploadURLExternal");
        self.flow.admit(load).await?;
        let length = text.len().to_string();
        let fields = [("filename", name.as_str()), ("length", &length)];
        let room = self.api.form("files.getUploadURLExternal", &fields).await;
        let room: Room = room.map_err(|failure| self.heed(load, failure))?;
        let sent = self.api.upload(&room.upload_url, text.into_bytes()).await;
        sent.map_err(ChatError::from)?;
        let thread = to.place.thread.as_deref().unwrap_or(&to.id);
        let body = json!({
            "files": [{ "id": room.file_id, "title": name }],
            "channel_id": channel,
            "thread_ts": thread,
        });
        self.call("files.completeUploadExternal", &body).await
    }
}

/// What a new message and an old one in another shape have in common.
fn message(channel: &str, card: &Card) -> Value {
    json!({
        "channel": channel,
        "text": render::notice(card),
        "blocks": render::blocks(card),
        "parse": "none",
        "link_names": false,
    })
}

/// Without the workspace before it.
fn user(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(_, user)| user)
}

/// The address for an answer is worth nothing any more.
fn ends(failure: &Failure) -> bool {
    matches!(
        ChatError::from(failure.clone()),
        ChatError::Gone(_) | ChatError::Refused(_)
    )
}
