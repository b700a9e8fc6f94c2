//! What is known of every command without doing it: who may ask, whether it changes anything,
//! its name, and whom it is about.
//!
//! A new command does not compile before it has its row in each of these.

use super::{Command, Target};
use crate::caller::Role;

impl Command {
    /// The least role that may ask: the one role table. A new command does not compile
    /// before it has a row here.
    pub fn role(&self) -> Role {
        match self {
            Command::List { .. }
            | Command::Status { .. }
            | Command::History { .. }
            | Command::Health { .. }
            | Command::Metrics { .. }
            | Command::Cron
            | Command::Limits { .. }
            | Command::Links
            | Command::Logs(_)
            | Command::LogIndex
            | Command::Version => Role::Viewer,
            Command::Apply(_)
            | Command::Start { .. }
            | Command::Stop { .. }
            | Command::Restart { .. }
            | Command::Reload { .. }
            | Command::Delete { .. }
            | Command::Scale { .. }
            | Command::Signal { .. }
            | Command::Hold { .. }
            | Command::ClearError { .. }
            | Command::RunProbe { .. }
            | Command::Flush { .. }
            | Command::Reindex
            | Command::Save
            | Command::Resurrect => Role::Operator,
            Command::SetLimit { .. } | Command::Shutdown | Command::ReloadConfig => Role::Admin,
            Command::Env { reveal, .. } => {
                if *reveal {
                    Role::Admin
                } else {
                    Role::Viewer
                }
            }
            Command::Port(port) => port.role,
        }
    }

    /// Does it change anything? What changes something is audited before and after.
    pub fn changes(&self) -> bool {
        match self {
            Command::Port(port) => port.changes,
            Command::Env { reveal, .. } => *reveal,
            other => other.role() > Role::Viewer,
        }
    }

    /// Its name in the audit log and on the wire.
    pub fn name(&self) -> &str {
        match self {
            Command::List { .. } => "process.list",
            Command::Status { .. } => "process.status",
            Command::Apply(_) | Command::Start { .. } => "process.start",
            Command::Stop { .. } => "process.stop",
            Command::Restart { .. } => "process.restart",
            Command::Reload { .. } => "process.reload",
            Command::Delete { .. } => "process.delete",
            Command::Scale { .. } => "process.scale",
            Command::Signal { .. } => "process.signal",
            Command::Hold { .. } => "process.hold",
            Command::ClearError { .. } => "process.clear_error",
            Command::SetLimit { .. } => "process.set_limit",
            Command::Env { .. } => "process.env",
            Command::History { .. } => "process.events",
            Command::Health { .. } => "health.status",
            Command::RunProbe { .. } => "health.run",
            Command::Metrics { .. } => "metrics.snapshot",
            Command::Cron => "process.cron",
            Command::Limits { .. } => "process.limits",
            Command::Links => "link.get",
            Command::Logs(_) => "logs.query",
            Command::LogIndex => "logs.index",
            Command::Reindex => "logs.reindex",
            Command::Flush { .. } => "logs.flush",
            Command::Save => "process.save",
            Command::Resurrect => "process.resurrect",
            Command::Version => "daemon.version",
            Command::Shutdown => "daemon.stop",
            Command::ReloadConfig => "daemon.reload_config",
            Command::Port(port) => &port.method,
        }
    }

    /// Whom it is about, for the audit.
    pub fn subject(&self) -> String {
        match self {
            Command::Apply(apply) => apply
                .processes
                .iter()
                .map(|spec| spec.name.as_str())
                .collect::<Vec<_>>()
                .join(","),
            Command::History { target: None, .. }
            | Command::Health { target: None }
            | Command::Metrics { target: None }
            | Command::Flush { target: None } => "all".into(),
            Command::Port(port) => port.params.to_string(),
            other => other
                .target()
                .map_or_else(String::new, |target| target.0.clone()),
        }
    }

    /// The one target it names, if it names one.
    pub(crate) fn target(&self) -> Option<&Target> {
        match self {
            Command::Status { target }
            | Command::Start { target, .. }
            | Command::Stop { target, .. }
            | Command::Restart { target, .. }
            | Command::Reload { target, .. }
            | Command::Delete { target, .. }
            | Command::Scale { target, .. }
            | Command::Signal { target, .. }
            | Command::Hold { target, .. }
            | Command::ClearError { target }
            | Command::RunProbe { target }
            | Command::SetLimit { target, .. }
            | Command::Limits { target }
            | Command::Env { target, .. } => Some(target),
            Command::History { target, .. }
            | Command::Health { target }
            | Command::Metrics { target }
            | Command::Flush { target } => target.as_ref(),
            Command::Logs(query) => query.target.as_ref(),
            Command::Apply(_)
            | Command::Port(_)
            | Command::List { .. }
            | Command::Cron
            | Command::Links
            | Command::LogIndex
            | Command::Reindex
            | Command::Save
            | Command::Resurrect
            | Command::Version
            | Command::Shutdown
            | Command::ReloadConfig => None,
        }
    }
}
