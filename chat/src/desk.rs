//! What the chats ask of the rest of mhost.
//!
//! Processes go through the one gate, with the sender as the caller. What the agent knows
//! comes in shapes of this crate, so that nothing here knows that there is an agent.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use supervisor::{Caller, ControlError, Reply, Request, Role};

use crate::order::Silence;
use crate::{Place, Ticket};

/// The way to everything that is not a chat.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Puts a command to the gate.
    ///
    /// # Errors
    /// What the gate or the supervisor said.
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError>;

    /// Names of all processes.
    fn names(&self) -> Vec<String>;

    /// Questions that wait for an answer, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn questions(&self, caller: &Caller) -> Result<Vec<Question>, ControlError>;

    /// A question, whatever became of it.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn question(&self, caller: &Caller, id: &str) -> Result<Option<Question>, ControlError>;

    /// Answers a question. With a ticket of another plan nothing is decided. The first answer
    /// wins.
    ///
    /// # Errors
    /// When it was decided before, has expired, or the caller may not decide it.
    async fn decide(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        yes: bool,
    ) -> Result<Question, ControlError>;

    /// Keeps a question open for so much longer, and puts it again then.
    ///
    /// # Errors
    /// When it is decided, or the caller may not decide it.
    async fn snooze(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        time: Duration,
    ) -> Result<Question, ControlError>;

    /// What a question rests on: lines of evidence, for people.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn evidence(&self, caller: &Caller, id: &str) -> Result<Vec<String>, ControlError>;

    /// What is wrong now.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn incidents(&self, caller: &Caller) -> Result<Vec<Trouble>, ControlError>;

    /// Health scores, worst first.
    ///
    /// # Errors
    /// When they cannot be read, or there is no such process.
    async fn scores(&self, caller: &Caller, app: Option<&str>) -> Result<Vec<Score>, ControlError>;

    /// Playbooks and how they have done, a line each.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn playbooks(&self, caller: &Caller) -> Result<Vec<Cure>, ControlError>;

    /// Asks in words.
    ///
    /// # Errors
    /// When there is no model, or it could not be asked.
    async fn ask(&self, caller: &Caller, question: &str) -> Result<String, ControlError>;

    /// Stops the agent from acting, or lets it act again.
    ///
    /// # Errors
    /// When that cannot be written down.
    async fn brake(&self, caller: &Caller, stop: bool) -> Result<(), ControlError>;

    /// Lets a playbook, as it is now, act on a process without asking, for so long.
    ///
    /// # Errors
    /// When the caller may not allow it, or there is no such playbook or process.
    async fn allow(
        &self,
        caller: &Caller,
        playbook: &str,
        app: &str,
        time: Duration,
    ) -> Result<Grant, ControlError>;

    /// Says yes to a question, and lets its playbook do the same without asking, for so long.
    ///
    /// # Errors
    /// As [`Desk::decide`] and [`Desk::allow`]; then nothing is allowed.
    async fn allow_for(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        time: Duration,
    ) -> Result<Grant, ControlError>;

    /// What was allowed so: what is in force, then what has ended.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn grants(&self, caller: &Caller) -> Result<Vec<Grant>, ControlError>;

    /// Takes it back.
    ///
    /// # Errors
    /// When there is no such grant, or it has ended.
    async fn revoke(&self, caller: &Caller, id: &str) -> Result<Grant, ControlError>;

    /// The caller looks after an incident, by its id or its process. Answers with who does, in a
    /// line.
    ///
    /// # Errors
    /// When there is no such incident, or the caller may not.
    async fn acknowledge(&self, caller: &Caller, what: &str) -> Result<String, ControlError>;

    /// Tells nothing of a process, or tells of it again. Answers with what holds now, in a line.
    ///
    /// # Errors
    /// When there is no such process, or the caller may not.
    async fn mute(&self, caller: &Caller, app: &str, time: Silence)
    -> Result<String, ControlError>;

    /// Puts an attempt on record.
    async fn record(&self, attempt: Attempt);
}

