//! Switches channels on and off, and removes them.

use clap::Args;
use serde_json::json;
use toml_edit::Item;

use super::{change, channel_table, configured};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::settings;
use crate::exit::Exit;

/// A channel by its name
#[derive(Debug, Args)]
pub(super) struct Channel {
    /// As `mhost notify list` shows it
    name: String,
}

impl Channel {
    /// Writes `enabled`.
    pub(super) fn turn(self, ctx: &Context, on: bool) -> Result<Exit, CliError> {
        self.known(ctx)?;
        change(ctx, |document| {
            if let Some(table) = channel_table(document, &self.name) {
                settings::set(table, "enabled", on);
            }
        })?;
        if ctx.output.is_json() {
            ctx.output
                .json(&json!({ "name": self.name, "enabled": on }))?;
        } else {
            let what = if on {
                "is told again"
            } else {
                "is told nothing"
            };
            ctx.output.done(&format!("{} {what}", self.name))?;
        }
        Ok(Exit::Success)
    }

    /// Takes the table out.
    pub(super) fn remove(self, ctx: &Context) -> Result<Exit, CliError> {
        self.known(ctx)?;
        change(ctx, |document| {
            let all = document
                .get_mut("notifications")
                .and_then(Item::as_table_like_mut);
            if let Some(all) = all {
                all.remove(&self.name);
            }
        })?;
        if ctx.output.is_json() {
            ctx.output
                .json(&json!({ "name": self.name, "removed": true }))?;
        } else {
            ctx.output.done(&format!("{} is removed", self.name))?;
        }
        Ok(Exit::Success)
    }

    fn known(&self, ctx: &Context) -> Result<(), CliError> {
        let config = configured(ctx)?;
        let channels = &config.notifications.channels;
        if channels.contains_key(&self.name) {
            return Ok(());
        }
        let file = ctx.paths()?.config();
        let message = format!("{} has no channel `{}`", file.display(), self.name);
        let near = channels
            .keys()
            .map(|one| (strsim::damerau_levenshtein(one, &self.name), one))
            .filter(|(far, _)| *far <= 3)
            .min();
        Err(
            CliError::new(Exit::NotFound, message).with_help(match near {
                Some((_, near)) => format!("did you mean `{near}`?"),
                None => "mhost notify list".to_owned(),
            }),
        )
    }
}
