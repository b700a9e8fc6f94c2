//! Ana, in her private chat with the bot or in the channel of her team.

use async_trait::async_trait;
use chat::{MessageRef, Place, Platform};
use serde_json::json;

use crate::conformance::{Counterpart, Shown};
use crate::page;
use crate::server::{ANA, ANAS, BOT, HIDDEN, OPS, Server};
use crate::until;

/// Ana in front of the server.
pub(crate) struct Ana {
    pub(crate) server: Server,
    channel: &'static str,
    gone: &'static str,
}

impl Ana {
    /// In private: she writes.
    pub(crate) fn in_private(server: Server) -> Self {
        // An id of nobody and nothing.
        let gone = "100000000000000404";
        let channel = ANAS;
        Self {
            server,
            channel,
            gone,
        }
    }

    /// In the channel: she uses the commands, and mentions the bot.
    pub(crate) fn in_the_team(server: Server) -> Self {
        let (channel, gone) = (OPS, HIDDEN);
        Self {
            server,
            channel,
            gone,
        }
    }
}

#[async_trait]
impl Counterpart for Ana {
    fn place(&self) -> Place {
        Place::chat(Platform::Discord, self.channel)
    }

    fn user(&self) -> String {
        ANA.to_owned()
    }

    fn gone(&self) -> Place {
        Place::chat(Platform::Discord, self.gone)
    }

    async fn write(&self, text: &str) {
        let team = self.channel == OPS;
        let listed = self.server.commands();
        let word = text.trim_start_matches('/').split(' ').next();
        let is_listed = listed.iter().any(|one| one["name"].as_str() == word);
        if team && text.starts_with('/') && is_listed {
            self.server.slash(self.channel, ANA, text);
        } else if team {
            let text = format!("<@{BOT}> {text}");
            self.server.write(self.channel, ANA, &text, json!({}));
        } else {
            self.server.write(self.channel, ANA, text, json!({}));
        }
    }

    async fn press(&self, message: &MessageRef, payload: &str) {
        self.server.press(ANA, &message.id, payload);
    }

    async fn shown(&self) -> Vec<Shown> {
        let shown = self.server.shown(self.channel);
        shown.iter().map(page::read).collect()
    }

    async fn answers(&self) -> Vec<String> {
        let whispered = self.server.whispered(ANA);
        let read = |one| page::read(one).text;
        whispered.iter().map(read).collect()
    }

    async fn remove(&self, message: &MessageRef) {
        self.server.remove(&message.id);
    }

    async fn menu(&self) -> Option<Vec<String>> {
        let names = self.server.commands().into_iter();
        Some(
            names
                .map(|one| one["name"].as_str().unwrap().to_owned())
                .collect(),
        )
    }

    async fn redeliver(&self) -> bool {
        let before = self.server.times("resume");
        self.server.close(4_000, "Unknown error.");
        until("the bot comes back", || {
            self.server.times("resume") > before
        })
        .await;
        true
    }
}
