//! Scripts whose harm no limit of the engine sees: they end the process that runs them, and that
//! is not the daemon's.
//!
//! This binary has no test harness: started with a role it is the playbook process; without one
//! it runs the tests.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and starts itself"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brain::helper::Helpers;
use brain::scenario::Case;
use brain::{
    Asked, DiagnoseContext, Diagnosis, Format, Incident, IncidentId, IncidentState, PlaybookState,
    Playbooks, Symptom, SymptomKind, diagnose,
};
use serde_json::json;
use supervisor::Clock;

/// What each does when it is asked.
const SCRIPTS: [(&str, &str); 8] = [
    (
        // Each holds the one before it: it is freed as deep as it was built.
        "closures",
        "fn matches(c) { let p = 0; loop { let q = p; p = || q; } }",
    ),
    (
        "maps",
        "fn matches(c) { let p = #{}; for i in 0..30000 { let q = #{ p: p }; let g = || q; p = g; } false }",
    ),
    (
        "arrays",
        "fn matches(c) { let a = Fn(\"x\"); for i in 0..30000 { a = [Fn(\"x\").curry(a)]; } false }",
    ),
    (
        "equal",
        "fn chain() { let p = 0; for i in 0..20000 { let q = p; p = || q; } p }
         fn matches(c) { chain() == chain() && false }",
    ),
    (
        "answer",
        "fn matches(c) { let p = 0; for i in 0..30000 { let q = p; p = || q; } #{ ok: false, evidence: [p] } }",
    ),
    (
        // 60,000 × 60,000 bytes, in one call that looks at no limit.
        "replace",
        "fn matches(c) { let s = \"\"; s.pad(60000, 'a'); let t = \"\"; t.pad(60000, 'b'); s.replace(\"a\", t); true }",
    ),
    (
        // Twice as large with each operation, of which 256 pass between two looks at the clock.
        "curry",
        "fn matches(c) { let f = Fn(\"x\"); loop { f = f.curry(f); } }",
    ),
    (
        // In the last function that is asked.
        "plan",
        "fn matches(c) { true }
         fn plan(c) { let p = 0; for i in 0..30000 { let q = p; p = || q; } [] }",
    ),
];
/// Ended by their memory, however large the stack is.
const DEADLY: [&str; 2] = ["replace", "curry"];
/// The built-in playbook that knows the illness of these tests.
const WINNER: &str = "same-death";
/// The role of the process.
const ROLE: &str = "role-playbooks";

fn main() {
    match std::env::args().nth(1) {
        Some(role) if role == ROLE => std::process::exit(brain::helper::run().into()),
        // `cargo test -- --list` and the like.
        Some(option) if option.starts_with("--") => {}
        _ => {
            std::thread::scope(|scope| {
                for test in [
                    no_script_ends_whoever_asks_it,
                    no_text_ends_whoever_reads_it,
                    the_answers_are_those_of_one_process,
                    a_killed_process_is_no_fault_of_a_script,
                    a_process_that_hangs_is_ended,
                    a_process_that_cannot_start_is_no_fault_either,
                    nobody_is_left_at_rest,
                ] {
                    scope.spawn(test);
                }
            });
        }
    }
}

fn helpers() -> Arc<Helpers> {
    Helpers::new(&[ROLE], Clock::system())
}

fn text(name: &str, code: &str) -> String {
    let plan = match code.contains("fn plan") {
        true => "",
        false => "fn plan(c) { [ restart() ] }",
    };
    format!(
        "const META = #{{ name: \"{name}\", version: 1, description: \"x\", on: [\"crash\"] }};\n\
         {code}\n{plan}\n"
    )
}

/// The built-in playbooks and those of a folder.
fn load(folder: &Path) -> (Playbooks, Arc<Helpers>) {
    let helpers = helpers();
    let playbooks =
        Playbooks::load_apart(helpers.clone(), Some(folder.to_owned()), BTreeMap::new());
    (playbooks, helpers)
}

fn ask(playbooks: &Playbooks) -> Diagnosis {
    let case: Case = toml::from_str(
        "name = \"crash\"\non = \"crash\"\nprocess = { state = \"errored\", max_restarts = 0 }\n\
         event = [{ kind = \"crash\", ago = \"100ms\", times = 5, every = \"1s\", data = { code = 1 } }]\n",
    )
    .unwrap();
    diagnose(
        &incident(),
        &case.facts(),
        playbooks,
        &DiagnoseContext::default(),
    )
}

fn state(playbooks: &Playbooks, name: &str) -> PlaybookState {
    let mut all = playbooks.list().into_iter();
    all.find(|info| info.name == name).unwrap().state
}

/// One file that somebody drops into a folder ended the daemon, and the next daemon, too.
fn no_script_ends_whoever_asks_it() {
    let home = tempfile::tempdir().unwrap();
    for (name, code) in SCRIPTS {
        std::fs::write(home.path().join(format!("{name}.rhai")), text(name, code)).unwrap();
    }
    let (playbooks, _) = load(home.path());
    let found = ask(&playbooks);
    assert!(found.trail.len() > SCRIPTS.len(), "{:?}", found.trail);
    for name in DEADLY {
        let PlaybookState::Broken { error, line, .. } = state(&playbooks, name) else {
            panic!("{name} is not broken: {:?}", found.trail);
        };
        assert!(
            error.contains("the playbook process died of SIG"),
            "{name}: {error}"
        );
        assert!(
            error.contains(&format!("while `{name}` was asked")),
            "{error}"
        );
        assert_eq!(line, 2, "{name}");
    }
    let won = found.proposal.expect("a built-in playbook still answers");
    assert_eq!(won.playbook.0, WINNER);
    assert_eq!(ask(&playbooks).proposal.unwrap(), won);
}

