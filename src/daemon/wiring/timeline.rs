//! `brain.timeline`: everything that is known of a process around a time, in one order.

use std::time::Duration;

use brain::IncidentId;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::logs::{self, LogQuery};
use supervisor::store::EventFilter;
use supervisor::{ControlError, ProcessName, Target};

use super::port::BrainPort;

/// Events that are read.
const EVENTS: usize = 1_000;
/// Incidents that are looked through.
const INCIDENTS: u32 = 200;
/// Lines before and after what happened.
const BEFORE: usize = 5;
const AFTER: usize = 10;
/// How far from what happened a line still belongs to it.
const NEAR: SignedDuration = SignedDuration::from_secs(30);
/// Lines that sound like trouble.
const TROUBLE: usize = 100;
const TROUBLED: &str = r"(?i)\b(error|exception|fatal|critical|panic|fail(ed|ure)?|refused|denied|timed? ?out|killed)\b|[A-Za-z](Error|Exception)\b";
/// A score that moves less says nothing new.
const MOVE: f64 = 5.0;
/// Longest line that is told.
const LINE: usize = 400;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimelineParams {
    name: String,
    /// The middle of what is told; the newest incident when it is left out.
    at: Option<Timestamp>,
    /// An incident instead of a time.
    incident: Option<String>,
    #[serde(default = "window")]
    window_ms: u64,
}

fn window() -> u64 {
    15 * 60 * 1000
}

struct Entry {
    ts: Timestamp,
    kind: &'static str,
    what: String,
    data: Value,
}

fn unread(error: impl std::fmt::Display) -> ControlError {
    ControlError::Store {
        message: error.to_string(),
    }
}

impl BrainPort {
    /// What happened to a process around a time.
    pub(super) async fn timeline(&self, params: TimelineParams) -> Result<Value, ControlError> {
        // A process that was removed has a past, too.
        let name: ProcessName = params.name.parse().map_err(|_| ControlError::NotFound {
            target: params.name.clone(),
            near: Vec::new(),
        })?;
        let incidents = self
            .memory
            .latest_incidents(Some(name.clone()), INCIDENTS)
            .await
            .map_err(unread)?;
        let middle = match (&params.incident, params.at) {
            (Some(id), _) => {
                let digits = id.strip_prefix("inc-").unwrap_or(id);
                let wanted = digits.parse().ok().map(IncidentId);
                let found = incidents.iter().find(|one| Some(one.incident.id) == wanted);
                found
                    .map(|one| one.incident.opened)
                    .ok_or_else(|| ControlError::Unavailable {
                        what: format!("an incident `{id}` of {name}"),
                        remedy: format!("see `mhost brain history --process {name}`"),
                    })?
            }
            (None, Some(at)) => at,
            (None, None) => incidents
                .first()
                .map_or_else(|| self.facts.clock.now(), |one| one.incident.opened),
        };
        let half = SignedDuration::try_from(Duration::from_millis(params.window_ms))
            .unwrap_or(SignedDuration::MAX);
        let from = middle.checked_sub(half).unwrap_or(Timestamp::MIN);
        let to = middle.checked_add(half).unwrap_or(Timestamp::MAX);
        let mut all = self.events(&name, from, to).await?;
        let within = |at: Timestamp| at >= from && at <= to;
        for stored in incidents {
            let id = stored.incident.id;
            for step in self.memory.steps(id).await.map_err(unread)? {
                // Actions have rows of their own.
                if within(step.at) && step.kind != "acted" {
                    all.push(Entry {
                        ts: step.at,
                        kind: "incident",
                        what: format!("{id} {}", step.kind),
                        data: told(&step.kind, &step.data, &stored.incident.title),
                    });
                }
            }
            for action in self.memory.actions(id).await.map_err(unread)? {
                if within(action.action.at) {
                    all.push(Entry {
                        ts: action.action.at,
                        kind: "action",
                        what: format!("{id} {}", action.action.action.name()),
                        data: json!({
                            "gate": action.action.gate,
                            "risk": action.action.risk,
                            "by": action.action.actor,
                            "result": action.result,
                            "outcome": action.outcome,
                        }),
                    });
                }
            }
        }
        let scores = self.memory.scores(name.clone(), from).await;
        let mut last: Option<f64> = None;
        for (ts, value) in scores.map_err(unread)? {
            if within(ts) && last.is_none_or(|last| (last - value).abs() >= MOVE) {
                last = Some(value);
                all.push(Entry {
                    ts,
                    kind: "score",
                    what: format!("health {value:.0}"),
                    data: json!({ "score": value.round() }),
                });
            }
        }
        let marks: Vec<Timestamp> = all
            .iter()
            .filter(|one| matches!(one.kind, "event" | "action"))
            .map(|one| one.ts)
            .collect();
        all.extend(self.lines(&name, from, to, marks).await?);
        // What happens at one moment: the program's words first, then what mhost made of it.
        let rank = |kind: &str| match kind {
            "log" => 0,
            "event" => 1,
            "incident" => 2,
            "action" => 3,
            _ => 4,
        };
        all.sort_by_key(|one| (one.ts, rank(one.kind)));
        let rows: Vec<Value> = all
            .into_iter()
            .map(
                |one| json!({ "ts": one.ts, "kind": one.kind, "what": one.what, "data": one.data }),
            )
            .collect();
        Ok(json!({ "process": name, "from": from, "to": to, "timeline": rows }))
    }

