//! Streams over a connection: new log lines and events, until the client has enough.
//!
//! A stream pulls: it goes on only as fast as its connection takes lines, and blocks nobody
//! else. What a slow client missed it is told in a `gap` notification.

use std::sync::Arc;

use serde_json::{Value, json};
use supervisor::logs::{LogPage, LogQuery};
use supervisor::{Caller, Command, Control, ControlError, Event, ProcessName, Reply};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::message::{RpcError, notification};
use crate::daemon::gate::Gate;

/// Most lines a follower asks for at a time.
const PAGE: usize = 4096;
/// Lines in one write.
const CHUNK: usize = 256;

/// Where a stream sends its lines.
pub(super) struct Sink {
    pub(super) subscription: String,
    pub(super) out: mpsc::Sender<Vec<u8>>,
    pub(super) cancel: CancellationToken,
}

impl Sink {
    /// False when nobody listens any more.
    async fn send(&self, messages: impl IntoIterator<Item = (&'static str, Value)>) -> bool {
        let mut text = Vec::new();
        for (method, mut params) in messages {
            params["subscription"] = json!(self.subscription);
            text.extend(notification(method, params).to_string().into_bytes());
            text.push(b'\n');
        }
        if text.is_empty() {
            return true;
        }
        tokio::select! {
            () = self.cancel.cancelled() => false,
            sent = self.out.send(text) => sent.is_ok(),
        }
    }
}

/// Sends the lines of `page` and then every new one.
pub(super) async fn logs(
    gate: Arc<Gate>,
    caller: Caller,
    mut query: LogQuery,
    mut page: LogPage,
    mut grew: watch::Receiver<u64>,
    sink: Sink,
) {
    loop {
        // There is more than this page, and nobody may print again to wake it up.
        let full = page.cut || page.lines.len() >= PAGE;
        let mut lines = page.lines.into_iter().peekable();
        while lines.peek().is_some() {
            let chunk = lines
                .by_ref()
                .take(CHUNK)
                .map(|line| ("logs.line", json!({ "line": line })));
            if !sink.send(chunk.collect::<Vec<_>>()).await {
                return;
            }
        }
        query.after = Some(page.next);
        query.lines = PAGE;
        if !full {
            tokio::select! {
                () = sink.cancel.cancelled() => return,
                changed = grew.changed() => if changed.is_err() { return },
            }
        }
        grew.mark_unchanged();
        page = match read(&gate, &caller, &query).await {
            Ok(page) => page,
            Err(error) => {
                let RpcError {
                    code,
                    message,
                    data,
                } = error;
                let error = json!({ "code": code, "message": message, "data": data });
                sink.send([("logs.end", json!({ "error": error }))]).await;
                return;
            }
        };
    }
}

/// The first page of a follower: a request as any other.
pub(super) async fn open(
    gate: &Gate,
    caller: &Caller,
    query: &LogQuery,
) -> Result<LogPage, RpcError> {
    page(gate.call(caller, Command::Logs(query.clone()).into()).await)
}

/// The next page of a follower.
async fn read(gate: &Gate, caller: &Caller, query: &LogQuery) -> Result<LogPage, RpcError> {
    let query = Command::Logs(query.clone()).into();
    page(gate.call_on(caller, query).await)
}

fn page(reply: Result<Reply, ControlError>) -> Result<LogPage, RpcError> {
    match reply {
        Ok(Reply::Logs(page)) => Ok(page),
        Ok(_) => Err(RpcError::from(ControlError::Internal {
            message: "a log query was answered with something else".into(),
        })),
        Err(error) => Err(error.into()),
    }
}

/// Sends every event of `processes` (all when `None`) from now on.
pub(super) async fn events(
    mut receiver: broadcast::Receiver<Arc<Event>>,
    processes: Option<Vec<ProcessName>>,
    sink: Sink,
) {
    loop {
        let received = tokio::select! {
            () = sink.cancel.cancelled() => return,
            received = receiver.recv() => received,
        };
        let sent = match received {
            Ok(event) => {
                let wanted = processes
                    .as_ref()
                    .is_none_or(|processes| processes.contains(&event.process));
                !wanted
                    || sink
                        .send([("events.event", json!({ "event": *event }))])
                        .await
            }
            Err(broadcast::error::RecvError::Lagged(dropped)) => {
                sink.send([("events.gap", json!({ "dropped": dropped }))])
                    .await
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if !sent {
            return;
        }
    }
}
