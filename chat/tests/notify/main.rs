//! Senders against servers: strict ones of ours that refuse what a platform does not know, the
//! platforms' own descriptions, a real mail server, and an independent check of signatures.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

mod documents;
mod failures;
mod mail;
mod platforms;
mod server;
mod signature;

use std::process::Command;

use chat::notify::{
    Bots, ChannelSettings, Class, DigestLine, EventName, Link, NoBots, Notice, Outgoing, SendError,
    Sender, Severity, Target, Templates, sender,
};
use serde_json::json;
use supervisor::Clock;

use counterparts::{folder, skipped};

#[expect(clippy::disallowed_methods, reason = "it is a program of other people")]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn to(target: Target) -> std::sync::Arc<dyn Sender> {
    let settings = ChannelSettings::new("a", target);
    let bots: std::sync::Arc<dyn Bots> = std::sync::Arc::new(NoBots);
    sender(&settings, &Templates::default(), &Clock::system(), &bots).unwrap()
}

async fn send(target: Target, message: &Outgoing) -> Result<String, SendError> {
    to(target).send(message).await
}

/// A crash with everything that a message can hold, and with texts that want to be more.
fn crash() -> Outgoing {
    let ts = "2026-01-02T03:04:05Z".parse().unwrap();
    let notice = Notice {
        severity: Severity::Critical,
        instance: Some(2),
        host: "h1".into(),
        incident: Some("n7".into()),
        links: vec![Link {
            label: "log <of> |api|".into(),
            url: "https://mhost.example/log?a=1&b=2".into(),
        }],
        ..Notice::new("n1", EventName::Crash, "api", "exit code 3 after 2m", ts)
    };
    let notice = notice
        .detail("exit_code", 3)
        .detail("empty", "")
        .detail(
            "why",
            "*bold* <!channel> @everyone [x](https://evil.example)",
        )
        .detail("last_lines", vec!["```", "<b>panic</b> & </pre>", "ends"]);
    Outgoing {
        id: "n1.1f".into(),
        channel: "a".into(),
        notice,
        class: Class::Crash,
        resolves: false,
        suppressed: 7,
        lines: Vec::new(),
        unnamed: 0,
        escalated_after_s: Some(900),
        opens_thread: true,
        via: Vec::new(),
        only: Vec::new(),
    }
}

/// The end of it.
fn recovery() -> Outgoing {
    let mut message = crash();
    message.id = "n1.20".into();
    message.notice.event = EventName::HealthRecover;
    message.notice.severity = Severity::Info;
    message.notice.message = "up for a minute; it took 5m in all".into();
    message.notice.details.clear();
    message.resolves = true;
    message.suppressed = 0;
    message.escalated_after_s = None;
    message.opens_thread = false;
    message
}

/// Many things in one.
fn digest() -> Outgoing {
    let mut message = crash();
    message.id = "n1.30".into();
    message.notice.event = EventName::Digest;
    message.notice.process = String::new();
    message.notice.instance = None;
    message.notice.incident = None;
    message.notice.message = "998 events of 250 processes".into();
    message.class = Class::Digest;
    message.lines = (0..50)
        .map(|n| DigestLine {
            process: format!("app-{n} <*>"),
            events: [(EventName::Crash, 4), (EventName::Errored, 1)].into(),
        })
        .collect();
    message.unnamed = 200;
    message
}

/// One that is longer than any platform takes.
fn endless() -> Outgoing {
    let mut message = crash();
    message.id = "n1.40".into();
    message.notice.message = "<*`&@_| ".repeat(500);
    message.notice.process = "p*".repeat(128);
    message.notice.host = "h".repeat(250);
    for n in 0..40 {
        let name = format!("{n} {}", "<n*>".repeat(50));
        message
            .notice
            .details
            .insert(name, json!("`v_&".repeat(2_000)));
    }
    let lines = vec!["🔴`*<".repeat(2_000); 40];
    message
        .notice
        .details
        .insert("last_lines".into(), json!(lines));
    message
}

fn all() -> [Outgoing; 4] {
    [crash(), recovery(), digest(), endless()]
}
