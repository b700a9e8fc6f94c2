//! How people hear of the agent's questions and news: in its list and its log, and at once those
//! who wait for a process to come up.

use agent::{Approver, Notice, Visible};
use async_trait::async_trait;
use brain::Approval;
use supervisor::RegistryHandle;

/// Longest text for who waits, in characters.
const TEXT: usize = 400;

pub(super) struct Told {
    pub(super) registry: RegistryHandle,
}

#[async_trait]
impl Approver for Told {
    async fn ask(&self, approval: &Approval) {
        Visible.ask(approval).await;
    }

    async fn announce(&self, notice: &Notice) {
        Visible.announce(notice).await;
        if notice.escalation
            && let Some(process) = &notice.process
        {
            let text: String = notice.text.chars().take(TEXT).collect();
            let text = format!("{text} (mhost brain explain {process})");
            self.registry.tell_waiting(process, &text);
        }
    }
}
