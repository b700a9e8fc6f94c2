//! What the tests of the screen share: rows, log lines, a fleet.

use agent::Entry;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::command::view::{HealthView, MetricsView};
use supervisor::logs::LogLine;
use supervisor::{Event, HealthStatus, Status, Stream};

use super::app::{App, Message};
use super::data::{Daemon, Fed, Row, RowKey, ScoresReply};
use super::text::harmless;

/// The time in all tests.
pub(crate) fn noon() -> Timestamp {
    "2026-03-28T12:00:00Z".parse().unwrap()
}

/// A row with one copy.
pub(crate) fn row(index: usize, name: &str, state: Status) -> Row {
    let runs = matches!(state, Status::Online | Status::Starting | Status::Stopping);
    Row {
        key: RowKey {
            name: name.into(),
            instance: Some(0),
        },
        label: name.into(),
        index,
        copies: 1,
        state,
        detail: state.as_str().into(),
        pid: runs.then(|| 4700 + i32::try_from(index).unwrap()),
        cpu: runs.then_some(1.5),
        memory: runs.then_some(48 << 20),
        limit: None,
        fds: runs.then_some(23),
        threads: runs.then_some(11),
        retries: state == Status::Errored,
        restarts: 0,
        restarts_total: 0,
        started_at: runs.then(|| "2026-03-26T00:00:00Z".parse().unwrap()),
        health: if runs {
            HealthStatus::Pass
        } else {
            HealthStatus::Off
        },
        command: format!("node {name}.js"),
        cwd: "/srv/app".into(),
        last_exit: None,
        haystack: format!("{name} {}", state.as_str()),
    }
}

/// A line of a log.
pub(crate) fn printed(process: &str, instance: u16, text: &str) -> LogLine {
    LogLine {
        id: "1".into(),
        ts: noon(),
        process: process.parse().unwrap(),
        instance,
        stream: Stream::Out,
        message: text.into(),
        truncated: false,
        partial: false,
        guessed: false,
        context: false,
    }
}

/// A fleet in the middle of its day: eight processes in all states, a log, incidents, a
/// question of the agent, events.
pub(crate) fn fleet(size: (u16, u16)) -> App {
    let mut app = App::new(noon(), TimeZone::UTC, size);
    let daemon = Daemon {
        version: "0.1.0".into(),
        pid: 4600,
        degraded: Vec::new(),
    };
    app.update(Message::Fed(Fed::Daemon(daemon)));
    app.update(Message::Fed(Fed::Rows(rows())));
    for second in 0..90 {
        app.update(Message::Fed(Fed::Samples(samples(second))));
    }
    app.update(Message::Fed(Fed::Scores(Box::new(scores()))));
    app.update(Message::Fed(Fed::Incidents(incidents())));
    app.update(Message::Fed(Fed::Probes(probes())));
    app.update(Message::Fed(Fed::Events(events())));
    open_log(&mut app);
    app
}

/// What the feed would do for a wanted log.
pub(crate) fn open_log(app: &mut App) {
    let wish = app.wants().log.unwrap_or_default();
    app.update(Message::Fed(Fed::LogOpened(wish)));
    app.update(Message::Fed(Fed::LogLines(lines())));
}

fn rows() -> Vec<Row> {
    let copy = |index, instance: u16| Row {
        key: RowKey {
            name: "api".into(),
            instance: Some(instance),
        },
        label: format!("api:{instance}"),
        copies: 2,
        limit: Some(512 << 20),
        pid: Some(4711 + i32::from(instance)),
        restarts: 1,
        restarts_total: 7,
        ..row(index, "api", Status::Online)
    };
    vec![
        copy(0, 0),
        copy(0, 1),
        Row {
            health: HealthStatus::Fail,
            started_at: "2026-03-28T11:48:12Z".parse().ok(),
            ..row(1, "checkout", Status::Online)
        },
        row(2, "database", Status::Online),
        Row {
            detail: "errored (retry in 3.2s, 4)".into(),
            restarts: 4,
            restarts_total: 4,
            last_exit: Some("exit 1".into()),
            ..row(3, "image-worker-with-a-long-name", Status::Errored)
        },
        Row {
            health: HealthStatus::Pending,
            started_at: "2026-03-28T11:59:58Z".parse().ok(),
            ..row(4, "mailer", Status::Starting)
        },
        Row {
            last_exit: Some("exit 0".into()),
            ..row(5, "nightly-report", Status::Stopped)
        },
        Row {
            command: "node 服务器.js --title 'café'".into(),
            ..row(6, "web", Status::Online)
        },
    ]
}

