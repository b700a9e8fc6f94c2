//! `mhost ai postmortem`: the story of an incident as a document.

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::telling::{Manner, context, note};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::text::clean_text;

/// Write the postmortem of an incident as Markdown
///
/// Cause, timeline and what was done are mhost's own record. A model, if one is set up, writes
/// the summary.
#[derive(Debug, Args)]
pub(crate) struct Postmortem {
    /// The process (its newest incident), or the id of an incident
    what: String,
    #[command(flatten)]
    manner: Manner,
}

impl Postmortem {
    /// Asks and prints the document.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "what": self.what, "zone": TimeZone::system().iana_name() });
        if let Some(shown) = context(ctx, "ai.postmortem", &params, self.manner)? {
            return Ok(shown);
        }
        let answer: Value = ctx.call_heard("ai.postmortem", params, |_| ())?;
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
        } else {
            let text = answer["markdown"].as_str().unwrap_or_default();
            ctx.output.write(&clean_text(text))?;
        }
        note(ctx, &answer);
        Ok(Exit::Success)
    }
}
