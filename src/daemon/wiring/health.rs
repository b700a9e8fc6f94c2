//! Watches how well every process does: keeps the scores, and tells when one gets low.
//!
//! ```text
//!   every 5 s:  what is not plainly well, and a twelfth of the rest ──► score ──► thresholds
//!   every 60 s: the newest scores ──► history.db; one quiet process ──► a window for backtests
//! ```
//!
//! So a process in trouble is scored each five seconds and every one at least each minute,
//! whatever their number: a thousand processes cost 84 scores a round.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agent::AgentHandle;
use brain::{
    BrainStore, Facts, Incident, LOW, LowWatch, Recording, Score, Snapshot, VERY_LOW, score,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use supervisor::{Clock, EventKind, NewEvent, ProcessName, RegistryHandle};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::learning::Learning;
use crate::daemon::proof;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(5);
/// Rounds until everything was scored once.
const ROUNDS: usize = 12;
/// A score that did not move is written this often.
const UNMOVED: SignedDuration = SignedDuration::from_mins(15);
/// Less is no move.
const MOVE: f64 = 0.5;
/// A score from which a process counts as quiet.
const QUIET: f64 = 80.0;
/// What was told before is told again.
const TOLD: Duration = Duration::from_secs(24 * 3_600);
/// How long everything is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The watch and what it holds.
pub(super) struct HealthWatch {
    pub(super) registry: RegistryHandle,
    pub(super) facts: Arc<dyn Facts>,
    pub(super) memory: BrainStore,
    pub(super) agent: AgentHandle,
    pub(super) learning: Arc<Learning>,
    pub(super) clock: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    score: Score,
    written: Option<(Timestamp, f64)>,
}

impl HealthWatch {
    /// Runs until it is cancelled.
    pub(super) async fn run(self, token: CancellationToken) {
        let mut watches: BTreeMap<ProcessName, LowWatch> = BTreeMap::new();
        let mut known: BTreeMap<ProcessName, Known> = BTreeMap::new();
        let mut round = 0_usize;
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
            next = self.clock.beat(ROUND);
            if round == 0 {
                // What has just been started has some seconds before it is judged.
                next += ROUND;
            }
            round = round.wrapping_add(1);
            let (facts, registry) = (self.facts.clone(), self.registry.clone());
            let scored = tokio::task::spawn_blocking(move || {
                scores(
                    facts.as_ref(),
                    registry.names(),
                    &registry.troubled(),
                    round,
                )
            });
            let scored = scored.await;
            let Ok((names, scored)) = scored else {
                continue;
            };
            watches.retain(|name, _| names.binary_search(name).is_ok());
            known.retain(|name, _| names.binary_search(name).is_ok());
            for (name, score) in scored {
                let Some(score) = score else {
                    known.remove(&name);
                    continue;
                };
                let watch = match watches.entry(name.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.recalled(&name).await),
                };
                // One that comes up looks well and may not be: it is low until that is known.
                if watch.is_low()
                    && score.value >= f64::from(LOW)
                    && proof::is_wanting(&self.registry, &name)
                {
                    continue;
                }
                if let Some(below) = watch.fell_below(score.value) {
                    self.tell(&name, score, below).await;
                }
                let written = known.get(&name).and_then(|one| one.written);
                known.insert(name, Known { score, written });
            }
            if round.is_multiple_of(ROUNDS) {
                self.keep(&mut known).await;
                self.quiet(&known, round / ROUNDS).await;
                let learning = self.learning.clone();
                if let Err(error) = tokio::task::spawn_blocking(move || learning.recheck()).await {
                    warn!(%error, "Learned playbooks could not be checked.");
                }
            }
            // Once an hour, and soon after the start.
            if round % (ROUNDS * 60) == ROUNDS {
                let before = self.clock.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN);
                if let Err(error) = self.memory.forget(before).await {
                    warn!(%error, "Old history could not be removed.");
                }
            }
        }
    }

    /// What the daemons before this one told of a process.
    async fn recalled(&self, name: &ProcessName) -> LowWatch {
        let (facts, memory, process) = (self.facts.clone(), self.memory.clone(), name.clone());
        let recalled = tokio::task::spawn_blocking(move || {
            let of = |kind| facts.events(&process, Some(kind), TOLD);
            let deleted = of(EventKind::Deleted).last().map(|event| event.id);
            let told = of(EventKind::HealthScoreLow).into_iter();
            let told: Vec<(Timestamp, u8)> = told
                .filter(|event| Some(event.id) > deleted)
                .filter_map(|event| {
                    let below = event.data["below"].as_u64()?;
                    Some((event.at, u8::try_from(below).ok()?))
                })
                .collect();
            let Some((since, _)) = told.first().copied() else {
                return LowWatch::default();
            };
            let scores = memory.scores(process, since).wait().unwrap_or_default();
            LowWatch::recalled(told, scores)
        });
        recalled.await.unwrap_or_default()
    }

    /// Records that a score got low; very low wakes the agent.
    async fn tell(&self, name: &ProcessName, score: Score, below: u8) {
        let event = NewEvent {
            at: self.clock.now(),
            process: name.clone(),
            instance: None,
            kind: EventKind::HealthScoreLow,
            data: json!({
                "score": score.value.round(),
                "below": below,
                "crash": score.crash.round(),
                "probe": score.probe.round(),
                "memory": score.memory.round(),
                "cpu": score.cpu.round(),
            }),
            actor: "system".into(),
        };
        if let Err(error) = self.registry.record(event).await {
            warn!(process = %name, %error, "A low score could not be recorded.");
        }
        if below == VERY_LOW {
            self.agent.nudge();
        }
    }

    /// Writes what moved.
    async fn keep(&self, known: &mut BTreeMap<ProcessName, Known>) {
        let now = self.clock.now();
        let mut rows = Vec::new();
        for (name, one) in known {
            let moved = one.written.is_none_or(|(at, value)| {
                (value - one.score.value).abs() >= MOVE || now.duration_since(at) >= UNMOVED
            });
            if moved {
                rows.push((name.clone(), one.score));
                one.written = Some((now, one.score.value));
            }
        }
        if let Err(error) = self.memory.keep_scores(now, rows).await {
            warn!(%error, "Scores could not be recorded.");
        }
    }

    /// Keeps what one process looks like while nothing is wrong with it, in turns.
    async fn quiet(&self, known: &BTreeMap<ProcessName, Known>, turn: usize) {
        let open = self.agent.open_incidents();
        let quiet: Vec<&ProcessName> = known
            .iter()
            .filter(|(name, one)| {
                one.score.value >= QUIET && open.iter().all(|incident| incident.process != **name)
            })
            .map(|(name, _)| name)
            .collect();
        // The same process again and again says nothing new: each at most every half hour.
        let places = quiet.len().max(30);
        let Some(name) = quiet.get(turn % places).map(|name| (*name).clone()) else {
            return;
        };
        let (facts, memory) = (self.facts.clone(), self.memory.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let seen = Snapshot::take(facts.as_ref(), &name)?;
            let mut recording = Recording::new(facts.now());
            recording.symptoms = Incident::look(name.clone(), recording.now).symptoms;
            recording.seen = Some(seen);
            Some(memory.keep_window(name, recording).wait())
        });
        if let Ok(Some(Err(error))) = kept.await {
            warn!(%error, "A quiet window could not be recorded.");
        }
    }
}

/// All names, and the scores of this round.
fn scores(
    facts: &dyn Facts,
    mut names: Vec<ProcessName>,
    troubled: &BTreeSet<ProcessName>,
    round: usize,
) -> (Vec<ProcessName>, Vec<(ProcessName, Option<Score>)>) {
    names.sort();
    let due = names
        .iter()
        .enumerate()
        .filter(|(index, name)| (index + round).is_multiple_of(ROUNDS) || troubled.contains(*name));
    let scored = due
        .map(|(_, name)| (name.clone(), score(facts, name)))
        .collect();
    (names, scored)
}
