//! One connection of Socket Mode, from its hello to its end.
//!
//! ```text
//!   envelope ─► queue ─► … on record ─► acknowledged
//!      └── after two seconds: acknowledged all the same
//! ```
//!
//! Slack ends every connection after some hours and says so before: then another one is asked
//! for, and this one is read on until Slack closes it, so that nothing falls between the two.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_websockets::Message;

use super::Settings;
use super::api::{Api, As};
use super::handshake::{Socket, shake};
use super::wire::{Delivery, Frame};
use crate::ChatError;
use crate::queue::{Ack, Queue};

/// Longest time until Slack says hello, and until it takes a frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection is read on that Slack wants to close: it says ten seconds.
const LINGER: Duration = Duration::from_secs(30);
/// Acknowledgements that wait to be sent: more than may wait to be handed out.
const ACKS: usize = 1_024;

/// A connection that has said hello.
pub(super) struct Line {
    socket: Socket,
    queue: Arc<Queue<Delivery>>,
    times: Times,
    acks: (mpsc::Sender<String>, mpsc::Receiver<String>),
    /// Envelopes that are not acknowledged.
    open: HashSet<String>,
    /// The same, by when they have to be.
    due: VecDeque<(Instant, String)>,
    heard: Instant,
}

/// How patient it is, from the settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    ping: Duration,
    silence: Duration,
    latest: Duration,
}

impl From<&Settings> for Times {
    fn from(settings: &Settings) -> Self {
        Self {
            ping: settings.ping,
            silence: settings.silence,
            latest: settings.latest,
        }
    }
}

/// The way of a line to whoever opens the next one: it is used once.
pub(super) type Turn = oneshot::Sender<Result<(), ChatError>>;

impl Line {
    /// Opens one, and waits for its hello.
    pub(super) async fn open(
        api: &Api,
        queue: &Arc<Queue<Delivery>>,
        times: Times,
    ) -> Result<Self, ChatError> {
        #[derive(Deserialize)]
        struct Opened {
            url: String,
        }
        let opened: Opened = api
            .ask(As::App, "apps.connections.open", &json!({}))
            .await?;
        let socket = shake(api.socket(&opened.url)?).await?;
        let mut line = Self {
            socket,
            queue: Arc::clone(queue),
            times,
            acks: mpsc::channel(ACKS),
            open: HashSet::new(),
            due: VecDeque::new(),
            heard: Instant::now(),
        };
        let hello = tokio::time::timeout(PATIENCE, line.hello()).await;
        hello.map_err(|_| unavailable("Slack does not say hello"))??;
        Ok(line)
    }

    async fn hello(&mut self) -> Result<(), ChatError> {
        loop {
            let frame = frame(&mut self.socket).await?;
            match frame.as_ref().map(|frame| frame.kind.as_str()) {
                Some("hello") => return Ok(()),
                Some("disconnect") => return Err(over(frame.and_then(|frame| frame.reason))),
                _ => {}
            }
        }
    }

    /// Carries until it ends. Whoever opens the next one is told when that is time.
    pub(super) async fn run(mut self, turn: Turn) {
        let mut turn = Some(turn);
        let end = self.carry(&mut turn).await;
        if let Some(turn) = turn.take() {
            let _ = turn.send(Err(end));
        }
        let _ = tokio::time::timeout(PATIENCE, self.socket.close()).await;
    }

