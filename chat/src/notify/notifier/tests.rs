//! The notifier with channels that fail as they are told to, on a clock that jumps.

mod cards;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::notify::{EventName, Target};

/// What a fake channel does with a message, and when it was handed which.
#[derive(Default)]
struct Fake {
    answers: Mutex<VecDeque<Result<String, SendError>>>,
    seen: Mutex<Vec<(Timestamp, Outgoing)>>,
    hangs: bool,
    clock: Option<Clock>,
}

#[async_trait]
impl Sender for Fake {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let now = self.clock.as_ref().unwrap().now();
        self.seen.lock().unwrap().push((now, message.clone()));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let next = self.answers.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Ok("status 200".into()))
    }
}

struct Rig {
    notifier: Notifier,
    store: Store,
    tasks: Tasks,
    clock: Clock,
}

fn channel(name: &str, target: Option<&str>) -> ChannelSettings {
    ChannelSettings {
        escalation_target: target.map(str::to_owned),
        ..ChannelSettings::new(name, Target::example())
    }
}

async fn rig(folder: &Path, clock: &Clock, fakes: &[(ChannelSettings, Arc<Fake>)]) -> Rig {
    let store = Store::open(&folder.join("chat.sqlite"), clock.clone()).unwrap();
    let tasks = Tasks::new();
    let setup = Setup {
        channels: fakes.iter().map(|(one, _)| one.clone()).collect(),
        templates: Templates::default(),
        store: store.clone(),
        clock: clock.clone(),
        redact: Arc::new(|text| text.replace("hunter22", "***")),
        host: "h1".into(),
        bots: Arc::new(crate::notify::NoBots),
    };
    let fakes = fakes.to_vec();
    let make = move |one: &ChannelSettings| -> Result<Arc<dyn Sender>, SendError> {
        let (_, fake) = fakes
            .iter()
            .find(|(fake, _)| fake.name == one.name)
            .unwrap();
        Ok(fake.clone())
    };
    let started = Notifier::start_with(setup, &tasks, Arc::new(make)).await;
    Rig {
        notifier: started.unwrap(),
        store,
        tasks,
        clock: clock.clone(),
    }
}

fn fake(clock: &Clock, answers: impl IntoIterator<Item = Result<String, SendError>>) -> Arc<Fake> {
    Arc::new(Fake {
        answers: Mutex::new(answers.into_iter().collect()),
        clock: Some(clock.clone()),
        ..Fake::default()
    })
}

impl Rig {
    async fn tell(&self, event: EventName, process: &str) {
        let notice = Notice::new(process, event, process, "with hunter22", self.clock.now());
        self.notifier
            .tell(notice, ProcessWish::default())
            .await
            .unwrap();
    }

