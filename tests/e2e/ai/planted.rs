//! What a process knows and prints, and what looks like a secret: in no answer of the brain and
//! in no request to a model, also where only the pattern of a line is told.

use serde_json::{Value, json};

use super::double::Double;
use crate::rig::{Rig, until};

/// Of a variable whose name tells nothing. Digits go in a pattern, the words do not.
const SETTING: &str = "Zq10-orange-umbrella-77";
/// A password that nobody knows of.
const PASSWORD: &str = "Tulip4711Rose";
/// What is left of them whatever becomes of their digits.
const LEFT: [&str; 4] = ["orange", "umbrella", "Tulip", "Rose"];

const CONFIG: &str = r#"
[process.api]
command = """bash -c 'for n in 1 2 3 4; do \
    echo "ERROR setting $$MY_SETTING refused in try $$n" >&2; \
    echo "ERROR curl -u ana:Tulip4711Rose refused in try $$n" >&2; \
    echo "now $$MY_SETTING of try $$n"; done; sleep 0.3; exit 3'"""
restart_delay = "100ms"
max_restarts = 3
[process.api.env]
MY_SETTING = "Zq10-orange-umbrella-77"
"#;

fn fleet(double: &Double) -> Rig {
    let agent = "[agent]\nenabled = true\nautonomy = \"supervised\"\n";
    let rig = Rig::new()
        .settings(&format!("{}{agent}", double.settings()))
        .config(CONFIG);
    rig.run(&["start", "--no-wait"]);
    until("it gives up", || rig.status("api").starts_with("errored"));
    until("its lines are counted", || {
        rig.json(&["ai", "logs", "api"])["error_lines"].as_u64() >= Some(24)
    });
    until("its end is in the history", || {
        !rig.json(&["brain", "history"])["history"][0]["cause"].is_null()
    });
    rig
}

#[test]
fn what_was_planted_is_in_no_answer_and_in_no_request() {
    let double = Double::start(|asked| {
        if asked.contains("⟦data kinds of lines") && !asked.contains("lines that it found") {
            return r#"{"search": "refused", "where": null, "since": "1h", "limit": 20}"#.into();
        }
        "It is refused [state:api].".into()
    });
    let rig = fleet(&double);
    let printed = rig.lines("api").join("\n");
    assert!(printed.contains(SETTING) && printed.contains(PASSWORD));
    // Who may look at the process itself sees it as it is.
    assert!(rig.ok(&["logs", "api", "--templates"]).contains("umbrella"));
    let answers: [&[&str]; 18] = [
        &["ai", "report"],
        &["ai", "logs", "api"],
        &["ai", "logs", "api", "what is refused?"],
        &["ai", "diagnose", "api"],
        &["ai", "anomaly"],
        &["ai", "compare", "api", "2h..1h", "1h"],
        &["ai", "explain", "api"],
        &["ai", "postmortem", "api"],
        &["ai", "predict"],
        &["ai", "optimize", "api"],
        &["ai", "suggest"],
        &["ai", "ask", "what is refused?"],
        &["agent", "ask", "what is refused?"],
        &["brain", "status"],
        &["brain", "explain", "api"],
        &["brain", "history"],
        &["replay", "api"],
        &["ai", "report", "--since", "1h"],
    ];
    let mut told = String::new();
    for args in answers {
        for more in [&[][..], &["--json"]] {
            let said = rig.ok(&[args, more].concat());
            for one in LEFT {
                assert!(!said.contains(one), "{args:?} {more:?}, {one}: {said}");
            }
            told.push_str(&said);
        }
    }
    for one in ["refused in try", "«redacted:password", "***"] {
        assert!(told.contains(one), "{one}: {told}");
    }
    for args in [["ai", "report"], ["ai", "anomaly"]] {
        let shown = rig.ok(&[&args[..], &["--show-context"]].concat());
        assert!(!LEFT.iter().any(|one| shown.contains(one)), "{shown}");
    }
    for (tool, arguments) in [
        ("search_logs", json!({"process": "api", "pattern": "."})),
        ("log_patterns", json!({"process": "api"})),
        ("events", json!({"process": "api"})),
        ("incidents", json!({"process": "api"})),
        ("diagnose", json!({"process": "api"})),
        ("config", json!({"process": "api"})),
    ] {
        let params = json!({"session": "s", "tool": tool, "arguments": arguments});
        let found = rig.rpc("agent.look", params).expect("an answer");
        assert_eq!(found["error"], Value::Null, "{tool}: {found}");
        let found = found.to_string();
        assert!(!LEFT.iter().any(|one| found.contains(one)), "{found}");
    }
    let bodies = double.bodies();
    assert!(bodies.iter().any(|body| body.contains("refused in try")));
    for body in bodies {
        assert!(!LEFT.iter().any(|one| body.contains(one)), "{body}");
    }
}
