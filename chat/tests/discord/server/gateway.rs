//! The gateway: hello, identify or resume, heartbeats, events.

use std::net::SocketAddr;

use axum::extract::State as Given;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use super::{APPLICATION, BOT, GUILD, OPS, Order, Rules, Session, Shared, State, TOKEN, check};

/// Privileged intents, which the application was not given: members, presences, contents.
const PRIVILEGED: u64 = 1 << 1 | 1 << 8 | 1 << 15;
/// All bits that mean something.
const INTENTS: u64 = 0x0033_ffff;
/// Longest payload that is taken.
const LONGEST: usize = 4_096;
/// More than a heartbeat may be late on a slow machine.
const LATE: Duration = Duration::from_secs(3);

/// Somebody connects.
pub(super) async fn enter(
    upgrade: WebSocketUpgrade,
    uri: Uri,
    Given((shared, address)): Given<(Shared, SocketAddr)>,
) -> Response {
    let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    if query != ["encoding=json", "v=10"] {
        let mut state = shared.lock().unwrap();
        state.fault(format!("the gateway was asked for {query:?}"));
    }
    upgrade.on_upgrade(move |socket| async move {
        let mut visitor = Visitor {
            shared,
            address,
            socket,
            session: None,
            beat: None,
        };
        let (line, orders) = mpsc::unbounded_channel();
        visitor.serve(line, orders).await;
        visitor.leave();
    })
}

struct Visitor {
    shared: Shared,
    address: SocketAddr,
    socket: WebSocket,
    /// Who they are, once they have said so.
    session: Option<String>,
    /// What the last heartbeat said.
    beat: Option<u64>,
}

