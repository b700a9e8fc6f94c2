//! Orders about a process whose definition is being changed, before its turn has come.

use super::*;

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
    let hold = Command::Hold {
        target: Target("web".into()),
        reason: "it loops".into(),
    };
    assert_eq!(done(rig.begin(hold)).await.error, None);
    answer(applying).await.expect("applies");
    rig.next_daemon().await;
    a_while(&rig).await;
    assert!(rig.alive(&web()).is_empty());
    rig.finish().await;
}
