//! How much the trees of all instances use: one task, one pass over `/proc` for everybody.
//!
//! ```text
//!   every 5 s   all of /proc ──► group: whose is it? ──► run: a sample ──► ring, breach
//!   100 ms–1 s  trees with a limit, by their known members ──┘  │
//!                                     io, descriptors, pss: seldom
//! ```
//!
//! Every 5 s, or as often as it is set, all of `/proc` is read once and every process given to the tree it belongs to:
//! by its line of parents, by its session, or because it was seen in that tree before. In
//! between only the trees that have a memory limit are read, by their known members and what
//! those have started: each second, and more often what is about to reach it. Where no leader has run since the pass before, nobody
//! else is read. What a pass sees is remembered for the launcher, so
//! that a process can be ended with its tree after it has cut all its ties.
//!
//! The same pass collects zombies that nobody waits for. It decides nothing: a tree above
//! its limit is told to whoever watches it.
//!
//! It is one piece although it is long: all of it is about the one table of what is watched.

mod group;
mod io;
mod leader;
mod limit;
mod look;
mod pss;
mod ring;
mod run;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::state::ProcessRef;
use crate::sys::census::Census;
use crate::sys::proc_scan::{self, Stat};
use crate::sys::tree::{self, Key};
use crate::sys::usage;
use crate::tasks::Tasks;
use crate::units::ByteSize;
use leader::Leader;
use look::Look;
use pss::PssLook;
use ring::Ring;
use run::Run;

/// Time between two passes over everything, unless another is set.
const SLOW: Duration = Duration::from_secs(5);
/// So long samples are kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// What a tree uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TreeSample {
    /// When it was looked at.
    pub at: Timestamp,
    /// Of one core, since the sample before.
    pub cpu_percent: f64,
    /// Resident memory of all its processes; shared pages count for each.
    pub rss_bytes: u64,
    /// The same with shared pages divided among all that share them, as of the last minutes.
    /// Known of trees of which it can be found out cheaply.
    pub pss_bytes: Option<u64>,
    /// Read from storage since the sample before. What a process without CPU use has read is
    /// counted up to 20 s late.
    pub read_bytes_per_second: Option<u64>,
    /// Written to it.
    pub written_bytes_per_second: Option<u64>,
    /// Open descriptors of the leader, counted within the last 20 s.
    pub fds: u64,
    /// Threads of all its processes.
    pub threads: u64,
    /// Living processes, with the leader.
    pub processes: u32,
    /// Exited processes that their parent has not collected.
    pub zombies: u32,
}

/// A tree has passed its memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBreach {
    /// What it uses.
    pub rss_bytes: u64,
    /// What it may use.
    pub limit_bytes: u64,
}

/// Samples the trees of all watched instances. Clones are the same sampler.
#[derive(Debug, Clone)]
pub struct Sampler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    watched: Mutex<BTreeMap<InstanceId, Watched>>,
    /// All other processes, as of former passes.
    census: Mutex<Census>,
    /// Time between two passes over everything.
    interval: watch::Sender<Duration>,
    limits_changed: Notify,
    /// Samples of trees that were not at rest.
    stirs: watch::Sender<u64>,
}

#[derive(Debug)]
struct Watched {
    /// `None` between two runs. Boxed, since the map has room for more than it holds.
    run: Option<Box<Run>>,
    ring: Ring,
    /// So many of the newest samples were not taken by [`Sampler::take_new`].
    new: u16,
}

