//! A Loki receiver, as strict as the push interface: path, headers, labels, order of times.

use std::collections::BTreeMap;

use serde_json::Value;
use supervisor::Stream;

use crate::http::{Asked, Server};
use crate::rig::{Rig, until};

/// The labels of a stream, and its lines with their times.
type Labelled = (BTreeMap<String, String>, Vec<(i128, String)>);

/// The lines of a push by the labels of their stream, after all checks.
fn strict(asked: &Asked) -> Vec<Labelled> {
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.target, "/loki/api/v1/push");
    assert_eq!(asked.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let streams = body["streams"].as_array().unwrap();
    assert!(!streams.is_empty());
    let mut found: Vec<Labelled> = Vec::new();
    for stream in streams {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(stream["stream"].clone()).unwrap();
        for name in labels.keys() {
            let first = name.chars().next().unwrap();
            assert!(first.is_ascii_alphabetic() || first == '_', "{name}");
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name}"
            );
        }
        assert!(
            !found.iter().any(|(other, _)| *other == labels),
            "one per label set"
        );
        let values: Vec<(String, String)> =
            serde_json::from_value(stream["values"].clone()).unwrap();
        let values: Vec<(i128, String)> = values
            .into_iter()
            .map(|(time, line)| (time.parse().unwrap(), line))
            .collect();
        assert!(values.is_sorted_by_key(|(time, _)| *time), "times rise");
        assert!(
            values
                .iter()
                .all(|(time, _)| *time > 1_700_000_000_000_000_000)
        );
        found.push((labels, values));
    }
    found
}

#[tokio::test]
async fn pushes_are_as_loki_wants_them() {
    let server = Server::start(|_| (204, String::new())).await;
    let rig = Rig::new(&format!(
        r#"
        [sinks.loki]
        type = "loki"
        url = "http://127.0.0.1:{}/"
        tenant = "team-a"
        username = "ana"
        password = "hunter22"
        headers = {{ X-Extra = "e" }}
        processes = "{{api,web*}}"
        flush = "50ms"
        batch = 100
        labels = {{ "env.name" = "test" }}
        "#,
        server.port
    ));
    rig.ready(&["loki"]).await;
    let mut api = rig.program("api", 0, Stream::Out).await;
    let mut web = rig.program("web-1", 0, Stream::Err).await;
    let mut other = rig.program("other", 0, Stream::Out).await;
    let same = "the same line\n".repeat(300);
    api.print(&same);
    other.print("not for loki\n");
    web.print("é \"quoted\" \\ \u{1b}[31m\n");
    rig.until("loki", |sink| sink.sent == 301).await;
    let mut lines: BTreeMap<String, Vec<(i128, String)>> = BTreeMap::new();
    for asked in server.asked() {
        assert_eq!(asked.headers["x-scope-orgid"], "team-a");
        assert_eq!(asked.headers["x-extra"], "e");
        // `ana:hunter22`
        assert_eq!(asked.headers["authorization"], "Basic YW5hOmh1bnRlcjIy");
        let mut count = 0;
        for (labels, values) in strict(&asked) {
            assert_eq!(labels["env_name"], "test");
            assert_eq!(
                (labels["instance"].as_str(), labels["level"].as_str()),
                ("0", "unknown")
            );
            count += values.len();
            let key = format!("{}.{}", labels["process"], labels["stream"]);
            lines.entry(key).or_default().extend(values);
        }
        assert!(count <= 100);
    }
    assert_eq!(lines["web-1.err"][0].1, "é \"quoted\" \\ \u{1b}[31m");
    let api = &lines["api.out"];
    assert_eq!(api.len(), 300);
    let mut times: Vec<i128> = api.iter().map(|(time, _)| *time).collect();
    times.dedup();
    assert_eq!(
        times.len(),
        300,
        "equal lines have different times, or Loki keeps one"
    );
    assert_eq!(lines.len(), 2);
}

/// What Loki refuses is kept in the dead letters, and what comes after it is sent.
#[tokio::test]
async fn refused_lines_do_not_block_the_rest() {
    let server = Server::start(|asked| {
        let old = asked.body.windows(3).any(|part| part == b"old");
        if old {
            (
                400,
                "entry with timestamp too old, password hunter22".to_owned(),
            )
        } else {
            (204, String::new())
        }
    })
    .await;
    let rig = Rig::new(&format!(
        "[sinks.loki]\ntype = \"loki\"\nurl = \"http://127.0.0.1:{}\"\nflush = \"20ms\"\nusername = \"a\"\npassword = \"hunter22\"",
        server.port
    ));
    rig.ready(&["loki"]).await;
    let mut api = rig.program("api", 0, Stream::Out).await;
    api.print("old\n");
    rig.until("loki", |sink| sink.rejected == 1).await;
    api.print("new\n");
    rig.until("loki", |sink| sink.sent == 1).await;
    let status = rig.status("loki");
    let error = "status 400: entry with timestamp too old, password ***";
    assert_eq!(status.last_error.as_deref(), Some(error));
    assert_eq!((status.dropped, status.queued), (1, 0));
    let dead = rig.paths.sinks().join("loki.dead.jsonl");
    let mut letters = String::new();
    until(
        || {
            letters = std::fs::read_to_string(&dead).unwrap_or_default();
            letters.ends_with('\n')
        },
        || "no dead letter".to_owned(),
    )
    .await;
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!(
        (&letter["line"], &letter["why"]),
        (&"old".into(), &error.into())
    );
}

/// A batch that is too large is sent in parts, down to single lines.
#[tokio::test]
async fn large_batches_are_cut() {
    let server = Server::start(|asked| {
        let status = if asked.body.len() > 2_000 { 413 } else { 204 };
        (status, String::new())
    })
    .await;
    let rig = Rig::new(&format!(
        "[sinks.loki]\ntype = \"loki\"\nurl = \"http://127.0.0.1:{}\"\nflush = \"50ms\"",
        server.port
    ));
    rig.ready(&["loki"]).await;
    let mut api = rig.program("api", 0, Stream::Out).await;
    for number in 0..50 {
        api.print(&format!("{number} {}\n", "z".repeat(100)));
    }
    api.print(&format!("giant {}\n", "z".repeat(3_000)));
    rig.until("loki", |sink| (sink.sent, sink.rejected) == (50, 1))
        .await;
    let got: usize = server
        .asked()
        .iter()
        .filter(|asked| asked.body.len() <= 2_000)
        .flat_map(strict)
        .map(|(_, values)| values.len())
        .sum();
    assert_eq!(got, 50);
}
