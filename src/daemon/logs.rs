//! What the daemon does about logs beside keeping them: how long they are kept, and events for
//! kinds of lines that were never seen before.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;
use supervisor::logs::{Ingest, Level, NewPattern, Retention};
use supervisor::{Clock, EventKind, NewEvent, ProcessName, RegistryHandle, Tasks};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tracing::warn;

use super::settings::Settings;

/// A program that has printed for less than this is still saying things for the first time:
/// only what sounds bad is told.
const LEARNING_MS: i64 = 10 * 60_000;
/// So many events of one process in [`WINDOW_MS`]; what is more is counted in the next one.
const MOST: usize = 10;
const WINDOW_MS: i64 = 10 * 60_000;
/// Longest pattern in an event, in characters.
const PATTERN_CHARS: usize = 500;

/// How long lines are kept, also after the settings have changed.
pub(super) fn retention(settings: &Settings, tasks: &Tasks) -> watch::Receiver<Retention> {
    settings.follow(tasks, "log retention", |config| {
        let logs = &config.logs;
        Retention {
            info: logs.retention_info,
            warn: logs.retention_warn,
            error: logs.retention_error,
            fatal: logs.retention_fatal,
            default: logs.retention_default,
            max_bytes: logs.max_db.0,
        }
    })
}

/// Records an event for each new kind of line that is worth one.
pub(super) fn tell_of_patterns(
    registry: &RegistryHandle,
    ingest: &Ingest,
    clock: &Clock,
    tasks: &Tasks,
) {
    let Some(mut patterns) = ingest.new_patterns() else {
        return;
    };
    let (registry, clock, cancel) = (registry.clone(), clock.clone(), tasks.token());
    let tell = async move {
        let mut bounds = Bounds::default();
        loop {
            let pattern = match patterns.recv().await {
                Ok(pattern) => pattern,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            let now_ms = clock.now().as_millisecond();
            let Some(skipped) = bounds.take(&pattern, now_ms) else {
                continue;
            };
            let process = pattern.process.clone();
            let event = event(&registry, pattern, skipped);
            if let Err(error) = registry.record(event).await {
                warn!(%process, %error, "A new kind of line could not be recorded.");
            }
        }
    };
    tasks.spawn("new patterns", async move {
        cancel.run_until_cancelled(tell).await;
    });
}

fn event(registry: &RegistryHandle, pattern: NewPattern, skipped: u64) -> NewEvent {
    let NewPattern {
        process,
        id,
        pattern,
        ts_ms,
        level,
        age_ms: _,
    } = pattern;
    // A pattern has what all its lines share, which may be a secret of the process, or of
    // somebody else.
    let text = brain::redact::hide_shapes(&registry.masked(&process, pattern));
    let text: String = text.chars().take(PATTERN_CHARS).collect();
    let mut data = json!({ "pattern": text, "template": id });
    if let Some(level) = level {
        data["level"] = level.as_str().into();
    }
    if skipped > 0 {
        data["skipped"] = skipped.into();
    }
    NewEvent {
        at: Timestamp::from_millisecond(ts_ms).unwrap_or(Timestamp::UNIX_EPOCH),
        process,
        instance: None,
        kind: EventKind::NewPattern,
        data,
        actor: "system".into(),
    }
}

/// Keeps one process from filling the history.
#[derive(Debug, Default)]
struct Bounds(HashMap<ProcessName, Told>);

#[derive(Debug, Default)]
struct Told {
    from_ms: i64,
    told: usize,
    skipped: u64,
}

impl Bounds {
    /// Is this worth an event? Then with how many were not, since the last one.
    fn take(&mut self, pattern: &NewPattern, now_ms: i64) -> Option<u64> {
        let grave = pattern.level.is_some_and(|level| level >= Level::Warn);
        if !grave && pattern.age_ms < LEARNING_MS {
            return None;
        }
        let told = self.0.entry(pattern.process.clone()).or_default();
        if !(0..WINDOW_MS).contains(&now_ms.saturating_sub(told.from_ms)) {
            (told.from_ms, told.told) = (now_ms, 0);
        }
        if told.told >= MOST {
            told.skipped += 1;
            return None;
        }
        told.told += 1;
        Some(std::mem::take(&mut told.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(process: &str, level: Option<Level>, age_ms: i64) -> NewPattern {
        NewPattern {
            process: process.parse().expect("a name"),
            id: "1".into(),
            pattern: "disk <*> is full".into(),
            ts_ms: 0,
            level,
            age_ms,
        }
    }

    #[test]
    fn a_beginner_is_heard_only_when_it_complains() {
        let mut bounds = Bounds::default();
        assert_eq!(bounds.take(&pattern("a", None, 5), 1), None);
        assert_eq!(bounds.take(&pattern("a", Some(Level::Info), 5), 1), None);
        assert_eq!(
            bounds.take(&pattern("a", Some(Level::Error), 5), 1),
            Some(0)
        );
        let later = LEARNING_MS + 1;
        assert_eq!(bounds.take(&pattern("a", None, later), later), Some(0));
    }

    #[test]
    fn events_of_one_process_are_bounded() {
        let mut bounds = Bounds::default();
        let bad = pattern("a", Some(Level::Fatal), 0);
        let told = (0..100)
            .filter_map(|n| bounds.take(&bad, 1_000 + n))
            .count();
        assert_eq!(told, MOST);
        assert_eq!(
            bounds.take(&pattern("b", Some(Level::Warn), 0), 1_100),
            Some(0)
        );
        assert_eq!(bounds.take(&bad, 1_000 + WINDOW_MS), Some(90));
        assert_eq!(bounds.take(&bad, 1_001 + WINDOW_MS), Some(0));
        // A clock that goes back does not silence it.
        assert_eq!(bounds.take(&bad, 5), Some(0));
    }
}
