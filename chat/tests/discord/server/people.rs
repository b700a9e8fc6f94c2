//! What people do on the server: they use commands, press buttons, write and type.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ANA, ANAS, APPLICATION, BOB, BOBS, BOT, EVE, EVES, GUILD, Interaction, Order, Server, State,
};

/// Intents by which messages come: in servers and in private chats.
const MESSAGES: u64 = 9;
const PRIVATE: u64 = 12;

/// Whose private chat a channel is.
fn owner(channel: &str) -> Option<&'static str> {
    match channel {
        ANAS => Some(ANA),
        BOBS => Some(BOB),
        EVES => Some(EVE),
        _ => None,
    }
}

impl Server {
    /// Uses a command, as it is typed: `/logs api 20`. Gives the interaction's id.
    ///
    /// # Panics
    /// When no such command is listed, or Discord would not let it be sent.
    pub(crate) fn slash(&self, channel: &str, user: &str, text: &str) -> String {
        let mut words = text.trim_start_matches('/').split(' ');
        let name = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let commands = self.commands();
        let command = commands.iter().find(|one| one["name"] == name);
        let command = command.unwrap_or_else(|| panic!("/{name} is not listed"));
        let options = command["options"].as_array().cloned().unwrap_or_default();
        assert!(
            options.iter().filter(|one| one["required"] == true).count() <= words.len(),
            "{text}: an option is missing"
        );
        assert!(
            !options.is_empty() || words.is_empty(),
            "{text}: no options"
        );
        let mut given = Vec::new();
        for (number, option) in options.iter().enumerate().take(words.len()) {
            // The last one takes all that is left, as a text with blanks.
            let value = match number + 1 == options.len() {
                true => words[number..].join(" "),
                false => words[number].to_owned(),
            };
            let value = match option["type"].as_u64() {
                Some(4) => json!(value.parse::<i64>().unwrap()),
                _ => json!(value),
            };
            let (name, kind) = (&option["name"], &option["type"]);
            given.push(json!({ "name": name, "type": kind, "value": value }));
        }
        let data = json!({ "id": command["id"], "name": name, "type": 1, "options": given });
        self.interact(2, channel, user, data, None)
    }

    /// Types a part of an argument, and gives what is suggested once it is answered.
    pub(crate) fn typed(&self, channel: &str, user: &str, name: &str, part: &str) -> String {
        let option = json!({ "name": "app", "type": 3, "value": part, "focused": true });
        let data = json!({ "id": "1", "name": name, "type": 1, "options": [option] });
        self.interact(4, channel, user, data, None)
    }

    /// What was suggested.
    pub(crate) fn suggested(&self, interaction: &str) -> Option<Vec<String>> {
        let calls = self.of(&format!("POST /interactions/{interaction}/"));
        let choices = calls.first()?.body["data"]["choices"].as_array()?.clone();
        let text = |one: Value| one["value"].as_str().unwrap().to_owned();
        Some(choices.into_iter().map(text).collect())
    }

    /// Presses what carries this, under this message. Gives the interaction's id.
    pub(crate) fn press(&self, user: &str, message: &str, payload: &str) -> String {
        let id: u64 = message.parse().unwrap();
        let (channel, described) = self.see(|state| {
            let channel = state.messages[&id].channel.clone();
            (channel, state.described(id))
        });
        let data = json!({ "id": 1, "component_type": 2, "custom_id": payload });
        self.interact(3, &channel, user, data, Some((id, described)))
    }

    fn interact(
        &self,
        kind: u8,
        channel: &str,
        user: &str,
        data: Value,
        under: Option<(u64, Value)>,
    ) -> String {
        self.see(|state| {
            let id = state.id();
            let token = format!("aW50ZXJhY3Rpb246{id}");
            let private = owner(channel).is_some();
            let mut event = json!({
                "id": id.to_string(), "application_id": APPLICATION, "type": kind, "data": data,
                "channel_id": channel, "channel": State::channel(channel), "token": token,
                "version": 1, "app_permissions": "274878024704", "locale": "en-US",
                "entitlements": [], "authorizing_integration_owners": { "0": GUILD },
                "context": if private { 1 } else { 0 }, "attachment_size_limit": 10_485_760,
            });
            if private {
                event["user"] = State::user(user);
            } else {
                event["guild_id"] = json!(GUILD);
                event["guild_locale"] = json!("en-US");
                event["guild"] = json!({ "id": GUILD, "locale": "en-US", "features": [] });
                event["member"] = json!({
                    "user": State::user(user), "roles": [], "nick": null, "avatar": null,
                    "joined_at": "2026-01-01T00:00:00+00:00", "deaf": false, "mute": false,
                    "flags": 0, "permissions": "2147483647", "pending": false,
                    "premium_since": null, "communication_disabled_until": null,
                });
            }
            let original = under.as_ref().map(|(id, _)| *id);
            if let Some((_, message)) = under {
                event["message"] = message;
            }
            let one = Interaction {
                kind,
                token,
                channel: channel.to_owned(),
                user: user.to_owned(),
                at: Instant::now(),
                acknowledged: None,
                original,
                removed: false,
                forgiven: false,
            };
            state.interactions.insert(id, one);
            state.dispatch("INTERACTION_CREATE", &event, None);
            id.to_string()
        })
    }

