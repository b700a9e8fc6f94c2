//! What lines mean.

use proptest::prelude::*;

use super::*;

fn level_of(line: &str) -> Option<Level> {
    parse(line).level
}

#[test]
fn levels_of_plain_lines() {
    for (line, level) in [
        ("[ERROR] no disk", Some(Level::Error)),
        ("ERROR: no disk", Some(Level::Error)),
        ("ERROR no disk", Some(Level::Error)),
        ("error: no disk", Some(Level::Error)),
        ("Warning: old", Some(Level::Warn)),
        ("INFO:root:started", Some(Level::Info)),
        ("WARN[0003] slow", Some(Level::Warn)),
        ("2026-03-28 14:32:01,123 ERROR x", Some(Level::Error)),
        ("2026-03-28T14:32:01Z  INFO app: x", Some(Level::Info)),
        ("[2026-03-28T14:32:01Z DEBUG app] x", Some(Level::Debug)),
        ("2026/03/28 14:32:01 [crit] 12#0: x", Some(Level::Fatal)),
        ("14:32:01 error x", Some(Level::Error)),
        ("[main] [worker-1] TRACE x", Some(Level::Trace)),
        (
            "\u{1b}[2m2026-03-28T14:32:01Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m x",
            Some(Level::Info),
        ),
        (
            "panic: runtime error: index out of range",
            Some(Level::Fatal),
        ),
        ("CRITICAL - it burns", Some(Level::Fatal)),
        ("error connecting to the database", None),
        ("An ERROR occurred", None),
        ("information is power", None),
        ("errors: 5", None),
        ("200 OK", None),
        ("", None),
        ("    ", None),
        ("[", None),
    ] {
        assert_eq!(level_of(line), level, "{line:?}");
    }
}

#[test]
fn aliases_and_pino_numbers() {
    for (word, level) in [
        ("dbg", Level::Debug),
        ("WARNING", Level::Warn),
        ("err", Level::Error),
        ("crit", Level::Fatal),
        ("Critical", Level::Fatal),
        ("panic", Level::Fatal),
    ] {
        assert_eq!(Level::parse(word), Some(level));
    }
    for (number, level) in [
        (10, Level::Trace),
        (30, Level::Info),
        (50, Level::Error),
        (60, Level::Fatal),
    ] {
        let line = format!(r#"{{"level":{number},"msg":"x"}}"#);
        assert_eq!(level_of(&line), Some(level));
    }
    assert!(Level::Trace < Level::Debug && Level::Error < Level::Fatal);
    for level in Level::ALL {
        assert_eq!(Level::of_rank(i64::from(level.rank())), Some(level));
        assert_eq!(Level::parse(level.as_str()), Some(level));
    }
}

#[test]
fn json_records_are_taken_apart() {
    let record = parse(
        r#"{"time":1774708321123,"severity":"WARNING","msg":"slow \"q\"","http":{"status":503,"req":{"id":"a","deep":{"x":{"y":1}}}},"tags":["a",1],"ok":true,"none":null}"#,
    );
    assert_eq!(record.form, Form::Json);
    assert_eq!(record.level, Some(Level::Warn));
    assert_eq!(record.message, "slow \"q\"");
    assert_eq!(record.time.unwrap().as_millisecond(), 1_774_708_321_123);
    let fields: Vec<String> = record
        .fields
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        fields,
        [
            "http.status=503",
            "http.req.id=\"a\"",
            "http.req.deep.x={\"y\":1}",
            "tags=[\"a\",1]",
            "ok=true",
            "none=null"
        ]
    );
    assert_eq!(
        record.search_text().trim_end(),
        "slow \"q\" 503 a 1  a 1  true"
    );
}