    async fn carry(&mut self, turn: &mut Option<Turn>) -> ChatError {
        let mut ping = tokio::time::interval(self.times.ping);
        let mut last = None;
        loop {
            let due = self.due.front().map(|(due, _)| *due);
            let step = tokio::select! {
                frame = frame(&mut self.socket) => match frame {
                    Ok(frame) => {
                        self.heard = Instant::now();
                        self.take(frame, turn, &mut last).await
                    }
                    Err(error) => Err(error),
                },
                Some(envelope) = self.acks.1.recv() => self.acknowledge(envelope).await,
                () = at(due) => {
                    let envelope = self.due.pop_front().map(|(_, envelope)| envelope);
                    self.acknowledge(envelope.unwrap_or_default()).await
                }
                _ = ping.tick() => self.ask_whether_it_lives().await,
                () = at(last) => Err(ChatError::Closed),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn take(
        &mut self,
        frame: Option<Frame>,
        turn: &mut Option<Turn>,
        last: &mut Option<Instant>,
    ) -> Result<(), ChatError> {
        let Some(frame) = frame else {
            return Ok(());
        };
        if frame.kind == "disconnect" {
            let is_planned = matches!(
                frame.reason.as_deref(),
                Some("warning" | "refresh_requested")
            );
            if !is_planned {
                return Err(over(frame.reason));
            }
            if let Some(turn) = turn.take() {
                let _ = turn.send(Ok(()));
            }
            *last = last.or(Some(Instant::now() + LINGER));
            return Ok(());
        }
        let Some(envelope) = frame.envelope_id else {
            return Ok(());
        };
        let Some(delivery) = Delivery::of(&frame.kind, frame.payload) else {
            return self.send(&json!({ "envelope_id": envelope })).await;
        };
        let (acks, name) = (self.acks.0.clone(), envelope.clone());
        // Whoever has too much to do, or is gone, acknowledges it late or not at all.
        let ack = Ack::new(move || drop(acks.try_send(name)));
        if self.queue.push(delivery, ack) {
            let due = Instant::now() + self.times.latest;
            self.due.push_back((due, envelope.clone()));
            self.open.insert(envelope);
        } else {
            tracing::warn!("Slack delivers more than can be kept; it is not acknowledged.");
        }
        Ok(())
    }

    /// Once for each envelope.
    async fn acknowledge(&mut self, envelope: String) -> Result<(), ChatError> {
        if !self.open.remove(&envelope) {
            return Ok(());
        }
        // In the order in which they came, most of the time: nothing is left behind then.
        while let Some((_, first)) = self.due.front()
            && !self.open.contains(first)
        {
            self.due.pop_front();
        }
        self.send(&json!({ "envelope_id": envelope })).await
    }

    async fn ask_whether_it_lives(&mut self) -> Result<(), ChatError> {
        if self.heard.elapsed() >= self.times.silence {
            return Err(unavailable("the socket is silent"));
        }
        self.put(Message::ping("mhost")).await
    }

    async fn send(&mut self, value: &Value) -> Result<(), ChatError> {
        self.put(Message::text(value.to_string())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), ChatError> {
        match tokio::time::timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(format!("the socket broke off: {error}"))),
            Err(_) => Err(unavailable("Slack takes nothing from the socket")),
        }
    }
}

/// The next frame. `None` for one that is no text, or no text of Slack's: the one after it may
/// be. Pings are answered in here.
async fn frame(socket: &mut Socket) -> Result<Option<Frame>, ChatError> {
    let message = match socket.next().await {
        Some(Ok(message)) => message,
        Some(Err(error)) => return Err(unavailable(format!("the socket broke off: {error}"))),
        None => return Err(unavailable("Slack closed the socket")),
    };
    let Some(text) = message.as_text() else {
        return Ok(None);
    };
    let frame = serde_json::from_str(text).ok();
    if frame.is_none() {
        tracing::warn!("Slack sent a frame that cannot be read.");
    }
    Ok(frame)
}

/// Why Slack ends it.
fn over(reason: Option<String>) -> ChatError {
    match reason.as_deref() {
        Some("link_disabled") => ChatError::Refused(
            "Socket Mode is switched off for this app; switch it on at api.slack.com/apps".into(),
        ),
        reason => {
            let reason: String = reason.unwrap_or("no reason").chars().take(40).collect();
            unavailable(format!("Slack disconnects: {reason}"))
        }
    }
}

fn unavailable(why: impl Into<String>) -> ChatError {
    ChatError::Unavailable(why.into())
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
