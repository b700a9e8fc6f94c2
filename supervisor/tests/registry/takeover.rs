//! A daemon dies: its successor takes over what runs, and knows what does not.

use std::time::Duration;

use supervisor::Status;
use supervisor::command::{Command, Reply, Target};
use supervisor::logs::LogQuery;

use super::rig::{PATIENCE, Rig, kill, pid, spec};

/// Children outlive the daemon and are adopted with pid, counters and log stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_daemon_adopts_what_runs() {
    let rig = Rig::new().await;
    let script = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done";
    rig.apply(vec![spec("writer", script, "")])
        .await
        .expect("starts");
    let before = rig.online("writer").await;
    let home = rig.crash().await;
    let rig = Rig::at(home).await;
    let after = rig.online("writer").await;
    assert_eq!(pid(&before), pid(&after));
    assert_eq!(
        before.instances[0].generation,
        after.instances[0].generation
    );
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let query = LogQuery {
            target: Some(Target("writer".into())),
            lines: 10_000,
            ..LogQuery::default()
        };
        let Ok(Reply::Logs(page)) = rig.call(Command::Logs(query)).await else {
            panic!("no logs")
        };
        let numbers: Vec<usize> = page
            .lines
            .iter()
            .filter_map(|line| line.message.strip_prefix("line ")?.parse().ok())
            .collect();
        assert_eq!(
            numbers,
            (1..=numbers.len()).collect::<Vec<_>>(),
            "a line is lost, doubled or out of order"
        );
        if numbers.len() > 100 {
            break;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "the stream is not read: {} lines",
            numbers.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.finish().await;
}

/// What exited while nobody looked is known as ended, and is started again by its rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_died_meanwhile_is_started_again() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    let home = rig.crash().await;
    kill(pid(&before));
    let rig = Rig::at(home).await;
    let after = rig
        .until("web", "online again", |view| {
            view.state == Status::Online && view.instances[0].generation == 2
        })
        .await;
    assert_ne!(pid(&before), pid(&after));
    rig.finish().await;
}
