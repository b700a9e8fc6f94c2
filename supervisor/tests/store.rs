//! The state database through its handle: what is written comes back, and what goes wrong
//! with the file neither blocks nor loses the facts.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use supervisor::state::{Hold, Saved, State};
use supervisor::store::{
    Batch, Desired, EventFilter, ProcessRow, StoreError, StoreHandle, StoreThread,
};
use supervisor::{Clock, EventKind, GroupSpec, InstanceId, NewEvent, ProcessName, ProcessSpec};
use tempfile::TempDir;

struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("processes")).unwrap();
        Self { folder }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("db.sqlite")
    }

    fn open(&self) -> (StoreHandle, StoreThread) {
        StoreHandle::open(&self.database(), Clock::system()).unwrap()
    }
}

fn name(text: &str) -> ProcessName {
    text.parse().unwrap()
}

fn row(process: &str, position: u32) -> ProcessRow {
    let spec: ProcessSpec = serde_json::from_value(json!({
        "name": process,
        "config": { "command": "sleep 1" },
        "instances": 1,
        "project": null,
        "cwd": "/",
        "argv": { "program": "sleep", "args": ["1"], "interpreter": null },
        "env": {},
    }))
    .unwrap();
    ProcessRow {
        spec: std::sync::Arc::new(spec),
        position,
        desired: Desired::Online,
        scaled: None,
        previous: None,
        changed_at: None,
        removal: None,
        due: None,
        down: BTreeSet::new(),
    }
}

fn event(process: &str, kind: EventKind) -> NewEvent {
    NewEvent {
        at: Timestamp::from_second(1_700_000_000).unwrap(),
        process: name(process),
        instance: Some(0),
        kind,
        data: json!({ "pid": 7 }),
        actor: "system".into(),
    }
}

fn fact(process: &str, kind: EventKind) -> Batch {
    Batch {
        instances: vec![(InstanceId::new(name(process), 0), Saved::default())],
        events: vec![event(process, kind)],
        ..Batch::default()
    }
}

fn order(process: &str, position: u32) -> Batch {
    Batch {
        processes: vec![row(process, position)],
        ..fact(process, EventKind::Start)
    }
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "condition not met in time"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_written_comes_back_after_a_restart() {
    let home = Home::new();
    let (store, thread) = home.open();
    let group = GroupSpec {
        name: "web".into(),
        members: vec![name("api")],
        depends_on: vec![],
        project: None,
    };
    let batch = Batch {
        groups: vec![group.clone()],
        ..order("api", 1)
    };
    let events = store.commit(batch).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].id, 1);
    store.commit(order("web", 0)).await.unwrap();
    thread.close();
    assert!(matches!(
        store.commit(Batch::default()).await,
        Err(StoreError::Closed)
    ));

    let mode = fs::metadata(home.database()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (store, _thread) = home.open();
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.processes, [row("web", 0), row("api", 1)]);
    assert_eq!(loaded.instances.len(), 2);
    assert_eq!(loaded.groups, [group]);
    let removal = Batch {
        removed: vec![name("api")],
        removed_groups: vec!["web".into()],
        ..Batch::default()
    };
    store.commit(removal).await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.processes.len(), 1);
    assert_eq!(loaded.instances.len(), 1);
    assert!(loaded.groups.is_empty());
    assert_eq!(store.degraded(), None);
}

#[tokio::test]
async fn events_are_found_by_every_condition_newest_first() {
    let home = Home::new();
    let (store, _thread) = home.open();
    for kind in [EventKind::Start, EventKind::Online, EventKind::Crash] {
        for process in ["api", "db"] {
            store.commit(fact(process, kind)).await.unwrap();
        }
    }
    let find = async |filter| store.events(filter).await.unwrap();
    let base = EventFilter {
        limit: 100,
        ..EventFilter::default()
    };
    let all = find(base.clone()).await;
    assert_eq!(
        all.iter().map(|event| event.id).collect::<Vec<_>>(),
        [6, 5, 4, 3, 2, 1]
    );
    let of_api = EventFilter {
        processes: vec![name("api")],
        ..base.clone()
    };
    assert_eq!(find(of_api.clone()).await.len(), 3);
    let crashes = EventFilter {
        kinds: vec![EventKind::Crash],
        ..of_api.clone()
    };
    let crashes = find(crashes).await;
    assert_eq!(crashes.len(), 1);
    assert_eq!(crashes[0].data, json!({ "pid": 7 }));
    assert_eq!(crashes[0].kind, EventKind::Crash);
    let after = EventFilter {
        after: Some(4),
        limit: 1,
        ..base.clone()
    };
    assert_eq!(find(after).await[0].id, 6);
    let later = EventFilter {
        since: Some(Timestamp::from_second(1_700_000_001).unwrap()),
        ..base.clone()
    };
    assert!(find(later).await.is_empty());
    let earlier = EventFilter {
        until: Some(Timestamp::from_second(1_699_999_999).unwrap()),
        ..base.clone()
    };
    assert!(find(earlier).await.is_empty());
    let until_then = EventFilter {
        until: Some(Timestamp::from_second(1_700_000_001).unwrap()),
        ..base.clone()
    };
    assert_eq!(find(until_then).await.len(), 6);
    let other_instance = EventFilter {
        instance: Some(3),
        ..base
    };
    assert!(find(other_instance).await.is_empty());
}

