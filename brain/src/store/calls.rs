//! Requests to language models: what each was for and what it cost.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::BrainStoreError;
use super::sql::time;
use crate::incident::IncidentId;
use crate::llm::{ModelId, Usage};

type Result<T> = std::result::Result<T, BrainStoreError>;

/// A request to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCall {
    /// When it went out.
    pub at: Timestamp,
    /// To whom.
    pub model: ModelId,
    /// About which incident.
    pub incident: Option<IncidentId>,
    /// Its tokens; before it is settled, the most that it may take.
    pub usage: Usage,
    /// US dollars, likewise.
    pub cost_usd: f64,
    /// `ok`, or the code of an error; none before it is settled.
    pub result: Option<String>,
}

pub(super) fn begin(db: &Connection, call: &ModelCall) -> Result<i64> {
    db.prepare_cached(
        "INSERT INTO model_calls (ts, provider, model, incident, prompt_tokens, answer_tokens, cost_usd, result) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        call.at.as_millisecond(),
        call.model.provider,
        call.model.model,
        call.incident.map(|incident| incident.0),
        number(call.usage.prompt_tokens),
        number(call.usage.answer_tokens),
        call.cost_usd,
        call.result,
    ])?;
    Ok(db.last_insert_rowid())
}

pub(super) fn end(
    db: &Connection,
    row: i64,
    usage: Usage,
    cost_usd: f64,
    result: &str,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE model_calls SET prompt_tokens = ?2, answer_tokens = ?3, cost_usd = ?4, result = ?5 WHERE id = ?1",
    )?
    .execute(params![
        row,
        number(usage.prompt_tokens),
        number(usage.answer_tokens),
        cost_usd,
        result
    ])?;
    Ok(())
}

pub(super) fn since(db: &Connection, since: Timestamp) -> Result<Vec<ModelCall>> {
    db.prepare_cached(
        "SELECT ts, provider, model, incident, prompt_tokens, answer_tokens, cost_usd, result \
         FROM model_calls WHERE ts >= ?1 ORDER BY ts",
    )?
    .query_map([since.as_millisecond()], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            ModelId {
                provider: row.get(1)?,
                model: row.get(2)?,
            },
            row.get::<_, Option<i64>>(3)?,
            (row.get::<_, i64>(4)?, row.get::<_, i64>(5)?),
            row.get(6)?,
            row.get(7)?,
        ))
    })?
    .map(|row| {
        let (at, model, incident, (prompt, answer), cost_usd, result) = row?;
        Ok(ModelCall {
            at: time(at)?,
            model,
            incident: incident.map(IncidentId),
            usage: Usage {
                prompt_tokens: u64::try_from(prompt).unwrap_or(0),
                answer_tokens: u64::try_from(answer).unwrap_or(0),
                estimated: false,
            },
            cost_usd,
            result,
        })
    })
    .collect()
}

pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<()> {
    db.execute(
        "DELETE FROM model_calls WHERE ts < ?1",
        [before.as_millisecond()],
    )?;
    Ok(())
}

fn number(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
