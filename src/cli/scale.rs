//! `mhost scale`: change the number of copies.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Change the number of copies
///
/// Up: new copies are added. Down: the ones with the highest index are stopped. The others
/// are not touched. `mhost start` of the same file keeps the new number.
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Process
    target: String,
    /// How many: 4, or more or fewer: +1, -1
    #[arg(value_name = "N", allow_hyphen_values = true, value_parser = change)]
    change: Change,
}

/// How the number changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    To(u16),
    By(i32),
}

/// Most copies of one process.
const MOST: u16 = supervisor::spec::MAX_INSTANCES;

fn change(text: &str) -> Result<Change, String> {
    let wrong = || format!("write a number from 0 to {MOST}, or a change such as +1 or -1");
    if text.starts_with(['+', '-']) {
        return text.parse().map(Change::By).map_err(|_| wrong());
    }
    text.parse()
        .ok()
        .filter(|count| *count <= MOST)
        .map(Change::To)
        .ok_or_else(wrong)
}

#[derive(Debug, Serialize, Deserialize)]
struct Scaled {
    process: String,
    from: u16,
    to: u16,
}

impl Scale {
    /// Returns when the new number runs.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params: Value = match self.change {
            Change::To(count) => json!({ "name": self.target, "instances": count }),
            Change::By(delta) => json!({ "name": self.target, "delta": delta }),
        };
        let scaled: Scaled = ctx.call_unlimited("process.scale", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&scaled)?;
        }
        let Scaled { process, from, to } = scaled;
        if from == to {
            ctx.output.done(&format!("{process} has {to} already"))?;
        } else {
            ctx.output
                .done(&format!("{process} scaled from {from} to {to}"))?;
        }
        Ok(Exit::Success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_absolute_and_signs_are_relative() {
        assert_eq!(change("4"), Ok(Change::To(4)));
        assert_eq!(change("+2"), Ok(Change::By(2)));
        assert_eq!(change("-1"), Ok(Change::By(-1)));
        for bad in ["", "257", "many", "+", "1.5"] {
            assert!(change(bad).is_err(), "{bad}");
        }
    }
}
