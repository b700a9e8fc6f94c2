//! People: what they write, type and press, as Slack tells an app of it.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use supervisor::Clock;

use super::{BOT, BOT_ID, Envelope, Platform, SIGNING, Seen, State, TEAM};

/// How things are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a socket.
    #[default]
    Socket,
    /// By signed requests to this address.
    Signed(String),
}

impl Platform {
    /// Delivers that way from now on.
    pub(crate) fn by(&self, way: Way) {
        self.shared.lock().way = way;
    }

    /// A message, with these fields besides: in a private chat as it is, in a channel if it
    /// names the bot. Its id.
    pub(crate) fn writes(&self, channel: &str, user: &str, text: &str, fields: Value) -> String {
        let mut state = self.shared.lock();
        let ts = state.ts();
        let mut event = json!({
            "type": "message", "user": user, "text": text, "ts": ts, "channel": channel,
            "event_ts": ts, "team": TEAM, "client_msg_id": format!("{ts}-{user}"),
            "channel_type": "im",
        });
        if !channel.starts_with('D') {
            event["type"] = "app_mention".into();
            event.as_object_mut().unwrap().remove("channel_type");
        }
        for (name, value) in fields.as_object().into_iter().flatten() {
            event[name.as_str()] = value.clone();
        }
        let payload = callback(&mut state, event);
        drop(state);
        self.deliver("events_api", payload);
        ts
    }

    /// `/mhost …`
    pub(crate) fn types(&self, channel: &str, user: &str, text: &str) {
        let mut state = self.shared.lock();
        let number = state.number();
        let response_url = self.address(&mut state, user);
        drop(state);
        let name = if channel.starts_with('D') {
            "directmessage"
        } else {
            "ops"
        };
        let payload = json!({
            "token": "legacy", "team_id": TEAM, "team_domain": "acme", "channel_id": channel,
            "channel_name": name, "user_id": user, "user_name": "ana", "command": "/mhost",
            "text": text, "api_app_id": "A0MHOST", "is_enterprise_install": "false",
            "response_url": response_url, "trigger_id": format!("{number}.20.abc"),
        });
        self.deliver("slash_commands", payload);
    }

    /// A press of what carries this, under this message.
    pub(crate) fn presses(&self, message: &Seen, user: &str, payload: &str) {
        let mut state = self.shared.lock();
        let response_url = self.address(&mut state, user);
        let at = state.ts();
        drop(state);
        let Seen { channel, ts, .. } = message;
        let mut container = json!({
            "type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": false,
        });
        let mut under = json!({
            "type": "message", "user": BOT, "bot_id": BOT_ID, "ts": ts, "team": TEAM,
            "text": "…", "blocks": [],
        });
        if let Some(thread) = &message.thread {
            container["thread_ts"] = thread.as_str().into();
            under["thread_ts"] = thread.as_str().into();
        } else if !message.files.is_empty() {
            // It begins a thread by now, and Slack says that so.
            under["thread_ts"] = ts.as_str().into();
        }
        let name = if channel.starts_with('D') {
            "directmessage"
        } else {
            "ops"
        };
        let payload = json!({
            "type": "block_actions", "api_app_id": "A0MHOST", "token": "legacy",
            "user": { "id": user, "username": "ana", "name": "ana", "team_id": TEAM },
            "container": container, "trigger_id": format!("{at}.abc"),
            "team": { "id": TEAM, "domain": "acme" }, "enterprise": null,
            "is_enterprise_install": false, "channel": { "id": channel, "name": name },
            "message": under, "state": { "values": {} }, "response_url": response_url,
            "actions": [{
                "action_id": "0.0", "block_id": "b", "type": "button", "action_ts": at,
                "text": { "type": "plain_text", "text": "…", "emoji": false },
                "value": payload,
            }],
        });
        self.deliver("interactive", payload);
    }

