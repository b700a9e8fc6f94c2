//! The same at a server that plays Telegram and is not ours: `lo-bot-api-emulator`, which
//! refuses what it does not know. It has no memory of messages, so what stands between it and
//! mhost keeps what was sent; the adapter is tried there, too (`chat/tests/telegram`).

#[path = "../../../chat/tests/telegram/between.rs"]
#[allow(dead_code, reason = "the tests of the adapter use the rest")]
mod between;

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use supervisor::Clock;
use tokio::runtime::Runtime;

use self::between::{Between, Call};
use super::person::{At, Message, Person};
use super::{ADMIN, GROUP, fault, settings_at, words};
use crate::rig::counterparts::folder;
use crate::rig::home::command;
use crate::rig::{free_port, until};

const MAIN: &str = "from lo_bot_api_emulator import main; main()";
const TOKEN: &str = "123456:AAHsecretsecretsecretsecretsecret";
/// Telegram knows them since 2023 and this server does not.
const UNKNOWN: [&str; 2] = ["link_preview_options", "message_thread_id"];

/// The server, and Ana in front of it.
struct Strict {
    child: Child,
    url: String,
    between: Between,
    client: reqwest::Client,
    runtime: Runtime,
    next: AtomicI64,
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Strict {
    /// `None` when it is not installed.
    fn start() -> Option<Self> {
        let packages = folder("telegram")?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = free_port();
        let child = command("python3")
            .args(["-c", MAIN, "--enable-control", "--port", &port.to_string()])
            .env("PYTHONPATH", &packages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let strict = Self {
            between: runtime.block_on(Between::start(&url, &UNKNOWN, &[])),
            child,
            client,
            runtime,
            next: AtomicI64::new(10_000),
            url,
        };
        until("the server answers", || {
            let asked = strict.client.get(&strict.url).send();
            strict.runtime.block_on(asked).is_ok()
        });
        Some(strict)
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Something happens.
    fn happens(&self, kind: &str, what: Value) {
        let body = json!({ "token": TOKEN, "update": { kind: what } });
        let url = format!("{}/__fixture/updates", self.url);
        let said = self.client.post(url).json(&body).send();
        let said = self.runtime.block_on(said).unwrap();
        assert!(said.status().is_success(), "{kind}: {}", said.status());
    }

    fn chat(at: At) -> (i64, Value) {
        match at {
            At::Private => (
                ADMIN,
                json!({ "id": ADMIN, "type": "private", "first_name": "Ana" }),
            ),
            At::Channel => (
                GROUP,
                json!({ "id": GROUP, "type": "group", "title": "ops" }),
            ),
        }
    }

    /// The calls that made each message of a chat what it is now, oldest first.
    fn calls(&self, at: At) -> Vec<(i64, Call)> {
        let (chat, _) = Self::chat(at);
        let mut messages: Vec<(i64, Call)> = Vec::new();
        for call in self.between.calls() {
            if call.number("chat_id") != Some(chat) || call.answer["ok"] != true {
                continue;
            }
            match call.method.as_str() {
                "sendMessage" => {
                    let id = call.answer["result"]["message_id"].as_i64().unwrap();
                    messages.push((id, call));
                }
                "editMessageText" => {
                    let id = call.number("message_id").unwrap();
                    let known = messages.iter_mut().find(|(one, _)| *one == id);
                    known.expect("a message that was sent").1 = call;
                }
                _ => {}
            }
        }
        messages
    }
}

fn buttons(call: &Call) -> Vec<(String, String)> {
    let rows = call.fields.get("reply_markup");
    let rows = rows.and_then(|markup| markup["inline_keyboard"].as_array());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = rows.into_iter().flatten().filter_map(Value::as_array);
    all.flatten()
        .map(|one| (text(&one["text"]), text(&one["callback_data"])))
        .collect()
}

fn ana() -> Value {
    json!({ "id": ADMIN, "is_bot": false, "first_name": "Ana" })
}

impl Person for Strict {
    fn settings(&self) -> String {
        settings_at(&self.between.url).replace("1:abc", TOKEN)
    }

    fn writes(&self, words: &str) {
        let (_, chat) = Self::chat(At::Private);
        let length = words.split(' ').next().unwrap().len();
        let entity = json!({ "type": "bot_command", "offset": 0, "length": length });
        let message = json!({
            "message_id": self.number(), "date": Clock::system().now().as_second(),
            "from": ana(), "chat": chat, "text": words, "entities": [entity],
        });
        self.happens("message", message);
    }

    fn sees(&self, at: At) -> Vec<Message> {
        let seen = |(id, call): (i64, Call)| Message {
            id: id.to_string(),
            text: call.fields["text"].as_str().unwrap_or_default().to_owned(),
            buttons: buttons(&call).into_iter().map(|(label, _)| label).collect(),
        };
        self.calls(at).into_iter().map(seen).collect()
    }

    fn presses(&self, at: At, message: &Message, label: &str) {
        let (_, chat) = Self::chat(at);
        let calls = self.calls(at);
        let found = calls.iter().find(|(id, _)| id.to_string() == message.id);
        let (id, call) = found.expect("the message");
        let buttons = buttons(call);
        let (_, payload) = buttons.iter().find(|(one, _)| one == label).unwrap();
        let bot = json!({ "id": 7, "is_bot": true, "first_name": "mhost" });
        let under = json!({
            "message_id": id, "date": Clock::system().now().as_second(), "from": bot,
            "chat": chat, "text": "x",
        });
        let query = json!({
            "id": self.number().to_string(), "from": ana(), "message": under,
            "chat_instance": "1", "data": payload,
        });
        self.happens("callback_query", query);
    }

    fn faults(&self) -> Vec<String> {
        let refused = |call: &Call| {
            let is_long_poll = call.method == "getUpdates";
            call.answer["ok"] != true && !is_long_poll
        };
        let calls = self.between.calls().into_iter().filter(refused);
        calls
            .map(|call| format!("{}: {}", call.method, call.answer))
            .collect()
    }
}

#[test]
fn every_word_is_answered() {
    if let Some(strict) = Strict::start() {
        words::all(&strict);
    }
}

#[test]
fn a_real_crash_is_healed() {
    if let Some(strict) = Strict::start() {
        fault::is_healed(&strict);
    }
}
