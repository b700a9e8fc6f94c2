//! Tells what happens, a line for each fact, as the daemon records it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::until;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::output::style::Tone;
use crate::output::text;

/// Longest line where there is no terminal to fit.
const WIDEST: usize = 110;
/// Columns before the text of a line.
const INDENT: usize = 28;

/// What has been told.
pub(super) struct Story {
    started: Timestamp,
    last_event: i64,
    /// Each incident, as it was last told.
    told: BTreeMap<String, Told>,
}

/// What has been told of an incident.
#[derive(Default)]
struct Told {
    actions: usize,
    cause: String,
    outcome: String,
}

impl Story {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            started,
            last_event: 0,
            told: BTreeMap::new(),
        }
    }

    /// One line: when, what kind, who, what.
    pub(super) fn say(
        &self,
        ctx: &Context,
        kind: &str,
        tone: Tone,
        who: &str,
        what: &str,
    ) -> Result<(), CliError> {
        self.say_at(ctx, ctx.clock.now(), kind, tone, who, what)
    }

    fn say_at(
        &self,
        ctx: &Context,
        at: Timestamp,
        kind: &str,
        tone: Tone,
        who: &str,
        what: &str,
    ) -> Result<(), CliError> {
        if ctx.output.is_json() || ctx.output.is_quiet() {
            return Ok(());
        }
        let seconds = until(self.started, at).as_secs_f64();
        let head = format!("{seconds:5.1}s  ");
        let (kind, who) = (text::pad(kind, 9), text::pad(&text::clean_line(who), 8));
        let room = ctx
            .output
            .width()
            .unwrap_or(WIDEST)
            .saturating_sub(28)
            .max(20);
        let painter = ctx.output.painter();
        let mut lines = text::wrap(&text::clean_line(what), room).into_iter();
        let first = format!(
            "{}{} {}  {}",
            painter.paint(&head, Tone::Quiet),
            painter.paint(&kind, tone),
            painter.paint(&who, Tone::Strong),
            lines.next().unwrap_or_default(),
        );
        ctx.output.line(first.trim_end())?;
        for line in lines {
            ctx.output.line(&format!("{:INDENT$}{line}", ""))?;
        }
        Ok(())
    }

    /// Events that were not told yet, oldest first.
    pub(super) fn tell_events(&mut self, ctx: &Context, answer: &Value) -> Result<(), CliError> {
        let mut events: Vec<&Value> = answer["events"].as_array().into_iter().flatten().collect();
        events.retain(|event| event["id"].as_i64() > Some(self.last_event));
        events.sort_by_key(|event| event["id"].as_i64());
        for event in events {
            self.last_event = event["id"].as_i64().unwrap_or(self.last_event);
            let at = event["at"].as_str().and_then(|at| at.parse().ok());
            let who = event["process"].as_str().unwrap_or_default();
            if let (Some((kind, tone, what)), Some(at)) = (words(event), at) {
                self.say_at(ctx, at, kind, tone, who, &what)?;
            }
        }
        Ok(())
    }

    /// What the brain decided, and what came of it. A row is one incident and grows with it.
    pub(super) fn tell_history(&mut self, ctx: &Context, answer: &Value) -> Result<(), CliError> {
        let mut rows: Vec<&Value> = answer["history"].as_array().into_iter().flatten().collect();
        rows.sort_by_key(|row| row["ts"].as_str());
        for row in rows {
            let text = |key: &str| row[key].as_str().unwrap_or_default();
            let who = text("process");
            let known = self.told.remove(&row["id"].to_string()).unwrap_or_default();
            let mut actions = row["actions"].as_array().cloned().unwrap_or_default();
            // What is only watched is no decision yet.
            actions.retain(|action| action["action"] != "observe");
            let verbs: Vec<&str> = actions
                .iter()
                .skip(known.actions)
                .filter_map(|action| action["action"].as_str())
                .collect();
            if !verbs.is_empty() {
                let decided = format!("{} → {}", text("playbook"), verbs.join(", "));
                self.say(ctx, "decided", Tone::Strong, who, &decided)?;
                if text("cause") != known.cause {
                    self.say(ctx, "because", Tone::Quiet, who, text("cause"))?;
                }
            }
            if text("outcome") != known.outcome {
                match text("outcome") {
                    "verified" => self.say(
                        ctx,
                        "verified",
                        Tone::Good,
                        who,
                        "The trouble is gone, by measurement.",
                    )?,
                    "failed" => {
                        self.say(ctx, "failed", Tone::Bad, who, "The trouble is still there.")?
                    }
                    _ => {}
                }
            }
            let now = Told {
                actions: actions.len(),
                cause: text("cause").to_owned(),
                outcome: text("outcome").to_owned(),
            };
            self.told.insert(row["id"].to_string(), now);
        }
        Ok(())
    }
}

/// The line for an event, if it deserves one.
fn words(event: &Value) -> Option<(&'static str, Tone, String)> {
    let data = &event["data"];
    let mb = |key: &str| data[key].as_u64().unwrap_or(0) >> 20;
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    Some(match event["kind"].as_str()? {
        "crash" => {
            let last = data["last_lines"]
                .as_array()
                .and_then(|lines| lines.iter().rev().find_map(|line| line.as_str()))
                .unwrap_or("no output");
            let how = match (data["code"].as_i64(), data["signal"].as_i64()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "unknown".into(),
            };
            ("seen", Tone::Bad, format!("Died ({how}): {last}"))
        }
        "memory_exceeded" => {
            let what = format!("Uses {} MB, its limit is {} MB.", mb("rss"), mb("limit"));
            ("seen", Tone::Bad, what)
        }
        "health_fail" => {
            let what = format!(
                "Lives, but its {} probe fails: {}",
                text("probe"),
                text("error")
            );
            ("seen", Tone::Bad, what)
        }
        "health_recover" => ("seen", Tone::Good, "Its probe passes again.".into()),
        "restart" => (
            "done",
            Tone::Busy,
            format!("Started again ({}).", text("reason")),
        ),
        "stopping" => (
            "done",
            Tone::Busy,
            format!("Being stopped ({}).", text("reason")),
        ),
        "online" => (
            "online",
            Tone::Good,
            format!("Runs as pid {}.", data["pid"]),
        ),
        "errored" if text("reason") == "held" => (
            "done",
            Tone::Busy,
            format!("Held by {}: no more tries.", text("by")),
        ),
        _ => return None,
    })
}
