//! How a part beside the supervisor answers requests: the brain, the agent, the audit log.
//!
//! A port says which methods it has, the least role for each and whether they change
//! anything. The RPC server turns such a method into `Command::Port`; the gate checks and
//! audits it like any other command and then asks the port.

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, Role};

/// One method of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortMethod {
    /// Its JSON-RPC name, such as `brain.history`.
    pub(crate) name: &'static str,
    /// The least role that may ask.
    pub(crate) role: Role,
    /// Does it change anything? Then it is audited before and after.
    pub(crate) changes: bool,
    /// May parts of its answer come before it? Only then it takes `stream`.
    pub(crate) streams: bool,
}

/// No parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The parameters of a method, in a type of its own. None are as an empty object.
pub(crate) fn read<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, ControlError> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params).map_err(|error| invalid(format!("{method}: {error}")))
}

/// One thing is wrong with what was asked.
pub(crate) fn invalid(message: String) -> ControlError {
    ControlError::Invalid {
        details: vec![message.clone()],
        message,
    }
}

/// A part that answers methods of its own.
#[async_trait]
pub(crate) trait Port: Send + Sync {
    /// All its methods. The answer is always the same.
    fn methods(&self) -> &[PortMethod];

    /// Does what is asked. The gate has checked the role.
    async fn call(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError>;
}
