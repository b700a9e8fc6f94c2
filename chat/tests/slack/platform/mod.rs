//! A Slack on loopback that takes nothing it does not know: Web API, Socket Mode, signed
//! requests, files, and the people on it.
//!
//! Nobody offers such a server, so this one is ours; `sdk.rs` proves it with Slack's own client
//! before the adapter is tried on it. It keeps what is shown, plays people, and writes down
//! whatever was wrong: an unknown field, a block that Slack would refuse, an envelope that
//! nobody acknowledged.

#![allow(dead_code, reason = "each of those who use it uses a part of it")]

mod blocks;
mod page;
pub(crate) mod people;
mod socket;
mod web;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use serde_json::{Map, Value, json};
use supervisor::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use people::Way;

pub(crate) const BOT_TOKEN: &str = "xoxb-10-20-secretsecretsecret";
pub(crate) const APP_TOKEN: &str = "xapp-1-A0MHOST-30-secretsecretsecret";
pub(crate) const SIGNING: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub(crate) const TEAM: &str = "T0ACME";
pub(crate) const BOT: &str = "U0BOT";
pub(crate) const BOT_ID: &str = "B0BOT";
/// Channels that are not in here do not exist; private chats are made when they are opened.
pub(crate) const OPS: &str = "C0OPS";
pub(crate) const GONE: &str = "C0GONE";
pub(crate) const ARCHIVED: &str = "C0OLD";

/// A call of the Web API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `chat.postMessage`.
    pub(crate) method: String,
    /// Its fields; in a form all of them are texts.
    pub(crate) fields: Map<String, Value>,
    /// Was it a form?
    pub(crate) is_form: bool,
    /// What came back.
    pub(crate) answer: Value,
}

/// A message as a user sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread: Option<String>,
    /// All its text, without letters that nobody sees.
    pub(crate) text: String,
    /// Labels of its buttons and what they carry.
    pub(crate) buttons: Vec<(String, String)>,
    /// Files by name and content, in its thread.
    pub(crate) files: Vec<(String, String)>,
    /// What Slack would make of its texts: mentions, links, formatting.
    pub(crate) live: Vec<String>,
}

impl Seen {
    /// What a button carries.
    pub(crate) fn payload(&self, label: &str) -> Option<String> {
        let found = self.buttons.iter().find(|(one, _)| one == label);
        found.map(|(_, payload)| payload.clone())
    }
}

/// What the next call of a method is answered, instead of what would be.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u64>,
}

impl Said {
    pub(crate) fn error(word: &str) -> Self {
        Self {
            status: 200,
            body: json!({ "ok": false, "error": word }).to_string(),
            retry_after: None,
        }
    }
}

/// Something that was delivered and may come again.
#[derive(Debug, Clone)]
struct Envelope {
    id: String,
    kind: &'static str,
    payload: Value,
    attempt: u64,
}

#[derive(Default)]
struct State {
    faults: Vec<String>,
    calls: Vec<Call>,
    shown: Vec<Seen>,
    deleted: Vec<String>,
    /// What only one person saw: who, and what.
    whispers: Vec<(String, String)>,
    /// Files that were announced: name, bytes, content.
    files: HashMap<String, (String, usize, Option<String>)>,
    /// Addresses for answers: whom they reach, and how often yet.
    answers: HashMap<String, (String, u8)>,
    script: HashMap<String, VecDeque<Said>>,
    tickets: Vec<String>,
    /// Connections that have said hello, the newest last.
    lines: Vec<mpsc::UnboundedSender<Line>>,
    /// Delivered and not acknowledged.
    open: Vec<Envelope>,
    /// Not delivered yet, since nobody was connected.
    waiting: Vec<Envelope>,
    acknowledged: Vec<String>,
    /// All events that were delivered.
    events: Vec<Value>,
    connections: usize,
    /// The next upgrades are refused with this status.
    refused: Vec<u16>,
    /// New connections say nothing after their hello, not even to pings.
    mute: bool,
    /// New connections are told at once that another one is wanted.
    restless: bool,
    way: Way,
    counter: u64,
}

/// What a connection is told to do.
enum Line {
    Text(String),
    Close,
}

struct Shared {
    url: String,
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fault(&self, text: impl Into<String>) {
        self.lock().faults.push(text.into());
    }
}

/// The server, and the people on it.
pub(crate) struct Platform {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        // Whoever sends signed requests needs one, though nothing is encrypted here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
        let listener = tokio::net::TcpListener::bind(any_port).await.unwrap();
        let shared = Arc::new(Shared {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Mutex::default(),
        });
        let router = Router::new()
            .route("/api/{method}", any(web::call))
            .route("/upload/{file}", post(web::upload))
            .route("/answer/{token}", post(web::answer))
            .route("/link", get(socket::upgrade))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, task }
    }

    /// Where the Web API is.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/api", self.shared.url)
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// All of one method.
    pub(crate) fn of(&self, method: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method);
        calls
    }

    /// All messages, oldest first, as they stand now.
    pub(crate) fn shown(&self) -> Vec<Seen> {
        self.shared.lock().shown.clone()
    }

    /// The newest message in a channel.
    pub(crate) fn last(&self, channel: &str) -> Option<Seen> {
        self.shown().into_iter().rfind(|one| one.channel == channel)
    }

    /// What only one person saw.
    pub(crate) fn whispers(&self) -> Vec<(String, String)> {
        self.shared.lock().whispers.clone()
    }

    /// All events that were delivered, as they were.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.shared.lock().events.clone()
    }

    /// Envelopes that were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.lock().acknowledged.len()
    }

    /// Envelopes that were delivered and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Connections that stand.
    pub(crate) fn lines(&self) -> usize {
        let mut state = self.shared.lock();
        state.lines.retain(|line| !line.is_closed());
        state.lines.len()
    }

    /// What was wrong.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.clone()
    }

    /// The next calls of a method are answered so.
    pub(crate) fn say(&self, method: &str, said: impl IntoIterator<Item = Said>) {
        let mut state = self.shared.lock();
        state
            .script
            .entry(method.to_owned())
            .or_default()
            .extend(said);
    }

    /// The next upgrades to a socket are refused with these.
    pub(crate) fn refuse_upgrades(&self, with: &[u16]) {
        self.shared.lock().refused.extend(with);
    }

    /// Connections from now on hear nothing and answer nothing after their hello.
    pub(crate) fn mute(&self, mute: bool) {
        self.shared.lock().mute = mute;
    }

    /// Whoever connects from now on is told at once that another connection is wanted.
    pub(crate) fn restless(&self, restless: bool) {
        self.shared.lock().restless = restless;
    }

    /// Sends this text on the newest connection.
    pub(crate) fn frame(&self, text: impl Into<String>) {
        let mut state = self.shared.lock();
        state.lines.retain(|line| !line.is_closed());
        let line = state.lines.last().expect("a connection");
        let _ = line.send(Line::Text(text.into()));
    }

    /// Slack says that the newest connection ends, and why.
    pub(crate) fn disconnect(&self, reason: &str) {
        let debug = json!({ "host": "applink-1" });
        let frame = json!({ "type": "disconnect", "reason": reason, "debug_info": debug });
        self.frame(frame.to_string());
    }

    /// Closes the oldest connection that stands.
    pub(crate) fn close_oldest(&self) {
        let mut state = self.shared.lock();
        state.lines.retain(|line| !line.is_closed());
        let line = state.lines.remove(0);
        let _ = line.send(Line::Close);
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Times of now, each another one.
    fn ts(&mut self) -> String {
        let seconds = Clock::system().now().as_second();
        format!("{seconds}.{:06}", self.number())
    }
}
