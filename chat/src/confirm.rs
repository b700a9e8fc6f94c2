//! "Are you sure?": one open for each person in each chat, and half a minute to answer.
//!
//! They are kept in the store: a yes that was received before the daemon was killed is carried
//! out by the next one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use crate::order::Order;
use crate::store::{Store, StoreError};
use crate::{MessageRef, Place};

/// What waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Who is asked: `telegram:123`.
    pub(crate) person: String,
    /// Where.
    pub(crate) place: Place,
    /// What identifies it on a button.
    pub(crate) nonce: String,
    /// What would be done, as it was written.
    pub(crate) written: String,
    /// When it was asked.
    pub(crate) asked: Timestamp,
    /// Silence is a no from then on.
    pub(crate) expires: Timestamp,
    /// The message that asks, once it was sent.
    pub(crate) message: Option<MessageRef>,
    /// It was answered, or nobody did in time; only its message may have to be brought to its
    /// end.
    pub(crate) closed: bool,
}

impl Pending {
    /// The order that was written. The same text has the same meaning as when it was asked
    /// about.
    pub(crate) fn order(&self) -> Option<Order> {
        let text = self.written.trim_start_matches('/');
        crate::order::parse(&format!("/{text}")).ok()
    }
}

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    /// Nothing was asked, or somebody else was, or here and now it is another question.
    #[error("there is nothing of yours to confirm here")]
    Nothing,
    /// It came after these words, which cannot be about it.
    #[error("there is a newer question; look at it, and say it again")]
    Newer,
    /// Too late.
    #[error("the time to confirm is over; write the command again")]
    TooLate(Box<Pending>),
    /// It cannot be looked up.
    #[error("this cannot be looked up now, so it was not done")]
    Store(#[from] StoreError),
}

/// All that waits.
#[derive(Debug)]
pub(crate) struct Confirmations(Store);

impl Confirmations {
    /// Those of this store.
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Puts a question, in the place of an older one of the same person in the same chat.
    /// Answers with it, and with the one that it replaces.
    ///
    /// # Errors
    /// When it cannot be written: then nobody may be asked.
    pub(crate) async fn ask(
        &self,
        person: &str,
        place: &Place,
        written: &str,
        time: Duration,
        now: Timestamp,
    ) -> Result<(Pending, Option<Pending>), StoreError> {
        let pending = Pending {
            person: person.to_owned(),
            place: place.clone(),
            nonce: nonce(),
            written: written.to_owned(),
            asked: now,
            expires: after(now, time),
            message: None,
            closed: false,
        };
        let old = self.0.ask_sure(&pending).await?;
        Ok((pending, old))
    }

    /// Remembers which message asks. False when a newer question took its place meanwhile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn shown(
        &self,
        asked: &Pending,
        message: &MessageRef,
    ) -> Result<bool, StoreError> {
        self.0.sure_shown(asked, message).await
    }

    /// The question of this person in this chat, which they answered with what was `written`
    /// then and received `at`. With a nonce only that one. It waits on until it is taken.
    ///
    /// # Errors
    /// When there is none, or its time was over.
    pub(crate) async fn asked(
        &self,
        person: &str,
        place: &Place,
        nonce: Option<&str>,
        written: Timestamp,
        at: Timestamp,
    ) -> Result<Pending, Unanswerable> {
        let pending = self.0.sure(person, place).await?;
        let pending = pending.ok_or(Unanswerable::Nothing)?;
        match nonce {
            Some(nonce) if nonce != pending.nonce => return Err(Unanswerable::Nothing),
            Some(_) => {}
            // Platforms tell times in whole seconds.
            None if pending.asked.as_second() > written.as_second() => {
                return Err(Unanswerable::Newer);
            }
            None => {}
        }
        if at >= pending.expires {
            self.0.close_sure(&pending).await?;
            return Err(Unanswerable::TooLate(Box::new(pending)));
        }
        Ok(pending)
    }

    /// Takes it away, so that it is answered once. False when somebody was faster.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be done for it.
    pub(crate) async fn take(&self, pending: &Pending) -> Result<bool, StoreError> {
        self.0.close_sure(pending).await
    }

    /// Its message is at its end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn forget(&self, pending: &Pending) -> Result<(), StoreError> {
        self.0.forget_sure(pending).await.map(drop)
    }

    /// Does something of this person wait in this chat?
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn waits(&self, person: &str, place: &Place) -> Result<bool, StoreError> {
        Ok(self.0.sure(person, place).await?.is_some())
    }

    /// All whose time was over then, also those that were answered and whose message does not
    /// say so.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn expired(&self, then: Timestamp) -> Result<Vec<Pending>, StoreError> {
        self.0.expired_sure(then).await
    }
}

