//! How an answer gets to whoever asked.

use std::sync::atomic::Ordering;

use super::{Answer, Heard, Router};
use crate::desk::Verdict;
use crate::{Card, Note, What};

impl Router {
    /// Says it: to one person, in the place of a list, or in a message.
    pub(super) async fn reply(&self, heard: &Heard<'_>, answer: &Answer) {
        let Heard {
            channel, incoming, ..
        } = heard;
        let pressed = matches!(incoming.what, What::Press { .. });
        // Where nobody can be told alone, people in a group are told before all: else they
        // would not know that nothing was done.
        let aloud = !pressed
            && !incoming.origin.private
            && !channel.whispers()
            && answer.verdict != Verdict::Unknown;
        let said = heard.acknowledged.load(Ordering::Relaxed);
        let mut card = answer.card.clone();
        if said {
            // A press is answered once; what there is to say is on a card.
        } else if let Some(note) = &answer.note {
            if aloud && card.is_none() {
                card = Some(Card::default().text(note.text.clone()));
            } else {
                tell(channel.answer(incoming, note).await, heard);
            }
        } else if pressed {
            // So that the button stops turning.
            tell(channel.answer(incoming, &Note::passing("")).await, heard);
        }
        let Some(card) = &card else { return };
        if answer.edits && pressed && self.lists.has(incoming.message()) {
            tell(channel.edit(incoming.message(), card).await, heard);
            return;
        }
        let Some(_room) = self.crowd.enter(&incoming.place) else {
            tracing::warn!(place = %incoming.place, "Too many answers wait there; this one is not sent.");
            return;
        };
        match channel.reply(incoming, card).await {
            Ok(message) => {
                self.put(&answer.puts, &message).await;
                if answer.edits {
                    self.lists.add(message);
                }
            }
            Err(error) => tell(Err(error), heard),
        }
    }

    /// Stops the button from turning before something is done that may take a while. False
    /// when the platform says that the press is too old to be answered: it was made while
    /// nobody listened, and whoever made it has looked elsewhere since.
    pub(super) async fn acknowledged(&self, heard: &Heard<'_>) -> bool {
        if !matches!(heard.incoming.what, What::Press { .. }) {
            return true;
        }
        let said = heard
            .channel
            .answer(heard.incoming, &Note::passing(""))
            .await;
        let fresh = !matches!(said, Err(crate::ChatError::Gone(_))) || heard.left_at.is_some();
        heard.acknowledged.store(fresh, Ordering::Relaxed);
        tell(said, heard);
        fresh
    }
}

/// A message that could not be sent is on record; nothing follows from it.
pub(super) fn tell(sent: Result<(), crate::ChatError>, heard: &Heard<'_>) {
    if let Err(error) = sent {
        tracing::warn!(place = %heard.incoming.place, %error, "An answer could not be sent.");
    }
}

/// Says that nothing more follows.
pub(super) async fn close(heard: &Heard<'_>) {
    if let Err(error) = heard.channel.close(heard.incoming).await {
        tracing::debug!(place = %heard.incoming.place, %error, "The end was not told.");
    }
}
