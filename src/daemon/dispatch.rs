//! What lies behind the gate: commands are done here, unchecked and unaudited.
//!
//! The registry does nearly all of them; what concerns the daemon itself is done by its own
//! parts.

use async_trait::async_trait;
use supervisor::command::view::PlannedChange;
use supervisor::{Caller, Command, ControlError, InstanceId, RegistryHandle, Reply, Target};
use tokio::sync::mpsc;

use super::rpc::Home;
use super::settings::Settings;
use super::trouble::Troubles;

/// Does commands. Only the gate holds one.
#[async_trait]
pub(crate) trait Dispatch: Send + Sync {
    /// Does what is asked. Returns when it is done.
    async fn call(&self, caller: &Caller, command: Command) -> Result<Reply, ControlError>;

    /// Says what would be done.
    async fn plan(&self, command: &Command) -> Result<Vec<PlannedChange>, ControlError>;

    /// The instances a target means now.
    async fn resolve(&self, target: &Target) -> Result<Vec<InstanceId>, ControlError>;
}

/// How the daemon is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// For good, with its processes unless `stop_children_on_exit` is false.
    Stop,
    /// To be followed by another binary, which takes over the processes.
    Upgrade,
}

/// The daemon's own dispatch.
pub(crate) struct Dispatcher {
    pub(crate) registry: RegistryHandle,
    pub(crate) settings: Settings,
    pub(crate) home: Home,
    pub(crate) troubles: Troubles,
    pub(crate) end: mpsc::Sender<End>,
}

#[async_trait]
impl Dispatch for Dispatcher {
    async fn call(&self, caller: &Caller, command: Command) -> Result<Reply, ControlError> {
        match command {
            Command::Shutdown => {
                // A full queue means that somebody has asked already.
                let _ = self.end.try_send(End::Stop);
                let stops_processes = self.settings.current().daemon.stop_children_on_exit;
                Ok(Reply::Ending { stops_processes })
            }
            Command::ReloadConfig => {
                let settings = self.settings.clone();
                tokio::task::spawn_blocking(move || settings.reload())
                    .await
                    .map_err(|error| ControlError::Internal {
                        message: error.to_string(),
                    })??;
                Ok(Reply::Ok)
            }
            Command::Version => {
                let mut reply = self.registry.call(caller, command).await?;
                if let Reply::Version(version) = &mut reply {
                    version.degraded.extend(self.settings.problem());
                    version.degraded.extend(self.home.problem());
                    version.degraded.extend(self.troubles.all());
                }
                Ok(reply)
            }
            other => self.registry.call(caller, other).await,
        }
    }

    async fn plan(&self, command: &Command) -> Result<Vec<PlannedChange>, ControlError> {
        self.registry.plan(command)
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<InstanceId>, ControlError> {
        self.registry.resolve(target)
    }
}
