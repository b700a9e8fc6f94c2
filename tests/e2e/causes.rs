//! Programs that really fail, and what `mhost ai diagnose` says of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{PATIENCE, Rig, kill, until, wait_until};

/// The diagnosis, once it names this cause.
fn diagnosed(rig: &Rig, name: &str, cause: &str) -> Value {
    let mut last = Value::Null;
    let found = wait_until(PATIENCE, || {
        last = rig.json(&["ai", "diagnose", name]);
        last["cause"] == cause
    });
    assert!(found, "{cause}: {last:#}");
    last
}

/// Starts a script that fails, and gives what is said of it. The form of the answer and the
/// ids of its evidence are checked.
fn case(rig: &Rig, script: &str, cause: &str) -> Value {
    rig.write("app.sh", script);
    rig.run(&["start", "bash app.sh", "--name", "app", "--no-wait"]);
    let answer = diagnosed(rig, "app", cause);
    assert_eq!(answer["process"], "app");
    assert!(answer["confidence"].as_f64().unwrap() > 0.6, "{answer:#}");
    assert!(!answer["actions"].as_array().unwrap().is_empty());
    let evidence = answer["evidence"].as_array().unwrap().clone();
    assert!(!evidence.is_empty());
    let events: Vec<i64> = rig
        .events("app")
        .iter()
        .filter_map(|event| event["id"].as_i64())
        .collect();
    for one in &evidence {
        let id = one["id"].as_str().unwrap();
        assert!(!one["text"].as_str().unwrap().is_empty(), "{one}");
        if let Some(event) = id.strip_prefix("event:") {
            assert!(events.contains(&event.parse().unwrap()), "{id}: {events:?}");
        }
    }
    answer
}

fn said(answer: &Value) -> String {
    answer["root_cause"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_variable_is_named() {
    let rig = Rig::new();
    let script = ": \"${FEED_URL:?must point at the feed}\"\nsleep 1000\n";
    let answer = case(&rig, script, "missing-env");
    assert!(said(&answer).contains("FEED_URL"), "{answer:#}");
    // For people the same, with what was ruled out.
    let told = rig.ok(&["ai", "diagnose", "app"]);
    assert!(
        told.contains("missing-env") && told.contains("evidence"),
        "{told}"
    );
    rig.ok(&["delete", "app"]);
}

#[test]
fn a_missing_program_is_named() {
    let rig = Rig::new();
    let answer = case(&rig, "set -e\nno-such-server --bind 1\n", "missing-file");
    assert!(said(&answer).contains("no-such-server"), "{answer:#}");
    rig.ok(&["delete", "app"]);
}

#[test]
fn the_holder_of_a_port_is_named_and_left_alone() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let rig = Rig::new();
    let script =
        format!("echo 'listen tcp 127.0.0.1:{port}: bind: address already in use' >&2\nexit 1\n");
    let answer = case(&rig, &script, "port-in-use");
    let own = format!("pid {}", std::process::id());
    assert!(said(&answer).contains(&own), "{answer:#}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    rig.ok(&["delete", "app"]);
}

/// The same where the port stands in other words, and where it does not stand at all: then
/// nothing is said about who holds it.
#[test]
fn a_port_is_read_from_other_words() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let rig = Rig::new();
    let script =
        format!("echo 'cannot open listener on {port}: Address already in use' >&2\nexit 1\n");
    let answer = case(&rig, &script, "port-in-use");
    let own = format!("pid {}", std::process::id());
    assert!(said(&answer).contains(&own), "{answer:#}");
    rig.ok(&["delete", "app"]);
    // A fresh home: what was known of another program of this name must not help.
    let rig = Rig::new();
    let script = "echo 'listen failed: Address already in use' >&2\nexit 1\n";
    let words = said(&case(&rig, script, "port-in-use"));
    assert!(words.contains("cannot be told"), "{words}");
    assert!(!words.contains("Nobody holds it"), "{words}");
    rig.ok(&["delete", "app"]);
}

#[test]
fn an_abort_in_native_code_is_named() {
    let rig = Rig::new();
    let script = "echo 'free(): double free detected in tcache 2' >&2\nkill -ABRT $$\n";
    let answer = case(&rig, script, "native-crash");
    assert!(said(&answer).contains("SIGABRT"), "{answer:#}");
    rig.ok(&["delete", "app"]);
}

#[test]
fn a_pool_of_a_jvm_that_is_used_up_is_named() {
    let rig = Rig::new();
    let script = "while sleep 0.1; do for i in 1 2 3 4 5 6; do echo 'ERROR Shop - java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 300ms (total=4, active=4, idle=0, waiting=2)'; done; done\n";
    let answer = case(&rig, script, "pool-exhausted");
    assert!(said(&answer).contains("pool"), "{answer:#}");
    rig.ok(&["delete", "app"]);
}

#[test]
fn a_stale_lock_is_told_from_a_live_one() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("run")).unwrap();
    // No pid is as high.
    rig.write("run/app.pid", "2147483646\n");
    let script = "[ -e run/app.pid ] && { echo \"already running? see run/app.pid\" >&2; exit 1; }\nsleep 1000\n";
    let answer = case(&rig, script, "stale-lock");
    assert!(said(&answer).contains("no longer running"), "{answer:#}");
    rig.ok(&["delete", "app"]);
}

