//! A question to people, as it is told.

use brain::{Approval, ApprovalState, PlaybookId, Vote};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{ProcessName, Role};

use super::describe;

/// An open question, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its id, for `mhost agent approve`.
    pub id: String,
    /// What identifies its plan.
    #[serde(default)]
    pub digest: String,
    /// The least role that may answer it.
    #[serde(default = "operator")]
    pub needed: Role,
    /// The incident.
    pub incident: String,
    /// The process.
    pub process: ProcessName,
    /// The playbook.
    pub playbook: PlaybookId,
    /// What would be done.
    pub plan: Vec<String>,
    /// How risky.
    pub risk: String,
    /// Why.
    pub reason: String,
    /// When it was asked.
    pub created: Timestamp,
    /// When silence becomes a no.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: String,
    /// Who decided; all of them, where several had to say yes.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// How many different people must say yes.
    #[serde(default = "one")]
    pub wanted: u8,
    /// Who said yes so far, oldest first.
    #[serde(default)]
    pub votes: Vec<Voter>,
    /// Who said yes and could not say it any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed: Vec<Voter>,
    /// May it be allowed in advance from now on? One person's yes is enough, and the plan is of
    /// a playbook that is known by its text.
    #[serde(default)]
    pub grantable: bool,
}

/// A yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Who, as in the audit log.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Question {
    /// How far it is while more than one person must say yes and not all have:
    /// `1 of 2: telegram:7, 14:32 UTC; one more needed`, and whose yes no longer counts.
    pub fn so_far(&self) -> Option<String> {
        let (have, wanted) = (self.votes.len(), usize::from(self.wanted));
        if self.state != ApprovalState::Pending.as_str() || wanted < 2 {
            return None;
        }
        let who = |vote: &Voter| {
            let by = &vote.by;
            by.strip_prefix("chat:").unwrap_or(by).to_owned()
        };
        let at = |vote: &Voter| vote.at.strftime("%H:%M UTC").to_string();
        let named = |vote: &Voter| format!("{}, {}", who(vote), at(vote));
        let names: Vec<String> = self.votes.iter().map(named).collect();
        let gone: Vec<String> = self.lapsed.iter().map(who).collect();
        let gone = match gone.as_slice() {
            [] => String::new(),
            names => format!("; the yes of {} no longer counts", names.join(" and ")),
        };
        let more = match wanted.saturating_sub(have) {
            1 => "one more needed".to_owned(),
            more => format!("{more} more needed"),
        };
        Some(match have {
            0 => format!("0 of {wanted}: {wanted} different people must say yes{gone}"),
            _ => format!("{have} of {wanted}: {}; {more}{gone}", names.join(", ")),
        })
    }
}

/// Of a daemon that does not say.
fn operator() -> Role {
    Role::Operator
}

/// Of a daemon that asks one person only.
fn one() -> u8 {
    1
}

/// An approval as people see it.
pub fn question(approval: Approval) -> Question {
    let approved = matches!(
        approval.state,
        ApprovalState::Approved | ApprovalState::Done | ApprovalState::Failed
    );
    let decided_by = crate::approval::voters(&approval)
        .filter(|_| approved)
        .or_else(|| approval.decided_by.clone());
    Question {
        plan: approval
            .plan
            .steps
            .iter()
            .map(|step| describe(&step.action))
            .collect(),
        needed: crate::approval::approver_role(&approval.plan).max(Role::Operator),
        id: approval.id,
        digest: approval.digest,
        incident: approval.incident.to_string(),
        process: approval.process,
        playbook: approval.playbook,
        risk: approval.risk,
        reason: approval.reason,
        created: approval.created,
        expires: approval.expires,
        state: approval.state.as_str().to_owned(),
        decided_by,
        decided_at: approval.decided_at,
        wanted: approval.wanted,
        grantable: approval.wanted == 1 && approval.version.is_some(),
        votes: approval.votes.into_iter().map(voter).collect(),
        lapsed: approval.lapsed.into_iter().map(voter).collect(),
    }
}

fn voter(vote: Vote) -> Voter {
    Voter {
        by: vote.by,
        at: vote.at,
    }
}
