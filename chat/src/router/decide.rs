//! Answers to the agent's questions: by a button, by id, or by a plain yes.

use std::time::Duration;

use supervisor::ControlError;

use super::{Answer, Heard, NOT_NOW, Router};
use crate::desk::{Answered, Question, Verdict};
use crate::store::{Shown, Stage};
use crate::{Card, MessageRef, Note, Ticket, show};

/// Where a question stands is written down a moment after people see it there: a press that comes
/// before that waits so long, and again.
const WRITTEN: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_millis(700),
];
/// How long a question is put off.
const SNOOZE: Duration = Duration::from_secs(600);

impl Router {
    /// A press of Approve or Deny.
    pub(super) async fn decide(&self, heard: &Heard<'_>, ticket: &Ticket, yes: bool) -> Answer {
        // Begun twice is no harm here: the first decision wins, also over a kill.
        if !self.begin(heard).await && heard.left_at.is_none() {
            return Answer::refusal(Verdict::Stale, NOT_NOW);
        }
        match self.is_pressed_here(heard, &ticket.id).await {
            Some(true) => {}
            Some(false) => {
                return Answer::refusal(Verdict::Denied, "This question was not put in this chat.");
            }
            None => {
                return Answer {
                    again: true,
                    ..Answer::refusal(Verdict::Stale, NOT_NOW)
                };
            }
        }
        match self.desk.decide(&heard.caller, ticket, yes).await {
            // Its message is the incident's, which is brought up to date wherever it stands.
            Ok(decided) => {
                let said = match (&decided.votes, yes) {
                    (Some(votes), true) => super::sentence(votes),
                    (None, true) => "Approved.".to_owned(),
                    (_, false) => "Denied.".to_owned(),
                };
                Answer::quiet(Verdict::Done).note(Note::passing(said))
            }
            Err(error) => self.undecided(heard, ticket, &error).await,
        }
    }

    /// Why it was not decided, with the message brought up to date.
    async fn undecided(&self, heard: &Heard<'_>, ticket: &Ticket, error: &ControlError) -> Answer {
        let verdict = match error {
            ControlError::Forbidden { .. } | ControlError::NotListed { .. } => Verdict::Denied,
            ControlError::NotFound { .. } => Verdict::Unknown,
            _ => Verdict::Stale,
        };
        if let ControlError::Forbidden { needed, .. } = error {
            let text = format!("That needs the role {needed:?}.").to_lowercase();
            return Answer::refusal(verdict, super::sentence(&text));
        }
        if let ControlError::NotListed { .. } = error {
            let text = "You are not one of those who may decide on this.";
            return Answer::refusal(verdict, text);
        }
        // Not decided either way: it may be tried again.
        let later = |error: &ControlError| Answer {
            again: matches!(error, ControlError::ShuttingDown),
            ..Answer::refusal(
                Verdict::Stale,
                format!("It could not be decided now ({error}); press it again."),
            )
        };
        let question = match self.desk.question(&heard.caller, &ticket.id).await {
            Ok(Some(question)) => question,
            Ok(None) => {
                return Answer::refusal(verdict, "There is no such question any more.");
            }
            Err(error) => return later(&error),
        };
        if question.state == Answered::Open {
            if !matches!(
                error,
                ControlError::Conflict { .. } | ControlError::NotFound { .. }
            ) {
                return later(error);
            }
            // Open, and yet not decided: of another plan, or what the agent says.
            return Answer::refusal(verdict, super::sentence(&error.to_string()));
        }
        // The message is the incident's: whoever tells that one brings it up to date.
        let who = question.decided_by.as_deref().unwrap_or("mhost");
        let text = format!("Too late: it {} ({who}).", question.state.as_str());
        Answer::refusal(verdict, text)
    }

    /// Was the question put in this chat, with its incident or by itself? None when that
    /// cannot be looked up.
    async fn stands_here(&self, heard: &Heard<'_>, id: &str) -> Option<bool> {
        let question = self.desk.question(&heard.caller, id).await.ok()?;
        let Some(question) = question else {
            // Nobody's question; what there is to say of it is said by whoever decides.
            return Some(true);
        };
        let subjects = [
            question.incident.clone(),
            format!("reminder:{}", question.incident),
            format!("question:{id}"),
        ];
        let place = &heard.incoming.place;
        self.store.stands_in(&subjects, place).await.ok()
    }

    /// The same, of a question whose button was pressed.
    async fn is_pressed_here(&self, heard: &Heard<'_>, id: &str) -> Option<bool> {
        for wait in WRITTEN {
            if self.stands_here(heard, id).await? {
                return Some(true);
            }
            tokio::time::sleep(wait).await;
        }
        self.stands_here(heard, id).await
    }

