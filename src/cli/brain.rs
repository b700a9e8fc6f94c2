//! `mhost brain`: what the on-call engineer sees, knows and did.

use agent::{Act, Entry, Explanation, Status};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::agent::tell_status;
use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use crate::output::figures::{NONE, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// See how well processes are, and what was done for them
#[derive(Debug, Args)]
pub(crate) struct Brain {
    #[command(subcommand)]
    command: BrainCommand,
}

#[derive(Debug, Subcommand)]
enum BrainCommand {
    /// Show the health score of every process, and where the agent stands
    Status {
        /// Only this process
        name: Option<String>,
    },
    /// Show incidents and what was done about them, newest first
    History {
        /// At most so many
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
        lines: u32,
        /// Only of this process
        #[arg(long, value_name = "NAME")]
        process: Option<String>,
        /// Only after this time: 1h, "2026-03-28 14:00", RFC 3339
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Show the playbooks, and how often they helped
    Playbooks,
    /// Tell the story of an incident
    Explain {
        /// An incident, a process, or `crash` for the newest crash
        what: String,
    },
}

#[derive(Debug, Deserialize)]
struct StatusReply {
    scores: Vec<ScoreRow>,
    agent: Status,
}

#[derive(Debug, Deserialize)]
struct ScoreRow {
    name: String,
    score: Option<u8>,
    parts: Option<PartsRow>,
    held: bool,
    incident: Option<String>,
    title: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PartsRow {
    crash: f64,
    probe: f64,
    memory: f64,
    cpu: f64,
}

#[derive(Debug, Deserialize)]
struct HistoryReply {
    history: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct PlaybooksReply {
    playbooks: Vec<PlaybookRow>,
}

#[derive(Debug, Deserialize)]
struct PlaybookRow {
    name: String,
    source: String,
    on: Vec<String>,
    level: String,
    runs: u64,
    ok: u64,
    failed: u64,
    state: String,
    #[serde(default)]
    error: Option<String>,
}

impl Brain {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            BrainCommand::Status { name } => status(ctx, name),
            BrainCommand::History {
                lines,
                process,
                since,
            } => history(ctx, lines, process, since),
            BrainCommand::Playbooks => playbooks(ctx),
            BrainCommand::Explain { what } => explain(ctx, &what),
        }
    }
}

fn reply<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, CliError> {
    T::deserialize(value).map_err(|error| {
        CliError::new(
            Exit::Protocol,
            format!("the daemon's answer is not as agreed: {error}"),
        )
        .with_help("the daemon may be of another version: mhost daemon upgrade")
    })
}

fn status(ctx: &Context, name: Option<String>) -> Result<Exit, CliError> {
    let params = match name {
        Some(name) => json!({ "name": name }),
        None => json!({}),
    };
    let answer: Value = ctx.call("brain.status", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let StatusReply { scores, agent } = reply(&answer)?;
    if scores.is_empty() {
        ctx.output
            .note("No processes. Start one: mhost start <app>");
    } else {
        ctx.output.table(&scores_table(&scores))?;
    }
    ctx.output.line("")?;
    tell_status(ctx, &agent)?;
    Ok(Exit::Success)
}

fn scores_table(scores: &[ScoreRow]) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("HEALTH", 2),
        Column::new("SCORE", 0),
        Column::new("CRASH", 3),
        Column::new("PROBE", 3),
        Column::new("MEM", 3),
        Column::new("CPU", 3),
        Column::new("HELD", 2),
        Column::new("INCIDENT", 1).at_least(8),
    ]);
    for row in scores {
        let tone = match row.score {
            Some(0..40) => Tone::Bad,
            Some(40..80) => Tone::Busy,
            Some(_) => Tone::Good,
            None => Tone::Quiet,
        };
        let part = |of: fn(&PartsRow) -> f64| match row.parts.as_ref().map(of) {
            Some(taken) if taken >= 0.05 => Cell::from(format!("-{taken:.0}")),
            Some(_) => Cell::from("0"),
            None => Cell::from(NONE),
        };
        let incident = match (&row.incident, &row.title) {
            (Some(id), Some(title)) => format!("{id} {title}"),
            (Some(id), None) => id.clone(),
            (None, _) => NONE.to_owned(),
        };
        table.row([
            Cell::from(&row.name),
            Cell::toned(bar(row.score), tone),
            Cell::toned(
                row.score.map_or_else(|| NONE.into(), |s| s.to_string()),
                tone,
            ),
            part(|parts| parts.crash),
            part(|parts| parts.probe),
            part(|parts| parts.memory),
            part(|parts| parts.cpu),
            Cell::from(if row.held { "held" } else { NONE }),
            Cell::from(incident),
        ]);
    }
    table
}

/// Ten cells, one for each ten points.
fn bar(score: Option<u8>) -> String {
    let full = usize::from(score.unwrap_or(0)).div_ceil(10).min(10);
    format!("{}{}", "█".repeat(full), "░".repeat(10 - full))
}

