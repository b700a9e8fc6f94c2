//! What the brain and the agent have for Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use brain::{BrainStore, Facts};
use supervisor::ProcessName;
use tokio::time::Instant;
use tracing::warn;

use super::facts::LiveFacts;
use crate::daemon::metrics::{Contributor, Exposition, Kind};

/// Scores are not reckoned more often, whoever asks.
const FRESH: Duration = Duration::from_secs(10);

type Scores = Vec<(ProcessName, f64)>;

/// Figures of the brain and the agent.
pub(super) struct BrainFigures {
    facts: Arc<LiveFacts>,
    memory: BrainStore,
    scores: tokio::sync::Mutex<Option<(Instant, Scores)>>,
    runs: Mutex<Rising<[String; 2]>>,
    actions: Mutex<Rising<[String; 3]>>,
}

impl BrainFigures {
    pub(super) fn new(facts: Arc<LiveFacts>, memory: BrainStore) -> Self {
        Self {
            facts,
            memory,
            scores: tokio::sync::Mutex::default(),
            runs: Mutex::default(),
            actions: Mutex::default(),
        }
    }

    async fn scores(&self) -> Scores {
        // Held while they are reckoned: who comes meanwhile gets the same.
        let mut kept = self.scores.lock().await;
        if let Some((at, scores)) = &*kept
            && at.elapsed() < FRESH
        {
            return scores.clone();
        }
        let facts = self.facts.clone();
        let reckoned = tokio::task::spawn_blocking(move || {
            let names = facts.processes().into_iter();
            let score = |name: ProcessName| {
                let score = brain::score(facts.as_ref(), &name)?;
                Some((name, score.value.round()))
            };
            names.filter_map(score).collect::<Scores>()
        });
        let scores = reckoned.await.unwrap_or_default();
        *kept = Some((Instant::now(), scores.clone()));
        scores
    }
}

#[async_trait]
impl Contributor for BrainFigures {
    async fn contribute(&self, page: &mut Exposition) {
        let scores = self.scores().await;
        page.family(
            "mhost_process_health_score",
            Kind::Gauge,
            "Health of the process, 0 to 100.",
        );
        for (name, score) in &scores {
            page.figure(&[("name", name.as_str())], *score);
        }
        match self.memory.playbook_stats().await {
            Ok(stats) => {
                let counts = stats.iter().flat_map(|one| {
                    let of = |outcome: &str| [one.playbook.0.clone(), outcome.to_owned()];
                    [(of("ok"), one.ok), (of("failed"), one.failed)]
                });
                let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
                runs.see(counts);
                page.family(
                    "mhost_playbook_runs_total",
                    Kind::Counter,
                    "Runs of playbooks whose outcome is known.",
                );
                runs.show(["playbook", "outcome"], page);
            }
            Err(error) => warn!(%error, "The runs of playbooks could not be counted."),
        }
        match self.memory.action_counts().await {
            Ok(counts) => {
                let counts = counts
                    .into_iter()
                    .map(|one| ([one.action, one.gate, one.outcome], one.count));
                let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
                actions.see(counts);
                page.family(
                    "mhost_agent_actions_total",
                    Kind::Counter,
                    "Actions of the agent and of playbooks whose outcome is known.",
                );
                actions.show(["action", "decision", "outcome"], page);
            }
            Err(error) => warn!(%error, "Actions could not be counted."),
        }
    }
}

/// Counts that never fall, from rows of which old ones are forgotten.
#[derive(Debug)]
struct Rising<K> {
    /// What was seen last, and what is shown.
    counts: BTreeMap<K, (u64, u64)>,
}

impl<K> Default for Rising<K> {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
        }
    }
}

impl<const N: usize> Rising<[String; N]> {
    fn see(&mut self, counts: impl IntoIterator<Item = ([String; N], u64)>) {
        for (key, seen) in counts {
            let (last, shown) = self.counts.entry(key).or_default();
            *shown += seen.saturating_sub(*last);
            *last = seen;
        }
    }

    fn show(&self, labels: [&str; N], page: &mut Exposition) {
        for (key, (_, shown)) in &self.counts {
            let values = key.iter().map(String::as_str);
            let labels: Vec<(&str, &str)> = labels.iter().copied().zip(values).collect();
            page.figure(&labels, *shown as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_does_not_fall() {
        let mut rising = Rising::<[String; 1]>::default();
        for seen in [3, 5, 2, 4] {
            rising.see([(["x".to_owned()], seen)]);
        }
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "A.");
        rising.show(["k"], &mut page);
        assert!(page.finish().ends_with("a_total{k=\"x\"} 7\n"));
    }
}
