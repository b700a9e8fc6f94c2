//! What goes out: messages, what becomes of them, answers, the menu.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use teloxide_core::payloads::{
    AnswerCallbackQuery, AnswerCallbackQuerySetters, DeleteMessage, EditMessageText,
    EditMessageTextSetters, SendDocument, SendDocumentSetters, SendMessage, SendMessageSetters,
    SetMyCommands,
};
use teloxide_core::types::{
    BotCommand, CallbackQueryId, ChatId, FileId, InputFile, LinkPreviewOptions, ParseMode,
    ReplyParameters,
};

use super::api::Api;
use super::failure::Failure;
use super::flow::{Flow, Load};
use super::wire::Sent;
use super::{ids, lock, render};
use crate::text::short;
use crate::{Card, ChatError, Document, Incoming, MenuEntry, MessageRef, Note, Place, What};

/// Most characters of an answer to a press, of a command's description and of a menu.
const ANSWER: usize = 200;
const ABOUT: usize = 256;
const MENU: usize = 100;
const NO_PREVIEW: LinkPreviewOptions = LinkPreviewOptions {
    is_disabled: true,
    url: None,
    prefer_small_media: false,
    prefer_large_media: false,
    show_above_text: false,
};

/// The sending end of a bot.
pub(super) struct Outbox {
    api: Arc<Api>,
    flow: Flow,
    /// Groups that have become supergroups, and their new ids.
    moved: Mutex<HashMap<i64, i64>>,
}

impl Outbox {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            flow: Flow::new(),
            moved: Mutex::default(),
        }
    }

    /// Lists the commands.
    pub(super) async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        // Telegram refuses the whole list for one name that it does not like.
        let fits = |name: &str| {
            let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            (1..=32).contains(&name.len()) && name.bytes().all(plain)
        };
        let command = |entry: &MenuEntry| {
            let about = match entry.arguments {
                "" => entry.about.to_owned(),
                arguments => format!("{arguments} – {}", entry.about),
            };
            BotCommand::new(entry.name, short(&about, ABOUT))
        };
        let entries = entries.iter().filter(|entry| fits(entry.name));
        let commands = SetMyCommands::new(entries.take(MENU).map(command));
        self.flow.admit_any().await;
        Ok(self.api.tell(&commands).await?)
    }

    /// Sends a card, with its file.
    pub(super) async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        let mut payload = message(render::html(card));
        let keyboard = render::keyboard(card);
        if !keyboard.inline_keyboard.is_empty() {
            payload = payload.reply_markup(keyboard);
        }
        let sent = self.send_text(to, payload).await?;
        if let Some(file) = &card.file
            && let Err(error) = self.send_file(&sent, file).await
        {
            // Whoever tries again must not leave half of it behind each time.
            let (chat, message) = ids::of(&sent)?;
            let _ = self
                .api
                .tell(&DeleteMessage::new(ChatId(chat), message))
                .await;
            return Err(error);
        }
        Ok(sent)
    }

    /// Puts another card in its place.
    pub(super) async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        let (chat, id) = ids::of(message)?;
        if self.moved_to(chat) != chat {
            // In the supergroup the same number is another message.
            return Err(ChatError::Gone("the group became a supergroup".into()));
        }
        self.flow.admit(chat, Load::Edit).await?;
        let payload = EditMessageText::new(ChatId(chat), id, render::html(card))
            .parse_mode(ParseMode::Html)
            .link_preview_options(NO_PREVIEW)
            .reply_markup(render::keyboard(card));
        match self.api.tell(&payload).await {
            Ok(()) => {}
            Err(failure) if failure.is_unchanged() => return Ok(()),
            Err(failure) => return Err(self.heed(chat, failure)),
        }
        match &card.file {
            Some(file) => self.send_file(message, file).await,
            None => Ok(()),
        }
    }

    /// Answers so that only the sender sees it.
    pub(super) async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        match (&to.what, &to.answer) {
            (What::Press { .. }, Some(query)) => {
                let answer = AnswerCallbackQuery::new(CallbackQueryId(query.clone()))
                    .text(short(&note.text, ANSWER))
                    .show_alert(note.alert);
                self.flow.admit_any().await;
                Ok(self.api.tell(&answer).await?)
            }
            (What::Press { .. }, None) => Err(ChatError::Gone(
                "the press cannot be answered any more".into(),
            )),
            (What::Text { .. }, _) if to.origin.private => {
                let payload = message(render::plain(&note.text));
                self.send_text(&to.place, payload).await.map(drop)
            }
            // In a group all would see it.
            (What::Text { .. }, _) => Ok(()),
        }
    }

    /// Sends a text, and tries once more where a group has moved to.
    async fn send_text(&self, to: &Place, payload: SendMessage) -> Result<MessageRef, ChatError> {
        let mut payload = payload;
        let mut chat = self.moved_to(ids::number(&to.chat, "chat")?);
        payload.message_thread_id = ids::thread(to)?;
        for _ in 0..2 {
            payload.chat_id = ChatId(chat).into();
            self.flow.admit(chat, Load::Message).await?;
            match self.api.ask::<_, Sent>(&payload).await {
                Ok(sent) => return Ok(ids::reference(to, chat, sent.message_id)),
                Err(failure) => chat = self.follow(chat, failure)?,
            }
        }
        Err(ChatError::Gone("the group moves on and on".into()))
    }

    /// Where a group has moved to, if that is why it failed.
    fn follow(&self, chat: i64, failure: Failure) -> Result<i64, ChatError> {
        match failure.more.migrate_to_chat_id {
            Some(new) if new != chat => {
                tracing::warn!(
                    chat,
                    new,
                    "A Telegram group became a supergroup and has another id now; \
                     the old one stands in the configuration."
                );
                lock(&self.moved).insert(chat, new);
                Ok(new)
            }
            _ => Err(self.heed(chat, failure)),
        }
    }

    /// Remembers that a chat is to be left alone.
    fn heed(&self, chat: i64, failure: Failure) -> ChatError {
        if let Some(after) = failure.wait() {
            self.flow.hold(chat, after);
        }
        failure.into()
    }

    fn moved_to(&self, chat: i64) -> i64 {
        lock(&self.moved).get(&chat).copied().unwrap_or(chat)
    }

    /// Sends a file as a reply to the message that it belongs to.
    async fn send_file(&self, to: &MessageRef, file: &Document) -> Result<(), ChatError> {
        let (chat, message) = ids::of(to)?;
        let reply = ReplyParameters::new(message).allow_sending_without_reply();
        let place = InputFile::file_id(FileId(String::new()));
        let mut payload = SendDocument::new(ChatId(chat), place).reply_parameters(reply);
        payload.message_thread_id = ids::thread(&to.place)?;
        self.flow.admit(chat, Load::Message).await?;
        let sent = self.api.upload(&payload, &file.at_most(render::FILE)).await;
        sent.map_err(|failure| self.heed(chat, failure))
    }
}

/// A text to a chat that is filled in later.
fn message(html: String) -> SendMessage {
    SendMessage::new(ChatId(0), html)
        .parse_mode(ParseMode::Html)
        .link_preview_options(NO_PREVIEW)
}
