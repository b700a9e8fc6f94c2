//! What the command line makes of a daemon's answers: tables, texts, JSON, exit codes.
//!
//! The daemon is a fake that knows a few canned answers, so that every picture is the same
//! each time. What the real one answers is tested with real processes elsewhere.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A daemon with canned answers. Its thread ends with the test's process.
struct Fake {
    folder: TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
}

type Answers = HashMap<&'static str, Result<Value, Value>>;

impl Fake {
    fn new(answers: impl IntoIterator<Item = (&'static str, Result<Value, Value>)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("mhost.sock")).expect("a socket");
        let mut answers: Answers = answers.into_iter().collect();
        answers.entry("daemon.version").or_insert(Ok(json!({
            "version": env!("CARGO_PKG_VERSION"), "os": "linux", "arch": "x86_64", "pid": 77,
            "uptime_ms": 192_000, "protocol": 1, "home": "/srv/m", "degraded": []
        })));
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (answers, seen) = (Arc::new(answers), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, seen) = (answers.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &answers, &seen));
            }
        });
        Self { folder, asked }
    }

    fn run_at(&self, columns: usize, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_mhost"))
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("MHOST_HOME", self.folder.path())
            .env("COLUMNS", columns.to_string())
            .args(args)
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("it exits by itself");
        (code, text(&output.stdout), text(&output.stderr))
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_at(80, args)
    }

    /// What stdout holds of a command that succeeds and has nothing to say on stderr.
    fn shows(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        out
    }

    /// The parameters of the last call of a method.
    fn asked(&self, method: &str) -> Value {
        let asked = self.asked.lock().expect("no panic while it is held");
        let last = asked.iter().rev().find(|call| call["method"] == method);
        last.map_or(Value::Null, |call| call["params"].clone())
    }
}

fn serve(stream: UnixStream, answers: &Answers, seen: &Mutex<Vec<Value>>) {
    let mut writer = stream.try_clone().expect("a second handle");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let call: Value = serde_json::from_str(&line).expect("a JSON-RPC call");
        let method = call["method"].as_str().expect("a method").to_owned();
        let answer = match answers.get(method.as_str()) {
            Some(Ok(result)) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Some(Err(error)) => json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }),
            None => panic!("{method} was not expected"),
        };
        seen.lock().expect("no panic while it is held").push(call);
        if writeln!(writer, "{answer}").is_err() {
            return;
        }
    }
}

fn instance(index: u16, pid: Option<i32>, state: &str, detail: &str) -> Value {
    json!({
        "index": index, "pid": pid, "state": state, "detail": detail,
        "started_at": pid.map(|_| "2026-03-28T12:00:00Z"), "uptime_ms": pid.map(|_| 7_380_000),
        "restarts": 2, "restarts_total": 7, "exit_code": null, "exit_signal": null,
        "last_exit": null, "cpu_percent": pid.map(|_| 1.25), "memory_bytes": pid.map(|_| 50_331_648),
        "health": "pass", "generation": 3, "next_retry_at": null, "held_by": null
    })
}

fn process(index: usize, name: &str, state: &str, detail: &str, instances: Value) -> Value {
    json!({
        "index": index, "name": name, "state": state, "detail": detail, "instances": instances,
        "restarts": 2, "restarts_total": 7, "health": "pass", "group": [], "tags": [],
        "project": null, "argv": ["node", "server.js"], "cwd": "/srv/app",
        "config": { "command": "node server.js" }
    })
}

fn fleet() -> Value {
    json!({ "processes": [
        process(0, "api", "online", "online", json!([
            instance(0, Some(4711), "online", "online"),
            instance(1, Some(4712), "online", "online"),
        ])),
        process(1, "worker", "errored", "errored (retry in 3.2s, 4)",
            json!([instance(0, None, "errored", "errored (retry in 3.2s, 4)")])),
        process(2, "report", "stopped", "stopped", json!([])),
    ]})
}

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

