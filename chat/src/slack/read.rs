//! From a delivery to what came in: who, where, and under which circumstances.
//!
//! A private chat is the user who it is with: its own id comes with messages and presses, but
//! nobody who has written the id of a user into the settings knows it.

use jiff::{SignedDuration, Timestamp};

use super::wire::{Action, Command, Delivery, Event, Me, Message};
use super::words::{self, hear};
use crate::{Incoming, MessageRef, Origin, Place, Platform, Sender, What};

/// Longest name or id that is kept. Slack's own ids are about a dozen letters.
const NAME: usize = 64;
/// Longest address for an answer that is kept.
const ADDRESS: usize = 1_024;
/// Kinds of messages that somebody wrote. All others are about something that happened.
const WRITTEN: [&str; 4] = [
    "thread_broadcast",
    "file_share",
    "me_message",
    "bot_message",
];

/// What came in with a delivery. `None` when it is nothing to us: a picture, somebody who
/// joined, what the bot wrote itself. `commands` are words that are commands without a slash.
pub(super) fn read(
    delivery: &Delivery,
    me: &Me,
    commands: &[String],
    now: Timestamp,
) -> Option<Incoming> {
    match delivery {
        Delivery::Event(callback) => event(&callback.event, me, commands, now),
        Delivery::Command(one) => command(one, me, commands, now),
        Delivery::Action(action) => press(action, me, now),
    }
}

fn event(event: &Event, me: &Me, commands: &[String], now: Timestamp) -> Option<Incoming> {
    let is_mention = event.kind == "app_mention";
    if !is_mention && event.kind != "message" {
        return None;
    }
    let (message, is_edited) = match event.message.subtype.as_deref() {
        None => (&event.message, false),
        Some(kind) if WRITTEN.contains(&kind) => (&event.message, false),
        Some("message_changed") => (changed(event)?, true),
        Some(_) => return None,
    };
    let user = message.user.as_deref();
    let is_ours = user == Some(&*me.user_id)
        || (me.bot_id.is_some() && message.bot_id.as_ref() == me.bot_id.as_ref());
    if is_ours {
        return None;
    }
    let sender = user.or(message.bot_id.as_deref())?;
    let ts = message.ts.as_deref()?;
    let private = event.channel_type.as_deref() == Some("im") || event.channel.starts_with('D');
    let heard = hear(message.text.as_deref()?, &me.user_id, commands);
    if heard.text.is_empty() && !is_mention {
        return None;
    }
    // Among people a word is only a command behind the bot's name.
    let text = match private || is_mention || heard.called {
        true => heard.text.as_str(),
        false => heard.text.trim_start_matches('/'),
    };
    let edited = message.edited.as_ref().map(|edited| edited.ts.as_str());
    let sender = Sender {
        id: identity(sender, home(message), me),
        name: cut(sender, NAME),
    };
    let chat = if private { &sender.id } else { &event.channel };
    let place = place(chat, message.thread_ts.as_deref(), ts);
    let delivery = match edited {
        Some(edited) => format!("m:{}:{ts}:{edited}", event.channel),
        // A mention in a group of people comes as a message, too; it is the same one.
        None => format!("m:{}:{ts}", event.channel),
    };
    Some(Incoming {
        delivery: cut(&delivery, 2 * NAME),
        sender,
        at: time(edited.unwrap_or(ts), now),
        what: What::Text {
            message: reference(&place, ts),
            text: cut(text, Incoming::MOST_TEXT),
        },
        origin: Origin {
            private,
            addressed: private || is_mention || heard.called,
            forwarded: false,
            edited: is_edited || edited.is_some(),
            anonymous: false,
            bot: message.bot_id.is_some(),
        },
        place,
        answer: None,
    })
}

/// The message after somebody has edited it. Slack says "changed" of links that it has shown
/// and threads that have grown, too.
fn changed(event: &Event) -> Option<&Message> {
    let now = event.changed.as_ref()?;
    let before = event.before.as_ref().and_then(|one| one.text.as_ref());
    (now.edited.is_some() && before != now.text.as_ref()).then_some(now)
}