fn history(
    ctx: &Context,
    lines: u32,
    process: Option<String>,
    since: Option<String>,
) -> Result<Exit, CliError> {
    let mut params = json!({ "limit": lines });
    if let Some(process) = process {
        params["name"] = json!(process);
    }
    if let Some(since) = since {
        let since = when::parse("--since", &since, ctx.clock.now(), &TimeZone::system())?;
        params["since"] = json!(since);
    }
    let answer: Value = ctx.call("brain.history", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let HistoryReply { history } = reply(&answer)?;
    if history.is_empty() {
        ctx.output.note("Nothing has gone wrong yet.");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("INCIDENT", 3),
        Column::name("PROCESS"),
        Column::new("TRIGGER", 2),
        Column::new("PLAYBOOK", 1).at_least(8).at_most(24),
        Column::new("ACTIONS", 0).at_least(12),
        Column::new("OUTCOME", 0),
        Column::new("BY", 4).at_least(8).at_most(24),
    ]);
    for row in &history {
        let outcome = row.outcome.clone().unwrap_or_else(|| state(row));
        table.row([
            Cell::from(time(row.ts, None)),
            Cell::from(&row.incident),
            Cell::from(row.process.as_str()),
            Cell::from(&row.trigger),
            Cell::from(row.playbook.as_ref().map_or(NONE, |id| id.0.as_str())),
            Cell::from(actions(&row.actions)),
            outcome_cell(&outcome),
            Cell::from(&row.by),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

fn state(row: &Entry) -> String {
    let word = json!(row.state);
    word.as_str().unwrap_or_default().replace('_', " ")
}

fn outcome_cell(outcome: &str) -> Cell {
    match outcome {
        "verified" | "recovered" | "success" => Cell::toned(format!("✓ {outcome}"), Tone::Good),
        "failed" | "escalated" | "denied" | "refused" => {
            Cell::toned(format!("✗ {outcome}"), Tone::Bad)
        }
        "contained" | "awaiting approval" => Cell::toned(format!("! {outcome}"), Tone::Busy),
        _ => Cell::from(outcome),
    }
}

/// `restart, escalate`; what was not done is said.
fn actions(actions: &[Act]) -> String {
    if actions.is_empty() {
        return NONE.to_owned();
    }
    let one = |act: &Act| match act.result.as_str() {
        "done" => act.action.clone(),
        result => {
            let word = result.split(':').next().unwrap_or(result);
            format!("{} ({word})", act.action)
        }
    };
    actions.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn playbooks(ctx: &Context) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.playbooks", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let PlaybooksReply { playbooks } = reply(&answer)?;
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("SOURCE", 2),
        Column::new("ON", 3).at_least(8),
        Column::new("LEVEL", 2),
        Column::new("RUNS", 1),
        Column::new("OK", 1),
        Column::new("FAIL", 1),
        Column::new("STATE", 0).at_least(8),
    ]);
    for row in &playbooks {
        let state = match &row.error {
            Some(error) => Cell::toned(format!("✗ {}: {error}", row.state), Tone::Bad),
            None => Cell::from(&row.state),
        };
        table.row([
            Cell::from(&row.name),
            Cell::from(&row.source),
            Cell::from(row.on.join(",")),
            Cell::from(&row.level),
            Cell::from(row.runs.to_string()),
            Cell::from(row.ok.to_string()),
            Cell::from(row.failed.to_string()),
            state,
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

fn explain(ctx: &Context, what: &str) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.explain", json!({ "what": what }))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let output = &ctx.output;
    if let Some(health) = answer.get("health").filter(|health| !health.is_null()) {
        let row: ScoreRow = reply(health)?;
        output.table(&scores_table(&[row]))?;
        output.line("")?;
    }
    if answer.get("incident").is_none() {
        output.note("It has had no incident.");
        return Ok(Exit::Success);
    }
    let told: Explanation = reply(&answer)?;
    output.line(&format!("{}  {}", told.incident, told.title))?;
    let opened = time(told.opened, None);
    output.line(&match told.closed {
        Some(closed) => format!("  from {opened} to {}", time(closed, None)),
        None => format!("  since {opened}"),
    })?;
    if let Some(cause) = &told.root_cause {
        output.line(&format!("  cause      {cause}"))?;
    }
    if let Some(playbook) = &told.playbook {
        let sure = told.confidence.unwrap_or_default() * 100.0;
        output.line(&format!("  playbook   {playbook} ({sure:.0} % sure)"))?;
    }
    if let Some(illness) = &told.fingerprint {
        output.line(&format!("  illness    {illness}"))?;
    }
    for evidence in &told.evidence {
        output.line(&format!("  evidence   {}  {}", evidence.id, evidence.text))?;
    }
    for step in told.story.iter().filter(|step| step.kind == "gate") {
        let decision = &step.data["decision"];
        let why = decision["why"].as_str().unwrap_or("within the level");
        output.line(&format!(
            "  gate       {} risk at {}: {} ({why})",
            step.data["risk"].as_str().unwrap_or(NONE),
            step.data["level"].as_str().unwrap_or(NONE),
            decision["decision"].as_str().unwrap_or(NONE),
        ))?;
    }
    for act in &told.actions {
        output.line(&format!(
            "  {}  {} {}: {}{}",
            time(act.ts, None),
            act.action,
            act.target,
            act.result,
            act.outcome
                .as_ref()
                .map_or_else(String::new, |outcome| format!(" → {outcome}")),
        ))?;
    }
    let outcome = told.outcome.as_deref().unwrap_or("not over yet");
    let person = if told.escalated {
        "; a person was told"
    } else {
        ""
    };
    output.line(&format!("  outcome    {outcome}{person}"))?;
    Ok(Exit::Success)
}