/// A pipe gets the lines as they were printed; `--json` all that is known of them.
#[test]
fn logs_pass_lines_on_untouched() {
    let line = |stream: &str, message: &str| {
        json!({
            "id": "9", "ts": "2026-03-28T14:32:01Z", "process": "api", "instance": 0,
            "stream": stream, "message": message
        })
    };
    let page =
        json!({ "lines": [line("out", "\u{1b}[1mhi"), line("err", "{\"a\":1}")], "next": "9" });
    let fake = Fake::new([("logs.query", Ok(page))]);
    assert_eq!(fake.shows(&["logs", "api"]), "\u{1b}[1mhi\n{\"a\":1}\n");
    let page: Value = serde_json::from_str(&fake.shows(&["logs", "--json"])).expect("JSON");
    assert_eq!(page["lines"][1]["stream"], "err");
    fake.run(&[
        "logs",
        "api",
        "-n",
        "5",
        "--err",
        "--grep",
        "x+",
        "--since",
        "2026-03-28 14:00",
    ]);
    let query = fake.asked("logs.query");
    assert_eq!(query["target"], "api");
    assert_eq!(query["lines"], 5);
    assert_eq!(query["stream"], "err");
    assert_eq!(query["grep"], "x+");
    assert_eq!(query["since"], "2026-03-28T14:00:00Z");
}

/// No line is no failure; it is said on stderr.
#[test]
fn no_lines_is_no_failure() {
    let fake = Fake::new([("logs.query", Ok(json!({ "lines": [], "next": "" })))]);
    let (code, out, err) = fake.run(&["logs", "--grep", "x"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "", "No lines match.\n")
    );
}

/// Following goes on behind the last line after the daemon went away, and repeats none.
#[test]
fn following_survives_the_daemon() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = follow_two_daemons(folder.path());
    assert_eq!(lines, "one\ntwo\nthree\n");
}

