//! Runs a command in the folder and environment of the process; exit 0 passes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tracker::Outcome;
use crate::os_text::OsText;

#[derive(Debug)]
pub(super) struct ScriptCheck {
    pub(super) command: String,
    pub(super) cwd: PathBuf,
    pub(super) env: Arc<BTreeMap<String, OsText>>,
}

impl ScriptCheck {
    pub(super) async fn run(&self, _timeout: Duration) -> Outcome {
        Outcome::fail(format!(
            "this build cannot run `{}` in {} with {} variables",
            self.command,
            self.cwd.display(),
            self.env.len()
        ))
    }
}
