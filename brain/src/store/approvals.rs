//! Approvals: written once, decided once.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{Approval, ApprovalState, Decision, Vote, Voted};
use super::sql::{decode, encode, time};
use super::{Answer, BrainStore, BrainStoreError, sql};
use crate::incident::IncidentId;

type Result<T> = std::result::Result<T, BrainStoreError>;

impl BrainStore {
    /// Records a question to people.
    pub fn add_approval(&self, approval: Approval) -> Answer<()> {
        self.ask(move |db| add(db, &approval))
    }

    /// Moves an approval from one state to another if it still is in the first one. An answer
    /// counts before its time is up, and an expiry after it.
    pub fn decide(
        &self,
        id: String,
        from: ApprovalState,
        to: ApprovalState,
        by: String,
        at: Timestamp,
    ) -> Answer<Decision> {
        self.ask(move |db| decide(db, &id, from, to, &by, at))
    }

    /// Counts a yes to a question. The last one that is needed approves it. What those in `gone`
    /// said, as in [`Vote::by`], counts no longer.
    pub fn vote(&self, id: String, yes: Vote, gone: Vec<String>) -> Answer<Voted> {
        self.ask(move |db| vote(db, &id, yes, &gone))
    }

    /// Puts other times in the place of an open question's. None when it is decided, or its
    /// time is up.
    pub fn put_off(
        &self,
        id: String,
        expires: Timestamp,
        remind: Timestamp,
        now: Timestamp,
    ) -> Answer<Option<Approval>> {
        self.ask(move |db| put_off(db, &id, expires, remind, now))
    }

    /// Marks that people are reminded of a question now. None when they need not be.
    pub fn reminded(&self, id: String, now: Timestamp) -> Answer<Option<Approval>> {
        self.ask(move |db| reminded(db, &id, now))
    }

    /// One approval.
    pub fn approval(&self, id: String) -> Answer<Option<Approval>> {
        self.ask(move |db| one(db, &id))
    }

    /// Approvals in a state, or all; newest first, at most `limit`.
    pub fn approvals(&self, state: Option<ApprovalState>, limit: u32) -> Answer<Vec<Approval>> {
        self.ask(move |db| all(db, state, limit))
    }

    /// The approvals of an incident, newest first.
    pub fn approvals_of(&self, incident: IncidentId) -> Answer<Vec<Approval>> {
        self.ask(move |db| of(db, incident))
    }
}

pub(super) fn add(db: &Connection, approval: &Approval) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO approvals (id, incident, process, state, created, expires, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        approval.id,
        approval.incident.0,
        approval.process.as_str(),
        approval.state.as_str(),
        approval.created.as_millisecond(),
        approval.expires.as_millisecond(),
        encode(approval)?,
    ])?;
    Ok(())
}

pub(super) fn decide(
    db: &mut Connection,
    id: &str,
    from: ApprovalState,
    to: ApprovalState,
    by: &str,
    at: Timestamp,
) -> Result<Decision> {
    // One UPDATE is the compare-and-set: the first to change the row wins. Time is compared
    // in it, too: an answer that comes too late is none, and what was put off has not expired.
    let changed = db.execute(
        "UPDATE approvals SET state = ?3,
             decided_by = CASE WHEN ?3 IN ('done', 'failed') THEN decided_by ELSE ?4 END,
             decided_at = CASE WHEN ?3 IN ('done', 'failed') THEN decided_at ELSE ?5 END
         WHERE id = ?1 AND state = ?2
             AND (?3 NOT IN ('approved', 'denied') OR expires > ?5)
             AND (?3 <> 'expired' OR expires <= ?5)",
        params![id, from.as_str(), to.as_str(), by, at.as_millisecond()],
    )?;
    Ok(match (one(db, id)?, changed) {
        (None, _) => Decision::Unknown,
        (Some(row), 0) => Decision::Lost(Box::new(row)),
        (Some(row), _) => Decision::Won(Box::new(row)),
    })
}

