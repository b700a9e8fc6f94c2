//! Scripts whose harm no limit of the engine sees: they end the process that runs them.
//!
//! This binary has no test harness: started with the name of a script it runs that, as the
//! daemon does; without one it runs the tests.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and starts itself"
)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use brain::scenario::Case;
use brain::{
    DiagnoseContext, Format, Incident, IncidentId, IncidentState, Playbooks, Symptom, SymptomKind,
    diagnose,
};
use serde_json::json;

/// What each does when it is asked.
const SCRIPTS: [(&str, &str); 6] = [
    (
        // Each holds the one before it: it is freed as deep as it was built.
        "closures",
        "fn matches(c) { let p = 0; loop { let q = p; p = || q; } }",
    ),
    (
        "maps",
        "fn matches(c) { let p = #{}; for i in 0..30000 { let q = #{ p: p }; let g = || q; p = g; } true }",
    ),
    (
        "arrays",
        "fn matches(c) { let a = Fn(\"x\"); for i in 0..30000 { a = [Fn(\"x\").curry(a)]; } true }",
    ),
    (
        "equal",
        "fn chain() { let p = 0; for i in 0..20000 { let q = p; p = || q; } p }
         fn matches(c) { chain() == chain() }",
    ),
    (
        "answer",
        "fn matches(c) { let p = 0; for i in 0..30000 { let q = p; p = || q; } #{ ok: true, evidence: [p] } }",
    ),
    (
        // 60,000 × 60,000 bytes, in one call that looks at no limit.
        "replace",
        "fn matches(c) { let s = \"\"; s.pad(60000, 'a'); let t = \"\"; t.pad(60000, 'b'); s.replace(\"a\", t); true }",
    ),
];

fn main() {
    match std::env::args().nth(1) {
        // `cargo test -- --list` and the like.
        Some(option) if option.starts_with("--") => {}
        Some(name) => ask(&name),
        None => a_script_ends_whoever_runs_it(),
    }
}

/// Wrong: one file that somebody dropped into a folder takes the daemon down, and the next
/// daemon, too.
fn a_script_ends_whoever_runs_it() {
    for (name, _) in SCRIPTS {
        let status = begin(name);
        assert_eq!(status.signal(), Some(6), "{name}: {status}");
    }
}

fn begin(name: &str) -> ExitStatus {
    // What no machine of a test has to give: 1 GiB.
    let limited = format!(
        "ulimit -v 1048576; exec {:?} {name}",
        std::env::current_exe().unwrap().display().to_string()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).stderr(Stdio::null());
    command.status().unwrap()
}

/// Asks one script about a crash, on a thread as the daemon has them.
fn ask(name: &str) {
    let (_, code) = SCRIPTS.into_iter().find(|one| one.0 == name).unwrap();
    let text = format!(
        "const META = #{{ name: \"bomb\", version: 1, description: \"x\", on: [\"crash\"] }};\n\
         {code}\nfn plan(c) {{ [ restart() ] }}\n"
    );
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let asked = thread.spawn(move || {
        let playbooks = Playbooks::only("bomb", Format::Rhai, &text);
        let case: Case = toml::from_str("name = \"crash\"\non = \"crash\"\n").unwrap();
        let ctx = DiagnoseContext::default();
        diagnose(&incident(), &case.facts(), &playbooks, &ctx)
    });
    assert!(!asked.unwrap().join().unwrap().trail.is_empty());
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
