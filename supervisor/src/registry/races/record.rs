//! Orders whose record is refused, as on a full disk.

use super::*;
use crate::state::Reason;
use crate::store::Desired;
use crate::store::testing::{allow, refuse};

/// What fills the disk can be stopped, and whoever stops it is told that the next daemon would
/// not know that. What is on record again is not told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_or_start_that_is_not_on_record_says_so() {
    let mut rig = Rig::new().await;
    let spec = rig.spec("web", "x", "");
    answer(rig.apply(vec![spec])).await.expect("starts");
    let database = rig.foundation.paths.database();
    refuse(&database, &["processes"]);
    let stopped = done(rig.begin(stop())).await;
    assert!(rig.alive(&web()).is_empty());
    assert_eq!((stopped.changed, &stopped.error), (true, &None));
    let note = stopped.note.expect("a note");
    assert!(note.starts_with("not on record yet"), "{note}");
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    let Reply::Started(outcome) = answer(rig.begin(start)).await.expect("starts") else {
        panic!("another answer");
    };
    let note = outcome.processes[0].note.as_ref().expect("a note");
    assert!(note.starts_with("not on record yet"), "{note}");
    answer(rig.begin(stop())).await.expect("stops");
    let again = done(rig.begin(stop())).await;
    let note = again.note.expect("a note");
    assert!(
        note.starts_with("was already stopped; not on record yet"),
        "{note}"
    );

    allow(&database, &["processes"]);
    while done(rig.begin(stop())).await.note.as_deref() != Some("was already stopped") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let loaded = rig.foundation.store.load().await.expect("rows");
    assert_eq!(loaded.processes[0].desired, Desired::Stopped);
    rig.next_daemon().await;
    a_while(&rig).await;
    assert!(rig.alive(&web()).is_empty());
    rig.finish().await;
}

/// That it is held stands in the state of each copy, which is written by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_or_restart_that_is_not_on_record_says_so() {
    let rig = Rig::new().await;
    let spec = rig.spec("web", "x", "");
    answer(rig.apply(vec![spec])).await.expect("starts");
    let database = rig.foundation.paths.database();
    refuse(&database, &["processes", "instances", "events"]);
    let restart = Command::Restart {
        target: Target("web".into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    };
    for order in [hold("web"), restart] {
        let done = done(rig.begin(order)).await;
        assert_eq!((done.changed, &done.error), (true, &None));
        let note = done.note.expect("a note");
        assert!(note.contains("not on record yet"), "{note}");
    }
    rig.finish().await;
}
