//! `think_when = "always"`: a model is asked about all processes while nothing is wrong.

use serde_json::json;

use super::double::Double;
use crate::rig::{Rig, until};

const ALWAYS: &str =
    "[agent]\nenabled = true\nthink_when = \"always\"\npoll_interval = \"300ms\"\n";

/// It wants the web server started anew, and cites a line that it was shown.
fn wish(said: &str) -> String {
    let Some(id) = said
        .split(['[', ']'])
        .find(|id| id.starts_with("state:web"))
    else {
        return "I was shown nothing".into();
    };
    json!({
        "diagnosis": "web looks tired", "confidence": 0.9, "healthy": false, "evidence": [id],
        "actions": [{"action": "restart", "target": "web", "reason": "a new run"}],
    })
    .to_string()
}

#[test]
fn a_model_that_is_always_asked_puts_its_plan_to_the_gate() {
    let double = Double::start(wish);
    let settings = format!("{}{ALWAYS}", double.settings());
    let rig = Rig::new().settings(&settings).running("web", "sleep 600");
    let mut asked = json!(null);
    until("a question", || {
        asked = rig.json(&["agent", "actions"])["actions"][0].clone();
        asked["state"] == "pending"
    });
    assert_eq!(asked["plan"], json!(["restart"]), "{asked}");
    let reason = asked["reason"].as_str().expect("a reason");
    assert!(reason.contains("web looks tired"), "{reason}");
    let pid = rig.pid("web");
    rig.ok(&["agent", "approve", asked["id"].as_str().expect("an id")]);
    rig.until_other_pid("web", pid);
    let status = rig.ok(&["agent", "status"]);
    assert!(
        status.contains("thinks     at each look: ") && status.contains(" with something to do\n"),
        "{status}"
    );
}

#[test]
fn half_of_the_cap_of_a_day_ends_it_and_without_a_model_it_does_nothing() {
    let double = Double::start(|_| json!({"diagnosis": "all well", "actions": []}).to_string());
    // An answer costs 15 tokens.
    let settings = format!("{}max_tokens_per_day = 60\n{ALWAYS}", double.settings());
    let rig = Rig::new().settings(&settings).running("web", "sleep 600");
    until("half of it is spent", || {
        let thinking = rig.json(&["agent", "status"])["thinking"].clone();
        thinking["why_not"]
            .as_str()
            .is_some_and(|why| why.contains("max_tokens_per_day"))
    });
    let status = rig.ok(&["agent", "status"]);
    assert!(
        status.contains("answers, 0 with something to do; the last question has none"),
        "{status}"
    );
    assert!(double.count() <= 2, "{}", double.count());
    assert_eq!(rig.json(&["agent", "actions"])["actions"], json!([]));

    let rig = Rig::new().settings(ALWAYS).running("web", "sleep 600");
    let status = rig.ok(&["agent", "status"]);
    assert!(
        status.contains("has no effect without a model: mhost ai setup"),
        "{status}"
    );
}
