//! Other people's agents, over the Model Context Protocol: they look, they propose, a person
//! decides. Spoken by hand here, and by the official client where it is installed.

mod http;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::rig::counterparts::folder;
use crate::rig::{Rig, home, until};
use http::Http;

/// A secret of the process, which it prints.
const SECRET: &str = "hunter22-of-ana-in-production";

const CONFIG: &str = r#"
[process.web]
command = """bash -c 'echo "hello with $API_TOKEN"; exec sleep 600'"""
grace_period = "1s"
[process.web.env]
API_TOKEN = "hunter22-of-ana-in-production"
"#;

/// `mhost mcp` on pipes.
struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Agent {
    fn begin(rig: &Rig, args: &[&str]) -> Self {
        let mut child = rig
            .home()
            .mhost(&[&["mcp"], args].concat())
            .stdin(Stdio::piped())
            .spawn()
            .expect("mhost runs");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut agent = Self {
            child,
            input,
            output,
            asked: 0,
        };
        let hello = agent.ask("initialize", hello());
        assert_eq!(hello["result"]["serverInfo"]["name"], "mhost", "{hello}");
        agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("it reads");
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let answer = self.next();
            if answer["id"] == id {
                return answer;
            }
        }
    }

    /// The next message.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("it answers");
        assert!(read > 0, "it hung up");
        serde_json::from_str(&line).expect("only the protocol on stdout")
    }

    /// Calls a tool that does what it should.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool that refuses, and gives what it says.
    fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], true, "{tool}: {answer}");
        text(&answer["result"])
    }

    fn tools(&mut self) -> Vec<String> {
        let answer = self.ask("tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().expect("a list");
        let names = tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name"));
        names.map(str::to_owned).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hello() -> Value {
    json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    })
}

fn text(result: &Value) -> String {
    result["content"][0]["text"]
        .as_str()
        .expect("text")
        .to_owned()
}

fn restart(evidence: &[&str]) -> Value {
    json!({
        "process": "web",
        "diagnosis": "it went quiet",
        "confidence": 0.9,
        "evidence": evidence,
        "actions": [{"action": "restart"}],
    })
}

#[test]
fn an_agent_looks_and_proposes_and_a_person_decides() {
    let rig = Rig::new().config(CONFIG).start();
    rig.until_printed("web", "hello");
    let pid = rig.pid("web");
    let mut agent = Agent::begin(&rig, &[]);
    let found = agent.call("search_logs", json!({"process": "web", "pattern": "hello"}));
    let id = found["structuredContent"]["facts"][0]["id"].clone();
    let id = id.as_str().expect("a fact with an id");
    assert!(text(&agent.call("diagnose", json!({"process": "web"}))).contains("healthy"));
    let asked = agent.call("propose", restart(&[id, "log:made-up"]))["structuredContent"].clone();
    assert_eq!(asked["plan"], json!(["restart"]));
    let dropped = asked["dropped"][0]
        .as_str()
        .expect("what it was not shown is dropped");
    assert!(dropped.contains("never shown"), "{dropped}");
    // Nothing has been done, and nobody but a person can say yes.
    assert_eq!(rig.pid("web"), pid);
    assert!(!agent.tools().iter().any(|tool| tool.contains("approve")));
    let question = asked["question"].as_str().expect("a person is asked");
    rig.ok(&["agent", "approve", question]);
    rig.until_other_pid("web", pid);
    until("the agent hears of it", || {
        text(&agent.call("approvals", json!({"id": question}))).contains("approved")
    });
    let audit = rig.ok(&["audit", "--json"]);
    assert!(audit.contains("mcp:"), "{audit}");
    assert!(audit.contains("agent.propose"), "{audit}");
}

#[test]
fn an_agent_is_told_no_secret() {
    let rig = Rig::new().config(CONFIG).start();
    rig.until_printed("web", SECRET);
    let mut agent = Agent::begin(&rig, &[]);
    let found = agent.call("search_logs", json!({"process": "web", "pattern": "hello"}));
    assert!(text(&found).contains("hello with"), "{found}");
    assert!(!found.to_string().contains(SECRET), "{found}");
    let config = agent.call("config", json!({"process": "web"}));
    assert!(!config.to_string().contains(SECRET), "{config}");
}

