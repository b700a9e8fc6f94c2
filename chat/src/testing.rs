//! What tests put in the place of a platform and of the rest of mhost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use supervisor::command::Done;
use supervisor::command::view::PlannedChange;
use supervisor::logs::LogPage;
use supervisor::{Caller, Clock, Command, ControlError, Reply, Request, Role, after};

use crate::desk::{Answered, Attempt, Cure, Desk, Grant, Question, Score, Trouble, Verdict};
use crate::order::Silence;
use crate::{
    Card, Channel, ChatError, Identity, Incoming, MenuEntry, MessageRef, Note, Origin, Place,
    Platform, Sender, Ticket, What,
};

fn incoming(place: &str, sender: &str, what: impl FnOnce(MessageRef) -> What) -> Incoming {
    let (platform, chat) = place.split_once(':').expect("platform:chat");
    let platform: Platform = platform.parse().expect("a platform");
    let place = Place::chat(platform, chat);
    let message = MessageRef {
        place: place.clone(),
        id: "100".into(),
    };
    Incoming {
        delivery: "1".into(),
        place,
        sender: Sender {
            id: sender.into(),
            name: "Ana".into(),
        },
        at: Clock::system().now(),
        what: what(message),
        origin: Origin {
            addressed: true,
            ..Origin::default()
        },
        answer: None,
    }
}

/// A text that somebody wrote.
pub(crate) fn text(place: &str, sender: &str, text: &str) -> Incoming {
    incoming(place, sender, |message| What::Text {
        message,
        text: text.into(),
    })
}

/// A button that somebody pressed.
pub(crate) fn press(place: &str, sender: &str, payload: &str) -> Incoming {
    incoming(place, sender, |message| What::Press {
        message,
        payload: payload.into(),
    })
}

/// A platform that remembers what it was told to show.
#[derive(Default)]
pub(crate) struct Screen {
    pub(crate) shown: Mutex<Vec<(MessageRef, Card)>>,
    pub(crate) notes: Mutex<Vec<String>>,
}

impl Screen {
    /// The titles of all messages, as they stand now.
    pub(crate) fn titles(&self) -> Vec<String> {
        let shown = self.shown.lock().expect("no panic before");
        shown.iter().map(|(_, card)| card.title.clone()).collect()
    }

    /// The newest message.
    pub(crate) fn last(&self) -> Card {
        let shown = self.shown.lock().expect("no panic before");
        shown.last().expect("something was shown").1.clone()
    }

    /// What was said to one person only, the newest last.
    pub(crate) fn noted(&self) -> Vec<String> {
        self.notes.lock().expect("no panic before").clone()
    }

    /// What a button of the newest message carries.
    pub(crate) fn button(&self, label: &str) -> String {
        let card = self.last();
        let mut all = card.buttons.iter().flatten();
        let button = all.find(|one| one.label == label).expect("a button");
        button.press.to_string()
    }
}

#[async_trait]
impl Channel for Screen {
    fn platform(&self) -> Platform {
        Platform::Telegram
    }

    async fn connect(&self) -> Result<Identity, ChatError> {
        Ok(Identity {
            id: "1".into(),
            name: "@mhost_bot".into(),
        })
    }

    async fn menu(&self, _: &[MenuEntry]) -> Result<(), ChatError> {
        Ok(())
    }

    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError> {
        let mut shown = self.shown.lock().expect("no panic before");
        let message = MessageRef {
            place: to.clone(),
            id: shown.len().to_string(),
        };
        shown.push((message.clone(), card.clone()));
        Ok(message)
    }

    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError> {
        let mut shown = self.shown.lock().expect("no panic before");
        match shown.iter_mut().find(|(one, _)| one == message) {
            Some((_, old)) => {
                *old = card.clone();
                Ok(())
            }
            None => Err(ChatError::Gone("no such message".into())),
        }
    }

    async fn answer(&self, _: &Incoming, note: &Note) -> Result<(), ChatError> {
        let mut notes = self.notes.lock().expect("no panic before");
        notes.push(note.text.clone());
        Ok(())
    }

