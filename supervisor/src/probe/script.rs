//! Runs a command in the folder and environment of the process, as its user; exit 0 passes.

use std::time::Duration;

use super::http::head;
use super::tracker::Outcome;
use crate::launch::SpawnError;
use crate::secret::masked;
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
            // No fork, no pipe: that says nothing of the process.
            Err(error @ SpawnError::System { .. }) => return Outcome::unmade(error.to_string()),
            Err(error) => return Outcome::fail(error.to_string()),
        };
        let outcome = match script.exit {
            _ if script.timed_out => Outcome::fail("timeout"),
            ExitStatus::Code(0) => Outcome::pass(),
            ExitStatus::Code(code) => Outcome::fail(format!("exit {code}")),
            ExitStatus::Signal(number) => Outcome::fail(format!("killed by {}", Signal(number))),
            ExitStatus::Unknown => Outcome::fail("exit unknown"),
        };
        // It is shown to everybody who asks how the process is.
        let output = masked(script.output, &self.0.env.secrets());
        outcome.with_output(head(output.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os_text::OsText;

    #[tokio::test]
    async fn what_a_probe_prints_of_a_secret_is_masked() {
        let script = Script {
            command: "echo using $API_TOKEN; exit 1".to_owned(),
            cwd: "/".into(),
            env: [("API_TOKEN".to_owned(), OsText::from("hunter2secret"))]
                .into_iter()
                .collect(),
            user: None,
            group: None,
            sandbox: crate::spec::Sandbox::default(),
            beside: None,
        };
        let outcome = ScriptCheck(script).run(Duration::from_secs(20)).await;
        let said = format!("{outcome:?}");
        assert!(said.contains("using ***"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