#[test]
fn the_best_key_wins_and_the_others_become_fields() {
    let record = parse(
        r#"{"text":"t","msg":"m","message":"M","lvl":"info","level":"error","ts":1,"timestamp":"2026-03-28T14:32:01Z"}"#,
    );
    assert_eq!(record.message, "M");
    assert_eq!(record.level, Some(Level::Error));
    assert_eq!(record.time.unwrap().to_string(), "2026-03-28T14:32:01Z");
    assert_eq!(record.field("text"), Some(&Value::from("t")));
    assert_eq!(record.field("msg"), Some(&Value::from("m")));
    assert_eq!(record.field("lvl"), Some(&Value::from("info")));
    assert!(record.field("ts").is_some());
    // A level nobody knows is a field, and the next key is asked.
    let record = parse(r#"{"level":"loud","severity":"err"}"#);
    assert_eq!(record.level, Some(Level::Error));
    assert_eq!(record.field("level"), Some(&Value::from("loud")));
    assert_eq!(record.message, r#"{"level":"loud","severity":"err"}"#);
}

#[test]
fn at_most_64_fields() {
    let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
    let line = format!("{{{},\"level\":\"error\"}}", many.join(","));
    let record = parse(&line);
    assert_eq!(record.fields.len(), MAX_FIELDS);
    assert_eq!(record.level, Some(Level::Error));
}

#[test]
fn what_is_not_an_object_is_text() {
    for line in [
        r#"{"broken": "#,
        "{}x",
        "{1}",
        "[1,2]",
        r#"{"a":1} {"b":2}"#,
    ] {
        let record = parse(line);
        assert_eq!((record.form, &*record.message), (Form::Plain, line));
    }
    let deep = "{\"a\":".repeat(500);
    assert_eq!(parse(&deep).form, Form::Plain);
}

#[test]
fn logfmt_pairs_become_fields() {
    let record = parse(
        r#"time="2026-03-28T14:32:01Z" level=warn msg="it \"is\" slow" status=503 took=1.5 id=007 ok=true path=/a=b empty= q="5""#,
    );
    assert_eq!(record.form, Form::Logfmt);
    assert_eq!(record.level, Some(Level::Warn));
    assert_eq!(record.message, "it \"is\" slow");
    assert!(record.time.is_some());
    let fields: Vec<String> = record
        .fields
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        fields,
        [
            "status=503",
            "took=1.5",
            "id=\"007\"",
            "ok=true",
            "path=\"/a=b\"",
            "empty=\"\"",
            "q=\"5\""
        ]
    );
    let line = "request done status=200 took=12";
    let record = parse(line);
    assert_eq!((record.form, &*record.message), (Form::Logfmt, line));
    assert_eq!(record.search_text(), line);
    assert_eq!(record.field("status"), Some(&Value::from(200)));
    // One pair in a sentence is a sentence; a comparison is none.
    assert_eq!(parse("took a=5 ms").form, Form::Plain);
    assert_eq!(parse("if a==b and c==d").form, Form::Plain);
    assert_eq!(level_of("level=error"), Some(Level::Error));
    assert_eq!(level_of("ERROR a=1 b=2"), Some(Level::Error));
}

#[test]
fn times_by_magnitude() {
    for (text, ms) in [
        ("1774708321", 1_774_708_321_000),
        ("1774708321.5", 1_774_708_321_500),
        ("1774708321123", 1_774_708_321_123),
        ("1774708321123456", 1_774_708_321_123),
        ("1774708321123456789", 1_774_708_321_123),
        ("\"1774708321\"", 1_774_708_321_000),
        ("\"2026-03-28T16:32:01.123+02:00\"", 1_774_708_321_123),
    ] {
        let line = format!(r#"{{"ts":{text},"msg":""}}"#);
        let time = parse(&line).time.map(|time| time.as_millisecond());
        assert_eq!(time, Some(ms), "{text}");
    }
    assert_eq!(parse(r#"{"time":"later","msg":"x"}"#).time, None);
}

#[test]
fn exceptions_on_standard_error_are_errors() {
    for line in [
        "Traceback (most recent call last):",
        "TypeError: x is not a function",
        "java.lang.NullPointerException: null",
        "std::runtime_error",
        "Exception in thread \"main\" x",
        "thread 'main' panicked at src/main.rs:1:1:",
        "Uncaught Error: x",
    ] {
        let record = parse(line);
        let expected = (!line.starts_with("std")).then_some(Level::Error);
        assert_eq!(record.severity(Stream::Err), expected, "{line}");
    }
    assert_eq!(parse("TypeError: x").severity(Stream::Out), None);
    for line in [
        "    at foo (a.js:1:2)",
        "listening",
        "  File \"x.py\", line 3",
    ] {
        assert_eq!(parse(line).severity(Stream::Err), None, "{line}");
    }
    assert_eq!(parse("[INFO] x").severity(Stream::Err), Some(Level::Info));
}

/// Text made of the pieces that mean something to the parsers.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "=",
        "==",
        " ",
        "\\",
        "level",
        "msg",
        "time",
        "ts",
        "null",
        "1e999",
        "-",
        "0",
        "99999999999999999999",
        "error",
        "ERROR",
        "\u{1b}[",
        "é",
        "\u{0}",
        "🦀",
        "\u{1b}",
        "at ",
        "Error:",
        ".",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", pieces in hostile()) {
        for line in [&text, &pieces, &format!("{{{pieces}}}")] {
            let record = parse(line);
            prop_assert!(record.fields.len() <= MAX_FIELDS);
            let _ = (record.search_text().len(), record.severity(Stream::Err));
        }
    }

}

proptest! {
    // Long records are slow to make.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_json_reads_is_read(map in prop::collection::hash_map("[a-z.@]{1,8}", "\\PC{0,12}", 0..70)) {
        let line = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(parse(&line).form, Form::Json);
    }
}

/// Random lines out of the pieces of all three forms: every one is a record within its
/// bounds, whatever it is asked for.
#[test]
fn random_lines_are_records() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "=",
        " ",
        "\t",
        "\\",
        "\\u0041",
        "\\ud800",
        "null",
        "true",
        "1e999",
        "-0",
        "18446744073709551616",
        "level",
        "\"level\":",
        "lvl=",
        "msg=",
        "\"msg\":\"",
        "ERROR",
        "[warn]",
        "FATAL:",
        "time=",
        "2026-03-28T14:32:01Z",
        "a.b.c",
        "{\"a\":",
        "é",
        "🦀",
        "\u{0}",
        "\u{1b}[31m",
        "\r",
        "\u{202e}",
        "Traceback",
        "at x (y:1)",
    ];
    let mut seed = 3_u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut forms = [0; 3];
    for _ in 0..crate::logs::tests::random_rounds() {
        let line: String = (0..next(24)).map(|_| pieces[next(pieces.len())]).collect();
        let line = if next(2) == 0 {
            format!("{{{line}")
        } else {
            line
        };
        let record = parse(&line);
        assert!(record.fields.len() <= MAX_FIELDS, "{line:?}");
        let _ = (
            record.search_text(),
            record.severity(Stream::Err),
            record.time,
        );
        forms[record.form as usize] += 1;
    }
    assert!(forms.iter().all(|count| *count > 0), "{forms:?}");
}

