//! The statements behind [`super::BrainStore`].
//! It is one piece although it is long: all SQL of this crate, and nothing else.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use supervisor::ProcessName;

use super::BrainStoreError;
use super::rows::{
    ActionCount, ActionId, BudgetUse, HistoryFilter, HistoryRow, IncidentStep, NewAction,
    NewIncident, PlaybookRun, PlaybookStats, StoredAction, StoredIncident, Victim,
};
use crate::incident::{Fingerprint, Incident, IncidentId, SymptomKind};
use crate::proposal::{PlaybookId, Proposal};

type Result<T> = std::result::Result<T, BrainStoreError>;

/// Rows of the history when nobody says how many.
const HISTORY_ROWS: u32 = 100;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| BrainStoreError::Damaged(error.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| BrainStoreError::Damaged(error.to_string()))
}

/// An enum that serialises to a bare word, from that word.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|error| BrainStoreError::Damaged(error.to_string()))
}

fn as_word<T: Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => Ok(text),
        other => Err(BrainStoreError::Damaged(format!("{other:?} is not a word"))),
    }
}

pub(super) fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|error| BrainStoreError::Damaged(error.to_string()))
}

pub(super) fn name(text: &str) -> Result<ProcessName> {
    text.parse()
        .map_err(|error: supervisor::NameError| BrainStoreError::Damaged(error.to_string()))
}

