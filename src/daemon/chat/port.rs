//! `bot.status`: how the bots do, and who may ask them what.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use supervisor::config::DaemonConfig;
use supervisor::{Caller, ControlError, Role};
use tokio::sync::watch;

use super::bots::Bots;
use super::tables;
use crate::daemon::port::{Nothing, Port, PortMethod, read};

const METHODS: [PortMethod; 1] = [PortMethod {
    name: "bot.status",
    role: Role::Viewer,
    changes: false,
    streams: false,
}];

/// Answers about the chats.
pub(super) struct ChatPort {
    pub(super) bots: Arc<Bots>,
    pub(super) settings: watch::Receiver<Arc<DaemonConfig>>,
}

#[async_trait]
impl Port for ChatPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(&self, _: &Caller, method: &str, params: Value) -> Result<Value, ControlError> {
        let Nothing {} = read(method, params)?;
        let config = self.settings.borrow().clone();
        let bot = config.bot.as_ref();
        Ok(json!({
            "configured": bot.is_some_and(|bot| !tables::platforms(bot).is_empty()),
            "enabled": bot.is_some_and(|bot| bot.enabled),
            "users": bot.map_or(0, |bot| bot.users.len()),
            "bots": self.bots.status(),
            "failure": self.bots.failure(),
        }))
    }
}
