//! Judges by measurement whether each program was healed, and says so in a table.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::until;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// A cure has to hold for so long before it is believed.
const HOLD: Duration = Duration::from_secs(3);

/// The three programs, and what has been seen of each.
pub(super) struct Patients {
    started: Timestamp,
    all: [Patient; 3],
}

struct Patient {
    name: &'static str,
    trouble: &'static str,
    cure: &'static str,
    /// Since when it looks healed.
    well_since: Option<Timestamp>,
    healed_after: Option<Duration>,
    cause: String,
}

impl Patient {
    fn new(name: &'static str, trouble: &'static str, cure: &'static str) -> Self {
        Self {
            name,
            trouble,
            cure,
            well_since: None,
            healed_after: None,
            cause: String::new(),
        }
    }
}

impl Patients {
    pub(super) fn new(started: Timestamp) -> Self {
        let all = [
            Patient::new("crasher", "crash loop", "held, a person told"),
            Patient::new("leaker", "memory leak", "restarted below its limit"),
            Patient::new("frozen", "alive, no answer", "killed and started"),
        ];
        Self { started, all }
    }

    /// Looks at the fleet once more.
    pub(super) fn look(&mut self, now: Timestamp, list: &Value, events: &Value, history: &Value) {
        let started = self.started;
        for patient in &mut self.all {
            let find = |answer: &Value, key: &str, field: &str| -> Vec<Value> {
                let rows = answer[key].as_array().into_iter().flatten();
                rows.filter(|row| row[field] == patient.name)
                    .cloned()
                    .collect()
            };
            let process = find(list, "processes", "name").pop().unwrap_or_default();
            let rows = find(history, "history", "process");
            if let Some(cause) = rows.iter().find_map(|row| row["cause"].as_str()) {
                cause.clone_into(&mut patient.cause);
            }
            let events = find(events, "events", "process");
            let seen = |kind: &str| events.iter().any(|event| event["kind"] == kind);
            let told = |key: &str| rows.iter().any(|row| row[key] == true);
            let instance = &process["instances"][0];
            let lives_again =
                instance["state"] == "online" && instance["generation"].as_u64() > Some(1);
            let well = match patient.name {
                "crasher" => instance["held_by"].is_string() && told("escalated"),
                "leaker" => seen("memory_exceeded") && lives_again && !rows.is_empty(),
                _ => {
                    let verified = rows.iter().any(|row| row["outcome"] == "verified");
                    verified && lives_again && process["health"] == "pass"
                }
            };
            patient.well_since = well.then(|| patient.well_since.unwrap_or(now));
            if patient.healed_after.is_none()
                && let Some(since) = patient.well_since
                && until(since, now) >= HOLD
            {
                patient.healed_after = Some(until(started, since));
            }
            if !well {
                patient.healed_after = None;
            }
        }
    }

    pub(super) fn all_healed(&self) -> bool {
        self.all
            .iter()
            .all(|patient| patient.healed_after.is_some())
    }

    /// The table, and whether all is well.
    pub(super) fn report(&self, ctx: &Context, passed: Duration) -> Result<Exit, CliError> {
        let healed = self
            .all
            .iter()
            .filter(|patient| patient.healed_after.is_some())
            .count();
        if ctx.output.is_json() {
            let rows: Vec<Value> = self
                .all
                .iter()
                .map(|patient| {
                    json!({
                        "process": patient.name,
                        "trouble": patient.trouble,
                        "cause": patient.cause,
                        "healed": patient.healed_after.is_some(),
                        "after_ms": patient.healed_after.map(|after| after.as_millis() as u64),
                    })
                })
                .collect();
            ctx.output
                .json(&json!({ "report": rows, "elapsed_ms": passed.as_millis() as u64 }))?;
        } else {
            let mut table = Table::new([
                Column::name("PROCESS"),
                Column::new("TROUBLE", 0),
                Column::new("OUTCOME", 0),
                Column::new("AFTER", 1),
                Column::new("CAUSE", 2).at_least(20).at_most(90),
            ]);
            for patient in &self.all {
                let (outcome, after) = match patient.healed_after {
                    Some(after) => (
                        Cell::toned(format!("✓ {}", patient.cure), Tone::Good),
                        format!("{:.1}s", after.as_secs_f64()),
                    ),
                    None => (Cell::toned("✗ not healed", Tone::Bad), "—".to_owned()),
                };
                let cells: [Cell; 5] = [
                    patient.name.into(),
                    patient.trouble.into(),
                    outcome,
                    after.into(),
                    patient.cause.as_str().into(),
                ];
                table.row(cells);
            }
            ctx.output.line("")?;
            ctx.output.table(&table)?;
            ctx.output.line("")?;
            let summary = format!(
                "{healed} of {} healed in {:.0} s, without a key, a network or a person.",
                self.all.len(),
                passed.as_secs_f64()
            );
            ctx.output.line(&summary)?;
        }
        Ok(if self.all_healed() {
            Exit::Success
        } else {
            Exit::Failure
        })
    }
}
