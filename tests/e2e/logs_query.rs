//! Searches, conditions and counts over what programs printed, with the index in any state.

use serde_json::{Value, json};

use crate::rig::{PATIENCE, Rig, until, wait_until};

/// Lines of three kinds: JSON, logfmt and plain text.
const LINES: &str = r#"{"level":"error","msg":"disk is full","status":503,"user":{"id":"u7"}}
{"level":30,"msg":"request done","status":200,"took":12.5}
time=2026-03-28T14:32:01Z level=warn msg="slow query" status=504
[ERROR] cannot open http://x:80/a
they don't know
Server listening on :3000
"#;

/// A process that prints these lines and stays.
fn prints(rig: Rig, name: &str, lines: &str) -> Rig {
    rig.write(&format!("{name}.txt"), lines);
    let path = rig.path(&format!("{name}.txt"));
    let command = format!("sh -c 'cat {}; exec sleep 3600'", path.display());
    let rig = rig.running(name, &command);
    let last = lines.lines().last().unwrap().to_owned();
    rig.until_printed(name, &last);
    rig
}

fn found(rig: &Rig, args: &[&str]) -> Vec<String> {
    let args = [&["logs", "--raw"], args].concat();
    rig.ok(&args).lines().map(str::to_owned).collect()
}

fn index(rig: &Rig) -> Value {
    rig.rpc("logs.index", json!({})).unwrap()["result"]["index"].clone()
}

/// However many: an unoptimised index takes some thousand lines a second on a busy machine.
fn until_indexed(rig: &Rig, lines: u64) {
    let done = wait_until(4 * PATIENCE, || {
        let index = index(rig);
        index["lines"].as_u64() >= Some(lines) && index["behind_bytes"] == 0
    });
    assert!(done, "{lines} lines are not indexed: {:#}", index(rig));
}

/// The examples of the manual, before and after the index has the lines.
#[test]
fn the_examples_of_the_manual_work() {
    let rig = prints(Rig::new(), "api", LINES);
    let rig = prints(
        rig,
        "web",
        "{\"level\":\"error\",\"msg\":\"upstream gone\"}\n",
    );
    let lines: Vec<&str> = LINES.lines().collect();
    for round in 0..2 {
        assert_eq!(
            found(&rig, &["api", "--search", "disk AND full"]),
            [lines[0]]
        );
        assert_eq!(found(&rig, &["api", "--search", "http://x:80"]), [lines[3]]);
        assert_eq!(found(&rig, &["api", "--search", "don't"]), [lines[4]]);
        assert_eq!(
            found(&rig, &["api", "--search", "\"slow query\""]),
            [lines[2]]
        );
        assert_eq!(
            found(&rig, &["api", "--where", "level = 'error'"]),
            [lines[0], lines[3]]
        );
        assert_eq!(
            found(
                &rig,
                &[
                    "--where",
                    "process = 'api' AND ts > datetime('now','-1 hour') AND status >= 500"
                ]
            ),
            [lines[0], lines[2]]
        );
        assert_eq!(found(&rig, &["api", "--where", "user.id = u7"]), [lines[0]]);
        assert_eq!(
            found(&rig, &["api", "--level", "warn"]),
            [lines[0], lines[2], lines[3]]
        );
        assert_eq!(
            found(&rig, &["api", "--search", "slow", "--context", "1"]),
            [lines[1], lines[2], lines[3]]
        );
        assert_eq!(
            found(
                &rig,
                &[
                    "api",
                    "--level",
                    "error",
                    "--search",
                    "disk OR open",
                    "--grep",
                    "http"
                ]
            ),
            [lines[3]]
        );
        let counted = rig.ok(&[
            "logs",
            "--where",
            "level=error",
            "--since",
            "1h",
            "--count-by",
            "process",
        ]);
        let rows: Vec<Vec<&str>> = counted
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows,
            [
                ["VALUE", "COUNT", "SHARE"],
                ["api", "2", "66.7%"],
                ["web", "1", "33.3%"]
            ]
        );
        let counted = rig.json(&["logs", "api", "--count-by", "status"]);
        assert_eq!(counted["counts"][0]["count"], 3, "{counted}");
        let page = rig.json(&["logs", "api", "--search", "disk"]);
        assert_eq!(page["lines"][0]["fields"]["user.id"], "u7", "{page}");
        assert_eq!(page["lines"][0]["level"], "error");
        let csv = rig.ok(&["logs", "api", "--search", "listening", "--format", "csv"]);
        let csv: Vec<&str> = csv.lines().collect();
        assert_eq!(csv[0], "ts,process,instance,stream,level,message");
        assert!(
            csv[1].ends_with(",api,0,out,,Server listening on :3000"),
            "{csv:?}"
        );
        let jsonl = rig.ok(&["logs", "api", "--level", "warn", "--format", "jsonl"]);
        assert_eq!(jsonl.lines().count(), 3);
        let best = found(
            &rig,
            &["api", "--search", "disk OR query", "--rank", "-n", "1"],
        );
        assert_eq!(best.len(), 1);
        if round == 0 {
            until_indexed(&rig, 7);
        }
    }
}

