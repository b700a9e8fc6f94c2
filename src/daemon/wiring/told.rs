//! How people hear of the agent's questions and news: in its list and its log, in the chats, by
//! notifications, and at once those who wait for a process to come up.

use agent::{Approver, Notice, Visible};
use async_trait::async_trait;
use brain::{Approval, IncidentId};
use supervisor::RegistryHandle;

use crate::daemon::chat::Hears;
use crate::daemon::notify::{Ears, News};

/// Longest text for who waits, in characters.
const TEXT: usize = 400;

pub(super) struct Told {
    pub(super) registry: RegistryHandle,
    /// The chats.
    pub(super) hears: Hears,
    /// The notifications.
    pub(super) ears: Ears,
}

#[async_trait]
impl Approver for Told {
    async fn ask(&self, approval: &Approval) {
        Visible.ask(approval).await;
        self.ears.hear(News::Asked(Box::new(approval.clone())));
    }

    async fn announce(&self, notice: &Notice) {
        Visible.announce(notice).await;
        self.ears.hear(News::Said(Box::new(notice.clone())));
        if notice.escalation
            && let Some(process) = &notice.process
        {
            let text: String = notice.text.chars().take(TEXT).collect();
            let text = format!("{text} (mhost brain explain {process})");
            self.registry.tell_waiting(process, &text);
        }
    }

    async fn remind(&self, approval: &Approval) {
        self.hears.remind(approval.incident);
    }

    fn changed(&self, incident: IncidentId) {
        self.hears.changed(incident);
        self.ears.hear(News::Changed(incident));
    }
}