    /// All questions that wait, to be answered right there.
    pub(super) async fn open_questions(&self, heard: &Heard<'_>) -> Answer {
        match self.desk.questions(&heard.caller).await {
            Ok(open) => Answer {
                puts: open.iter().take(show::QUESTIONS).cloned().collect(),
                ..Answer::card(show::questions(&open, self.now()), Verdict::Done)
            },
            Err(error) => Answer::refusal(Verdict::Done, super::sentence(&error.to_string())),
        }
    }

    /// Remembers that these questions stand in a message with buttons.
    pub(super) async fn put(&self, questions: &[Question], message: &MessageRef) {
        for question in questions {
            let shown = Shown {
                message: message.clone(),
                card: String::new(),
                over: false,
            };
            let subject = format!("question:{}", question.ticket.id);
            if let Err(error) = self.store.show(&subject, &message.place, &shown).await {
                tracing::warn!(%error, "Where a question stands is not kept.");
            }
        }
    }

    /// `/approve k3v9qa`: for whoever cannot press.
    pub(super) async fn decide_by_id(
        &self,
        heard: &Heard<'_>,
        id: &str,
        yes: bool,
    ) -> Result<Card, ControlError> {
        let question = self.known_question(heard, id).await?;
        let decided = self
            .desk
            .decide(&heard.caller, &question.ticket, yes)
            .await?;
        Ok(show::question(&decided, self.now()))
    }

    pub(super) async fn known_question(
        &self,
        heard: &Heard<'_>,
        id: &str,
    ) -> Result<Question, ControlError> {
        let question = self.desk.question(&heard.caller, id).await?;
        question.ok_or_else(|| ControlError::NotFound {
            target: id.to_owned(),
            near: Vec::new(),
        })
    }

    /// A plain yes or no: to "are you sure?", else to the only open question.
    pub(super) async fn plain(&self, heard: &Heard<'_>, yes: bool) -> Answer {
        let (person, place) = (&heard.caller.principal, &heard.incoming.place);
        let waits = match self.confirmations.waits(person, place).await {
            Ok(waits) => waits,
            Err(_) => return Answer::refusal(Verdict::Stale, NOT_NOW),
        };
        // It may have been carried out already, just before a kill.
        if waits || heard.left_at == Some(Stage::Begun) {
            return self.confirmed(heard, None, yes).await;
        }
        let open = match self.desk.questions(&heard.caller).await {
            Ok(open) => open,
            Err(error) => {
                return Answer::refusal(Verdict::Done, super::sentence(&error.to_string()));
            }
        };
        match open.as_slice() {
            [] => Answer::refusal(Verdict::Unknown, "No question is open."),
            // Of a question that came after these words they do not speak.
            [one] if one.asked > heard.incoming.at => Answer::refusal(
                Verdict::Stale,
                "There is a newer question; look at it, and say it again.",
            ),
            [one] if self.stands_here(heard, &one.ticket.id).await != Some(true) => {
                Answer::refusal(
                    Verdict::Unknown,
                    format!(
                        "No question is open in this chat; elsewhere is {}.",
                        one.ticket.id
                    ),
                )
            }
            [one] => self.decide(heard, &one.ticket, yes).await,
            _ => Answer {
                verdict: Verdict::Unknown,
                ..self.open_questions(heard).await
            },
        }
    }

    /// What a question rests on.
    pub(super) async fn details(&self, heard: &Heard<'_>, ticket: &Ticket) -> Answer {
        let told = async {
            let question = self.known_question(heard, &ticket.id).await?;
            let evidence = self.desk.evidence(&heard.caller, &ticket.id).await?;
            Ok::<_, ControlError>(show::details(&question, &evidence))
        };
        match told.await {
            Ok(card) => Answer::card(card, Verdict::Done),
            Err(error) => Answer::refusal(Verdict::Done, super::sentence(&error.to_string())),
        }
    }

    /// The question stays open for ten minutes longer, and is put again then.
    pub(super) async fn snooze(&self, heard: &Heard<'_>, ticket: &Ticket) -> Answer {
        if self.is_pressed_here(heard, &ticket.id).await != Some(true) {
            return Answer::refusal(Verdict::Denied, "This question was not put in this chat.");
        }
        if !self.begin(heard).await {
            return Answer::refusal(Verdict::Stale, NOT_NOW);
        }
        match self.desk.snooze(&heard.caller, ticket, SNOOZE).await {
            Ok(question) => {
                let until = question.expires.strftime("%H:%M UTC");
                let text = format!("I ask again in ten minutes; it is a no at {until}.");
                Answer::quiet(Verdict::Done).note(Note::passing(text))
            }
            Err(error) => self.undecided(heard, ticket, &error).await,
        }
    }
}