/// Counts a yes. The last one that is needed decides; who said it before counts once, and who is
/// gone not at all.
pub(super) fn vote(db: &mut Connection, id: &str, vote: Vote, gone: &[String]) -> Result<Voted> {
    let change = db.transaction()?;
    let Some(mut approval) = one(&change, id)? else {
        return Ok(Voted::Unknown);
    };
    if approval.state != ApprovalState::Pending || approval.expires <= vote.at {
        return Ok(Voted::Lost(Box::new(approval)));
    }
    let lapsed = approval.votes.extract_if(.., |one| gone.contains(&one.by));
    approval.lapsed.extend(lapsed);
    if approval.votes.iter().any(|one| one.person == vote.person) {
        return Ok(Voted::Repeated(Box::new(approval)));
    }
    let (by, at) = (vote.by.clone(), vote.at);
    approval.votes.push(vote);
    let enough = approval.votes.len() >= usize::from(approval.wanted);
    if enough {
        approval.state = ApprovalState::Approved;
        approval.decided_by = Some(by);
        approval.decided_at = Some(at);
    }
    change.execute(
        "UPDATE approvals SET body = ?2, state = ?3, decided_by = ?4, decided_at = ?5
         WHERE id = ?1 AND state = 'pending'",
        params![
            id,
            encode(&approval)?,
            approval.state.as_str(),
            approval.decided_by,
            approval.decided_at.map(Timestamp::as_millisecond),
        ],
    )?;
    change.commit()?;
    Ok(if enough {
        Voted::Decided(Box::new(approval))
    } else {
        Voted::Counted(Box::new(approval))
    })
}

/// Puts other times in the place of an open question's. None when it is decided, or its time
/// is up.
pub(super) fn put_off(
    db: &mut Connection,
    id: &str,
    expires: Timestamp,
    remind: Timestamp,
    now: Timestamp,
) -> Result<Option<Approval>> {
    change(db, id, |approval| {
        let open = approval.expires > now;
        approval.expires = expires;
        approval.remind = Some(remind);
        open
    })
}

/// Marks that people are reminded now. None when they need not be: it is decided, its time is
/// up, or it was put off meanwhile.
pub(super) fn reminded(db: &mut Connection, id: &str, now: Timestamp) -> Result<Option<Approval>> {
    change(db, id, |approval| {
        let due = approval.remind.is_some_and(|at| at <= now) && approval.expires > now;
        approval.remind = None;
        due
    })
}

/// Changes what an open question holds, if `how` agrees. None when it is not open or not.
fn change(
    db: &mut Connection,
    id: &str,
    how: impl FnOnce(&mut Approval) -> bool,
) -> Result<Option<Approval>> {
    let change = db.transaction()?;
    let Some(mut approval) = one(&change, id)? else {
        return Ok(None);
    };
    if approval.state != ApprovalState::Pending || !how(&mut approval) {
        return Ok(None);
    }
    change.execute(
        "UPDATE approvals SET expires = ?2, body = ?3 WHERE id = ?1 AND state = 'pending'",
        params![id, approval.expires.as_millisecond(), encode(&approval)?],
    )?;
    change.commit()?;
    Ok(Some(approval))
}

const COLUMNS: &str = "SELECT body, state, decided_by, decided_at FROM approvals";

pub(super) fn one(db: &Connection, id: &str) -> Result<Option<Approval>> {
    db.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id], raw)
        .optional()?
        .map(cook)
        .transpose()
}

pub(super) fn all(
    db: &Connection,
    state: Option<ApprovalState>,
    limit: u32,
) -> Result<Vec<Approval>> {
    let mut statement = db.prepare_cached(&format!(
        "{COLUMNS} WHERE ?1 IS NULL OR state = ?1 ORDER BY created DESC, rowid DESC LIMIT ?2"
    ))?;
    let rows = statement
        .query_map(params![state.map(ApprovalState::as_str), limit], raw)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(cook).collect()
}

/// Those of an incident, newest first.
pub(super) fn of(db: &Connection, incident: IncidentId) -> Result<Vec<Approval>> {
    let mut statement = db.prepare_cached(&format!(
        "{COLUMNS} WHERE incident = ?1 ORDER BY created DESC, rowid DESC"
    ))?;
    let rows = statement
        .query_map([incident.0], raw)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(cook).collect()
}

type Raw = (String, String, Option<String>, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn cook((body, state, by, at): Raw) -> Result<Approval> {
    let mut approval: Approval = decode(&body)?;
    approval.state = sql::word(&state)?;
    approval.decided_by = by;
    approval.decided_at = at.map(time).transpose()?;
    Ok(approval)
}
