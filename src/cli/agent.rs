//! `mhost agent`: let the on-call engineer act, hold it back, answer its questions.

mod grants;
mod setup;

use std::time::Duration;

use agent::{LONGEST_PAUSE, Question, Status, Thinking};
use brain::llm::{Price, Report};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::config::ThinkWhen;
use supervisor::units::short::span;

use super::ai::{Manner, put};
use super::context::{Context, duration};
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago, ahead};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

/// Let the agent act, hold it back, and answer its questions
#[derive(Debug, Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    Setup(Box<setup::Setup>),
    /// Let it act at the level of `[agent]` in config.toml
    Start,
    /// Pull the brake: incidents are recorded, nothing is done about them
    Stop,
    /// Show its level, its budget and its open questions
    Status,
    /// Ask it something in words; it remembers the last 20 turns and may propose
    ///
    /// What it proposes is done only after a yes: mhost agent approve.
    Ask {
        /// The question, or what you would like
        question: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Show what it asked and what was answered
    Actions,
    /// Say yes to a question
    Approve {
        /// The id in `mhost agent actions`
        id: String,
    },
    /// Say no to a question
    Deny {
        /// The id in `mhost agent actions`
        id: String,
    },
    Allow(grants::Allow),
    /// Show what was allowed in advance
    Grants,
    /// Take back what was allowed in advance
    Revoke {
        /// The id in `mhost agent grants`
        id: String,
    },
    /// Make it ask before every action for a while
    Pause {
        /// How long, at most 90d: 30m, 2h
        #[arg(value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// End a pause
    Resume,
}

#[derive(Debug, Deserialize)]
struct ActionsReply {
    actions: Vec<Question>,
}

impl Agent {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            AgentCommand::Setup(command) => command.run(ctx),
            AgentCommand::Start => turn(ctx, "agent.start", json!({}), "the agent acts"),
            AgentCommand::Stop => turn(
                ctx,
                "agent.stop",
                json!({}),
                "the agent is stopped; `mhost agent start` lets it act again",
            ),
            AgentCommand::Resume => turn(ctx, "agent.resume", json!({}), "the pause is over"),
            AgentCommand::Pause { time } => {
                let time = pause(time)?;
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                turn(
                    ctx,
                    "agent.pause",
                    json!({ "duration_ms": ms }),
                    "the agent asks before it acts; `mhost agent resume` ends that",
                )
            }
            AgentCommand::Status => status(ctx),
            AgentCommand::Ask { question, manner } => ask(ctx, &question, manner),
            AgentCommand::Actions => actions(ctx),
            AgentCommand::Approve { id } => decide(ctx, "agent.approve", &id, "approved"),
            AgentCommand::Allow(command) => command.run(ctx),
            AgentCommand::Grants => grants::list(ctx),
            AgentCommand::Revoke { id } => grants::revoke(ctx, &id),
            AgentCommand::Deny { id } => decide(ctx, "agent.deny", &id, "denied"),
        }
    }
}

fn ask(ctx: &Context, question: &str, manner: Manner) -> Result<Exit, CliError> {
    let Some(answer) = put(ctx, "agent.ask", question, manner)? else {
        return Ok(Exit::Success);
    };
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let proposal = &answer["proposal"];
    if let Some(why) = proposal["refused"].as_str() {
        ctx.output.note(&format!(
            "What it proposes cannot be done: {}",
            clean_line(why)
        ));
    } else if let Some(plan) = proposal["plan"].as_array() {
        let steps: Vec<_> = plan
            .iter()
            .filter_map(Value::as_str)
            .map(clean_line)
            .collect();
        let process = clean_line(proposal["process"].as_str().unwrap_or(NONE));
        let steps = steps.join(", ");
        ctx.output.line(&match proposal["question"].as_str() {
            Some(id) => format!(
                "It proposes for {process}: {steps}. To say yes: mhost agent approve {}",
                clean_line(id)
            ),
            None => format!("Done for {process}: {steps}."),
        })?;
    }
    Ok(Exit::Success)
}

