//! Every example and every flag that the specification of logs, metrics, health and the screen
//! names, as it is written there: into a pipe, as JSON and on a terminal.

use serde_json::Value;

use super::terminal::Terminal;
use crate::rig::{Rig, until};

/// What `api` prints: JSON, logfmt, plain text and standard error.
const LINES: &str = r#"{"level":"error","msg":"upstream failed","status":503}
{"level":30,"msg":"request done","status":200}
level=warn msg="slow query" status=504
cannot open http://x:80/a
they don't know
Server listening on :3000
"#;

/// Two processes that print, one of them with two copies and one with a probe.
fn fleet() -> Rig {
    let rig = Rig::new().config(
        "[process.api]\ncommand = \"sh -c 'cat lines.txt; echo oops >&2; exec sleep 3600'\"\n\
         instances = 2\n\
         [process.web]\ncommand = \"sh -c 'echo up; exec sleep 3600'\"\n\
         [process.web.health.script]\ncommand = \"true\"\ninterval = \"1s\"\ntimeout = \"1s\"\n",
    );
    rig.write("lines.txt", LINES);
    let rig = rig.start();
    for copy in ["api:0", "api:1"] {
        rig.until_printed(copy, "Server listening");
        rig.until_printed(copy, "oops");
    }
    rig.until_printed("web", "up");
    rig
}

/// Command lines of the specification whose answer is one JSON value.
const ANSWERS: &[&[&str]] = &[
    &["logs"],
    &["logs", "api"],
    &["logs", "api:1"],
    &["logs", "--lines", "2"],
    &["logs", "-n", "2"],
    &["logs", "--since", "1h"],
    &["logs", "--since", "30m"],
    &["logs", "--since", "2026-03-28 00:00"],
    &[
        "logs",
        "--since",
        "2026-03-28T14:32:01Z",
        "--until",
        "2126-03-28T14:32:01Z",
    ],
    &["logs", "--search", "a AND b"],
    &["logs", "--search", "\"upstream failed\""],
    &["logs", "--search", "up*"],
    &["logs", "--search", "NEAR(upstream failed)"],
    &["logs", "--search", "http://x:80"],
    &["logs", "--search", "don't"],
    &["logs", "--search", "upstream", "--rank"],
    &["logs", "--where", "level = 'error'"],
    &[
        "logs",
        "--where",
        "process = 'api' AND ts > datetime('now','-1 hour')",
    ],
    &["logs", "--where", "level=error AND status>=500"],
    &["logs", "--where", "level >= 'warn'"],
    &[
        "logs",
        "--where",
        "status IN (503, 504) OR message LIKE '%listening%'",
    ],
    &[
        "logs",
        "--where",
        "status BETWEEN 500 AND 599 AND NOT (msg ~ 'slow')",
    ],
    &["logs", "--where", "status IS NOT NULL AND time > now - 1h"],
    &["logs", "--grep", "list.*3000"],
    &["logs", "--err"],
    &["logs", "--out"],
    &["logs", "--level", "warn"],
    &[
        "logs",
        "--where",
        "level=error",
        "--since",
        "1h",
        "--count-by",
        "process",
    ],
    &["logs", "--count-by", "status"],
    &["logs", "--count-by", "hour"],
    &["logs", "--count-by", "minute"],
    &["logs", "--count-by", "day"],
    &["logs", "--templates"],
    &["logs", "--search", "upstream", "--context", "1"],
    &["logs", "--no-color"],
    &["logs", "reindex"],
    &["metrics", "show"],
    &["metrics", "show", "api"],
    &[
        "metrics", "history", "api", "--metric", "cpu", "--since", "24h",
    ],
    &[
        "metrics", "history", "api", "--metric", "memory", "--since", "24h",
    ],
    &["metrics", "start", "--listen", "127.0.0.1:0"],
    &["metrics", "stop"],
    &["sinks", "status"],
    &["health"],
    &["health", "web"],
    &["health", "--exit-code"],
    &["status"],
    &["status", "api"],
];

