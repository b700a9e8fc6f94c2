//! One picture of each kind of view.

use serde_json::json;

use crate::fake::{Fake, fleet};

/// One table of each kind of view.
#[test]
fn views_have_the_documented_columns() {
    let fake = Fake::new([
        ("process.list", Ok(fleet())),
        (
            "health.status",
            Ok(json!({ "health": [
                { "name": "api", "instance": 0, "probe": "http", "status": "fail", "last_check": null,
                  "latency_ms": 3000, "error": "timeout", "failures": 3, "attempts": [] },
                { "name": "worker", "instance": 0, "probe": "none", "status": "off",
                  "last_check": null, "latency_ms": null, "error": null, "failures": 0, "attempts": [] },
            ]})),
        ),
        (
            "process.events",
            Ok(json!({ "events": [
                { "id": 2, "at": "2026-03-28T14:32:02Z", "process": "api", "instance": 0,
                  "kind": "restart", "data": { "reason": "crash" }, "actor": "system" },
                { "id": 1, "at": "2026-03-28T14:32:01Z", "process": "api", "instance": 0,
                  "kind": "crash", "data": { "code": 3, "uptime_ms": 1200, "last_lines": ["x"] },
                  "actor": "system" },
            ]})),
        ),
        (
            "process.cron",
            Ok(json!({ "cron": [
                { "name": "report", "schedule": "0 3 * * *", "timezone": "UTC", "next": null,
                  "last": "2026-03-28T03:00:00Z" },
            ]})),
        ),
        (
            "process.limits",
            Ok(json!({ "limits": [
                { "name": "api", "instance": 0, "memory_bytes": 50_331_648, "max_memory": 536_870_912,
                  "restarts_left": 3, "fds": 20, "nofile": null, "cpu_seconds": null },
            ]})),
        ),
        (
            "process.env",
            Ok(json!({ "env": [
                { "name": "api", "instance": 0, "env": [
                    { "key": "API_TOKEN", "value": "***" }, { "key": "PORT", "value": "3000" } ] },
            ]})),
        ),
        (
            "audit.query",
            Ok(json!({ "rows": [
                { "id": "a", "ts": "2026-03-28T14:32:01Z", "who": "cli:ana", "via": "cli",
                  "role": "super_admin", "command": "process.stop", "subject": "api",
                  "dry_run": false, "incident": null, "phase": "intent" },
                { "id": "a", "ts": "2026-03-28T14:32:02Z", "who": "cli:ana", "via": "cli",
                  "role": "super_admin", "command": "process.stop", "subject": "api",
                  "dry_run": false, "incident": null, "phase": "result", "ok": true },
            ]})),
        ),
        (
            "sinks.status",
            Ok(json!({ "sinks": [
                { "name": "central", "type": "syslog", "state": "up", "sent": 104_220, "queued": 0,
                  "dropped": 0, "rejected": 0, "failures": 0, "last_error": null,
                  "last_error_at": null, "last_sent_at": "2026-03-28T14:32:01Z" },
                { "name": "loki", "type": "loki", "state": "down", "sent": 98_211, "queued": 3_500,
                  "dropped": 120, "rejected": 2, "failures": 7, "last_error": "refused",
                  "last_error_at": null, "last_sent_at": null },
            ]})),
        ),
        (
            "process.save",
            Ok(json!({ "count": 2, "path": "/srv/m/dump.toml" })),
        ),
    ]);
    let views = [
        &["status"][..],
        &["health"],
        &["history", "api"],
        &["cron"],
        &["limits", "api"],
        &["env", "api"],
        &["audit"],
        &["sinks", "status"],
        &["save"],
        &["ping"],
        &["daemon", "status"],
    ];
    let mut all = String::new();
    for view in views {
        all.push_str(&format!(
            "$ mhost {}\n{}\n",
            view.join(" "),
            fake.shows(view)
        ));
    }
    insta::assert_snapshot!(all, @r"
    $ mhost status
    NAME    PID   STATUS                        CPU   MEM   RESTARTS
    api:0   4711  ● online                      1.2%  48MB  2
    api:1   4712  ● online                      1.2%  48MB  2
    worker  —     ✗ errored (retry in 3.2s, 4)  —     —     2
    report  —     ○ stopped                     —     —     —

    $ mhost health
    NAME    PROBE  STATUS  LAST CHECK  LATENCY  ERROR
    api     http   fail    —           timeout  timeout
    worker  none   off     —           —        —

    $ mhost history api
    TIME                  EVENT    INSTANCE  DETAIL
    2026-03-28T14:32:02Z  restart  api#0     reason=crash
    2026-03-28T14:32:01Z  crash    api#0     code=3 uptime=1200ms

    $ mhost cron
    NAME    SCHEDULE   TIMEZONE  NEXT  LAST
    report  0 3 * * *  UTC       —     2026-03-28T03:00:00Z

    $ mhost limits api
    NAME  INST  MEM   MAX MEM  RESTARTS LEFT  FDS  MAX FDS  MAX CPU
    api   0     48MB  512MB    3              20   —        —

    $ mhost env api
    API_TOKEN=***
    PORT=3000

    $ mhost audit
    TIME                  WHO      COMMAND       SUBJECT  RESULT
    2026-03-28T14:32:02Z  cli:ana  process.stop  api      ✓ done

    $ mhost sinks status
    NAME     TYPE    SENT    QUEUED  DROPPED  LAST ERROR
    central  syslog  104220  0       0        —
    loki     loki    98211   3500    120      ✗ refused

    $ mhost save
    ✓ saved 2 processes to /srv/m/dump.toml

    $ mhost ping
    pong v0.1.0 pid 77 uptime 3m 12s

    $ mhost daemon status
    status    ● online
    version   0.1.0
    pid       77
    uptime    3m 12s
    home      /srv/m
    ");
    assert_eq!(fake.run(&["health", "--exit-code"]).0, 1);
}
