//! Approvals: written once, decided once.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{Approval, ApprovalState, Decision};
use super::sql::{decode, encode, time};
use super::{BrainStoreError, sql};

type Result<T> = std::result::Result<T, BrainStoreError>;

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
    // One UPDATE is the compare-and-set: the first to change the row wins.
    let changed = db.execute(
        "UPDATE approvals SET state = ?3, decided_by = ?4, decided_at = ?5
         WHERE id = ?1 AND state = ?2",
        params![id, from.as_str(), to.as_str(), by, at.as_millisecond()],
    )?;
    Ok(match (one(db, id)?, changed) {
        (None, _) => Decision::Unknown,
        (Some(row), 0) => Decision::Lost(Box::new(row)),
        (Some(row), _) => Decision::Won(Box::new(row)),
    })
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