fn follow_two_daemons(home: &Path) -> String {
    let socket = home.join("mhost.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let server = std::thread::spawn(move || {
        let line = |id: &str, message: &str| {
            json!({
                "id": id, "ts": "2026-03-28T14:32:01Z", "process": "api", "instance": 0,
                "stream": "out", "message": message
            })
        };
        let mut resumed = Vec::new();
        let mut streams = 0;
        for stream in listener.incoming().flatten() {
            let mut writer = stream.try_clone().expect("a second handle");
            for text in BufReader::new(stream).lines().map_while(Result::ok) {
                let call: Value = serde_json::from_str(&text).expect("a call");
                let mut send = |value: Value| writeln!(writer, "{value}").is_ok();
                let result = match call["method"].as_str() {
                    Some("daemon.version") => json!({
                        "version": env!("CARGO_PKG_VERSION"), "os": "", "arch": "", "pid": 1,
                        "uptime_ms": 1, "protocol": 1, "home": "", "degraded": []
                    }),
                    Some("logs.query") => json!({ "lines": [line("1", "one")], "next": "1" }),
                    _ => json!({ "subscription": "s1" }),
                };
                send(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }));
                match call["method"].as_str() {
                    // The command keeps its first connection; the next one is for the stream.
                    Some("logs.query") => break,
                    Some("logs.stream") => {}
                    _ => continue,
                }
                streams += 1;
                resumed.push(call["params"]["after"].clone());
                let (id, message) = [("2", "two"), ("3", "three")][streams - 1];
                let params = json!({ "subscription": "s1", "line": line(id, message) });
                send(json!({ "jsonrpc": "2.0", "method": "logs.line", "params": params }));
                break;
            }
            if streams == 2 {
                break;
            }
        }
        resumed
    });
    let output = Command::new(env!("CARGO_BIN_EXE_mhost"))
        .env_clear()
        .env("MHOST_HOME", home)
        .args(["logs", "-f", "--timeout", "5s"])
        .timeout(std::time::Duration::from_secs(3))
        .output()
        .expect("it runs until it is ended");
    assert_eq!(server.join().expect("the fake"), [json!("1"), json!("2")]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One table of each kind of view.
#[test]
fn views_have_the_documented_columns() {
    let fake = Fake::new([
        ("process.list", Ok(fleet())),
        (
            "health.status",
            Ok(json!({ "health": [
                { "name": "api", "instance": 0, "probe": "http", "status": "fail", "last_check": null,
                  "latency_ms": 3000, "error": "timeout", "failures": 3, "attempts": [] },
                { "name": "worker", "instance": 0, "probe": "none", "status": "off",
                  "last_check": null, "latency_ms": null, "error": null, "failures": 0, "attempts": [] },
            ]})),
        ),
        (
            "process.events",
            Ok(json!({ "events": [
                { "id": 2, "at": "2026-03-28T14:32:02Z", "process": "api", "instance": 0,
                  "kind": "restart", "data": { "reason": "crash" }, "actor": "system" },
                { "id": 1, "at": "2026-03-28T14:32:01Z", "process": "api", "instance": 0,
                  "kind": "crash", "data": { "code": 3, "uptime_ms": 1200, "last_lines": ["x"] },
                  "actor": "system" },
            ]})),
        ),
        (
            "process.cron",
            Ok(json!({ "cron": [
                { "name": "report", "schedule": "0 3 * * *", "timezone": "UTC", "next": null,
                  "last": "2026-03-28T03:00:00Z" },
            ]})),
        ),
        (
            "process.limits",
            Ok(json!({ "limits": [
                { "name": "api", "instance": 0, "memory_bytes": 50_331_648, "max_memory": 536_870_912,
                  "restarts_left": 3, "fds": 20, "nofile": null, "cpu_seconds": null },
            ]})),
        ),
        (
            "process.env",
            Ok(json!({ "env": [
                { "name": "api", "instance": 0, "env": [
                    { "key": "API_TOKEN", "value": "***" }, { "key": "PORT", "value": "3000" } ] },
            ]})),
        ),
        (
            "audit.query",
            Ok(json!({ "rows": [
                { "id": "a", "ts": "2026-03-28T14:32:01Z", "who": "cli:ana", "via": "cli",
                  "role": "super_admin", "command": "process.stop", "subject": "api",
                  "dry_run": false, "incident": null, "phase": "intent" },
                { "id": "a", "ts": "2026-03-28T14:32:02Z", "who": "cli:ana", "via": "cli",
                  "role": "super_admin", "command": "process.stop", "subject": "api",
                  "dry_run": false, "incident": null, "phase": "result", "ok": true },
            ]})),
        ),
        (
            "sinks.status",
            Ok(json!({ "sinks": [
                { "name": "central", "type": "syslog", "state": "up", "sent": 104_220, "queued": 0,
                  "dropped": 0, "rejected": 0, "failures": 0, "last_error": null,
                  "last_error_at": null, "last_sent_at": "2026-03-28T14:32:01Z" },
                { "name": "loki", "type": "loki", "state": "down", "sent": 98_211, "queued": 3_500,
                  "dropped": 120, "rejected": 2, "failures": 7, "last_error": "refused",
                  "last_error_at": null, "last_sent_at": null },
            ]})),
        ),
        (
            "process.save",
            Ok(json!({ "count": 2, "path": "/srv/m/dump.toml" })),
        ),
    ]);
    let views = [
        &["status"][..],
        &["health"],
        &["history", "api"],
        &["cron"],
        &["limits", "api"],
        &["env", "api"],
        &["audit"],
        &["sinks", "status"],
        &["save"],
        &["ping"],
        &["daemon", "status"],
    ];
    let mut all = String::new();
    for view in views {
        all.push_str(&format!(
            "$ mhost {}\n{}\n",
            view.join(" "),
            fake.shows(view)
        ));
    }
    insta::assert_snapshot!(all, @r"
    $ mhost status
    NAME    PID   STATUS                        CPU   MEM   RESTARTS
    api:0   4711  ● online                      1.2%  48MB  2
    api:1   4712  ● online                      1.2%  48MB  2
    worker  —     ✗ errored (retry in 3.2s, 4)  —     —     2
    report  —     ○ stopped                     —     —     —

    $ mhost health
    NAME    PROBE  STATUS  LAST CHECK  LATENCY  ERROR
    api     http   fail    —           timeout  timeout
    worker  none   off     —           —        —

    $ mhost history api
    TIME                  EVENT    INSTANCE  DETAIL
    2026-03-28T14:32:02Z  restart  api#0     reason=crash
    2026-03-28T14:32:01Z  crash    api#0     code=3 uptime=1200ms

    $ mhost cron
    NAME    SCHEDULE   TIMEZONE  NEXT  LAST
    report  0 3 * * *  UTC       —     2026-03-28T03:00:00Z

    $ mhost limits api
    NAME  INST  MEM   MAX MEM  RESTARTS LEFT  FDS  MAX FDS  MAX CPU
    api   0     48MB  512MB    3              20   —        —

    $ mhost env api
    API_TOKEN=***
    PORT=3000

    $ mhost audit
    TIME                  WHO      COMMAND       SUBJECT  RESULT
    2026-03-28T14:32:02Z  cli:ana  process.stop  api      ✓ done

    $ mhost sinks status
    NAME     TYPE    SENT    QUEUED  DROPPED  LAST ERROR
    central  syslog  104220  0       0        —
    loki     loki    98211   3500    120      ✗ refused

    $ mhost save
    ✓ saved 2 processes to /srv/m/dump.toml

    $ mhost ping
    pong v0.1.0 pid 77 uptime 3m 12s

    $ mhost daemon status
    status    ● online
    version   0.1.0
    pid       77
    uptime    3m 12s
    home      /srv/m
    ");
    assert_eq!(fake.run(&["health", "--exit-code"]).0, 1);
}
