//! A Discord on loopback that takes nothing it does not know: the gateway and REST API v10.
//!
//! It is one of ours, since nobody offers one; `client.rs` proves it with `discord.js`, which
//! must find everything where it looks for it. What a client does wrong is answered as Discord
//! answers it, and is kept in [`Server::faults`]. It runs in a thread of its own, so that
//! programs and tests without a runtime can use it, too.

mod check;
mod gateway;
mod people;
mod rest;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};
use supervisor::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A token that looks like one, and is nobody's.
pub(crate) const TOKEN: &str = "MTAwMDAwMDAwMDAwMDAwMDAx.GsEcRt.sEcReT_sEcReT_sEcReT_sEcReT_sE";
/// The bot, and the application it belongs to.
pub(crate) const BOT: &str = "100000000000000001";
pub(crate) const APPLICATION: &str = "100000000000000002";
/// The server, a channel there, a thread in it, and a channel that the bot was put out of.
pub(crate) const GUILD: &str = "100000000000000010";
pub(crate) const OPS: &str = "100000000000000011";
pub(crate) const THREAD: &str = "100000000000000012";
pub(crate) const HIDDEN: &str = "100000000000000013";
/// Ana, and her private chat with the bot.
pub(crate) const ANA: &str = "100000000000000021";
pub(crate) const ANAS: &str = "100000000000000022";
/// Bob, who may only look, and somebody whom nobody knows.
pub(crate) const BOB: &str = "100000000000000031";
pub(crate) const BOBS: &str = "100000000000000032";
pub(crate) const EVE: &str = "100000000000000041";
pub(crate) const EVES: &str = "100000000000000042";

/// The first millisecond of 2015, from which ids count.
const EPOCH: i64 = 1_420_070_400_000;

/// A request of the bot.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Without `/api/v10`.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// Files of a form: name and content.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) status: u16,
    pub(crate) answer: Value,
}

/// A message as it stands now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) channel: String,
    pub(crate) content: String,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    /// Names and contents of its files.
    pub(crate) files: Vec<(String, String)>,
    /// Only this user sees it.
    pub(crate) only: Option<String>,
    pub(crate) deleted: bool,
}

/// What the bot was asked, and how far it has answered.
#[derive(Debug, Clone)]
struct Interaction {
    kind: u8,
    token: String,
    channel: String,
    user: String,
    at: Instant,
    /// The type of its acknowledgement, and whether that was for the user alone.
    acknowledged: Option<(u8, bool)>,
    /// The message in the place of "thinking …", or the one with the button.
    original: Option<u64>,
    /// The "thinking …" was taken away.
    removed: bool,
    /// Nobody complains if it is not acknowledged.
    forgiven: bool,
}

/// What a request is answered with instead.
#[derive(Debug, Clone)]
pub(crate) struct Instead {
    /// `POST /channels/`: what a request begins with.
    pub(crate) of: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) times: usize,
}

/// What is done to a connection of the gateway.
#[derive(Debug, Clone)]
enum Order {
    Send(String),
    Close(u16, &'static str),
    Cut,
}

#[derive(Debug, Default)]
struct Session {
    seq: u64,
    intents: u64,
    sent: Vec<(u64, Value)>,
    line: Option<mpsc::UnboundedSender<Order>>,
    /// It cannot be resumed.
    over: bool,
}

struct State {
    faults: Vec<String>,
    calls: Vec<Call>,
    messages: BTreeMap<u64, Message>,
    interactions: BTreeMap<u64, Interaction>,
    /// What was last listed, by where.
    commands: HashMap<String, Vec<Value>>,
    instead: Vec<Instead>,
    counted: HashMap<String, (u32, Instant)>,
    sessions: HashMap<String, Session>,
    /// Whom the gateway spoke to, in short: `identify`, `resume`, `heartbeat`, `close 1000`.
    heard: Vec<String>,
    identified: Option<Instant>,
    next: u64,
    rules: Rules,
}

/// How the server is.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How often it wants to hear a heartbeat.
    pub(crate) heartbeat: Duration,
    /// Heartbeats are answered.
    pub(crate) acknowledges: bool,
    /// How long a bot waits between two introductions: five seconds at Discord. Less here,
    /// since the way takes longer one time than another.
    pub(crate) introductions: Duration,
    /// Introductions that are left.
    pub(crate) starts: u32,
    /// Whoever connects is closed with this code as soon as they introduce themselves.
    pub(crate) refuses: Option<(u16, &'static str)>,
    /// No resumed session is known.
    pub(crate) forgets: bool,
    /// Sent before anything else to whoever connects.
    pub(crate) greeting: Option<String>,
    /// Messages must mention nobody: a rule of mhost, not of Discord.
    pub(crate) silent: bool,
    /// Nobody is told what a channel is, until this is over.
    pub(crate) looks_away: bool,
    /// Whoever is greeted is told at once to come again.
    pub(crate) restless: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(41_250),
            acknowledges: true,
            introductions: Duration::from_millis(3_500),
            starts: 1_000,
            refuses: None,
            forgets: false,
            greeting: None,
            silent: true,
            looks_away: false,
            restless: false,
        }
    }
}