/// A text takes minutes to read, or as much memory as it likes.
fn no_text_ends_whoever_reads_it() {
    let closures = text(
        "long",
        &format!("fn matches(c) {{ {} }}", "let f = |x| x;".repeat(50_000)),
    );
    let begun = Instant::now();
    // It is told, and read once: whoever looks at the list does not wait for it again.
    let one = load(Path::new("/nowhere"))
        .0
        .beside("long", Format::Rhai, &closures);
    let PlaybookState::Broken { error, .. } = state(&one, "long") else {
        panic!("it was read");
    };
    assert!(error.contains("while it read `long`"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    let found = one.lint("long", Format::Rhai, &closures);
    assert!(found[0].text.contains("playbook process"), "{found:?}");
}

/// Whether it runs here or there makes no difference to what a playbook says.
fn the_answers_are_those_of_one_process() {
    let (apart, _) = load(Path::new("/nowhere"));
    let here = Playbooks::load(None, BTreeMap::new());
    let (one, other) = (ask(&apart), ask(&here));
    assert_eq!(one, other);
    assert!(one.proposal.is_some() && one.recording.answers.len() > 1);
    assert_eq!(apart.list(), here.list());
    let wrong = text("x", "fn matches(c) { c.log_count(\"(\", \"1m\") > 0 }");
    let error = |playbooks: &Playbooks| match &ask(playbooks).trail[0].asked {
        Asked::Failed { error } => error.clone(),
        other => panic!("{other:?}"),
    };
    let found = error(&apart.beside("x", Format::Rhai, &wrong));
    assert_eq!(found, error(&Playbooks::only("x", Format::Rhai, &wrong)));
    assert!(found.contains("no regular expression"), "{found}");
    assert_eq!(
        apart.lint("x", Format::Rhai, &wrong),
        brain::lint("x", Format::Rhai, &wrong)
    );
}

/// Somebody kills it again and again, while scripts are asked and while they are not.
fn a_killed_process_is_no_fault_of_a_script() {
    let home = tempfile::tempdir().unwrap();
    // Asked first, and busy for a while.
    let busy = "fn matches(c) { let n = 0; while n < 30000 { n += 1; } false }";
    std::fs::write(home.path().join("busy.rhai"), text("busy", busy)).unwrap();
    let (playbooks, helpers) = load(home.path());
    let asked = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let rounds = 0..20;
            rounds.map(|_| ask(&playbooks)).collect::<Vec<_>>()
        });
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(500));
            signal(&helpers, "KILL");
        }
        asked.join().unwrap()
    });
    for found in asked {
        assert_eq!(found.proposal.unwrap().playbook.0, WINNER);
    }
    assert_eq!(state(&playbooks, "busy"), PlaybookState::Ok);
}

/// One that was stopped, or does not get on, is replaced.
fn a_process_that_hangs_is_ended() {
    let (playbooks, helpers) = load(Path::new("/nowhere"));
    let before = helpers.pids();
    signal(&helpers, "STOP");
    assert_eq!(ask(&playbooks).proposal.unwrap().playbook.0, WINNER);
    assert!(
        playbooks
            .list()
            .iter()
            .all(|info| !matches!(info.state, PlaybookState::Broken { .. }))
    );
    assert_ne!(helpers.pids(), before);
}

/// What cannot be read for want of a process is read when there is one.
fn a_process_that_cannot_start_is_no_fault_either() {
    let none = Helpers::new(&["--no-such-role"], Clock::system());
    let playbooks = Playbooks::load_apart(none, Some("/nowhere".into()), BTreeMap::new());
    let found = ask(&playbooks);
    assert!(found.proposal.is_none());
    assert!(
        playbooks
            .list()
            .iter()
            .all(|info| info.state != PlaybookState::Ok)
    );
}

/// It goes by itself, and comes back when it is needed.
fn nobody_is_left_at_rest() {
    let (playbooks, helpers) = load(Path::new("/nowhere"));
    let pids = helpers.pids();
    assert_eq!(pids.len(), 1);
    let until = Instant::now() + Duration::from_secs(60);
    while Path::new(&format!("/proc/{}", pids[0])).exists() {
        assert!(Instant::now() < until, "it stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ask(&playbooks).proposal.unwrap().playbook.0, WINNER);
    drop((playbooks, helpers));
}

fn signal(helpers: &Helpers, name: &str) {
    for pid in helpers.pids() {
        let mut kill = std::process::Command::new("kill");
        let _ = kill.args([format!("-{name}"), pid.to_string()]).status();
    }
}

fn incident() -> Incident {
    let now = jiff::Timestamp::from_second(1_790_000_000).unwrap();
    Incident {
        id: IncidentId(1),
        process: "api".parse().unwrap(),
        opened: now,
        closed: None,
        state: IncidentState::Open,
        symptoms: vec![Symptom {
            kind: SymptomKind::Crash,
            at: now,
            instance: Some(0),
            event: None,
            data: json!({"code": 1}),
        }],
        fingerprint: None,
        title: String::new(),
        cause: None,
    }
}
