//! A Bot API on loopback that takes nothing it does not know, with a person to play.
//!
//! The adapter is tried against servers of other people in `chat/tests`; here it is what the
//! whole is driven by, so it keeps what is shown and says what was wrong with a request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use supervisor::Clock;

use super::person::{At, Message, Person};
use super::{ADMIN, GROUP};
use crate::rig::{pause, until};

/// What each method takes; more or fewer is a fault.
const METHODS: [(&str, &[&str], &[&str]); 7] = [
    ("getme", &[], &[]),
    (
        "getupdates",
        &[],
        &["offset", "limit", "timeout", "allowed_updates"],
    ),
    ("setmycommands", &["commands"], &["scope", "language_code"]),
    (
        "sendmessage",
        &["chat_id", "text"],
        &[
            "parse_mode",
            "reply_markup",
            "message_thread_id",
            "link_preview_options",
            "disable_notification",
        ],
    ),
    (
        "editmessagetext",
        &["chat_id", "message_id", "text"],
        &["parse_mode", "reply_markup", "link_preview_options"],
    ),
    (
        "answercallbackquery",
        &["callback_query_id"],
        &["text", "show_alert"],
    ),
    ("deletemessage", &["chat_id", "message_id"], &[]),
];

/// A message as it stands now.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) id: i64,
    pub(super) chat: i64,
    pub(super) text: String,
    /// Labels and what they carry.
    pub(super) buttons: Vec<(String, String)>,
}

impl Shown {
    /// What a button carries.
    pub(super) fn payload(&self, label: &str) -> String {
        let found = self.buttons.iter().find(|(one, _)| one == label);
        found.expect("a button").1.clone()
    }
}

#[derive(Default)]
struct State {
    updates: Vec<Value>,
    next: i64,
    /// Updates that were handed out.
    delivered: usize,
    shown: Vec<Shown>,
    notes: Vec<String>,
    menu: Vec<String>,
    faults: Vec<String>,
}

/// The server, and the people on it.
pub(super) struct Telegram {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Telegram {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let kept = state.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    /// All messages, oldest first.
    pub(super) fn shown(&self) -> Vec<Shown> {
        self.with(|state| state.shown.clone())
    }

    /// The newest message of a chat.
    pub(super) fn last(&self, chat: i64) -> Shown {
        let shown = self.shown();
        let found = shown.into_iter().rfind(|one| one.chat == chat);
        found.expect("a message")
    }

    /// The newest message with that button: something else may be below it.
    pub(super) fn with_button(&self, chat: i64, label: &str) -> Option<Shown> {
        let has = |one: &Shown| one.buttons.iter().any(|(name, _)| name == label);
        let shown = self.shown();
        shown.into_iter().rfind(|one| one.chat == chat && has(one))
    }

    /// What was said to somebody who pressed.
    pub(super) fn notes(&self) -> Vec<String> {
        self.with(|state| state.notes.clone())
    }

    /// The commands that are listed.
    pub(super) fn menu(&self) -> Vec<String> {
        until("the commands are listed", || {
            self.with(|state| !state.menu.is_empty())
        });
        self.with(|state| state.menu.clone())
    }

    /// What was wrong with requests.
    pub(super) fn faults(&self) -> Vec<String> {
        self.with(|state| state.faults.clone())
    }

    /// Updates that mhost has been handed.
    pub(super) fn delivered(&self) -> usize {
        self.with(|state| state.delivered)
    }

    /// Writes in a chat.
    pub(super) fn writes(&self, who: i64, chat: i64, text: &str) {
        self.with(|state| {
            state.next += 1;
            let number = state.next;
            let length = text.split(' ').next().unwrap().len();
            let entities = if text.starts_with('/') {
                json!([{"type": "bot_command", "offset": 0, "length": length}])
            } else {
                json!([])
            };
            state.updates.push(json!({"update_id": number, "message": {
                "message_id": 10_000 + number, "date": now(), "chat": chat_of(chat),
                "from": user(who), "text": text, "entities": entities,
            }}));
        });
    }

    /// Writes in private, and gives the answer.
    pub(super) fn asks(&self, who: i64, text: &str) -> String {
        let before = self.shown().len();
        self.writes(who, who, text);
        until(&format!("`{text}` is answered"), || {
            self.shown().len() > before
        });
        self.last(who).text
    }

    /// Presses the newest such button of a private chat.
    pub(super) fn presses(&self, who: i64, label: &str) {
        self.presses_in(who, who, label);
    }

    /// Presses the newest such button of a chat.
    pub(super) fn presses_in(&self, chat: i64, who: i64, label: &str) {
        let message = self.with_button(chat, label).expect("a button");
        self.press_payload(chat, who, &message.id, &message.payload(label));
    }

    /// Presses a button with this in it.
    pub(super) fn press_payload(&self, chat: i64, who: i64, message: &i64, payload: &str) {
        self.with(|state| {
            state.next += 1;
            let number = state.next;
            state.updates.push(json!({"update_id": number, "callback_query": {
                "id": number.to_string(), "from": user(who), "chat_instance": "1", "data": payload,
                "message": {
                    "message_id": message, "date": now(), "chat": chat_of(chat), "text": "…",
                    "from": {"id": 1, "is_bot": true, "first_name": "mhost"},
                },
            }}));
        });
    }
}

impl Telegram {
    fn chat(at: At) -> i64 {
        match at {
            At::Private => ADMIN,
            At::Channel => GROUP,
        }
    }
}

impl Person for Telegram {
    fn settings(&self) -> String {
        super::settings(self)
    }

