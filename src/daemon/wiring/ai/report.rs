//! `ai.report`: some hours of everything, as Markdown.

use agent::Act;
use brain::numbers::advice::Hint;
use brain::numbers::digest::{
    ActionRow, Digest, ErrorRow, IncidentRow, NotDone, ProcessRow, availability, was_carried_out,
};
use brain::prompts::Purpose;
use brain::{Facts, HistoryFilter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;
use supervisor::logs::Level;
use supervisor::{ControlError, EventKind, ProcessName, Status};

use super::AiPort;
use super::readings::before;
use super::tell::{Manner, Task, attach, for_document};
use crate::daemon::hearer::Hearer;
use crate::daemon::port::invalid;

/// How far back when nobody says.
const SINCE: std::time::Duration = std::time::Duration::from_secs(86_400);
/// Incidents that are told.
const INCIDENTS: u32 = 500;
/// Error lines of one process, and of all.
const ERRORS: usize = 5;
const ALL_ERRORS: usize = 15;
/// Hints beyond this bury the others.
const HINTS: usize = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReportParams {
    since: Option<Timestamp>,
    /// IANA name of the reader's time zone.
    zone: Option<String>,
}

impl AiPort {
    /// The report of a model's words and our figures; without a model of ours alone.
    pub(super) async fn report(
        &self,
        params: ReportParams,
        manner: Manner,
    ) -> Result<serde_json::Value, ControlError> {
        let zone = match params.zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| invalid(format!("ai.report: `{name}` is no time zone")))?,
        };
        let digest = self.digest(params.since).await?;
        let task = Task::prose(
            Purpose::Report,
            None,
            vec![
                ("summary", digest.summary().join("\n")),
                ("record", json!(digest).to_string()),
            ],
        );
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        // A document shows texts in a form of its own: what goes into it is looked through.
        let digest: Digest = self.looked_through(&digest).await?;
        let mut local = json!({ "digest": digest, "markdown": digest.markdown(None, &zone) });
        let hearer = Hearer::current();
        self.tell_found(&hearer, &local).await?;
        let words = self.words(&task, manner, &hearer).await;
        if let Ok(reply) = &words {
            local["markdown"] = json!(digest.markdown(Some(&for_document(reply)), &zone));
        }
        attach(&mut local, words);
        Ok(local)
    }

    async fn digest(&self, since: Option<Timestamp>) -> Result<Digest, ControlError> {
        let to = self.clock.now();
        let from = since.unwrap_or_else(|| before(to, SINCE));
        if from >= to {
            return Err(invalid("ai.report: it would begin in the future".into()));
        }
        let mut digest = Digest {
            from,
            to,
            host: host(),
            processes: Vec::new(),
            incidents: Vec::new(),
            actions: Vec::new(),
            errors: Vec::new(),
            recommendations: Vec::new(),
        };
        self.incidents_of(&mut digest).await?;
        for name in self.registry.names() {
            self.process_of(&mut digest, &name).await?;
        }
        digest
            .errors
            .sort_by_key(|error| std::cmp::Reverse(error.count));
        digest.errors.truncate(ALL_ERRORS);
        digest.recommendations = self.to_do(&digest).await?;
        Ok(digest)
    }

    async fn incidents_of(&self, digest: &mut Digest) -> Result<(), ControlError> {
        let filter = HistoryFilter {
            process: None,
            since: Some(digest.from),
            limit: INCIDENTS,
        };
        for entry in self.agent.history(filter).await? {
            let done = entry.actions.iter().filter(|act| act.action != "observe");
            digest.actions.extend(done.clone().map(|act| ActionRow {
                at: act.ts,
                process: act.target.to_string(),
                action: act.action.clone(),
                by: act.by.clone(),
                result: became(act),
            }));
            let (done, not_done): (Vec<_>, Vec<_>) = done
                .partition(|act| was_carried_out(&act.result) && !act.result.starts_with("failed"));
            digest.incidents.push(IncidentRow {
                id: entry.incident,
                process: entry.process.to_string(),
                opened: entry.ts,
                closed: entry.closed,
                trigger: entry.trigger,
                cause: entry.cause,
                done: done.iter().map(|act| act.action.clone()).collect(),
                not_done: not_done
                    .iter()
                    .map(|act| NotDone {
                        action: act.action.clone(),
                        result: act.result.clone(),
                    })
                    .collect(),
                outcome: entry.outcome,
                by: entry.by,
                escalated: entry.escalated,
                victims: entry
                    .victims
                    .iter()
                    .map(|one| one.process.to_string())
                    .collect(),
            });
        }
        digest.incidents.sort_by_key(|one| one.opened);
        digest.actions.sort_by_key(|one| one.at);
        Ok(())
    }

    async fn process_of(
        &self,
        digest: &mut Digest,
        name: &ProcessName,
    ) -> Result<(), ControlError> {
        let (facts, of) = (self.facts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let process = facts.process(&of)?;
            Some((brain::score(facts.as_ref(), &of), process))
        });
        let Some((score, process)) = read.await.ok().flatten() else {
            return Ok(());
        };
        let span = (digest.from, digest.to);
        let events = self.events(name, &[], span).await?;
        let up = process
            .instances
            .iter()
            .filter(|one| one.state == Status::Online)
            .count();
        let wanted = if process.wanted {
            process.instances.len()
        } else {
            0
        };
        let time = availability(&events, span, (up, wanted.saturating_sub(up)));
        let of = |kind| events.iter().filter(|event| event.kind == kind).count() as u64;
        digest.processes.push(ProcessRow {
            name: name.to_string(),
            is_down: process.held || process.state == Status::Errored,
            state: process.detail,
            uptime: time.share(),
            down_s: time.down_s,
            wanted_s: time.up_s + time.down_s,
            copies: process.instances.len() as u64,
            crashes: of(EventKind::Crash),
            restarts: of(EventKind::Restart),
            score: score.map(|score| score.value),
        });
        let errors = self.kinds(name, Some(Level::Error), span).await?;
        digest
            .errors
            .extend(errors.into_iter().take(ERRORS).map(|one| ErrorRow {
                process: one.process.to_string(),
                pattern: one.pattern,
                count: one.count,
                last: one.last,
            }));
        Ok(())
    }

    /// What is left to do: first what waits for a person, then what would have helped.
    async fn to_do(&self, digest: &Digest) -> Result<Vec<Hint>, ControlError> {
        let mut all: Vec<Hint> = Vec::new();
        for one in digest.incidents.iter().rev() {
            let Ok(process) = one.process.parse::<ProcessName>() else {
                continue;
            };
            let is_down = |row: &ProcessRow| row.name == one.process && row.is_down;
            let down = digest.processes.iter().any(is_down);
            let waits = (one.escalated || down) && one.closed.is_none();
            if !waits || all.iter().any(|hint| hint.process == process) {
                continue;
            }
            all.push(Hint {
                weight: "high".into(),
                what: "mend what mhost could not".into(),
                why: one
                    .cause
                    .clone()
                    .unwrap_or_else(|| format!("{} is not over", one.id)),
                how: format!("mhost ai diagnose {process}"),
                process,
            });
        }
        let named = all.len();
        let names = self.registry.names();
        for hint in self.hints(&names).await? {
            if all.len() < HINTS + named && !all.iter().any(|one| one.how == hint.how) {
                all.push(hint);
            }
        }
        Ok(all)
    }
}

/// The name of this machine.
fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        "this machine".into()
    } else {
        name
    }
}

/// What became of an action: the measurement counts for what ran to heal. That somebody was
/// told, or that the process is held, is done when it is done.
fn became(act: &Act) -> String {
    let says = matches!(act.action.as_str(), "notify" | "escalate" | "log_incident");
    let holds = act.action == "halt" && act.outcome.as_deref() == Some("success");
    let measured = act
        .outcome
        .as_ref()
        .filter(|_| act.result == "done" && !says && !holds);
    measured.unwrap_or(&act.result).clone()
}
