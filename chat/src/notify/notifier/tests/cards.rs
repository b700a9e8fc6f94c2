//! What a card tells, a channel into the same chat does not tell again.

use jiff::SignedDuration;

use super::*;
use crate::store::Shown;
use crate::thread::Incident;
use crate::{MessageRef, Place, Platform};

fn place() -> Place {
    Place::chat(Platform::Telegram, "-100")
}

/// A channel into the chat that has the cards.
fn same() -> ChannelSettings {
    ChannelSettings {
        cards: Some(place()),
        ..channel("same", None)
    }
}

impl Rig {
    /// The card of an incident of `api` is opened, or edited.
    async fn card(&self, incident: &Incident, card: &str) {
        let shown = Shown {
            message: MessageRef {
                place: place(),
                id: "7".into(),
            },
            card: card.into(),
            over: false,
        };
        self.store.knows(incident).await.unwrap();
        self.store
            .show(&incident.id, &place(), &shown)
            .await
            .unwrap();
    }
}

/// A chat that is told by the card of an incident is not told again by a channel, and that is
/// counted; where there is no card, the message comes a moment later.
#[tokio::test(start_paused = true)]
async fn what_a_card_tells_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let (a, b) = (fake(&clock, []), fake(&clock, []));
    let channels = [(same(), a.clone()), (channel("other", None), b.clone())];
    let rig = rig(folder.path(), &clock, &channels).await;
    rig.tell(EventName::Crash, "api").await;
    rig.card(&Incident::example("inc-7", "api"), "c").await;
    rig.stands(Delivery::LeftOut, 1).await;
    rig.stands(Delivery::Sent, 1).await;
    assert!(a.seen.lock().unwrap().is_empty());
    // Of another process there is none.
    let begin = clock.now();
    rig.tell(EventName::Crash, "web").await;
    rig.stands(Delivery::Sent, 3).await;
    let (at, told) = a.seen.lock().unwrap()[0].clone();
    assert_eq!(told.notice.process, "web");
    let waited = until(begin, at);
    assert!(waited >= Duration::from_secs(10), "{waited:?}");
    // Nor of what is no part of the card.
    rig.tell(EventName::Restart, "api").await;
    rig.stands(Delivery::Sent, 5).await;
    let left = rig.store.left_out().await.unwrap();
    assert_eq!(left, BTreeMap::from([("same".to_owned(), 1)]));
    let row = rig.store.letters(Some(Delivery::LeftOut), 9).await.unwrap();
    assert_eq!(row[0].result, "the card of inc-7 tells it");
    rig.end().await;
}

/// A card wakes nobody but when it is opened: what needs somebody is told beside it, and so is
/// what comes later than its opening, however long its incident goes on.
#[tokio::test(start_paused = true)]
async fn what_should_wake_is_told_beside_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let a = fake(&clock, []);
    let rig = rig(folder.path(), &clock, &[(same(), a.clone())]).await;
    let incident = Incident::example("inc-7", "api");
    rig.card(&incident, "c").await;
    let begin = clock.now();
    rig.tell(EventName::AgentApproval, "api").await;
    rig.stands(Delivery::Sent, 1).await;
    rig.tell(EventName::Errored, "api").await;
    rig.stands(Delivery::Sent, 2).await;
    let waited = until(begin, clock.now());
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    tokio::time::sleep(Duration::from_secs(120)).await;
    // It is edited, which says nothing aloud.
    rig.card(&incident, "d").await;
    rig.tell(EventName::HealthFail, "api").await;
    rig.stands(Delivery::Sent, 3).await;
    rig.end().await;
}

/// What the brain's incident names is its own card, and one that has ended tells nothing.
#[tokio::test(start_paused = true)]
async fn a_card_that_has_ended_or_is_not_shown_swallows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let rig = rig(folder.path(), &clock, &[]).await;
    let (place, now) = (place(), clock.now());
    let card = async |named| {
        let found = rig.store.card_of(&place, "api", named, now).await;
        found.unwrap()
    };
    let mut incident = Incident::example("inc-7", "api");
    // Known, but not shown.
    rig.store.knows(&incident).await.unwrap();
    assert_eq!((card(None).await, card(Some("inc-7")).await), (None, None));
    rig.card(&incident, "c").await;
    let own = Some("inc-7".to_owned());
    assert_eq!(card(Some("inc-7")).await, own);
    assert_eq!((card(None).await, card(Some("inc-8")).await), (own, None));
    incident.closed = Some(now - SignedDuration::from_mins(5));
    rig.store.knows(&incident).await.unwrap();
    assert_eq!((card(None).await, card(Some("inc-7")).await), (None, None));
    rig.end().await;
}