    /// Any delivery.
    pub(crate) fn deliver(&self, kind: &'static str, payload: Value) {
        let mut state = self.shared.lock();
        if kind == "events_api" {
            state.events.push(payload.clone());
        }
        let envelope = Envelope {
            id: String::new(),
            kind,
            payload,
            attempt: 0,
        };
        match state.way.clone() {
            Way::Socket => state.deliver(envelope),
            Way::Signed(url) => self.knock(&mut state, url, envelope),
        }
    }

    /// What was not acknowledged comes again, if it is of the kind that does.
    pub(crate) fn redeliver(&self) {
        let mut state = self.shared.lock();
        let Way::Signed(url) = state.way.clone() else {
            return state.redeliver();
        };
        let open = std::mem::take(&mut state.open);
        for mut envelope in open {
            if envelope.kind == "events_api" {
                envelope.attempt += 1;
                self.knock(&mut state, url.clone(), envelope);
            } else {
                state.open.push(envelope);
            }
        }
    }

    /// Somebody deletes a message.
    pub(crate) fn removes(&self, ts: &str) {
        self.shared.lock().deleted.push(ts.to_owned());
    }

    fn address(&self, state: &mut State, user: &str) -> String {
        let token = format!("token{}", state.number());
        state.answers.insert(token.clone(), (user.to_owned(), 0));
        format!("{}/answer/{token}", self.shared.url)
    }

    /// Sends a request and waits for its answer elsewhere: it comes once it is on record.
    fn knock(&self, state: &mut State, url: String, mut envelope: Envelope) {
        let number = state.number();
        envelope.id = format!("request-{number}");
        state.open.push(envelope.clone());
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let status = knock(&url, &envelope, SIGNING, Clock::system().now().as_second()).await;
            let mut state = shared.lock();
            if status == 200 {
                state.open.retain(|one| one.id != envelope.id);
                state.acknowledged.push(envelope.id);
            }
        });
    }
}

/// One signed request; the status of its answer, or zero.
pub(super) async fn knock(url: &str, envelope: &Envelope, secret: &str, at: i64) -> u16 {
    let (kind, body) = match envelope.kind {
        "events_api" => ("application/json", envelope.payload.to_string()),
        "interactive" => (
            "application/x-www-form-urlencoded",
            form(&json!({ "payload": envelope.payload.to_string() })),
        ),
        _ => ("application/x-www-form-urlencoded", form(&envelope.payload)),
    };
    let signature = signature(secret, at, &body);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client
        .post(url)
        .header("content-type", kind)
        .header("x-slack-request-timestamp", at.to_string())
        .header("x-slack-signature", signature)
        // Slack gives up after three seconds.
        .timeout(Duration::from_secs(30));
    if envelope.attempt > 0 {
        request = request
            .header("x-slack-retry-num", envelope.attempt.to_string())
            .header("x-slack-retry-reason", "http_timeout");
    }
    match request.body(body).send().await {
        Ok(response) => response.status().as_u16(),
        Err(_) => 0,
    }
}

/// `v0=` and the HMAC of `v0:<time>:<body>`.
pub(crate) fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

fn form(fields: &Value) -> String {
    let mut url = reqwest::Url::parse("http://form/").unwrap();
    for (name, value) in fields.as_object().unwrap() {
        url.query_pairs_mut()
            .append_pair(name, value.as_str().unwrap_or_default());
    }
    url.query().unwrap_or_default().to_owned()
}

fn callback(state: &mut State, event: Value) -> Value {
    let number = state.number();
    json!({
        "token": "legacy", "team_id": TEAM, "api_app_id": "A0MHOST", "event": event,
        "type": "event_callback", "event_id": format!("Ev{number}"),
        "event_time": Clock::system().now().as_second(),
        "authorizations": [{ "team_id": TEAM, "user_id": BOT, "is_bot": true,
            "is_enterprise_install": false, "enterprise_id": null }],
        "is_ext_shared_channel": false, "event_context": "4-abc",
    })
}
