//! Commands that change something: what is told of each target, and exit codes.

use serde_json::{Value, json};

use crate::fake::Fake;

/// Unknown names are exit code 3, with the names that are close.
#[test]
fn an_unknown_name_is_exit_3() {
    let error = json!({
        "code": -32000, "message": "no process `ap`",
        "data": { "kind": "not_found", "name": "ap", "near": ["api"] }
    });
    let fake = Fake::new([("process.stop", Err(error))]);
    let (code, out, err) = fake.run(&["stop", "ap"]);
    assert_eq!((code, out.as_str()), (3, ""));
    insta::assert_snapshot!(err, @r"
    ✗ no process `ap`
      help: did you mean api?
    ");
    let (code, _, err) = fake.run(&["stop", "ap", "--json"]);
    let error: Value = serde_json::from_str(&err).expect("one JSON value");
    assert_eq!((code, &error["error"]["code"]), (3, &json!(-32000)));
    let (code, _, err) = fake.run(&["stop", "ap", "aq"]);
    assert_eq!((code, err.matches('✗').count()), (3, 2), "each is reported");
}

/// What was done to each target, and what could not be.
#[test]
fn stops_are_told_one_by_one() {
    let done = json!({ "done": [
        { "target": "api", "changed": true, "note": null, "error": null },
        { "target": "worker", "changed": false, "note": "was already stopped", "error": null },
        { "target": "db", "changed": false, "note": null, "error": "still alive after SIGKILL" },
    ]});
    let fake = Fake::new([("process.stop", Ok(done))]);
    let (code, out, err) = fake.run(&["stop", "all", "--signal", "int"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(out, @r"
    ✓ api stopped
    ✓ worker was already stopped
    ");
    insta::assert_snapshot!(err, @r"
    ✗ db: still alive after SIGKILL
      help: look at its log: mhost logs db --err
    ");
    assert_eq!(fake.asked("process.stop")["signal"], "SIGINT");
}

/// Lines that could not be deleted are named, and the exit code says so.
#[test]
fn a_flush_that_fails_is_told() {
    let done = json!({ "done": [
        { "target": "api", "changed": true, "note": null, "error": null },
        { "target": "db", "changed": true, "note": null, "error": "read-only file system" },
    ]});
    let fake = Fake::new([("logs.flush", Ok(done))]);
    let (code, out, err) = fake.run(&["flush", "--yes"]);
    assert_eq!((code, out.as_str()), (1, "✓ api emptied\n"));
    assert!(err.contains("✗ db: read-only file system"), "{err}");
}