/// Twelve letters that nobody guesses within half a minute, and that would only confirm what
/// the same person asked for.
fn nonce() -> String {
    let bits = RandomState::new().build_hasher().finish();
    format!("{:012x}", bits >> 16)
}

#[cfg(test)]
mod tests {
    use supervisor::Clock;

    use super::*;
    use crate::Platform;

    const TIME: Duration = Duration::from_secs(30);

    fn place(chat: &str) -> Place {
        Place::chat(Platform::Telegram, chat)
    }

    fn all() -> Confirmations {
        Confirmations::new(Store::in_memory(Clock::system()).unwrap())
    }

    #[tokio::test]
    async fn only_the_same_person_in_the_same_chat_answers_and_once() {
        let all = all();
        let now = Timestamp::UNIX_EPOCH;
        let (who, here) = ("telegram:1", place("-1"));
        let (asked, none) = all.ask(who, &here, "/stop api", TIME, now).await.unwrap();
        assert_eq!(none, None);
        assert_eq!(asked.order(), Some(Order::Stop("api".into())));
        let nonce = Some(asked.nonce.as_str());
        for (person, chat, nonce) in [
            ("telegram:2", "-1", nonce),
            (who, "-2", nonce),
            (who, "-1", Some("0")),
        ] {
            let refused = all.asked(person, &place(chat), nonce, now, now).await;
            assert!(matches!(refused, Err(Unanswerable::Nothing)), "{refused:?}");
        }
        let found = all.asked(who, &here, nonce, now, now).await.unwrap();
        assert_eq!(found, asked);
        assert!(all.take(&found).await.unwrap());
        assert!(!all.take(&found).await.unwrap());
        let twice = all.asked(who, &here, nonce, now, now).await;
        assert!(matches!(twice, Err(Unanswerable::Nothing)), "{twice:?}");
    }

    #[tokio::test]
    async fn silence_is_a_no_and_a_new_question_replaces_the_old_one() {
        let all = all();
        let now = Timestamp::UNIX_EPOCH;
        let (who, here) = ("slack:U1", place("C"));
        let (first, _) = all.ask(who, &here, "/stop api", TIME, now).await.unwrap();
        let (second, old) = all.ask(who, &here, "/stop web", TIME, now).await.unwrap();
        assert_eq!(old.unwrap().nonce, first.nonce);
        let late = after(now, TIME);
        // Words of before it are not about it; a button is.
        let early = now - Duration::from_secs(1);
        let refused = all.asked(who, &here, None, early, now).await;
        assert!(matches!(refused, Err(Unanswerable::Newer)), "{refused:?}");
        let known = all.asked(who, &here, Some(&second.nonce), early, now).await;
        assert_eq!(known.unwrap(), second);
        let refused = all.asked(who, &here, Some(&second.nonce), now, late).await;
        assert!(
            matches!(refused, Err(Unanswerable::TooLate(_))),
            "{refused:?}"
        );
        all.ask(who, &here, "/stop db", TIME, now).await.unwrap();
        assert_eq!(all.expired(now).await.unwrap().len(), 0);
        let over = all.expired(late).await.unwrap();
        assert_eq!(over.len(), 1);
        assert!(!over[0].closed);
        all.forget(&over[0]).await.unwrap();
        assert_eq!(all.expired(late).await.unwrap().len(), 0);
    }
}