/// A question of the agent to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id, and what identifies its plan.
    pub ticket: Ticket,
    /// The process.
    pub process: String,
    /// The incident it belongs to.
    pub incident: String,
    /// Why it should be done.
    pub cause: String,
    /// What would be done, in order.
    pub steps: Vec<String>,
    /// The highest risk of the steps: `low`, `high`.
    pub risk: String,
    /// Who made the plan: the name of a playbook.
    pub by: String,
    /// The least role that may say yes.
    pub needed: Role,
    /// When it was asked.
    pub asked: Timestamp,
    /// When silence becomes a no.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: Answered,
    /// How far it is where several people must say yes:
    /// `1 of 2: telegram:7, 14:32 UTC; one more needed`.
    pub votes: Option<String>,
    /// May an admin allow the same from now on?
    pub grantable: bool,
    /// Who decided, as in the audit log.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// How the plan went, once it ran.
    pub outcome: Option<String>,
}

/// Leave that somebody gave in advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// The playbook.
    pub playbook: String,
    /// The process.
    pub process: String,
    /// Up to which risk: `low`, `high`.
    pub risk: String,
    /// Who gave it.
    pub by: String,
    /// When it ends.
    pub ends: Timestamp,
    /// Does it hold, and if not, why: `in force`, `edited`, `ended`, `revoked`.
    pub state: String,
    /// How many plans ran by it.
    pub uses: u32,
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answered {
    /// It waits.
    Open,
    /// Somebody said yes, and the plan runs.
    Yes,
    /// Somebody said no.
    No,
    /// Nobody answered.
    Expired,
    /// The plan no longer fits; another one is made.
    Superseded,
    /// The plan ran and helped.
    Helped,
    /// The plan failed, or did not help.
    Failed,
}

impl Answered {
    /// In words, as the end of "the question …".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "is open",
            Self::Yes => "was approved",
            Self::No => "was denied",
            Self::Expired => "has expired",
            Self::Superseded => "was replaced by another plan",
            Self::Helped => "was approved, and the plan helped",
            Self::Failed => "was approved, and the plan did not help",
        }
    }
}

/// An incident, as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Its id.
    pub id: String,
    /// The process.
    pub process: String,
    /// Where it stands.
    pub state: String,
    /// In a line.
    pub title: String,
    /// When it was opened.
    pub opened: Timestamp,
}

/// A health score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// The process.
    pub process: String,
    /// From 0 to 100; none while there are no figures.
    pub value: Option<u8>,
    /// `up`, `down` or `steady`.
    pub trend: Option<String>,
}

/// A playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cure {
    /// Its name.
    pub name: String,
    /// `trusted`, `probation`, `draft`, …
    pub trust: String,
    /// Is it in use?
    pub enabled: bool,
    /// How often it ran, and how often it helped.
    pub runs: (u64, u64),
}

/// Something that somebody tried in a chat, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Who, with the role they had; none for somebody who is not listed.
    pub caller: Caller,
    /// Where.
    pub place: Place,
    /// What they call themselves. It proves nothing.
    pub name: String,
    /// The word: `/restart`, `approve`, `text`.
    pub command: String,
    /// What followed it.
    pub arguments: String,
    /// What was decided about it.
    pub verdict: Verdict,
    /// What came of it, if it failed.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What was decided about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was done, or tried.
    Done,
    /// They were asked whether they mean it.
    Asked,
    /// They may not.
    Denied,
    /// Too often.
    TooFast,
    /// It means nothing.
    Unknown,
    /// Too old, edited, forwarded, or delivered twice.
    Stale,
    /// Nobody answered in time, or they said no.
    Cancelled,
}

impl Verdict {
    /// Its word in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Asked => "asked to confirm",
            Self::Denied => "denied",
            Self::TooFast => "too fast",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Cancelled => "cancelled",
        }
    }
}