/// Mistakes have their place under them, and nothing found is no failure.
#[test]
fn mistakes_are_explained() {
    let rig = prints(Rig::new(), "api", LINES);
    let said = rig.fails(2, &["logs", "--where", "status >"]);
    assert!(said.contains("expected a value, found the end"), "{said}");
    assert!(said.contains("status >\n"), "{said}");
    assert!(said.contains("        ^"), "{said}");
    let said = rig.fails(2, &["logs", "--level", "loud"]);
    assert!(
        said.contains("trace, debug, info, warn, error, fatal"),
        "{said}"
    );
    let said = rig.fails(2, &["logs", "--count-by", "a; b"]);
    assert!(said.contains("nothing to count by"), "{said}");
    rig.fails(3, &["logs", "nobody", "--search", "x"]);
    assert_eq!(rig.ok(&["logs", "--search", "\" OR NEAR("]), "");
    let refused = rig
        .rpc("logs.query", json!({ "where": "a = ' OR 1=1" }))
        .unwrap();
    assert_eq!(refused["error"]["data"]["kind"], "invalid");
    assert_eq!(refused["error"]["data"]["details"][1], "    ^");
}

/// While a program floods, a line that was just printed is found; after the daemon was killed
/// in the flood no line is missing, and the index catches up.
#[test]
fn a_flood_hides_nothing_and_a_kill_loses_nothing() {
    const LINES: u64 = 300_000;
    let rig = Rig::new();
    rig.ok(&[
        "start",
        &format!("puppet spew {LINES} --bytes 80"),
        "--name",
        "flood",
        "--no-autorestart",
        "--no-wait",
    ]);
    until("the flood has begun", || !rig.lines("flood").is_empty());
    let rig = prints(rig, "needle", "a needle in the hay\n");
    assert_eq!(
        found(&rig, &["--search", "needle"]),
        ["a needle in the hay"]
    );
    rig.kill_daemon();
    assert_eq!(
        found(&rig, &["needle", "--search", "needle"]),
        ["a needle in the hay"]
    );
    let all = || {
        let counted = rig.json(&["logs", "flood", "--count-by", "process"]);
        counted["counts"][0]["count"].as_u64().unwrap_or(0)
    };
    let kept = wait_until(4 * PATIENCE, || all() == LINES);
    assert!(kept, "{} of {LINES} lines are kept", all());
    until_indexed(&rig, LINES + 1);
    assert_eq!(all(), LINES);
    assert_eq!(index(&rig)["lines"], LINES + 1);
    assert_eq!(found(&rig, &["flood", "--search", "299999"]).len(), 1);
}

/// The index is deleted under the daemon: questions are answered, and it comes back.
#[test]
fn a_deleted_index_is_made_anew() {
    let rig = prints(Rig::new(), "api", LINES);
    until_indexed(&rig, 6);
    let file = rig.home().path().join("logs/logs.sqlite");
    for _ in 0..2 {
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found(&rig, &["--search", "disk"]).len(), 1);
        rig.ok(&["logs", "reindex"]);
        until_indexed(&rig, 6);
        assert!(file.exists());
        assert_eq!(found(&rig, &["--search", "disk"]).len(), 1);
    }
    let view = rig.json(&["logs", "reindex"]);
    assert_eq!(view["index"]["lines"], 6, "{view}");
}

