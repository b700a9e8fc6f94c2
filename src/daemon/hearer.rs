//! Hearing of an answer before it is whole.
//!
//! ```text
//!   connection ──heard(…)──► gate ──► port: Hearer::current().say("…")
//!        ◄──── parts, in order ──────────────┘
//! ```
//!
//! What takes long to answer (a model that writes) may say parts of it on the way. The control
//! surface stays a request and a reply, and whoever does not listen loses nothing: the reply
//! holds all of it. Parts wait in one place and are joined there, so that a slow client costs
//! no more memory than the answer itself, and delays nobody but its own request.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

tokio::task_local! {
    static HEARER: Hearer;
}

/// Whom parts of an answer are told; nobody, where nobody asked for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hearer(Option<Arc<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    parts: Mutex<Vec<Part>>,
    more: Notify,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// What was found here, before anybody else is asked.
    Local(Value),
    /// The next piece of a text.
    Text(String),
    /// What a model looks up meanwhile, in a line.
    LookUp(String),
}

impl Hearer {
    /// Whoever listens to the request that is being answered.
    pub(crate) fn current() -> Self {
        HEARER.try_with(Clone::clone).unwrap_or_default()
    }

    /// Does nobody listen?
    pub(crate) fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    /// Tells what was found here.
    pub(crate) fn local(&self, found: &Value) {
        self.add(|parts| parts.push(Part::Local(found.clone())));
    }

    /// Tells the next piece of a text.
    pub(crate) fn say(&self, text: &str) {
        self.add(|parts| match parts.last_mut() {
            Some(Part::Text(before)) => before.push_str(text),
            _ => parts.push(Part::Text(text.to_owned())),
        });
    }

    /// Tells what is looked up.
    pub(crate) fn looks_up(&self, what: &str) {
        self.add(|parts| parts.push(Part::LookUp(what.to_owned())));
    }

    fn add(&self, add: impl FnOnce(&mut Vec<Part>)) {
        if let Some(heard) = &self.0 {
            add(&mut heard.parts.lock().unwrap_or_else(PoisonError::into_inner));
            heard.more.notify_one();
        }
    }
}

/// Does `work` and passes on its parts as they come, the last ones before it returns.
pub(crate) async fn heard<T, F: Future<Output = ()>>(
    work: impl Future<Output = T>,
    mut pass_on: impl FnMut(Vec<Part>) -> F,
) -> T {
    let heard = Arc::new(Heard::default());
    let work = HEARER.scope(Hearer(Some(heard.clone())), work);
    tokio::pin!(work);
    let take = || {
        let mut parts = heard.parts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *parts)
    };
    // The parts that are on their way: a client that does not read them delays no work.
    let mut passing: Option<Pin<Box<F>>> = None;
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if let Some(passing) = passing {
                    passing.await;
                }
                pass_on(take()).await;
                return done;
            }
            () = async { match &mut passing {
                Some(passing) => passing.await,
                None => std::future::pending().await,
            } } => passing = None,
            () = heard.more.notified(), if passing.is_none() => {
                passing = Some(Box::pin(pass_on(take())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nobody_reads_its_parts() {
        let (told, over) = tokio::sync::oneshot::channel();
        let work = async move {
            Hearer::current().say("one");
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let _ = told.send(());
        };
        let unread = heard(work, |_| std::future::pending());
        tokio::select! {
            () = unread => panic!("somebody read"),
            over = over => over.unwrap(),
        }
    }

    #[tokio::test]
    async fn parts_come_in_order_and_pieces_are_joined() {
        let got: Arc<Mutex<Vec<Part>>> = Arc::default();
        let work = async {
            let hearer = Hearer::current();
            hearer.local(&json!({ "a": 1 }));
            hearer.say("one ");
            hearer.say("two");
            hearer.looks_up("logs of api");
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            hearer.say(" three");
            7
        };
        let seen = got.clone();
        let done = heard(work, |parts| {
            seen.lock().unwrap().extend(parts);
            async {}
        })
        .await;
        assert_eq!(done, 7);
        let got = got.lock().unwrap();
        assert_eq!(got[0], Part::Local(json!({ "a": 1 })));
        assert_eq!(got[2], Part::LookUp("logs of api".into()));
        let text: String = got
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Local(_) | Part::LookUp(_) => "",
            })
            .collect();
        assert_eq!(text, "one two three");
    }

    #[tokio::test]
    async fn without_a_listener_nothing_is_kept() {
        Hearer::current().say("into the void");
    }
}
