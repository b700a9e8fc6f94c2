//! `mhost start`: what its words mean, and what is told of the outcome.

use serde_json::{Value, json};

use crate::fake::{Fake, fleet};

/// A start that does not come up shows the reason, its last words and what to type.
#[test]
fn a_failed_start_shows_the_last_words() {
    let outcome = json!({
        "processes": [
            { "name": "api", "change": "created", "online": true, "error": null, "note": null },
            { "name": "worker", "change": "created", "online": false,
              "error": "exit code 1 after 0.2s", "note": null },
        ],
        "left_over": ["old"], "pruned": []
    });
    let line = json!({
        "id": "1", "ts": "2026-03-28T14:32:01Z", "process": "worker", "instance": 0,
        "stream": "err", "message": "cannot open \u{1b}[31mqueue.db\u{1b}[0m"
    });
    let fake = Fake::new([
        ("process.list", Ok(fleet())),
        ("process.start", Ok(outcome)),
        ("logs.query", Ok(json!({ "lines": [line], "next": "1" }))),
    ]);
    std::fs::write(
        fake.folder.path().join("mhost.toml"),
        "[process.api]\ncommand = \"sleep 9\"\n[process.worker]\ncommand = \"sleep 9\"\n",
    )
    .expect("written");
    let (code, out, err) = fake.run(&["start"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(out, @r"
    ✓ api started

    NAME    PID   STATUS                        CPU   MEM   RESTARTS
    api:0   4711  ● online                      1.2%  48MB  2
    api:1   4712  ● online                      1.2%  48MB  2
    worker  —     ✗ errored (retry in 3.2s, 4)  —     —     2
    ");
    insta::assert_snapshot!(err, @r"
    ✗ worker did not come up: exit code 1 after 0.2s
        cannot open queue.db
      help: see all it printed: mhost logs worker --err
      old is not in the file any more and was left alone (--prune removes it)
    ");
    let apply = &fake.asked("process.start")["apply"];
    assert_eq!(apply["processes"].as_array().map(Vec::len), Some(2));
    assert_eq!(apply["wait"], 30_000);
}

/// A dry run shows the plan and does nothing.
#[test]
fn a_dry_run_shows_the_plan() {
    let plan = json!({ "plan": [
        { "process": "api", "action": "restart", "why": "command changed" },
        { "process": "worker", "action": "leave", "why": "unchanged" },
    ]});
    let fake = Fake::new([("process.start", Ok(plan)), ("process.list", Ok(fleet()))]);
    std::fs::write(
        fake.folder.path().join("mhost.toml"),
        "[process.api]\ncommand = \"sleep 9\"\n",
    )
    .expect("written");
    let (code, out, _) = fake.run(&["start", "--dry-run"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(out, @r"
    ACTION   PROCESS  WHY
    restart  api      command changed
    leave    worker   unchanged
    ");
    assert_eq!(fake.asked("process.start")["dry_run"], true);
    let both: Value =
        serde_json::from_str(&fake.shows(&["start", "--dry-run", "--json"])).expect("JSON");
    assert_eq!(both["config"]["process"]["api"]["command"], "sleep 9");
}

/// Words that the daemon knows are started by name, others as a command line.
#[test]
fn known_names_are_started_and_others_run() {
    let none = json!({ "processes": [], "left_over": [], "pruned": [] });
    let fake = Fake::new([("process.list", Ok(fleet())), ("process.start", Ok(none))]);
    fake.run(&["start", "worker"]);
    assert_eq!(fake.asked("process.start")["name"], "worker");
    fake.run(&[
        "start",
        "sleep",
        "60",
        "--name",
        "nap",
        "-i",
        "2",
        "--no-wait",
    ]);
    let apply = &fake.asked("process.start")["apply"];
    assert_eq!(apply["processes"][0]["name"], "nap");
    assert_eq!(apply["processes"][0]["instances"], 2);
    assert_eq!(apply["processes"][0]["argv"]["args"], json!(["60"]));
    assert_eq!(apply["wait"], Value::Null);
    for refused in [&["--max-memory", "64"][..], &["--group", "web"]] {
        let (code, _, err) = fake.run(&[&["start", "worker"], refused].concat());
        assert_eq!(code, 2, "{refused:?}: {err}");
        assert!(err.contains(refused[0]), "{err}");
    }
}
