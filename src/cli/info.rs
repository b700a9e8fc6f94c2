//! `mhost info`: everything about a process, in a fixed order.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};
use supervisor::Stream;
use supervisor::command::view::{EnvView, InstanceView, ProcessView};
use supervisor::spec::Watch;
use supervisor::{Event, InstanceId};

use super::context::Context;
use super::env::EnvReply;
use super::error::CliError;
use super::history::{self, EventsReply};
use super::list;
use crate::exit::Exit;
use crate::output::figures::{self, NONE};
use crate::output::style::{Painter, Tone};
use crate::output::{state, text};

/// Events that are shown.
const EVENTS: usize = 10;
/// Width of the names of fields.
const LABEL: usize = 13;

/// Show all about a process: state, definition, environment, events
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Name, name:instance, index, group, glob, or all
    target: String,
}

impl Info {
    /// Prints a block per process.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        show(ctx, &self.target)
    }
}

/// Prints a block for each process the target means.
pub(crate) fn show(ctx: &Context, target: &str) -> Result<Exit, CliError> {
    let mut reply: Value = ctx.call("process.status", json!({ "name": target }))?;
    let scores = super::metrics::scores(ctx);
    let about = list::read(reply.clone())?
        .into_iter()
        .map(|process| About::of(ctx, process, &scores))
        .collect::<Result<Vec<_>, _>>()?;
    if ctx.output.is_json() {
        let rows = reply["processes"].as_array_mut().into_iter().flatten();
        for (row, about) in rows.zip(&about) {
            about.add_to(row);
        }
        return list::print_json(ctx, reply);
    }
    let block = |about: &About| about.render(ctx.output.width(), ctx.output.painter());
    let blocks: Vec<String> = about.iter().map(block).collect();
    ctx.output.write(&blocks.join("\n"))?;
    Ok(Exit::Success)
}

fn next_cron(ctx: &Context, process: &ProcessView) -> Result<Option<String>, CliError> {
    if process.config.cron_restart.is_none() {
        return Ok(None);
    }
    let reply: Value = ctx.call("process.cron", json!({}))?;
    let rows = reply["cron"].as_array();
    let own = rows.and_then(|rows| rows.iter().find(|row| row["name"] == process.name.as_str()));
    Ok(own.and_then(|row| row["next"].as_str().map(str::to_owned)))
}

fn log_files(ctx: &Context, process: &ProcessView) -> Result<Vec<String>, CliError> {
    let paths = ctx.paths()?;
    let mut files = Vec::new();
    for instance in &process.instances {
        let id = InstanceId::new(process.name.clone(), instance.index);
        for stream in Stream::BOTH {
            files.push(paths.segment(&id, stream).display().to_string());
        }
    }
    Ok(files)
}

/// All that is known of one process.
struct About {
    process: ProcessView,
    next_cron: Option<String>,
    logs: Vec<String>,
    score: Option<u64>,
    events: Vec<Event>,
    env: Vec<EnvView>,
}

impl About {
    fn of(
        ctx: &Context,
        process: ProcessView,
        scores: &[(String, Option<u64>)],
    ) -> Result<Self, CliError> {
        let name = process.name.as_str();
        let events: EventsReply =
            ctx.call("process.events", json!({ "name": name, "limit": EVENTS }))?;
        let env: EnvReply = ctx.call("process.env", json!({ "name": name, "reveal": false }))?;
        let score = scores.iter().find(|(scored, _)| scored == name);
        Ok(Self {
            score: score.and_then(|(_, score)| *score),
            next_cron: next_cron(ctx, &process)?,
            logs: log_files(ctx, &process)?,
            events: events.events,
            env: env.env,
            process,
        })
    }

    /// Beside what the daemon says of the process.
    fn add_to(&self, row: &mut Value) {
        row["score"] = json!(self.score);
        row["next_cron"] = json!(self.next_cron);
        row["log_files"] = json!(self.logs);
        row["events"] = json!(self.events);
        row["env"] = json!(self.env);
    }

