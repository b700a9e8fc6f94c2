//! `ai.optimize`: settings that a day of figures supports.

use std::time::Duration;

use brain::Facts;
use brain::numbers::sizing::{Usage, suggest};
use brain::prompts::Purpose;
use serde::Deserialize;
use serde_json::json;
use supervisor::metrics::Metric;
use supervisor::{ControlError, EventKind, ProcessName, until};

use super::AiPort;
use super::readings::before;
use super::tell::{Found, Task};
use crate::daemon::patch::{self, Change};

/// How far back.
const DAY: Duration = Duration::from_secs(86_400);
/// A day by the sample.
const STEPS: usize = 17_280;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptimizeParams {
    name: String,
}

impl AiPort {
    /// Keys, their values now, better ones, the figures behind them, and all as a diff.
    pub(super) async fn optimize(&self, params: OptimizeParams) -> Result<Found, ControlError> {
        let name = self.known(&params.name)?;
        let (facts, of) = (self.facts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let took = facts.probe_results(&of, 60);
            Some((facts.process(&of)?, took, facts.machine().cpus))
        });
        let Some((process, took, cpus)) = read.await.ok().flatten() else {
            return Err(ControlError::NotFound {
                target: params.name,
                near: Vec::new(),
            });
        };
        let mut usage = self.usage(&name).await?;
        usage.cpus = cpus;
        usage.latency = took
            .iter()
            .filter(|one| one.passed)
            .map(|one| one.latency_ms as f64)
            .collect();
        let suggestions = suggest(&process.config, &usage);
        let changes: Vec<Change> = suggestions
            .iter()
            .map(|one| Change {
                key: one.key.clone(),
                now: one.now.clone(),
                value: one.better.clone(),
            })
            .collect();
        let local = json!({
            "process": name,
            "suggestions": suggestions,
            "diff": patch::diff(&name, &changes),
            "seen": {
                "seconds": usage.seconds,
                "samples": usage.memory.len(),
                "crashes": usage.crashes,
                "memory_restarts": usage.memory_restarts,
                "probe_misses": usage.misses,
            },
        });
        let task = Task::prose(
            Purpose::Optimize,
            Some(params.name.clone()),
            vec![
                ("suggestions", local.to_string()),
                ("definition", process.config.to_string()),
            ],
        );
        Ok(Found { local, task })
    }

    async fn usage(&self, name: &ProcessName) -> Result<Usage, ControlError> {
        let now = self.clock.now();
        let span = (before(now, DAY), now);
        let flat = |all: Vec<supervisor::metrics::Series>| -> Vec<f64> {
            all.into_iter()
                .flat_map(|one| one.points)
                .flatten()
                .collect()
        };
        let memory = self.series(name, Metric::Memory, span, STEPS).await;
        // From the first sample on: a young process has no day yet.
        let step = memory.iter().map(|one| one.step_ms).max().unwrap_or(5_000);
        let measured = memory.iter().filter_map(|one| {
            let first = one.points.iter().position(Option::is_some)?;
            Some((one.points.len() - first) as f64 * step as f64 / 1_000.0)
        });
        let seconds = measured.fold(0.0, f64::max);
        let events = self.events(name, &[], span).await?;
        let of = |kind: EventKind| events.iter().filter(move |event| event.kind == kind);
        let runs = of(EventKind::Crash)
            .filter_map(|event| event.data["uptime_ms"].as_f64())
            .map(|ms| ms / 1_000.0);
        // A miss that became a failure was no miss.
        let failures = of(EventKind::HealthFail).count();
        let misses = of(EventKind::HealthMiss).count().saturating_sub(failures);
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Usage {
            seconds: seconds.min(until(span.0, span.1).as_secs_f64()),
            memory: flat(memory),
            cpu: flat(self.series(name, Metric::Cpu, span, STEPS).await),
            latency: Vec::new(),
            crashes: small(of(EventKind::Crash).count()),
            shortest_run_s: runs.fold(None, |least: Option<f64>, run| {
                Some(least.map_or(run, |least| least.min(run)))
            }),
            memory_restarts: small(
                of(EventKind::Restart)
                    .filter(|event| event.data["reason"] == "memory")
                    .count(),
            ),
            misses: small(misses),
            cpus: 1,
        })
    }
}
