//! From an update to what came in: who, where, and under which circumstances.

use jiff::Timestamp;

use super::wire::{Chat, Me, Message, Query, Update, User};
use super::words::hear;
use crate::{Incoming, MessageRef, Origin, Place, Platform, Sender, What};

/// Longest name that is kept. Telegram's own are up to 129 characters.
const NAME: usize = 64;
/// Those that write in the place of somebody: anonymous admins, channels, linked channels.
const NOBODY: [i64; 3] = [1_087_968_824, 136_817_688, 777_000];

/// What came in with an update. `None` when it is nothing to us: a picture, somebody who
/// joined, a command for another bot.
pub(super) fn read(id: i64, update: Update, me: &Me, now: Timestamp) -> Option<Incoming> {
    if let Some(query) = update.callback_query {
        return press(id, query, me, now);
    }
    let is_edited = update.edited_message.is_some();
    let message = update.message.or(update.edited_message)?;
    text(id, &message, is_edited, me, now)
}

fn text(id: i64, message: &Message, is_edited: bool, me: &Me, now: Timestamp) -> Option<Incoming> {
    let heard = hear(message.text.as_deref()?, me.username.as_deref())?;
    let private = message.chat.kind == "private";
    let anonymous = message.sender_chat.is_some() || message.from.as_ref().is_none_or(is_nobody);
    let sender = match (&message.sender_chat, &message.from) {
        // An id that no person has, so that nobody gets a role by hiding who they are.
        (Some(chat), _) => Sender {
            id: chat.id.to_string(),
            name: cut(chat.title.as_deref().unwrap_or_default(), NAME),
        },
        (None, from) => sender(from.as_ref()?),
    };
    let is_bot = !anonymous && message.from.as_ref().is_some_and(|from| from.is_bot);
    Some(Incoming {
        delivery: id.to_string(),
        place: place(message),
        sender,
        at: time(message.edit_date.unwrap_or(message.date), now),
        what: What::Text {
            message: reference(message),
            text: cut(&heard.text, Incoming::MOST_TEXT),
        },
        origin: Origin {
            private,
            addressed: private || heard.called || is_meant(message, me),
            forwarded: is_forwarded(message),
            edited: is_edited || message.edit_date.is_some(),
            anonymous,
            bot: is_bot || message.via_bot.is_some(),
        },
        answer: None,
    })
}

fn press(id: i64, query: Query, me: &Me, now: Timestamp) -> Option<Incoming> {
    // Without a message it was pressed in a chat that the bot is not in.
    let message = query.message?;
    // A message too old to be seen has no sender either; its id still says which one it is.
    let foreign = message.from.as_ref().is_some_and(|from| from.id != me.id);
    Some(Incoming {
        delivery: id.to_string(),
        place: place(&message),
        sender: sender(&query.from),
        // Telegram does not say when it was pressed.
        at: now,
        what: What::Press {
            message: reference(&message),
            payload: cut(&query.data?, Incoming::MOST_TEXT),
        },
        origin: Origin {
            private: message.chat.kind == "private",
            addressed: true,
            forwarded: foreign || is_forwarded(&message),
            edited: false,
            anonymous: is_nobody(&query.from),
            bot: query.from.is_bot || message.via_bot.is_some(),
        },
        answer: Some(cut(&query.id, NAME)),
    })
}

fn is_nobody(user: &User) -> bool {
    NOBODY.contains(&user.id)
}

fn is_forwarded(message: &Message) -> bool {
    message.forward_origin.is_some()
        || message.forward_date.is_some()
        || message.is_automatic_forward
}

/// A reply to the bot, or a mention that is not written out.
fn is_meant(message: &Message, me: &Me) -> bool {
    let replied = message.reply_to_message.as_ref();
    let replied = replied.filter(|one| one.forum_topic_created.is_none());
    let replied = replied.and_then(|one| one.from.as_ref());
    let mut named = message.entities.iter().filter_map(|one| one.user.as_ref());
    replied.is_some_and(|from| from.id == me.id) || named.any(|user| user.id == me.id)
}

fn sender(user: &User) -> Sender {
    let User {
        first_name,
        last_name,
        username,
        ..
    } = user;
    let name = match (username, last_name) {
        (Some(name), _) => format!("@{name}"),
        (None, Some(last)) => format!("{first_name} {last}"),
        (None, None) => first_name.clone(),
    };
    Sender {
        id: user.id.to_string(),
        name: cut(&name, NAME),
    }
}

fn place(message: &Message) -> Place {
    let Chat { id, .. } = message.chat;
    // Outside of forums the number only says which replies belong together.
    let thread = message
        .message_thread_id
        .filter(|_| message.is_topic_message);
    Place {
        platform: Platform::Telegram,
        chat: id.to_string(),
        thread: thread.map(|thread| thread.to_string()),
    }
}

fn reference(message: &Message) -> MessageRef {
    MessageRef {
        place: place(message),
        id: message.message_id.to_string(),
    }
}

fn time(seconds: i64, now: Timestamp) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(now)
}

/// At most so many bytes, whole letters.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests;
