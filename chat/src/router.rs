//! From something that came in to an answer.
//!
//! ```text
//!   who? ──► what does it mean? ──► how often? ──► fresh? ──► may they? ──► sure? ──► do it
//!    │               │                 │             │           │           │         │
//!    └── stranger    └── unknown       └── too fast  └── stale   └── denied  └── asked └── done
//! ```
//!
//! Every way out has its row in the audit log. What changes something is marked as begun in
//! the inbox before it is put to the gate, so that a kill in between neither loses it nor
//! does it twice.

mod command;
mod copies;
mod decide;
mod follow;
mod lists;
mod meaning;
mod perform;
mod reply;
mod sure;
mod turns;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use supervisor::{Caller, Clock, Role, Via, until};
use tokio::time::Instant;

use crate::confirm::Confirmations;
use crate::desk::{Attempt, Desk, Question, Verdict};
use crate::order::Order;
use crate::pace::Leave;
use crate::people::Standing;
use crate::show;
use crate::store::{Stage, Store};
use crate::{Card, Channel, Incoming, Note, Pace, People, Press};
use meaning::Meaning;

/// What changes something and is older than this is not done any more: whoever wrote it has
/// looked elsewhere since.
const FRESH: Duration = Duration::from_secs(60);

/// What was begun before a kill may have been done or not.
const INTERRUPTED: &str =
    "mhost was restarted while it did this; look at /status before you repeat it.";

/// Whoever wrote it has looked elsewhere since.
const TOO_OLD: &str =
    "This is more than a minute old, so it was not done; write it again if you mean it.";

/// The store does not take it.
const NOT_NOW: &str = "This cannot be put on record now, so it was not done.";

/// What the settings say about the chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who may do what.
    pub people: People,
    /// The least role that may ask the agent in words.
    pub asking: Role,
    /// Ask before what ends or removes something.
    pub confirm_destructive: bool,
    /// Ask before a restart, too.
    pub confirm_restart: bool,
    /// How long such a question is open.
    pub confirm_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            people: People::default(),
            asking: Role::Admin,
            confirm_destructive: true,
            confirm_restart: false,
            confirm_timeout: Duration::from_secs(30),
        }
    }
}

/// Answers what comes in, from all platforms.
pub struct Router {
    settings: RwLock<Arc<Settings>>,
    desk: Arc<dyn Desk>,
    store: Store,
    clock: Clock,
    pace: Pace,
    confirmations: Confirmations,
    follows: follow::Follows,
    turns: turns::Turns,
    crowd: turns::Crowd,
    silences: turns::Silences,
    lists: lists::Lists,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

/// What came in, with who it is and through what it is answered.
struct Heard<'a> {
    channel: &'a dyn Channel,
    incoming: &'a Incoming,
    caller: Caller,
    began: Instant,
    /// It was taken up again after a kill, at this stage.
    left_at: Option<Stage>,
    /// The platform was told that the press arrived.
    acknowledged: AtomicBool,
}

/// What is said to whoever asked, and what the audit log says of it.
struct Answer {
    card: Option<Card>,
    /// Only for the one who asked.
    note: Option<Note>,
    /// In the place of the message with the button, where that is one of this kind.
    edits: bool,
    /// Questions that the card asks, with buttons.
    puts: Vec<Question>,
    /// It could not be done for now, and is taken up again by the next daemon.
    again: bool,
    verdict: Verdict,
    error: Option<String>,
}

impl Answer {
    fn card(card: Card, verdict: Verdict) -> Self {
        Self {
            card: Some(card),
            note: None,
            edits: false,
            puts: Vec::new(),
            again: false,
            verdict,
            error: None,
        }
    }

    /// In a chat as a line, on a button as a window.
    fn refusal(verdict: Verdict, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            card: None,
            note: Some(Note::alert(text.clone())),
            edits: false,
            puts: Vec::new(),
            again: false,
            verdict,
            error: Some(text),
        }
    }

    fn silent(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            card: None,
            note: None,
            edits: false,
            puts: Vec::new(),
            again: false,
            verdict,
            error: Some(why.into()),
        }
    }

    /// Nothing is said, and nothing is wrong.
    fn quiet(verdict: Verdict) -> Self {
        Self {
            error: None,
            ..Self::silent(verdict, "")
        }
    }

    fn note(mut self, note: Note) -> Self {
        self.note = Some(note);
        self
    }

    fn in_place(mut self) -> Self {
        self.edits = true;
        self
    }
}

