//! A model as the last brain, over the real binary: it looks, proposes, is asked about, acts,
//! is measured, and leaves a playbook behind so that it is not asked twice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use supervisor::Clock;

use crate::rig::{PATIENCE, Rig, pause, until, wait_until};

/// A process that is stuck, and says so, once there is a file `again`; a new run is well.
/// It says its password, too.
const STUCK: &str = r#"
[process.api]
command = """bash -c 'rm -f stuck again; echo "token $API_TOKEN"; \
    while sleep 0.1; do [ -e again ] || continue; [ -e stuck ] || \
    echo "ERROR FluxError: phase inverter lost its anchor, password=SwordFishMelon" >&2; touch stuck; done'"""
grace_period = "1s"
[process.api.env]
API_TOKEN = "hunter22-of-ana-in-production"
[process.api.health.script]
command = "test ! -e stuck"
interval = "1s"
timeout = "1s"
retries = 2
on_fail = "notify"
"#;

/// Speaks the protocol of chat completions: looks up the log, then wants a restart.
struct Double {
    port: u16,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Double {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = bodies.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, bodies }
    }

    fn settings(&self) -> String {
        let rest = "autonomy = \"supervised\"\n\
             [brain]\nchain = [\"memory\", \"model\"]\ncooldown = \"1s\"\n";
        format!("{}{rest}", self.with_the_usual_chain())
    }

    /// The table `[agent]` is left open.
    fn with_the_usual_chain(&self) -> String {
        format!(
            "[ai]\nprovider = \"ollama\"\nmodel = \"scripted\"\ntools = true\n\
             base_url = \"http://127.0.0.1:{}/v1\"\ncontext_tokens = 24000\n\
             [agent]\nenabled = true\npoll_interval = \"500ms\"\nverify_window = \"2s\"\n",
            self.port
        )
    }

    fn requests(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    kept.lock().unwrap().push(body.clone());
    let asked: Value = serde_json::from_str(&body).unwrap();
    let last = asked["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    let delta = if last["role"] == "tool" {
        let found = last["content"].as_str().unwrap_or_default();
        let at = found.find("[log:").expect("it was shown a line");
        let id = found[at + 1..].split(']').next().unwrap();
        let answer = json!({
            "diagnosis": "the phase inverter lost its anchor, and only a new run finds it again",
            "confidence": 0.8, "severity": "critical", "evidence": [id], "healthy": false,
            "actions": [{"action": "restart", "target": "api", "args": {}, "reason": "a new run"}],
        });
        json!({ "role": "assistant", "content": answer.to_string() })
    } else {
        let arguments = json!({ "pattern": "anchor" }).to_string();
        json!({ "role": "assistant", "content": null, "tool_calls": [{
            "index": 0, "id": "c1", "type": "function",
            "function": { "name": "search_logs", "arguments": arguments },
        }] })
    };
    let end = if delta["content"].is_null() {
        "tool_calls"
    } else {
        "stop"
    };
    let event = |delta: Value, end: Value| {
        let event = json!({
            "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": end }],
        });
        format!("data: {event}\n\n")
    };
    let text = [
        event(delta, Value::Null),
        event(json!({}), json!(end)),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
}

/// The open question about `api`, once there is one.
fn question(rig: &Rig) -> Value {
    let mut found = Value::Null;
    let asked = wait_until(PATIENCE, || {
        let all = rig.json(&["agent", "actions"]);
        let mut rows = all["actions"].as_array().unwrap().iter();
        found = rows
            .find(|row| row["state"] == "pending")
            .cloned()
            .unwrap_or_default();
        !found.is_null()
    });
    assert!(asked, "{:#}", rig.json(&["brain", "history"]));
    found
}

fn approve(rig: &Rig, question: &Value) {
    rig.ok(&["agent", "approve", question["id"].as_str().unwrap()]);
}

/// The newest incident once it has this outcome.
fn outcome(rig: &Rig, word: &str) -> Value {
    let newest = || rig.json(&["brain", "history"])["history"][0].clone();
    let came = wait_until(PATIENCE, || newest()["outcome"] == word);
    assert!(came, "{:#}", newest());
    newest()
}

fn restarts(rig: &Rig) -> usize {
    let kinds = rig.kinds("api");
    kinds.iter().filter(|kind| *kind == "online").count()
}

