//! The outbox over restarts, with rows that cannot be read, and full.

use supervisor::Clock;

use super::*;
use crate::notify::{ChannelSettings, EventName, Input, Notice, ProcessWish, Rules, Target};

fn none() -> BTreeMap<String, u32> {
    BTreeMap::new()
}

fn rules() -> Rules {
    let channels = vec![ChannelSettings::new("a", Target::example())];
    Rules::new(channels, "h1", State::default())
}

fn told(rules: &mut Rules, event: EventName, process: &str, now: Timestamp) -> Vec<Outgoing> {
    let notice = Notice::new(process, event, process, "x", now);
    let input = Input::Notice(Box::new(notice), ProcessWish::default());
    rules.step(input, now)
}

#[tokio::test]
async fn messages_and_memory_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let clock = Clock::system();
    let store = Store::open(&path, clock.clone()).unwrap();
    let mut rules = rules();
    let messages = told(&mut rules, EventName::Crash, "api", clock.now());
    store.post(rules.state(), &messages, &none()).await.unwrap();
    store.post(rules.state(), &messages, &none()).await.unwrap();
    let head = store.head("a").await.unwrap().unwrap();
    store.tried(head.number).await.unwrap();
    drop(store);

    // Killed in the middle of a try.
    let store = Store::open(&path, clock.clone()).unwrap();
    assert_eq!(&store.rules().await.unwrap(), rules.state());
    let head = store.head("a").await.unwrap().unwrap();
    assert_eq!((&head.message, head.tries), (&Ok(messages[0].clone()), 1));
    assert!(store.head("b").await.unwrap().is_none());
    let wait = End::Later(Duration::from_secs(60));
    store
        .ended(head.number, wait, "status 503", None)
        .await
        .unwrap();
    let head = store.head("a").await.unwrap().unwrap();
    assert!(head.due > clock.now() && head.result == "status 503");
    let mut instead = messages[0].clone();
    (instead.id, instead.channel) = ("other".into(), "b".into());
    store
        .ended(head.number, End::Failed, "gone", Some(instead))
        .await
        .unwrap();
    assert!(
        store.head("a").await.unwrap().is_none(),
        "one letter, put in once"
    );
    assert!(store.head("b").await.unwrap().is_some());
    let dead = store.letters(Some(Delivery::Failed), 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].result.as_str()), (1, "gone"));
    assert_eq!(store.revive("a").await.unwrap(), 1);
    assert_eq!(store.head("a").await.unwrap().unwrap().tries, 0);
}

/// A row that cannot be read is not in the way of the others, nor of the history.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_shown_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Store::open(&folder.path().join("chat.sqlite"), clock.clone()).unwrap();
    let mut rules = rules();
    let messages = told(&mut rules, EventName::Crash, "api", clock.now());
    store.post(rules.state(), &messages, &none()).await.unwrap();
    store.spoil().await;
    let head = store.head("a").await.unwrap().unwrap();
    assert_eq!((head.channel.as_str(), &head.id), ("a", &messages[0].id));
    assert!(head.message.is_err());
    let all = store.letters(None, 10).await.unwrap();
    assert_eq!(all, [head]);
}

#[tokio::test]
async fn a_full_outbox_gives_up_the_mildest_and_counts_it() {
    use EventName::{Crash, Errored, Restart};
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Store::open(&folder.path().join("chat.sqlite"), clock.clone()).unwrap();
    let message = |number: i64, event: EventName| Outgoing {
        id: format!("m{number}"),
        ..told(&mut rules(), event, "api", clock.now()).remove(0)
    };
    let post = async |messages: &[Outgoing]| {
        let (state, none) = (State::default(), none());
        store.post(&state, messages, &none).await.unwrap();
    };
    let failed = async || -> Vec<String> {
        let failed = store.letters(Some(Delivery::Failed), 20).await.unwrap();
        failed.into_iter().map(|one| one.id).collect()
    };
    let mut full = vec![
        message(0, Errored),
        message(1, Restart),
        message(2, Restart),
    ];
    full.extend((3..room::MOST_WAITING).map(|number| message(number, Crash)));
    post(&full).await;
    post(&full).await;
    assert!(failed().await.is_empty(), "what is there takes no room");
    // The mildest go first, and of these the oldest.
    post(&[message(1_000, Crash)]).await;
    assert_eq!(failed().await, ["m1"]);
    post(&[message(1_001, Errored), message(1_002, Crash)]).await;
    assert_eq!(failed().await, ["m3", "m2", "m1"]);
    // What is milder than all that waits has no place.
    post(&[message(1_003, Restart)]).await;
    assert_eq!(failed().await, ["m1003", "m3", "m2", "m1"]);
    let critical = (2_000..2_000 + room::MOST_WAITING).map(|number| message(number, Errored));
    post(&critical.collect::<Vec<_>>()).await;
    post(&[message(3_000, Crash)]).await;
    assert_eq!(failed().await[0], "m3000");
    let waiting = store.letters(Some(Delivery::Waiting), 2_000).await.unwrap();
    assert_eq!(waiting.len(), 500);
    let dropped = store.dropped().await.unwrap();
    assert_eq!(dropped, BTreeMap::from([("a".to_owned(), 505)]));
    // It is the number of a channel, and goes with it.
    store.abandon(vec!["b".into()]).await.unwrap();
    assert!(store.dropped().await.unwrap().is_empty());
}