impl Sampler {
    /// Starts the task that samples.
    pub fn start(tasks: &Tasks, clock: &Clock) -> Self {
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            watched: Mutex::default(),
            census: Mutex::default(),
            interval: watch::Sender::new(SLOW),
            limits_changed: Notify::new(),
            stirs: watch::Sender::new(0),
        });
        let task = shared.clone();
        let cancel = tasks.token();
        tasks.spawn("sampler", async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task.sample_for_ever() => {}
            }
        });
        Self { shared }
    }

    /// Lets this time pass between two looks at everything from now on.
    pub fn set_interval(&self, interval: Duration) {
        self.shared.interval.send_if_modified(|known| {
            let changes = *known != interval;
            *known = interval;
            changes
        });
    }

    /// Samples the tree of this run from now on, in place of a former run of the instance.
    /// A breach of `limit` is sent at once when it is above 120 %, after 150 ms when it still
    /// grows, and else when it lasts for a second; again after as long.
    pub fn watch(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        limit: Option<ByteSize>,
        breach: Option<mpsc::Sender<MemoryBreach>>,
    ) {
        let run = Run::new(process, limit, breach);
        let limited = run.limit.is_some();
        let mut watched = self.shared.watched();
        let before = watched.remove(instance);
        let (ring, new) = before.map_or_else(Default::default, |before| (before.ring, before.new));
        watched.insert(
            instance.clone(),
            Watched {
                run: Some(Box::new(run)),
                ring,
                new,
            },
        );
        drop(watched);
        if limited {
            self.shared.limits_changed.notify_one();
        }
    }

    /// The run is over. Its samples stay for as long as others.
    pub fn unwatch(&self, instance: &InstanceId) {
        if let Some(watched) = self.shared.watched().get_mut(instance) {
            watched.run = None;
        }
    }

    /// The newest sample of the present run.
    pub fn latest(&self, instance: &InstanceId) -> Option<TreeSample> {
        self.shared.watched().get(instance)?.run.as_ref()?.latest
    }

    /// The instances whose newest sample is such. One pass, without a look at anything.
    pub fn select(&self, such: impl Fn(&TreeSample) -> bool) -> Vec<InstanceId> {
        let watched = self.shared.watched();
        let newest = watched.iter().filter_map(|(instance, watched)| {
            let sample = watched.run.as_deref()?.latest?;
            such(&sample).then(|| instance.clone())
        });
        newest.collect()
    }

    /// So many samples were of trees that had done something since the one before.
    pub fn stirs(&self) -> u64 {
        *self.shared.stirs.borrow()
    }

    /// Changes with it.
    pub fn stirring(&self) -> watch::Receiver<u64> {
        self.shared.stirs.subscribe()
    }

    /// Bytes that the present run has read from storage and written to it, with its children.
    /// `None` when the daemon may not know, or does not know yet.
    pub fn transferred(&self, instance: &InstanceId) -> Option<(u64, u64)> {
        let watched = self.shared.watched();
        let total = watched.get(instance)?.run.as_ref()?.io_total()?;
        Some((total.read, total.written))
    }

    /// The samples of all instances that came since this was last asked, oldest first, as far
    /// as they are still kept. By number and not by time, so that a clock may jump.
    pub fn take_new(&self) -> Vec<(InstanceId, Vec<TreeSample>)> {
        let mut watched = self.shared.watched();
        watched
            .iter_mut()
            .filter(|(_, watched)| watched.new > 0)
            .map(|(instance, watched)| {
                let new = usize::from(std::mem::take(&mut watched.new));
                let known = watched.ring.len().saturating_sub(new);
                let samples = watched.ring.iter().skip(known);
                (instance.clone(), samples.collect())
            })
            .collect()
    }

    /// The samples of the last `window`, oldest first; 10 minutes are kept.
    pub fn window(&self, instance: &InstanceId, window: Duration) -> Vec<TreeSample> {
        let window = SignedDuration::try_from(window).unwrap_or(KEPT);
        let from = self.shared.clock.now().checked_sub(window);
        let from_ms = from.map_or(i64::MIN, Timestamp::as_millisecond);
        let watched = self.shared.watched();
        let ring = watched.get(instance).map(|watched| &watched.ring);
        ring.into_iter()
            .flat_map(Ring::iter)
            .filter(|sample| sample.at.as_millisecond() >= from_ms)
            .collect()
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next tree with a limit is to be looked at.
    fn next_limited(&self) -> Option<Instant> {
        let watched = self.watched();
        let runs = watched
            .values()
            .filter_map(|watched| watched.run.as_deref());
        runs.filter_map(Run::due).min()
    }

    async fn sample_for_ever(self: Arc<Self>) {
        let mut interval = self.interval.subscribe();
        let slow = || *self.interval.borrow();
        let mut next_slow = self.clock.beat(slow());
        // A slow machine is not made slower by looks without a pause.
        let mut soonest = Instant::now();
        loop {
            let limited = self.next_limited().map(|due| due.max(soonest));
            let next = limited.map_or(next_slow, |due| due.min(next_slow));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.limits_changed.notified() => continue,
                // Never fails: the sender is ours.
                _ = interval.changed() => {
                    next_slow = self.clock.beat(slow());
                    continue;
                }
            }
            let now = Instant::now();
            let everything = now >= next_slow;
            let shared = self.clone();
            let pass = move || {
                if everything {
                    shared.look_at_everything(now);
                    crate::sys::collect_strays();
                } else {
                    shared.look_at_limited(now);
                }
            };
            if tokio::task::spawn_blocking(pass).await.is_err() {
                tracing::error!("A pass over the processes failed.");
            }
            let done = Instant::now();
            soonest = done + done.saturating_duration_since(now).max(limit::NEAR);
            if everything {
                next_slow = self.clock.beat(slow());
            }
        }
    }

    fn look_at_everything(&self, now: Instant) {
        let looks = self.looks();
        let leaders: Vec<Option<Leader>> = looks.iter().map(|look| look.read(now)).collect();
        let share_out = self.due_for_pss(now);
        let record = |look: &Look, read: Leader, members: &[Stat]| {
            let pss = share_out.contains(&look.leader).then(|| pss_of(members));
            self.record(&look.instance, read, members, pss.flatten(), now);
        };
        if leaders.iter().flatten().all(|leader| leader.rests) {
            // Who has not run has started nobody: all trees are what they were, and nobody
            // else has to be read.
            for (look, read) in looks.iter().zip(leaders) {
                if let Some(read) = read {
                    record(look, read, &[read.stat]);
                }
            }
        } else {
            let all = self.census(leaders.iter().flatten().map(|leader| leader.stat));
            let mut trees = group::group(&looks, &all);
            for (look, read) in looks.iter().zip(leaders) {
                let members = trees.remove(&look.leader).unwrap_or_default();
                tree::retain(look.leader, |key| {
                    all.get(&key.0).is_some_and(|stat| stat.key() == key)
                });
                if let Some(read) = read {
                    record(look, read, &members);
                }
            }
        }
        let oldest = self.clock.now().checked_sub(KEPT);
        let oldest_ms = oldest.map_or(i64::MIN, Timestamp::as_millisecond);
        self.watched().retain(|_, watched| {
            watched.run.is_some()
                || watched
                    .ring
                    .last_ms()
                    .is_some_and(|last_ms| last_ms >= oldest_ms)
        });
    }

    /// All processes, those of watched trees as they are now.
    fn census(&self, leaders: impl Iterator<Item = Stat>) -> HashMap<i32, Stat> {
        let mut read: HashMap<i32, Stat> = leaders.map(|stat| (stat.pid, stat)).collect();
        let others: Vec<i32> = {
            let watched = self.watched();
            let runs = watched
                .values()
                .filter_map(|watched| watched.run.as_deref());
            let members = runs.flat_map(Run::members).map(|(pid, _)| pid);
            members.filter(|pid| !read.contains_key(pid)).collect()
        };
        read.extend(
            others
                .into_iter()
                .filter_map(|pid| Some((pid, proc_scan::stat(pid)?))),
        );
        let mut census = self.census.lock().unwrap_or_else(PoisonError::into_inner);
        census.take(read)
    }

    fn look_at_limited(&self, now: Instant) {
        for look in self.due_looks(now) {
            let Some(read) = look.read(now) else { continue };
            let Look { instance, .. } = look;
            if read.rests {
                self.record(&instance, read, &[read.stat], None, now);
                continue;
            }
            let mut members = members(self.known_members(&instance), read.stat);
            // What they have started since; a thread's children wait for the next full pass.
            let mut seen: HashSet<i32> = members.iter().map(|stat| stat.pid).collect();
            let mut at = 0;
            while let Some(parent) = members.get(at) {
                for child in proc_scan::children_of_main_thread(parent.pid)
                    .into_iter()
                    .flatten()
                {
                    if seen.insert(child) {
                        members.extend(proc_scan::stat(child));
                    }
                }
                at += 1;
            }
            self.record(&instance, read, &members, None, now);
        }
    }

    fn due_for_pss(&self, now: Instant) -> HashSet<Key> {
        let watched = self.watched();
        let runs = watched
            .values()
            .filter_map(|watched| watched.run.as_deref());
        let trees = runs.filter_map(|run| Some((run.leader, run.latest?, run.pss)));
        pss::due(trees, now)
    }

    fn looks(&self) -> Vec<Look> {
        let watched = self.watched();
        let runs = watched
            .iter()
            .filter_map(|(instance, watched)| Some((instance, watched.run.as_deref()?)));
        runs.map(|(instance, run)| Look::new(instance, run))
            .collect()
    }

    /// Of the trees whose limit asks for a look now.
    fn due_looks(&self, now: Instant) -> Vec<Look> {
        let mut looks = Vec::new();
        for (instance, watched) in self.watched().iter_mut() {
            if let Some(run) = watched.run.as_deref_mut()
                && run.due().is_some_and(|due| due <= now)
            {
                run.postpone(now);
                looks.push(Look::new(instance, run));
            }
        }
        looks
    }

    fn known_members(&self, instance: &InstanceId) -> BTreeSet<Key> {
        let watched = self.watched();
        let run = watched
            .get(instance)
            .and_then(|watched| watched.run.as_deref());
        run.into_iter().flat_map(Run::members).collect()
    }

    fn record(
        &self,
        instance: &InstanceId,
        read: Leader,
        members: &[Stat],
        pss: Option<u64>,
        now: Instant,
    ) {
        let leader = read.stat.key();
        let lives = |stat: &&Stat| stat.key() == leader && !stat.is_zombie();
        if !members.iter().any(|stat| lives(&stat)) {
            return;
        }
        let others = members.iter().map(Stat::key).filter(|key| *key != leader);
        if members.len() > 1 {
            tree::remember(leader, others);
        }
        if !read.rests {
            self.stirs.send_modify(|stirs| *stirs += 1);
        }
        let at = self.clock.now();
        let mut watched = self.watched();
        // It may have been replaced while it was looked at.
        let Some(watched) = watched.get_mut(instance) else {
            return;
        };
        let Some(run) = watched
            .run
            .as_deref_mut()
            .filter(|run| run.leader == leader)
        else {
            return;
        };
        if let Some(bytes) = pss {
            run.pss = Some(PssLook::new(now, run::rss_bytes(members), bytes));
        }
        let sample = run.look(read, members, at, now);
        watched.ring.push(&sample);
        watched.new = watched.new.saturating_add(1);
        let oldest = at
            .checked_sub(KEPT)
            .map_or(i64::MIN, Timestamp::as_millisecond);
        watched.ring.forget_before(oldest);
    }
}

/// The processes of a tree, the leader first. Each is read once: two readings of one would
/// differ, and count twice.
fn members(others: BTreeSet<Key>, leader: Stat) -> Vec<Stat> {
    let read = |key: Key| proc_scan::stat(key.0).filter(|stat| stat.key() == key);
    let others = others.into_iter().filter(|key| *key != leader.key());
    std::iter::once(leader)
        .chain(others.filter_map(read))
        .collect()
}

/// The resident bytes of a tree with shared pages divided. `None` when one may not be read.
fn pss_of(members: &[Stat]) -> Option<u64> {
    let living = members.iter().filter(|stat| !stat.is_zombie());
    living.map(|stat| usage::pss(stat.pid)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_is_known_counts_once() {
        let own = proc_scan::stat(std::process::id().cast_signed()).unwrap();
        assert_eq!(members(BTreeSet::from([own.key()]), own).len(), 1);
    }
}