type Shared = Arc<Mutex<State>>;

/// The server. It ends when it is dropped.
pub(crate) struct Server {
    /// `http://127.0.0.1:1234/api`
    pub(crate) url: String,
    shared: Shared,
    end: Option<oneshot::Sender<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end.take().map(|end| end.send(()));
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Rules::default())
    }

    pub(crate) fn with(rules: Rules) -> Self {
        let state = State {
            faults: Vec::new(),
            calls: Vec::new(),
            messages: BTreeMap::new(),
            interactions: BTreeMap::new(),
            commands: HashMap::new(),
            instead: Vec::new(),
            counted: HashMap::new(),
            sessions: HashMap::new(),
            heard: Vec::new(),
            identified: None,
            next: 0,
            rules,
        };
        let shared: Shared = Arc::new(Mutex::new(state));
        let kept = Arc::clone(&shared);
        let (end, ended) = oneshot::channel();
        let (told, tell) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
                let listener = tokio::net::TcpListener::bind(anywhere).await.unwrap();
                let address = listener.local_addr().unwrap();
                told.send(address).unwrap();
                let router = Router::new()
                    .route("/gateway", any(gateway::enter))
                    .route("/gateway/", any(gateway::enter))
                    .fallback(rest::answer)
                    .layer(axum::extract::DefaultBodyLimit::disable())
                    .with_state((kept, address));
                // Connections end with it, too: nobody waits for them.
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = ended => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = tell.recv().unwrap();
        Self {
            url: format!("http://{address}/api"),
            shared,
            end: Some(end),
        }
    }

    fn see<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.shared.lock().unwrap())
    }

    /// What the bot did wrong so far.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.see(|state| {
            let mut faults = state.faults.clone();
            for (id, one) in &state.interactions {
                let late = one.at.elapsed() > check::ACKNOWLEDGE;
                if one.acknowledged.is_none() && !one.forgiven && late {
                    faults.push(format!("interaction {id} was never acknowledged"));
                }
            }
            faults
        })
    }

    /// All requests so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.see(|state| state.calls.clone())
    }

    /// All requests that begin so: `PATCH /channels/`.
    pub(crate) fn of(&self, begin: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|one| format!("{} {}", one.method, one.path).starts_with(begin));
        calls
    }

    /// What the gateway heard, in short.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.see(|state| state.heard.clone())
    }

    /// How often it heard this.
    pub(crate) fn times(&self, word: &str) -> usize {
        let heard = self.heard();
        heard.iter().filter(|one| *one == word).count()
    }

    /// Other rules from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.see(|state| change(&mut state.rules));
    }

    /// Answers something else than it would.
    pub(crate) fn instead(&self, of: &str, status: u16, body: Value) {
        self.say(Instead {
            of: of.into(),
            status,
            headers: Vec::new(),
            body: body.to_string(),
            times: 1,
        });
    }

    /// Answers this, with headers, as often as it says.
    pub(crate) fn say(&self, instead: Instead) {
        self.see(|state| state.instead.push(instead));
    }

    /// Takes the bot's requests as they were, and forgets them.
    pub(crate) fn forget(&self) {
        self.see(|state| state.calls.clear());
    }

    /// The commands that are listed for everybody or in the server.
    pub(crate) fn commands(&self) -> Vec<Value> {
        self.see(|state| state.commands.values().flatten().cloned().collect())
    }

    /// Messages of the bot in a channel that everybody there sees, oldest first.
    pub(crate) fn shown(&self, channel: &str) -> Vec<Message> {
        self.messages(|one| one.channel == channel && one.only.is_none())
    }

    /// Messages that only this user sees, oldest first.
    pub(crate) fn whispered(&self, user: &str) -> Vec<Message> {
        self.messages(|one| one.only.as_deref() == Some(user))
    }

    fn messages(&self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        self.see(|state| {
            let all = state.messages.values().filter(|one| !one.deleted);
            all.filter(|one| wanted(one)).cloned().collect()
        })
    }

    /// Somebody deletes a message.
    pub(crate) fn remove(&self, message: &str) {
        let id: u64 = message.parse().unwrap();
        self.see(|state| state.messages.get_mut(&id).unwrap().deleted = true);
    }

    /// Is somebody connected, introduced, and not over?
    pub(crate) fn is_connected(&self) -> bool {
        self.see(|state| state.sessions.values().any(|one| one.line.is_some()))
    }
}

