//! A channel that no secret leaves by.
//!
//! Whatever is shown passes here: lines of logs, evidence, answers in words. Known secrets of
//! processes and settings are masked, and what looks like one, as for anybody else's agent: a
//! chat is kept by somebody else, too.

use std::sync::Arc;

use async_trait::async_trait;
use brain::redact::{Marks, Redactor};
use chat::{
    Block, Card, Channel, ChatError, Document, Identity, Incoming, MenuEntry, MessageRef, Note,
    Place, Platform,
};

use crate::daemon::wiring::Redactors;

/// A channel behind the redactor.
pub(super) struct Redacted {
    pub(super) inner: Arc<dyn Channel>,
    pub(super) redactors: Redactors,
}

impl Redacted {
    async fn card(&self, card: &Card) -> Card {
        let redactor = self.redactors.for_guest(Marks::default()).await;
        let card = card.clone();
        // A file of lines may be long.
        let made = tokio::task::spawn_blocking(move || masked(&redactor, card));
        // Rather nothing than what was not looked through.
        made.await
            .unwrap_or_else(|_| Card::titled(chat::Tone::Plain, "(not shown)"))
    }
}

fn masked(redactor: &Redactor, card: Card) -> Card {
    let text = |text: &str| redactor.redact(text);
    let block = |block: Block| match block {
        Block::Text(lines) => Block::Text(text(&lines)),
        Block::Code(lines) => Block::Code(text(&lines)),
        Block::Steps(steps) => Block::Steps(steps.iter().map(|one| text(one)).collect()),
        Block::Fields(fields) => Block::Fields(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        ),
    };
    Card {
        title: text(&card.title),
        blocks: card.blocks.into_iter().map(block).collect(),
        footer: card.footer.as_deref().map(text),
        file: card.file.map(|file| Document {
            text: text(&file.text),
            name: file.name,
        }),
        ..card
    }
}

#[async_trait]
impl Channel for Redacted {
    fn platform(&self) -> Platform {
        self.inner.platform()
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        self.inner.connect().await
    }

    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError> {
        self.inner.menu(entries).await
    }

    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        self.inner.send(to, &self.card(card).await).await
    }

    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        self.inner.edit(message, &self.card(card).await).await
    }

    async fn reply(&self, to: &Incoming, card: &Card) -> Result<MessageRef, ChatError> {
        self.inner.reply(to, &self.card(card).await).await
    }

    async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        let redactor = self.redactors.for_guest(Marks::default()).await;
        let note = Note {
            text: redactor.redact(&note.text),
            alert: note.alert,
        };
        self.inner.answer(to, &note).await
    }

    async fn close(&self, to: &Incoming) -> Result<(), ChatError> {
        self.inner.close(to).await
    }

    fn whispers(&self) -> bool {
        self.inner.whispers()
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        self.inner.receive().await
    }

    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        self.inner.taken(incoming).await
    }
}
