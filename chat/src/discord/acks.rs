//! Acknowledgements: as soon as something is on record, or a moment later, beside each other.
//!
//! ```text
//!   heard ─► waits ──on record, or after 1.5 s──► sent ─► how it went, for whoever answers
//! ```
//!
//! Discord waits three seconds for each and then tells its user that it failed. So none of them
//! stands behind anything else: a look-up, a disk, the answer to somebody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use twilight_model::http::interaction::InteractionResponse;

use super::api::{ACKNOWLEDGE, Api, Route};
use super::failure::Failure;
use super::lock;

/// How long it may take until something is on record; half of the time is left for the way.
const LATEST: Duration = Duration::from_millis(1_500);
/// Those that are on their way at once, each on a connection of its own.
const AT_ONCE: usize = 100;

/// All of a bot.
pub(super) struct Acks {
    api: Arc<Api>,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

/// How one went.
type Outcome = Result<(), Failure>;

#[derive(Default)]
struct State {
    running: JoinSet<()>,
    /// By their interaction, until that is on record. No more than the inbox holds.
    open: HashMap<String, Ack>,
}

struct Ack {
    now: oneshot::Sender<()>,
    outcome: oneshot::Receiver<Outcome>,
}

impl Acks {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            state: Mutex::default(),
        }
    }

    /// An interaction has come, and is to be answered so.
    pub(super) fn prepare(&self, interaction: &str, route: Route, answer: InteractionResponse) {
        let heard = Instant::now();
        let (now, on_record) = oneshot::channel();
        let (tell, outcome) = oneshot::channel();
        let mut state = lock(&self.state);
        while state.running.try_join_next().is_some() {}
        let ack = Ack { now, outcome };
        state.open.insert(interaction.to_owned(), ack);
        let (api, room) = (Arc::clone(&self.api), Arc::clone(&self.room));
        state.running.spawn(async move {
            let _ = tokio::time::timeout_at(heard + LATEST, on_record).await;
            let sending = async {
                let _room = room.acquire().await;
                api.acknowledge(&route, &answer).await
            };
            let sent = tokio::time::timeout_at(heard + ACKNOWLEDGE, sending).await;
            // Who does not ask is gone.
            let _ = tell.send(sent.unwrap_or_else(|_| Err(Failure::late())));
        });
    }

    /// It is on record: sends what was not sent, and says how it went. `None` when nothing was
    /// to be sent.
    pub(super) async fn send(&self, interaction: &str) -> Option<Outcome> {
        let Ack { now, outcome } = lock(&self.state).open.remove(interaction)?;
        // Sent already, if nobody waits for it.
        let _ = now.send(());
        Some(outcome.await.unwrap_or_else(|_| Err(Failure::late())))
    }
}
