//! Conditions: what is understood, what is not, and that both ways of asking agree.

use proptest::prelude::*;
use rusqlite::{Connection, params_from_iter};

use super::*;
use crate::logs::record;
use crate::paths::Stream;

const NOW: i64 = 1_774_708_321_123;

fn subject<'a>(record: &'a record::Record<'a>, ts_ms: i64) -> Subject<'a> {
    Subject {
        ts_ms,
        process: "api",
        instance: 2,
        stream: Stream::Err,
        level: record.severity(Stream::Err),
        record,
    }
}

fn holds(text: &str, line: &str) -> bool {
    let record = record::parse(line);
    let expr = Expr::parse(text, NOW).unwrap_or_else(|error| panic!("{text}: {error}"));
    expr.holds(&subject(&record, NOW - 1_000))
}

const LINE: &str = r#"{"level":"error","msg":"disk full","status":503,"took":1.5,"http":{"path":"/a"},"ok":true,"code":"17","none":null}"#;

#[test]
fn conditions_hold_or_not() {
    for text in [
        "level = 'error'",
        "level=error AND status>=500",
        "level >= warn",
        "LEVEL IN (error, fatal)",
        "level = 50",
        "process = 'api' AND ts > datetime('now','-1 hour')",
        "ts > now - 1h",
        "ts > now-2s and ts < now",
        "ts between '2026-03-28 00:00' and '2026-03-29T00:00:00Z'",
        "ts > 1774708000",
        "name = api",
        "instance = 2 and stream = err",
        "msg like '%FULL'",
        "message ~ '^disk'",
        "status between 500 and 599",
        "status in (1, 503)",
        "status not in (1, 2)",
        "NOT status < 500",
        "status = '503'",
        "took > 1.4",
        "http.path = /a",
        "ok = true",
        "none is null and nowhere is null and status is not null",
        "code = 17",
        "code > 16",
        "(status = 1 or status = 503) and not (ok = false)",
        "level like 'err%'",
        "status ~ '^5'",
        "status like '50_'",
    ] {
        assert!(holds(text, LINE), "{text}");
    }
    for text in [
        "status < 500",
        "nowhere = 1",
        "not nowhere = 1",
        "nowhere != 1",
        "level > error",
        "level is null",
        "took = 1",
        "status not between 500 and 599",
        "msg not like '%full'",
        "process = 'web' or stream = out",
    ] {
        assert!(!holds(text, LINE), "{text}");
    }
}

#[test]
fn errors_have_a_caret_under_their_place() {
    let caret = |text: &str| {
        let error = Expr::parse(text, NOW).expect_err(text);
        format!("{error}\n{}", error.caret().join("\n"))
    };
    assert_eq!(
        caret("level = "),
        "expected a value, found the end\nlevel = \n        ^"
    );
    assert_eq!(
        caret("level = loud AND x = 1"),
        "a level is one of trace, debug, info, warn, error, fatal\nlevel = loud AND x = 1\n        ^"
    );
    assert_eq!(
        caret("a=1 AND AND b=2"),
        "expected the name of a field, found `AND`\na=1 AND AND b=2\n        ^"
    );
    assert_eq!(
        caret("or level=error"),
        "expected the name of a field, found `or`\nor level=error\n^"
    );
    assert_eq!(
        caret("é = 1 AND (b = 2"),
        "expected `)`, found the end\né = 1 AND (b = 2\n                ^"
    );
    assert_eq!(
        caret("漢 = 1 AND (b = 2").lines().last(),
        Some("                 ^"),
        "a wide character takes two columns"
    );
    for text in [
        "",
        " ",
        "(",
        ")",
        "a",
        "a b",
        "a =",
        "= 1",
        "a = 'x",
        "a in ()",
        "a in (1",
        "a like",
        "a between 1",
        "a is 1",
        "a not 1",
        "a = 1 b",
        "a ~ '('",
        "ts = 'x'",
        "ts > now - x",
        "1 = 1",
        "a = 1; DROP TABLE rows",
        "a'b = 1",
        "datetime('now') = 1",
        "ts > datetime(now)",
        "ts > datetime('now', 'x')",
        "a = 1 AND",
        "not",
        "a \"b\"",
    ] {
        assert!(Expr::parse(text, NOW).is_err(), "{text}");
    }
    assert!(Expr::parse(&"(".repeat(100_000), NOW).is_err());
    assert!(Expr::parse(&"not ".repeat(4_000), NOW).is_err());
}

#[test]
fn text_of_users_is_never_sql() {
    let expr = Expr::parse("stream = 'x'' OR 1=1 --' and process like '%;%'", NOW).unwrap();
    let sql = expr.sql().unwrap();
    assert_eq!(sql.text, "((s.stream = ?) AND (s.process LIKE ?))");
    assert_eq!(sql.params.len(), 2);
    assert!(
        Expr::parse("msg = 1 or a = 1", NOW)
            .unwrap()
            .sql()
            .is_none()
    );
}