impl Visitor {
    async fn serve(
        &mut self,
        line: mpsc::UnboundedSender<Order>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let rules = self.rules();
        if let Some(text) = &rules.greeting {
            let _ = self.socket.send(Message::text(text.clone())).await;
        }
        let ms = u64::try_from(rules.heartbeat.as_millis()).unwrap();
        let hello = json!({ "op": 10, "d": { "heartbeat_interval": ms, "_trace": [] } });
        self.send(&hello).await;
        let mut last = Instant::now();
        loop {
            let deadline = last + 2 * rules.heartbeat + LATE;
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Send(text)) => {
                        let _ = self.socket.send(Message::text(text)).await;
                    }
                    Some(Order::Close(code, reason)) => {
                        self.close(code, reason).await;
                        return;
                    }
                    Some(Order::Cut) | None => return,
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let frame = serde_json::from_str(&text).unwrap_or(Value::Null);
                        if text.len() > LONGEST {
                            self.refuse(4_002, "Decode error.", "a payload is too long").await;
                            return;
                        }
                        if frame["op"] == 1 {
                            last = Instant::now();
                        }
                        if !self.frame(&frame, &line).await {
                            return;
                        }
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(1_005, |frame| frame.code);
                        self.hear(format!("close {code}"));
                        if matches!(code, 1_000 | 1_001) {
                            self.own(|session| session.over = true);
                        }
                        // So that the goodbye is answered.
                        let _ = self.socket.recv().await;
                        return;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_))) => {
                        self.refuse(4_002, "Decode error.", "a binary frame").await;
                        return;
                    }
                    Some(Err(_)) | None => return,
                },
                () = tokio::time::sleep_until(deadline) => {
                    self.refuse(4_009, "Session timed out.", "no heartbeat came").await;
                    return;
                }
            }
        }
    }

    /// One frame. `false` when the connection is over.
    async fn frame(&mut self, frame: &Value, line: &mpsc::UnboundedSender<Order>) -> bool {
        let known = check::fields(frame, &["op", "d", "s", "t"], "frame");
        if !known.is_empty() || !frame.is_object() {
            return self
                .refuse(4_002, "Decode error.", &format!("{known:?} in {frame}"))
                .await;
        }
        let data = &frame["d"];
        match frame["op"].as_u64() {
            Some(1) => self.heartbeat(data).await,
            Some(2) => self.identify(data, line).await,
            Some(6) => self.resume(data, line).await,
            _ => {
                let what = format!("a frame of op {}", frame["op"]);
                self.refuse(4_001, "Unknown opcode.", &what).await
            }
        }
    }

    async fn heartbeat(&mut self, data: &Value) -> bool {
        self.hear("heartbeat");
        let sent = self.own(|session| session.seq);
        let fits = match (data.as_u64(), sent) {
            (Some(said), Some(sent)) => said <= sent && self.beat.is_none_or(|last| last <= said),
            (None, _) => data.is_null() && self.beat.is_none(),
            (Some(_), None) => false,
        };
        if !fits {
            let what = format!("a heartbeat with {data} after {:?}", self.beat);
            return self.refuse(4_007, "Invalid seq.", &what).await;
        }
        self.beat = data.as_u64();
        if self.rules().acknowledges {
            self.send(&json!({ "op": 11 })).await;
        }
        true
    }

    async fn identify(&mut self, data: &Value, line: &mpsc::UnboundedSender<Order>) -> bool {
        self.hear("identify");
        if self.session.is_some() {
            return self
                .refuse(4_005, "Already authenticated.", "a second identify")
                .await;
        }
        let known = [
            "token",
            "properties",
            "compress",
            "large_threshold",
            "shard",
            "presence",
            "intents",
            "capabilities",
        ];
        let mut problems = check::fields(data, &known, "identify");
        let properties = &data["properties"];
        problems.extend(check::fields(
            properties,
            &["os", "browser", "device"],
            "properties",
        ));
        if !["os", "browser", "device"]
            .iter()
            .all(|name| properties[name].is_string())
        {
            problems.push(format!("properties are {properties}"));
        }
        if !problems.is_empty() {
            return self
                .refuse(4_002, "Decode error.", &problems.join(", "))
                .await;
        }
        if let Some((code, reason)) = self.rules().refuses {
            return self.close(code, reason).await;
        }
        if !is_token(&data["token"]) {
            return self.close(4_004, "Authentication failed.").await;
        }
        let Some(intents) = data["intents"].as_u64().filter(|bits| bits & !INTENTS == 0) else {
            return self.close(4_013, "Invalid intent(s).").await;
        };
        if intents & PRIVILEGED != 0 {
            return self.close(4_014, "Disallowed intent(s).").await;
        }
        let early = self.with(|state| {
            let wait = state.rules.introductions;
            let before = state.identified.replace(Instant::now());
            before.is_some_and(|before| before.elapsed() < wait)
        });
        if early {
            self.hear("too early");
            self.send(&json!({ "op": 9, "d": false })).await;
            return true;
        }
        self.welcome(intents, line).await;
        true
    }

    async fn welcome(&mut self, intents: u64, line: &mpsc::UnboundedSender<Order>) {
        let address = self.address;
        let (id, ready) = self.with(|state| {
            let id = format!("session{}", state.id());
            let data = json!({
                "v": 10, "user": State::user(BOT), "session_id": id, "session_type": "normal",
                "resume_gateway_url": format!("ws://{address}/gateway"), "shard": [0, 1],
                "guilds": [{ "id": GUILD, "unavailable": true }], "_trace": [],
                "application": { "id": APPLICATION, "flags": 0 },
                "private_channels": [], "relationships": [], "presences": [],
            });
            let ready = json!({ "op": 0, "t": "READY", "s": 1, "d": data });
            let session = Session {
                seq: 1,
                intents,
                sent: vec![(1, ready.clone())],
                line: Some(line.clone()),
                over: false,
            };
            state.sessions.insert(id.clone(), session);
            (id, ready)
        });
        self.session = Some(id);
        self.send(&ready).await;
        // Whoever asked for servers is told of theirs.
        let guild = guild();
        self.with(|state| state.dispatch("GUILD_CREATE", &guild, Some(0)));
        self.hurry().await;
    }

    /// Asks to come again, if that is how it is.
    async fn hurry(&mut self) {
        if self.rules().restless {
            let again = json!({ "op": 7, "d": null, "s": null, "t": null });
            self.send(&again).await;
        }
    }

    async fn resume(&mut self, data: &Value, line: &mpsc::UnboundedSender<Order>) -> bool {
        self.hear("resume");
        let problems = check::fields(data, &["token", "session_id", "seq"], "resume");
        if !problems.is_empty() || self.session.is_some() {
            return self
                .refuse(4_002, "Decode error.", &format!("{problems:?}"))
                .await;
        }
        if !is_token(&data["token"]) {
            return self.close(4_004, "Authentication failed.").await;
        }
        let id = data["session_id"].as_str().unwrap_or_default().to_owned();
        let seq = data["seq"].as_u64();
        let missed = self.with(|state| {
            let forgets = state.rules.forgets;
            let session = state.sessions.get_mut(&id)?;
            let seq = seq.filter(|seq| *seq <= session.seq && !session.over && !forgets)?;
            session.line = Some(line.clone());
            let missed = session.sent.iter().filter(|(sent, _)| *sent > seq);
            Some(missed.map(|(_, frame)| frame.clone()).collect::<Vec<_>>())
        });
        let Some(missed) = missed else {
            self.hear("unknown session");
            self.send(&json!({ "op": 9, "d": false })).await;
            return true;
        };
        self.beat = seq;
        self.session = Some(id);
        for frame in missed {
            self.send(&frame).await;
        }
        let resumed = self.own(|session| {
            session.seq += 1;
            json!({ "op": 0, "t": "RESUMED", "s": session.seq, "d": { "_trace": [] } })
        });
        self.send(&resumed.unwrap()).await;
        self.hurry().await;
        true
    }

    async fn send(&mut self, frame: &Value) {
        let _ = self.socket.send(Message::text(frame.to_string())).await;
    }

    /// Closes for what the other did wrong, which is kept.
    async fn refuse(&mut self, code: u16, reason: &'static str, what: &str) -> bool {
        self.with(|state| state.fault(format!("gateway: {what}")));
        self.close(code, reason).await
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> bool {
        let reason = reason.into();
        let _ = self
            .socket
            .send(Message::Close(Some(CloseFrame { code, reason })))
            .await;
        // The other one says goodbye, too, or is gone.
        let goodbye = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
        false
    }

    fn leave(&mut self) {
        self.own(|session| session.line = None);
    }

    fn hear(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.with(|state| state.heard.push(what));
    }

    fn rules(&self) -> Rules {
        self.with(|state| state.rules.clone())
    }

    fn own<T>(&self, work: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let id = self.session.as_ref()?;
        self.with(|state| state.sessions.get_mut(id).map(work))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.shared.lock().unwrap())
    }
}