/// The kinds of lines of a process, with their counts.
#[test]
fn the_kinds_of_lines_are_counted() {
    let mut lines: Vec<String> = (0..30)
        .map(|n| format!("request {n} took {} ms", n * 7))
        .collect();
    lines.push("Server listening on :3000".into());
    let rig = prints(Rig::new(), "api", &(lines.join("\n") + "\n"));
    until_indexed(&rig, 31);
    let shown = rig.ok(&["logs", "api", "--templates"]);
    let rows: Vec<&str> = shown.lines().collect();
    assert!(
        rows[0].starts_with("COUNT") && rows[0].contains("PATTERN"),
        "{shown}"
    );
    assert!(
        rows[1].starts_with("30") && rows[1].contains("request <*> took <*>"),
        "{shown}"
    );
    assert_eq!(rows.len(), 3, "{shown}");
    let json = rig.json(&["logs", "api", "--templates", "--since", "1h"]);
    assert_eq!(json["templates"][0]["count"], 30, "{json}");
    rig.kill_daemon();
    until_indexed(&rig, 31);
    let json = rig.json(&["logs", "api", "--templates"]);
    assert_eq!(json["templates"][0]["count"], 30, "{json}");
}

/// Filters hold for followers, too.
#[test]
fn a_follower_filters() {
    let rig = Rig::new();
    let script = rig.path("talk.sh");
    rig.write(
        "talk.sh",
        "n=0\nwhile :; do n=$((n+1)); echo \"{\\\"level\\\":\\\"info\\\",\\\"n\\\":$n}\"; echo \"odd word $n\"; sleep 0.02; done\n",
    );
    let rig = rig.running("talk", &format!("sh {}", script.display()));
    let condition = rig.spawn_into(
        "condition",
        &["logs", "talk", "-f", "--raw", "--where", "n > 10"],
    );
    let search = rig.spawn_into(
        "search",
        &["logs", "talk", "-f", "--raw", "--search", "odd NOT 12"],
    );
    let followed = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(rig.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    until("both follow", || {
        followed("condition").len() > 20 && followed("search").len() > 20
    });
    rig.kill_daemon();
    let before = followed("condition").len();
    until("they go on", || followed("condition").len() > before + 20);
    drop((condition, search));
    for (at, line) in followed("condition").iter().enumerate() {
        assert_eq!(*line, format!("{{\"level\":\"info\",\"n\":{}}}", at + 11));
    }
    let lines = followed("search");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("odd word") && line != "odd word 12")
    );
}

/// Low levels go, with their rows and counts; what is worse stays.
#[test]
fn levels_are_kept_as_long_as_the_settings_say() {
    let rig = prints(Rig::new(), "api", LINES);
    // Only now: else they might be gone before anybody has seen them.
    rig.settings_now(
        "[logs]\nretention_info = \"1s\"\nretention_default = \"1s\"\nretention_warn = \"1h\"\n",
    );
    let lines: Vec<&str> = LINES.lines().collect();
    let grave = [lines[0], lines[2], lines[3]];
    until("low levels are gone", || found(&rig, &["api"]) == grave);
    assert_eq!(
        found(&rig, &["api", "--search", "disk OR slow"]),
        grave[..2]
    );
    until("their rows, too", || index(&rig)["lines"] == 3);
    let counted = rig.json(&["logs", "api", "--count-by", "level"]);
    assert_eq!(counted["counts"][0]["count"], 2, "{counted}");
    let kinds = rig.json(&["logs", "api", "--templates"]);
    assert_eq!(
        kinds["templates"].as_array().map(Vec::len),
        Some(3),
        "{kinds}"
    );
    assert_eq!(
        kinds["templates"][0]["trend"]["counts"],
        json!([1]),
        "{kinds}"
    );
}

/// A kind of line that was never seen is an event, with a level that says it is worth one.
#[test]
fn a_new_kind_of_line_is_an_event() {
    let rig = prints(Rig::new(), "api", LINES);
    let told = || -> Vec<String> {
        let events = rig.events("api");
        let new = events.iter().filter(|event| event["kind"] == "new_pattern");
        new.map(|event| {
            event["data"]["pattern"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
    };
    until("warnings and errors are told", || told().len() == 3);
    let told = told().join("\n");
    assert!(
        told.contains("disk is full") && told.contains("cannot open"),
        "{told}"
    );
    assert!(!told.contains("request done"), "{told}");
    assert!(rig.ok(&["history", "api"]).contains("new_pattern"));
}
