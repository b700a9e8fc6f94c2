//! Doing what was asked, and laying out what came of it.

use supervisor::{ControlError, Reply, Request};

use super::{Answer, Heard, INTERRUPTED, NOT_NOW, Router, Settings, command};
use crate::desk::Verdict;
use crate::order::{A_WEEK, Order};
use crate::store::Stage;
use crate::{Card, Note, Tone, show};

/// Shortest part of a name that is completed, and only to read.
const PREFIX: usize = 3;

impl Router {
    /// Does it. Roles, pace and certainty have been looked at; the gate looks again.
    pub(super) async fn perform(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
        written: &str,
    ) -> Answer {
        let order = &self.completed(order);
        if order.changes() {
            // The first answer to a question wins, also over a kill: it may be given again.
            let once = !matches!(order, Order::Approve(_) | Order::Deny(_));
            if heard.left_at == Some(Stage::Begun) && once {
                return Answer::refusal(Verdict::Stale, INTERRUPTED);
            }
            if !self.begin(heard).await && heard.left_at.is_none() {
                return Answer::refusal(Verdict::Stale, NOT_NOW);
            }
        }
        self.carry_out(heard, settings, order, written).await
    }

    /// Does what was begun.
    pub(super) async fn carry_out(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
        written: &str,
    ) -> Answer {
        if order.changes() && !self.acknowledged(heard).await {
            return Answer::refusal(
                Verdict::Stale,
                "This was pressed too long ago to be done now; press it again.",
            );
        }
        if *order == Order::Approvals {
            return self.open_questions(heard).await;
        }
        match self.result(heard, settings, order, written).await {
            Ok(Some(card)) => Answer::card(card, Verdict::Done),
            Ok(None) => Answer::quiet(Verdict::Done),
            Err(error) => {
                let verdict = match error {
                    ControlError::Forbidden { .. } | ControlError::NotListed { .. } => {
                        Verdict::Denied
                    }
                    ControlError::RateLimited { .. } => Verdict::TooFast,
                    _ => Verdict::Done,
                };
                let answer = Answer::card(show::failed(written, &error), verdict);
                Answer {
                    error: Some(error.to_string()),
                    ..answer
                }
            }
        }
    }

    async fn result(
        &self,
        heard: &Heard<'_>,
        settings: &Settings,
        order: &Order,
        written: &str,
    ) -> Result<Option<Card>, ControlError> {
        let (desk, caller, now) = (&self.desk, &heard.caller, self.now());
        let card = match order {
            Order::Whoami => show::whoami(heard.incoming, caller.role),
            Order::Help => show::help(caller.role, settings.asking),
            Order::Follow(app) => return self.follow(heard, app).await,
            Order::Score(app) => show::scores(&desk.scores(caller, app.as_deref()).await?),
            Order::Playbooks => show::playbooks(&desk.playbooks(caller).await?),
            Order::Incidents => show::incidents(&desk.incidents(caller).await?, now),
            Order::Approve(id) => return self.decide_by_id(heard, id, true).await.map(Some),
            Order::Deny(id) => return self.decide_by_id(heard, id, false).await.map(Some),
            Order::Always(id) => {
                let question = self.known_question(heard, id).await?;
                show::granted(&desk.allow_for(caller, &question.ticket, A_WEEK).await?)
            }
            Order::Allow {
                playbook,
                app,
                time,
            } => show::granted(&desk.allow(caller, playbook, app, *time).await?),
            Order::Grants => show::grants(&desk.grants(caller).await?, now),
            Order::Revoke(id) => show::revoked(&desk.revoke(caller, id).await?),
            Order::Ack(what) => Card::titled(Tone::Info, desk.acknowledge(caller, what).await?),
            Order::Mute { app, time } => {
                Card::titled(Tone::Info, desk.mute(caller, app, *time).await?)
            }
            Order::Brake(stop) => {
                desk.brake(caller, *stop).await?;
                let title = if *stop {
                    "The agent does nothing until /resume"
                } else {
                    "The agent acts again"
                };
                Card::titled(Tone::Info, title)
            }
            Order::Ask(question) => {
                // It takes a while; the sender should know that it was heard.
                let _ = heard
                    .channel
                    .answer(heard.incoming, &Note::passing("I am looking into it…"))
                    .await;
                let said = desk.ask(caller, question).await?;
                Card::titled(Tone::Plain, super::title_of(question)).text(said)
            }
            Order::Status(_) => return self.status(heard, order).await.map(Some),
            _ => {
                let command = command::of(order).ok_or_else(|| ControlError::Internal {
                    message: format!("`{written}` has no command"),
                })?;
                let reply = desk.call(caller, Request::from(command)).await?;
                shown(order, &reply, now)
            }
        };
        Ok(Some(card))
    }

    async fn status(&self, heard: &Heard<'_>, order: &Order) -> Result<Card, ControlError> {
        let call = async |order: &Order| match command::of(order) {
            Some(command) => self.desk.call(&heard.caller, command.into()).await,
            None => Ok(Reply::Ok),
        };
        let Reply::Processes(processes) = call(order).await? else {
            return Err(unexpected());
        };
        let [one] = processes.as_slice() else {
            return Ok(show::fleet(&processes, 0));
        };
        let mut events = match call(&Order::History(one.name.to_string())).await {
            Ok(Reply::Events(events)) => events,
            _ => Vec::new(),
        };
        events.truncate(3);
        Ok(show::process(one, &events, self.now()))
    }

    /// With the rest of a name filled in where only its beginning was written. Only to read:
    /// what changes something is never guessed.
    fn completed(&self, order: &Order) -> Order {
        let mut order = order.clone();
        if order.changes() {
            return order;
        }
        let app = match &mut order {
            Order::Status(app)
            | Order::Logs { app, .. }
            | Order::Follow(app)
            | Order::History(app)
            | Order::Limits(app)
            | Order::Env(app)
            | Order::Metrics(Some(app))
            | Order::Score(Some(app)) => app,
            _ => return order,
        };
        let names = self.desk.names();
        if app.len() >= PREFIX && !names.contains(app) {
            let mut fitting = names.iter().filter(|name| name.starts_with(app.as_str()));
            if let (Some(only), None) = (fitting.next(), fitting.next()) {
                *app = only.clone();
            }
        }
        order
    }
}

/// The card of a reply.
fn shown(order: &Order, reply: &Reply, now: jiff::Timestamp) -> Card {
    match (order, reply) {
        (Order::Fleet { page }, Reply::Processes(all)) => show::fleet(all, usize::from(*page)),
        (Order::Logs { app, errors, .. }, Reply::Logs(page)) => show::logs(app, page, *errors),
        (Order::History(app), Reply::Events(events)) => show::history(app, events, now),
        (_, Reply::Health(rows)) => show::health(rows),
        (_, Reply::Metrics(rows)) => show::metrics(rows),
        (_, Reply::Cron(rows)) => show::cron(rows, now),
        (_, Reply::Links(view)) => show::links(view),
        (_, Reply::Limits(rows)) => show::limits(rows),
        (_, Reply::Env(all)) => show::environment(all),
        (_, Reply::Index(view)) => show::index(view),
        (_, Reply::Version(view)) => show::version(view),
        (order, reply) => {
            let word = super::meaning::verb_of(order).map_or("", |verb| verb.name);
            let word = match order.app() {
                Some(app) => format!("{word} {app}"),
                None => word.to_owned(),
            };
            show::outcome(&word, reply)
        }
    }
}

fn unexpected() -> ControlError {
    ControlError::Internal {
        message: "the supervisor answered something else than was asked".into(),
    }
}
