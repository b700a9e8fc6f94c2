//! Playbooks, what is learned from cures, brains of other people, and telling it all.

use std::path::Path;

use serde_json::{Value, json};

use crate::rig::{PATIENCE, Rig, until, wait_until};

/// A playbook of the user that restarts what logs an error again and again, and measures soon.
const STORM: &str = r#"
const META = #{ name: "storm", version: 1, description: "Restart a storm", on: ["tick"],
                cooldown: "1s", max_per_hour: 20 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 3.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"#;

/// Ill in every other of its runs.
const EVERY_OTHER: &str = "bash -c 'n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; \
    while sleep 0.2; do [ $((n % 2)) = 1 ] || echo TypeError: pool is drained; done'";

fn playbook(rig: &Rig, name: &str) -> Option<Value> {
    let all = rig.json(&["brain", "playbooks"]);
    let mut rows = all["playbooks"].as_array()?.clone().into_iter();
    rows.find(|row| row["name"] == name)
}

/// An illness that was cured becomes a playbook, which decides when it comes again.
#[test]
#[expect(clippy::disallowed_macros, reason = "a test tells what it found")]
fn an_illness_met_twice_is_cured_by_what_was_learned() {
    let rig = Rig::new().settings("[agent]\npoll_interval = \"500ms\"\n");
    rig.ok(&["list"]);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("storm.rhai"), STORM).unwrap();
    rig.ok(&["start", EVERY_OTHER, "--name", "api"]);
    let learned = || {
        let all = rig.json(&["brain", "playbooks"]);
        let rows = all["playbooks"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["source"] == "learned")
    };
    let found = wait_until(PATIENCE, || learned().is_some());
    let history = || rig.json(&["brain", "history"])["history"].clone();
    assert!(found, "{}", history());
    let row = learned().unwrap();
    assert_eq!(row["trust"], "probation");
    let name = row["name"].as_str().unwrap().to_owned();
    let text = rig.ok(&["brain", "playbook", "show", &name]);
    assert!(text.contains("restart()"), "{text}");
    // The same illness again, with nobody else to know it: what a person wrote goes first.
    rig.ok(&["brain", "playbook", "disable", "storm"]);
    rig.ok(&["restart", "api"]);
    let decided = || {
        let rows = history();
        let mut rows = rows.as_array().unwrap().clone().into_iter();
        // It decides first, and acts a moment later.
        rows.find(|row| {
            row["playbook"] == name.as_str()
                && !row["actions"][0].is_null()
                && row["decided_ms"].is_number()
        })
    };
    let again = wait_until(PATIENCE, || decided().is_some());
    assert!(again, "{}", history());
    let row = decided().unwrap();
    let ms = row["decided_ms"].as_f64().expect("a figure");
    eprintln!("the learned playbook decided in {ms} ms");
    assert_eq!(row["actions"][0]["action"], "restart");
    // A person may put an end to it.
    rig.ok(&["brain", "playbook", "trust", &name, "--level", "retired"]);
    assert_eq!(playbook(&rig, &name).unwrap()["trust"], "retired");
    rig.ok(&["stop", "api"]);
}

/// A person's switch holds, also for the next daemon.
#[test]
fn playbooks_are_switched_by_people() {
    let rig = Rig::new();
    let state = |name: &str| playbook(&rig, name).unwrap()["state"].clone();
    assert_eq!(state("port-conflict"), "disabled");
    rig.ok(&["brain", "playbook", "enable", "port-conflict"]);
    rig.ok(&["brain", "playbook", "disable", "crashed"]);
    rig.kill_daemon();
    until("the next daemon answers", || {
        rig.run(&["ping"]).status.success()
    });
    assert_eq!(state("port-conflict"), "ok");
    assert_eq!(state("crashed"), "disabled");
    rig.fails(3, &["brain", "playbook", "enable", "no-such"]);
    rig.fails(2, &["brain", "playbook", "trust", "crashed"]);
}

/// The example of the documentation is asked, and what it proposes waits for a person.
#[test]
#[expect(clippy::disallowed_macros, reason = "a test tells what it found")]
fn a_brain_of_somebody_else_is_asked() {
    let python = crate::rig::home::command("python3")
        .arg("--version")
        .output();
    if python.is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/brain.py");
    assert!(std::fs::read_to_string(&example).unwrap().lines().count() <= 30);
    let settings = format!(
        "[brain]\nchain = [\"pools\", \"playbooks\", \"memory\"]\n\
         [brain.external.pools]\ncommand = [\"python3\", {:?}]\ntimeout = \"20s\"\n",
        example.display().to_string()
    );
    let rig = Rig::new().settings(&settings).config(
        "[process.api]\ncommand = \"bash -c 'while sleep 0.2; do echo pool is drained; done'\"\n\
         [process.api.health.script]\ncommand = \"test ! -e sick\"\ninterval = \"1s\"\n\
         timeout = \"1s\"\nretries = 2\non_fail = \"notify\"\n",
    );
    rig.ok(&["start"]);
    rig.until_printed("api", "drained");
    rig.write("sick", "");
    let asked = || {
        let all = rig.json(&["agent", "actions"]);
        let mut rows = all["actions"].as_array().unwrap().clone().into_iter();
        rows.find(|row| row["playbook"] == "external:pools")
    };
    let found = wait_until(PATIENCE, || asked().is_some());
    let chain = rig.json(&["brain", "chain"]);
    assert!(found, "{chain}\n{}", rig.json(&["brain", "history"]));
    let row = asked().unwrap();
    assert_eq!(row["plan"], json!(["restart"]));
    assert!(row["reason"].as_str().unwrap().contains("drained"), "{row}");
    let chain = rig.json(&["brain", "chain"]);
    let pools = &chain["chain"][0];
    assert_eq!(
        (&pools["name"], &pools["kind"]),
        (&json!("pools"), &json!("program"))
    );
    rig.ok(&["delete", "api"]);
}

/// One story of what happened, in order.
#[test]
fn a_replay_tells_what_happened_in_order() {
    let rig = Rig::new();
    rig.run(&[
        "start",
        "bash -c 'echo ready; sleep 1; echo Error: boom >&2; exit 3'",
        "--name",
        "api",
        "--no-wait",
    ]);
    rig.until("api", "errored (retry");
    let kinds = || -> Vec<String> {
        let told = rig.json(&["replay", "api", "--time", "0s", "--window", "5m"]);
        let rows = told["timeline"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| {
                format!(
                    "{} {}",
                    row["kind"].as_str().unwrap(),
                    row["what"].as_str().unwrap()
                )
            })
            .collect()
    };
    let whole = |all: &[String]| {
        [
            "event start",
            "log ready",
            "log Error: boom",
            "event crash",
            "incident inc-",
        ]
        .iter()
        .all(|part| all.iter().any(|row| row.contains(part)))
    };
    assert!(wait_until(PATIENCE, || whole(&kinds())), "{:#?}", kinds());
    let all = kinds();
    let place = |part: &str| all.iter().position(|row| row.contains(part)).unwrap();
    assert!(place("log ready") < place("log Error: boom"), "{all:#?}");
    assert!(place("event start") < place("event crash"), "{all:#?}");
    rig.ok(&["delete", "api"]);
}
