//! `ai.predict`: the risk of each process in the next hour.

use std::time::Duration;

use brain::numbers::outlook::{AHEAD_S, outlook, signs};
use brain::prompts::Purpose;
use serde_json::{Value, json};
use supervisor::ControlError;

use super::readings::before;
use super::tell::{Found, Task};
use super::{AiPort, Whose};

impl AiPort {
    /// The gravest first.
    pub(super) async fn predict(&self, whose: Whose) -> Result<Found, ControlError> {
        let now = self.clock.now();
        let hour_ago = before(now, Duration::from_secs_f64(AHEAD_S));
        let mut rows: Vec<(f64, Value)> = Vec::new();
        for name in self.meant(&whose)? {
            let scores = self.memory.scores(name.clone(), hour_ago).await;
            let scores = scores.unwrap_or_default();
            let facts = self.facts.clone();
            let read = tokio::task::spawn_blocking(move || {
                let signs = signs(facts.as_ref(), &name, &scores)?;
                let outlook = outlook(&signs);
                let row = json!({
                    "process": name,
                    "risk": (outlook.risk * 1_000.0).round() / 1_000.0,
                    "level": outlook.level,
                    "in_next_ms": (outlook.in_next_s * 1_000.0).round(),
                    "reasons": outlook.reasons,
                    "signs": signs,
                });
                Some((outlook.risk, row))
            });
            rows.extend(read.await.ok().flatten());
        }
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let local = json!({ "at": now, "outlook": rows });
        let task = Task::prose(
            Purpose::Predict,
            None,
            vec![("risks", local["outlook"].to_string())],
        );
        Ok(Found { local, task })
    }
}