/// By its mark a secret is known again in the next answer, whatever else is in that.
#[test]
fn in_one_session_the_same_secret_has_the_same_mark() {
    // In pieces, so that nobody takes them for real ones.
    let rig = Rig::new().config(
        r#"
[process.web]
command = """bash -c 'echo "one AKI""AIOSFODNN7EXAMPLE"; echo "two AKI""AQ5XW3DKL2MNOPRS7"; exec sleep 600'"""
"#,
    );
    let rig = rig.start();
    rig.until_printed("web", "two AKI");
    let looks = |agent: &mut Agent, pattern: &str| {
        text(&agent.call("search_logs", json!({"process": "web", "pattern": pattern})))
    };
    let mut agent = Agent::begin(&rig, &[]);
    let found = looks(&mut agent, "two");
    assert!(found.contains("two «redacted:aws-key#1»"), "{found}");
    let found = looks(&mut agent, "o");
    assert!(found.contains("one «redacted:aws-key#2»"), "{found}");
    assert!(found.contains("two «redacted:aws-key#1»"), "{found}");
    let found = looks(&mut Agent::begin(&rig, &[]), "one");
    assert!(found.contains("one «redacted:aws-key#1»"), "{found}");
}

#[test]
fn an_agent_that_may_only_look_neither_proposes_nor_reaches_out() {
    let rig = Rig::new().config(CONFIG).start();
    let mut agent = Agent::begin(&rig, &["--role", "viewer"]);
    let tools = agent.tools();
    assert!(tools.contains(&"search_logs".to_owned()), "{tools:?}");
    for forbidden in [
        "propose",
        "check_http",
        "check_port",
        "check_dns",
        "file_head",
    ] {
        assert!(!tools.contains(&forbidden.to_owned()), "{tools:?}");
    }
    let why = agent.refused("made_up", json!({}));
    assert!(
        why.contains("no such tool") && why.contains("search_logs"),
        "{why}"
    );
    for forbidden in ["propose", "check_", "file_head"] {
        assert!(!why.contains(forbidden), "{why}");
    }
    let why = agent.refused("check_port", json!({"port": 22}));
    assert!(why.contains("role Operator"), "{why}");
    let why = agent.refused("propose", restart(&[]));
    assert!(why.contains("role Operator"), "{why}");
    let audit = rig.json(&["audit"]);
    let denied = audit.to_string();
    assert!(
        denied.contains("agent.propose") && denied.contains("denied"),
        "{denied}"
    );
}

/// The manual names the tools of each role: those that are listed, and no others.
#[test]
fn the_manual_names_the_tools_of_each_role() {
    let manual = include_str!("../../docs/mcp.md");
    let named = |role: &str| -> Vec<String> {
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| `{role}`")))
            .expect("a row for each role");
        let cells = row.split('`').skip(1).step_by(2).skip(1);
        cells.map(str::to_owned).collect()
    };
    let rig = Rig::new().config(CONFIG).start();
    let mut expected: Vec<String> = Vec::new();
    for role in ["viewer", "operator", "admin"] {
        expected.extend(named(role));
        expected.sort();
        expected.dedup();
        let mut listed = Agent::begin(&rig, &["--role", role]).tools();
        listed.sort();
        assert_eq!(listed, expected, "{role}");
    }
}

/// Noise is passed over, what is no message is refused, and the session goes on.
#[test]
fn what_is_no_message_ends_no_session() {
    let rig = Rig::new().config(CONFIG).start();
    let mut agent = Agent::begin(&rig, &[]);
    for noise in [
        "not json at all",
        "{\"jsonrpc\": \"2.0\", ",
        "\u{7}\u{1b}[31m",
        "",
    ] {
        writeln!(agent.input, "{noise}").expect("it reads");
        // The next answer is the one to the next question.
        agent.send(&json!({"jsonrpc": "2.0", "id": "after", "method": "ping"}));
        let answer = agent.next();
        assert_eq!(answer["id"], "after", "{noise}: {answer}");
    }
    agent.send(&json!({"hello": "mhost"}));
    let answer = agent.next();
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    assert_eq!(answer["id"], Value::Null, "{answer}");
    assert!(agent.tools().contains(&"search_logs".to_owned()));
}

