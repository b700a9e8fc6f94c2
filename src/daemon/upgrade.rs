//! `daemon.upgrade`: another binary takes the daemon's place, and no process notices.
//!
//! The guard is told which binary comes next, then the daemon ends without touching its
//! processes. A new one that does not come up is replaced by the former one; that is the
//! guard's part.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, Role};
use tokio::sync::mpsc;

use super::dispatch::End;
use super::guarded::Guarded;
use super::port::{self, Port, PortMethod};

const METHODS: [PortMethod; 1] = [PortMethod {
    name: "daemon.upgrade",
    role: Role::Admin,
    changes: true,
    streams: false,
}];

/// Hands over to another binary.
pub(crate) struct UpgradePort {
    pub(crate) guard: Guarded,
    pub(crate) end: mpsc::Sender<End>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upgrade {
    /// Default: the path this daemon was started from, which may hold a newer file by now.
    binary: Option<PathBuf>,
}

#[async_trait]
impl Port for UpgradePort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        _caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        let upgrade: Upgrade = port::read(method, params)?;
        let binary = upgrade.binary.unwrap_or_else(super::own_path);
        check(&binary)?;
        let unavailable = |remedy: String| ControlError::Unavailable {
            what: "an upgrade in place".into(),
            remedy,
        };
        let Some(guard) = self.guard.alive() else {
            return Err(unavailable(
                "this daemon has no guard; use: mhost daemon stop && mhost daemon start".into(),
            ));
        };
        guard
            .exec_next(&binary)
            .map_err(|error| unavailable(error.to_string()))?;
        // A full queue means that the end has been asked for already.
        let _ = self.end.try_send(End::Upgrade);
        Ok(json!({ "binary": binary }))
    }
}

fn check(binary: &Path) -> Result<(), ControlError> {
    let problem = match std::fs::metadata(binary) {
        _ if !binary.is_absolute() => "is not an absolute path".to_owned(),
        Err(error) => format!("cannot be used: {error}"),
        Ok(file) if !file.is_file() => "is not a file".to_owned(),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => "is not executable".to_owned(),
        Ok(_) => return Ok(()),
    };
    Err(port::invalid(format!("`{}` {problem}", binary.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_program_can_follow_and_only_a_guard_can_start_it() {
        let (end, mut ends) = mpsc::channel(1);
        let port = UpgradePort {
            guard: Guarded::default(),
            end,
        };
        let caller = Caller::system();
        let ask = async |params| port.call(&caller, "daemon.upgrade", params).await;
        for binary in ["relative", "/nonexistent/mhost", "/etc/passwd", "/etc"] {
            let refused = ask(json!({ "binary": binary })).await;
            assert!(
                matches!(refused, Err(ControlError::Invalid { .. })),
                "{binary}"
            );
        }
        let refused = ask(json!({})).await;
        assert!(matches!(refused, Err(ControlError::Unavailable { .. })));
        assert!(ends.try_recv().is_err());
    }
}