fn command(command: &Command, me: &Me, commands: &[String], now: Timestamp) -> Option<Incoming> {
    let sender = Sender {
        id: identity(&command.user_id, command.team_id.as_deref(), me),
        name: cut(&command.user_name, NAME),
    };
    // Between two people, too: what the bot has to say to it, it says to the sender alone.
    let private = command.channel_id.starts_with('D');
    let chat = if private {
        &sender.id
    } else {
        &command.channel_id
    };
    let place = place(chat, None, "");
    let trigger = cut(&command.trigger_id, 2 * NAME);
    Some(Incoming {
        delivery: format!("c:{trigger}"),
        sender,
        // Slack does not say when; it does not deliver a command twice either.
        at: now,
        what: What::Text {
            // Nothing stands in the channel of it.
            message: reference(&place, &trigger),
            text: cut(
                &words::command(&command.text, commands),
                Incoming::MOST_TEXT,
            ),
        },
        origin: Origin {
            private,
            addressed: true,
            ..Origin::default()
        },
        place,
        answer: address(command.response_url.as_deref()),
    })
}

fn press(action: &Action, me: &Me, now: Timestamp) -> Option<Incoming> {
    if action.kind != "block_actions" {
        return None;
    }
    let pressed = action.actions.first()?;
    let ts = action.container.message_ts.as_deref()?;
    let known = action.channel.as_ref().map(|channel| channel.id.as_str());
    let channel = action.container.channel_id.as_deref().or(known)?;
    let user = &action.user;
    let message = action.message.as_ref();
    let thread = action.container.thread_ts.as_deref();
    let thread = thread.or(message.and_then(|one| one.thread_ts.as_deref()));
    let author = message.and_then(|one| one.user.as_deref());
    let sender = Sender {
        id: identity(&user.id, user.team_id.as_deref(), me),
        name: cut(
            user.username
                .as_deref()
                .or(user.name.as_deref())
                .unwrap_or(&user.id),
            NAME,
        ),
    };
    let private = channel.starts_with('D');
    let chat = if private { &sender.id } else { channel };
    let place = place(chat, thread, ts);
    let at = pressed.action_ts.as_deref().unwrap_or_default();
    Some(Incoming {
        delivery: cut(&format!("p:{channel}:{ts}:{at}:{}", user.id), 3 * NAME),
        sender,
        at: time(at, now),
        what: What::Press {
            message: reference(&place, ts),
            payload: cut(pressed.value.as_deref()?, Incoming::MOST_TEXT),
        },
        origin: Origin {
            private,
            addressed: true,
            forwarded: author.is_some_and(|author| author != me.user_id),
            ..Origin::default()
        },
        place,
        answer: address(action.response_url.as_deref()),
    })
}

/// Ids of users are those of a workspace. Who is at home in another one, and is here in a
/// channel that both share, has it before theirs: `T0999-U0123`.
fn identity(user: &str, team: Option<&str>, me: &Me) -> String {
    let ours = |team: &str| team == me.team_id || Some(team) == me.enterprise_id.as_deref();
    match team.filter(|team| !team.is_empty() && !ours(team)) {
        Some(team) => cut(&format!("{team}-{user}"), NAME),
        None => cut(user, NAME),
    }
}

fn home(message: &Message) -> Option<&str> {
    let Message {
        user_team,
        source_team,
        team,
        ..
    } = message;
    let first = user_team.as_deref().or(source_team.as_deref());
    first.or(team.as_deref())
}

/// A channel, and the thread in it. The first message of a thread is not in it.
fn place(channel: &str, thread: Option<&str>, ts: &str) -> Place {
    Place {
        thread: thread
            .filter(|thread| *thread != ts)
            .map(|one| cut(one, NAME)),
        ..Place::chat(Platform::Slack, cut(channel, NAME))
    }
}

fn reference(place: &Place, id: &str) -> MessageRef {
    MessageRef {
        place: place.clone(),
        id: cut(id, 2 * NAME),
    }
}

fn address(url: Option<&str>) -> Option<String> {
    url.filter(|url| url.len() <= ADDRESS).map(str::to_owned)
}

/// `1700000000.000100`: seconds, and what makes it unique in its channel.
fn time(ts: &str, now: Timestamp) -> Timestamp {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
    let read = || {
        let time = Timestamp::from_second(seconds.parse().ok()?).ok()?;
        let micros: u32 = micros.get(..6).unwrap_or(micros).parse().ok()?;
        time.checked_add(SignedDuration::from_micros(micros.into()))
            .ok()
    };
    read().unwrap_or(now)
}

/// At most so many bytes, whole letters.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests;
