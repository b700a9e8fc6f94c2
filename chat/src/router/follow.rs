//! New lines for a minute: one message that is edited every other second.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use supervisor::{ControlError, Reply};

use super::{Heard, Router, command};
use crate::order::Order;
use crate::{Card, ChatError, Place, show};

/// How long it goes on.
const TIME: Duration = Duration::from_secs(60);
/// How often the message is edited at most, by the specification.
const PACE: Duration = Duration::from_secs(2);
/// Lines that are shown.
const LINES: u16 = 20;
/// At once, over all chats.
const MOST: usize = 8;

/// Where lines are being followed.
#[derive(Debug, Default)]
pub(super) struct Follows(Mutex<BTreeSet<Place>>);

/// One of them; dropped, its place is free again.
struct Following<'a>(&'a Follows, Place);

impl Follows {
    fn begin(&self, place: &Place) -> Option<Following<'_>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = places.len() < MOST && places.insert(place.clone());
        free.then(|| Following(self, place.clone()))
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let mut places = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(&self.1);
    }
}

impl Router {
    /// Shows what is printed until the minute is over. One at a time in a chat.
    pub(super) async fn follow(
        &self,
        heard: &Heard<'_>,
        app: &str,
    ) -> Result<Option<Card>, ControlError> {
        let order = Order::Logs {
            app: app.to_owned(),
            lines: LINES,
            errors: false,
        };
        let Some(_place) = self.follows.begin(&heard.incoming.place) else {
            return Err(ControlError::Busy {
                what: "logs are followed here already, or in too many chats".into(),
            });
        };
        let mut card = self.newest(heard, &order, app).await?;
        let sent = heard.channel.reply(heard.incoming, &card).await;
        let Ok(message) = sent else {
            return Ok(None);
        };
        let end = tokio::time::Instant::now() + TIME;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(PACE).await;
            let next = self.newest(heard, &order, app).await?;
            if next == card {
                continue;
            }
            card = next;
            match heard.channel.edit(&message, &card).await {
                Ok(()) => {}
                Err(ChatError::TooFast { after }) => tokio::time::sleep(after).await,
                Err(_) => return Ok(None),
            }
        }
        let last = Card {
            footer: Some("no longer followed".into()),
            ..self.newest(heard, &order, app).await?
        };
        let _ = heard.channel.edit(&message, &last).await;
        Ok(None)
    }

    async fn newest(
        &self,
        heard: &Heard<'_>,
        order: &Order,
        app: &str,
    ) -> Result<Card, ControlError> {
        let Some(command) = command::of(order) else {
            return Ok(Card::default());
        };
        match self.desk.call(&heard.caller, command.into()).await? {
            Reply::Logs(page) => Ok(Card {
                file: None,
                buttons: Vec::new(),
                footer: Some("followed for a minute".into()),
                ..show::logs(app, &page, false)
            }),
            _ => Ok(Card::default()),
        }
    }
}
