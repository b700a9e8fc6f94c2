//! What a person may call a process, and what each exit code says.

use crate::rig::Rig;

fn fleet() -> Rig {
    Rig::new()
        .config(
            r#"
            [process.api]
            command = "puppet sleep"
            instances = 2
            [process.api-admin]
            command = "puppet sleep"
            [process.worker]
            command = "puppet sleep"
            [groups.back]
            processes = ["worker"]
            "#,
        )
        .start()
}

/// Name, index, instance, glob and group all pick what they say and nothing else.
#[test]
fn targets_pick_what_they_say() {
    let rig = fleet();
    let stopped = || -> Vec<String> {
        let listed = rig.list();
        let mut names = Vec::new();
        for process in &listed {
            for instance in process["instances"].as_array().unwrap() {
                if instance["pid"].is_null() {
                    names.push(format!(
                        "{}:{}",
                        process["name"].as_str().unwrap(),
                        instance["index"]
                    ));
                }
            }
        }
        names
    };
    let cases: [(&str, &[&str]); 7] = [
        ("api:1", &["api:1"]),
        ("api-1", &["api:1"]),
        ("api", &["api:0", "api:1"]),
        ("0", &["api:0", "api:1"]),
        ("api-*", &["api-admin:0"]),
        ("back", &["worker:0"]),
        ("all", &["api:0", "api:1", "api-admin:0", "worker:0"]),
    ];
    for (target, expected) in cases {
        rig.ok(&["stop", target]);
        assert_eq!(stopped(), expected, "{target}");
        rig.ok(&["start", target]);
        assert!(stopped().is_empty(), "{target}");
    }
    assert_eq!(rig.list()[2]["name"], "worker");
    rig.ok(&["delete", "0"]);
    assert_eq!(rig.list()[1]["name"], "worker", "the list closes up");
}

/// The exit code says what kind of failure it was, and the message what to type instead.
#[test]
fn exit_codes_say_what_went_wrong() {
    let rig = fleet();
    for command in [
        "stop", "restart", "status", "logs", "history", "info", "delete",
    ] {
        let said = rig.fails(3, &[command, "wroker"]);
        assert!(
            said.contains("worker"),
            "{command} names what is near: {said}"
        );
    }
    rig.fails(
        1,
        &[
            "start",
            "puppet exit 1",
            "--name",
            "bad",
            "--max-restarts",
            "1",
        ],
    );
    rig.fails(2, &["list", "--no-such-flag"]);
    rig.fails(2, &["start", "no-such.toml"]);
    rig.fails(2, &["start", "puppet sleep", "--name", "all"]);
    rig.fails(2, &["start", "puppet sleep", "--name", "12"]);
    rig.ok(&["daemon", "stop"]);
    rig.fails(4, &["ping"]);
    rig.fails(4, &["daemon", "status"]);
}
