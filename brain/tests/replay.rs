//! Playbooks that are written later are asked about what was recorded before.

use std::collections::BTreeMap;

use brain::scenario::Case;
use brain::{
    Answered, DiagnoseContext, Format, IncidentId, Moment, Playbooks, Recording, backtest, look,
};

const LATER: &str = r#"
const META = #{ name: "later", version: 1, description: "x", on: ["tick"], cooldown: "10m" };
fn matches(c) { QUESTION }
fn plan(c) { [ restart() ] }
"#;

/// A process that logs errors, as the built-in playbooks saw it.
fn recorded() -> Recording {
    let case: Case = toml::from_str(
        r#"
        name = "storm"
        on = "tick"
        log = [{ text = "TypeError: pool is drained", ago = "100ms", times = 30, every = "150ms" }]
        "#,
    )
    .expect("a case");
    let playbooks = Playbooks::load(None, BTreeMap::new());
    let api = "api".parse().expect("a name");
    let found = look(&api, &case.facts(), &playbooks, &DiagnoseContext::default());
    let asked: Vec<&String> = found
        .recording
        .answers
        .iter()
        .map(|(asked, _)| asked)
        .collect();
    assert!(
        !asked.iter().any(|asked| asked.contains("drained")),
        "{asked:?}"
    );
    found.recording
}

fn ask(question: &str) -> Answered {
    let moment = Moment {
        process: "api".parse().expect("a name"),
        incident: Some(IncidentId(7)),
        symptoms: recorded().symptoms,
        recording: recorded(),
        done: vec!["restart".into()],
        outcome: Some("verified".into()),
    };
    let text = LATER.replace("QUESTION", question);
    let playbooks = Playbooks::only("later", Format::Rhai, &text);
    let mut tried = backtest(&playbooks, vec![moment.clone(), moment]);
    // The second moment is the same one: the playbook rests after the first.
    let second = tried.pop().expect("two answers").answered;
    let first = tried.pop().expect("two answers").answered;
    if let Answered::Acts { .. } = first {
        assert!(matches!(second, Answered::Rests { .. }), "{second:?}");
    }
    first
}

/// What was not asked then is answered from what was seen then; what was not seen has no
/// answer.
#[test]
fn later_playbooks_are_asked_about_earlier_incidents() {
    let acts = ask(r#"c.log_count("pool is drained", "10s") >= 20"#);
    let Answered::Acts { actions, .. } = acts else {
        panic!("{acts:?}");
    };
    assert_eq!(actions, ["restart"]);
    assert_eq!(
        ask(r#"c.log_count("disk is full", "10s") > 0"#),
        Answered::Silent
    );
    assert_eq!(ask(r#"c.cpu_above(90.0, "30s")"#), Answered::Silent);
    assert_eq!(
        ask("c.port_holder(80) != ()"),
        Answered::Diverged {
            question: "port holder 80".into()
        }
    );
    assert!(matches!(ask("c.no_such_field"), Answered::Failed { .. }));
}
