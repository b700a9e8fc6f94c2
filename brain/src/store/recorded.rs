//! What was seen, for replay: recordings of incidents, quiet windows, and how playbooks stand.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use supervisor::ProcessName;

use super::BrainStoreError;
use super::sql::{self, decode, encode};
use crate::context::Recording;
use crate::incident::IncidentId;
use crate::playbook::Switch;
use crate::replay::Moment;

type Result<T> = std::result::Result<T, BrainStoreError>;

/// Recordings of one incident: a loop of crashes adds nothing after these.
const OF_INCIDENT: i64 = 8;
/// Quiet windows that are kept: more of them find no more false alarms.
const WINDOWS: i64 = 300;

pub(super) fn keep_recording(
    db: &Connection,
    incident: IncidentId,
    at: Timestamp,
    recording: &Recording,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO contexts (incident, ts, json)
         SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM contexts WHERE incident = ?1) < ?4",
    )?
    .execute(params![
        incident.0,
        at.as_millisecond(),
        encode(recording)?,
        OF_INCIDENT
    ])?;
    Ok(())
}

pub(super) fn recordings(db: &Connection, incident: IncidentId) -> Result<Vec<Recording>> {
    db.prepare_cached("SELECT json FROM contexts WHERE incident = ?1 ORDER BY rowid")?
        .query_map([incident.0], |row| row.get::<_, String>(0))?
        .map(|row| decode(&row?))
        .collect()
}

/// The newest recordings of incidents and the newest quiet windows, oldest first.
pub(super) fn moments(db: &Connection, since: Timestamp, limit: u32) -> Result<Vec<Moment>> {
    let rows: Vec<(i64, String)> = db
        .prepare_cached(
            "SELECT incident, json FROM contexts WHERE ts >= ?1 ORDER BY rowid DESC LIMIT ?2",
        )?
        .query_map(params![since.as_millisecond(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut all = Vec::new();
    for (incident, json) in rows {
        let recording: Recording = decode(&json)?;
        let Some(stored) = sql::incident(db, IncidentId(incident))? else {
            continue;
        };
        let done = sql::actions(db, IncidentId(incident))?;
        let done = done
            .iter()
            .filter(|action| action.result.as_deref() == Some("done"));
        // Recordings of former versions do not say what they were asked about.
        let symptoms = if recording.symptoms.is_empty() {
            let signs = stored.incident.symptoms.into_iter();
            signs.filter(|sign| sign.at <= recording.now).collect()
        } else {
            recording.symptoms.clone()
        };
        all.push(Moment {
            process: stored.incident.process,
            incident: Some(IncidentId(incident)),
            symptoms,
            done: done.map(|it| it.action.action.name().to_owned()).collect(),
            recording,
            outcome: stored.outcome,
        });
    }
    let rows: Vec<(String, String)> = db
        .prepare_cached(
            "SELECT process, json FROM windows WHERE ts >= ?1 ORDER BY rowid DESC LIMIT ?2",
        )?
        .query_map(params![since.as_millisecond(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (process, json) in rows {
        let recording: Recording = decode(&json)?;
        all.push(Moment {
            process: sql::name(&process)?,
            incident: None,
            symptoms: recording.symptoms.clone(),
            recording,
            done: Vec::new(),
            outcome: None,
        });
    }
    all.sort_by_key(|moment| moment.recording.now);
    Ok(all)
}

pub(super) fn keep_window(
    db: &Connection,
    process: &ProcessName,
    recording: &Recording,
) -> Result<()> {
    db.prepare_cached("INSERT INTO windows (process, ts, json) VALUES (?1, ?2, ?3)")?
        .execute(params![
            process.as_str(),
            recording.now.as_millisecond(),
            encode(recording)?
        ])?;
    db.prepare_cached("DELETE FROM windows WHERE rowid <= (SELECT max(rowid) FROM windows) - ?1")?
        .execute([WINDOWS])?;
    Ok(())
}

pub(super) fn set_switch(db: &Connection, switch: &Switch) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO playbooks (name, body) VALUES (?1, ?2)")?
        .execute(params![switch.name, encode(switch)?])?;
    Ok(())
}

pub(super) fn switches(db: &Connection) -> Result<Vec<Switch>> {
    db.prepare_cached("SELECT body FROM playbooks ORDER BY name")?
        .query_map([], |row| row.get::<_, String>(0))?
        .map(|row| decode(&row?))
        .collect()
}

pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<()> {
    let before = before.as_millisecond();
    db.execute("DELETE FROM contexts WHERE ts < ?1", [before])?;
    db.execute("DELETE FROM windows WHERE ts < ?1", [before])?;
    Ok(())
}
