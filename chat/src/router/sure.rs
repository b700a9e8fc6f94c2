//! "Are you sure?" before what ends or removes something.

use supervisor::command::ScaleChange;
use supervisor::units::short::span;
use supervisor::{ControlError, Reply, Request, Role};

use super::{Answer, Heard, INTERRUPTED, NOT_NOW, Router, Settings, command, meaning};
use crate::confirm::{Pending, Unanswerable};
use crate::desk::{Answered, Verdict};
use crate::order::{A_WEEK, Order};
use crate::show;
use crate::store::Stage;

/// How long its message is tried to be brought to its end.
const KEPT: std::time::Duration = std::time::Duration::from_secs(3_600);

/// How long after its time a question is closed.
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// SIGHUP, SIGUSR1, SIGUSR2, SIGCONT and SIGWINCH.
const HARMLESS: [i32; 5] = [1, 10, 12, 18, 28];

/// More processes than this at once are asked about, whatever is done to them.
const MANY: usize = 3;

impl Router {
    /// The question that has to be answered first, if there is one. Whoever asks sees what
    /// exactly would happen.
    pub(super) async fn unsure(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
        written: &str,
    ) -> Option<Answer> {
        let effects = match self.effects(heard, settings, order).await? {
            Ok(effects) => effects,
            // What is wrong with it is said at once.
            Err(error) => {
                let answer = Answer::card(show::failed(written, &error), Verdict::Done);
                return Some(Answer {
                    error: Some(error.to_string()),
                    ..answer
                });
            }
        };
        if !order.stands() && !asks_first(settings, order, effects.len()) {
            return None;
        }
        let (person, place) = (&heard.caller.principal, &heard.incoming.place);
        let asked = self
            .confirmations
            .ask(person, place, written, settings.confirm_timeout, self.now())
            .await;
        let (pending, replaced) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(%error, "Nobody can be asked whether they are sure.");
                return Some(Answer::refusal(Verdict::Stale, NOT_NOW));
            }
        };
        if let Some(message) = replaced
            .filter(|old| !old.closed)
            .and_then(|old| old.message)
        {
            let _ = heard.channel.edit(&message, &plain(REPLACED)).await;
        }
        let seconds = settings.confirm_timeout.as_secs();
        let card = show::confirm(written, &effects, &pending.nonce, seconds);
        match heard.channel.reply(heard.incoming, &card).await {
            Ok(message) => {
                match self.confirmations.shown(&pending, &message).await {
                    Ok(true) => {}
                    Ok(false) => {
                        let _ = heard.channel.edit(&message, &plain(REPLACED)).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "Where somebody was asked is not kept.");
                    }
                }
                Some(Answer::quiet(Verdict::Asked))
            }
            Err(error) => {
                // What nobody saw nobody can mean.
                if let Err(error) = self.confirmations.forget(&pending).await {
                    tracing::warn!(%error, "A question that was not shown stays.");
                }
                Some(Answer::silent(
                    Verdict::Cancelled,
                    format!("the question could not be shown: {error}"),
                ))
            }
        }
    }

    /// What would happen, line by line; none where nobody has to be asked.
    async fn effects(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
    ) -> Option<Result<Vec<String>, ControlError>> {
        if order.stands() {
            return Some(self.leave_in_advance(heard, order).await);
        }
        if !order.changes() || !settings.confirm_destructive && !settings.confirm_restart {
            return None;
        }
        if *order == Order::Resurrect {
            // What was saved is not registered, so the registry cannot say what it would be.
            return Some(Ok(vec!["start what was saved and does not run".to_owned()]));
        }
        // What names no process ends none.
        order.app()?;
        let command = command::of(order)?;
        let request = Request {
            dry_run: true,
            ..command.into()
        };
        let planned = self.desk.call(&heard.caller, request).await;
        Some(planned.map(|reply| {
            match reply {
                Reply::Plan(plan) => plan
                    .iter()
                    .map(|one| match one.why.as_str() {
                        "" => format!("{} {}", one.action, one.process),
                        why => format!("{} {}: {why}", one.action, one.process),
                    })
                    .collect(),
                _ => Vec::new(),
            }
        }))
    }

    /// What somebody would allow in advance.
    async fn leave_in_advance(
        &self,
        heard: &Heard<'_>,
        order: &Order,
    ) -> Result<Vec<String>, ControlError> {
        let leave = |playbook: &str, app: &str, time| {
            let time = span(time);
            format!("{playbook} may act on {app} without asking, for {time}")
        };
        match order {
            Order::Allow {
                playbook,
                app,
                time,
            } => Ok(vec![leave(playbook, app, *time)]),
            Order::Always(id) => {
                let question = self.known_question(heard, id).await?;
                if question.state != Answered::Open {
                    let message = format!("question `{id}` {}", question.state.as_str());
                    return Err(ControlError::Conflict { message });
                }
                let mut lines = question.steps.clone();
                let all = leave(&question.by, &question.process, A_WEEK);
                lines.push(format!("{all}, up to {} risk", question.risk));
                Ok(lines)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The answer to such a question: by a button with its nonce, or in words.
    pub(super) async fn confirmed(
        &self,
        heard: &Heard<'_>,
        nonce: Option<&str>,
        yes: bool,
    ) -> Answer {
        let (person, place) = (&heard.caller.principal, &heard.incoming.place);
        // What was received in time and taken up again after a kill is not late.
        let at = match heard.left_at {
            Some(_) => heard.incoming.at,
            None => self.now(),
        };
        let written = heard.incoming.at;
        let asked = self.confirmations.asked(person, place, nonce, written, at);
        let pending = match asked.await {
            Ok(pending) => pending,
            Err(Unanswerable::TooLate(pending)) => {
                self.finish(heard.channel, &pending, "Not done, nobody confirmed")
                    .await;
                let why = Unanswerable::TooLate(pending).to_string();
                return Answer::refusal(Verdict::Stale, super::sentence(&why));
            }
            Err(Unanswerable::Nothing) if heard.left_at == Some(Stage::Begun) => {
                return Answer::refusal(Verdict::Stale, INTERRUPTED);
            }
            Err(why @ Unanswerable::Nothing) => {
                return Answer::refusal(Verdict::Denied, super::sentence(&why.to_string()));
            }
            Err(why) => {
                return Answer::refusal(Verdict::Stale, super::sentence(&why.to_string()));
            }
        };
        let answer = if yes {
            self.still_wanted(heard, &pending).await
        } else {
            match self.confirmations.take(&pending).await {
                Ok(true) => {
                    let note = crate::Note::passing("Cancelled.");
                    Answer::quiet(Verdict::Cancelled).note(note)
                }
                Ok(false) | Err(_) => return Answer::refusal(Verdict::Stale, NOT_NOW),
            }
        };
        // Last, since a slow chat must not stand between a yes and what it is about.
        let said = match answer.verdict {
            Verdict::Done => "Confirmed",
            Verdict::Cancelled => "Cancelled",
            _ => "Not done",
        };
        self.finish(heard.channel, &pending, said).await;
        answer
    }

    /// Brings the message of a question to its end. One that cannot be reached now is tried
    /// again by [`Router::close_expired`].
    async fn finish(&self, channel: &dyn crate::Channel, pending: &Pending, said: &str) {
        if let Some(message) = &pending.message {
            let card = plain(format!("{said}: {}", pending.written));
            match channel.edit(message, &card).await {
                Err(error) if error.retry().is_some() => return,
                Ok(()) | Err(_) => {}
            }
        }
        if let Err(error) = self.confirmations.forget(pending).await {
            tracing::warn!(%error, "A question that is answered stays on record.");
        }
    }

    /// Does what was confirmed, if who confirms may still do it.
    async fn still_wanted(&self, heard: &Heard<'_>, pending: &Pending) -> Answer {
        let settings = self.settings();
        let role = match settings.people.standing(heard.incoming) {
            crate::Standing::Known(role) => role.min(heard.caller.role),
            crate::Standing::Stranger | crate::Standing::Mute(_) => supervisor::Role::None,
        };
        let Some(order) = pending.order() else {
            return Answer::refusal(Verdict::Unknown, "This is no command any more.");
        };
        if let Err(why) = may(&settings, role, &order) {
            let _ = self.confirmations.take(pending).await;
            return Answer::refusal(Verdict::Denied, why);
        }
        // Begun first and taken then: a kill in between leaves it to be done, not lost.
        if heard.left_at != Some(Stage::Begun) && !self.begin(heard).await {
            return Answer::refusal(Verdict::Stale, NOT_NOW);
        }
        match self.confirmations.take(pending).await {
            Ok(true) => {
                self.carry_out(heard, &settings, &order, &pending.written)
                    .await
            }
            Ok(false) => Answer::refusal(Verdict::Stale, "This was answered already."),
            Err(error) => {
                tracing::error!(%error, "A yes cannot be put on record.");
                Answer::refusal(Verdict::Stale, NOT_NOW)
            }
        }
    }

    /// Closes the questions whose time is over, and says so where they stand.
    pub async fn close_expired(&self, channels: &[std::sync::Arc<dyn crate::Channel>]) {
        // What somebody pressed in the last moment may still be on its way here.
        let then = self.now() - GRACE;
        let over = match self.confirmations.expired(then).await {
            Ok(over) => over,
            Err(error) => {
                tracing::warn!(%error, "What nobody confirmed cannot be looked up.");
                return;
            }
        };
        for pending in over {
            let mut said = "No longer open";
            if !pending.closed {
                // Not if somebody is answering it right now.
                if !matches!(self.confirmations.take(&pending).await, Ok(true)) {
                    continue;
                }
                said = "Not done, nobody confirmed";
                self.record_silence(&pending).await;
            }
            let platform = pending.place.platform;
            let channel = channels.iter().find(|one| one.platform() == platform);
            // Of a week ago nobody reads on.
            let old = supervisor::until(pending.asked, self.now()) > KEPT;
            match channel {
                Some(channel) if !old => self.finish(channel.as_ref(), &pending, said).await,
                _ if old => {
                    let _ = self.confirmations.forget(&pending).await;
                }
                _ => {}
            }
        }
    }

    async fn record_silence(&self, pending: &Pending) {
        let attempt = crate::desk::Attempt {
            caller: supervisor::Caller {
                principal: pending.person.clone(),
                role: supervisor::Role::None,
                via: supervisor::Via::Chat,
            },
            place: pending.place.clone(),
            name: String::new(),
            command: "confirm".into(),
            arguments: pending.written.clone(),
            verdict: Verdict::Cancelled,
            error: Some("nobody answered in time".into()),
            took: std::time::Duration::ZERO,
        };
        self.desk.record(attempt).await;
    }
}

const REPLACED: &str = "Replaced by a newer question";

fn plain(title: impl Into<String>) -> crate::Card {
    crate::Card::titled(crate::Tone::Plain, title)
}

/// May somebody with this role do it, as far as the chats' own table says? If not, why.
pub(super) fn may(settings: &Settings, role: Role, order: &Order) -> Result<(), String> {
    if let Some(verb) = meaning::verb_of(order)
        && !show::allows(verb, role, settings.asking)
    {
        return Err(format!("/{} needs a higher role than yours.", verb.name));
    }
    if meaning::names_all(order) && order.changes() && role < Role::Admin {
        return Err("Only an admin may say all.".into());
    }
    Ok(())
}

/// Is it asked about?
fn asks_first(settings: &Settings, order: &Order, effects: usize) -> bool {
    let ends = matches!(
        order,
        Order::Stop(_)
            | Order::Delete(_)
            | Order::Flush(_)
            | Order::Resurrect
            | Order::Scale {
                change: ScaleChange::To(0) | ScaleChange::By(i32::MIN..0),
                ..
            }
    );
    // One that a program may take as it likes is its own business; what is left ends or
    // freezes it.
    let ends =
        ends || matches!(order, Order::Signal { signal, .. } if !HARMLESS.contains(&signal.0));
    let wide = effects > MANY || meaning::names_all(order);
    let restarts = matches!(order, Order::Restart(_) | Order::Reload(_));
    settings.confirm_destructive && (ends || wide) || settings.confirm_restart && restarts
}
