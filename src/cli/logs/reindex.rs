//! `mhost logs reindex`: the search index anew, from the kept logs.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::logs::IndexView;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::watch::pause;
use crate::exit::Exit;
use crate::output::figures;

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So often lines are waited for whose times were lost: 10 s.
const LOOKS_FOR_TIMES: u32 = 100;

/// Make the search index anew from the kept logs
///
/// Searches answer meanwhile: they read the logs themselves.
#[derive(Debug, Args)]
pub(super) struct Reindex {
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

#[derive(Deserialize)]
struct Answer {
    index: IndexView,
}

impl Reindex {
    /// Orders it, and waits until the index has all lines again.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let before: Answer = ctx.call("logs.index", json!({}))?;
        let mut now: Answer = ctx.call("logs.reindex", json!({}))?;
        if !self.no_wait {
            let mut looks = LOOKS_FOR_TIMES;
            let mut done = |view: &IndexView| {
                let caught_up = view.lines > 0 && view.lag_ms < 1_000;
                // Lost times are made anew at first, which takes a moment.
                let whole = view.apart_bytes == 0 || looks == 0;
                looks = looks.saturating_sub(1);
                whole
                    && view.rebuilds > before.index.rebuilds
                    && (view.behind_bytes == 0 || caught_up)
            };
            while !done(&now.index) && now.index.problem.is_none() {
                pause(LOOK_EVERY);
                now = ctx.call("logs.index", json!({}))?;
            }
        }
        if let Some(problem) = now.index.problem {
            return Err(
                CliError::failure(format!("the log index cannot be written: {problem}"))
                    .with_help("make room in the folder of the logs; searches work without it"),
            );
        }
        let apart = now.index.apart_bytes;
        if apart > 0 && !self.no_wait {
            return Err(CliError::failure(format!(
                "{apart} bytes of the logs could not be indexed: the file with their times \
                 (.idx) is lost"
            ))
            .with_help(
                "searches read those lines in the files, so nothing is missing in answers",
            ));
        }
        for lost in &now.index.lost {
            ctx.output.warn(&lost.to_string());
        }
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "index": now.index }))?;
        }
        let said = if self.no_wait {
            "the log index is being made anew".to_owned()
        } else {
            let lines = usize::try_from(now.index.lines).unwrap_or(usize::MAX);
            format!(
                "log index made anew: {}",
                figures::count(lines, "line", "lines")
            )
        };
        ctx.output.done(&said)?;
        Ok(Exit::Success)
    }
}
