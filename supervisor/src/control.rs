//! The only way to change anything.
//!
//! Every surface holds a [`Control`] and nothing deeper. The binary hands out exactly one
//! implementation, the gate: role, scope, audit row, then dispatch.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::caller::{Caller, Role};
use crate::command::{Reply, Request};
use crate::event::Event;

/// All that can be asked, and all that can be watched.
#[async_trait]
pub trait Control: Send + Sync {
    /// Does what is asked, if the caller may. Returns when it is done. Dropping the future
    /// does not undo what has begun.
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError>;

    /// Every event from now on.
    fn watch(
        &self,
        caller: &Caller,
    ) -> Result<broadcast::Receiver<std::sync::Arc<Event>>, ControlError>;
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No process, instance or group of that name.
    #[error("no process `{target}`")]
    NotFound {
        /// As it was asked for.
        target: String,
        /// Up to three names that are close.
        near: Vec<String>,
    },
    /// It contradicts what is.
    #[error("{message}")]
    Conflict {
        /// What contradicts.
        message: String,
    },
    /// The definition is wrong.
    #[error("{message}")]
    Invalid {
        /// The first problem.
        message: String,
        /// All problems.
        details: Vec<String>,
    },
    /// A program could not be started.
    #[error("could not start `{process}`: {error}")]
    Spawn {
        /// The process.
        process: String,
        /// Why.
        error: String,
    },
    /// The caller's role is too low.
    #[error("{what} needs the role {needed:?}; {who} has {has:?}")]
    Forbidden {
        /// The command.
        what: String,
        /// Who asked.
        who: String,
        /// The least role.
        needed: Role,
        /// The caller's.
        has: Role,
    },
    /// The caller is none of those who may do it.
    #[error("{who} may not {}: only {} may, by `[agent] approvers`", .what.trim_start_matches("to "), .listed.join(", "))]
    NotListed {
        /// What.
        what: String,
        /// Who asked.
        who: String,
        /// Who may.
        listed: Vec<String>,
    },
    /// A reload failed; what it had not renewed yet was kept.
    #[error("reload of `{process}` failed: {error}")]
    ReloadFailed {
        /// The process.
        process: String,
        /// Why, and what was kept.
        error: String,
    },
    /// It took too long.
    #[error("{what} took longer than {limit_ms} ms")]
    Timeout {
        /// What.
        what: String,
        /// The limit.
        limit_ms: u64,
    },
    /// A queue is full.
    #[error("too busy: {what}")]
    Busy {
        /// Which queue.
        what: String,
    },
    /// The caller has asked too often.
    #[error("too many requests: {limit} a second are allowed; try again in {retry_ms} ms")]
    RateLimited {
        /// Requests a second.
        limit: u32,
        /// When the next one is taken.
        retry_ms: u64,
    },
    /// The part is not configured or switched off.
    #[error("{what} is not available: {remedy}")]
    Unavailable {
        /// Which part.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// It could not be recorded, so it was not done.
    #[error("the state could not be recorded: {message}")]
    Store {
        /// What the store said.
        message: String,
    },
    /// The daemon is ending.
    #[error("the daemon is shutting down")]
    ShuttingDown,
    /// A bug.
    #[error("internal error: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The person who asked.
    User,
    /// Whoever runs the machine.
    Environment,
    /// Whoever writes mhost.
    Bug,
}

impl ControlError {
    /// The JSON-RPC code. Stable.
    pub fn code(&self) -> i32 {
        match self {
            ControlError::NotFound { .. } => -32000,
            ControlError::Conflict { .. } | ControlError::ShuttingDown => -32001,
            ControlError::Invalid { .. } => -32002,
            ControlError::Spawn { .. } => -32003,
            ControlError::Forbidden { .. } | ControlError::NotListed { .. } => -32004,
            ControlError::ReloadFailed { .. } => -32005,
            ControlError::Timeout { .. } => -32006,
            ControlError::Busy { .. } | ControlError::RateLimited { .. } => -32007,
            ControlError::Unavailable { .. } => -32008,
            ControlError::Store { .. } | ControlError::Internal { .. } => -32603,
        }
    }

    /// May the same request succeed later?
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            ControlError::Timeout { .. }
                | ControlError::Busy { .. }
                | ControlError::RateLimited { .. }
                | ControlError::Store { .. }
        )
    }

    /// Who has to act.
    pub fn actor(&self) -> Actor {
        match self {
            ControlError::Internal { .. } => Actor::Bug,
            ControlError::Store { .. }
            | ControlError::Timeout { .. }
            | ControlError::Busy { .. } => Actor::Environment,
            _ => Actor::User,
        }
    }
}
