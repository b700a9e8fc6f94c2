//! Who asks, and what their role lets them do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody may do. The order is total: each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing: somebody who is not listed. No command needs so little.
    None,
    /// Read.
    Viewer,
    /// Start, stop, restart, reload, scale, delete, save, resurrect.
    Operator,
    /// Also limits, rollbacks, tokens and the daemon itself.
    Admin,
    /// Everything.
    SuperAdmin,
}

/// The way a request came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The command line, over the Unix socket.
    Cli,
    /// Some other program on the Unix socket.
    Rpc,
    /// Somebody else's agent, over the Model Context Protocol.
    Mcp,
    /// A message or a button of a chat.
    Chat,
    /// A rule the daemon itself follows: restart policy, cron, watch.
    System,
    /// The agent, for a plan that no playbook made.
    Agent,
    /// A playbook, by its name.
    Playbook(String),
}

/// Who asks: a principal, its role, and the way it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// A user name, a chat id, a playbook: whatever names the asker to a person.
    pub principal: String,
    /// What it may do.
    pub role: Role,
    /// How it came.
    pub via: Via,
}

impl Caller {
    /// The daemon acting on its own rules.
    pub fn system() -> Self {
        Self {
            principal: "system".into(),
            role: Role::SuperAdmin,
            via: Via::System,
        }
    }

    /// A local user on the Unix socket. The socket is 0600, so it is the owner or root.
    pub fn local(user: impl Into<String>, via: Via) -> Self {
        Self {
            principal: user.into(),
            role: Role::SuperAdmin,
            via,
        }
    }

    /// The same with no more than this role: a program may be trusted less than its owner.
    #[must_use]
    pub fn at_most(mut self, role: Role) -> Self {
        self.role = self.role.min(role);
        self
    }
}

/// The actor column of events and audit rows: `cli:ana`, `brain:rapid-crash`, `system`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.via {
            Via::Cli => write!(f, "cli:{}", self.principal),
            Via::Rpc => write!(f, "rpc:{}", self.principal),
            Via::Mcp => write!(f, "mcp:{}", self.principal),
            Via::Chat => write!(f, "chat:{}", self.principal),
            Via::System => f.write_str("system"),
            Via::Agent => f.write_str("agent"),
            Via::Playbook(name) => write!(f, "brain:{name}"),
        }
    }
}
