//! `ai.suggest`: what to change about the fleet before anything happens.

use std::time::Duration;

use brain::Facts;
use brain::numbers::advice::{self, Day, Hint};
use brain::prompts::Purpose;
use serde::Deserialize;
use serde_json::json;
use supervisor::{ControlError, EventKind, ProcessName};

use super::AiPort;
use super::readings::before;
use super::tell::{Found, Task};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nobody {}

impl AiPort {
    /// What matters most first.
    pub(super) async fn suggest(&self, _: Nobody) -> Result<Found, ControlError> {
        let names = self.registry.names();
        let hints = self.hints(&names).await?;
        let local = json!({ "suggestions": hints, "processes": names.len() });
        let task = Task::prose(
            Purpose::Suggest,
            None,
            vec![("suggestions", local["suggestions"].to_string())],
        );
        Ok(Found { local, task })
    }

    /// By rules, from the definitions and the last day.
    pub(super) async fn hints(&self, names: &[ProcessName]) -> Result<Vec<Hint>, ControlError> {
        let now = self.clock.now();
        let day = (before(now, Duration::from_secs(86_400)), now);
        let mut all = Vec::new();
        for name in names {
            let events = self
                .events(name, &[EventKind::Crash, EventKind::Restart], day)
                .await?;
            let crashes = events
                .iter()
                .filter(|event| event.kind == EventKind::Crash)
                .count();
            let for_memory = events
                .iter()
                .filter(|event| {
                    event.kind == EventKind::Restart && event.data["reason"] == "memory"
                })
                .count();
            let (facts, of) = (self.facts.clone(), name.clone());
            let read = tokio::task::spawn_blocking(move || {
                let process = facts.process(&of)?;
                let serves = !brain::ports_of(&process.config).is_empty();
                let dependents = facts.dependents(&of).len();
                let day = Day {
                    crashes: crashes as u64,
                    memory_restarts: for_memory as u64,
                    dependents,
                    serves,
                };
                Some(advice::hints(&process, day))
            });
            all.extend(read.await.ok().flatten().unwrap_or_default());
        }
        advice::sort(&mut all);
        Ok(all)
    }
}
