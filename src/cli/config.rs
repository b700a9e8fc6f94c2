//! `mhost config`: the definition a process really has.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use supervisor::command::view::ProcessView;
use supervisor::secret::MASK;

use super::context::Context;
use super::error::CliError;
use super::status;
use crate::exit::Exit;
use crate::output::text;

/// Show the effective definition of a process
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Name, index, group, glob, or all
    target: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
}

/// A way to write a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As in mhost.toml
    Toml,
    /// One JSON value
    Json,
}

impl Config {
    /// Prints a file that would define the same.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let processes = status::of(ctx, &self.target)?;
        let shown: Vec<_> = processes.iter().map(|process| &process.config).collect();
        warn_of_masks(ctx, &json!(shown));
        if ctx.output.is_json() || self.format == Format::Json {
            let tables: serde_json::Map<_, _> = processes
                .iter()
                .map(|process| (process.name.to_string(), json!(process.config)))
                .collect();
            ctx.output.json(&json!({ "process": tables }))?;
        } else {
            let tables: Vec<String> = processes.iter().map(to_toml).collect();
            ctx.output.write(&tables.join("\n"))?;
        }
        Ok(Exit::Success)
    }
}

/// Says so where a definition that is shown lacks its secrets: it would start nothing.
pub(super) fn warn_of_masks(ctx: &Context, shown: &Value) {
    if shown.to_string().contains(MASK) {
        ctx.output.caution(&format!(
            "Secrets are shown as {MASK}: write them in before you use this as a file."
        ));
    }
}

/// The table `[process.<name>]` of a process.
pub(crate) fn to_toml(process: &ProcessView) -> String {
    let table = json!({ "process": { process.name.as_str(): process.config } });
    // JSON null has no counterpart in TOML; absent keys are left out by the types already.
    toml::to_string(&table).map_or_else(
        |error| format!("# this definition has no TOML form: {error}\n"),
        |text| text::clean_block(&text) + "\n",
    )
}
