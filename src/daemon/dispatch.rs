//! What lies behind the gate: commands are done here, unchecked and unaudited.

use async_trait::async_trait;
use supervisor::command::view::PlannedChange;
use supervisor::{Caller, Command, ControlError, InstanceId, Reply, Target};

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