/// Asks the index's tables, with one line in them.
fn in_sql(db: &Connection, expr: &Expr, line: &str, ts_ms: i64) -> Option<bool> {
    let sql = expr.sql()?;
    let record = record::parse(line);
    let subject = subject(&record, ts_ms);
    db.execute("DELETE FROM rows", []).unwrap();
    db.execute(
        "INSERT INTO rows VALUES (?, 1, ?)",
        (ts_ms, subject.level.map(Level::rank)),
    )
    .unwrap();
    let text = format!(
        "SELECT count(*) FROM rows r JOIN streams s ON s.id = r.stream WHERE {}",
        sql.text
    );
    let count: i64 = db
        .query_row(&text, params_from_iter(&sql.params), |row| row.get(0))
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    Some(count == 1)
}

fn tables() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE streams (id INTEGER PRIMARY KEY, process TEXT, instance INTEGER, stream TEXT);
         CREATE TABLE rows (ts INTEGER, stream INTEGER, level INTEGER);
         INSERT INTO streams VALUES (1, 'api', 2, 'err');",
    )
    .unwrap();
    db
}

fn condition() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "status",
        "took",
        "code",
        "ok",
        "none",
        "nowhere",
        "http.path",
        "level",
        "process",
        "instance",
        "stream",
        "tags",
    ]);
    let op = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let value = prop::sample::select(vec![
        "1", "503", "-2", "1.5", "'17'", "17", "abc", "true", "false", "'true'", "/a", "api", "2",
        "err", "'A%'", "''",
    ]);
    let level = prop::sample::select(vec!["warn", "error", "info", "50"]);
    let simple = (field, op, value.clone(), value, level, 0..6).prop_map(
        |(field, op, a, b, level, form)| {
            let (a, b) = match field {
                "level" => (level, level),
                _ => (a, b),
            };
            match form {
                0 => format!("{field} in ({a}, {b})"),
                1 => format!("{field} not between {a} and {b}"),
                2 => format!("{field} is null"),
                3 if field != "took" => format!("{field} like {a}"),
                _ => format!("{field} {op} {a}"),
            }
        },
    );
    simple.prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), inner, 0..3).prop_map(|(a, b, form)| match form {
            0 => format!("({a} AND {b})"),
            1 => format!("({a} OR {b})"),
            _ => format!("NOT ({a})"),
        })
    })
}

fn a_line() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "1",
        "503",
        "-2",
        "1.5",
        "\"17\"",
        "17",
        "\"abc\"",
        "true",
        "false",
        "null",
        "\"/a\"",
        "[1,\"x\"]",
        "\"\"",
        "18446744073709551615",
        "\"true\"",
    ]);
    (value.clone(), value.clone(), value.clone(), value).prop_map(|(a, b, c, d)| {
        format!(r#"{{"level":"warn","msg":"m","status":{a},"took":{b},"code":{c},"http":{{"path":{d}}},"ok":{a},"tags":{b},"none":null}}"#)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn index_and_scan_agree(text in condition(), line in a_line()) {
        thread_local!(static TABLES: Connection = tables());
        let expr = Expr::parse(&text, NOW).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        let record = record::parse(&line);
        let scanned = expr.holds(&subject(&record, NOW));
        let indexed = TABLES.with(|db| in_sql(db, &expr, &line, NOW));
        if let Some(indexed) = indexed {
            prop_assert_eq!(indexed, scanned, "{} on {}", text, line);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let record = record::parse(LINE);
        match Expr::parse(&text, NOW) {
            Ok(expr) => { expr.holds(&subject(&record, NOW)); expr.sql(); }
            Err(error) => prop_assert_eq!(error.caret().len(), 2),
        }
    }
}

/// 100,000 random texts out of the pieces of the grammar: no crash, and every one that is
/// understood is also valid SQL.
#[test]
fn random_conditions_never_become_broken_sql() {
    let pieces = [
        "a",
        "level",
        "ts",
        "msg",
        "process",
        "=",
        "==",
        "!=",
        "<>",
        "<",
        "<=",
        "~",
        "(",
        ")",
        ",",
        "'",
        "\"",
        "''",
        "AND",
        "or",
        "NOT",
        "in",
        "like",
        "BETWEEN",
        "is",
        "null",
        "now",
        "-1h",
        "- 1h",
        "datetime(",
        "'now'",
        "1",
        "1e9",
        "-",
        ".",
        "error",
        "%",
        ";--",
        "\u{0}",
        "é",
        "true",
        "$.x",
        "a.b-c",
    ];
    let db = tables();
    let mut seed = 42_u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let record = record::parse(LINE);
    let mut understood = 0;
    // Most are refused, which is quick.
    for _ in 0..5 * crate::logs::tests::random_rounds() {
        let count = next(12);
        let words: Vec<&str> = (0..count).map(|_| pieces[next(pieces.len())]).collect();
        let text = words.join(if next(3) == 0 { "" } else { " " });
        if let Ok(expr) = Expr::parse(&text, NOW) {
            understood += 1;
            let scanned = expr.holds(&subject(&record, NOW));
            if let Some(indexed) = in_sql(&db, &expr, LINE, NOW) {
                assert_eq!(indexed, scanned, "{text}");
            }
        }
    }
    assert!(understood > 100, "{understood}");
}
