//! `ai.compare`: two times of one process side by side.

use std::collections::HashSet;

use brain::numbers::compare::{Kind, Window, compare};
use brain::prompts::Purpose;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use supervisor::logs::{Level, LogQuery, TemplateView};
use supervisor::metrics::Metric;
use supervisor::{ControlError, EventKind, ProcessName, until};

use super::AiPort;
use super::tell::{Found, Task};
use crate::daemon::port::invalid;

/// Kinds of lines that are compared.
const KINDS: usize = 2_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompareParams {
    name: String,
    before: Span,
    after: Span,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl AiPort {
    /// Both times, what differs, and whether that is better.
    pub(super) async fn compare(&self, params: CompareParams) -> Result<Found, ControlError> {
        let name = self.known(&params.name)?;
        for span in [params.before, params.after] {
            if span.from >= span.to {
                return Err(invalid("ai.compare: a time ends before it begins".into()));
            }
        }
        let before = self.window(&name, params.before).await?;
        let after = self.window(&name, params.after).await?;
        let found = tokio::task::spawn_blocking(move || (compare(&before, &after), before, after));
        let (found, before, after) = found.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
        let mut local = json!(found);
        local["process"] = json!(name);
        for (key, span, window) in [
            ("before", params.before, &before),
            ("after", params.after, &after),
        ] {
            local[key] = json!({
                "from": span.from, "to": span.to, "lines": window.lines, "errors": window.errors,
                "kinds": window.kinds.len(),
            });
        }
        let task = Task::prose(
            Purpose::Compare,
            Some(params.name.clone()),
            vec![("comparison", local.to_string())],
        );
        Ok(Found { local, task })
    }

    async fn window(&self, name: &ProcessName, span: Span) -> Result<Window, ControlError> {
        let times = (span.from, span.to);
        let all = self.kinds(name, None, times).await?;
        let grave = self.kinds(name, Some(Level::Error), times).await?;
        let graves: HashSet<&str> = grave.iter().map(|one| one.id.as_str()).collect();
        let kinds = all.iter().map(|one| Kind {
            pattern: one.pattern.clone(),
            count: one.count,
            grave: graves.contains(one.id.as_str()),
        });
        let events = self.events(name, &[], times).await?;
        let of = |kind| events.iter().filter(|event| event.kind == kind).count() as u64;
        let cpu = self.series(name, Metric::Cpu, times, 1).await;
        let memory = self.series(name, Metric::Memory, times, 1).await;
        let scores = self
            .memory
            .scores(name.clone(), span.from)
            .await
            .unwrap_or_default();
        let scores: Vec<f64> = scores
            .into_iter()
            .filter(|(at, _)| *at <= span.to)
            .map(|(_, score)| score)
            .collect();
        let sum = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>());
        Ok(Window {
            seconds: until(span.from, span.to).as_secs_f64(),
            lines: all.iter().map(|one| one.count).sum(),
            errors: grave.iter().map(|one| one.count).sum(),
            kinds: kinds.collect(),
            crashes: of(EventKind::Crash),
            restarts: of(EventKind::Restart),
            probe_failures: of(EventKind::HealthFail),
            cpu: sum(cpu.iter().filter_map(|one| one.avg).collect()),
            cpu_p95: sum(cpu.iter().filter_map(|one| one.p95).collect()),
            memory: sum(memory.iter().filter_map(|one| one.avg).collect()),
            memory_max: sum(memory.iter().filter_map(|one| one.max).collect()),
            score: sum(scores.clone()).map(|all| all / scores.len() as f64),
        })
    }

    /// The kinds of lines of a time, the most frequent first.
    pub(super) async fn kinds(
        &self,
        name: &ProcessName,
        level: Option<Level>,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<TemplateView>, ControlError> {
        let query = LogQuery {
            since: Some(since),
            until: Some(until),
            level,
            templates: true,
            lines: KINDS,
            ..LogQuery::default()
        };
        Ok(self.lines(name, query).await?.templates.unwrap_or_default())
    }
}