    fn writes(&self, words: &str) {
        Telegram::writes(self, ADMIN, ADMIN, words);
    }

    fn sees(&self, at: At) -> Vec<Message> {
        let mut shown = self.shown();
        shown.retain(|one| one.chat == Self::chat(at));
        let seen = |one: Shown| Message {
            id: one.id.to_string(),
            text: one.text,
            buttons: one.buttons.into_iter().map(|(label, _)| label).collect(),
        };
        shown.into_iter().map(seen).collect()
    }

    fn presses(&self, at: At, message: &Message, label: &str) {
        let shown = self.shown();
        let found = shown.iter().find(|one| one.id.to_string() == message.id);
        let found = found.expect("the message");
        self.press_payload(Self::chat(at), ADMIN, &found.id, &found.payload(label));
    }

    fn faults(&self) -> Vec<String> {
        Telegram::faults(self)
    }
}

fn now() -> i64 {
    Clock::system().now().as_second()
}

fn user(id: i64) -> Value {
    json!({"id": id, "is_bot": false, "first_name": "Ana"})
}

fn chat_of(id: i64) -> Value {
    if id > 0 {
        json!({"id": id, "type": "private", "first_name": "Ana"})
    } else {
        json!({"id": id, "type": "group", "title": "ops"})
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let Some((path, body)) = read(&stream) else {
        return;
    };
    let method = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (status, answer) = match check(&method, &body) {
        Ok(()) => (200, answer(&method, &body, state)),
        Err(fault) => {
            state
                .lock()
                .unwrap()
                .faults
                .push(format!("{method}: {fault}"));
            (400, Err(fault))
        }
    };
    let (status, answer) = match answer {
        Ok(result) => (status, json!({"ok": true, "result": result})),
        Err(why) => (
            400,
            json!({"ok": false, "error_code": 400, "description": why}),
        ),
    };
    let text = answer.to_string();
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    );
}

/// The path and the parameters of a request.
fn read(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| json!({}));
    Some((path, body))
}

fn check(method: &str, body: &Value) -> Result<(), String> {
    let Some((_, must, may)) = METHODS.iter().find(|(name, ..)| *name == method) else {
        return Err("no such method".into());
    };
    let given = body.as_object().ok_or("no object")?;
    for key in *must {
        if !given.contains_key(*key) {
            return Err(format!("{key} is missing"));
        }
    }
    for key in given.keys() {
        if !must.contains(&key.as_str()) && !may.contains(&key.as_str()) {
            return Err(format!("{key} is unknown"));
        }
    }
    let text = body["text"].as_str().unwrap_or("x");
    if text.is_empty() && method != "answercallbackquery" {
        return Err("message text is empty".into());
    }
    Ok(())
}

fn answer(method: &str, body: &Value, state: &Mutex<State>) -> Result<Value, String> {
    match method {
        "getme" => Ok(json!({
            "id": 1, "is_bot": true, "first_name": "mhost", "username": "mhost_bot",
            "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "can_connect_to_business": false,
            "has_main_web_app": false,
        })),
        "getupdates" => Ok(updates(body, state)),
        "setmycommands" => {
            let names = body["commands"].as_array().cloned().unwrap_or_default();
            let names = names.iter().filter_map(|one| one["command"].as_str());
            state.lock().unwrap().menu = names.map(str::to_owned).collect();
            Ok(json!(true))
        }
        "answercallbackquery" => {
            let text = body["text"].as_str().unwrap_or_default().to_owned();
            state.lock().unwrap().notes.push(text);
            Ok(json!(true))
        }
        "sendmessage" => {
            let mut state = state.lock().unwrap();
            let one = Shown {
                id: state.shown.len() as i64 + 1,
                ..shown(body)
            };
            state.shown.push(one.clone());
            Ok(message(&one))
        }
        "editmessagetext" => {
            let mut state = state.lock().unwrap();
            let id = body["message_id"].as_i64();
            let found = state.shown.iter_mut().find(|one| Some(one.id) == id);
            let old = found.ok_or("Bad Request: message to edit not found")?;
            *old = Shown {
                id: old.id,
                ..shown(body)
            };
            Ok(message(old))
        }
        _ => Ok(json!(true)),
    }
}

/// Those from the offset on, once there are any.
fn updates(body: &Value, state: &Mutex<State>) -> Value {
    let offset = body["offset"].as_i64().unwrap_or(0);
    let wait = body["timeout"].as_u64().unwrap_or(0).min(5);
    let rounds = wait * 50;
    for _ in 0..=rounds {
        {
            let mut state = state.lock().unwrap();
            state
                .updates
                .retain(|one| one["update_id"].as_i64().unwrap() >= offset);
            if !state.updates.is_empty() {
                state.delivered += state.updates.len();
                return json!(state.updates);
            }
        }
        pause(Duration::from_millis(20));
    }
    json!([])
}

fn shown(body: &Value) -> Shown {
    let chat = &body["chat_id"];
    let rows = body["reply_markup"]["inline_keyboard"].as_array().cloned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Shown {
        id: 0,
        chat: chat.as_i64().unwrap_or_else(|| text(chat).parse().unwrap()),
        text: text(&body["text"]),
        buttons: rows
            .unwrap_or_default()
            .iter()
            .flat_map(|row| row.as_array().cloned().unwrap_or_default())
            .map(|one| (text(&one["text"]), text(&one["callback_data"])))
            .collect(),
    }
}

fn message(one: &Shown) -> Value {
    json!({
        "message_id": one.id, "date": now(), "chat": chat_of(one.chat), "text": one.text,
        "from": {"id": 1, "is_bot": true, "first_name": "mhost"},
    })
}
