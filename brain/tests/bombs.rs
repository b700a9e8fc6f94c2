//! A hundred playbooks that mean harm: each is marked broken with its place, and nobody else
//! notices.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

use std::collections::BTreeMap;
use std::fs;

use brain::scenario::Case;
use brain::{
    DiagnoseContext, Incident, IncidentId, IncidentState, PlaybookSource, PlaybookState, Playbooks,
    Symptom, SymptomKind, diagnose,
};
use serde_json::json;

/// What each kind does when it is asked.
const BOMBS: [(&str, &str); 20] = [
    ("endless", "fn matches(c) { let x = 0; loop { x += 1; } }"),
    ("endless-while", "fn matches(c) { while true { } }"),
    (
        "caught",
        "fn matches(c) { try { loop { } } catch { loop { } } }",
    ),
    (
        "string",
        "fn matches(c) { let s = \"x\"; loop { s += s; } }",
    ),
    (
        "array",
        "fn matches(c) { let a = []; loop { a.push(a.len()); } }",
    ),
    (
        "pad",
        "fn matches(c) { let a = []; a.pad(1000000000, 0); true }",
    ),
    (
        "map",
        "fn matches(c) { let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; } }",
    ),
    (
        "nested",
        "fn matches(c) { let a = []; loop { a = [a, a]; } }",
    ),
    ("recursion", "fn f(x) { f(x + 1) } fn matches(c) { f(0) }"),
    (
        "mutual",
        "fn f(x) { g(x) } fn g(x) { f(x) } fn matches(c) { f(0) }",
    ),
    ("sleep", "fn matches(c) { sleep(60); true }"),
    ("clock", "fn matches(c) { timestamp(); true }"),
    (
        "range",
        "fn matches(c) { let x = 0; for i in 0..1000000000 { x += i; } true }",
    ),
    ("type", "fn matches(c) { #{ yes: true } }"),
    ("number", "fn matches(c) { 42 }"),
    ("text", "fn matches(c) { \"yes\" }"),
    (
        "plan-text",
        "fn matches(c) { true } fn plan(c) { \"rm -rf /\" }",
    ),
    (
        "plan-map",
        "fn matches(c) { true } fn plan(c) { [ #{ action: \"exec\", command: \"rm -rf /\" } ] }",
    ),
    (
        "plan-giant",
        "fn matches(c) { true } fn plan(c) { let a = []; for i in 0..900 { a.push(restart()); } a }",
    ),
    ("field", "fn matches(c) { c.nothing_like_this == 1 }"),
];

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

#[test]
fn a_hundred_bombs_are_marked_and_nobody_else_notices() {
    let home = tempfile::tempdir().unwrap();
    for turn in 0..5 {
        for (kind, code) in BOMBS {
            let name = format!("bomb-{kind}-{turn}");
            let plan = if code.contains("fn plan") {
                ""
            } else {
                "fn plan(c) { [ restart() ] }"
            };
            let text = format!(
                "const META = #{{ name: \"{name}\", version: 1, description: \"x\", on: [\"crash\"] }};\n{code}\n{plan}\n"
            );
            fs::write(home.path().join(format!("{name}.rhai")), text).unwrap();
        }
    }
    let playbooks = Playbooks::load(Some(home.path().to_owned()), BTreeMap::new());
    let case: Case = toml::from_str(
        "name = \"crash\"\non = \"crash\"\nprocess = { state = \"errored\", max_restarts = 0 }\n\
         event = [{ kind = \"crash\", ago = \"100ms\", times = 5, every = \"1s\", data = { code = 1 } }]\n",
    )
    .unwrap();
    let facts = case.facts();
    let ctx = DiagnoseContext::default();
    // Three mistakes of an ordinary kind turn a playbook off; one that hits a limit is off at once.
    for _ in 0..3 {
        let found = diagnose(&incident(), &facts, &playbooks, &ctx);
        let won = found.proposal.expect("a built-in playbook still answers");
        assert!(!won.playbook.0.starts_with("bomb"), "{}", won.playbook);
    }
    let (mut marked, mut placed) = (0, 0);
    for info in playbooks.list() {
        if info.source == PlaybookSource::Builtin {
            assert!(
                !matches!(info.state, PlaybookState::Broken { .. }),
                "{}",
                info.name
            );
            continue;
        }
        let PlaybookState::Broken { line, column, .. } = info.state else {
            panic!("{} is {:?}", info.name, info.state);
        };
        marked += 1;
        placed += usize::from(line > 0 && column > 0);
    }
    assert_eq!(marked, 100);
    assert_eq!(placed, 100);
}
