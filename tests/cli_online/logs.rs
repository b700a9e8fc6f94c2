//! Log lines on their way through, and a follower that outlives the daemon.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::fake::Fake;

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
    follow_two_daemons(folder.path());
}

#[expect(clippy::disallowed_methods, reason = "it is read while it runs")]
fn follow_two_daemons(home: &Path) {
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
    let mut follower = Command::new(env!("CARGO_BIN_EXE_mhost"))
        .env_clear()
        .env("MHOST_HOME", home)
        .args(["logs", "-f", "--timeout", "60s"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs until it is ended");
    let printed = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let printed: Vec<String> = printed.map_while(Result::ok).take(3).collect();
    let _ = follower.kill();
    let _ = follower.wait();
    assert_eq!(printed, ["one", "two", "three"]);
    assert_eq!(server.join().expect("the fake"), [json!("1"), json!("2")]);
}
