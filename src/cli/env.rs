//! `mhost env`: the environment a process really gets.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::command::view::EnvView;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::text;

/// Show the final environment of a process
///
/// Values whose names look like secrets are shown as ***.
#[derive(Debug, Args)]
pub(crate) struct Env {
    /// Name, name:instance, or index
    target: String,
    /// Show secret values, too; this is written to the audit log
    #[arg(long)]
    reveal: bool,
}

/// The answer of `process.env`.
#[derive(Debug, Deserialize)]
pub(crate) struct EnvReply {
    /// One entry per instance.
    pub(crate) env: Vec<EnvView>,
}

impl Env {
    /// Prints `KEY=value` lines.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "name": self.target, "reveal": self.reveal });
        let EnvReply { env } = ctx.call("process.env", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "env": env }))?;
            return Ok(Exit::Success);
        }
        let several = env.len() > 1;
        let mut lines = String::new();
        for view in &env {
            if several {
                lines.push_str(&format!("# {}:{}\n", view.name, view.instance));
            }
            for entry in &view.env {
                let (key, value) = (text::clean(&entry.key), text::clean(&entry.value));
                lines.push_str(&format!("{key}={value}\n"));
            }
        }
        ctx.output.write(&lines)?;
        Ok(Exit::Success)
    }
}
