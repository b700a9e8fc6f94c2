//! `mhost ai`: figures first, then what a model says, or why it says nothing.

use serde_json::{Value, json};

use crate::fake::Fake;

fn with_note(mut answer: Value) -> Value {
    answer["prose"] = Value::Null;
    answer["note"] = json!("no model is set up: run mhost ai setup");
    answer["note_code"] = json!("not_set_up");
    answer
}

fn outlook() -> Value {
    json!({ "at": "2026-03-28T12:00:00Z", "outlook": [
        { "process": "leaker", "risk": 0.95, "level": "high", "in_next_ms": 61_000.0,
          "reasons": ["memory grows by 10GB an hour: 54MB of 64MB, at its limit in 1m 1s"], "signs": {} },
        { "process": "api", "risk": 0.018, "level": "low", "in_next_ms": 3_600_000.0,
          "reasons": ["nothing points to trouble"], "signs": {} },
        { "process": "dead", "risk": 1.0, "level": "down", "in_next_ms": 0.0,
          "reasons": ["is down: errored (held)"], "signs": {} },
    ]})
}

/// Without a model there are the figures, a note on stderr, and exit code 0.
#[test]
fn figures_stand_alone_with_a_note() {
    let fake = Fake::new([("ai.predict", Ok(with_note(outlook())))]);
    let (code, out, err) = fake.run(&["ai", "predict"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!("ai_predict", out);
    assert_eq!(
        err,
        "These are mhost's own figures; no model is set up: run mhost ai setup\n"
    );
    assert_eq!(fake.asked("ai.predict"), json!({ "stream": true }));
}

/// What a model says follows the figures, and moves no cursor.
#[test]
fn words_of_a_model_are_harmless() {
    let mut answer = outlook();
    answer["prose"] = json!("Restart leaker.\u{1b}[2J\nSoon.");
    answer["by"] = json!({ "provider": "ollama", "model": "tiny\u{7}" });
    answer["usage"] = json!({ "prompt_tokens": 90, "answer_tokens": 10, "estimated": false });
    let fake = Fake::new([("ai.predict", Ok(answer))]);
    let (code, out, err) = fake.run(&["ai", "predict"]);
    assert_eq!(code, 0);
    assert!(out.contains("Restart leaker."), "{out}");
    assert!(
        !out.contains('\u{1b}') && !err.contains('\u{7}'),
        "{out}{err}"
    );
    assert!(err.contains("of ollama, 100 tokens"), "{err}");
    let (_, out, err) = fake.run(&["ai", "predict", "--json"]);
    assert_eq!(err, "");
    let value: Value = serde_json::from_str(&out).expect("one value");
    assert_eq!(value["outlook"][0]["process"], "leaker");
}

/// `--show-context` prints what would be sent, and nothing else happens.
#[test]
fn the_context_is_shown_instead() {
    let fake = Fake::new([(
        "ai.report",
        Ok(json!({ "context": "── system\nYou are\u{1b}[1m …\n" })),
    )]);
    let (code, out, _) = fake.run(&["ai", "report", "--show-context"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("── system"), "{out}");
    assert!(!out.contains('\u{1b}'));
    assert_eq!(fake.asked("ai.report")["show_context"], true);
    assert_eq!(fake.asked("ai.report")["stream"], Value::Null);
}

/// A picture of each list.
#[test]
fn lists_have_the_documented_columns() {
    let fake = Fake::new([
        (
            "ai.anomaly",
            Ok(with_note(json!({
                "anomalies": [
                    { "severity": "critical", "process": "api", "what": "error rate is high: 12.0/min",
                      "evidence": "z = 99.0; 0.0/min ± 0.0/min over the last 24 hours (24 values)", "z": 99.0 },
                    { "severity": "info", "process": "api", "what": "new kind of line: cache miss for <*>",
                      "evidence": "event:41", "z": null },
                ],
                "watched": [{ "process": "api", "figures": [
                    { "figure": "cpu", "now": 1.0, "z": 0.1, "basis": "day", "values": 24 },
                    { "figure": "latency", "now": 1.0, "z": null, "basis": null, "values": 2 },
                ]}],
            }))),
        ),
        (
            "ai.suggest",
            Ok(with_note(json!({
                "suggestions": [{ "weight": "high", "process": "db", "what": "add a health probe",
                    "why": "2 processes depend on it", "how": "[process.db.health.tcp] port = 5432" }],
                "processes": 3,
            }))),
        ),
        (
            "ai.optimize",
            Ok(with_note(json!({
                "process": "api",
                "suggestions": [{ "key": "max_memory", "now": "1GB", "better": "104MB",
                    "why": "99 of 100 samples of 1d were at most 80MB" }],
                "diff": " [process.api]\n-max_memory = \"1GB\"\n+max_memory = \"104MB\"\n",
                "seen": { "seconds": 86_400.0, "samples": 17_280 },
            }))),
        ),
        (
            "ai.compare",
            Ok(with_note(json!({
                "process": "api", "verdict": "worse",
                "reasons": ["more crashes: 0 before, 3 after"],
                "new": [{ "pattern": "error in <*>", "before": 0.0, "after": 1.2, "grave": true }],
                "gone": [], "changed": [{ "pattern": "GET <*>", "before": 100.0, "after": 20.0, "grave": false }],
                "deltas": [{ "figure": "crashes", "before": 0.0, "after": 3.0, "text": "0 → 3" }],
            }))),
        ),
    ]);
    let views = [
        &["ai", "watch"][..],
        &["ai", "suggest"],
        &["ai", "optimize", "api"],
        &["ai", "compare", "api", "1h", "10m"],
    ];
    let mut all = String::new();
    for args in views {
        let (code, out, _) = fake.run(args);
        assert_eq!(code, 0, "{args:?}");
        all.push_str(&format!("$ mhost {}\n{out}\n", args.join(" ")));
    }
    insta::assert_snapshot!("ai_lists", all);
    let spans = fake.asked("ai.compare");
    assert_eq!(spans["before"]["to"], spans["after"]["from"]);
}

/// A model's values are shown as a diff; nothing is written without `--apply`.
#[test]
fn a_fix_is_shown_and_a_confirmation_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mhost.toml");
    std::fs::write(&file, "[process.api]\ncommand = \"sleep 60\"\n").expect("written");
    let fake = Fake::new([(
        "ai.fix",
        Ok(json!({
            "process": "api", "explanation": "It needs\u{1b}[31m more.",
            "changes": [{ "key": "max_memory", "now": null, "value": "128MB", "why": "it uses 100MB" }],
            "refused": [{ "key": "command", "why": "a model may not change it" }],
            "diff": " [process.api]\n+max_memory = \"128MB\"\n", "project": file, "prose": null,
        })),
    )]);
    let (code, out, err) = fake.run(&["ai", "fix", "api"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("+max_memory = \"128MB\"") && !out.contains('\u{1b}'),
        "{out}"
    );
    assert!(err.contains("left out `command`"), "{err}");
    let (code, _, err) = fake.run(&["ai", "fix", "api", "--apply"]);
    assert_eq!(code, 2, "there is no terminal to ask on: {err}");
    let text = std::fs::read_to_string(&file).expect("read");
    assert_eq!(text, "[process.api]\ncommand = \"sleep 60\"\n");
}

/// What is nothing without a model says so, with what to do, and fails.
#[test]
fn without_a_model_there_is_a_hint() {
    let refused = || {
        Err(json!({ "code": -32008, "message":
            "`ai explain` is not available: it needs a model, and no model is set up: run: mhost ai setup" }))
    };
    let fake = Fake::new([("ai.explain", refused()), ("ai.config", refused())]);
    for args in [
        &["ai", "explain", "api"][..],
        &["ai", "config", "a web server"],
    ] {
        let (code, out, err) = fake.run(args);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        assert!(err.contains("mhost ai setup"), "{err}");
    }
}

/// A report can go to a file as a whole.
#[test]
fn a_report_is_written_to_a_file() {
    let fake = Fake::new([(
        "ai.report",
        Ok(with_note(json!({ "markdown": "# mhost report\n" }))),
    )]);
    let (code, out, _) = fake.run(&["ai", "report", "--output", "report.md", "--since", "7d"]);
    assert_eq!((code, out.as_str()), (0, "✓ wrote report.md\n"));
    let text = std::fs::read_to_string(fake.folder.path().join("report.md")).expect("written");
    assert_eq!(text, "# mhost report\n");
    assert!(fake.asked("ai.report")["since"].is_string());
}

/// What was cut is not shown as whole.
#[test]
fn a_cut_answer_is_told_as_such() {
    for (cut, words) in [
        ("length", "it reached its longest length"),
        ("filtered", "the provider withheld the rest"),
    ] {
        let mut answer = outlook();
        answer["prose"] = json!("Restart leaker, since");
        answer["by"] = json!({ "provider": "ollama", "model": "tiny" });
        answer["cut"] = json!(cut);
        let fake = Fake::new([("ai.predict", Ok(answer))]);
        let (code, _, err) = fake.run(&["ai", "predict"]);
        assert_eq!(code, 0);
        assert!(err.contains("was cut off") && err.contains(words), "{err}");
        let (_, out, _) = fake.run(&["ai", "predict", "--json"]);
        let value: Value = serde_json::from_str(&out).expect("one value");
        assert_eq!(value["cut"], cut);
        let answer = json!({ "answer": "It dies,", "evidence": [], "model": "ollama/tiny",
            "lookups": [], "rounds": 1, "usage": {}, "cut": cut });
        let fake = Fake::new([("ai.ask", Ok(answer))]);
        let (_, _, err) = fake.run(&["ai", "ask", "why?"]);
        assert!(err.contains("was cut off"), "{err}");
    }
}
