//! How people hear of questions and news.
//!
//! The agent knows no chat and no message format: it hands over the facts. The only one there
//! is now keeps everything visible in `mhost agent actions` and in the daemon's log.

use async_trait::async_trait;
use brain::{Approval, IncidentId, Severity};
use supervisor::ProcessName;

/// Something people should know. It asks for nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// How urgent.
    pub severity: Severity,
    /// The process, if it is about one.
    pub process: Option<ProcessName>,
    /// The incident, if it is about one.
    pub incident: Option<IncidentId>,
    /// A person is needed.
    pub escalation: bool,
    /// What to say.
    pub text: String,
}

/// Reaches people. Neither call waits for an answer: answers come through `agent approve`.
#[async_trait]
pub trait Approver: Send + Sync {
    /// Shows a question.
    async fn ask(&self, approval: &Approval);
    /// Tells news.
    async fn announce(&self, notice: &Notice);
    /// Reminds of a question that is still open.
    async fn remind(&self, _approval: &Approval) {}
    /// Hears that more is known of an incident: its story has another line.
    fn changed(&self, _incident: IncidentId) {}
}

/// Leaves questions where `mhost agent actions` shows them, and writes news to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

#[async_trait]
impl Approver for Visible {
    async fn ask(&self, approval: &Approval) {
        tracing::warn!(
            process = %approval.process,
            incident = %approval.incident,
            playbook = %approval.playbook,
            approval = %approval.id,
            reason = %approval.reason,
            "A person is asked; answer with `mhost agent approve` or `mhost agent deny`.",
        );
    }

    async fn announce(&self, notice: &Notice) {
        let process = notice.process.as_ref().map(ProcessName::as_str);
        let incident = notice.incident.map(|id| id.to_string());
        match notice.severity {
            Severity::Info => {
                tracing::info!(process, incident, text = %notice.text, "The agent reports.");
            }
            Severity::Warning | Severity::Critical => {
                tracing::warn!(process, incident, text = %notice.text, "The agent reports.");
            }
        }
    }
}
