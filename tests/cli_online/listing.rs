//! The list, and what JSON says besides.

use serde_json::{Value, json};

use crate::fake::{Fake, fleet};

/// The list at the three widths of a small, a usual and a wide terminal.
#[test]
fn the_list_fits_its_terminal() {
    let fake = Fake::new([("process.list", Ok(fleet()))]);
    let at = |columns| fake.run_at(columns, &["list"]).1;
    insta::assert_snapshot!(at(200), @r"
    ID  NAME    INST  PID   STATUS                        HEALTH  CPU   MEM   RESTARTS  UPTIME
    0   api     0     4711  ● online                      pass    1.2%  48MB  2         2h 3m
    0   api     1     4712  ● online                      pass    1.2%  48MB  2         2h 3m
    1   worker  0     —     ✗ errored (retry in 3.2s, 4)  pass    —     —     2         —
    2   report  —     —     ○ stopped                     —       —     —     —         —
    ");
    insta::assert_snapshot!(at(80), @r"
    ID  NAME    INST  STATUS                        HEALTH  CPU   MEM   RESTARTS
    0   api     0     ● online                      pass    1.2%  48MB  2
    0   api     1     ● online                      pass    1.2%  48MB  2
    1   worker  0     ✗ errored (retry in 3.2s, 4)  pass    —     —     2
    2   report  —     ○ stopped                     —       —     —     —
    ");
    insta::assert_snapshot!(at(40), @r"
    NAME    STATUS
    api     ● online
    api     ● online
    worker  ✗ errored (retry in 3.2s, 4)
    report  ○ stopped
    ");
    assert_eq!(fake.shows(&["ls"]), at(80), "`ls` is the same");
}

/// Programs get everything, with the state and its flags in `status`.
#[test]
fn the_list_as_json_has_status_and_state() {
    let fake = Fake::new([("process.list", Ok(fleet()))]);
    let list: Value = serde_json::from_str(&fake.shows(&["list", "--json"])).expect("JSON");
    let worker = &list["processes"][1];
    assert_eq!(worker["name"], "worker");
    assert_eq!(worker["status"], "errored (retry in 3.2s, 4)");
    assert_eq!(worker["state"], "errored");
    assert_eq!(worker["health"], "pass");
    assert_eq!(worker["restarts"], 2);
}

/// `info` tells a program all that it shows to a person.
#[test]
fn info_as_json_has_what_the_text_shows() {
    let one = fleet()["processes"][0].clone();
    let event = json!({
        "id": 1, "at": "2026-03-28T14:32:01Z", "process": "api", "instance": 0,
        "kind": "start", "data": {}, "actor": "system"
    });
    let env = json!({ "name": "api", "instance": 0, "env": [{ "key": "PORT", "value": "80" }] });
    let fake = Fake::new([
        ("process.status", Ok(json!({ "processes": [one] }))),
        ("process.events", Ok(json!({ "events": [event] }))),
        ("process.env", Ok(json!({ "env": [env] }))),
        (
            "brain.status",
            Ok(json!({ "scores": [{ "name": "api", "score": 93 }] })),
        ),
    ]);
    let info: Value = serde_json::from_str(&fake.shows(&["info", "api", "--json"])).expect("JSON");
    let api = &info["processes"][0];
    assert_eq!(api["status"], "online");
    assert_eq!(api["score"], 93);
    assert_eq!(api["next_cron"], Value::Null);
    assert_eq!(api["events"][0]["kind"], "start");
    assert_eq!(api["env"][0]["env"][0]["value"], "80");
    let files = api["log_files"].as_array().expect("a list");
    assert_eq!(files.len(), 4, "two streams of two copies: {files:?}");
}

/// An empty list says what to type, and is no failure.
#[test]
fn an_empty_list_says_what_to_type() {
    let fake = Fake::new([("process.list", Ok(json!({ "processes": [] })))]);
    assert_eq!(
        fake.shows(&["list"]),
        "No processes. Start one: mhost start <app>\n"
    );
}