#[test]
fn wrong_calls_of_an_agent_are_answered_with_what_is_wrong() {
    let rig = Rig::new().config(CONFIG).start();
    let mut agent = Agent::begin(&rig, &[]);
    let plan = |process: &str, action: Value| json!({"process": process, "diagnosis": "x", "confidence": 1, "actions": [action]});
    let cases = [
        ("search_logs", json!({"process": "web"}), "pattern"),
        (
            "search_logs",
            json!({"process": "nobody", "pattern": "x"}),
            "nobody",
        ),
        ("diagnose", json!({}), "no process"),
        ("made_up", json!({}), "no such tool"),
        (
            "propose",
            plan("nobody", json!({"action": "restart"})),
            "nobody",
        ),
        (
            "propose",
            plan("web", json!({"action": "rm -rf /"})),
            "no such action",
        ),
        ("propose", plan("web", json!("restart")), "no such action"),
        (
            "propose",
            plan("web", json!({"action": "restart", "target": "db"})),
            "target",
        ),
        ("propose", json!({"process": "web"}), "diagnosis"),
        (
            "propose",
            json!({"process": "web", "diagnosis": "x", "confidence": 1, "actions": []}),
            "nothing to decide",
        ),
    ];
    for (tool, arguments, why) in cases {
        let said = agent.refused(tool, arguments.clone());
        assert!(said.contains(why), "{tool} {arguments}: {said}");
    }
    assert!(
        rig.json(&["agent", "actions"])["actions"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
}

/// The script that speaks by the official client, if it is installed.
fn official() -> Option<(PathBuf, PathBuf)> {
    let found = folder("mcp")?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mcp_client.py");
    Some((found, script))
}

fn by_the_official_client(rig: &Rig, args: &[&str]) -> Option<Value> {
    let (packages, script) = official()?;
    let output = home::command("python3")
        .arg(script)
        .args(args)
        .env("PYTHONPATH", packages)
        .env_remove("MHOST_HOME")
        .current_dir(rig.home().folder())
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", home::stderr(&output));
    Some(serde_json::from_slice(&output.stdout).expect("one JSON object"))
}

fn assert_seen(seen: &Value) {
    assert_eq!(seen["tools"]["search_logs"], true, "{seen}");
    assert_eq!(seen["tools"]["propose"], false, "{seen}");
    assert!(
        seen["found"]
            .as_str()
            .is_some_and(|text| text.contains("hello with")),
        "{seen}"
    );
    assert!(!seen.to_string().contains(SECRET), "{seen}");
    assert_eq!(seen["asked"]["plan"], json!(["restart"]), "{seen}");
    // Of the two facts that it cites it was shown one.
    assert_eq!(
        seen["asked"]["dropped"],
        json!(["one piece of evidence that was never shown"]),
        "{seen}"
    );
    assert!(
        seen["approvals"]
            .as_str()
            .is_some_and(|text| text.contains("pending")),
        "{seen}"
    );
}

#[test]
fn the_official_client_gets_on_with_it_over_stdio() {
    let rig = Rig::new().config(CONFIG).start();
    rig.until_printed("web", "hello");
    let home = rig.home().path();
    let home = home.to_str().expect("a plain path");
    let args = ["stdio", env!("CARGO_BIN_EXE_mhost"), home];
    if let Some(seen) = by_the_official_client(&rig, &args) {
        assert_seen(&seen);
    }
}

#[test]
fn the_official_client_gets_on_with_it_over_http() {
    let rig = Rig::new().config(CONFIG).start();
    rig.until_printed("web", "hello");
    let http = Http::begin(&rig);
    let url = format!("http://127.0.0.1:{}/mcp", http.port);
    if let Some(seen) = by_the_official_client(&rig, &["http", &url, &http.token]) {
        assert_seen(&seen);
    }
}
