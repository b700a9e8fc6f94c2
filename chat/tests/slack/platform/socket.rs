//! Socket Mode: connections, envelopes and their acknowledgements.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Envelope, Line, Shared, State as All};

pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    {
        let mut state = shared.lock();
        let query = query.unwrap_or_default();
        let ticket = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("ticket="));
        // A ticket is good for one connection.
        let at = state.tickets.iter().position(|one| Some(&**one) == ticket);
        match at {
            Some(at) => drop(state.tickets.remove(at)),
            None => {
                state.faults.push("a socket without a ticket".into());
                return StatusCode::FORBIDDEN.into_response();
            }
        }
        if !state.refused.is_empty() {
            let status = state.refused.remove(0);
            return StatusCode::from_u16(status).unwrap().into_response();
        }
    }
    upgrade.on_upgrade(move |socket| carry(shared, socket))
}

async fn carry(shared: Arc<Shared>, mut socket: WebSocket) {
    let (line, mut orders) = mpsc::unbounded_channel();
    let is_mute = {
        let mut state = shared.lock();
        state.connections += 1;
        let hello = json!({
            "type": "hello", "num_connections": 1,
            "connection_info": { "app_id": "A0MHOST" },
            "debug_info": { "host": "applink-1", "approximate_connection_time": 18_060 },
        });
        let _ = line.send(Line::Text(hello.to_string()));
        if state.restless {
            let again = json!({ "type": "disconnect", "reason": "refresh_requested",
                "debug_info": { "host": "applink-1" } });
            let _ = line.send(Line::Text(again.to_string()));
        }
        state.lines.push(line.clone());
        let waiting = std::mem::take(&mut state.waiting);
        for envelope in waiting {
            state.deliver(envelope);
        }
        state.mute
    };
    if is_mute {
        if let Some(Line::Text(hello)) = orders.recv().await {
            let _ = socket.send(Message::Text(hello.into())).await;
        }
        // Neither reads nor answers; dropped, it would be closed.
        std::future::pending::<()>().await;
    }
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Line::Text(text)) => {
                    if socket.send(Message::Text(text.into())).await.is_err() {
                        return;
                    }
                }
                Some(Line::Close) | None => {
                    let _ = socket.send(Message::Close(None)).await;
                    return;
                }
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => heard(&shared, &text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => shared.fault("a binary frame"),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
}

/// A text of the client can only acknowledge something, and that once.
fn heard(shared: &Shared, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let mut state = shared.lock();
    let fields = value
        .as_object()
        .map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    let known = |name: &String| name == "envelope_id" || name == "payload";
    if !fields.is_some_and(|fields| fields.iter().all(known)) {
        state.faults.push(format!("not an acknowledgement: {text}"));
        return;
    }
    let id = value["envelope_id"].as_str().unwrap_or_default().to_owned();
    if state.acknowledged.contains(&id) {
        state.faults.push(format!("{id} was acknowledged twice"));
        return;
    }
    // One that was delivered again since is acknowledged by its old name as well.
    let open = state.open.iter().position(|one| one.id == id);
    match open {
        Some(at) => drop(state.open.remove(at)),
        None if id.starts_with("old-") || state.is_old(&id) => {}
        None => state.faults.push(format!("there is no envelope {id}")),
    }
    state.acknowledged.push(id);
}

impl All {
    fn is_old(&self, id: &str) -> bool {
        let number = |id: &str| {
            id.strip_prefix("envelope-")
                .and_then(|one| one.parse().ok())
        };
        number(id).is_some_and(|one: u64| one <= self.counter)
    }

    /// Sends an envelope on the newest connection, or keeps it until there is one.
    pub(super) fn deliver(&mut self, mut envelope: Envelope) {
        self.lines.retain(|line| !line.is_closed());
        let Some(line) = self.lines.last().cloned() else {
            self.waiting.push(envelope);
            return;
        };
        envelope.id = format!("envelope-{}", self.number());
        let mut frame = json!({
            "envelope_id": envelope.id, "type": envelope.kind, "payload": envelope.payload,
            "accepts_response_payload": envelope.kind == "slash_commands",
        });
        if envelope.kind == "events_api" {
            frame["retry_attempt"] = envelope.attempt.into();
            let reason = if envelope.attempt == 0 { "" } else { "timeout" };
            frame["retry_reason"] = reason.into();
        }
        let _ = line.send(Line::Text(frame.to_string()));
        self.open.push(envelope);
    }

    /// What was not acknowledged comes again, if it is of the kind that does.
    pub(super) fn redeliver(&mut self) {
        let open = std::mem::take(&mut self.open);
        for mut envelope in open {
            if envelope.kind == "events_api" {
                envelope.attempt += 1;
                self.deliver(envelope);
            } else {
                self.open.push(envelope);
            }
        }
    }
}
