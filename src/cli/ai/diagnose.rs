//! `mhost ai diagnose`: the cause of what is wrong, found by mhost, and what a model makes of it.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, context};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::text::{clean_line, pad, wrap};

/// Width of the words before the text.
const LABEL: usize = 11;
/// Parts of an answer that do not count and are told.
const DROPPED: usize = 5;
/// Lines are not longer than this, however wide the terminal is.
const WIDEST: usize = 100;

/// Say what is wrong with a process, on what grounds, and what to do
///
/// What is known of causes is built in and needs no model, no key and no network. With an
/// `[ai]` table in config.toml a model gets that finding first, looks further, and confirms,
/// refines or refutes it.
#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    /// The process
    name: String,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    asked: String,
    state: String,
    root_cause: String,
    process: String,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    chain: Vec<String>,
    confidence: f64,
    evidence: Vec<EvidenceRow>,
    actions: Vec<ActionRow>,
    ruled_out: Vec<RuledOutRow>,
    took_ms: u64,
    #[serde(default)]
    incident: Option<String>,
    /// Who was asked beside the knowledge base.
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    verdict: Option<String>,
    /// What the model says, in its own words.
    #[serde(default)]
    reason: Option<String>,
    /// What mhost found by itself.
    #[serde(default)]
    finding: Option<Finding>,
    /// What of the model's answer does not count, and why.
    #[serde(default)]
    dropped: Vec<String>,
    /// Why no model was of help.
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    root_cause: String,
}

#[derive(Debug, Deserialize)]
struct EvidenceRow {
    id: String,
    text: String,
}

#[derive(Debug, Deserialize)]
struct ActionRow {
    action: String,
    text: String,
    safe: bool,
}

#[derive(Debug, Deserialize)]
struct RuledOutRow {
    what: String,
    why: String,
}

impl Diagnose {
    /// Asks the brain and tells what it found.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "name": self.name });
        if let Some(shown) = context(ctx, "ai.diagnose", &params, self.manner)? {
            return Ok(shown);
        }
        let answer: Value = ctx.call_heard("ai.diagnose", params, |part| {
            // What is looked up on the way is talk; the answer comes as a whole.
            if let Some(what) = part["lookup"].as_str() {
                ctx.output.note(&format!("looked up: {}", clean_line(what)));
            }
        })?;
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
            return Ok(Exit::Success);
        }
        let reply: Reply = super::reply(&answer)?;
        tell(ctx, &reply)?;
        Ok(Exit::Success)
    }
}

/// A confidence in words.
fn sure(confidence: f64) -> &'static str {
    match confidence {
        c if c >= 0.9 => "almost certain",
        c if c >= 0.75 => "very likely",
        c if c >= 0.6 => "likely",
        c if c >= 0.45 => "possible",
        _ => "not known",
    }
}

fn tell(ctx: &Context, reply: &Reply) -> Result<(), CliError> {
    let output = &ctx.output;
    let painter = output.painter();
    let (sign, word, tone) = match reply.state.as_str() {
        "well" => ("✓", "well", Tone::Good),
        "recovered" => ("✓", "well again", Tone::Good),
        "ill" => ("✗", "ill", Tone::Bad),
        _ => ("!", "cause not known", Tone::Busy),
    };
    let name = clean_line(&reply.asked);
    let mut head = format!("{} {name} ", painter.paint(sign, tone));
    head.push_str(&painter.paint(word, tone));
    if matches!(reply.state.as_str(), "ill" | "recovered") {
        head.push_str(&format!(
            " · {}{} ({:.0} %)",
            reply
                .cause
                .as_ref()
                .map_or_else(String::new, |cause| format!("{}, ", clean_line(cause))),
            sure(reply.confidence),
            reply.confidence * 100.0
        ));
    }
    output.line(&head)?;
    output.line("")?;
    let width = output.width().unwrap_or(WIDEST).min(WIDEST);
    let room = width.saturating_sub(LABEL + 2).max(20);
    let part = |label: &str, text: &str| -> Result<(), CliError> {
        let text = clean_line(text);
        for (place, line) in wrap(&text, room).iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            let label = painter.paint(&pad(label, LABEL), Tone::Quiet);
            output.line(format!("  {label}{line}").trim_end())?;
        }
        Ok(())
    };
    part("cause", &reply.root_cause)?;
    if reply.process != reply.asked {
        let mut way = vec![reply.asked.clone()];
        way.extend(reply.chain.iter().cloned());
        way.push(reply.process.clone());
        part("to blame", &way.join(" ← "))?;
    }
    for (place, one) in reply.evidence.iter().enumerate() {
        let label = if place == 0 { "evidence" } else { "" };
        part(label, &format!("{} — {}", one.id, one.text))?;
    }
    for (place, one) in reply.actions.iter().enumerate() {
        let label = if place == 0 { "to do" } else { "" };
        let who = match (one.action.as_str(), one.safe) {
            ("person" | "none", _) => String::new(),
            (action, true) => format!("{action} (mhost may do it): "),
            (action, false) => format!("{action}: "),
        };
        part(label, &format!("{}. {who}{}", place + 1, one.text))?;
    }
    for (place, one) in reply.ruled_out.iter().enumerate() {
        let label = if place == 0 { "ruled out" } else { "" };
        part(label, &format!("{}: {}", one.what, one.why))?;
    }
    if let (Some(model), Some(verdict)) = (&reply.model, &reply.verdict) {
        let word = match verdict.as_str() {
            "confirm" => "confirms what mhost found",
            "refine" => "refines what mhost found",
            "refute" => "refutes what mhost found",
            _ => "looked at what mhost found",
        };
        part("model", &format!("{model} {word}"))?;
        match (verdict.as_str(), &reply.reason, &reply.finding) {
            ("confirm", Some(reason), _) => part("", reason)?,
            (_, _, Some(finding)) => part("mhost", &finding.root_cause)?,
            _ => {}
        }
        for (place, one) in reply.dropped.iter().take(DROPPED).enumerate() {
            part(if place == 0 { "left out" } else { "" }, one)?;
        }
    }
    output.line("")?;
    if let Some(note) = &reply.note {
        output.note(&clean_line(note));
    }
    let story = reply.incident.as_ref().map_or_else(String::new, |id| {
        format!(" The story: mhost brain explain {id}")
    });
    output.note(&format!(
        "Found in {} ms{}.{story}",
        reply.took_ms,
        if reply.model.is_some() {
            " before a model was asked"
        } else {
            ", without a model"
        }
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_has_words() {
        for (number, words) in [
            (0.95, "almost certain"),
            (0.8, "very likely"),
            (0.6, "likely"),
            (0.5, "possible"),
            (0.2, "not known"),
        ] {
            assert_eq!(sure(number), words);
        }
    }
}