fn samples(second: u32) -> Vec<MetricsView> {
    let wave = |at: u32| f64::from((second * at) % 37) / 37.0;
    let one = |name: &str, instance: u16, cpu: f64, megabytes: f64| MetricsView {
        name: name.parse().unwrap(),
        instance,
        cpu_percent: Some(cpu),
        memory_bytes: Some((megabytes * 1_048_576.0) as u64),
        pss_bytes: None,
        read_bytes: Some(0),
        written_bytes: Some(0),
        read_bytes_per_second: Some(0),
        written_bytes_per_second: Some(0),
        fds: Some(23),
        threads: Some(11),
        uptime_ms: Some(1),
        restarts: 0,
    };
    vec![
        one("api", 0, 10.0 + 60.0 * wave(1), 180.0 + f64::from(second)),
        one("api", 1, 10.0 + 50.0 * wave(3), 182.0 + f64::from(second)),
        one("checkout", 0, 4.0 * wave(5), 96.0),
        one("database", 0, 22.0 + 5.0 * wave(7), 1310.0),
        one("mailer", 0, 2.0, 31.0),
        one("web", 0, 31.0 * wave(2), 64.0),
    ]
}

/// The lines of the log that are friendly, for a picture that everybody can show.
pub(crate) fn plain_lines() -> Vec<LogLine> {
    lines()
        .into_iter()
        .filter_map(|line| {
            let message = harmless(&line.message).into_owned();
            message.is_ascii().then_some(LogLine { message, ..line })
        })
        .collect()
}

