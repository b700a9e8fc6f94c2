//! `mhost ai setup`: what is tried is what is written, and the daemon says what it makes of it.

use serde_json::json;

use super::double::Double;
use crate::rig::home::stderr;
use crate::rig::{Rig, until};

/// A key that looks like none.
const KEY: &str = "sunflower-and-tulip";

#[test]
fn setup_tries_what_it_writes_and_says_whether_the_daemon_uses_it() {
    let double = Double::start(|_| "ready".to_owned());
    let settings = format!(
        "[ai] # mine\nprovider = \"openai\"\napi_key = \"{KEY}\"\nbase_url = \"{}\"\n",
        double.url()
    );
    let rig = Rig::new().settings(&settings).running("web", "sleep 600");
    let config = rig.home().file("config.toml");
    let told = rig.json(&["ai", "setup", "--provider", "openai", "--model", "gpt-9"]);
    assert_eq!(double.count(), 1, "at the address that stays");
    assert_eq!(
        (&told["tested"], &told["in_force"], &told["model"]),
        (&json!(true), &json!(true), &json!("gpt-9"))
    );
    let written = std::fs::read_to_string(&config).expect("config.toml");
    assert_eq!(written, format!("{settings}model = \"gpt-9\"\n"));
    let status = rig.json(&["agent", "status"]);
    assert_eq!(status["models"]["members"][0]["model"], "gpt-9");
    // The trial is counted, too.
    let today = &status["models"]["today"];
    assert_eq!(today["requests"], 1, "{today}");
    assert!(today["tokens"].as_u64() > Some(0), "{today}");
    rig.kill_daemon();
    until("the next daemon knows of it", || {
        let status = rig.json(&["agent", "status"]);
        status["models"]["today"]["requests"] == 1
    });

    let nowhere = [
        "ai",
        "setup",
        "--provider",
        "openai",
        "--base-url",
        "http://127.0.0.1:1/v1",
    ];
    let said = rig.fails(1, &nowhere);
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(
        std::fs::read_to_string(&config).expect("config.toml"),
        written
    );

    let told = rig.run(&["ai", "setup", "--no-test", "--provider", "groq"]);
    let said = stderr(&told);
    assert!(told.status.success(), "{said}");
    assert!(
        said.contains("the daemon does not use it") && said.contains("GROQ_API_KEY"),
        "{said}"
    );
    let status = rig.ok(&["agent", "status"]);
    assert!(
        status.contains("models     none: groq has no key"),
        "{status}"
    );
}

#[test]
fn a_model_is_not_told_the_keys_of_the_daemon() {
    let double = Double::start(|_| "Nothing is wrong.".to_owned());
    let settings = format!("{}api_key = \"{KEY}\"\n", double.settings());
    let web = format!("bash -c 'echo opening with {KEY}; exec sleep 600'");
    let rig = Rig::new().settings(&settings).running("web", &web);
    rig.until_printed("web", "opening with");
    for args in [["ai", "diagnose", "web"], ["ai", "logs", "web"]] {
        let context = rig.ok(&[&args[..], &["--show-context"]].concat());
        assert!(
            context.contains("opening with «redacted:secret#"),
            "{context}"
        );
        assert!(!context.contains(KEY), "{context}");
    }
}
