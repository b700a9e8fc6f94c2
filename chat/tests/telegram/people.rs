//! Ana, in her chat with the bot, in front of one of the servers.

use std::sync::Mutex;

use async_trait::async_trait;
use chat::{MessageRef, Place, Platform};
use serde_json::{Value, json};

use crate::TOKEN;
use crate::between::{Between, Call};
use crate::conformance::{Counterpart, Shown};
use crate::page;

/// Ana's id, and that of her private chat.
pub(crate) const ANA: i64 = 77_001;
/// A group that the bot was put out of.
pub(crate) const GONE: i64 = -100_404;

/// How a server is made to deliver something.
#[async_trait]
pub(crate) trait Server: Send + Sync {
    /// A message of Ana's, without what the server gives it.
    async fn message(&self, message: Value);

    /// A press of Ana's.
    async fn query(&self, query: Value);

    /// What was not taken comes again. Most do so by themselves.
    async fn again(&self) {}

    /// Does it know menus and files, and deliver again what was not taken?
    fn is_whole(&self) -> bool;
}

/// Ana in front of a server.
pub(crate) struct Ana<S> {
    pub(crate) server: S,
    pub(crate) between: Between,
    pub(crate) bot: i64,
    written: Mutex<i64>,
}

/// Ana, as Telegram describes her.
pub(crate) fn ana() -> Value {
    json!({ "id": ANA, "is_bot": false, "first_name": "Ana", "username": "ana_ops" })
}

impl<S: Server> Ana<S> {
    pub(crate) fn new(server: S, between: Between, bot: i64) -> Self {
        let written = Mutex::new(10_000);
        Self {
            server,
            between,
            bot,
            written,
        }
    }

    /// A message in this chat, with these fields besides.
    pub(crate) async fn say(&self, chat: Value, fields: Value) {
        let id = {
            let mut written = self.written.lock().unwrap();
            *written += 1;
            *written
        };
        let mut message =
            json!({ "message_id": id, "date": 1_700_000_000, "from": ana(), "chat": chat });
        for (name, value) in fields.as_object().unwrap() {
            message[name.as_str()] = value.clone();
        }
        self.server.message(message).await;
    }

    /// A press under a message in this chat.
    pub(crate) async fn push(&self, chat: Value, message: i64, data: &str) {
        let bot = json!({ "id": self.bot, "is_bot": true, "first_name": "mhost" });
        let under = json!({
            "message_id": message, "date": 1_700_000_000, "from": bot, "chat": chat, "text": "x",
        });
        let query = json!({
            "id": format!("q{message}"), "from": ana(), "message": under,
            "chat_instance": "1", "data": data, "botToken": TOKEN,
        });
        self.server.query(query).await;
    }

    fn seen(&self, call: &Call, id: i64) -> Shown {
        let mut shown = page::read(call.fields["text"].as_str().unwrap());
        shown.id = id.to_string();
        let rows = call
            .fields
            .get("reply_markup")
            .map(|markup| &markup["inline_keyboard"]);
        let rows = rows.and_then(Value::as_array).into_iter().flatten();
        for button in rows.flat_map(|row| row.as_array().unwrap()) {
            let part = |name: &str| button[name].as_str().unwrap().to_owned();
            shown.buttons.push((part("text"), part("callback_data")));
        }
        shown
    }
}

fn private() -> Value {
    json!({ "id": ANA, "type": "private", "first_name": "Ana" })
}

#[async_trait]
impl<S: Server> Counterpart for Ana<S> {
    fn place(&self) -> Place {
        Place::chat(Platform::Telegram, ANA.to_string())
    }

    fn user(&self) -> String {
        ANA.to_string()
    }

    fn gone(&self) -> Place {
        Place::chat(Platform::Telegram, GONE.to_string())
    }

    async fn write(&self, text: &str) {
        self.say(private(), json!({ "text": text })).await;
    }

    async fn press(&self, message: &MessageRef, payload: &str) {
        self.push(private(), message.id.parse().unwrap(), payload)
            .await;
    }

    async fn shown(&self) -> Vec<Shown> {
        let mut all: Vec<Shown> = Vec::new();
        for call in self.between.calls() {
            if call.answer["ok"] != true {
                continue;
            }
            match &*call.method {
                "sendMessage" => {
                    let id = call.answer["result"]["message_id"].as_i64().unwrap();
                    all.push(self.seen(&call, id));
                }
                "editMessageText" => {
                    let new = self.seen(&call, call.number("message_id").unwrap());
                    let old = all.iter_mut().find(|one| one.id == new.id).unwrap();
                    *old = Shown {
                        files: old.files.clone(),
                        ..new
                    };
                }
                "sendDocument" => {
                    let reply: Value =
                        serde_json::from_str(call.fields["reply_parameters"].as_str().unwrap())
                            .unwrap();
                    let id = reply["message_id"].to_string();
                    let (_, name, content) = call.files[0].clone();
                    let to = all.iter_mut().find(|one| one.id == id).unwrap();
                    to.files.push((name, content));
                }
                _ => {}
            }
        }
        all
    }

    async fn answers(&self) -> Vec<String> {
        let calls = self.between.of("answerCallbackQuery");
        let text = |call: Call| call.fields["text"].as_str().unwrap().to_owned();
        calls.into_iter().map(text).collect()
    }

    async fn remove(&self, message: &MessageRef) {
        self.between.remove(ANA, message.id.parse().unwrap());
    }

    async fn menu(&self) -> Option<Vec<String>> {
        let menus = self.between.of("setMyCommands");
        let entries = menus.last().map(|call| call.fields["commands"].clone());
        let entries = entries
            .and_then(|all| all.as_array().cloned())
            .unwrap_or_default();
        let name = |entry: Value| entry["command"].as_str().unwrap().to_owned();
        self.server
            .is_whole()
            .then(|| entries.into_iter().map(name).collect())
    }

    async fn redeliver(&self) -> bool {
        self.server.again().await;
        self.server.is_whole()
    }

    fn has_files(&self) -> bool {
        self.server.is_whole()
    }
}
