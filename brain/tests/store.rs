//! The history of the brain: what is written comes back, and decisions are taken once.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

use std::time::Duration;

use brain::{
    Action, Approval, ApprovalState, BrainStore, BudgetUse, Decision, Evidence, Grant,
    HistoryFilter, Incident, IncidentId, IncidentState, NewAction, NewIncident, Plan, PlaybookId,
    Proposal, Recording, Step, Symptom, SymptomKind, Vote, Voted,
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
        version: None,
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
        remind: None,
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        wanted: 1,
        votes: vec![],
        lapsed: vec![],
        version: None,
    }
}

fn yes(person: &str, second: i64) -> Vote {
    Vote {
        person: person.into(),
        by: format!("cli:{person}"),
        at: at(second),
    }
}

/// Two different people, whatever comes in between; time is looked at with the row.
#[test]
fn a_yes_of_two_people_is_two_rows_of_one_answer() {
    let rig = rig();
    let incident = rig.incident(0);
    let mut asked = approval(incident.id);
    asked.wanted = 2;
    rig.store.add_approval(asked.clone()).wait().unwrap();
    let vote = |person, second| {
        let answer = rig.store.vote("ABC234".into(), yes(person, second), vec![]);
        answer.wait().unwrap()
    };
    let Voted::Counted(first) = vote("ana", 5) else {
        panic!("one is not enough");
    };
    assert_eq!(
        (first.state, first.votes.len()),
        (ApprovalState::Pending, 1)
    );
    assert!(matches!(vote("ana", 6), Voted::Repeated(_)));
    assert!(matches!(vote("ben", 600), Voted::Lost(_)), "its time is up");
    let Voted::Decided(done) = vote("ben", 7) else {
        panic!("two are enough");
    };
    assert_eq!(done.decided_by.as_deref(), Some("cli:ben"));
    let kept = rig.store.approval("ABC234".into()).wait().unwrap().unwrap();
    assert_eq!(kept, *done);
    assert!(matches!(vote("eve", 8), Voted::Lost(_)));
    let none = rig
        .store
        .vote("NONE22".into(), yes("ana", 5), vec![])
        .wait();
    assert_eq!(none.unwrap(), Voted::Unknown);
    assert_eq!(rig.store.approvals_of(incident.id).wait().unwrap(), [*done]);
}

/// Whoever is gone said nothing, and says it anew when they are back.
#[test]
fn a_yes_that_lapsed_is_kept_apart() {
    let rig = rig();
    let mut asked = approval(rig.incident(0).id);
    asked.wanted = 2;
    rig.store.add_approval(asked).wait().unwrap();
    let vote = |person, second, gone: &[&str]| {
        let gone = gone.iter().map(|&one| one.to_owned()).collect();
        let answer = rig.store.vote("ABC234".into(), yes(person, second), gone);
        answer.wait().unwrap()
    };
    assert!(matches!(vote("ana", 5, &[]), Voted::Counted(_)));
    let Voted::Counted(second) = vote("ben", 6, &["cli:ana"]) else {
        panic!("it is the first now");
    };
    let of = |votes: &[Vote]| votes.iter().map(|one| one.by.clone()).collect::<Vec<_>>();
    assert_eq!(of(&second.votes), ["cli:ben"]);
    assert_eq!(of(&second.lapsed), ["cli:ana"]);
    let Voted::Decided(done) = vote("ana", 7, &[]) else {
        panic!("two are enough");
    };
    assert_eq!(of(&done.votes), ["cli:ben", "cli:ana"]);
}

/// A no that comes too late is none; what was put off has not expired; a reminder that lost a
/// race with a snooze changes nothing.
#[test]
fn time_is_compared_with_the_row() {
    let rig = rig();
    let incident = rig.incident(0);
    let asked = Approval {
        remind: Some(at(300)),
        ..approval(incident.id)
    };
    rig.store.add_approval(asked).wait().unwrap();
    let decide = |to, second| {
        let id = "ABC234".into();
        let from = ApprovalState::Pending;
        let answer = rig.store.decide(id, from, to, "cli:ana".into(), at(second));
        matches!(answer.wait().unwrap(), Decision::Won(_))
    };
    let put_off = |expires, now| {
        let id = "ABC234".into();
        let answer = rig
            .store
            .put_off(id, at(expires), at(expires - 10), at(now));
        answer.wait().unwrap()
    };
    assert!(!decide(ApprovalState::Denied, 600), "too late");
    assert_eq!(put_off(900, 600), None, "too late");
    assert!(put_off(900, 599).is_some());
    assert!(!decide(ApprovalState::Expired, 600), "put off meanwhile");
    let reminded = |now| rig.store.reminded("ABC234".into(), at(now)).wait().unwrap();
    assert_eq!(reminded(400), None, "put off meanwhile");
    assert_eq!(reminded(890).unwrap().expires, at(900));
    assert_eq!(reminded(891), None, "once");
    assert!(decide(ApprovalState::Expired, 900));
}

/// A grant ends by time or by a person, and nothing is done by one that has ended.
#[test]
fn a_grant_is_used_while_it_lasts() {
    let rig = rig();
    let grant = |id: &str, ends| Grant {
        id: id.into(),
        playbook: PlaybookId("drained".into()),
        version: "00ff".into(),
        process: api(),
        risk: "low".into(),
        by: "cli:ana".into(),
        role: supervisor::Role::Admin,
        created: at(0),
        ends: at(ends),
        revoked: None,
        revoked_by: None,
        uses: 0,
        last_used: None,
    };
    let store = &rig.store;
    let add = |id, ends| store.add_grant(grant(id, ends), 2).wait().unwrap();
    assert!(add("one", 100) && add("two", 200));
    assert!(!add("three", 100), "so many are enough");
    let found = |now| {
        let answer = store.grants_for(PlaybookId("drained".into()), api(), at(now));
        let found = answer.wait().unwrap().into_iter();
        found.map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(found(50), ["two", "one"]);
    assert_eq!(found(100), ["two"]);
    let used = |id: &str, now| store.use_grant(id.into(), at(now)).wait().unwrap();
    assert!(used("one", 99) && !used("one", 100), "it has ended");
    let revoke = |now| {
        let answer = store.revoke("two".into(), "chat:telegram:7".into(), at(now));
        answer.wait().unwrap().unwrap()
    };
    let (ended, now) = revoke(150);
    assert!(now && ended.revoked_by.as_deref() == Some("chat:telegram:7"));
    assert!(!revoke(151).1 && !used("two", 151));
    assert_eq!(found(151), Vec::<String>::new());
    let all = store.grants(at(99), 10).wait().unwrap();
    let shown: Vec<_> = all.iter().map(|one| (&*one.id, one.uses)).collect();
    assert_eq!(shown, [("one", 1), ("two", 0)], "those in force first");
    let none = store.revoke("none".into(), "x".into(), at(1)).wait();
    assert_eq!(none.unwrap(), None);
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
