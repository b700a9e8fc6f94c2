//! A chat that the fleet is run from: the message comes from the bot that listens there, so
//! that its buttons are answered, under the role of whoever presses them.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Bots, SendError, text};
use crate::notify::templates::cut;
use crate::notify::{Outgoing, Severity};
use crate::{Block, Button, Card, Place, Press, Style, Tone};

/// Longest text, in characters; the least that a platform takes, with room for the rest.
const TEXT: usize = 1_000;

pub(super) struct Sender {
    place: Place,
    bots: Arc<dyn Bots>,
}

impl Sender {
    pub(super) fn new(place: Place, bots: Arc<dyn Bots>) -> Self {
        Self { place, bots }
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let platform = self.place.platform;
        let Some(channel) = self.bots.channel(platform) else {
            let text = format!("the bot on {platform} is not connected; see `mhost bot status`");
            return Err(SendError::later(text));
        };
        match channel.send(&self.place, &card(message)).await {
            Ok(_) => Ok("sent by the bot".to_owned()),
            Err(error) => Err(match error.retry() {
                Some(after) => SendError::Later {
                    text: error.to_string(),
                    after: Some(after),
                },
                None => SendError::Final(error.to_string()),
            }),
        }
    }
}

fn card(message: &Outgoing) -> Card {
    let notice = &message.notice;
    let tone = match notice.severity {
        _ if message.resolves => Tone::Good,
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warning,
        Severity::Critical => Tone::Critical,
    };
    let mut card = Card::titled(tone, cut(&message.title(), 200)).text(cut(&message.text(), TEXT));
    let mut fields = text::fields(notice, 12, 100);
    fields.extend(
        (message.lines.iter().take(20)).map(|line| (line.process.clone(), cut(&line.words(), 100))),
    );
    let unnamed = message.lines.len().saturating_sub(20) + message.unnamed as usize;
    if !fields.is_empty() {
        card = card.block(Block::Fields(fields));
    }
    if unnamed > 0 {
        card = card.text(format!("… and {unnamed} more"));
    }
    if let Some(output) = text::output(notice, TEXT) {
        card = card.block(Block::Code(output));
    }
    for (label, url) in text::links(notice).take(4) {
        card = card.text(format!("{label}: {url}"));
    }
    buttons(card, message).footer(text::footer(notice))
}

/// What can be done about it, in a press. Whether the presser may is looked at then.
fn buttons(card: Card, message: &Outgoing) -> Card {
    let actions = message.actions().into_iter().map(|(label, order)| {
        let button = Button::new(label, Press::Order(order));
        match label {
            "Ack" => button.styled(Style::Primary),
            _ => button,
        }
    });
    let mut actions: Vec<Button> = actions.collect();
    let second = actions.split_off(actions.len().min(2));
    card.row(actions).row(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::templates::tests::message;
    use crate::testing::Screen;
    use crate::{Channel, Platform};

    struct One(Arc<Screen>);

    impl Bots for One {
        fn channel(&self, platform: Platform) -> Option<Arc<dyn Channel>> {
            (platform == Platform::Telegram).then(|| self.0.clone() as Arc<dyn Channel>)
        }
    }

    #[tokio::test]
    async fn trouble_has_buttons_and_its_end_has_none() {
        let screen = Arc::new(Screen::default());
        let place = Place::chat(Platform::Telegram, "-100");
        let bots: Arc<dyn Bots> = Arc::new(One(screen.clone()));
        let sender = Sender::new(place, bots.clone());
        let mut crash = message("api");
        super::super::Sender::send(&sender, &crash).await.unwrap();
        let card = screen.last();
        let presses: Vec<String> = (card.buttons.iter().flatten())
            .map(|one| one.press.to_string())
            .collect();
        assert_eq!(
            presses,
            ["o:restart api", "o:logs api", "o:ack n7", "o:mute api 1h"]
        );
        assert!(card.title.contains("api crash"), "{card:?}");
        crash.resolves = true;
        super::super::Sender::send(&sender, &crash).await.unwrap();
        assert!(screen.last().buttons.is_empty());
        // Without its bot it waits for it.
        let place = Place::chat(Platform::Slack, "C1");
        let failed = super::super::Sender::send(&Sender::new(place, bots), &crash).await;
        assert!(matches!(failed, Err(SendError::Later { .. })), "{failed:?}");
    }
}
