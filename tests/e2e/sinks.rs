//! Kept lines reach a server, through reloads and the death of the daemon.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::rig::{Rig, until};

/// Takes RFC 5424 with octet counts, and keeps the messages.
struct Server {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = got.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, got }
    }

    /// What came after the structured data.
    fn texts(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|message| message.split_once("\"] ").unwrap().1.to_owned())
            .collect()
    }
}

fn serve(mut stream: impl Read, kept: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
        while let Some(blank) = bytes.iter().position(|byte| *byte == b' ') {
            let length: usize = std::str::from_utf8(&bytes[..blank])
                .unwrap()
                .parse()
                .unwrap();
            if bytes.len() < blank + 1 + length {
                break;
            }
            let rest = bytes.split_off(blank + 1 + length);
            let message = String::from_utf8(bytes.split_off(blank + 1)).unwrap();
            kept.lock().unwrap().push(message);
            bytes = rest;
        }
    }
}

fn settings(port: u16) -> String {
    format!(
        "[sinks.central]\ntype = \"syslog\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"tcp\"\nflush = \"50ms\"\n"
    )
}

fn sink(rig: &Rig, name: &str) -> Value {
    let shown = rig.json(&["sinks", "status"]);
    let sinks = shown["sinks"].as_array().unwrap();
    let found = sinks.iter().find(|sink| sink["name"] == name);
    found.cloned().unwrap_or_default()
}

/// No line is missing at the server although the daemon is killed again and again.
#[test]
fn a_killed_daemon_skips_no_line() {
    let server = Server::start();
    let rig = Rig::new().settings(&settings(server.port));
    rig.ok(&["daemon", "start"]);
    let rig = rig.running("api", "puppet numbers 5");
    let all = || -> BTreeSet<u64> {
        let texts = server.texts();
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    for _ in 0..3 {
        let before = all().len();
        until("lines arrive", || all().len() > before + 50);
        rig.kill_daemon();
    }
    rig.ok(&["stop", "api"]);
    let printed: BTreeSet<u64> = rig
        .lines("api")
        .iter()
        .map(|line| line.parse().unwrap())
        .collect();
    until("all arrived", || all().len() >= printed.len());
    assert_eq!(all(), printed);
}

/// The last words of a process are sent before the daemon ends, though it is not their time;
/// a server that hangs keeps nobody.
#[test]
fn last_words_are_sent_before_the_daemon_ends() {
    let server = Server::start();
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings(server.port).replace("50ms", "60s");
    let rig = Rig::new().settings(&format!(
        "{settings}[sinks.hangs]\ntype = \"loki\"\nurl = \"http://127.0.0.1:{}\"\n",
        hangs.local_addr().unwrap().port()
    ));
    rig.write(
        "polite.sh",
        "trap 'echo last-words; exit 0' TERM\necho ready\nwhile :; do sleep 0.1; done\n",
    );
    rig.ok(&["daemon", "start"]);
    let rig = rig.running("polite", "sh polite.sh");
    rig.until_printed("polite", "ready");
    until("it waits for more", || {
        sink(&rig, "central")["queued"].as_u64() > Some(0)
    });
    rig.ok(&["daemon", "stop"]);
    // The shell may say of its `sleep` that it was terminated.
    until("all of it arrived", || {
        let texts = server.texts();
        texts.first().is_some_and(|text| text == "ready")
            && texts.iter().any(|text| text == "last-words")
    });
}

/// A sink is added by a reload of the settings, shown in the table, and keeps its secrets.
#[test]
fn sinks_follow_the_settings_and_tell_no_secret() {
    let server = Server::start();
    let rig = Rig::new().running("api", "puppet numbers 20");
    assert!(
        rig.json(&["sinks", "status"])["sinks"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let secret = "[sinks.es]\ntype = \"elasticsearch\"\nurl = \"http://u:pw-in-url@127.0.0.1:1\"\napi_key = \"key-of-es\"\nheaders = { X-Token = \"token-of-es\" }\nflush = \"50ms\"\n";
    let text = format!("{}{secret}", settings(server.port));
    std::fs::write(rig.home().file("config.toml"), text).unwrap();
    rig.rpc("daemon.reload_config", json!({}));
    until("it sends", || {
        sink(&rig, "central")["sent"].as_u64() > Some(0)
    });
    until("it fails", || {
        sink(&rig, "es")["failures"].as_u64() > Some(0)
    });
    assert_eq!(sink(&rig, "es")["last_error"], "refused");
    let table = rig.ok(&["sinks", "status"]);
    let first = table.lines().next().unwrap();
    let titles: Vec<&str> = first.split_whitespace().collect();
    assert_eq!(
        titles,
        ["NAME", "TYPE", "SENT", "QUEUED", "DROPPED", "LAST", "ERROR"]
    );
    let log = std::fs::read_to_string(rig.home().file("logs/daemon.log")).unwrap();
    let json = rig.json(&["sinks", "status"]).to_string();
    for shown in [&table, &log, &json] {
        for secret in ["pw-in-url", "key-of-es", "token-of-es"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    // A wrong file changes nothing.
    std::fs::write(
        rig.home().file("config.toml"),
        "[sinks.x]\ntype = \"loki\"\n",
    )
    .unwrap();
    rig.rpc("daemon.reload_config", json!({}));
    assert_eq!(sink(&rig, "central")["state"], "up");
}
