//! An incident from its first sign to its end, and a thousand at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::desk::Answered;
use crate::testing::{FakeDesk, Screen};
use crate::{Card, ChatError, Identity, Incoming, MenuEntry, MessageRef, Note, Platform, Tone};

fn incident(id: &str, process: &str, phase: Phase) -> Incident {
    Incident {
        id: id.into(),
        process: process.into(),
        title: "it crashes at once".into(),
        phase,
        cause: None,
        evidence: vec![],
        question: None,
        actions: vec![],
        outcome: None,
        leave: None,
        victims: vec![],
        opened: Timestamp::UNIX_EPOCH,
        closed: None,
    }
}

fn place() -> Place {
    Place::chat(Platform::Telegram, "-100")
}

fn over(channel: Arc<dyn Channel>, store: Store) -> Threads {
    let threads = Threads::new(store, Clock::system(), Tasks::new());
    threads.speak_in(Places {
        channels: vec![channel],
        places: vec![place()],
    });
    threads
}

fn threads(screen: &Arc<Screen>) -> Threads {
    over(
        screen.clone(),
        Store::in_memory(Clock::system()).expect("a store"),
    )
}

async fn tell(threads: &Threads, incident: &Incident) {
    threads.update(incident);
    threads.settled().await;
}

#[tokio::test]
async fn an_incident_is_one_message_to_its_end() {
    let screen = Arc::new(Screen::default());
    let threads = threads(&screen);
    for phase in [Phase::Seen, Phase::Cause, Phase::Acting, Phase::Verifying] {
        tell(&threads, &incident("inc-1", "api", phase)).await;
    }
    assert_eq!(threads.unfinished().await, ["inc-1"]);
    let mut end = incident("inc-1", "api", Phase::Handed);
    end.actions = vec![("restart".into(), "done".into())];
    tell(&threads, &end).await;
    assert_eq!(screen.titles().len(), 1);
    assert_eq!(screen.last().tone, Tone::Critical);

    // Deleted by somebody: said anew, since a person is still needed.
    screen.shown.lock().unwrap().clear();
    end.outcome = Some("measured: it did not help".into());
    tell(&threads, &end).await;
    assert_eq!(screen.titles().len(), 1);
    end.phase = Phase::Healed;
    tell(&threads, &end).await;
    assert_eq!(screen.last().tone, Tone::Good);
    assert!(threads.unfinished().await.is_empty());
    // Of what is over nobody hears again who has deleted it.
    screen.shown.lock().unwrap().clear();
    end.outcome = None;
    tell(&threads, &end).await;
    assert!(screen.titles().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_at_once_are_three_messages_and_a_true_count() {
    let screen = Arc::new(Screen::default());
    let threads = threads(&screen);
    for number in 0..1_000 {
        let process = format!("app-{}", number % 40);
        let id = format!("inc-{number}");
        threads.update(&incident(&id, &process, Phase::Seen));
        threads.update(&incident(&id, &process, Phase::Cause));
    }
    threads.settled().await;
    assert_eq!(screen.titles().len(), OWN + 1);
    assert_eq!(screen.last().title, "998 more incidents");
    // One of them later, in the same message.
    let question = FakeDesk::new().question.lock().unwrap().clone();
    let asking = Incident {
        question: Some(question),
        ..incident("inc-999", "app-39", Phase::Asked)
    };
    tell(&threads, &asking).await;
    assert_eq!(screen.titles().len(), OWN + 1);
    assert_eq!(screen.button("Questions"), "o:approvals");
    // A question in it is asked again once, however many wait.
    for _ in 0..3 {
        threads.remind(&asking);
        threads.settled().await;
    }
    assert_eq!(screen.titles().len(), OWN + 2);
    assert_eq!(screen.last().title, "1 question still waits for an answer");
    // What happens later is told again.
    tokio::time::advance(WINDOW + Duration::from_secs(1)).await;
    tell(&threads, &incident("inc-2000", "api", Phase::Seen)).await;
    assert_eq!(screen.titles().len(), OWN + 3);
}

/// The daemon is another one: the same messages, and no slots anew.
#[tokio::test]
async fn a_restart_changes_nothing() {
    let screen = Arc::new(Screen::default());
    let store = Store::in_memory(Clock::system()).unwrap();
    let before = over(screen.clone(), store.clone());
    for number in 0..10 {
        let id = format!("inc-{number}");
        tell(&before, &incident(&id, "api", Phase::Seen)).await;
    }
    drop(before);
    let after = over(screen.clone(), store);
    assert_eq!(after.unfinished().await.len(), 10);
    for number in 0..12 {
        let id = format!("inc-{number}");
        tell(&after, &incident(&id, "api", Phase::Handed)).await;
    }
    assert_eq!(screen.titles().len(), OWN + 1);
    assert_eq!(screen.last().title, "10 more incidents");
}

#[tokio::test]
async fn a_reminder_loses_its_buttons_with_the_answer() {
    let screen = Arc::new(Screen::default());
    let threads = threads(&screen);
    let question = FakeDesk::new().question.lock().unwrap().clone();
    let mut asking = Incident {
        question: Some(question),
        ..incident("inc-7", "api", Phase::Asked)
    };
    tell(&threads, &asking).await;
    threads.remind(&asking);
    threads.settled().await;
    assert_eq!(screen.titles().len(), 2);
    assert!(!screen.last().buttons.is_empty());
    if let Some(question) = &mut asking.question {
        question.state = Answered::Yes;
    }
    asking.phase = Phase::Acting;
    tell(&threads, &asking).await;
    assert_eq!(screen.titles().len(), 2);
    assert_eq!(screen.last().title, "api: was approved");
    assert!(screen.last().buttons.is_empty());
}

#[tokio::test]
async fn what_was_only_feared_is_not_told() {
    let screen = Arc::new(Screen::default());
    let threads = threads(&screen);
    tell(&threads, &incident("inc-1", "api", Phase::Healed)).await;
    tell(&threads, &incident("inc-2", "api", Phase::Joined)).await;
    assert!(screen.titles().is_empty());
    // What was told and then found to be part of another one is not left open.
    tell(&threads, &incident("inc-3", "api", Phase::Seen)).await;
    tell(&threads, &incident("inc-3", "api", Phase::Joined)).await;
    assert_eq!(screen.titles(), ["api · part of another incident"]);
}

/// An incident that was taken into another one, or forgotten, leaves no message open; nor does
/// one whose number another one has now.
#[tokio::test]
async fn messages_of_a_forgotten_incident_end() {
    let screen = Arc::new(Screen::default());
    let threads = threads(&screen);
    for id in ["inc-1", "inc-2", "inc-3"] {
        tell(&threads, &incident(id, "api", Phase::Seen)).await;
    }
    // The third is only counted.
    for id in ["inc-1", "inc-3", "inc-9"] {
        threads.forget(id).await;
        threads.settled().await;
    }
    assert_eq!(threads.unfinished().await, ["inc-2"]);
    let titles = screen.titles();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert_eq!(titles[0], "api · on record no more");
    let later = Incident {
        opened: Clock::system().now() + SignedDuration::from_hours(1),
        ..incident("inc-2", "web", Phase::Handed)
    };
    tell(&threads, &later).await;
    let titles = screen.titles();
    assert_eq!(titles.len(), 4, "{titles:?}");
    assert_eq!(titles[3], "web · needs a person");
}

/// A platform that is away for its first calls.
struct Away {
    screen: Screen,
    calls: AtomicUsize,
    until: usize,
}

impl Away {
    fn away(&self) -> Result<(), ChatError> {
        match self.calls.fetch_add(1, Ordering::SeqCst) < self.until {
            true => Err(ChatError::Unavailable("no route".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Channel for Away {
    fn platform(&self) -> Platform {
        Platform::Telegram
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        self.screen.connect().await
    }

    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        self.screen.menu(entries).await
    }

    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        self.away()?;
        self.screen.send(to, card).await
    }

    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        self.away()?;
        self.screen.edit(message, card).await
    }

    async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        self.screen.answer(to, note).await
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        self.screen.receive().await
    }

    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        self.screen.taken(incoming).await
    }
}

/// The last change of all is told although nothing follows it, and nothing is told twice.
#[tokio::test(start_paused = true)]
async fn a_platform_that_was_away_is_brought_up_to_date() {
    let away = Arc::new(Away {
        screen: Screen::default(),
        calls: AtomicUsize::new(0),
        until: 5,
    });
    let store = Store::in_memory(Clock::system()).unwrap();
    let threads = over(away.clone(), store);
    for number in 0..5 {
        threads.update(&incident(&format!("inc-{number}"), "api", Phase::Seen));
    }
    threads.settled().await;
    assert_eq!(away.screen.titles().len(), OWN + 1);
    assert_eq!(away.screen.last().title, "3 more incidents");
    away.calls.store(0, Ordering::SeqCst);
    tell(&threads, &incident("inc-0", "api", Phase::Handed)).await;
    assert_eq!(away.screen.titles()[0], "api · needs a person");
}

/// Days later the message that was shared is brought up to date, and what begins now begins
/// another one.
#[tokio::test]
async fn an_old_digest_takes_nothing_new() {
    let screen = Arc::new(Screen::default());
    let store = Store::in_memory(Clock::system()).unwrap();
    let days_ago = Clock::system().now().as_millisecond() - 2 * 24 * 3_600 * 1_000;
    let old = crate::store::Gathered {
        incident: "inc-1".into(),
        process: "old".into(),
        phase: Phase::Seen,
        asks: false,
        over: false,
    };
    store.gather(&place(), days_ago, vec![old]).await.unwrap();
    let threads = over(screen.clone(), store);
    threads.update(&incident("inc-1", "old", Phase::Handed));
    for number in 2..10 {
        threads.update(&incident(&format!("inc-{number}"), "new", Phase::Seen));
    }
    threads.settled().await;
    let titles = screen.titles();
    assert!(titles.contains(&"1 more incident".to_owned()), "{titles:?}");
    assert!(
        titles.contains(&"6 more incidents".to_owned()),
        "{titles:?}"
    );
}

/// Whoever answers while a place cannot be reached is not reminded there afterwards.
#[tokio::test(start_paused = true)]
async fn a_reminder_that_came_too_late_is_not_sent() {
    let away = Arc::new(Away {
        screen: Screen::default(),
        calls: AtomicUsize::new(0),
        until: 0,
    });
    let threads = over(away.clone(), Store::in_memory(Clock::system()).unwrap());
    let question = FakeDesk::new().question.lock().unwrap().clone();
    let mut asking = Incident {
        question: Some(question),
        ..incident("inc-7", "api", Phase::Asked)
    };
    tell(&threads, &asking).await;
    threads.remind(&asking);
    if let Some(question) = &mut asking.question {
        question.state = Answered::No;
    }
    asking.phase = Phase::Handed;
    threads.update(&asking);
    threads.settled().await;
    assert_eq!(away.screen.titles(), ["api · needs a person"]);
}

/// One of many that needs somebody is not hidden by those that are well.
#[test]
fn the_worst_one_speaks_for_all() {
    let mut digest = Digest::default();
    for phase in [Phase::Handed, Phase::Healed, Phase::Joined] {
        digest.add("api".into(), phase, false);
    }
    assert_eq!(digest.counts["api"], (3, Some(Phase::Handed)));
}