    async fn receive(&self) -> Result<Incoming, ChatError> {
        Err(ChatError::Closed)
    }

    async fn taken(&self, _: &Incoming) -> Result<(), ChatError> {
        Ok(())
    }
}

/// The rest of mhost: three processes, one question, and a list of what was done.
pub(crate) struct FakeDesk {
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) attempts: Mutex<Vec<Attempt>>,
    pub(crate) question: Mutex<Question>,
}

fn grant(playbook: &str, app: &str, caller: &Caller) -> Grant {
    Grant {
        id: "x4m2ta".into(),
        playbook: playbook.into(),
        process: app.into(),
        risk: "low".into(),
        by: caller.to_string(),
        ends: after(Clock::system().now(), Duration::from_secs(600)),
        state: "in force".into(),
        uses: 0,
    }
}

/// The processes of [`FakeDesk`].
pub(crate) const APPS: [&str; 3] = ["api", "worker", "web"];

impl FakeDesk {
    pub(crate) fn new() -> Arc<Self> {
        let now = Clock::system().now();
        Arc::new(Self {
            done: Mutex::default(),
            attempts: Mutex::default(),
            question: Mutex::new(Question {
                ticket: Ticket {
                    id: "k3v9qa".into(),
                    nonce: "0f3a9c2d51e7b864".into(),
                },
                process: "api".into(),
                incident: "inc-7".into(),
                cause: "it leaks".into(),
                steps: vec!["restart api".into()],
                risk: "low".into(),
                by: "memory-leak".into(),
                needed: Role::Operator,
                asked: now,
                expires: after(now, Duration::from_secs(600)),
                state: Answered::Open,
                votes: None,
                grantable: true,
                decided_by: None,
                decided_at: None,
                outcome: None,
            }),
        })
    }

    pub(crate) fn done(&self) -> Vec<String> {
        self.done.lock().expect("no panic before").clone()
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let attempts = self.attempts.lock().expect("no panic before");
        attempts.iter().map(|one| one.verdict).collect()
    }
}

#[async_trait]
impl Desk for FakeDesk {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError> {
        let Request {
            command, dry_run, ..
        } = request;
        if caller.role < command.role() {
            return Err(ControlError::Forbidden {
                what: command.name().into(),
                who: caller.to_string(),
                needed: command.role(),
                has: caller.role,
            });
        }
        let subject = command.subject();
        let meant: Vec<&str> = match subject.as_str() {
            "all" => APPS.to_vec(),
            one if APPS.contains(&one) => vec![one],
            "" => vec![],
            other => {
                return Err(ControlError::NotFound {
                    target: other.into(),
                    near: vec!["api".into()],
                });
            }
        };
        if dry_run {
            let plan = meant.iter().map(|name| PlannedChange {
                process: name.parse().expect("a name"),
                action: command.name().rsplit('.').next().unwrap_or("").into(),
                why: "1 instance, up 4d".into(),
            });
            return Ok(Reply::Plan(plan.collect()));
        }
        if command.changes() {
            let did = format!("{} {subject} by {caller}", command.name());
            self.done.lock().expect("no panic before").push(did);
        }
        Ok(match command {
            Command::List { .. } | Command::Status { .. } => Reply::Processes(vec![]),
            Command::Logs(_) => Reply::Logs(LogPage {
                lines: vec![],
                next: String::new(),
                cut: false,
                lost: Vec::new(),
                counts: None,
                templates: None,
            }),
            _ => Reply::Done(
                meant
                    .iter()
                    .map(|name| Done {
                        target: (*name).into(),
                        changed: true,
                        note: None,
                        error: None,
                    })
                    .collect(),
            ),
        })
    }

