//! The life of a connection to Discord's gateway.
//!
//! ```text
//!   Shard (hello, identify or resume, heartbeats) ──frame──► read ──► inbox, acknowledged
//!     ▲                          │ closed                     └ an argument is typed ──► suggest
//!     └── again, a few times ────┘
//! ```
//!
//! It is a task of its own: Discord ends a connection that does not answer its heartbeats,
//! however long mhost is busy elsewhere.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use supervisor::Clock;
use tokio::task::JoinSet;
use tokio::time::Instant;
use twilight_gateway::error::{ReceiveMessageError, ReceiveMessageErrorType};
use twilight_gateway::queue::InMemoryQueue;
use twilight_gateway::{CloseFrame, Message as Raw, Shard};

use super::answers::Answers;
use super::api::Api;
use super::gateway::{Phase, Shared};
use super::inbox::Item;
use super::read::{self, Heard};
use super::suggest;
use super::wire::{Frame, Me};
use crate::{ChatError, Incoming};

/// Suggestions that are being sent at once; who types faster gets the next ones.
const SUGGESTIONS: usize = 8;

/// The life of a connection.
pub(super) struct Life {
    shared: Arc<Shared>,
    api: Arc<Api>,
    answers: Arc<Answers>,
    me: Me,
    suggestions: JoinSet<()>,
    /// When Discord greeted.
    greeted: Option<Instant>,
    /// Discord has asked to begin anew, so that it is closed means nothing.
    asked: bool,
}

/// However the task ends, whoever waits is told.
impl Drop for Life {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if matches!(state.phase, Phase::Opening | Phase::Open) {
            let why = "the connection has ended".to_owned();
            state.phase = Phase::Broken(ChatError::Unavailable(why));
        }
        drop(state);
        self.shared.tell();
    }
}

impl Life {
    pub(super) fn new(shared: Arc<Shared>, api: Arc<Api>, answers: Arc<Answers>, me: Me) -> Self {
        Self {
            shared,
            api,
            answers,
            me,
            suggestions: JoinSet::new(),
            greeted: None,
            asked: false,
        }
    }

    pub(super) async fn run(mut self, mut shard: Shard<InMemoryQueue>) {
        let error = loop {
            // A resumed connection that cannot be made loses where it was to go on.
            let url = shard.resume_url().map(str::to_owned);
            let error = match shard.next().await {
                Some(Ok(Raw::Text(text))) => self.frame(&text),
                Some(Ok(Raw::Close(frame))) => self.closed(frame.as_ref(), &shard),
                Some(Err(error)) => broken(&error),
                None => Some(ChatError::Unavailable("the connection has ended".into())),
            };
            let session = shard.session().cloned();
            self.shared.lock().session = session.map(|session| (session, url));
            if let Some(error) = error {
                break error;
            }
        };
        self.shared.set(Phase::Broken(error));
    }

    /// Discord has closed it, or was told to. It is opened again at once, unless that has
    /// happened too often: Discord does it several times a day.
    fn closed(
        &mut self,
        frame: Option<&CloseFrame<'_>>,
        shard: &Shard<InMemoryQueue>,
    ) -> Option<ChatError> {
        let code = frame.map_or(1006, |frame| frame.code);
        let reason = frame.map(|frame| self.api.told(&frame.reason));
        let reason = reason.filter(|reason| !reason.is_empty());
        let text = reason.map_or_else(|| format!("code {code}"), |why| format!("{why} ({code})"));
        tracing::debug!(code, "Discord's gateway is closed.");
        let asked = std::mem::take(&mut self.asked);
        let soon = !asked && self.ended_too_soon();
        match code {
            4_004 => Some(ChatError::Unauthorised(text)),
            4_010 | 4_011 => Some(ChatError::Refused(format!(
                "{text}; the bot is on too many servers for one connection"
            ))),
            4_012 => Some(ChatError::Refused(format!(
                "{text}; Discord wants another version of its API"
            ))),
            4_013 | 4_014 => Some(ChatError::Refused(format!(
                "{text}; look at Bot → Privileged Gateway Intents in the Developer Portal: \
                 mhost needs none of them"
            ))),
            _ if asked => None,
            // Without a session there is nothing to go on with.
            _ if soon || shard.session().is_none() => Some(ChatError::Unavailable(format!(
                "Discord's gateway has closed the connection: {text}"
            ))),
            _ => None,
        }
    }