impl State {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// A new id, which says when it was made.
    fn id(&mut self) -> u64 {
        self.next += 1;
        let ms = Clock::system().now().as_millisecond() - EPOCH;
        let ms = u64::try_from(ms).unwrap();
        (ms << 22) | (self.next & 0x3f_ffff)
    }

    /// Sends an event to all who want it.
    fn dispatch(&mut self, kind: &str, data: &Value, intent: Option<u64>) {
        for session in self.sessions.values_mut().filter(|one| !one.over) {
            if intent.is_some_and(|bit| session.intents & (1 << bit) == 0) {
                continue;
            }
            session.seq += 1;
            let frame = json!({ "op": 0, "t": kind, "s": session.seq, "d": data });
            session.sent.push((session.seq, frame.clone()));
            let order = Order::Send(frame.to_string());
            if session
                .line
                .as_ref()
                .is_some_and(|line| line.send(order).is_err())
            {
                session.line = None;
            }
        }
    }

    fn user(id: &str) -> Value {
        let (name, bot) = match id {
            ANA => ("ana_ops", false),
            BOB => ("bob", false),
            EVE => ("eve", false),
            BOT => ("mhost", true),
            _ => ("other", true),
        };
        json!({
            "id": id, "username": name, "discriminator": "0", "global_name": null,
            "avatar": null, "bot": bot, "public_flags": 0,
        })
    }

    /// A channel as Discord describes it; none that is not there.
    fn channel(id: &str) -> Option<Value> {
        let private = |user| {
            json!({ "id": id, "type": 1, "last_message_id": null, "flags": 0,
                    "recipients": [Self::user(user)] })
        };
        Some(match id {
            ANAS => private(ANA),
            BOBS => private(BOB),
            EVES => private(EVE),
            OPS | HIDDEN => json!({
                "id": id, "type": 0, "guild_id": GUILD, "name": "ops", "position": 0,
                "parent_id": "100000000000000019", "permission_overwrites": [], "nsfw": false,
                "topic": null, "last_message_id": null, "rate_limit_per_user": 0, "flags": 0,
            }),
            THREAD => json!({
                "id": id, "type": 11, "guild_id": GUILD, "name": "a thread", "parent_id": OPS,
                "owner_id": ANA, "last_message_id": null, "message_count": 1, "member_count": 1,
                "rate_limit_per_user": 0, "flags": 0, "total_message_sent": 1,
                "thread_metadata": {
                    "archived": false, "auto_archive_duration": 60, "locked": false,
                    "archive_timestamp": "2026-01-01T00:00:00+00:00",
                },
            }),
            _ => return None,
        })
    }

    /// A message as Discord describes it.
    fn described(&self, id: u64) -> Value {
        let one = &self.messages[&id];
        let files = one.files.iter().enumerate().map(|(number, (name, text))| {
            json!({
                "id": (number + 1).to_string(), "filename": name, "size": text.len(),
                "url": format!("https://cdn.example/{name}"),
                "proxy_url": format!("https://cdn.example/{name}"),
            })
        });
        json!({
            "id": id.to_string(), "channel_id": one.channel, "author": Self::user(BOT),
            "content": one.content, "timestamp": "2026-01-01T00:00:00.000000+00:00",
            "edited_timestamp": null, "tts": false, "mention_everyone": false, "mentions": [],
            "mention_roles": [], "attachments": files.collect::<Vec<_>>(),
            "embeds": one.embeds, "components": one.components, "pinned": false, "type": 0,
            "flags": if one.only.is_some() { 64 } else { 0 },
        })
    }
}

impl Message {
    /// All its text as it was sent: titles, descriptions, footers.
    pub(crate) fn raw(&self) -> String {
        let part = |embed: &Value, name: &str| {
            let value = match name {
                "footer" => &embed["footer"]["text"],
                name => &embed[name],
            };
            value.as_str().unwrap_or_default().to_owned()
        };
        let embeds = self
            .embeds
            .iter()
            .flat_map(|embed| ["title", "description", "footer"].map(|name| part(embed, name)));
        let all: Vec<String> = std::iter::once(self.content.clone())
            .chain(embeds)
            .filter(|text| !text.is_empty())
            .collect();
        all.join("\n")
    }

    /// Labels of its buttons, and what they carry.
    pub(crate) fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.components.iter();
        let buttons = rows.flat_map(|row| row["components"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        buttons
            .map(|one| (text(&one["label"]), text(&one["custom_id"])))
            .collect()
    }
}