    /// Nobody complains if it is not acknowledged: the bot is killed meanwhile.
    pub(crate) fn forgive(&self, interaction: &str) {
        let id: u64 = interaction.parse().unwrap();
        self.see(|state| state.interactions.get_mut(&id).unwrap().forgiven = true);
    }

    /// Has the bot said that it heard this?
    pub(crate) fn is_acknowledged(&self, interaction: &str) -> bool {
        let id: u64 = interaction.parse().unwrap();
        self.see(|state| state.interactions[&id].acknowledged.is_some())
    }

    /// What came in the place of "thinking …".
    pub(crate) fn answered(&self, interaction: &str) -> Option<super::Message> {
        let id: u64 = interaction.parse().unwrap();
        self.see(|state| {
            let original = state.interactions[&id].original?;
            state.messages.get(&original).cloned()
        })
    }

    /// Does it still show that an answer is on its way?
    pub(crate) fn is_thinking(&self, interaction: &str) -> bool {
        let id: u64 = interaction.parse().unwrap();
        self.see(|state| {
            let one = &state.interactions[&id];
            matches!(one.acknowledged, Some((5, _))) && one.original.is_none() && !one.removed
        })
    }

    /// Writes a message, with these fields besides. Gives its id.
    pub(crate) fn write(&self, channel: &str, user: &str, text: &str, fields: Value) -> String {
        self.said("MESSAGE_CREATE", channel, user, text, fields)
    }

    /// Changes what was written.
    pub(crate) fn rewrite(&self, channel: &str, user: &str, text: &str, fields: Value) -> String {
        self.said("MESSAGE_UPDATE", channel, user, text, fields)
    }

    fn said(&self, kind: &str, channel: &str, user: &str, text: &str, fields: Value) -> String {
        self.see(|state| {
            let private = owner(channel).is_some();
            let meant = text.contains(&format!("<@{BOT}>"));
            let mentions = meant.then(|| State::user(BOT));
            let mut event = json!({
                "id": state.id().to_string(), "channel_id": channel, "author": State::user(user),
                "content": text, "timestamp": "2026-01-01T00:00:00.000000+00:00",
                "edited_timestamp": null, "tts": false, "mention_everyone": false,
                "mentions": mentions.into_iter().collect::<Vec<_>>(), "mention_roles": [],
                "attachments": [], "embeds": [], "pinned": false, "type": 0, "flags": 0,
                "components": [], "nonce": "1",
                "channel_type": State::channel(channel).unwrap()["type"],
            });
            if !private {
                event["guild_id"] = json!(GUILD);
                event["member"] = json!({ "roles": [], "deaf": false, "mute": false, "flags": 0,
                    "joined_at": "2026-01-01T00:00:00+00:00" });
            }
            for (name, value) in fields.as_object().into_iter().flatten() {
                event[name.as_str()] = value.clone();
            }
            // Without the privileged intent only what is meant for the bot has its text.
            if !private && !meant {
                event["content"] = json!("");
            }
            let intent = if private { PRIVATE } else { MESSAGES };
            state.dispatch(kind, &event, Some(intent));
            event["id"].as_str().unwrap().to_owned()
        })
    }

    /// Closes all connections with this code.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.order(&Order::Close(code, reason));
    }

    /// Cuts all connections, without a word.
    pub(crate) fn cut(&self) {
        self.order(&Order::Cut);
    }

    /// Sends a text that no session knows of.
    pub(crate) fn frame(&self, text: &str) {
        self.order(&Order::Send(text.to_owned()));
    }

    /// Sends the last event once more, as a resumed connection may.
    pub(crate) fn repeat(&self) {
        let lasts: Vec<String> = self.see(|state| {
            let sent = state.sessions.values().filter_map(|one| one.sent.last());
            sent.map(|(_, frame)| frame.to_string()).collect()
        });
        for last in lasts {
            self.frame(&last);
        }
    }

    fn order(&self, order: &Order) {
        self.see(|state| {
            for session in state.sessions.values() {
                if let Some(line) = &session.line {
                    let _ = line.send(order.clone());
                }
            }
        });
    }
}