impl Router {
    /// A router that puts everything to this desk.
    pub fn new(desk: Arc<dyn Desk>, store: Store, clock: Clock, pace: Pace) -> Self {
        Self {
            settings: RwLock::default(),
            desk,
            confirmations: Confirmations::new(store.clone()),
            store,
            clock,
            pace,
            follows: follow::Follows::default(),
            turns: turns::Turns::default(),
            crowd: turns::Crowd::default(),
            silences: turns::Silences::default(),
            lists: lists::Lists::default(),
        }
    }

    /// Uses other settings from now on. Whoever was removed is a stranger with the next press.
    pub fn reconfigure(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Lets each person ask so often from now on.
    pub fn keep_pace(&self, per_minute: std::num::NonZeroU32) {
        self.pace.keep(per_minute);
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The names of all processes, for a sender who may look at them; none for anybody else.
    pub fn names(&self, incoming: &Incoming) -> Option<Vec<String>> {
        match self.settings().people.standing(incoming) {
            Standing::Known(_) => Some(self.desk.names()),
            Standing::Stranger | Standing::Mute(_) => None,
        }
    }

    /// Answers one thing. It is in the inbox already; `left_at` says how far it got when it
    /// is taken up again after a kill.
    pub async fn handle(&self, channel: &dyn Channel, incoming: &Incoming, left_at: Option<Stage>) {
        let settings = self.settings();
        let standing = settings.people.standing(incoming);
        let role = match standing {
            Standing::Known(role) => role,
            Standing::Stranger | Standing::Mute(_) => Role::None,
        };
        let heard = Heard {
            channel,
            incoming,
            caller: Caller {
                principal: incoming.sender.principal(incoming.place.platform),
                role,
                via: Via::Chat,
            },
            began: Instant::now(),
            left_at,
            acknowledged: AtomicBool::new(false),
        };
        let Some(meaning) = meaning::of(incoming) else {
            // Talk among people.
            reply::close(&heard).await;
            self.done(incoming).await;
            return;
        };
        let mut turn = None;
        let answer = match standing {
            Standing::Mute(why) => Answer::silent(Verdict::Denied, why),
            Standing::Stranger => self.stranger(&heard, &meaning).await,
            Standing::Known(_) => match self.too_fast(&heard, &meaning).await {
                Some(answer) => answer,
                None => {
                    // Only what is let in takes a turn, and only until it is done.
                    turn = self.turns.of(incoming).await;
                    self.known(&heard, &settings, &meaning).await
                }
            },
        };
        drop(turn);
        self.reply(&heard, &answer).await;
        reply::close(&heard).await;
        if self.silences.counts(&answer) {
            self.record(&heard, &meaning, &answer).await;
        }
        if !answer.again {
            self.done(incoming).await;
        }
    }

    /// Somebody who is not listed may learn who they are, and that once an hour.
    async fn stranger(&self, heard: &Heard<'_>, meaning: &Meaning) -> Answer {
        let who = &heard.caller.principal;
        let chat = heard.incoming.place.to_string();
        if !self.pace.answers_stranger(who, &chat).await {
            return Answer::silent(Verdict::Denied, "not listed");
        }
        match meaning.order() {
            Some(Order::Whoami) => {
                Answer::card(show::whoami(heard.incoming, Role::None), Verdict::Done)
            }
            Some(Order::Help) => {
                let card = show::help(Role::None, Role::SuperAdmin);
                Answer::card(card, Verdict::Done)
            }
            _ => Answer::refusal(
                Verdict::Denied,
                format!("You are not authorised; your id is {who}."),
            ),
        }
    }

    /// The answer to whoever asks too often.
    async fn too_fast(&self, heard: &Heard<'_>, meaning: &Meaning) -> Option<Answer> {
        // What was let in before a kill is not counted again.
        if heard.left_at.is_some() {
            return None;
        }
        let place = heard.incoming.place.to_string();
        let who = &heard.caller.principal;
        let asks = matches!(meaning.order(), Some(Order::Ask(_)));
        let leave = if meaning.decides() {
            // Others who fill the chat do not keep anybody from a decision.
            self.pace.admit_person(who).await
        } else {
            self.pace.admit(who, &place, asks).await
        };
        match leave {
            Leave::Given => None,
            Leave::Silence => Some(Answer::silent(Verdict::TooFast, "too fast")),
            Leave::TooFast { after } => {
                let text = format!(
                    "That is too fast. I listen again in {} s.",
                    after.as_secs().max(1)
                );
                Some(Answer::refusal(Verdict::TooFast, text))
            }
        }
    }

    async fn known(&self, heard: &Heard<'_>, settings: &Settings, meaning: &Meaning) -> Answer {
        if meaning.changes()
            && let Some(why) = self.stale(heard, meaning)
        {
            return Answer::refusal(Verdict::Stale, why);
        }
        match meaning {
            Meaning::Unclear(why) => Answer::refusal(Verdict::Unknown, sentence(why)),
            Meaning::Order(order, written) => self.order(heard, settings, order, written).await,
            Meaning::Press(press) => self.press(heard, settings, press).await,
        }
    }

    /// Why something that changes a process does not count, if so.
    fn stale(&self, heard: &Heard<'_>, meaning: &Meaning) -> Option<&'static str> {
        let origin = heard.incoming.origin;
        // An answer to a question counts once however often it is put, and may have been cut
        // off half-way; it has its own end.
        let decides = matches!(
            meaning,
            Meaning::Press(Press::Approve(_) | Press::Deny(_))
                | Meaning::Order(Order::Approve(_) | Order::Deny(_), _)
        );
        // A button says which plan it means, however late it is pressed; words do not.
        let ageless = matches!(meaning, Meaning::Press(Press::Approve(_) | Press::Deny(_)));
        let confirms = matches!(
            meaning,
            Meaning::Press(Press::Confirm(_)) | Meaning::Order(Order::Confirm | Order::Yes, _)
        );
        let cut_off = heard.left_at == Some(Stage::Begun);
        if origin.forwarded {
            Some("Forwarded messages change nothing; write it yourself.")
        } else if origin.edited {
            Some("Edited messages change nothing; write it anew.")
        } else if cut_off && !decides && !confirms {
            Some(INTERRUPTED)
        } else if !ageless && until(heard.incoming.at, self.clock.now()) > FRESH {
            // Cut off, it may have been done.
            Some(if cut_off { INTERRUPTED } else { TOO_OLD })
        } else {
            None
        }
    }

    async fn order(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
        written: &str,
    ) -> Answer {
        if let Err(why) = sure::may(settings, heard.caller.role, order) {
            return Answer::refusal(Verdict::Denied, why);
        }
        match order {
            Order::Yes | Order::No => self.plain(heard, *order == Order::Yes).await,
            Order::Confirm => self.confirmed(heard, None, true).await,
            Order::Cancel => self.confirmed(heard, None, false).await,
            _ => match self.unsure(heard, settings, order, written).await {
                Some(answer) => answer,
                None => {
                    let answer = self.perform(heard, settings, order, written).await;
                    // A list is turned where it stands.
                    match order {
                        Order::Fleet { .. } => answer.in_place(),
                        _ => answer,
                    }
                }
            },
        }
    }

    async fn press(&self, heard: &Heard<'_>, settings: &Settings, press: &Press) -> Answer {
        match press {
            Press::Approve(ticket) => self.decide(heard, ticket, true).await,
            Press::Deny(ticket) => self.decide(heard, ticket, false).await,
            Press::Details(ticket) => self.details(heard, ticket).await,
            Press::Snooze(ticket) => self.snooze(heard, ticket).await,
            Press::Confirm(nonce) => self.confirmed(heard, Some(nonce), true).await,
            Press::Cancel(nonce) => self.confirmed(heard, Some(nonce), false).await,
            Press::Order(text) => match crate::order::parse(&format!("/{text}")) {
                Ok(order) => Box::pin(self.order(heard, settings, &order, text)).await,
                Err(why) => Answer::refusal(Verdict::Unknown, sentence(&why.to_string())),
            },
        }
    }

    async fn record(&self, heard: &Heard<'_>, meaning: &Meaning, answer: &Answer) {
        let (command, arguments) = meaning.on_record();
        let attempt = Attempt {
            caller: heard.caller.clone(),
            place: heard.incoming.place.clone(),
            name: heard.incoming.sender.name.clone(),
            command,
            arguments,
            verdict: answer.verdict,
            error: answer.error.clone(),
            took: heard.began.elapsed(),
        };
        self.desk.record(attempt).await;
    }

    /// Marks that something is about to be changed for it. False when it must not be: it was
    /// begun before, or that cannot be written.
    async fn begin(&self, heard: &Heard<'_>) -> bool {
        match self.store.advance(heard.incoming, Stage::Begun).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::error!(%error, "A command of a chat cannot be put on record.");
                false
            }
        }
    }

    async fn done(&self, incoming: &Incoming) {
        if let Err(error) = self.store.advance(incoming, Stage::Done).await {
            tracing::warn!(%error, "What came in is not marked as answered.");
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A question as the title of its answer.
fn title_of(question: &str) -> String {
    const MOST: usize = 80;
    if question.chars().count() <= MOST {
        return question.to_owned();
    }
    let kept: String = question.chars().take(MOST - 1).collect();
    format!("{kept}…")
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    let text = format!("{}{}", first.unwrap_or_default(), letters.as_str());
    if text.ends_with(['.', '?', '!', '>', ']']) {
        text
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
