//! What the daemon asks itself, to tell of it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use supervisor::command::PortCommand;
use supervisor::{Caller, Command, Control, ControlError, Reply, Role, Via};

use crate::daemon::gate::Gate;

/// Reads through the gate, as everybody does. Clones are the same.
#[derive(Clone)]
pub(super) struct Reader(pub(super) Arc<Gate>);

impl Reader {
    /// The answer of a method, in a type.
    ///
    /// # Errors
    /// As the method says, or when its answer is another one.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, ControlError> {
        let reader = Caller {
            principal: "daemon".into(),
            role: Role::Viewer,
            via: Via::System,
        };
        let command = Command::Port(PortCommand {
            method: method.to_owned(),
            params,
            role: Role::Viewer,
            changes: false,
        });
        let answer = match self.0.call(&reader, command.into()).await? {
            Reply::Port(answer) => answer,
            _ => Value::Null,
        };
        serde_json::from_value(answer).map_err(|error| ControlError::Internal {
            message: format!("the answer of `{method}` is not understood: {error}"),
        })
    }
}
