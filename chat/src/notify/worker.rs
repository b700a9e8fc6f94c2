//! One channel's sending: one message at a time, in their order, tried again when that may
//! help. A channel that is slow or dead keeps nobody else waiting.

mod beside;

use std::sync::Arc;
use std::time::Duration;

use supervisor::{Clock, until};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use beside::Beside;

use super::sender::{PATIENCE, SendError, Sender};
use super::{EventName, Outgoing};
use crate::Place;
use crate::store::{Delivery, End, Letter, Store, StoreError};

/// How long is waited after each try but the last.
const WAITS: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(20),
    Duration::from_secs(60),
];
/// Longest sleep: a clock that was set back delays nothing for longer.
const LONGEST: Duration = Duration::from_secs(60);
/// After the disk has failed.
const BROKEN: Duration = Duration::from_secs(5);

/// How long a try may go on once the worker is told to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The message.
    pub id: String,
    /// How it stands now.
    pub delivery: Delivery,
    /// What was answered, or why not.
    pub result: String,
}

/// Who takes over when a message is given up.
pub(super) type Fallback = Arc<dyn Fn(&Outgoing) -> Option<Outgoing> + Send + Sync>;

pub(super) struct Worker {
    pub channel: String,
    /// The same chat, where that has the cards of incidents.
    pub cards: Option<Place>,
    pub sender: Result<Arc<dyn Sender>, SendError>,
    pub store: Store,
    pub clock: Clock,
    /// There is something new for this channel.
    pub wake: Arc<Notify>,
    pub fallback: Fallback,
    pub wake_others: Arc<dyn Fn(&str) + Send + Sync>,
    pub tried: broadcast::Sender<Tried>,
}

impl Worker {
    pub(super) async fn run(self, cancel: CancellationToken) {
        loop {
            // A try that is cut off is made again later, under the same id.
            let patience = async {
                cancel.cancelled().await;
                tokio::time::sleep(FAREWELL).await;
            };
            let turn = tokio::select! {
                biased;
                turn = self.turn() => turn,
                () = patience => return,
            };
            let wait = match turn {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "The outbox cannot be used.");
                    Some(BROKEN)
                }
            };
            let wait = wait.map_or(LONGEST, |wait| wait.min(LONGEST));
            if wait.is_zero() && !cancel.is_cancelled() {
                continue;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends what is due, and says how long there is nothing to do.
    async fn turn(&self) -> Result<Option<Duration>, StoreError> {
        let Some(letter) = self.store.head(&self.channel).await? else {
            return Ok(None);
        };
        let wait = until(self.clock.now(), letter.due);
        if !wait.is_zero() {
            return Ok(Some(wait));
        }
        let message = match &letter.message {
            Ok(message) => message,
            Err(why) => {
                // The next one has its turn.
                let (channel, result) = (&self.channel, format!("it cannot be read: {why}"));
                tracing::warn!(%channel, id = %letter.id, error = %why, "A message is given up.");
                self.store
                    .ended(letter.number, End::Failed, &result, None)
                    .await?;
                return Ok(Some(Duration::ZERO));
            }
        };
        match self.beside(&letter, message).await? {
            Beside::Nothing => {}
            Beside::MayCome(wait) => return Ok(Some(wait)),
            Beside::Card(incident) => {
                let result = format!("the card of {incident} tells it");
                self.store
                    .ended(letter.number, End::LeftOut, &result, None)
                    .await?;
                tracing::debug!(channel = %self.channel, %incident, "A message is left out.");
                return Ok(Some(Duration::ZERO));
            }
        }
        self.store.tried(letter.number).await?;
        let sent = match &self.sender {
            Ok(sender) => {
                // A sender has its own patience; this is for one that forgets it.
                let most = PATIENCE + Duration::from_secs(1);
                match tokio::time::timeout(most, sender.send(message)).await {
                    Ok(sent) => sent,
                    Err(_) => Err(SendError::later("no answer within 10 s")),
                }
            }
            Err(error) => Err(error.clone()),
        };
        self.record(&letter, message, sent).await?;
        Ok(Some(Duration::ZERO))
    }

    async fn record(
        &self,
        letter: &Letter,
        message: &Outgoing,
        sent: Result<String, SendError>,
    ) -> Result<(), StoreError> {
        let test = message.notice.event == EventName::Test;
        let (end, result) = match sent {
            Ok(result) => (End::Sent, result),
            Err(error) => match test {
                true => (End::Failed, error.to_string()),
                false => (after_try(letter.tries, &error), error.to_string()),
            },
        };
        let instead = match end {
            End::Failed => (self.fallback)(message),
            _ => None,
        };
        let other = instead.as_ref().map(|one| one.channel.clone());
        self.store
            .ended(letter.number, end, &result, instead)
            .await?;
        if let Some(other) = &other {
            (self.wake_others)(other);
        }
        let (channel, tries) = (&self.channel, letter.tries + 1);
        match end {
            End::Sent | End::LeftOut => tracing::debug!(%channel, tries, "A message was sent."),
            End::Later(_) => {
                tracing::info!(%channel, tries, error = %result, "A message is tried again.");
            }
            End::Failed => {
                tracing::warn!(%channel, tries, error = %result, "A message is given up.");
            }
        }
        let delivery = match end {
            End::Sent => Delivery::Sent,
            End::Failed => Delivery::Failed,
            End::LeftOut => Delivery::LeftOut,
            End::Later(_) => Delivery::Waiting,
        };
        // Nobody may listen.
        let _ = self.tried.send(Tried {
            id: message.id.clone(),
            delivery,
            result,
        });
        Ok(())
    }
}

/// What follows a failure. `before` is how often it had been tried before.
fn after_try(before: u32, error: &SendError) -> End {
    match error {
        SendError::Final(_) => End::Failed,
        SendError::Later { after, .. } => {
            let wait = usize::try_from(before).ok().and_then(|n| WAITS.get(n));
            wait.map_or(End::Failed, |wait| {
                End::Later(after.unwrap_or_default().max(*wait))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_and_what_the_platform_asks_for() {
        let error = SendError::later("status 503");
        let waits: Vec<End> = (0..5).map(|before| after_try(before, &error)).collect();
        let later = |seconds| End::Later(Duration::from_secs(seconds));
        assert_eq!(
            waits,
            [later(2), later(6), later(20), later(60), End::Failed]
        );
        let asked = SendError::Later {
            text: String::new(),
            after: Some(Duration::from_secs(30)),
        };
        assert_eq!(after_try(0, &asked), later(30));
        assert_eq!(after_try(3, &asked), later(60));
        assert_eq!(after_try(0, &SendError::Final(String::new())), End::Failed);
    }
}
