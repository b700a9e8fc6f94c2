//! `mhost ai ask`: a question in words, answered from what a model looks up.

use std::cell::Cell;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, context, warn_of_a_cut};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::text::{clean_block, clean_line, clean_text};

/// Ask a question about your processes in words
///
/// A model looks things up and answers with evidence. It changes nothing: for a change it
/// names the command to type.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The question
    question: String,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    answer: String,
    evidence: Vec<EvidenceRow>,
    model: String,
    rounds: u64,
}

#[derive(Debug, Deserialize)]
struct EvidenceRow {
    id: String,
    text: String,
}

impl Ask {
    /// Asks and prints the answer as it is written.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let answer = put(ctx, "ai.ask", &self.question, self.manner)?;
        if let Some(answer) = answer
            && ctx.output.is_json()
        {
            ctx.output.json(&answer)?;
        }
        Ok(Exit::Success)
    }
}

/// Puts a question to a model and tells its answer, unless JSON is wanted. None when only the
/// context was shown.
pub(in crate::cli) fn put(
    ctx: &Context,
    method: &str,
    question: &str,
    manner: Manner,
) -> Result<Option<Value>, CliError> {
    let params = json!({ "question": question });
    if context(ctx, method, &params, manner)?.is_some() {
        return Ok(None);
    }
    let written = Cell::new(false);
    let quiet = ctx.output.is_json();
    let answer: Value = ctx.call_heard(method, params, |part| {
        if quiet {
            return;
        }
        if let Some(what) = part["lookup"].as_str() {
            ctx.output.note(&clean_line(what));
        } else if let Some(text) = part["text"].as_str() {
            written.set(true);
            // A reader that is gone is noticed when the whole is written.
            let _ = ctx.output.write(&clean_text(text));
        }
    })?;
    if quiet {
        return Ok(Some(answer));
    }
    let told: Reply = super::reply(&answer)?;
    if written.get() {
        ctx.output.line("")?;
    } else {
        ctx.output.line(&clean_block(&told.answer))?;
    }
    warn_of_a_cut(ctx, &answer);
    let painter = ctx.output.painter();
    for one in &told.evidence {
        let text = format!("  {} — {}", clean_line(&one.id), clean_line(&one.text));
        ctx.output
            .line(painter.paint(&text, Tone::Quiet).as_ref())?;
    }
    ctx.output.note(&format!(
        "Answered by {} in {}.",
        clean_line(&told.model),
        match told.rounds {
            1 => "one round".to_owned(),
            rounds => format!("{rounds} rounds"),
        }
    ));
    Ok(Some(answer))
}