/// Plain and as JSON, every one of them answers.
#[test]
fn every_example_answers_in_a_pipe_and_as_json() {
    let rig = fleet();
    until("the probe has passed", || {
        rig.ok(&["health", "web"]).contains("pass")
    });
    for line in ANSWERS {
        rig.ok(line);
        let answer = rig.json(line);
        assert!(answer.is_object(), "{line:?}: {answer}");
    }
    // In a pipe a line is what was printed, whatever format was asked for says it otherwise.
    let raw = rig.ok(&["logs", "api:0", "--out"]);
    assert_eq!(raw, LINES);
    assert_eq!(rig.ok(&["logs", "api:0", "--out", "--raw"]), LINES);
    for format in ["text", "jsonl", "csv", "json"] {
        let out = rig.ok(&["logs", "api:0", "--out", "--format", format]);
        let lines: Vec<&str> = out.lines().collect();
        match format {
            "text" => assert_eq!(out, LINES),
            "csv" => assert_eq!((lines.len(), lines[0].starts_with("ts,")), (7, true)),
            "json" => assert!(serde_json::from_str::<Value>(&out).is_ok()),
            _ => {
                let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line));
                assert_eq!(parsed.filter(Result::is_ok).count(), 6);
            }
        }
    }
    // All filters combine.
    let all = [
        "logs",
        "api:0",
        "--search",
        "upstream",
        "--where",
        "status >= 500",
        "--grep",
        "failed",
        "--level",
        "error",
        "--out",
        "--since",
        "1h",
        "--context",
        "1",
        "-n",
        "5",
    ];
    assert_eq!(rig.ok(&all).lines().count(), 2);
    // Nothing found is an answer; what does not exist is not.
    assert_eq!(rig.ok(&["logs", "--search", "nowhere"]), "");
    let said = rig.run(&["logs", "--search", "nowhere"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("No lines match"));
    rig.fails(3, &["logs", "nobody"]);
    let said = rig.fails(2, &["logs", "--where", "level ="]);
    assert!(said.contains('^'), "{said}");
    for (line, columns) in [
        (&["health"][..], "NAME PROBE STATUS LAST CHECK LATENCY"),
        (
            &["metrics", "show"],
            "NAME INST CPU MEM UPTIME RESTARTS FDS SCORE",
        ),
        (&["logs", "--count-by", "process"], "VALUE COUNT SHARE"),
    ] {
        let table = rig.ok(line);
        let head = table.lines().next().unwrap_or_default();
        let words: Vec<&str> = head.split_whitespace().collect();
        let wanted: Vec<&str> = columns.split(' ').collect();
        let found = wanted.iter().filter(|word| words.contains(word)).count();
        assert_eq!(found, wanted.len(), "{line:?}: {head}");
    }
    let health = rig.ok(&["health"]);
    assert!(
        health.contains("none") && health.contains("off"),
        "{health}"
    );
}

/// On a terminal lines have the form of the specification, and following goes on.
#[test]
fn every_example_answers_on_a_terminal() {
    let rig = fleet();
    let Some(terminal) = Terminal::open(&rig, 120, 40) else {
        return;
    };
    terminal.mhost("", "logs api -n 20");
    let screen = terminal.shows("[api-1]");
    let line = screen
        .lines()
        .find(|line| line.contains("[api-0]"))
        .unwrap();
    // 2026-03-28T14:32:01Z  [api-0]  text; a prompt that came late stands before it.
    let line = line.trim_start_matches("# ");
    assert_eq!(line.find("Z  [api-0]  "), Some(19), "{line}");
    assert!(
        screen.contains("ERROR upstream failed status=503"),
        "{screen}"
    );
    for (args, shows) in [
        ("logs web", "[web]"),
        (
            "logs api:0 --raw --out -n 6",
            "\"upstream failed\",\"status\"",
        ),
        ("logs api:0 --pretty --search upstream", "\"status\": 503"),
        ("logs --count-by process", "SHARE"),
        ("logs --templates", "PATTERN"),
        ("health", "LATENCY"),
        ("metrics show", "RESTARTS"),
    ] {
        terminal.mhost("", args);
        terminal.shows(shows);
    }
    terminal.mhost("", "logs web -f");
    terminal.shows("[web]");
    rig.ok(&["restart", "web"]);
    terminal.until("the follower goes on", |screen| {
        screen.matches("up").count() >= 2
    });
    terminal.keys(&["C-c"]);
    terminal.mhost("", "monit");
    terminal.shows("Processes");
    for (key, shows) in [
        ("2", "Logs"),
        ("3", "Health"),
        ("4", "Events"),
        ("1", "api"),
    ] {
        terminal.keys(&[key]);
        terminal.shows(shows);
    }
    terminal.keys(&["q"]);
    terminal.until("the shell is back", |_| !terminal.is_alternate());
}

/// Whoever follows what is deleted is told so in one way.
#[test]
fn a_follower_of_what_is_deleted_is_told() {
    let rig = fleet();
    let mut follower = rig.spawn_into("followed", &["logs", "web", "-f"]);
    until("it follows", || {
        std::fs::read_to_string(rig.path("followed")).is_ok_and(|text| text.contains("up"))
    });
    rig.ok(&["delete", "web"]);
    let mut ended = None;
    until("it ends", || {
        ended = follower.0.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(3));
    rig.fails(3, &["logs", "web", "-f"]);
}

/// Small things that said nothing, or the wrong thing.
#[test]
fn what_cannot_be_done_is_said() {
    let rig = Rig::new();
    rig.ok(&["daemon", "start"]);
    let said = rig.run(&["metrics", "history", "all"]);
    assert!(said.stdout.is_empty());
    assert!(String::from_utf8_lossy(&said.stderr).contains("No processes"));
    let rig = fleet();
    let said = rig.fails(2, &["logs", "--count-by", "hour", "--local"]);
    assert!(said.contains("--local"), "{said}");
    let said = rig.fails(2, &["logs", "api", "web"]);
    assert!(said.contains("takes one target"), "{said}");
    assert_eq!(
        rig.ok(&["logs", "api:0", "--search=-slow query"])
            .lines()
            .count(),
        1
    );
}

/// A line without its end is marked until its process has ended.
#[test]
fn a_line_without_its_end_is_marked() {
    let rig = Rig::new().running("api", "sh -c 'printf begun; sleep 3600'");
    rig.until_printed("api", "begun");
    let line = || rig.json(&["logs", "api"])["lines"][0].clone();
    assert_eq!(line()["partial"], true, "{}", line());
    rig.ok(&["stop", "api"]);
    until("the end of the run is known", || {
        line()["partial"].is_null()
    });
    assert_eq!(line()["message"], "begun");
}
