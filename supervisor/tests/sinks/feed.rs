//! The live tail: order, bounds, and going on.

use std::sync::Arc;

use supervisor::Stream;
use supervisor::logs::feed::{Bounds, FeedLine, Inbox, Places};

use crate::rig::{Rig, until};

fn texts(lines: &[Arc<FeedLine>]) -> Vec<String> {
    lines.iter().map(|line| line.text.clone()).collect()
}

async fn all(inbox: &Inbox, count: usize) -> Vec<Arc<FeedLine>> {
    let mut got = Vec::new();
    until(
        || {
            let batch = inbox.take(1_000, 1 << 20);
            inbox.done(&batch);
            got.extend(batch);
            got.len() >= count
        },
        || format!("{} of {count} lines", inbox.queued()),
    )
    .await;
    got
}

#[tokio::test]
async fn lines_of_all_streams_come_in_their_order_and_new_programs_are_found() {
    let rig = Rig::new("");
    let start = || Places::from_now(&rig.clock);
    let inbox = rig.feed.subscribe(start(), Bounds::default(), |_| true);
    let errors = rig.feed.subscribe(start(), Bounds::default(), |line| {
        line.stream == Stream::Err
    });
    let mut out = rig.program("api", 0, Stream::Out).await;
    let mut err = rig.program("api", 0, Stream::Err).await;
    for number in 0..5 {
        out.print(&format!("out {number}\n"));
        all(&inbox, 1).await;
        err.print(&format!("err {number}\r\n"));
        let got = all(&inbox, 1).await;
        assert_eq!(texts(&got), [format!("err {number}")]);
        assert_eq!((got[0].instance, got[0].pid), (0, Some(4711)));
    }
    let mut late = rig.program("late", 3, Stream::Out).await;
    late.print("here\nunfinished");
    let got = all(&inbox, 2).await;
    assert_eq!(texts(&got), ["here", "unfinished"]);
    assert_eq!((got[0].process.as_str(), got[0].instance), ("late", 3));
    assert_eq!(all(&errors, 5).await.len(), 5);
    assert_eq!(
        (inbox.queued(), errors.queued(), errors.dropped()),
        (0, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_loses_its_own_copies_only() {
    const LINES: usize = 100_000;
    let rig = Rig::new("");
    let start = || Places::from_now(&rig.clock);
    let slow = rig.feed.subscribe(start(), Bounds::default(), |_| true);
    let bounds = Bounds {
        lines: LINES,
        bytes: 1 << 30,
    };
    let quick = rig.feed.subscribe(start(), bounds, |_| true);
    let mut program = rig.program("api", 0, Stream::Out).await;
    let printing = tokio::task::spawn_blocking(move || {
        for number in 0..LINES {
            program.print(&format!("line {number}\n"));
        }
        program
    });
    let got = all(&quick, LINES).await;
    let _program = printing.await.unwrap();
    let expected: Vec<String> = (0..LINES).map(|n| format!("line {n}")).collect();
    assert_eq!(texts(&got), expected);
    let kept = Bounds::default().lines;
    assert_eq!(
        (slow.queued(), slow.dropped()),
        (kept, (LINES - kept) as u64)
    );
    assert_eq!(texts(&slow.take(kept, 1 << 30)), expected[LINES - kept..]);
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let rig = Rig::new("");
    let bounds = Bounds {
        lines: 1_000,
        bytes: 100_000,
    };
    let inbox = rig
        .feed
        .subscribe(Places::from_now(&rig.clock), bounds, |_| true);
    let mut program = rig.program("api", 0, Stream::Out).await;
    let long = "x".repeat(20_000);
    for number in 0..20 {
        program.print(&format!("{number} {long}\n"));
    }
    until(
        || inbox.queued() as u64 + inbox.dropped() == 20,
        || format!("{inbox:?}"),
    )
    .await;
    assert!(inbox.queued() < 5, "{inbox:?}");
}

#[tokio::test]
async fn who_comes_back_goes_on_where_it_was() {
    let rig = Rig::new("");
    let start = Places::from_now(&rig.clock);
    let inbox = rig.feed.subscribe(start, Bounds::default(), |_| true);
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("1\n2\n3\n4\n");
    until(|| inbox.queued() == 4, || format!("{inbox:?}")).await;
    let batch = inbox.take(2, 1 << 20);
    let before = inbox.places();
    inbox.done(&batch);
    let places = inbox.places();
    assert_ne!(places, before, "only what is done counts");
    // Not done: it comes again.
    let _lost = inbox.take(1, 1 << 20);
    drop(inbox);
    program.print("5\n");
    let again = rig.feed.subscribe(places, Bounds::default(), |_| true);
    let got = all(&again, 3).await;
    assert_eq!(texts(&got), ["3", "4", "5"]);
    // A new one beside it gets what is new, and nothing twice to the other. Times have whole
    // milliseconds.
    until(
        || rig.clock.now() > got[2].ts,
        || "the clock stands".to_owned(),
    )
    .await;
    let fresh = rig
        .feed
        .subscribe(Places::from_now(&rig.clock), Bounds::default(), |_| true);
    until(
        || !fresh.places().streams.is_empty(),
        || "no start".to_owned(),
    )
    .await;
    program.print("6\n");
    assert_eq!(texts(&all(&fresh, 1).await), ["6"]);
    assert_eq!(texts(&all(&again, 1).await), ["6"]);
}
