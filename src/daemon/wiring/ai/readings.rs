//! The past as these methods read it: metrics of all copies together, lines, events.

use std::time::Duration;

use brain::redact::hide_shapes;
use jiff::{SignedDuration, Timestamp};
use supervisor::logs::{self, LogPage, LogQuery};
use supervisor::metrics::{History, Metric, Series};
use supervisor::store::EventFilter;
use supervisor::{ControlError, Event, EventKind, ProcessName, Target};

use super::AiPort;

/// Events of one process that are read.
const EVENTS: usize = 5_000;

/// So long before a time.
pub(super) fn before(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.checked_sub(time).unwrap_or(Timestamp::MIN)
}

impl AiPort {
    /// One figure of each copy between two times.
    pub(super) async fn series(
        &self,
        name: &ProcessName,
        metric: Metric,
        (since, until): (Timestamp, Timestamp),
        steps: usize,
    ) -> Vec<Series> {
        let mut all = Vec::new();
        let copies = self.registry.resolve(&Target::process(name));
        for copy in copies.unwrap_or_default() {
            let question = History {
                metric,
                since,
                until,
                steps,
            };
            // What cannot be read is not known.
            all.extend(self.metrics.history(&copy, question).await.ok());
        }
        all
    }

    /// All copies together, step by step: what is measured of none is left out.
    pub(super) async fn together(
        &self,
        name: &ProcessName,
        metric: Metric,
        span: (Timestamp, Timestamp),
        steps: usize,
    ) -> Vec<f64> {
        let all = self.series(name, metric, span, steps).await;
        sums(&all)
    }

    /// Asks for kept lines of a process.
    pub(super) async fn lines(
        &self,
        name: &ProcessName,
        query: LogQuery,
    ) -> Result<LogPage, ControlError> {
        let query = LogQuery {
            target: Some(Target::process(name)),
            ..query
        };
        let sources = self.registry.log_sources(&query)?;
        let (paths, registry, name) = (
            self.facts.paths.clone(),
            self.registry.clone(),
            name.clone(),
        );
        let read = tokio::task::spawn_blocking(move || {
            let mut page = logs::query(&paths, &sources, &query)?;
            let known = registry.known_values(&name);
            let lines = page.lines.iter_mut().map(|line| &mut line.message);
            let kinds = page.templates.iter_mut().flatten();
            for text in lines {
                *text = supervisor::secret::masked(std::mem::take(text), &known);
            }
            // What a pattern has left of a secret has no form that could be told later.
            for kind in kinds {
                let text = std::mem::take(&mut kind.pattern);
                kind.pattern = hide_shapes(&supervisor::secret::masked(text, &known));
            }
            Ok::<_, logs::LogError>(page)
        });
        let read = read.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
        read.map_err(|error| ControlError::Invalid {
            message: error.to_string(),
            details: error.details(),
        })
    }

    /// Events of a process between two times, oldest first.
    pub(super) async fn events(
        &self,
        name: &ProcessName,
        kinds: &[EventKind],
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Event>, ControlError> {
        let filter = EventFilter {
            processes: vec![name.clone()],
            kinds: kinds.to_vec(),
            since: Some(since),
            until: Some(until),
            limit: EVENTS,
            ..EventFilter::default()
        };
        let read = self.store.events(filter).await;
        let mut events = read.map_err(|error| ControlError::Store {
            message: error.to_string(),
        })?;
        if events.len() == EVENTS {
            tracing::info!(process = %name, "Only the newest events of the time are read.");
        }
        events.reverse();
        Ok(events)
    }
}

/// The sum of all copies, step by step.
fn sums(all: &[Series]) -> Vec<f64> {
    let steps = all.iter().map(|one| one.points.len()).max().unwrap_or(0);
    (0..steps)
        .filter_map(|step| {
            let known: Vec<f64> = all
                .iter()
                .filter_map(|one| one.points.get(step).copied().flatten())
                .collect();
            (!known.is_empty()).then(|| known.iter().sum())
        })
        .collect()
}
