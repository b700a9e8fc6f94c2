//! A chat that is told of the same trouble by the card of its incident is told once: the card
//! wins, since it goes on with the incident and has its buttons.
//!
//! That holds for what the card told when it was opened. Later it is edited, which wakes nobody.
//!
//! A card takes a moment longer than a message, so what may be on one waits for that moment.

use std::time::Duration;

use supervisor::{after, until};

use super::Worker;
use crate::notify::{EventName, Outgoing, Severity};
use crate::store::{Letter, StoreError};

/// How long a message waits for a card. The brain looks at trouble within a second or two.
const MOMENT: Duration = Duration::from_secs(10);

/// What stands beside a message in its chat.
pub(super) enum Beside {
    Nothing,
    /// A card may still come, within this.
    MayCome(Duration),
    /// The card of this incident.
    Card(String),
}

impl Worker {
    pub(super) async fn beside(
        &self,
        letter: &Letter,
        message: &Outgoing,
    ) -> Result<Beside, StoreError> {
        let Some(place) = self.cards.as_ref().filter(|_| is_of_a_card(message)) else {
            return Ok(Beside::Nothing);
        };
        let (notice, at) = (&message.notice, letter.at);
        let named = notice.details.get("brain_incident");
        let named = named.and_then(|one| one.as_str());
        let card = self.store.card_of(place, &notice.process, named, at);
        if let Some(incident) = card.await? {
            return Ok(Beside::Card(incident));
        }
        let wait = until(self.clock.now(), after(at, MOMENT));
        Ok(match wait.is_zero() {
            true => Beside::Nothing,
            false => Beside::MayCome(wait.min(Duration::from_secs(1))),
        })
    }
}

/// Does the card of an incident say the same, and nobody has to be woken? What is critical, a
/// question, and what is told since nobody reacted has to reach somebody in any case.
fn is_of_a_card(message: &Outgoing) -> bool {
    let notice = &message.notice;
    let same = match notice.event {
        EventName::Crash
        | EventName::Errored
        | EventName::HealthFail
        | EventName::HealthRecover
        | EventName::MemoryExceeded
        | EventName::Flapping => message.class.is_of_incidents(),
        EventName::BrainHeal => true,
        // What came of a plan, and not a word of its own.
        EventName::AgentAction => notice.details.contains_key("outcome"),
        EventName::AgentApproval
        | EventName::Restart
        | EventName::Stop
        | EventName::DeployStart
        | EventName::DeployDone
        | EventName::DeployFailed
        | EventName::HealthScoreLow
        | EventName::Escalated
        | EventName::CertExpiring
        | EventName::DiskLow
        | EventName::SinkDown
        | EventName::DaemonStarted
        | EventName::Digest
        | EventName::Test => false,
    };
    same && !notice.process.is_empty()
        && notice.severity < Severity::Critical
        && message.escalated_after_s.is_none()
}
