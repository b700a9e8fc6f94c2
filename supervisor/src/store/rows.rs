//! What is written of a batch, row by row.

use rusqlite::{Transaction, params};

use super::{Batch, ProcessRow, StoreError};
use crate::event::{Event, NewEvent};
use crate::ids::InstanceId;
use crate::secret::exposed;
use crate::spec::GroupSpec;
use crate::state::Saved;

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    // The next daemon starts the processes with these very values.
    exposed(|| serde_json::to_string(value))
        .map_err(|error| StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))
}

pub(super) fn put_batch(
    transaction: &Transaction<'_>,
    batch: &Batch,
) -> Result<Vec<Event>, StoreError> {
    for name in &batch.removed {
        for sql in [
            "DELETE FROM processes WHERE name = ?",
            "DELETE FROM instances WHERE process = ?",
        ] {
            transaction.prepare_cached(sql)?.execute([name.as_str()])?;
        }
    }
    for id in &batch.removed_instances {
        transaction
            .prepare_cached("DELETE FROM instances WHERE process = ? AND idx = ?")?
            .execute(params![id.process.as_str(), id.index])?;
    }
    for name in &batch.removed_groups {
        transaction
            .prepare_cached("DELETE FROM groups WHERE name = ?")?
            .execute([name])?;
    }
    for row in &batch.processes {
        put_process(transaction, row)?;
    }
    for (id, saved) in &batch.instances {
        put_instance(transaction, id, saved)?;
    }
    for group in &batch.groups {
        put_group(transaction, group)?;
    }
    for event in &batch.amended {
        transaction
            .prepare_cached("UPDATE events SET data_json = ? WHERE id = ?")?
            .execute(params![event.data.to_string(), event.id])?;
    }
    batch
        .events
        .iter()
        .map(|event| {
            let id = put_event(transaction, event)?;
            Ok(event.clone().with_id(id))
        })
        .collect()
}

fn put_process(transaction: &Transaction<'_>, row: &ProcessRow) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO processes (name, position, row) VALUES (?, ?, ?)")?
        .execute(params![row.spec.name.as_str(), row.position, json(row)?])?;
    Ok(())
}

pub(super) fn put_instance(
    transaction: &Transaction<'_>,
    id: &InstanceId,
    saved: &Saved,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO instances (process, idx, saved) VALUES (?, ?, ?)")?
        .execute(params![id.process.as_str(), id.index, json(saved)?])?;
    Ok(())
}

fn put_group(transaction: &Transaction<'_>, group: &GroupSpec) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO groups (name, spec) VALUES (?, ?)")?
        .execute(params![group.name, json(group)?])?;
    Ok(())
}

pub(super) fn put_event(
    transaction: &Transaction<'_>,
    event: &NewEvent,
) -> Result<i64, StoreError> {
    Ok(transaction
        .prepare_cached(
            "INSERT INTO events (ts_ms, process, instance, event, data_json, actor) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![
            event.at.as_millisecond(),
            event.process.as_str(),
            event.instance,
            event.kind.to_string(),
            event.data.to_string(),
            event.actor,
        ])?)
}