fn lines() -> Vec<LogLine> {
    let texts = [
        "GET /health 200 1ms",
        "INFO listening on :3000",
        "WARN slow query: SELECT * FROM orders WHERE customer_id = 4711 AND state = 'open' ORDER BY created (1.2s)",
        "\u{1b}[31mERROR\u{1b}[0m connect ECONNREFUSED 10.0.0.7:5432\u{1b}]0;owned\u{7}",
        "用户登录成功 id=42 \u{202e}gnp.exe\u{200b}",
        "GET /cart\t200\t12ms",
        "DEBUG cache miss key=session:9f2c",
        "GET /health 200 1ms",
    ];
    let second = |place: usize| noon() - jiff::SignedDuration::from_secs(8 - place as i64);
    texts
        .iter()
        .enumerate()
        .map(|(place, text)| LogLine {
            ts: second(place),
            ..printed("api", 0, text)
        })
        .collect()
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn question(id: &str, process: &str, action: &str) -> Value {
    json!({
        "id": id, "incident": "inc-7", "process": process, "playbook": "memory-leak",
        "plan": [action, "verify memory for 10m"], "risk": "high",
        "reason": "memory grows by 14 MB an hour and reaches its limit in about two hours; \
                   a rolling restart gives it back and costs no request",
        "created": "2026-03-28T11:58:00Z", "expires": "2026-03-28T12:28:00Z",
        "state": "pending", "decided_by": null, "decided_at": null
    })
}

pub(crate) fn scores() -> ScoresReply {
    let score = |name: &str, score: Option<u8>, parts: [f64; 4]| {
        let [crash, probe, memory, cpu] = parts;
        let ill = score.is_some_and(|score| score < 80);
        json!({
            "name": name, "state": "online", "score": score,
            "parts": score.map(|_| json!({
                "crash": crash, "probe": probe, "memory": memory, "cpu": cpu
            })),
            "held": false,
            "incident": ill.then_some("inc-7"),
            "incident_state": ill.then_some("open"),
            "title": ill.then(|| format!("{name} is not well"))
        })
    };
    read(json!({
        "scores": [
            score("api", Some(92), [0.0, 0.0, 8.0, 0.0]),
            score("checkout", Some(64), [0.0, 36.0, 0.0, 0.0]),
            score("database", Some(100), [0.0; 4]),
            score("image-worker-with-a-long-name", Some(21), [60.0, 0.0, 4.0, 15.0]),
            score("mailer", Some(97), [0.0, 0.0, 0.0, 3.0]),
            score("nightly-report", None, [0.0; 4]),
            score("web", Some(100), [0.0; 4]),
        ],
        "agent": {
            "enabled": true, "stopped": false, "level": "semi", "agent_level": "semi",
            "brain_level": "semi", "poll_interval_ms": 30000,
            "last_round": "2026-03-28T11:59:40Z",
            "budget": { "used": 2, "max": 10, "max_per_process": 3, "failed_in_a_row": 0 },
            "open_incidents": 2,
            "pending": [question("q-1", "api", "reload"), question("q-2", "checkout", "restart")],
            "paused_until": null, "paused_why": null
        }
    }))
}

fn incidents() -> Vec<Entry> {
    let act = |action: &str, outcome: Option<&str>| {
        json!({
            "ts": "2026-03-28T11:59:00Z", "action": action, "target": "api", "result": "done",
            "outcome": outcome, "by": "brain", "risk": "low", "gate": "run", "approval": null,
            "args": {}
        })
    };
    let one = |id: &str, minutes: i64, process: &str, state: &str, outcome: Option<&str>| {
        let at = noon() - jiff::SignedDuration::from_mins(minutes);
        json!({
            "id": id, "ts": at, "process": process, "trigger": "crash",
            "playbook": "rapid-crash",
            "actions": outcome.map_or_else(Vec::new, |outcome| vec![act("restart", Some(outcome))]),
            "result": "done", "outcome": outcome, "by": "brain:rapid-crash", "escalated": false,
            "incident": id, "state": state,
            "cause": "settings.json: Unexpected token } in JSON at position 118", "closed": null
        })
    };
    read(json!([
        one(
            "inc-8",
            1,
            "image-worker-with-a-long-name",
            "diagnosing",
            None
        ),
        one("inc-7", 2, "api", "awaiting_approval", None),
        one("inc-6", 47, "checkout", "resolved", Some("verified")),
        one("inc-5", 180, "web", "closed", Some("failed")),
    ]))
}

fn probes() -> Vec<HealthView> {
    read(json!([
        {
            "name": "api", "instance": 0, "probe": "http", "status": "pass",
            "last_check": "2026-03-28T11:59:57Z", "latency_ms": 12, "error": null,
            "failures": 0, "attempts": []
        },
        {
            "name": "checkout", "instance": 0, "probe": "http", "status": "fail",
            "last_check": "2026-03-28T11:59:58Z", "latency_ms": 1000, "error": "timeout",
            "failures": 3, "attempts": []
        }
    ]))
}

fn events() -> Vec<Event> {
    let one = |id: u64, kind: &str, process: &str, data: Value, actor: &str| {
        let at = noon() - jiff::SignedDuration::from_secs(400 - 7 * id as i64);
        json!({
            "id": id, "at": at, "process": process, "instance": 0, "kind": kind, "data": data,
            "actor": actor
        })
    };
    let mut events = vec![
        one(
            1,
            "start",
            "api",
            json!({ "pid": 4711, "generation": 3 }),
            "cli:ana",
        ),
        one(2, "online", "api", json!({ "pid": 4711 }), "system"),
        one(
            3,
            "crash",
            "image-worker-with-a-long-name",
            json!({ "code": 1, "signal": null, "uptime_ms": 512, "last_lines": ["x"] }),
            "system",
        ),
        one(
            4,
            "restart",
            "image-worker-with-a-long-name",
            json!({ "reason": "crash", "pid": 5120 }),
            "system",
        ),
        one(
            5,
            "health_fail",
            "checkout",
            json!({ "probe": "http", "error": "timeout\u{1b}[2J", "failures": 3 }),
            "system",
        ),
        one(
            6,
            "errored",
            "image-worker-with-a-long-name",
            json!({ "reason": "max_restarts" }),
            "system",
        ),
        one(
            7,
            "restart",
            "web",
            json!({ "reason": "manual", "pid": 4802 }),
            "cli:ana",
        ),
    ];
    events.reverse();
    read(json!(events))
}