    fn render(&self, width: Option<usize>, painter: Painter) -> String {
        let process = &self.process;
        let config = &process.config;
        let mut out = String::new();
        let mut field = |label: &str, value: &str, tone: Option<Tone>| {
            if value.is_empty() {
                return;
            }
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(LABEL + 2).max(8));
            let value = text::clean(value);
            let value = text::cut(&value, room);
            let value = tone.map_or_else(|| value.to_string(), |tone| painter.paint(&value, tone));
            let label = painter.paint(&text::pad(label, LABEL), Tone::Quiet);
            let _ = writeln!(out, "{label}  {value}");
        };
        field("name", process.name.as_str(), Some(Tone::Strong));
        field("id", &process.index.to_string(), None);
        let label = state::label(process.state, &process.detail);
        field("status", &label, Some(state::tone(process.state)));
        let health = process.health;
        field("health", health.as_str(), Some(state::health_tone(health)));
        let says = process.instances.iter().filter_map(|instance| {
            let text = instance.status_text.as_deref()?;
            match process.instances.len() {
                1 => Some(text.to_owned()),
                _ => Some(format!("{}: {text}", instance.index)),
            }
        });
        for text in says {
            field("says", &text, None);
        }
        field("instances", &process.instances.len().to_string(), None);
        field("command", &config.command, None);
        field("runs", &process.argv.join(" "), None);
        field(
            "interpreter",
            config.interpreter.as_deref().unwrap_or("by extension"),
            None,
        );
        field("cwd", &process.cwd, None);
        for listen in &process.listen {
            let bound = match &listen.bound {
                Some(bound) if *bound == listen.address => String::new(),
                Some(bound) => format!(", open at {bound}"),
                None => ", closed".to_owned(),
            };
            field(
                "listens",
                &format!("{}{bound} ({})", listen.address, listen.name),
                None,
            );
        }
        field("project", process.project.as_deref().unwrap_or(""), None);
        field("groups", &process.group.join(", "), None);
        field("tags", &process.tags.join(", "), None);
        let each = |show: fn(&InstanceView) -> Option<String>| {
            let shown = process
                .instances
                .iter()
                .map(|instance| show(instance).unwrap_or(NONE.into()));
            shown.collect::<Vec<_>>().join(", ")
        };
        field("pid", &each(|i| i.pid.map(|pid| pid.to_string())), None);
        if process.instances.iter().any(|one| one.main_pid.is_some()) {
            field(
                "main pid",
                &each(|i| i.main_pid.map(|pid| pid.to_string())),
                None,
            );
        }
        field("uptime", &each(|i| i.uptime_ms.map(figures::span_ms)), None);
        let restarts = format!("{} ({} in total)", process.restarts, process.restarts_total);
        field("restarts", &restarts, None);
        field("last exit", &each(last_exit), None);
        field("cpu", &each(|i| i.cpu_percent.map(figures::cpu)), None);
        let memory = each(|i| i.memory_bytes.map(figures::memory));
        match config.max_memory {
            Some(limit) => field("memory", &format!("{memory} of {limit}"), None),
            None => field("memory", &memory, None),
        }
        field("cron next", self.next_cron.as_deref().unwrap_or(""), None);
        match &config.watch {
            Watch::Off => {}
            Watch::Sources => field("watch", "source files", None),
            Watch::Globs(globs) => field("watch", &globs.join(", "), None),
        }
        for file in &self.logs {
            field("log file", file, None);
        }
        let score = self.score.map(|score| score.to_string());
        field("score", score.as_deref().unwrap_or(NONE), None);
        let heading = |out: &mut String, title: &str| {
            let _ = writeln!(out, "\n{}", painter.paint(title, Tone::Strong));
        };
        heading(&mut out, "definition");
        out.push_str(&indent(&super::config::to_toml(process)));
        if let Some(env) = self.env.first() {
            heading(&mut out, "environment");
            for entry in &env.env {
                let line = format!("{}={}", entry.key, entry.value);
                let line = text::clean(&line);
                let line = text::cut(&line, width.map_or(usize::MAX, |w| w.saturating_sub(2)));
                let _ = writeln!(out, "  {line}");
            }
        }
        if !self.events.is_empty() {
            heading(&mut out, "last events");
            let width = width.map(|width| width.saturating_sub(2));
            out.push_str(&indent(
                &history::table(&self.events).render(width, painter),
            ));
        }
        out
    }
}

fn last_exit(instance: &InstanceView) -> Option<String> {
    match (instance.exit_code, instance.exit_signal) {
        (Some(code), _) => Some(format!("code {code}")),
        (None, Some(signal)) => Some(format!("signal {signal}")),
        (None, None) => None,
    }
}

fn indent(block: &str) -> String {
    block.lines().map(|line| format!("  {line}\n")).collect()
}
