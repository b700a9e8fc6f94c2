//! What the agent says, on its way to those who are told.

use agent::Notice;
use brain::{Approval, IncidentId};
use tokio::sync::mpsc;

/// News that may wait to be told; what finds no room is told with its next change.
const WAITING: usize = 1_024;

/// Something that the agent says.
#[derive(Debug)]
pub(crate) enum News {
    /// More is known of an incident.
    Changed(IncidentId),
    /// A person is asked.
    Asked(Box<Approval>),
    /// Something to say.
    Said(Box<Notice>),
}

/// The end that the notifications have.
pub(crate) struct Reporter {
    pub(super) news: mpsc::Receiver<News>,
    to: Ears,
}

/// The end that the agent has.
#[derive(Clone)]
pub(crate) struct Ears(mpsc::Sender<News>);

impl Reporter {
    pub(crate) fn new() -> Self {
        let (to, news) = mpsc::channel(WAITING);
        Self { news, to: Ears(to) }
    }

    /// For the agent.
    pub(crate) fn ears(&self) -> Ears {
        self.to.clone()
    }

    /// Drops what has not been told.
    pub(super) fn forget(&mut self) {
        while self.news.try_recv().is_ok() {}
    }
}

impl Ears {
    /// Never waits: without a channel nobody reads, and the agent has better things to do.
    pub(crate) fn hear(&self, news: News) {
        let _ = self.0.try_send(news);
    }
}
