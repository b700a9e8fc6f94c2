//! `mhost ai explain`: what a process or a file of settings is, in words.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;

/// Largest file that is read.
const LARGEST: u64 = 64 * 1024;

/// Explain a process, or a file of settings, in words
///
/// Needs a model. What is a file here is a file; a process of that name wins.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The process, or a file such as mhost.toml
    what: String,
    #[command(flatten)]
    manner: Manner,
}

impl Explain {
    /// Asks and shows the words.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let path = Path::new(&self.what);
        let params = if path.is_file() && !is_process(ctx, &self.what)? {
            let failed = |error: std::io::Error| {
                CliError::failure(format!("could not read {}: {error}", self.what))
            };
            if path.metadata().map_err(failed)?.len() > LARGEST {
                return Err(CliError::failure(format!(
                    "{} is larger than 64 KB",
                    self.what
                )));
            }
            let text = std::fs::read(path).map_err(failed)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            json!({ "file": { "name": self.what, "text": text } })
        } else {
            json!({ "name": self.what })
        };
        tell(ctx, "ai.explain", params, self.manner, |_| Ok(()))
    }
}

fn is_process(ctx: &Context, name: &str) -> Result<bool, CliError> {
    let list: serde_json::Value = ctx.call("process.list", json!({}))?;
    let all = list["processes"].as_array();
    Ok(all.is_some_and(|all| all.iter().any(|one| one["name"] == name)))
}
