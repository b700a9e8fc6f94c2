//! Values of variables with secret names are kept, handed to the program, and shown nowhere.

use crate::rig::{Rig, until};

const TOKEN: &str = "hunter2-hunter2";

#[test]
fn a_secret_is_kept_and_shown_nowhere() {
    let rig = Rig::new()
        .config(&format!(
            "[process.api]\ncommand = \"sh -c 'echo using $API_TOKEN >&2; exit 3'\"\n\
             autorestart = false\n[process.api.env]\nAPI_TOKEN = \"{TOKEN}\"\nPORT = \"80\"\n"
        ))
        .settings("");
    rig.run(&["start"]);
    let crash = rig.event("api", "crash");
    assert_eq!(crash["last_lines"][0], "using ***", "{crash}");
    for args in [
        &["list", "--json"][..],
        &["info", "api", "--json"],
        &["config", "api"],
        &["config", "api", "--json"],
        &["env", "api"],
        &["history", "api", "--json"],
        &["start", "--dry-run", "--json"],
    ] {
        let said = rig.ok(args);
        assert!(!said.contains(TOKEN), "{args:?}: {said}");
    }
    assert!(rig.ok(&["config", "api"]).contains("80"));
    let log = std::fs::read_to_string(rig.home().file("logs/daemon.log")).unwrap();
    assert!(!log.contains(TOKEN), "{log}");
    // The next daemon, and one that is given the saved list, start it with the value itself.
    rig.ok(&["save"]);
    rig.kill_daemon();
    assert!(rig.ok(&["env", "api", "--reveal"]).contains(TOKEN));
    rig.ok(&["delete", "api", "--yes"]);
    rig.run(&["resurrect"]);
    assert!(rig.ok(&["env", "api", "--reveal"]).contains(TOKEN));
}

/// The pattern of a line has no digits any more: what is left of a token is no secret's form.
#[test]
fn what_a_pattern_has_left_of_a_token_is_shown_nowhere() {
    let token = ["np", "m_abcdefghijklmnopqrstuvwxyzABCDEFGH1x"].concat();
    let other = ["gl", "pat-abcdefghij1234567890"].concat();
    let rig = Rig::new()
        .config(&format!(
            "[process.api]\ncommand = \"bash -c 'for i in 1 2 3 4 5 6; do \
             echo ERROR push $i with {token} and {other} refused; done; exec sleep 600'\"\n"
        ))
        .start();
    until("its lines are counted", || {
        rig.json(&["ai", "logs", "api"])["error_lines"].as_u64() >= Some(6)
    });
    for args in [
        &["ai", "logs", "api"][..],
        &["ai", "logs", "api", "--json"],
        &["ai", "report", "--json"],
        &["ai", "anomaly", "--json"],
    ] {
        let said = rig.ok(args);
        assert!(!said.contains("abcdefghij"), "{args:?}: {said}");
    }
    assert!(rig.ok(&["ai", "logs", "api"]).contains("«redacted:"));
}