/// The last restart by the clock is found behind any number of others.
#[tokio::test]
async fn events_are_found_by_their_reason() {
    let home = Home::new();
    let (store, _thread) = home.open();
    let restart = |reason: &str| {
        let mut batch = fact("api", EventKind::Restart);
        batch.events[0].data = json!({ "reason": reason });
        batch
    };
    store.commit(restart("cron")).await.unwrap();
    for _ in 0..150 {
        store.commit(restart("crash")).await.unwrap();
    }
    store.commit(fact("api", EventKind::Crash)).await.unwrap();
    let filter = EventFilter {
        processes: vec![name("api")],
        kinds: vec![EventKind::Restart],
        reason: Some("cron".to_owned()),
        limit: 1,
        ..EventFilter::default()
    };
    let found = store.events(filter).await.unwrap();
    assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_locked_file_fails_quickly_and_facts_are_written_later() {
    let home = Home::new();
    let (store, _thread) = home.open();
    store.commit(order("api", 0)).await.unwrap();

    let other = Connection::open(home.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(60), store.commit(order("late", 1)))
        .await
        .expect("a locked file must not hang a commit");
    assert!(matches!(refused, Err(StoreError::Locked)));
    assert!(store.commit(fact("api", EventKind::Crash)).await.is_err());
    assert!(store.degraded().unwrap().contains("locked"));
    other.execute_batch("ROLLBACK").unwrap();

    until(async || store.degraded().is_none()).await;
    let loaded = store.load().await.unwrap();
    assert_eq!(
        loaded.processes.len(),
        1,
        "a refused order must not come true"
    );
    let events = store
        .events(EventFilter {
            kinds: vec![EventKind::Crash],
            limit: 9,
            ..EventFilter::default()
        })
        .await
        .unwrap();
    assert_eq!(events.len(), 1, "the crash happened and must be recorded");
}

#[tokio::test]
async fn a_full_queue_is_said_at_once() {
    let home = Home::new();
    let (store, _thread) = home.open();
    let other = Connection::open(home.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let commits = (0..6_000).map(|_| store.commit(Batch::default()));
    let mut waiting = futures::future::join_all(commits);
    let answers = tokio::time::timeout(Duration::from_secs(30), &mut waiting)
        .await
        .expect("every commit is answered");
    assert!(
        answers
            .iter()
            .any(|answer| matches!(answer, Err(StoreError::Busy)))
    );
}

fn damaged_copies(folder: &Path) -> usize {
    let is_copy = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("db.sqlite.corrupt-")
    };
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(is_copy)
        .count()
}

#[tokio::test]
async fn a_damaged_file_is_replaced_from_the_snapshots() {
    let home = Home::new();
    let (store, thread) = home.open();
    store.commit(order("api", 3)).await.unwrap();
    let running = Saved {
        state: State::Errored {
            hold: Hold::Breaker,
        },
        ..Saved::default()
    };
    let id = InstanceId::new(name("api"), 0);
    let moved = Batch {
        instances: vec![(id.clone(), running.clone())],
        groups: vec![GroupSpec {
            name: "web".into(),
            members: vec![name("api")],
            depends_on: vec![],
            project: None,
        }],
        ..Batch::default()
    };
    store.commit(moved).await.unwrap();
    thread.close();
    fs::write(home.database(), "this is not a database".repeat(1000)).unwrap();

    let (store, _thread) = home.open();
    assert_eq!(damaged_copies(home.folder.path()), 1);
    assert!(store.degraded().unwrap().contains("damaged"));
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.processes, [row("api", 3)]);
    assert_eq!(loaded.instances, [(id, running)]);
    assert_eq!(loaded.groups.len(), 1);
}

#[tokio::test]
async fn a_snapshot_follows_each_change() {
    let home = Home::new();
    let (store, _thread) = home.open();
    let file = home.folder.path().join("processes/api.json");
    store.commit(order("api", 0)).await.unwrap();
    until(async || file.exists()).await;
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let removal = Batch {
        removed: vec![name("api")],
        ..Batch::default()
    };
    store.commit(removal).await.unwrap();
    until(async || !file.exists()).await;
}

#[tokio::test]
async fn a_newer_file_is_left_alone() {
    let home = Home::new();
    let other = Connection::open(home.database()).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let opened = StoreHandle::open(&home.database(), Clock::system());
    assert!(matches!(opened, Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn old_events_make_room() {
    let home = Home::new();
    let (store, _thread) = home.open();
    for _ in 0..12 {
        let batch = Batch {
            events: vec![event("api", EventKind::Start); 1_000],
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    }
    store
        .commit(fact("db", EventKind::Online))
        .await
        .expect("another process");
    let count = async |process: &str| {
        store
            .events(EventFilter {
                processes: vec![name(process)],
                limit: 100_000,
                ..EventFilter::default()
            })
            .await
            .unwrap()
            .len()
    };
    until(async || count("api").await <= 10_000).await;
    assert_eq!(count("db").await, 1);
}
