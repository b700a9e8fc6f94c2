//! A `config.toml` that cannot be read when the daemon starts: supervision goes on, nobody acts.

use crate::rig::{Rig, until};

/// What the file forbids the agent nobody knows then, so that only observes; and whoever starts
/// something or looks is told, with the place and what to type.
#[test]
fn a_wrong_file_lets_nobody_act() {
    let good = "[brain]\nautonomy = \"supervised\"\n";
    let rig = Rig::new()
        .config("[process.web]\ncommand = \"sleep 600\"\n")
        .settings(&format!("{good}colour = \"red\"\n"));
    let place = "config.toml:3:1";
    let told = |args: &[&str]| {
        let output = rig.run(args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for args in [&["start"][..], &["agent", "status"], &["ai", "predict"]] {
        let said = told(args);
        assert!(said.contains(place), "{args:?}: {said}");
        assert!(said.contains("only observes"), "{args:?}: {said}");
        assert!(said.contains("mhost check"), "{args:?}: {said}");
    }
    assert_eq!(rig.status("web"), "online");
    let level = || rig.json(&["agent", "status"])["level"].clone();
    assert_eq!(level(), "manual");
    rig.settings_now(good);
    until("the settings are in force", || level() == "supervised");
    assert_eq!(told(&["agent", "status"]), "");
    // A file that goes wrong later leaves the former settings.
    let file = rig.home().file("config.toml");
    std::fs::write(file, "autonomy = 7\n").unwrap();
    assert!(
        rig.rpc("daemon.reload_config", serde_json::json!({}))
            .is_some()
    );
    assert!(told(&["agent", "status"]).contains("the former settings count"));
    assert_eq!(level(), "supervised");
}