    /// It ends: too soon, and not for the first time?
    fn ended_too_soon(&mut self) -> bool {
        let greeted = self.greeted.take();
        let held = greeted.map_or(Duration::ZERO, |at| at.elapsed());
        !self.shared.lock().again.ended(held).is_zero()
    }

    fn frame(&mut self, text: &str) -> Option<ChatError> {
        let frame = serde_json::from_str::<Frame>(text).ok()?;
        match (frame.op, frame.t.as_deref()) {
            (0, Some("READY" | "RESUMED")) => {
                self.greeted = Some(Instant::now());
                self.shared.lock().inbox.again();
                self.shared.set(Phase::Open);
            }
            (0, Some(kind)) => self.event(kind, frame.d),
            // Another connection; the one before it may have gone without a word.
            (10, _) => self.asked = false,
            // Come again, and: that session is none any more.
            (7 | 9, _) if !std::mem::replace(&mut self.asked, true) && self.ended_too_soon() => {
                return Some(ChatError::Unavailable(
                    "Discord's gateway asks to connect again, and again".into(),
                ));
            }
            _ => {}
        }
        None
    }

    fn event(&mut self, kind: &str, data: serde_json::Value) {
        let now = Clock::system().now();
        let item = match kind {
            "INTERACTION_CREATE" => {
                let read = serde_json::from_value(data).ok().and_then(|one| {
                    let state = self.shared.lock();
                    read::interaction(one, &state.listed, now)
                });
                match read {
                    Some(Heard::Incoming(incoming)) => Some((incoming, false)),
                    Some(Heard::Typing { incoming, argument }) => {
                        self.suggest(&incoming, &argument);
                        None
                    }
                    None => None,
                }
            }
            "MESSAGE_CREATE" | "MESSAGE_UPDATE" => {
                let changed = kind == "MESSAGE_UPDATE";
                let read = serde_json::from_value(data)
                    .ok()
                    .and_then(|one| read::message(one, changed, &self.me, now));
                read.map(|incoming| {
                    let unplaced = !incoming.origin.private;
                    (incoming, unplaced)
                })
            }
            _ => None,
        };
        let Some((incoming, unplaced)) = item else {
            return;
        };
        let item = Item { incoming, unplaced };
        let incoming = item.incoming.clone();
        if self.shared.lock().inbox.put(item) {
            let names = self.shared.names.as_ref();
            let is_stranger = names.is_some_and(|names| names(&incoming).is_none());
            self.answers.hear(&incoming, is_stranger);
            self.shared.tell();
        }
    }

    /// Somebody types an argument. Beside the connection, since it asks Discord.
    fn suggest(&mut self, incoming: &Incoming, (name, typed): &(String, String)) {
        while self.suggestions.try_join_next().is_some() {}
        if self.suggestions.len() >= SUGGESTIONS {
            return;
        }
        let names = self.shared.names.as_ref().and_then(|names| names(incoming));
        let names = names.unwrap_or_default();
        let Some((route, answer)) = suggest::answer(incoming, name, typed, names) else {
            return;
        };
        let api = Arc::clone(&self.api);
        self.suggestions.spawn(async move {
            if let Err(error) = api.acknowledge(&route, &answer).await {
                tracing::debug!(error = %error.text, "A suggestion came too late.");
            }
        });
    }
}

/// What an error of the connection means; none for a frame that is none.
fn broken(error: &ReceiveMessageError) -> Option<ChatError> {
    if let ReceiveMessageErrorType::Deserializing { .. } = error.kind() {
        tracing::warn!("Discord's gateway has sent what is no event of its own.");
        return None;
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    Some(ChatError::Unavailable(format!("Discord's gateway: {last}")))
}
