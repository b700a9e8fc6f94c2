//! How figures and a model's words are asked for and shown: the same for every command.
//!
//! Figures come first and are shown at once; the words follow while they are written. What a
//! model says is text of a stranger: it is made harmless like anything that programs print.

use std::cell::{Cell, RefCell};

use brain::prompts::{Prompts, Purpose};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::text::{clean_block, clean_line, clean_text};

/// What is done where a prompt of the user cannot be used.
const INSTEAD: &str = "  the built-in prompt is used instead; see: mhost ai prompts test";

/// What every command with a model understands.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Manner {
    /// Print what a model would be told, and send nothing
    #[arg(long)]
    show_context: bool,
}

impl Manner {
    /// Is nothing sent?
    pub(in crate::cli) fn only_shows(self) -> bool {
        self.show_context
    }
}

/// Asks `method` and shows the answer: its figures by `show`, then the words.
pub(super) fn tell(
    ctx: &Context,
    method: &str,
    params: Value,
    manner: Manner,
    show: impl Fn(&Value) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    if let Some(shown) = context(ctx, method, &params, manner)? {
        return Ok(shown);
    }
    if ctx.output.is_json() {
        let answer: Value = ctx.call_heard(method, params, |_| ())?;
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let (told, spoken) = (Cell::new(false), Cell::new(false));
    let failed: RefCell<Result<(), CliError>> = RefCell::new(Ok(()));
    let answer: Value = ctx.call_heard(method, params, |part| {
        if failed.borrow().is_err() {
            return;
        }
        let done = if part["local"].is_object() {
            told.set(true);
            show(&part["local"])
        } else {
            piece(ctx, &part, &spoken)
        };
        *failed.borrow_mut() = done;
    })?;
    failed.into_inner()?;
    if !told.get() {
        show(&answer)?;
    }
    words(ctx, &answer, spoken.get())?;
    Ok(Exit::Success)
}

/// `--show-context`: what a model would be told, and the end of the command.
pub(super) fn context(
    ctx: &Context,
    method: &str,
    params: &Value,
    manner: Manner,
) -> Result<Option<Exit>, CliError> {
    tell_of_prompts(ctx, method)?;
    if !manner.show_context {
        return Ok(None);
    }
    let mut params = params.clone();
    params["show_context"] = json!(true);
    let answer: Value = ctx.call(method, params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
    } else {
        let text = answer["context"].as_str().unwrap_or_default();
        ctx.output.line(clean_block(text).trim_end())?;
    }
    Ok(Some(Exit::Success))
}

/// Says which prompts of the user stand behind this and cannot be used.
fn tell_of_prompts(ctx: &Context, method: &str) -> Result<(), CliError> {
    let purposes: &[Purpose] = match method {
        "ai.diagnose" => &[Purpose::Diagnose, Purpose::Small],
        "ai.logs" => &[Purpose::Logs, Purpose::LogsQuery],
        method => {
            let name = method.rsplit('.').next().unwrap_or_default();
            &Vec::from_iter(name.parse::<Purpose>().ok())
        }
    };
    let prompts = Prompts::new(ctx.paths()?.prompts());
    let mut told = Vec::new();
    for problem in purposes.iter().flat_map(|one| prompts.problems(*one)) {
        if !told.contains(&problem) {
            ctx.output.warn(&format!("{problem}\n{INSTEAD}"));
            told.push(problem);
        }
    }
    Ok(())
}

/// The next piece of a text, on a line of its own if it is the first.
fn piece(ctx: &Context, part: &Value, spoken: &Cell<bool>) -> Result<(), CliError> {
    let Some(text) = part["text"].as_str() else {
        return Ok(());
    };
    if !spoken.replace(true) {
        ctx.output.line("")?;
    }
    ctx.output.write(&clean_text(text))
}

/// The words of an answer that were not heard yet, who wrote them, or why there are none.
fn words(ctx: &Context, answer: &Value, spoken: bool) -> Result<(), CliError> {
    let prose = answer["prose"].as_str().unwrap_or_default();
    if spoken {
        ctx.output.line("")?;
    } else if !prose.is_empty() {
        ctx.output.line("")?;
        ctx.output.line(&clean_block(prose))?;
    }
    note(ctx, answer);
    Ok(())
}

/// Says so where an answer of a model is not whole.
pub(super) fn warn_of_a_cut(ctx: &Context, answer: &Value) {
    let why = match answer["cut"].as_str() {
        Some("length") => "it reached its longest length",
        Some("filtered") => "the provider withheld the rest",
        _ => return,
    };
    ctx.output
        .warn(&format!("the answer of the model was cut off: {why}"));
}

/// Who wrote the words, or why there are none.
pub(super) fn note(ctx: &Context, answer: &Value) {
    warn_of_a_cut(ctx, answer);
    let by = &answer["by"];
    if let (Some(provider), Some(model)) = (by["provider"].as_str(), by["model"].as_str()) {
        let usage = &answer["usage"];
        ctx.output.note(&format!(
            "Words by {} of {}, {} tokens; the figures are mhost's own.",
            clean_line(model),
            clean_line(provider),
            usage["prompt_tokens"].as_u64().unwrap_or(0)
                + usage["answer_tokens"].as_u64().unwrap_or(0)
        ));
    } else if let Some(why) = answer["note"].as_str() {
        ctx.output.note(&format!(
            "These are mhost's own figures; {}",
            clean_line(why)
        ));
    }
}
