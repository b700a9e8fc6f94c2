//! `mhost brain explain`: the story of an incident.

use agent::{ByGrant, Explanation};
use serde_json::{Value, json};

use super::reply;
use super::status::{ScoreRow, scores_table};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::output::figures::{NONE, time};
use crate::output::text::clean_line;

/// A line of the story; what programs printed is in it.
fn say(output: &Output, text: &str) -> Result<(), CliError> {
    output.line(&clean_line(text))
}

/// How the cause was come by: whom it leads to, on what grounds, and what does not fit.
fn chain(ctx: &Context, told: &Explanation, case: &Value) -> Result<(), CliError> {
    let output = &ctx.output;
    let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let culprit = case["process"].as_str().unwrap_or(NONE);
    if culprit != told.process.as_str() {
        let between = list("chain");
        let between = between.iter().filter_map(Value::as_str);
        let way: Vec<&str> = std::iter::once(told.process.as_str())
            .chain(between)
            .chain([culprit])
            .collect();
        say(output, &format!("  to blame   {}", way.join(" ← ")))?;
    }
    for one in list("evidence") {
        let (id, text) = (&one["id"], &one["text"]);
        let known = told
            .evidence
            .iter()
            .any(|old| *id == old.id && *text == old.text);
        if !known {
            let id = id.as_str().unwrap_or(NONE);
            let text = text.as_str().unwrap_or(NONE);
            say(output, &format!("  evidence   {id}  {text}"))?;
        }
    }
    for one in list("ruled_out") {
        let what = one["what"].as_str().unwrap_or(NONE);
        let why = one["why"].as_str().unwrap_or(NONE);
        say(output, &format!("  ruled out  {what}: {why}"))?;
    }
    Ok(())
}

/// One incident, or the newest of a process.
pub(super) fn explain(ctx: &Context, what: &str) -> Result<Exit, CliError> {
    let answered: Result<Value, CliError> = ctx.call("brain.explain", json!({ "what": what }));
    let answer = answered.map_err(|error| match error.exit() {
        Exit::NotFound => CliError::new(
            Exit::NotFound,
            format!("there is no incident `{}`", clean_line(what)),
        )
        .with_help("see what there is: mhost brain history"),
        _ => error,
    })?;
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
    say(output, &format!("{}  {}", told.incident, told.title))?;
    let opened = time(told.opened, None);
    say(
        output,
        &match told.closed {
            Some(closed) => format!("  from {opened} to {}", time(closed, None)),
            None => format!("  since {opened}"),
        },
    )?;
    // The story keeps the diagnoses as they got surer; the last one is the best.
    let case = told.story.iter().rev().find(|step| step.kind == "cause");
    if let Some(case) = case {
        let words = case.data["root_cause"].as_str().unwrap_or(NONE);
        let sure = case.data["confidence"].as_f64().unwrap_or_default() * 100.0;
        let name = case.data["cause"].as_str().unwrap_or(NONE);
        say(
            output,
            &format!("  cause      {name} ({sure:.0} % sure): {words}"),
        )?;
        chain(ctx, &told, &case.data)?;
    }
    if let Some(reason) = &told.root_cause {
        let label = if case.is_some() { "reason" } else { "cause" };
        say(output, &format!("  {label:<10} {reason}"))?;
    }
    if let Some(playbook) = &told.playbook {
        let sure = told.confidence.unwrap_or_default() * 100.0;
        say(
            output,
            &format!("  playbook   {playbook} ({sure:.0} % sure)"),
        )?;
    }
    if let Some(illness) = &told.fingerprint {
        say(output, &format!("  illness    {illness}"))?;
    }
    for victim in &told.victims {
        output.line(&format!(
            "  victim     {} ({}, since {})",
            victim.process,
            victim.trigger,
            time(victim.since, None),
        ))?;
    }
    if let Some(cause) = &told.merged_into {
        output.line(&format!("  part of    {cause}"))?;
    }
    for evidence in &told.evidence {
        say(
            output,
            &format!("  evidence   {}  {}", evidence.id, evidence.text),
        )?;
    }
    for step in told.story.iter().filter(|step| step.kind == "model") {
        say(output, &format!("  model      {}", asked(&step.data)))?;
    }
    for step in told.story.iter().filter(|step| step.kind == "gate") {
        let decision = &step.data["decision"];
        let grant = serde_json::from_value::<ByGrant>(step.data["grant"].clone());
        let by_grant = grant.map(|grant| grant.words());
        let within = by_grant.as_deref().unwrap_or("within the level");
        let why = decision["why"].as_str().unwrap_or(within);
        say(
            output,
            &format!(
                "  gate       {} risk at {}: {} ({why})",
                step.data["risk"].as_str().unwrap_or(NONE),
                step.data["level"].as_str().unwrap_or(NONE),
                decision["decision"].as_str().unwrap_or(NONE),
            ),
        )?;
    }
    for act in &told.actions {
        say(
            output,
            &format!(
                "  {}  {} {}: {}{}",
                time(act.ts, None),
                act.action,
                act.target,
                act.result,
                act.outcome
                    .as_ref()
                    .map_or_else(String::new, |outcome| format!(" → {outcome}")),
            ),
        )?;
    }
    let outcome = told.outcome.as_deref().unwrap_or("not over yet");
    let person = if told.escalated {
        "; a person was told"
    } else {
        ""
    };
    say(output, &format!("  outcome    {outcome}{person}"))?;
    Ok(Exit::Success)
}

/// What came of asking a model: who answered, or why none was of help.
fn asked(data: &Value) -> String {
    let took = data["took_ms"].as_u64().unwrap_or_default() as f64 / 1_000.0;
    if let Some(why) = data["why"].as_str() {
        return format!("of no help after {took:.1} s: {why}");
    }
    let by = &data["by"];
    format!(
        "{}/{} answered after {took:.1} s",
        by["provider"].as_str().unwrap_or(NONE),
        by["model"].as_str().unwrap_or(NONE),
    )
}