#[test]
fn a_damaged_cache_is_found_by_looking() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("cache")).unwrap();
    rig.write("cache/index.json", "{\"pages\": [1, 2,");
    let script = "echo 'ParseError: premature end of input' >&2\nexit 1\n";
    let answer = case(&rig, script, "corrupt-cache");
    let words = said(&answer);
    assert!(
        words.contains("cache/index.json") && words.contains("cut off"),
        "{words}"
    );
    rig.ok(&["delete", "app"]);
}

/// Who sent a signal is read from the audit log.
#[test]
fn a_kill_is_laid_to_whoever_ordered_it() {
    let rig = Rig::new().running("app", "sleep 1000");
    let former = rig.pid("app");
    kill(former, Signal::KILL);
    rig.until_other_pid("app", former);
    let answer = rig.json(&["ai", "diagnose", "app"]);
    if answer["cause"] == "killed" {
        assert!(said(&answer).contains("nobody asked mhost"), "{answer:#}");
    }
    let former = rig.pid("app");
    rig.ok(&["signal", "app", "KILL"]);
    rig.until_other_pid("app", former);
    let answer = diagnosed(&rig, "app", "killed");
    assert!(said(&answer).contains("asked mhost for"), "{answer:#}");
    let evidence = answer["evidence"].as_array().unwrap();
    let audit = |one: &Value| one["id"].as_str().unwrap().starts_with("audit:");
    assert!(evidence.iter().any(audit), "{answer:#}");
    rig.ok(&["delete", "app"]);
}

/// Answers each request on its socket with the same text, after a while.
fn endpoint(answer: String, late: Duration) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/think", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, &answer, late));
        }
    });
    url
}

fn serve(stream: TcpStream, answer: &str, late: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let question: Value = serde_json::from_slice(&body).ok()?;
    assert_eq!(question["incident"]["process"], "api", "{question}");
    // Not the clock of the program under test: a peer that is slow.
    std::thread::park_timeout(late);
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(answer.as_bytes()).ok()
}

/// Four endpoints: one is too slow, one says too much, one wants what nobody may, and one has
/// a plan, which asks because its ceiling says so.
#[test]
fn brains_behind_http_are_bounded() {
    let restart = json!({ "cause": "the \u{1b}[31mpool", "confidence": 0.9,
                          "actions": [{ "action": "restart", "instance": null }] });
    let exec = json!({ "cause": "x", "actions": [{ "action": "exec", "command": "rm -rf /" }] });
    let none = Duration::ZERO;
    let urls = [
        (
            "late",
            endpoint(restart.to_string(), Duration::from_secs(120)),
        ),
        ("large", endpoint("x".repeat(300_000), none)),
        ("hostile", endpoint(exec.to_string(), none)),
        ("good", endpoint(restart.to_string(), none)),
    ];
    let mut settings = "[agent]\nenabled = true\nautonomy = \"autonomous\"\n[brain]\nchain = [\"late\", \"large\", \"hostile\", \"good\", \"playbooks\"]\n".to_owned();
    for (name, url) in &urls {
        // The others are to be judged by what they say, however busy the machine is.
        let timeout = if *name == "late" { "300ms" } else { "30s" };
        settings += &format!(
            "[brain.external.{name}]\nurl = \"{url}\"\ntimeout = \"{timeout}\"\nautonomy = \"supervised\"\n"
        );
    }
    let rig = Rig::new().settings(&settings).config(
        "[process.api]\ncommand = \"sleep 1000\"\n[process.api.health.script]\n\
         command = \"test ! -e sick\"\ninterval = \"1s\"\ntimeout = \"1s\"\nretries = 2\non_fail = \"notify\"\n",
    );
    rig.ok(&["start"]);
    let pid = rig.pid("api");
    rig.write("sick", "");
    let mut rows = Vec::new();
    until("the one with a plan is asked", || {
        let all = rig.json(&["agent", "actions"]);
        rows = all["actions"].as_array().unwrap().clone();
        rows.iter().any(|row| row["playbook"] == "external:good")
    });
    let row = rows
        .iter()
        .find(|row| row["playbook"] == "external:good")
        .unwrap();
    assert_eq!(row["plan"], json!(["restart"]), "{row}");
    assert!(!row["reason"].as_str().unwrap().contains('\u{1b}'), "{row}");
    assert_eq!(rig.pid("api"), pid, "its ceiling lets it only ask");
    let chain = rig.json(&["brain", "chain"]);
    let error = |name: &str| {
        let mut all = chain["chain"].as_array().unwrap().iter();
        let one = all.find(|one| one["name"] == name).unwrap();
        assert_eq!(one["kind"], "http");
        let statistics = &one["statistics"];
        assert!(statistics["asked"].as_u64().unwrap() > 0, "{one}");
        statistics["last_error"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(error("late").contains("longer than"), "{chain}");
    assert!(error("large").contains("64 KiB"), "{chain}");
    assert!(error("hostile").contains("no proposal"), "{chain}");
    assert_eq!(error("good"), "", "{chain}");
    rig.ok(&["delete", "api"]);
}