/// A time that is given, not over at once, and not without an end.
fn pause(time: Option<Duration>) -> Result<Duration, CliError> {
    match time {
        None => Err(CliError::config("a pause needs a time").with_help(
            "say how long: mhost agent pause 30m; without an end it is mhost agent stop",
        )),
        Some(Duration::ZERO) => Err(CliError::config("a pause of no time is none")
            .with_help("say how long: mhost agent pause 30m; mhost agent resume ends one")),
        Some(time) if time > LONGEST_PAUSE => Err(CliError::config(format!(
            "a pause of {} is too long: at most {}",
            span(time),
            span(LONGEST_PAUSE)
        ))
        .with_help("without an end it is mhost agent stop; mhost agent start ends that")),
        Some(time) => Ok(time),
    }
}

fn turn(ctx: &Context, method: &str, params: Value, done: &str) -> Result<Exit, CliError> {
    let status: Value = ctx.call(method, params)?;
    if ctx.output.is_json() {
        ctx.output.json(&status)?;
    }
    ctx.output.done(done)?;
    Ok(Exit::Success)
}

fn status(ctx: &Context) -> Result<Exit, CliError> {
    let status: Status = ctx.call("agent.status", json!({}))?;
    ctx.warn_of_settings();
    let models: Report = ctx.call("ai.models", json!({}))?;
    if ctx.output.is_json() {
        let mut all = json!(status);
        all["models"] = json!(models);
        ctx.output.json(&all)?;
    } else {
        tell_status(ctx, &status)?;
        tell_thinking(ctx, &status.thinking, &models)?;
        tell_models(ctx, &models)?;
    }
    Ok(Exit::Success)
}

/// What comes of asking a model at each look, where that is wanted.
fn tell_thinking(ctx: &Context, thinking: &Thinking, models: &Report) -> Result<(), CliError> {
    if thinking.when != ThinkWhen::Always {
        return Ok(());
    }
    let text = if models.why_nobody.is_some() {
        "`think_when` is \"always\", which has no effect without a model: mhost ai setup".to_owned()
    } else {
        let so_far = format!(
            "at each look: {} answers, {} with something to do",
            thinking.answers, thinking.plans
        );
        match &thinking.why_not {
            Some(why) => format!("{so_far}; the last question has none: {}", clean_line(why)),
            None => so_far,
        }
    };
    ctx.output.line(&format!("thinks     {text}"))
}

/// Who is asked when nothing else knows, how they do, and what it has cost.
fn tell_models(ctx: &Context, models: &Report) -> Result<(), CliError> {
    let now = ctx.clock.now();
    let output = &ctx.output;
    if let Some(why) = &models.why_nobody {
        return output.line(&format!("models     none: {}", clean_line(why)));
    }
    for (place, one) in models.members.iter().enumerate() {
        let label = if place == 0 { "models" } else { "" };
        let price = match one.price {
            None => "its price is not known".to_owned(),
            Some(Price::FREE) => "free".to_owned(),
            Some(Price { prompt, answer }) => {
                format!("{prompt} and {answer} US dollars per million tokens asked and answered")
            }
        };
        let rest = one.resting_until.map_or_else(String::new, |until| {
            format!("; left alone, ends {}", ahead(now, until))
        });
        output.line(&format!(
            "{label:<10} {} of {}: {price}{rest}",
            clean_line(&one.model),
            one.provider
        ))?;
        if let Some(error) = &one.figures.last_error {
            output.line(&format!("           last failure: {}", clean_line(error)))?;
        }
    }
    for why in &models.left_out {
        output.line(&format!("           not asked: {}", clean_line(why)))?;
    }
    let today = &models.today;
    let cap = |cap: Option<String>| cap.map_or_else(String::new, |cap| format!(" of {cap}"));
    output.line(&format!(
        "spent      {} requests, {} tokens{}, {:.4}{} US dollars since midnight, by prices of {}",
        today.requests,
        today.tokens,
        cap(today.max_tokens.map(|most| most.to_string())),
        today.cost_usd,
        cap(today.max_cost_usd.map(|most| most.to_string())),
        models.prices_as_of
    ))
}