    async fn until(&self, what: impl AsyncFn() -> bool) {
        for _ in 0..2_000 {
            if what().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("{:#?}", self.store.letters(None, 10).await.unwrap());
    }

    async fn stands(&self, delivery: Delivery, count: usize) {
        self.until(async || {
            self.store
                .letters(Some(delivery), 2_000)
                .await
                .unwrap()
                .len()
                == count
        })
        .await;
    }

    async fn end(self) {
        self.tasks.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_tried_five_times_and_then_goes_to_the_next_channel() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let a = fake(&clock, (0..9).map(|_| Err(SendError::later("status 503"))));
    let b = fake(&clock, []);
    let channels = [
        (channel("a", Some("b")), a.clone()),
        (channel("b", None), b.clone()),
    ];
    let rig = rig(folder.path(), &clock, &channels).await;
    rig.tell(EventName::Errored, "api").await;
    rig.stands(Delivery::Failed, 1).await;
    rig.stands(Delivery::Sent, 2).await;
    let times: Vec<Timestamp> = a.seen.lock().unwrap().iter().map(|(at, _)| *at).collect();
    let waits: Vec<u64> = times
        .windows(2)
        .map(|two| until(two[0], two[1]).as_secs())
        .collect();
    assert_eq!(waits, [2, 6, 20, 60]);
    let seen = b.seen.lock().unwrap().clone();
    assert_eq!(seen[1].1.via, ["a"], "{seen:?}");
    assert_eq!(
        seen[0].1.notice.message, "with ***",
        "redacted before it is kept"
    );
    assert!(seen[1].1.text().starts_with("(a does not work) with"));
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_after_a_restart_and_retry_after_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let wait = SendError::Later {
        text: "status 429".into(),
        after: Some(Duration::from_secs(300)),
    };
    let a = fake(&clock, [Err(wait)]);
    let channels = [(channel("a", None), a.clone())];
    let first = rig(folder.path(), &clock, &channels).await;
    first.tell(EventName::Errored, "api").await;
    first
        .until(async || a.seen.lock().unwrap().len() == 1)
        .await;
    first
        .until(async || first.store.head("a").await.unwrap().unwrap().result == "status 429")
        .await;
    first.end().await;

    let second = rig(folder.path(), &clock, &channels).await;
    // The rules remember, too: it was told already.
    second.tell(EventName::Errored, "api").await;
    second.stands(Delivery::Sent, 1).await;
    let seen = a.seen.lock().unwrap().clone();
    assert_eq!(seen[0].1.id, seen[1].1.id, "the same message");
    let waited = until(seen[0].0, seen[1].0).as_secs();
    assert!((300..302).contains(&waited), "{waited}");
    assert_eq!(second.store.letters(None, 10).await.unwrap().len(), 1);
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_channel_keeps_no_other_waiting_and_nothing_feeds_itself() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let hangs = Arc::new(Fake {
        hangs: true,
        clock: Some(clock.clone()),
        ..Fake::default()
    });
    let refuses = fake(
        &clock,
        (0..99).map(|_| Err(SendError::Final("status 404".into()))),
    );
    let good = fake(&clock, []);
    let channels = [
        (channel("hangs", Some("refuses")), hangs.clone()),
        (channel("refuses", Some("good")), refuses.clone()),
        (channel("good", None), good.clone()),
    ];
    let rig = rig(folder.path(), &clock, &channels).await;
    let begin = clock.now();
    rig.tell(EventName::Errored, "api").await;
    rig.until(async || !good.seen.lock().unwrap().is_empty())
        .await;
    let (at, _) = good.seen.lock().unwrap()[0].clone();
    assert!(until(begin, at) < Duration::from_secs(2));
    // A storm while everything but one is broken.
    for n in 0..1_000 {
        rig.tell(EventName::Crash, &format!("app-{}", n % 20)).await;
    }
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let count = |fake: &Fake, via: usize| {
        let seen = fake.seen.lock().unwrap();
        seen.iter().filter(|(_, one)| one.via.len() == via).count()
    };
    assert!(count(&good, 0) <= 3, "{}", count(&good, 0));
    assert!(count(&good, 1) <= 3);
    assert!(count(&good, 2) <= 3);
    assert!(good.seen.lock().unwrap().len() <= 9);
    let letters = rig.store.letters(None, 2_000).await.unwrap();
    assert!(letters.len() <= 18, "{}", letters.len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_says_what_was_answered_and_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let a = fake(
        &clock,
        [
            Ok("status 202".into()),
            Err(SendError::later("status 500: oops")),
        ],
    );
    let mut off = channel("off", None);
    off.enabled = false;
    let channels = [(channel("a", None), a.clone()), (off, fake(&clock, []))];
    let rig = rig(folder.path(), &clock, &channels).await;
    assert_eq!(rig.notifier.test("a").await, Ok("status 202".into()));
    let failed = rig.notifier.test("a").await.unwrap_err();
    assert_eq!(failed.to_string(), "status 500: oops");
    for name in ["off", "nobody"] {
        assert!(matches!(
            rig.notifier.test(name).await,
            Err(NotifyError::NoChannel(_))
        ));
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(a.seen.lock().unwrap().len(), 2);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn other_settings_count_at_once_and_what_waits_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let wait = || Err(SendError::later("status 503"));
    let a = fake(&clock, [wait()]);
    let b = fake(&clock, [wait()]);
    let (one, two) = (channel("a", None), channel("b", None));
    let channels = [(one.clone(), a.clone()), (two.clone(), b.clone())];
    let rig = rig(folder.path(), &clock, &channels).await;
    rig.tell(EventName::Errored, "api").await;
    rig.until(async || a.seen.lock().unwrap().len() + b.seen.lock().unwrap().len() == 2)
        .await;
    // One is switched off, the other leaves.
    let off = ChannelSettings {
        enabled: false,
        ..one.clone()
    };
    rig.notifier.reconfigure(vec![off]).await.unwrap();
    rig.stands(Delivery::Failed, 1).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(a.seen.lock().unwrap().len(), 1, "it is off");
    // It is on again: what waited is sent, and what happens is told.
    rig.notifier.reconfigure(vec![one]).await.unwrap();
    rig.stands(Delivery::Sent, 1).await;
    rig.tell(EventName::Errored, "web").await;
    rig.stands(Delivery::Sent, 2).await;
    assert_eq!(b.seen.lock().unwrap().len(), 1);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_acknowledged_by_its_id_or_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let (a, b) = (fake(&clock, []), fake(&clock, []));
    let first = ChannelSettings {
        escalation_after: Some(Duration::from_secs(60)),
        ..channel("a", Some("b"))
    };
    let second = ChannelSettings {
        processes: vec!["nothing".into()],
        ..channel("b", None)
    };
    let channels = [(first, a.clone()), (second, b.clone())];
    let rig = rig(folder.path(), &clock, &channels).await;
    rig.tell(EventName::Errored, "api").await;
    rig.tell(EventName::Errored, "web").await;
    let refused = rig.notifier.acknowledge("nobody", "cli:ana").await;
    assert_eq!(refused, Err(NotifyError::NoIncident("nobody".into())));
    let open = rig.notifier.acknowledge("api", "cli:ana").await.unwrap();
    assert_eq!(open.acknowledged.as_deref(), Some("cli:ana"));
    let again = rig.notifier.acknowledge(&open.id, "cli:bob").await.unwrap();
    assert_eq!(again.acknowledged.as_deref(), Some("cli:ana"), "the first");
    let refused = rig.notifier.mute("db", None).await;
    let well = NoMute::IsWell("db".into());
    assert_eq!(refused, Err(NotifyError::NoMute(well)));
    rig.notifier.mute("api", None).await.unwrap();
    let overview = rig.notifier.overview().await.unwrap();
    assert_eq!(overview.incidents.len(), 2);
    assert_eq!(overview.mutes.into_keys().collect::<Vec<_>>(), ["api"]);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let passed_on = b.seen.lock().unwrap().clone();
    assert_eq!(passed_on.len(), 1, "{passed_on:?}");
    assert_eq!(passed_on[0].1.notice.process, "web");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_leads_elsewhere_is_tried_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let wait = SendError::Later {
        text: "status 429".into(),
        after: Some(Duration::from_secs(600)),
    };
    let a = fake(&clock, [Err(wait)]);
    let one = channel("a", None);
    let rig = rig(folder.path(), &clock, &[(one.clone(), a.clone())]).await;
    rig.tell(EventName::Errored, "api").await;
    rig.until(async || a.seen.lock().unwrap().len() == 1).await;
    let elsewhere = ChannelSettings {
        target: Target::Bot(crate::Place::chat(crate::Platform::Slack, "C1")),
        ..one
    };
    rig.notifier.reconfigure(vec![elsewhere]).await.unwrap();
    rig.stands(Delivery::Sent, 1).await;
    let seen = a.seen.lock().unwrap().clone();
    assert!(until(seen[0].0, seen[1].0) < Duration::from_secs(60));
    rig.end().await;
}

/// A kill between the two would tell what is on its way once more.
#[tokio::test(start_paused = true)]
async fn what_was_heard_and_what_came_of_it_are_on_disk_together() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let rig = rig(
        folder.path(),
        &clock,
        &[(channel("a", None), fake(&clock, []))],
    )
    .await;
    let mut inputs: Vec<Input> = (0..2 * QUEUE)
        .map(|number| {
            let name = format!("app-{number}");
            let notice = Notice::new(&name, EventName::Errored, &name, "x", clock.now());
            Input::Notice(Box::new(notice), ProcessWish::default())
        })
        .collect();
    inputs.push(Input::Heard(7));
    let told = rig.notifier.put_all(inputs);
    let look = async {
        loop {
            let letters = rig.store.letters(None, 1).await.unwrap();
            let heard = Rules::new(Vec::new(), "h1", rig.store.rules().await.unwrap());
            match letters.len() {
                0 => tokio::time::sleep(Duration::from_millis(1)).await,
                _ => return assert_eq!(heard.overview().heard, Some(7)),
            }
        }
    };
    let (told, ()) = tokio::join!(told, look);
    told.unwrap();
    assert!(rig.store.letters(None, 9).await.unwrap().len() >= 2);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_a_dead_letter_and_the_next_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let a = fake(&clock, [Err(SendError::later("status 503"))]);
    let mut off = channel("a", None);
    off.enabled = false;
    let rig = rig(folder.path(), &clock, &[(channel("a", None), a.clone())]).await;
    rig.tell(EventName::Errored, "api").await;
    rig.tell(EventName::Errored, "web").await;
    rig.until(async || a.seen.lock().unwrap().len() == 1).await;
    rig.notifier.reconfigure(vec![off]).await.unwrap();
    rig.store.spoil().await;
    let on = vec![channel("a", None)];
    rig.notifier.reconfigure(on).await.unwrap();
    rig.stands(Delivery::Sent, 1).await;
    let dead = rig.store.letters(Some(Delivery::Failed), 9).await.unwrap();
    assert_eq!(dead.len(), 1);
    let why = dead[0].result.as_str();
    assert!(why.starts_with("it cannot be read: missing field"), "{why}");
    assert_eq!(a.seen.lock().unwrap()[1].1.notice.process, "web");
    rig.end().await;
}

#[test]
fn the_mildest_go_first_and_of_these_the_oldest() {
    let now = Clock::system().now();
    let mut rules = Rules::new(
        vec![channel("a", None)],
        "h1",
        crate::notify::State::default(),
    );
    let mut message = |event, process: &str| Outgoing {
        notice: Notice::new(process, event, process, "x", now),
        ..rules.test("a", now).unwrap()
    };
    let mut all = vec![
        message(EventName::Errored, "1"),
        message(EventName::Crash, "2"),
        message(EventName::Restart, "3"),
        message(EventName::Crash, "4"),
        message(EventName::Restart, "5"),
    ];
    let names = |all: &[Outgoing]| -> Vec<String> {
        all.iter().map(|one| one.notice.process.clone()).collect()
    };
    let lost = crowded_out(&mut all, 2);
    assert_eq!(
        (names(&lost), names(&all)),
        (
            vec!["3".into(), "5".into(), "2".into()],
            vec!["1".into(), "4".into()],
        )
    );
}
