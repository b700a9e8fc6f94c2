//! Values of variables with secret names are kept, handed to the program, and shown nowhere.

use crate::rig::Rig;

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