    fn names(&self) -> Vec<String> {
        APPS.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn questions(&self, _: &Caller) -> Result<Vec<Question>, ControlError> {
        let question = self.question.lock().expect("no panic before").clone();
        let open = question.state == Answered::Open;
        Ok(if open { vec![question] } else { vec![] })
    }

    async fn question(&self, _: &Caller, id: &str) -> Result<Option<Question>, ControlError> {
        let question = self.question.lock().expect("no panic before").clone();
        Ok((question.ticket.id == id).then_some(question))
    }

    async fn decide(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        yes: bool,
    ) -> Result<Question, ControlError> {
        let mut question = self.question.lock().expect("no panic before");
        if *ticket != question.ticket {
            return Err(ControlError::Conflict {
                message: "the plan is another one now".into(),
            });
        }
        if caller.role < question.needed {
            return Err(ControlError::Forbidden {
                what: "agent.approve".into(),
                who: caller.to_string(),
                needed: question.needed,
                has: caller.role,
            });
        }
        if question.state != Answered::Open {
            return Err(ControlError::Conflict {
                message: "it is decided".into(),
            });
        }
        question.state = if yes { Answered::Yes } else { Answered::No };
        question.decided_by = Some(caller.to_string());
        let did = format!("decide {} {yes} by {caller}", ticket.id);
        self.done.lock().expect("no panic before").push(did);
        Ok(question.clone())
    }

    async fn snooze(
        &self,
        _: &Caller,
        _: &Ticket,
        time: Duration,
    ) -> Result<Question, ControlError> {
        let mut question = self.question.lock().expect("no panic before");
        question.expires = after(question.expires, time);
        Ok(question.clone())
    }

    async fn evidence(&self, _: &Caller, _: &str) -> Result<Vec<String>, ControlError> {
        Ok(vec!["rss 512MB of 512MB".into()])
    }

    async fn incidents(&self, _: &Caller) -> Result<Vec<Trouble>, ControlError> {
        Ok(vec![])
    }

    async fn scores(&self, _: &Caller, _: Option<&str>) -> Result<Vec<Score>, ControlError> {
        Ok(vec![])
    }

    async fn playbooks(&self, _: &Caller) -> Result<Vec<Cure>, ControlError> {
        Ok(vec![])
    }

    async fn ask(&self, _: &Caller, question: &str) -> Result<String, ControlError> {
        Ok(format!("about `{question}`: all is well"))
    }

    async fn brake(&self, caller: &Caller, stop: bool) -> Result<(), ControlError> {
        let did = format!("brake {stop} by {caller}");
        self.done.lock().expect("no panic before").push(did);
        Ok(())
    }

    async fn allow(
        &self,
        caller: &Caller,
        playbook: &str,
        app: &str,
        time: Duration,
    ) -> Result<Grant, ControlError> {
        let seconds = time.as_secs();
        let did = format!("allow {playbook} {app} {seconds} by {caller}");
        self.done.lock().expect("no panic before").push(did);
        Ok(grant(playbook, app, caller))
    }

    async fn allow_for(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        time: Duration,
    ) -> Result<Grant, ControlError> {
        let question = self.decide(caller, ticket, true).await?;
        self.allow(caller, &question.by, &question.process, time)
            .await
    }

    async fn grants(&self, caller: &Caller) -> Result<Vec<Grant>, ControlError> {
        Ok(vec![grant("memory-leak", "api", caller)])
    }

    async fn revoke(&self, caller: &Caller, id: &str) -> Result<Grant, ControlError> {
        let did = format!("revoke {id} by {caller}");
        self.done.lock().expect("no panic before").push(did);
        Ok(grant("memory-leak", "api", caller))
    }

    async fn acknowledge(&self, caller: &Caller, what: &str) -> Result<String, ControlError> {
        let did = format!("ack {what} by {caller}");
        self.done.lock().expect("no panic before").push(did.clone());
        Ok(did)
    }

    async fn mute(
        &self,
        caller: &Caller,
        app: &str,
        time: Silence,
    ) -> Result<String, ControlError> {
        let did = format!("mute {app} {time:?} by {caller}");
        self.done.lock().expect("no panic before").push(did.clone());
        Ok(did)
    }

    async fn record(&self, attempt: Attempt) {
        self.attempts.lock().expect("no panic before").push(attempt);
    }
}
