//! The history of the brain: what is written comes back, and decisions are taken once.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

use std::time::Duration;

use brain::{
    Action, Approval, ApprovalState, BrainStore, BudgetUse, Decision, Evidence, HistoryFilter,
    Incident, IncidentId, IncidentState, NewAction, NewIncident, Plan, PlaybookId, Proposal,
    Recording, Step, Symptom, SymptomKind,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use supervisor::ProcessName;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn api() -> ProcessName {
    "api".parse().unwrap()
}

fn new_incident(second: i64) -> NewIncident {
    NewIncident {
        process: api(),
        opened: at(second),
        state: IncidentState::Open,
        symptoms: vec![Symptom {
            kind: SymptomKind::Crash,
            at: at(second),
            instance: Some(0),
            event: Some(7),
            data: json!({"code": 1}),
        }],
        fingerprint: None,
        title: "api died".into(),
    }
}

fn plan() -> Plan {
    Plan {
        steps: vec![
            Step {
                action: Action::Halt { reason: "x".into() },
                why: "y".into(),
            },
            Step {
                action: Action::Wait(Duration::from_secs(5)),
                why: "y".into(),
            },
        ],
        ask: None,
    }
}

fn action(incident: IncidentId, second: i64, action: Action, gate: &str) -> NewAction {
    NewAction {
        incident: Some(incident),
        process: api(),
        at: at(second),
        actor: "playbook:same-death".into(),
        playbook: Some(PlaybookId("same-death".into())),
        action,
        risk: "low".into(),
        gate: gate.into(),
        approval: None,
    }
}

struct Rig {
    store: BrainStore,
    _folder: tempfile::TempDir,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (store, _thread) = BrainStore::open(&folder.path().join("history.db")).unwrap();
    Rig {
        store,
        _folder: folder,
    }
}

impl Rig {
    fn incident(&self, second: i64) -> Incident {
        self.store
            .open_incident(new_incident(second))
            .wait()
            .unwrap()
    }
}

/// What was written is there after the daemon was killed and started again.
#[test]
fn an_incident_survives_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let (store, thread) = BrainStore::open(&path).unwrap();
    let mut incident = store.open_incident(new_incident(0)).wait().unwrap();
    incident.state = IncidentState::Acting;
    store.save_incident(incident.clone()).wait().unwrap();
    let proposal = Proposal {
        cause: "api dies".into(),
        confidence: 0.9,
        evidence: vec![Evidence {
            id: "event:7".into(),
            text: "died".into(),
        }],
        plan: plan(),
        playbook: PlaybookId("same-death".into()),
    };
    store
        .set_proposal(incident.id, proposal.clone())
        .wait()
        .unwrap();
    store
        .add_step(incident.id, at(1), "opened", json!({"a": 1}))
        .wait()
        .unwrap();
    let mut recording = Recording::new(at(1));
    recording.keep("deaths".into(), json!([]));
    store
        .keep_recording(incident.id, at(1), recording.clone())
        .wait()
        .unwrap();
    drop(store);
    thread.join();

    let (store, _thread) = BrainStore::open(&path).unwrap();
    let open = store.open_incidents().wait().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].incident, incident);
    assert_eq!(open[0].cause.as_deref(), Some("api dies"));
    assert_eq!(open[0].evidence, proposal.evidence);
    assert_eq!(open[0].trigger, SymptomKind::Crash);
    assert_eq!(store.recordings(incident.id).wait().unwrap(), [recording]);
    assert_eq!(store.steps(incident.id).wait().unwrap()[0].kind, "opened");
}

/// The history names actions as they are called everywhere, and leaves out what was refused.
#[test]
fn the_history_tells_what_was_done() {
    let rig = rig();
    let first = rig.incident(0);
    let halt = Action::Halt { reason: "x".into() };
    let escalate = Action::Escalate {
        text: "look".into(),
    };
    for (one, gate, result) in [
        (halt, "run", "done"),
        (escalate, "run", "escalated"),
        (Action::Rollback, "refuse: blocked", "refused"),
    ] {
        let id = rig
            .store
            .begin_action(action(first.id, 1, one, gate))
            .wait()
            .unwrap();
        rig.store.end_action(id, result).wait().unwrap();
    }
    rig.store.set_escalated(first.id).wait().unwrap();
    rig.store
        .set_action_outcome(first.id, "success")
        .wait()
        .unwrap();
    rig.store.set_outcome(first.id, "escalated").wait().unwrap();
    let second = rig.incident(60);
    let rows = rig.store.history(HistoryFilter::default()).wait().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].id, second.id.to_string());
    assert_eq!(rows[0].by, "brain");
    assert_eq!(rows[0].result, "open");
    assert_eq!(rows[1].actions, ["halt", "escalate"]);
    assert!(rows[1].escalated);
    assert_eq!(rows[1].by, "playbook:same-death");
    assert_eq!(rows[1].trigger, "crash");
    let since = HistoryFilter {
        since: Some(at(30)),
        ..HistoryFilter::default()
    };
    assert_eq!(rig.store.history(since).wait().unwrap().len(), 1);
    let actions = rig.store.actions(first.id).wait().unwrap();
    assert_eq!(actions[1].result.as_deref(), Some("escalated"));
    assert_eq!(actions[1].outcome.as_deref(), Some("success"));
}

