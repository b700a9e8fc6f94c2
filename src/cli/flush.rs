//! `mhost flush`: empty the stored logs.

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::target::{self, DoneReply};
use crate::exit::Exit;

/// Empty the stored logs
#[derive(Debug, Args)]
pub(crate) struct Flush {
    /// Whose logs; all when left out
    target: Option<String>,
}

impl Flush {
    /// Asks first: lines that are gone do not come back.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let whose = self.target.as_deref().unwrap_or("all processes");
        ctx.confirm(&format!("Delete the stored log lines of {whose}?"))?;
        let mut params = json!({});
        if let Some(target) = &self.target {
            params["name"] = json!(target);
        }
        let DoneReply { done } = ctx.call("logs.flush", params)?;
        if ctx.output.is_json() || done.iter().any(|one| one.error.is_some()) {
            return target::tell(ctx, "emptied", &done);
        }
        ctx.output.done(&format!("logs of {whose} emptied"))?;
        Ok(Exit::Success)
    }
}