    async fn events(
        &self,
        name: &ProcessName,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Entry>, ControlError> {
        let filter = EventFilter {
            processes: vec![name.clone()],
            since: Some(from),
            limit: EVENTS,
            ..EventFilter::default()
        };
        let events = self.facts.store.events(filter).await.map_err(unread)?;
        let within = events.into_iter().filter(|event| event.at <= to);
        Ok(within
            .map(|event| {
                let mut data = event.data;
                // They stand among the lines.
                if let Some(map) = data.as_object_mut() {
                    map.remove("last_lines");
                }
                let copy = event
                    .instance
                    .map_or_else(String::new, |copy| format!(" #{copy}"));
                Entry {
                    ts: event.at,
                    kind: "event",
                    what: format!("{}{copy}", event.kind),
                    data: json!({ "id": event.id, "by": event.actor, "data": data }),
                }
            })
            .collect())
    }

    /// Lines that sound like trouble, and those around what happened.
    async fn lines(
        &self,
        name: &ProcessName,
        from: Timestamp,
        to: Timestamp,
        mut marks: Vec<Timestamp>,
    ) -> Result<Vec<Entry>, ControlError> {
        marks.sort_unstable();
        // Moments that are close share their lines.
        marks.dedup_by(|b, a| b.duration_since(*a) < SignedDuration::from_secs(5));
        marks.truncate(40);
        let (facts, name) = (self.facts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let query = |since: Timestamp, until: Timestamp, lines: usize, grep: Option<&str>| {
                let query = LogQuery {
                    target: Some(Target::process(&name)),
                    lines,
                    since: Some(since),
                    until: Some(until),
                    grep: grep.map(str::to_owned),
                    ..LogQuery::default()
                };
                let sources = facts.registry.log_sources(&query).unwrap_or_default();
                logs::query(&facts.paths, &sources, &query)
                    .map_or_else(|_| Vec::new(), |page| page.lines)
            };
            let mut all = query(from, to, TROUBLE, Some(TROUBLED));
            for mark in marks {
                let begin = mark.checked_sub(NEAR).unwrap_or(from).max(from);
                let end = mark.checked_add(NEAR).unwrap_or(to).min(to);
                all.extend(query(begin, mark, BEFORE, None));
                let mut after = query(mark, end, 500, None);
                after.truncate(AFTER);
                all.extend(after);
            }
            all.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
            all.dedup_by(|a, b| a.id == b.id);
            all
        });
        let lines = read.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
        Ok(lines
            .into_iter()
            .map(|line| Entry {
                ts: line.ts,
                kind: "log",
                what: line.message.chars().take(LINE).collect(),
                data: json!({ "id": line.id }),
            })
            .collect())
    }
}

/// The one thing that a step of a story says.
fn told(kind: &str, data: &Value, title: &str) -> Value {
    match kind {
        "opened" => json!({ "title": title }),
        "diagnosed" => json!({
            "playbook": data["playbook"], "cause": data["cause"], "took_ms": data["took_ms"],
        }),
        "gate" => {
            json!({ "risk": data["risk"], "level": data["level"], "decision": data["decision"] })
        }
        _ => data.clone(),
    }
}
