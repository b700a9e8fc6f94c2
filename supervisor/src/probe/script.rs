//! Runs a command in the folder and environment of the process, as its user; exit 0 passes.

use std::time::Duration;

use super::http::head;
use super::tracker::Outcome;
use crate::spec::Signal;
use crate::state::ExitStatus;
use crate::sys::{Script, run_script};

#[derive(Debug)]
pub(super) struct ScriptCheck(pub(super) Script);

impl ScriptCheck {
    /// One run. It and everything it started in its group is killed after `timeout`, and
    /// also when this future is dropped.
    pub(super) async fn run(&self, timeout: Duration) -> Outcome {
        let script = match run_script(&self.0, timeout).await {
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
