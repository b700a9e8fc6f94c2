//! A brain that does not run: its methods answer why, and what to do about it.

use async_trait::async_trait;
use serde_json::Value;
use supervisor::{Caller, ControlError};

use super::METHODS;
use crate::daemon::port::{Port, PortMethod};
use crate::daemon::wiring::ai;

/// Answers for a brain that does not run: why, and what to do about it.
pub(in crate::daemon::wiring) struct Off {
    remedy: String,
    methods: Vec<PortMethod>,
}

impl Off {
    /// `config.toml` says so.
    pub(in crate::daemon::wiring) fn by_config() -> Self {
        Self {
            remedy: "set `enabled = true` under `[brain]` in config.toml and restart the daemon"
                .into(),
            methods: all(),
        }
    }

    /// It could not be started.
    pub(in crate::daemon::wiring) fn by_failure(error: &str) -> Self {
        Self {
            remedy: format!("it could not be started: {error}; see `mhost daemon logs`"),
            methods: all(),
        }
    }
}

/// What a brain that runs would answer.
fn all() -> Vec<PortMethod> {
    METHODS.iter().chain(&ai::METHODS).copied().collect()
}

#[async_trait]
impl Port for Off {
    fn methods(&self) -> &[PortMethod] {
        &self.methods
    }

    async fn call(&self, _: &Caller, _: &str, _: Value) -> Result<Value, ControlError> {
        Err(ControlError::Unavailable {
            what: "the brain".into(),
            remedy: self.remedy.clone(),
        })
    }
}