fn before(now: Timestamp, window: Duration) -> i64 {
    now.as_millisecond()
        .saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn open_incident(db: &Connection, new: NewIncident) -> Result<Incident> {
    let trigger = new
        .symptoms
        .first()
        .map_or(SymptomKind::Tick, |symptom| symptom.kind);
    let mut statement = db.prepare_cached(
        "INSERT INTO incidents
            (process, opened, state, class, fingerprint, fingerprint_text, title, symptoms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let id = statement.insert(params![
        new.process.as_str(),
        new.opened.as_millisecond(),
        as_word(new.state)?,
        trigger.as_str(),
        new.fingerprint.as_ref().map(|print| &print.hash),
        new.fingerprint.as_ref().map(|print| &print.readable),
        new.title,
        encode(&new.symptoms)?,
    ])?;
    Ok(Incident {
        id: IncidentId(id),
        process: new.process,
        opened: new.opened,
        closed: None,
        state: new.state,
        symptoms: new.symptoms,
        fingerprint: new.fingerprint,
        title: new.title,
        cause: None,
    })
}

pub(super) fn save_incident(db: &Connection, incident: &Incident) -> Result<()> {
    db.prepare_cached(
        "UPDATE incidents SET closed = ?2, state = ?3, fingerprint = ?4, fingerprint_text = ?5,
            title = ?6, symptoms = ?7, merged_into = ?8 WHERE id = ?1",
    )?
    .execute(params![
        incident.id.0,
        incident.closed.map(Timestamp::as_millisecond),
        as_word(incident.state)?,
        incident.fingerprint.as_ref().map(|print| &print.hash),
        incident.fingerprint.as_ref().map(|print| &print.readable),
        incident.title,
        encode(&incident.symptoms)?,
        incident.cause.map(|cause| cause.0),
    ])?;
    Ok(())
}

pub(super) fn reopen(
    db: &mut Connection,
    incident: &Incident,
    other: Option<IncidentId>,
) -> Result<()> {
    let work = db.transaction()?;
    save_incident(&work, incident)?;
    work.execute(
        "UPDATE incidents SET outcome = NULL WHERE id = ?1",
        [incident.id.0],
    )?;
    if let Some(other) = other {
        for table in ["steps", "actions", "approvals", "runs", "contexts"] {
            work.execute(
                &format!("UPDATE {table} SET incident = ?1 WHERE incident = ?2"),
                [incident.id.0, other.0],
            )?;
        }
        work.execute(
            "UPDATE incidents SET merged_into = ?1 WHERE merged_into = ?2",
            [incident.id.0, other.0],
        )?;
        work.execute("DELETE FROM incidents WHERE id = ?1", [other.0])?;
    }
    work.commit()?;
    Ok(())
}

pub(super) fn set_proposal(db: &Connection, id: IncidentId, proposal: &Proposal) -> Result<()> {
    db.prepare_cached(
        "UPDATE incidents SET cause = ?2, confidence = ?3, evidence = ?4, playbook = ?5
         WHERE id = ?1",
    )?
    .execute(params![
        id.0,
        proposal.cause,
        proposal.confidence,
        encode(&proposal.evidence)?,
        proposal.playbook.0,
    ])?;
    Ok(())
}

pub(super) fn set_escalated(db: &Connection, id: IncidentId) -> Result<()> {
    db.execute("UPDATE incidents SET escalated = 1 WHERE id = ?1", [id.0])?;
    Ok(())
}

pub(super) fn set_outcome(db: &Connection, id: IncidentId, outcome: &str) -> Result<()> {
    db.execute(
        "UPDATE incidents SET outcome = ?2 WHERE id = ?1",
        params![id.0, outcome],
    )?;
    Ok(())
}

const INCIDENT: &str = "SELECT id, process, opened, closed, state, class, fingerprint, \
    fingerprint_text, title, symptoms, cause, confidence, evidence, playbook, escalated, outcome, \
    merged_into FROM incidents";

struct RawIncident {
    id: i64,
    process: String,
    opened: i64,
    closed: Option<i64>,
    state: String,
    class: String,
    fingerprint: Option<String>,
    fingerprint_text: Option<String>,
    title: String,
    symptoms: String,
    cause: Option<String>,
    confidence: Option<f64>,
    evidence: String,
    playbook: Option<String>,
    escalated: bool,
    outcome: Option<String>,
    merged_into: Option<i64>,
}

fn raw_incident(row: &Row<'_>) -> rusqlite::Result<RawIncident> {
    Ok(RawIncident {
        id: row.get(0)?,
        process: row.get(1)?,
        opened: row.get(2)?,
        closed: row.get(3)?,
        state: row.get(4)?,
        class: row.get(5)?,
        fingerprint: row.get(6)?,
        fingerprint_text: row.get(7)?,
        title: row.get(8)?,
        symptoms: row.get(9)?,
        cause: row.get(10)?,
        confidence: row.get(11)?,
        evidence: row.get(12)?,
        playbook: row.get(13)?,
        escalated: row.get(14)?,
        outcome: row.get(15)?,
        merged_into: row.get(16)?,
    })
}

fn stored(raw: RawIncident) -> Result<StoredIncident> {
    Ok(StoredIncident {
        incident: Incident {
            id: IncidentId(raw.id),
            process: name(&raw.process)?,
            opened: time(raw.opened)?,
            closed: raw.closed.map(time).transpose()?,
            state: word(&raw.state)?,
            symptoms: decode(&raw.symptoms)?,
            fingerprint: raw
                .fingerprint
                .zip(raw.fingerprint_text)
                .map(|(hash, readable)| Fingerprint { hash, readable }),
            title: raw.title,
            cause: raw.merged_into.map(IncidentId),
        },
        trigger: word(&raw.class)?,
        cause: raw.cause,
        confidence: raw.confidence,
        evidence: decode(&raw.evidence)?,
        playbook: raw.playbook.map(PlaybookId),
        escalated: raw.escalated,
        outcome: raw.outcome,
    })
}

pub(super) fn incident(db: &Connection, id: IncidentId) -> Result<Option<StoredIncident>> {
    db.prepare_cached(&format!("{INCIDENT} WHERE id = ?1"))?
        .query_row([id.0], raw_incident)
        .optional()?
        .map(stored)
        .transpose()
}

pub(super) fn open_incidents(db: &Connection) -> Result<Vec<StoredIncident>> {
    db.prepare_cached(&format!("{INCIDENT} WHERE closed IS NULL ORDER BY id"))?
        .query_map([], raw_incident)?
        .map(|row| stored(row?))
        .collect()
}

pub(super) fn latest_incidents(
    db: &Connection,
    process: Option<&ProcessName>,
    limit: u32,
) -> Result<Vec<StoredIncident>> {
    db.prepare_cached(&format!(
        "{INCIDENT} WHERE ?1 IS NULL OR process = ?1 ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map(
        params![process.map(ProcessName::as_str), limit],
        raw_incident,
    )?
    .map(|row| stored(row?))
    .collect()
}

pub(super) fn seen(db: &Connection, fingerprint: &str, since: Timestamp) -> Result<u32> {
    Ok(db.query_row(
        "SELECT count(*) FROM incidents WHERE fingerprint = ?1 AND opened >= ?2",
        params![fingerprint, since.as_millisecond()],
        |row| row.get(0),
    )?)
}

pub(super) fn add_step(db: &Connection, step: &IncidentStep) -> Result<()> {
    db.prepare_cached("INSERT INTO steps (incident, ts, kind, data) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            step.incident.0,
            step.at.as_millisecond(),
            step.kind,
            encode(&step.data)?,
        ])?;
    Ok(())
}

pub(super) fn steps(db: &Connection, incident: IncidentId) -> Result<Vec<IncidentStep>> {
    db.prepare_cached("SELECT ts, kind, data FROM steps WHERE incident = ?1 ORDER BY rowid")?
        .query_map([incident.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
        })?
        .map(|row| {
            let (at, kind, data) = row?;
            Ok(IncidentStep {
                incident,
                at: time(at)?,
                kind,
                data: decode(&data)?,
            })
        })
        .collect()
}

pub(super) fn begin_action(db: &Connection, action: &NewAction) -> Result<ActionId> {
    let mut statement = db.prepare_cached(
        "INSERT INTO actions (incident, process, ts, actor, playbook, action, args, changes, risk,
            gate, approval) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let id = statement.insert(params![
        action.incident.map(|id| id.0),
        action.process.as_str(),
        action.at.as_millisecond(),
        action.actor,
        action.playbook.as_ref().map(|id| &id.0),
        action.action.name(),
        encode(&action.action)?,
        action.action.changes_state(),
        action.risk,
        action.gate,
        action.approval,
    ])?;
    Ok(ActionId(id))
}

pub(super) fn end_action(db: &Connection, id: ActionId, result: &str) -> Result<()> {
    db.execute(
        "UPDATE actions SET result = ?2 WHERE id = ?1",
        params![id.0, result],
    )?;
    Ok(())
}

pub(super) fn set_action_outcome(db: &Connection, id: IncidentId, outcome: &str) -> Result<()> {
    db.execute(
        "UPDATE actions SET outcome = ?2 WHERE incident = ?1 AND outcome IS NULL",
        params![id.0, outcome],
    )?;
    Ok(())
}

pub(super) fn actions(db: &Connection, incident: IncidentId) -> Result<Vec<StoredAction>> {
    struct Raw {
        id: i64,
        process: String,
        at: i64,
        args: String,
        outcome: Option<String>,
        playbook: Option<String>,
        texts: [String; 3],
        approval: Option<String>,
        result: Option<String>,
    }
    db.prepare_cached(
        "SELECT id, process, ts, args, outcome, playbook, actor, risk, gate, approval, result
         FROM actions WHERE incident = ?1 ORDER BY id",
    )?
    .query_map([incident.0], |row| {
        Ok(Raw {
            id: row.get(0)?,
            process: row.get(1)?,
            at: row.get(2)?,
            args: row.get(3)?,
            outcome: row.get(4)?,
            playbook: row.get(5)?,
            texts: [row.get(6)?, row.get(7)?, row.get(8)?],
            approval: row.get(9)?,
            result: row.get(10)?,
        })
    })?
    .map(|row| {
        let raw = row?;
        let [actor, risk, gate] = raw.texts;
        Ok(StoredAction {
            id: ActionId(raw.id),
            action: NewAction {
                incident: Some(incident),
                process: name(&raw.process)?,
                at: time(raw.at)?,
                actor,
                playbook: raw.playbook.map(PlaybookId),
                action: decode(&raw.args)?,
                risk,
                gate,
                approval: raw.approval,
            },
            result: raw.result,
            outcome: raw.outcome,
        })
    })
    .collect()
}

pub(super) fn budget(
    db: &Connection,
    process: &ProcessName,
    since: Timestamp,
) -> Result<BudgetUse> {
    // `run` is what the gate says when it lets something through without asking; proposals
    // and refusals have rows too, and did nothing.
    let (all, of_process) = db.query_row(
        "SELECT count(*), count(CASE WHEN process = ?1 THEN 1 END) FROM actions
         WHERE changes = 1 AND approval IS NULL AND incident IS NOT NULL AND gate LIKE 'run%'
           AND ts >= ?2",
        params![process.as_str(), since.as_millisecond()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut statement = db.prepare_cached(
        "SELECT outcome, result FROM actions
         WHERE changes = 1 AND incident IS NOT NULL AND result IS NOT NULL AND gate LIKE 'run%'
         ORDER BY id DESC LIMIT 20",
    )?;
    let mut failed_in_a_row = 0;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let outcome: Option<String> = row.get(0)?;
        let result: String = row.get(1)?;
        let failed = outcome.as_deref() == Some("failed") || result.starts_with("failed");
        if !failed {
            break;
        }
        failed_in_a_row += 1;
    }
    Ok(BudgetUse {
        all,
        process: of_process,
        failed_in_a_row,
    })
}

pub(super) fn begin_run(
    db: &Connection,
    playbook: &PlaybookId,
    process: &ProcessName,
    incident: IncidentId,
    at: Timestamp,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO runs (playbook, process, incident, ts) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        playbook.0,
        process.as_str(),
        incident.0,
        at.as_millisecond()
    ])?;
    Ok(())
}

pub(super) fn withdraw_run(
    db: &Connection,
    playbook: &PlaybookId,
    incident: IncidentId,
    since: Timestamp,
) -> Result<()> {
    db.execute(
        "DELETE FROM runs WHERE helped IS NULL AND ts >= ?3 AND rowid =
            (SELECT max(rowid) FROM runs WHERE playbook = ?1 AND incident = ?2)",
        params![playbook.0, incident.0, since.as_millisecond()],
    )?;
    Ok(())
}

pub(super) fn end_run(
    db: &Connection,
    playbook: &PlaybookId,
    incident: IncidentId,
    helped: Option<bool>,
) -> Result<()> {
    db.execute(
        "UPDATE runs SET helped = ?3 WHERE rowid =
            (SELECT max(rowid) FROM runs WHERE playbook = ?1 AND incident = ?2)",
        params![playbook.0, incident.0, helped],
    )?;
    Ok(())
}

pub(super) fn runs(
    db: &Connection,
    process: &ProcessName,
    now: Timestamp,
) -> Result<Vec<PlaybookRun>> {
    let hour_ago = before(now, Duration::from_secs(3600));
    db.prepare_cached(
        "SELECT playbook, max(ts), count(CASE WHEN ts >= ?2 THEN 1 END) FROM runs
         WHERE process = ?1 AND ts >= ?3 GROUP BY playbook",
    )?
    .query_map(
        // A day: no cooldown is longer.
        params![
            process.as_str(),
            hour_ago,
            before(now, Duration::from_secs(86_400))
        ],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?
    .map(|row| {
        let (playbook, last, last_hour) = row?;
        Ok(PlaybookRun {
            playbook: PlaybookId(playbook),
            last: time(last)?,
            last_hour,
        })
    })
    .collect()
}

pub(super) fn action_counts(db: &Connection) -> Result<Vec<ActionCount>> {
    let mut statement = db.prepare_cached(
        "SELECT action, substr(gate, 1, instr(gate || ':', ':') - 1) AS said, outcome, count(*)
         FROM actions WHERE outcome IS NOT NULL GROUP BY action, said, outcome",
    )?;
    let counts = statement.query_map([], |row| {
        Ok(ActionCount {
            action: row.get(0)?,
            gate: row.get(1)?,
            outcome: row.get(2)?,
            count: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?;
    Ok(counts.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn playbook_stats(db: &Connection) -> Result<Vec<PlaybookStats>> {
    let mut all: Vec<PlaybookStats> = Vec::new();
    let mut statement =
        db.prepare_cached("SELECT playbook, helped, ts FROM runs ORDER BY playbook, rowid DESC")?;
    let mut rows = statement.query([])?;
    let mut row_of_failures = true;
    while let Some(row) = rows.next()? {
        let playbook: String = row.get(0)?;
        let helped: Option<bool> = row.get(1)?;
        if all.last().is_none_or(|stats| stats.playbook.0 != playbook) {
            row_of_failures = true;
            all.push(PlaybookStats {
                playbook: PlaybookId(playbook),
                runs: 0,
                ok: 0,
                failed: 0,
                failed_in_a_row: 0,
                last: Some(time(row.get(2)?)?),
            });
        }
        let stats = all.last_mut().expect("pushed above");
        stats.runs += 1;
        match helped {
            Some(true) => {
                stats.ok += 1;
                row_of_failures = false;
            }
            Some(false) => {
                stats.failed += 1;
                stats.failed_in_a_row += u64::from(row_of_failures);
            }
            None => {}
        }
    }
    Ok(all)
}

pub(super) fn history(db: &Connection, filter: &HistoryFilter) -> Result<Vec<HistoryRow>> {
    let limit = if filter.limit == 0 {
        HISTORY_ROWS
    } else {
        filter.limit
    };
    let mut statement = db.prepare_cached(&format!(
        "{INCIDENT} WHERE (?1 IS NULL AND merged_into IS NULL OR process = ?1) AND opened >= ?2
         ORDER BY id DESC LIMIT ?3"
    ))?;
    let incidents = statement
        .query_map(
            params![
                filter.process.as_ref().map(ProcessName::as_str),
                filter.since.map_or(i64::MIN, Timestamp::as_millisecond),
                limit
            ],
            raw_incident,
        )?
        .map(|row| stored(row?))
        .collect::<Result<Vec<_>>>()?;
    incidents
        .into_iter()
        .map(|row| history_row(db, row))
        .collect()
}

fn history_row(db: &Connection, row: StoredIncident) -> Result<HistoryRow> {
    let done = actions(db, row.incident.id)?;
    let told = steps(db, row.incident.id)?;
    let mut thoughts = told.iter().rev().filter(|step| step.kind == "diagnosed");
    let last = done.last();
    let id = row.incident.id.to_string();
    Ok(HistoryRow {
        result: last
            .and_then(|action| action.result.clone())
            .map_or_else(|| as_word(row.incident.state), Ok)?,
        outcome: row.outcome,
        by: last.map_or_else(|| "brain".to_owned(), |action| action.action.actor.clone()),
        actions: done
            .iter()
            .filter(|action| !action.action.gate.starts_with("refuse"))
            .map(|action| action.action.action.name().to_owned())
            .collect(),
        victims: victims(db, row.incident.id)?,
        merged_into: row.incident.cause.map(|cause| cause.to_string()),
        illness: row.incident.fingerprint.map(|illness| illness.readable),
        id: id.clone(),
        ts: row.incident.opened,
        process: row.incident.process,
        trigger: row.trigger.as_str().to_owned(),
        playbook: row.playbook,
        escalated: row.escalated,
        incident: id,
        cause: row.cause,
        state: row.incident.state,
        closed: row.incident.closed,
        decided_ms: thoughts
            .next()
            .and_then(|step| step.data["took_ms"].as_f64()),
    })
}

pub(super) fn victims(db: &Connection, of: IncidentId) -> Result<Vec<Victim>> {
    db.prepare_cached(
        "SELECT process, id, class, opened FROM incidents WHERE merged_into = ?1 ORDER BY id",
    )?
    .query_map([of.0], |row| {
        let (process, id, class, opened) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((process, id, class, opened))
    })?
    .map(|row| {
        let (process, id, trigger, opened): (String, i64, String, i64) = row?;
        Ok(Victim {
            process: name(&process)?,
            incident: IncidentId(id).to_string(),
            trigger,
            since: time(opened)?,
        })
    })
    .collect()
}

pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<u64> {
    let gone = db.execute(
        "DELETE FROM incidents WHERE closed IS NOT NULL AND closed < ?1",
        [before.as_millisecond()],
    )?;
    super::recorded::forget(db, before)?;
    super::scores::forget(db, before)?;
    super::calls::forget(db, before)?;
    super::grants::forget(db, before)?;
    Ok(gone as u64)
}