/// A number that is too great for a machine leaves the line JSON, and is kept as its text.
#[test]
fn huge_numbers_are_kept_as_text() {
    let line = r#"{"level":"warn","n":1e400,"msg":"full","deep":{"m":[-1e999,2]}}"#;
    let record = parse(line);
    assert_eq!(record.form, Form::Json);
    assert_eq!(
        (record.level, &*record.message),
        (Some(Level::Warn), "full")
    );
    assert_eq!(record.field("n"), Some(&Value::from("1e400")));
    assert_eq!(
        record.field("deep.m"),
        Some(&serde_json::json!(["-1e999", 2]))
    );
    let bare = parse(r#"{"n":1e400}"#);
    assert_eq!(
        (bare.has_message(), &*bare.message),
        (false, r#"{"n":1e400}"#)
    );
    assert_eq!(parse(r#"{"n":1e400"#).form, Form::Plain);
}

/// Levels in quotes are numbers, too.
#[test]
fn numbers_of_levels_may_be_text() {
    for line in [
        r#"{"level":"60","msg":"x"}"#,
        "level=60 msg=x",
        r#"level="60" msg=x"#,
    ] {
        let record = parse(line);
        assert_eq!(record.level, Some(Level::Fatal), "{line}");
        assert_eq!(record.field("level"), None, "{line}");
    }
    let record = parse(r#"{"level":"7","msg":"x"}"#);
    assert_eq!(
        (record.level, record.field("level")),
        (None, Some(&Value::from("7")))
    );
}
