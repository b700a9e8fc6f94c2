//! Grants: leave that a person gave in advance. Written once, ended by time or by a person.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use supervisor::ProcessName;

use super::rows::Grant;
use super::sql::{decode, encode, time};
use super::{Answer, BrainStore, BrainStoreError};
use crate::proposal::PlaybookId;

type Result<T> = std::result::Result<T, BrainStoreError>;

impl BrainStore {
    /// Records leave that a person gave in advance, unless `most` are in force already: then it
    /// answers with false.
    pub fn add_grant(&self, grant: Grant, most: u32) -> Answer<bool> {
        self.ask(move |db| add(db, &grant, most))
    }

    /// Counts a plan that is about to run by a grant. False when the grant has ended.
    pub fn use_grant(&self, id: String, now: Timestamp) -> Answer<bool> {
        self.ask(move |db| count(db, &id, now))
    }

    /// Takes a grant back. None when there is no such one; else how it stands, and whether this
    /// call ended it.
    pub fn revoke(&self, id: String, by: String, now: Timestamp) -> Answer<Option<(Grant, bool)>> {
        self.ask(move |db| revoke(db, &id, &by, now))
    }

    /// Grants in force for a playbook on a process.
    pub fn grants_for(
        &self,
        playbook: PlaybookId,
        process: ProcessName,
        now: Timestamp,
    ) -> Answer<Vec<Grant>> {
        self.ask(move |db| for_playbook(db, &playbook.0, &process, now))
    }

    /// Grants: those in force, then those that have ended; each newest first, at most `limit`.
    pub fn grants(&self, now: Timestamp, limit: u32) -> Answer<Vec<Grant>> {
        self.ask(move |db| all(db, now, limit))
    }
}

/// Adds one, unless so many are in force already. False then.
pub(super) fn add(db: &mut Connection, grant: &Grant, most: u32) -> Result<bool> {
    let change = db.transaction()?;
    let in_force: u32 = change.query_row(
        "SELECT count(*) FROM grants WHERE revoked IS NULL AND ends > ?1",
        [grant.created.as_millisecond()],
        |row| row.get(0),
    )?;
    if in_force >= most {
        return Ok(false);
    }
    change.execute(
        "INSERT INTO grants (id, playbook, process, ends, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            grant.id,
            grant.playbook.0,
            grant.process.as_str(),
            grant.ends.as_millisecond(),
            encode(grant)?,
        ],
    )?;
    change.commit()?;
    Ok(true)
}

/// Counts a use, if it is in force. False when it has ended, by time or by a person.
pub(super) fn count(db: &Connection, id: &str, now: Timestamp) -> Result<bool> {
    // One UPDATE compares and counts: nobody acts by what was taken back a moment ago.
    let changed = db.execute(
        "UPDATE grants SET uses = uses + 1, last_used = ?2
         WHERE id = ?1 AND revoked IS NULL AND ends > ?2",
        params![id, now.as_millisecond()],
    )?;
    Ok(changed == 1)
}

/// Takes one back. None when there is no such one; the row as it is, and whether this call
/// ended it.
pub(super) fn revoke(
    db: &mut Connection,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<Option<(Grant, bool)>> {
    let change = db.transaction()?;
    let Some(mut grant) = one(&change, id)? else {
        return Ok(None);
    };
    if !grant.in_force(now) {
        return Ok(Some((grant, false)));
    }
    grant.revoked = Some(now);
    grant.revoked_by = Some(by.to_owned());
    change.execute(
        "UPDATE grants SET revoked = ?2, body = ?3 WHERE id = ?1",
        params![id, now.as_millisecond(), encode(&grant)?],
    )?;
    change.commit()?;
    Ok(Some((grant, true)))
}

const COLUMNS: &str = "SELECT body, uses, last_used FROM grants";

fn one(db: &Connection, id: &str) -> Result<Option<Grant>> {
    db.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id], raw)
        .optional()?
        .map(cook)
        .transpose()
}

/// Those in force now for a playbook on a process, the one that ends last first.
pub(super) fn for_playbook(
    db: &Connection,
    playbook: &str,
    process: &ProcessName,
    now: Timestamp,
) -> Result<Vec<Grant>> {
    db.prepare_cached(&format!(
        "{COLUMNS} WHERE process = ?1 AND playbook = ?2 AND revoked IS NULL AND ends > ?3
         ORDER BY ends DESC"
    ))?
    .query_map(
        params![process.as_str(), playbook, now.as_millisecond()],
        raw,
    )?
    .map(|row| cook(row?))
    .collect()
}

/// All, newest first, at most `limit`; those in force come before those that have ended.
pub(super) fn all(db: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Grant>> {
    db.prepare_cached(&format!(
        "{COLUMNS} ORDER BY revoked IS NULL AND ends > ?1 DESC, rowid DESC LIMIT ?2"
    ))?
    .query_map(params![now.as_millisecond(), limit], raw)?
    .map(|row| cook(row?))
    .collect()
}

/// Removes those that ended before a time.
pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<()> {
    db.execute(
        "DELETE FROM grants WHERE min(ends, coalesce(revoked, ends)) < ?1",
        [before.as_millisecond()],
    )?;
    Ok(())
}

type Raw = (String, u32, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn cook((body, uses, last): Raw) -> Result<Grant> {
    let mut grant: Grant = decode(&body)?;
    grant.uses = uses;
    grant.last_used = last.map(time).transpose()?;
    Ok(grant)
}