/// Both forms are taken: libraries send either.
fn is_token(given: &Value) -> bool {
    let given = given.as_str().unwrap_or_default();
    given.strip_prefix("Bot ").unwrap_or(given) == TOKEN
}

fn guild() -> Value {
    let mut guild = json!({
        "id": GUILD, "name": "Acme", "icon": null, "splash": null, "discovery_splash": null,
        "owner_id": super::ANA, "afk_channel_id": null, "afk_timeout": 300,
        "verification_level": 0, "default_message_notifications": 0,
        "explicit_content_filter": 0, "emojis": [], "features": [], "mfa_level": 0,
        "application_id": null, "system_channel_id": null, "system_channel_flags": 0,
        "rules_channel_id": null, "vanity_url_code": null, "description": null, "banner": null,
        "premium_tier": 0, "preferred_locale": "en-US", "public_updates_channel_id": null,
        "nsfw_level": 0, "premium_progress_bar_enabled": false, "stickers": [],
        "safety_alerts_channel_id": null,
    });
    let joined = "2026-01-01T00:00:00+00:00";
    let more = json!({
        "joined_at": joined, "large": false, "unavailable": false, "member_count": 3,
        "voice_states": [], "channels": [State::channel(OPS)], "threads": [], "presences": [],
        "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [],
        "members": [{ "user": State::user(BOT), "roles": [], "nick": null, "avatar": null,
            "joined_at": joined, "deaf": false, "mute": false, "flags": 0 }],
        "roles": [{ "id": GUILD, "name": "@everyone", "color": 0, "hoist": false,
            "position": 0, "permissions": "274878024704", "managed": false,
            "mentionable": false, "flags": 0,
            "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null } }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        guild[name.as_str()] = value.clone();
    }
    guild
}
