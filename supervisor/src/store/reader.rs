//! Questions to the database. Everything here only reads.

use jiff::Timestamp;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Row, params_from_iter};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::error;

use super::{EventFilter, Loaded, StoreError};
use crate::event::{Event, EventKind};
use crate::ids::InstanceId;

/// Reads everything a new daemon needs, and what could not be understood.
///
/// A row that cannot be read stays in its table: an older or newer program may know it.
pub(super) fn load(db: &Connection) -> Result<(Loaded, Vec<String>), StoreError> {
    let mut unreadable = Vec::new();
    let mut loaded = Loaded::default();
    let mut statement = db.prepare("SELECT name, row FROM processes ORDER BY position, name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, text): (String, String) = (row.get(0)?, row.get(1)?);
        loaded.processes.extend(understood(
            &format!("process `{name}`"),
            &text,
            &mut unreadable,
        ));
    }
    let mut statement =
        db.prepare("SELECT process, idx, saved FROM instances ORDER BY process, idx")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (process, index, text): (String, u16, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = format!("instance {process}#{index}");
        let Ok(process) = process.parse() else {
            unreadable.push(what);
            continue;
        };
        if let Some(saved) = understood(&what, &text, &mut unreadable) {
            loaded
                .instances
                .push((InstanceId::new(process, index), saved));
        }
    }
    let mut statement = db.prepare("SELECT name, spec FROM groups ORDER BY name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, text): (String, String) = (row.get(0)?, row.get(1)?);
        loaded.groups.extend(understood(
            &format!("group `{name}`"),
            &text,
            &mut unreadable,
        ));
    }
    Ok((loaded, unreadable))
}

fn understood<T: DeserializeOwned>(
    what: &str,
    text: &str,
    unreadable: &mut Vec<String>,
) -> Option<T> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            error!(what, %error, "A row of the state database cannot be read; it is left where it is.");
            unreadable.push(what.to_owned());
            None
        }
    }
}

/// Events that match, newest first.
pub(super) fn events(db: &Connection, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
    let (sql, values) = events_sql(filter);
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), event_of)?;
    // A kind this program does not know was written by a newer one: not an error.
    Ok(rows
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn events_sql(filter: &EventFilter) -> (String, Vec<SqlValue>) {
    let mut conditions = Vec::new();
    let mut values: Vec<SqlValue> = Vec::new();
    let marks = |count: usize| vec!["?"; count].join(",");
    if !filter.processes.is_empty() {
        conditions.push(format!("process IN ({})", marks(filter.processes.len())));
        values.extend(filter.processes.iter().map(|name| name.to_string().into()));
    }
    if !filter.kinds.is_empty() {
        conditions.push(format!("event IN ({})", marks(filter.kinds.len())));
        values.extend(filter.kinds.iter().map(|kind| kind.to_string().into()));
    }
    if let Some(reason) = &filter.reason {
        conditions.push("json_extract(data_json, '$.reason') = ?".to_owned());
        values.push(reason.clone().into());
    }
    if let Some(instance) = filter.instance {
        conditions.push("instance = ?".into());
        values.push(i64::from(instance).into());
    }
    if let Some(since) = filter.since {
        conditions.push("ts_ms >= ?".into());
        values.push(since.as_millisecond().into());
    }
    if let Some(until) = filter.until {
        conditions.push("ts_ms <= ?".into());
        values.push(until.as_millisecond().into());
    }
    if let Some(after) = filter.after {
        conditions.push("id > ?".into());
        values.push(after.into());
    }
    let condition = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {} ", conditions.join(" AND "))
    };
    values.push(i64::try_from(filter.limit).unwrap_or(i64::MAX).into());
    let sql = format!(
        "SELECT id, ts_ms, process, instance, event, data_json, actor FROM events {condition}ORDER BY id DESC LIMIT ?"
    );
    (sql, values)
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<Option<Event>> {
    let process: String = row.get(2)?;
    let kind: String = row.get(4)?;
    let data: String = row.get(5)?;
    let (Ok(process), Ok(kind)) = (
        process.parse(),
        serde_json::from_value::<EventKind>(Value::String(kind)),
    ) else {
        return Ok(None);
    };
    Ok(Some(Event {
        id: row.get(0)?,
        at: Timestamp::from_millisecond(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH),
        process,
        instance: row.get(3)?,
        kind,
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        actor: row.get(6)?,
    }))
}
