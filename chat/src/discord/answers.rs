//! Answers to what came in as an interaction: commands and presses.
//!
//! An interaction has to be acknowledged within three seconds, and is once it is on record.
//! What follows goes by its token; when that is over, as any other message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use supervisor::Clock;
use twilight_model::channel::message::MessageFlags;
use twilight_model::http::interaction::{
    InteractionResponse, InteractionResponseData, InteractionResponseType,
};

use super::acks::Acks;
use super::api::{Api, Route};
use super::outbox::Outbox;
use super::render::Body;
use super::replies::{Replies, Stand, Way};
use super::wire::Sent;
use super::{ids, lock};
use crate::{Card, ChatError, Incoming, MessageRef, Note, What};

/// The answer in the place of "thinking …", and the message that a pressed button is under.
const ORIGINAL: &str = "@original";
/// Commands whose answer is about the sender.
const PERSONAL: [&str; 2] = ["/whoami", "/help"];

/// The answering end of a bot.
pub(super) struct Answers {
    api: Arc<Api>,
    acks: Acks,
    outbox: Arc<Outbox>,
    replies: Mutex<Replies>,
}

/// An interaction that can still be answered.
struct Open<'a> {
    id: &'a str,
    token: &'a str,
    /// How long its token is good for.
    left: Duration,
    is_press: bool,
}

impl Answers {
    pub(super) fn new(api: Arc<Api>, outbox: Arc<Outbox>) -> Self {
        Self {
            acks: Acks::new(Arc::clone(&api)),
            api,
            outbox,
            replies: Mutex::default(),
        }
    }

    /// It has come, and has to be acknowledged. What a stranger asks, and what is about the
    /// sender, is answered so that only they see it.
    pub(super) fn hear(&self, incoming: &Incoming, is_stranger: bool) {
        let Some(Open {
            id,
            token,
            left,
            is_press,
        }) = open(incoming)
        else {
            return;
        };
        let personal = match &incoming.what {
            What::Text { text, .. } => PERSONAL.contains(&text.as_str()),
            What::Press { .. } => false,
        };
        let private = !incoming.origin.private && !is_press && (personal || is_stranger);
        let kind = match is_press {
            true => InteractionResponseType::DeferredUpdateMessage,
            false => InteractionResponseType::DeferredChannelMessageWithSource,
        };
        let data = private.then(|| InteractionResponseData {
            flags: Some(MessageFlags::EPHEMERAL),
            ..InteractionResponseData::default()
        });
        let answer = InteractionResponse { kind, data };
        let route = Route::bare(Method::POST, format!("/interactions/{id}/{token}/callback"));
        if !is_press {
            lock(&self.replies).set(id, Stand::Open { private }, left);
        }
        self.acks.prepare(id, route, answer);
    }

    /// It is on record. Waits until Discord knows that: no answer may come before.
    pub(super) async fn acknowledge(&self, incoming: &Incoming) -> Result<(), ChatError> {
        let Some(open) = open(incoming) else {
            return Ok(());
        };
        match self.acks.send(open.id).await {
            None => return Ok(()),
            Some(Ok(())) => {}
            Some(Err(failure)) if failure.is_acknowledged() => return Ok(()),
            Some(Err(failure)) => {
                if failure.is_over() {
                    lock(&self.replies).set(open.id, Stand::Missed, open.left);
                }
                return Err(failure.into());
            }
        }
        if let What::Press { message, .. } = &incoming.what {
            let way = way(open.token, ORIGINAL);
            lock(&self.replies).reach(&message.id, way, open.left);
        }
        Ok(())
    }

    /// Answers with a card, for all who are there.
    pub(super) async fn reply(&self, to: &Incoming, card: &Card) -> Result<MessageRef, ChatError> {
        let Some(open) = open(to) else {
            return self.outbox.send(&to.place, card).await;
        };
        let stand = lock(&self.replies).stand(open.id);
        if stand == Stand::Missed {
            return self.outbox.send(&to.place, card).await;
        }
        let in_place = !open.is_press && matches!(stand, Stand::Open { .. } | Stand::Noted);
        let route = match in_place {
            true => self.route(Method::PATCH, open.token, Some(ORIGINAL)),
            false => self.route(Method::POST, open.token, None),
        };
        let sent = match self.outbox.put(&route.await?, card).await {
            Ok(sent) => sent,
            // The time for it is over, or a daemon before this one was killed before it
            // could acknowledge.
            Err(failure) if failure.is_over() => {
                lock(&self.replies).set(open.id, Stand::Closed, open.left);
                return self.outbox.send(&to.place, card).await;
            }
            Err(failure) => return Err(failure.into()),
        };
        let mut replies = lock(&self.replies);
        replies.set(open.id, Stand::Answered, open.left);
        let message = if in_place { ORIGINAL } else { &sent.id };
        replies.reach(&sent.id, way(open.token, message), open.left);
        Ok(MessageRef {
            place: to.place.clone(),
            id: sent.id,
        })
    }

