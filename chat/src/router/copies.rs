//! Lists of questions lose the buttons of what is answered, wherever they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use supervisor::{Caller, Role, Via};

use super::Router;
use crate::store::Shown;
use crate::{Channel, MessageRef, show};

impl Router {
    /// Brings lists of questions up to date of which one no longer waits.
    pub async fn close_copies(&self, channels: &[Arc<dyn Channel>]) {
        let copies = match self.store.copies().await {
            Ok(copies) if copies.is_empty() => return,
            Ok(copies) => copies,
            Err(error) => {
                tracing::warn!(%error, "Where questions stand cannot be looked up.");
                return;
            }
        };
        let reader = Caller {
            principal: "daemon".into(),
            role: Role::Viewer,
            via: Via::System,
        };
        let Ok(open) = self.desk.questions(&reader).await else {
            return;
        };
        let waits = |id: &str| open.iter().any(|one| one.ticket.id == id);
        let mut lists: BTreeMap<MessageRef, Vec<String>> = BTreeMap::new();
        for (subject, message) in copies {
            let id = subject.trim_start_matches("question:").to_owned();
            lists.entry(message).or_default().push(id);
        }
        for (message, ids) in lists {
            if ids.iter().all(|id| waits(id)) {
                continue;
            }
            let platform = message.place.platform;
            let Some(channel) = channels.iter().find(|one| one.platform() == platform) else {
                continue;
            };
            let left: Vec<_> = open
                .iter()
                .filter(|one| ids.contains(&one.ticket.id))
                .cloned()
                .collect();
            let card = match left.is_empty() {
                true => show::all_answered(),
                false => show::questions(&left, self.now()),
            };
            match channel.edit(&message, &card).await {
                // Tried again, since it is still on record.
                Err(error) if error.retry().is_some() => continue,
                Ok(()) | Err(_) => {}
            }
            let shown = Shown {
                message: message.clone(),
                card: String::new(),
                over: true,
            };
            for id in ids.iter().filter(|id| !waits(id)) {
                let subject = format!("question:{id}");
                let kept = self.store.show(&subject, &message.place, &shown).await;
                if let Err(error) = kept {
                    tracing::warn!(%error, "That a question is answered is not kept.");
                }
            }
        }
    }
}
