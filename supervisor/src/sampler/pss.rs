//! When the pages of a tree are shared out, which is only done where it is cheap.
//!
//! The kernel walks all pages of a process for it. So few trees are looked at in one pass,
//! the one that waits longest first; one whose size is as before waits longer; and a large
//! one is never looked at.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::TreeSample;
use crate::sys::tree::Key;

/// A tree that uses more is not looked at: it would take milliseconds.
const LARGE: u64 = 256 << 20;
/// So many processes are looked at in a pass.
const PROCESSES: u32 = 8;
/// So many resident bytes are walked in a pass.
const BYTES: u64 = LARGE;
/// A tree that has grown or shrunk is looked at again after this time.
const CHANGED: Duration = Duration::from_secs(60);
/// One that has not is looked at again after this time: others may share more or less.
const SAME: Duration = Duration::from_secs(600);

/// The last look at the pages of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct PssLook {
    at: Instant,
    /// What it used then, with shared pages counted in full.
    rss_bytes: u64,
    bytes: u64,
}

impl PssLook {
    pub(super) fn new(at: Instant, rss_bytes: u64, bytes: u64) -> Self {
        Self {
            at,
            rss_bytes,
            bytes,
        }
    }

    /// The figure, while it is still about right for a tree of this size.
    pub(super) fn bytes(&self, rss_bytes: u64) -> Option<u64> {
        (rss_bytes <= LARGE).then_some(self.bytes.min(rss_bytes))
    }
}

/// The trees whose pages are shared out in this pass.
pub(super) fn due(
    trees: impl Iterator<Item = (Key, TreeSample, Option<PssLook>)>,
    now: Instant,
) -> HashSet<Key> {
    let mut waiting: Vec<(Option<Instant>, Key, TreeSample)> = trees
        .filter(|(_, sample, look)| sample.rss_bytes <= LARGE && is_due(sample, *look, now))
        .map(|(leader, sample, look)| (look.map(|look| look.at), leader, sample))
        .collect();
    waiting.sort_unstable_by_key(|(at, leader, _)| (*at, *leader));
    let (mut processes, mut bytes) = (0, 0);
    waiting
        .into_iter()
        .take_while(|(_, _, sample)| {
            // The first is taken in any case.
            let fits = processes == 0
                || (processes + sample.processes <= PROCESSES && bytes + sample.rss_bytes <= BYTES);
            processes += sample.processes;
            bytes += sample.rss_bytes;
            fits
        })
        .map(|(_, leader, _)| leader)
        .collect()
}

fn is_due(sample: &TreeSample, look: Option<PssLook>, now: Instant) -> bool {
    let Some(look) = look else {
        return true;
    };
    let age = now.saturating_duration_since(look.at);
    age >= SAME || (age >= CHANGED && look.rss_bytes != sample.rss_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::run::tests::tree_sample;

    fn tree(pid: i32, mib: u64, look: Option<PssLook>) -> (Key, TreeSample, Option<PssLook>) {
        ((pid, 1), tree_sample(mib << 20, 1), look)
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_looked_at_and_the_oldest_first() {
        let start = Instant::now();
        let now = start + Duration::from_secs(1_000);
        let look = |age: u64| Some(PssLook::new(now - Duration::from_secs(age), 1 << 20, 9));
        let many = (0..40).map(|pid| tree(pid, 1, look(700 + u64::from(pid.unsigned_abs()))));
        let chosen = due(many, now);
        assert_eq!(chosen.len() as u32, PROCESSES);
        assert!(chosen.contains(&(39, 1)) && !chosen.contains(&(0, 1)));
        // New ones come before all others, a large one never does.
        let mixed = [
            tree(1, 1, look(700)),
            tree(2, 200, None),
            tree(3, 300, None),
        ];
        assert_eq!(due(mixed.into_iter(), now), HashSet::from([(1, 1), (2, 1)]));
        let two = [tree(1, 200, None), tree(2, 200, None)];
        assert_eq!(due(two.into_iter(), now).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_the_same_waits_longer() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let table = [
            (30, 1, false),
            (90, 1, false),
            (90, 2, true),
            (601, 1, true),
        ];
        for (age, mib, wanted) in table {
            let look = PssLook::new(now - Duration::from_secs(age), 1 << 20, 9);
            let chosen = due([tree(1, mib, Some(look))].into_iter(), now);
            assert_eq!(!chosen.is_empty(), wanted, "{age} s, {mib} MiB");
        }
    }
}
