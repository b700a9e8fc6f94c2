//! Between ids as numbers, which Telegram has, and as texts, which everybody has.

use std::str::FromStr;

use teloxide_core::types::{MessageId, ThreadId};

use crate::{ChatError, MessageRef, Place};

/// The chat and the number of a message.
pub(super) fn of(message: &MessageRef) -> Result<(i64, MessageId), ChatError> {
    let chat = number(&message.place.chat, "chat")?;
    Ok((chat, MessageId(number(&message.id, "message")?)))
}

/// The topic of a place.
pub(super) fn thread(place: &Place) -> Result<Option<ThreadId>, ChatError> {
    let thread = place.thread.as_deref();
    let thread = thread.map(|thread| number(thread, "topic")).transpose()?;
    Ok(thread.map(|thread| ThreadId(MessageId(thread))))
}

/// A message in the chat where this place is by now.
pub(super) fn reference(to: &Place, chat: i64, message: i32) -> MessageRef {
    MessageRef {
        place: Place {
            chat: chat.to_string(),
            ..to.clone()
        },
        id: message.to_string(),
    }
}

/// A number that was a text on its way.
pub(super) fn number<T: FromStr>(text: &str, what: &str) -> Result<T, ChatError> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        ChatError::Refused(format!(
            "`{text}` is no {what} of Telegram, which is a number"
        ))
    })
}
