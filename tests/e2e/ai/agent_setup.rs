//! `mhost agent setup`: one change of the settings, tried, written and in force.

use serde_json::json;

use super::double::Double;
use crate::rig::Rig;

#[test]
fn setup_of_the_agent_writes_tries_and_shows_what_is_in_force() {
    let double = Double::start(|_| "ready".to_owned());
    let before = "[agent] # mine\nautonomy = \"semi\" # for now\nverify_window = \"5s\"\n";
    let rig = Rig::new().settings(before).running("web", "sleep 600");
    let config = rig.home().file("config.toml");
    let written = || std::fs::read_to_string(&config).expect("config.toml");
    let url = double.url();
    let said = rig.ok(&[
        "agent",
        "setup",
        "--provider",
        "ollama",
        "--model",
        "tulip",
        "--base-url",
        &url,
        "--autonomy",
        "autonomous",
        "--max-actions-per-hour",
        "4",
        "--poll-interval",
        "2s",
    ]);
    assert_eq!(double.count(), 1, "it was tried");
    for line in [
        "tulip answers",
        "level      autonomous",
        "of 4 actions",
        "models     tulip",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let text = written();
    assert!(
        text.starts_with("[agent] # mine\nautonomy = \"autonomous\" # for now\n"),
        "{text}"
    );
    assert!(text.contains("enabled = true\n") && text.contains("verify_window = \"5s\"\n"));

    let told = rig.json(&["agent", "setup", "--autonomy", "supervised"]);
    assert_eq!(told["in_force"], true, "{told:#}");
    assert_eq!(told["agent"]["level"], "supervised");
    assert_eq!(told["agent"]["budget"]["max"], 4, "what was not said stays");
    assert_eq!(double.count(), 1, "the model is not in question");

    // What is wrong is not written, and the file stays as it is.
    let text = written();
    let refused = [
        "agent",
        "setup",
        "--provider",
        "ollama",
        "--base-url",
        "http://127.0.0.1:1/v1",
    ];
    let said = rig.fails(1, &refused);
    assert!(said.contains("nothing was written"), "{said}");
    rig.fails(2, &["agent", "setup", "--autonomy", "auto"]);
    assert_eq!(written(), text);
}

#[test]
fn without_a_terminal_and_without_flags_setup_names_the_flags() {
    let rig = Rig::new().settings("").running("web", "sleep 600");
    let said = rig.fails(2, &["agent", "setup"]);
    for word in [
        "no terminal",
        "--autonomy",
        "--provider",
        "--max-actions-per-hour",
    ] {
        assert!(said.contains(word), "{said}");
    }
    rig.ok(&["daemon", "stop"]);
    let told = rig.json(&["agent", "setup", "--poll-interval", "10s"]);
    assert_eq!(
        (&told["in_force"], &told["agent"]),
        (&json!(false), &json!(null))
    );
    let text = std::fs::read_to_string(rig.home().file("config.toml")).expect("config.toml");
    assert!(text.contains("poll_interval = \"10s\""), "{text}");
}
