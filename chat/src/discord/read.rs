//! From an event to what came in: who, where, and under which circumstances.

use jiff::Timestamp;

use super::commands::{self, Listed};
use super::ids;
use super::wire::{Chat, Interaction, Me, Message, User};
use crate::{Incoming, MessageRef, Origin, Place, Platform, Sender, What};

/// Longest name that is kept. Discord's own are up to 32 characters.
const NAME: usize = 64;
/// Longest token of an interaction; those of today have about 230 bytes.
const TOKEN: usize = 1_000;
/// Kinds of interactions: a command, a component, an argument that is being typed.
const COMMAND: u8 = 2;
const COMPONENT: u8 = 3;
const TYPING: u8 = 4;
/// Kinds of channels: a private chat, and threads.
const PRIVATE: u8 = 1;
const THREADS: [u8; 3] = [10, 11, 12];
/// Kinds of messages that somebody wrote: an ordinary one and a reply.
const WRITTEN: [u8; 2] = [0, 19];
/// A reference to a message that was forwarded.
const FORWARD: u8 = 1;
/// Set in `custom_id` by the renderer alone; see there.
pub(super) const AGAIN: &str = " #";

/// What came in with an interaction.
#[derive(Debug)]
pub(super) enum Heard {
    /// A command or a press.
    Incoming(Incoming),
    /// Somebody types an argument, and would like to see what there is. What they have of the
    /// command so far stands in the text.
    Typing {
        /// Who, where, and in which command.
        incoming: Incoming,
        /// The argument: its name, and what is typed of it.
        argument: (String, String),
    },
}

/// What an interaction is. `None` when it is nothing to us.
pub(super) fn interaction(one: Interaction, listed: &Listed, now: Timestamp) -> Option<Heard> {
    let data = one.data?;
    let private = one.guild_id.is_none();
    let channel = one.channel.as_ref();
    // Between two users, where the bot is not: nothing that could be answered for all.
    if private && channel.is_none_or(|chat| chat.kind != PRIVATE) {
        return None;
    }
    let user = one.member.and_then(|member| member.user).or(one.user)?;
    let place = place(channel, one.channel_id.as_deref())?;
    let reference = |id: &str| MessageRef {
        place: place.clone(),
        id: id.to_owned(),
    };
    let mut foreign = false;
    let mut argument = None;
    let what = match one.kind {
        COMMAND | TYPING => {
            let typed = data.options.iter().find(|one| one.focused);
            argument = typed.map(|one| (one.name.clone(), commands::word(&one.value)));
            What::Text {
                message: reference(&one.id),
                text: cut(
                    &commands::text(&data.name?, &data.options, listed),
                    Incoming::MOST_TEXT,
                ),
            }
        }
        COMPONENT => {
            let under = one.message?;
            // Only the bot's own messages have its buttons.
            foreign = under.author.as_ref().is_some_and(|author| !author.bot);
            What::Press {
                message: reference(&under.id),
                payload: cut(unnumbered(&data.custom_id?), Incoming::MOST_TEXT),
            }
        }
        _ => return None,
    };
    let incoming = Incoming {
        at: ids::time(&one.id).unwrap_or(now),
        delivery: one.id,
        place: place.clone(),
        sender: sender(&user),
        what,
        origin: Origin {
            private,
            addressed: true,
            forwarded: foreign,
            edited: false,
            anonymous: user.system,
            bot: user.bot,
        },
        answer: is_token(&one.token).then_some(one.token),
    };
    match (one.kind, argument) {
        (TYPING, Some(argument)) => Some(Heard::Typing { incoming, argument }),
        (TYPING, None) => None,
        _ => Some(Heard::Incoming(incoming)),
    }
}

/// What a message is. `None` when it is nothing to us: one of the bot's own, of talk among
/// people, a picture, somebody who joined. Its place is that of its channel; whether that is a
/// thread, a message does not say.
pub(super) fn message(one: Message, changed: bool, me: &Me, now: Timestamp) -> Option<Incoming> {
    let private = one.guild_id.is_none();
    let meant = one.mentions.iter().any(|user| user.id == me.id)
        || one
            .referenced_message
            .as_ref()
            .and_then(|replied| replied.author.as_ref())
            .is_some_and(|author| author.id == me.id);
    let edited = one.edited_timestamp.as_deref().filter(|_| changed);
    // A change without a time is Discord's own: it has looked behind a link.
    let is_ours = one.author.id == me.id;
    if is_ours
        || !WRITTEN.contains(&one.kind)
        || !(private || meant)
        || (changed && edited.is_none())
    {
        return None;
    }
    let text = bare(&one.content, &me.id);
    let forwarded = one.message_reference.is_some_and(|one| one.kind == FORWARD);
    if text.is_empty() && !forwarded {
        return None;
    }
    let place = Place::chat(Platform::Discord, one.channel_id);
    let webhook = one.webhook_id.is_some();
    Some(Incoming {
        delivery: match edited {
            // Each change is something of its own.
            Some(at) => format!("{}:{}", one.id, cut(at, NAME)),
            None => one.id.clone(),
        },
        at: edited
            .and_then(|at| at.parse().ok())
            .or_else(|| ids::time(&one.id))
            .unwrap_or(now),
        what: What::Text {
            message: MessageRef {
                place: place.clone(),
                id: one.id,
            },
            text: cut(text, Incoming::MOST_TEXT),
        },
        place,
        sender: sender(&one.author),
        origin: Origin {
            private,
            addressed: private || meant,
            forwarded,
            edited: edited.is_some(),
            anonymous: webhook || one.author.system,
            bot: webhook || one.author.bot,
        },
        answer: None,
    })
}

/// Where a channel is; a thread is in its channel.
pub(super) fn place(channel: Option<&Chat>, id: Option<&str>) -> Option<Place> {
    let Some(channel) = channel else {
        return Some(Place::chat(Platform::Discord, id?));
    };
    let parent = channel.parent_id.as_ref();
    Some(match parent.filter(|_| THREADS.contains(&channel.kind)) {
        Some(parent) => Place {
            thread: Some(channel.id.clone()),
            ..Place::chat(Platform::Discord, parent)
        },
        None => Place::chat(Platform::Discord, &channel.id),
    })
}

fn sender(user: &User) -> Sender {
    let name = match user.username.as_str() {
        "" => user.global_name.clone().unwrap_or_default(),
        name => format!("@{name}"),
    };
    Sender {
        id: user.id.clone(),
        name: cut(&name, NAME),
    }
}

/// Without the bot's mention at the beginning and the end.
fn bare<'a>(text: &'a str, bot: &str) -> &'a str {
    // The second form is an old one, of people with another name on the server.
    let names = [format!("<@{bot}>"), format!("<@!{bot}>")];
    let mut text = text.trim();
    while let Some(rest) = names
        .iter()
        .find_map(|name| text.strip_prefix(name.as_str()))
    {
        text = rest.trim_start_matches([',', ':']).trim_start();
    }
    while let Some(rest) = names
        .iter()
        .find_map(|name| text.strip_suffix(name.as_str()))
    {
        text = rest.trim_end();
    }
    text
}

/// It becomes a part of addresses, so nothing else may stand in it.
fn is_token(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    !token.is_empty() && token.len() <= TOKEN && token.bytes().all(plain)
}

/// Without the number that the renderer has put to the second button that carries the same.
fn unnumbered(payload: &str) -> &str {
    let Some((before, number)) = payload.rsplit_once(AGAIN) else {
        return payload;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { before } else { payload }
}

/// At most so many bytes, whole letters.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests;
