//! A daemon that knows a few canned answers, so that every picture is the same each time.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A daemon with canned answers. Its thread ends with the test's process.
pub(crate) struct Fake {
    pub(crate) folder: TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
}

type Answers = HashMap<&'static str, Result<Value, Value>>;

impl Fake {
    pub(crate) fn new(
        answers: impl IntoIterator<Item = (&'static str, Result<Value, Value>)>,
    ) -> Self {
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

    pub(crate) fn run_at(&self, columns: usize, args: &[&str]) -> (i32, String, String) {
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

    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_at(80, args)
    }

    /// What stdout holds of a command that succeeds and has nothing to say on stderr.
    pub(crate) fn shows(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        out
    }

    /// The parameters of the last call of a method.
    pub(crate) fn asked(&self, method: &str) -> Value {
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

pub(crate) fn fleet() -> Value {
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
