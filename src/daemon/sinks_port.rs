//! `sinks.status`: how the sinks of the settings are.

use async_trait::async_trait;
use serde_json::{Value, json};
use supervisor::sinks::Sinks;
use supervisor::{Caller, ControlError, Role};

use super::port::{Port, PortMethod};

const METHODS: [PortMethod; 1] = [PortMethod {
    name: "sinks.status",
    role: Role::Viewer,
    changes: false,
}];

/// Answers questions about the sinks.
pub(crate) struct SinksPort {
    pub(crate) sinks: Sinks,
}

#[async_trait]
impl Port for SinksPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        _caller: &Caller,
        _method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        if params.as_object().is_some_and(|keys| !keys.is_empty()) {
            let message = "sinks.status takes no parameters".to_owned();
            return Err(ControlError::Invalid {
                details: vec![message.clone()],
                message,
            });
        }
        Ok(json!({ "sinks": self.sinks.status() }))
    }
}
