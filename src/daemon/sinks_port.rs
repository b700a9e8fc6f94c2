//! `sinks.status`: how the sinks of the settings are.

use async_trait::async_trait;
use serde_json::{Value, json};
use supervisor::sinks::Sinks;
use supervisor::{Caller, ControlError, Role};

use super::port::{self, Nothing, Port, PortMethod};

const METHODS: [PortMethod; 1] = [PortMethod {
    name: "sinks.status",
    role: Role::Viewer,
    changes: false,
    streams: false,
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
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        let Nothing {} = port::read(method, params)?;
        Ok(json!({ "sinks": self.sinks.status() }))
    }
}
