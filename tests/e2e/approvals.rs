//! Who may say yes, and leave in advance, from the command line.

use serde_json::Value;

use crate::chat::ONE_PLAYBOOK;
use crate::rig::{Rig, until};

/// Restarts what says that its pool is drained.
const DRAINED: &str = r#"
const META = #{ name: "drained", version: 1, description: "Restart a drained pool", on: ["tick"],
                cooldown: "1s", max_per_hour: 20 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 3.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"#;

/// Ill once there is a file `ill`; a new run is well.
const FLEET: &str = r#"
[process.api]
command = "bash -c 'rm -f ill; echo well; while sleep 0.2; do [ ! -e ill ] || echo TypeError: pool is drained; done'"
grace_period = "1s"
"#;

/// A fleet with a playbook that has to ask, and these lines under `[agent]`.
fn fleet(agent: &str) -> Rig {
    let settings = format!(
        "[brain]\nautonomy = \"supervised\"\n{ONE_PLAYBOOK}[agent]\npoll_interval = \"500ms\"\n{agent}"
    );
    let rig = Rig::new().config(FLEET).settings(&settings);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), DRAINED).unwrap();
    let rig = rig.start();
    rig.until_printed("api", "well");
    rig
}

fn restarts(rig: &Rig) -> u64 {
    rig.process("api")["restarts_total"].as_u64().unwrap()
}

/// The id of the open question, once there is one.
fn question(rig: &Rig) -> String {
    let mut id = String::new();
    until("somebody is asked", || {
        let actions = rig.json(&["agent", "actions"]);
        let newest = &actions["actions"][0];
        id = newest["id"].as_str().unwrap_or_default().to_owned();
        newest["state"] == "pending"
    });
    id
}

fn state_of_grant(rig: &Rig) -> Value {
    rig.json(&["agent", "grants"])["grants"][0]["state"].clone()
}

#[test]
fn what_was_allowed_is_done_until_it_is_edited() {
    let rig = fleet("");
    rig.fails(2, &["agent", "allow", "nobody", "api"]);
    rig.fails(3, &["agent", "allow", "drained", "nobody"]);
    let short = rig.fails(2, &["agent", "allow", "drained", "api", "--for", "1s"]);
    assert!(short.contains("1m"), "{short}");
    let said = rig.ok(&["agent", "allow", "drained", "api", "--for", "2d"]);
    assert!(
        said.contains("without asking, up to low risk, for 2d"),
        "{said}"
    );
    assert!(rig.ok(&["agent", "grants"]).contains("ends in 1d"));

    let before = restarts(&rig);
    rig.write("ill", "");
    until("it is healed", || restarts(&rig) == before + 1);
    until("it is told by whose leave", || {
        rig.ok(&["brain", "explain", "api"])
            .contains("ran by grant")
    });
    let actions = rig.json(&["agent", "actions"]);
    assert_eq!(
        actions["actions"].as_array().unwrap().len(),
        0,
        "nobody was asked"
    );
    until("it is measured", || {
        let history = rig.json(&["brain", "history"]);
        history["history"][0]["outcome"] == "verified"
    });

    // Another text of the playbook is another playbook.
    let file = rig.home().file("brain/playbooks/drained.rhai");
    std::fs::write(file, format!("{DRAINED}\n// mended\n")).unwrap();
    until("the grant is of no use", || {
        state_of_grant(&rig) == "edited"
    });
    rig.write("ill", "");
    let id = question(&rig);
    assert_eq!(restarts(&rig), before + 1);
    rig.ok(&["agent", "deny", &id]);
    let grants = rig.json(&["agent", "grants"]);
    let grant = grants["grants"][0]["id"].as_str().unwrap();
    rig.ok(&["agent", "revoke", grant]);
    assert_eq!(state_of_grant(&rig), "revoked");
    rig.fails(1, &["agent", "revoke", grant]);
    let audit = rig.ok(&["audit", "-n", "50"]);
    assert!(
        audit.contains("agent.allow") && audit.contains("agent.revoke"),
        "{audit}"
    );
}

#[test]
fn only_approvers_decide_and_the_check_doubts_them() {
    let rig = fleet("approvers = [\"telegram:7\"]\n");
    rig.write("ill", "");
    let id = question(&rig);
    for word in ["approve", "deny"] {
        let said = rig.fails(1, &["agent", word, &id]);
        assert!(said.contains("only telegram:7 may"), "{said}");
    }
    let said = rig.fails(1, &["agent", "allow", "drained", "api"]);
    assert!(said.contains("only telegram:7 may"), "{said}");
    let config = rig.home().file("config.toml");
    let checked = rig.run(&["check", config.to_str().unwrap()]);
    assert!(checked.status.success());
    let told = String::from_utf8_lossy(&checked.stderr);
    assert!(
        told.contains("telegram:7") && told.contains("not in [bot.users]"),
        "{told}"
    );

    // What the settings say now is what counts for a question that is open.
    let user = rig.json(&["agent", "setup", "--approver", "anybody"]);
    assert_eq!(user["in_force"], true, "{user:#}");
    let before = restarts(&rig);
    rig.ok(&["agent", "approve", &id]);
    until("it is healed", || restarts(&rig) == before + 1);
}

/// What the settings refuse by now is not done, whoever says yes; a person has it.
#[test]
fn a_yes_to_what_is_blocked_by_now_runs_nothing() {
    let rig = fleet("");
    rig.write("ill", "");
    let id = question(&rig);
    let before = restarts(&rig);
    let settings = std::fs::read_to_string(rig.home().file("config.toml")).unwrap();
    let more = "blocked_actions = [\"restart\"]\nmax_actions_per_hour = 7\n";
    rig.settings_now(&(settings + more));
    until("the agent knows the settings", || {
        rig.json(&["agent", "status"])["budget"]["max"] == 7
    });
    let said = rig.fails(1, &["agent", "approve", &id]);
    assert!(said.contains("blocked_actions"), "{said}");
    until("a person has it", || {
        let history = rig.json(&["brain", "history", "--process", "api"]);
        history["history"][0]["outcome"] == "refused"
    });
    let question = &rig.json(&["agent", "actions"])["actions"][0];
    assert_eq!(question["state"], "superseded", "{question:#}");
    assert_eq!(restarts(&rig), before);
}

#[test]
fn the_chat_that_is_asked_is_set_without_a_terminal() {
    let rig = fleet("");
    let told = rig.json(&[
        "agent",
        "setup",
        "--chat",
        "telegram:-1001234/7",
        "--approvals-high",
        "2",
    ]);
    assert_eq!(
        told["warnings"][0],
        "nobody is asked in a chat without `[bot]`"
    );
    let text = std::fs::read_to_string(rig.home().file("config.toml")).unwrap();
    assert!(
        text.contains("channels = [\"telegram:-1001234/7\"]"),
        "{text}"
    );
    assert!(text.contains("approvals = { high = 2 }"), "{text}");
    rig.fails(2, &["agent", "setup", "--chat", "ops"]);
}
