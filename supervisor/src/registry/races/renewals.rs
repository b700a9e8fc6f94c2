//! Orders about a process whose definition is being changed before its turn has come, and applies
//! that come in the middle of a stop.

use super::*;
use crate::command::view::StartChange;

impl Rig {
    /// With an apply that changes two processes and waits for the end of the first.
    async fn in_a_change() -> (Self, JoinHandle<Result<Reply, ControlError>>) {
        let rig = Self::new().await;
        let first = InstanceId::new("first".parse().expect("a name"), 0);
        rig.launcher.next_for(&first, FakeRun::stubborn());
        let specs = |argument: &str| {
            let mut slow = rig.spec("first", argument, "");
            slow.config.grace_period = Duration::from_secs(1);
            vec![slow, rig.spec("web", argument, "")]
        };
        answer(rig.apply(specs("x"))).await.expect("starts");
        let applying = rig.apply(specs("y"));
        until("the end of the first", || rig.was_sent(&first, TERM)).await;
        (rig, applying)
    }
}

/// Whoever starts it again is answered that it is up, and so it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_and_started_while_its_definition_changes_is_up_afterwards() {
    let (rig, applying) = Rig::in_a_change().await;
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    answer(rig.begin(start)).await.expect("starts");
    answer(applying).await.expect("applies");
    assert_eq!(rig.alive(&web()), [["y"]]);
    rig.finish().await;
}

/// What is held in that time stays down, also under the next daemon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_while_its_definition_changes_stays_held() {
    let (mut rig, applying) = Rig::in_a_change().await;
    assert_eq!(done(rig.begin(hold("web"))).await.error, None);
    answer(applying).await.expect("applies");
    rig.next_daemon().await;
    a_while(&rig).await;
    assert!(rig.alive(&web()).is_empty());
    rig.finish().await;
}

/// What is on its way down does not run: an apply that comes then starts it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_in_the_middle_of_a_stop_or_hold_starts_it_again() {
    for order in [stop(), hold("web")] {
        let rig = Rig::new().await;
        rig.launcher.next_for(&web(), FakeRun::stubborn());
        let mut spec = rig.spec("web", "x", "");
        spec.config.grace_period = Duration::from_secs(1);
        answer(rig.apply(vec![spec.clone()])).await.expect("starts");
        let ending = rig.begin(order);
        until("the end of web", || rig.was_sent(&web(), TERM)).await;
        let Reply::Started(outcome) = answer(rig.apply(vec![spec])).await.expect("starts") else {
            panic!("another answer");
        };
        let one = &outcome.processes[0];
        assert_eq!((one.change, &one.error), (StartChange::Started, &None));
        answer(ending).await.expect("ends");
        assert_eq!(rig.launcher.alive(&web()), [2]);
        rig.finish().await;
    }
}
