//! Runs a command in the folder and environment of the process; exit 0 passes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::http::head;
use super::tracker::Outcome;
use crate::os_text::OsText;
use crate::spec::Signal;
use crate::state::ExitStatus;
use crate::sys::run_script;

#[derive(Debug)]
pub(super) struct ScriptCheck {
    pub(super) command: String,
    pub(super) cwd: PathBuf,
    pub(super) env: BTreeMap<String, OsText>,
}

impl ScriptCheck {
    /// One run. It and everything it started in its group is killed after `timeout`, and
    /// also when this future is dropped.
    pub(super) async fn run(&self, timeout: Duration) -> Outcome {
        let script = match run_script(&self.command, &self.cwd, &self.env, timeout).await {
            Ok(script) => script,
            Err(error) => return Outcome::fail(error.to_string()),
        };
        let outcome = match script.exit {
            _ if script.timed_out => Outcome::fail("timeout"),
            ExitStatus::Code(0) => Outcome::pass(),
            ExitStatus::Code(code) => Outcome::fail(format!("exit {code}")),
            ExitStatus::Signal(number) => Outcome::fail(format!("killed by {}", Signal(number))),
            ExitStatus::Unknown => Outcome::fail("exit unknown"),
        };
        outcome.with_output(head(script.output.as_bytes()))
    }
}