/// A novel incident is looked into, cured with a person's leave, and learned from: the same
/// again is decided without a single request.
#[test]
#[expect(clippy::disallowed_macros, reason = "a test tells what it found")]
fn a_novel_incident_is_solved_once_with_a_model() {
    let double = Double::start();
    let rig = Rig::new()
        .settings(&double.settings())
        .config(STUCK)
        .start();
    rig.until_printed("api", "token");
    let clock = Clock::system();
    let begun = clock.now();
    rig.write("again", "");
    let asked = question(&rig);
    let first = supervisor::until(begun, clock.now());
    assert_eq!(asked["plan"], json!(["restart"]), "{asked}");
    let reason = asked["reason"].as_str().unwrap();
    assert!(
        reason.contains("thinks: `api`: the phase inverter"),
        "{reason}"
    );
    assert_eq!(restarts(&rig), 1, "nothing is done without leave");
    assert_eq!(double.requests(), 2, "a look-up and an answer");
    approve(&rig, &asked);
    let row = outcome(&rig, "verified");
    assert_eq!(restarts(&rig), 2);
    let incident = row["id"].as_str().unwrap().to_owned();

    // What it learned, as a difference that can be read.
    let learned = || {
        let all = rig.json(&["brain", "playbooks"]);
        let rows = all["playbooks"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["source"] == "learned")
    };
    until("a playbook is learned", || learned().is_some());
    let name = learned().unwrap()["name"].as_str().unwrap().to_owned();
    let text = rig.ok(&["brain", "playbook", "show", &name]);
    assert!(
        text.contains("restart()") && text.contains("model:ollama/scripted"),
        "{text}"
    );
    let explained = rig.ok(&["brain", "explain", &incident, "--json"]);
    for kept in [&text, &explained] {
        assert!(!kept.contains("SwordFish"), "{kept}");
        assert!(kept.contains("«redacted:password"), "{kept}");
    }
    let draft = rig.json(&["brain", "playbook", "draft", &incident]);
    assert_eq!(draft["name"], name.as_str());
    assert_eq!(draft["refused"], Value::Null, "{draft:#}");
    assert!(draft["silent_on"].as_u64().unwrap() >= 20, "{draft:#}");

    // The same again.
    let before = double.requests();
    pause(Duration::from_secs(2));
    let begun = clock.now();
    rig.write("again", "");
    let asked = question(&rig);
    let second = supervisor::until(begun, clock.now());
    assert_eq!(asked["plan"], json!(["restart"]), "{asked}");
    approve(&rig, &asked);
    until("it is restarted again", || restarts(&rig) == 3);
    outcome(&rig, "verified");
    assert_eq!(double.requests(), before, "no model is asked twice");
    eprintln!("asked after {first:?} with a model, after {second:?} by what was learned");

    let bodies = double.bodies.lock().unwrap();
    for body in bodies.iter() {
        assert!(!body.contains("of-ana-in-prod"), "{body}");
        assert!(!body.contains("SwordFish"), "{body}");
    }
    // The line itself was told, with a mark in the secret's place.
    assert!(bodies.iter().any(|body| body.contains("«redacted:")));
}

/// The daemon dies while its question is open, and again while its plan is measured: the
/// answer counts once, and what was done is not done again.
#[test]
fn the_plan_of_a_model_survives_the_daemon() {
    let double = Double::start();
    let rig = Rig::new()
        .settings(&double.settings())
        .config(STUCK)
        .start();
    rig.until_printed("api", "token");
    rig.write("again", "");
    let asked = question(&rig);
    rig.kill_daemon();
    assert_eq!(question(&rig)["id"], asked["id"]);
    approve(&rig, &asked);
    until("it is restarted", || restarts(&rig) == 2);
    rig.kill_daemon();
    outcome(&rig, "verified");
    assert_eq!(restarts(&rig), 2);
    let again = rig.run(&["agent", "approve", asked["id"].as_str().unwrap()]);
    assert!(!again.status.success(), "a yes counts once");
}

/// Dies once of something that nobody knows, and is not tried again; the next run is well.
const DIES_ONCE: &str = r#"
[process.api]
autorestart = false
command = """bash -c '[ -e died ] && exec sleep 600; touch died; sleep 3; \
    echo "the phase inverter lost its anchor" >&2; exit 9'"""
"#;

/// With all playbooks in the chain: that one of them calls a person does not keep the model
/// from being asked, and where the owner said so its plan is carried out.
#[test]
fn what_is_down_for_good_is_cured_by_a_model_behind_the_playbooks() {
    let double = Double::start();
    let agent = "autonomy = \"autonomous\"\n";
    let rig = Rig::new()
        .settings(&format!("{}{agent}", double.with_the_usual_chain()))
        .config(DIES_ONCE)
        .start();
    let row = outcome(&rig, "verified");
    assert_eq!(double.requests(), 2, "a look-up and an answer");
    assert!(row["escalated"] == true, "a person was called, too: {row}");
    assert_eq!(row["playbook"], "model:ollama/scripted");
}