    /// Puts another card in the place of a message. `None` when no token reaches it.
    pub(super) async fn edit(
        &self,
        message: &MessageRef,
        card: &Card,
    ) -> Option<Result<(), ChatError>> {
        let Way {
            token,
            message: name,
        } = lock(&self.replies).way(&message.id)?;
        let route = match self.route(Method::PATCH, &token, Some(&name)).await {
            Ok(route) => route,
            Err(error) => return Some(Err(error)),
        };
        match self.outbox.put(&route, card).await {
            Ok(_) => Some(Ok(())),
            Err(failure) if failure.is_over() => {
                lock(&self.replies).lose(&message.id);
                None
            }
            Err(failure) => Some(Err(failure.into())),
        }
    }

    /// Answers so that only the sender sees it.
    pub(super) async fn note(&self, to: &Incoming, note: &Note) -> Result<(), ChatError> {
        let open = open(to);
        let stand = open.as_ref().map(|open| lock(&self.replies).stand(open.id));
        let (Some(open), Some(stand)) = (open, stand.filter(|stand| *stand != Stand::Missed))
        else {
            return match &to.what {
                What::Press { .. } => Err(ChatError::Gone(
                    "the press cannot be answered any more".into(),
                )),
                // In a channel all would see it.
                What::Text { .. } if !to.origin.private || note.text.is_empty() => Ok(()),
                What::Text { .. } => {
                    let card = Card::default().text(&note.text);
                    self.outbox.send(&to.place, &card).await.map(drop)
                }
            };
        };
        if note.text.is_empty() {
            return Ok(());
        }
        let body = Body::note(note);
        let stand = if open.is_press { Stand::Closed } else { stand };
        let original = self.route(Method::PATCH, open.token, Some(ORIGINAL));
        let stand = match stand {
            // Who sees "thinking …" is decided, so a line for one may have to be another message.
            Stand::Open { private: false } if note.alert && !to.origin.private => {
                let route = self.route(Method::DELETE, open.token, Some(ORIGINAL));
                let gone = self.api.delete(&route.await?).await;
                gone.map_err(ChatError::from)?;
                self.follow(&open, body).await?;
                Stand::Closed
            }
            Stand::Open { .. } | Stand::Noted => {
                let sent = self.api.send::<Sent>(&original.await?, &body).await;
                sent.map_err(ChatError::from)?;
                Stand::Noted
            }
            Stand::Answered | Stand::Closed | Stand::Missed => {
                self.follow(&open, body).await?;
                stand
            }
        };
        if !open.is_press {
            lock(&self.replies).set(open.id, stand, open.left);
        }
        Ok(())
    }

    /// Nothing more follows: what still says "thinking …" is taken away.
    pub(super) async fn close(&self, to: &Incoming) -> Result<(), ChatError> {
        let Some(open) = open(to).filter(|open| !open.is_press) else {
            return Ok(());
        };
        let stand = lock(&self.replies).end(open.id);
        if !matches!(stand, None | Some(Stand::Open { .. })) {
            return Ok(());
        }
        let route = self.route(Method::DELETE, open.token, Some(ORIGINAL));
        match self.api.delete(&route.await?).await {
            Err(failure) if !failure.is_over() => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Sends another message, for the sender alone.
    async fn follow(&self, open: &Open<'_>, body: Body) -> Result<(), ChatError> {
        let route = self.route(Method::POST, open.token, None).await?;
        let sent = self.api.send::<Sent>(&route, &body.private()).await;
        Ok(sent.map(drop)?)
    }

    async fn route(
        &self,
        method: Method,
        token: &str,
        message: Option<&str>,
    ) -> Result<Route, ChatError> {
        let application = self.api.application().await?;
        let message = message.map_or_else(String::new, |id| format!("/messages/{id}"));
        let path = format!("/webhooks/{application}/{token}{message}");
        Ok(Route::bare(method, path))
    }
}

/// The interaction that it came by, while it can be answered.
fn open(incoming: &Incoming) -> Option<Open<'_>> {
    let id = ids::number(&incoming.delivery, "interaction").ok()?;
    Some(Open {
        id,
        token: incoming.answer.as_deref()?,
        left: ids::left(id, Clock::system().now())?,
        is_press: matches!(incoming.what, What::Press { .. }),
    })
}

fn way(token: &str, message: &str) -> Way {
    Way {
        token: token.to_owned(),
        message: message.to_owned(),
    }
}