fn approval(incident: IncidentId) -> Approval {
    Approval {
        id: "ABC234".into(),
        incident,
        process: api(),
        playbook: PlaybookId("deploy-rollback".into()),
        plan: plan(),
        digest: "d".into(),
        risk: "high".into(),
        reason: "because".into(),
        preconditions: json!({"generation": 3}),
        created: at(0),
        expires: at(600),
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
    }
}

/// Two people answer at once: one decides, the other hears who was faster.
#[tokio::test]
async fn the_first_answer_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let (store, _thread) = tokio::task::spawn_blocking(move || BrainStore::open(&path))
        .await
        .unwrap()
        .unwrap();
    let incident = store.open_incident(new_incident(0)).await.unwrap();
    let asked = approval(incident.id);
    store.add_approval(asked.clone()).await.unwrap();
    let decide = |to, by: &str| {
        store.decide(
            "ABC234".into(),
            ApprovalState::Pending,
            to,
            by.into(),
            at(5),
        )
    };
    let (yes, no) = tokio::join!(
        decide(ApprovalState::Approved, "cli:ana"),
        decide(ApprovalState::Denied, "cli:ben")
    );
    let Decision::Won(won) = yes.unwrap() else {
        panic!("the first wins");
    };
    assert_eq!(won.state, ApprovalState::Approved);
    assert_eq!(won.plan, asked.plan);
    let Decision::Lost(lost) = no.unwrap() else {
        panic!("the second loses");
    };
    assert_eq!(lost.decided_by.as_deref(), Some("cli:ana"));
    assert_eq!(lost.decided_at, Some(at(5)));
    assert_eq!(
        store
            .decide(
                "NONE22".into(),
                ApprovalState::Pending,
                ApprovalState::Expired,
                "system".into(),
                at(6)
            )
            .await
            .unwrap(),
        Decision::Unknown
    );
    let pending = store
        .approvals(Some(ApprovalState::Pending), 10)
        .await
        .unwrap();
    assert_eq!(pending, []);
    assert_eq!(store.approvals(None, 10).await.unwrap().len(), 1);
}

/// Only what changed something, and what no person allowed, counts against the budget.
#[test]
fn the_budget_counts_what_machines_changed() {
    let rig = rig();
    let incident = rig.incident(0);
    let begin = |one: NewAction| rig.store.begin_action(one).wait().unwrap();
    let restart = || Action::Restart { instance: None };
    let old = begin(action(incident.id, -4000, restart(), "run"));
    rig.store.end_action(old, "done").wait().unwrap();
    begin(action(incident.id, 1, restart(), "ask"));
    let note = Action::LogIncident { text: "x".into() };
    begin(action(incident.id, 2, note, "run"));
    let mut allowed = action(incident.id, 3, restart(), "run");
    allowed.approval = Some("ABC234".into());
    begin(allowed);
    for second in [4, 5] {
        let id = begin(action(incident.id, second, restart(), "run"));
        rig.store.end_action(id, "failed: gone").wait().unwrap();
    }
    let hour_ago = at(10) - SignedDuration::from_secs(3600);
    assert_eq!(
        rig.store.budget(api(), hour_ago).wait().unwrap(),
        BudgetUse {
            all: 2,
            process: 2,
            failed_in_a_row: 2
        }
    );
    let other = "web".parse().unwrap();
    let used = rig.store.budget(other, hour_ago).wait().unwrap();
    assert_eq!((used.all, used.process), (2, 0));
}

/// Cooldowns are measured from the last run on the same process.
#[test]
fn runs_are_remembered_for_cooldowns() {
    let rig = rig();
    let incident = rig.incident(0);
    let storm = PlaybookId("error-storm".into());
    for (second, helped) in [(-7000, Some(true)), (0, Some(false)), (60, Some(false))] {
        rig.store
            .begin_run(storm.clone(), api(), incident.id, at(second))
            .wait()
            .unwrap();
        rig.store
            .end_run(storm.clone(), incident.id, helped)
            .wait()
            .unwrap();
    }
    let runs = rig.store.runs(api(), at(100)).wait().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].last, runs[0].last_hour), (at(60), 2));
    let other = "web".parse().unwrap();
    assert!(rig.store.runs(other, at(100)).wait().unwrap().is_empty());
    let stats = rig.store.playbook_stats().wait().unwrap();
    assert_eq!((stats[0].runs, stats[0].ok, stats[0].failed), (3, 1, 2));
    assert_eq!(stats[0].failed_in_a_row, 2);
}