/// Where the agent stands, in a few lines.
pub(super) fn tell_status(ctx: &Context, status: &Status) -> Result<(), CliError> {
    let now = ctx.clock.now();
    let output = &ctx.output;
    let state = if status.stopped {
        "stopped: nothing is done"
    } else if status.enabled {
        "enabled"
    } else {
        "not enabled: playbooks act at the level of [brain]"
    };
    let level = json!(status.level);
    output.line(&format!("agent      {state}"))?;
    output.line(&format!("level      {}", level.as_str().unwrap_or(NONE)))?;
    output.line(&format!(
        "budget     {} of {} actions in the last hour, {} per process",
        status.budget.used, status.budget.max, status.budget.max_per_process
    ))?;
    if let Some(until) = status.paused_until {
        let why = status.paused_why.as_deref().unwrap_or(NONE);
        output.line(&format!("paused     ends {}: {why}", ahead(now, until)))?;
    }
    let looked = status
        .last_round
        .map_or_else(|| NONE.to_owned(), |at| ago(now, at));
    output.line(&format!("last look  {looked}"))?;
    output.line(&format!("incidents  {} open", status.open_incidents))?;
    if !status.approvers.is_empty() {
        let who = status.approvers.join(", ");
        output.line(&format!("approvers  {}", clean_line(&who)))?;
    }
    let (low, high) = (status.approvals.low, status.approvals.high);
    if (low, high) != (1, 1) {
        output.line(&format!(
            "approvals  {low} for low risk, {high} for high risk"
        ))?;
    }
    if status.pending.is_empty() {
        output.line("questions  none")?;
    } else {
        output.line(&format!(
            "questions  {} open: mhost agent actions",
            status.pending.len()
        ))?;
    }
    Ok(())
}

fn actions(ctx: &Context) -> Result<Exit, CliError> {
    let answer: ActionsReply = ctx.call("agent.actions", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&json!({ "actions": answer.actions }))?;
        return Ok(Exit::Success);
    }
    if answer.actions.is_empty() {
        ctx.output.note("Nothing has been asked yet.");
        return Ok(Exit::Success);
    }
    let now = ctx.clock.now();
    let mut table = Table::new([
        Column::new("ID", 0),
        Column::name("PROCESS"),
        Column::new("PLAN", 0).at_least(8),
        Column::new("RISK", 2),
        Column::new("STATE", 0).at_least(8),
        Column::new("ASKED", 3),
        Column::new("REASON", 1).at_least(12),
    ]);
    for row in &answer.actions {
        let state = match (row.state.as_str(), &row.decided_by) {
            ("pending", _) => {
                let left = ahead(now, row.expires);
                let votes = row
                    .so_far()
                    .map_or_else(String::new, |votes| format!(" ({votes})"));
                Cell::toned(
                    clean_line(&format!("? pending, expires {left}{votes}")),
                    Tone::Busy,
                )
            }
            (state, Some(by)) => Cell::from(format!("{state} by {by}")),
            (state, None) => Cell::from(state),
        };
        table.row([
            Cell::from(&row.id),
            Cell::from(row.process.as_str()),
            Cell::from(row.plan.join(", ")),
            Cell::from(&row.risk),
            state,
            Cell::from(ago(now, row.created)),
            Cell::from(&row.reason),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

fn decide(ctx: &Context, method: &str, id: &str, word: &str) -> Result<Exit, CliError> {
    let row: Question = ctx.call(method, json!({ "id": id }))?;
    if ctx.output.is_json() {
        ctx.output.json(&row)?;
    }
    let what = format!(
        "{} of {} ({})",
        row.plan.join(", "),
        row.process,
        row.incident
    );
    ctx.output.done(&match row.so_far() {
        Some(votes) => format!("your yes to {what} counts: {}", clean_line(&votes)),
        None => format!("{word}: {what}"),
    })?;
    Ok(Exit::Success)
}
