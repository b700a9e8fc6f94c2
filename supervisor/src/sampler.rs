//! How much the trees of all instances use: one task, one pass over `/proc` for everybody.
//!
//! Every 5 s all of `/proc` is read once and every process given to the tree it belongs to:
//! by its line of parents, by its session, or because it was seen in that tree before. In
//! between, each second, only the trees that have a memory limit are read, by their known
//! members and what those have started. What a pass sees is remembered for the launcher, so
//! that a process can be ended with its tree after it has cut all its ties.
//!
//! The same pass collects zombies that nobody waits for. It decides nothing: a tree above
//! its limit is told to whoever watches it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::state::ProcessRef;
use crate::sys::proc_scan::{self, Stat};
use crate::sys::tree::{self, Key};
use crate::tasks::Tasks;
use crate::units::ByteSize;

/// Time between two passes over everything.
const SLOW: Duration = Duration::from_secs(5);
/// Time between two looks at trees with a limit.
const FAST: Duration = Duration::from_secs(1);
/// Time between two counts of open descriptors, which cost as much as all the rest.
const COUNT_FDS: Duration = Duration::from_secs(20);
/// So long samples are kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// So many samples in a row above the limit are a breach.
const SAMPLES_ABOVE: u32 = 2;

/// What a tree uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TreeSample {
    /// When it was looked at.
    pub at: Timestamp,
    /// Of one core, since the sample before.
    pub cpu_percent: f64,
    /// Resident memory of all its processes; shared pages count for each.
    pub rss_bytes: u64,
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
    limits_changed: Notify,
}

#[derive(Debug)]
struct Watched {
    /// `None` between two runs.
    run: Option<Run>,
    ring: VecDeque<Compact>,
    /// So many of the newest samples were not taken by [`Sampler::take_new`].
    new: u16,
}

#[derive(Debug)]
struct Run {
    leader: Key,
    limit: Option<u64>,
    breach: Option<mpsc::Sender<MemoryBreach>>,
    above: u32,
    /// The leader's `stat`, kept open.
    file: Option<Arc<OwnedFd>>,
    /// The leader's open descriptors, and when they were counted.
    fds: Option<(Instant, u64)>,
    /// The members of the last look with their CPU time in ticks, and when that was.
    last: Option<(Instant, HashMap<Key, u64>)>,
    latest: Option<TreeSample>,
}

/// What a look at one tree starts from.
#[derive(Debug)]
struct Look {
    instance: InstanceId,
    leader: Key,
    file: Option<Arc<OwnedFd>>,
}

/// A sample in 32 bytes, since there are many.
#[derive(Debug, Clone, Copy)]
struct Compact {
    at_ms: i64,
    cpu_percent: f32,
    rss_kib: u32,
    fds: u32,
    threads: u32,
    processes: u32,
    zombies: u32,
}

impl Sampler {
    /// Starts the task that samples.
    pub fn start(tasks: &Tasks, clock: &Clock) -> Self {
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            watched: Mutex::default(),
            limits_changed: Notify::new(),
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

    /// Samples the tree of this run from now on, in place of a former run of the instance.
    /// A breach of `limit` is sent at once when it is above 120 %, else after two samples in
    /// a row; again after as many more.
    pub fn watch(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        limit: Option<ByteSize>,
        breach: Option<mpsc::Sender<MemoryBreach>>,
    ) {
        let run = Run {
            leader: (process.pid, process.start_time),
            limit: limit.map(|limit| limit.0).filter(|limit| *limit > 0),
            breach,
            above: 0,
            file: proc_scan::open_stat(process.pid).map(Arc::new),
            fds: None,
            last: None,
            latest: None,
        };
        let limited = run.limit.is_some();
        let mut watched = self.shared.watched();
        let before = watched.remove(instance);
        let (ring, new) = before.map_or_else(Default::default, |before| (before.ring, before.new));
        watched.insert(
            instance.clone(),
            Watched {
                run: Some(run),
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
                let samples = watched.ring.range(known..).map(|sample| sample.expand());
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
            .flatten()
            .filter(|sample| sample.at_ms >= from_ms)
            .map(|sample| sample.expand())
            .collect()
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_limits(&self) -> bool {
        let has_limit =
            |watched: &Watched| watched.run.as_ref().is_some_and(|run| run.limit.is_some());
        self.watched().values().any(has_limit)
    }

    async fn sample_for_ever(self: Arc<Self>) {
        let mut next_slow = Instant::now() + SLOW;
        let mut next_fast = Instant::now() + FAST;
        loop {
            let next = if self.has_limits() {
                next_slow.min(next_fast)
            } else {
                next_slow
            };
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.limits_changed.notified() => {
                    next_fast = next_fast.max(Instant::now());
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
            // From the end of the pass, so that a slow machine is not made slower.
            next_fast = Instant::now() + FAST;
            if everything {
                next_slow = Instant::now() + SLOW;
            }
        }
    }

    fn look_at_everything(&self, now: Instant) {
        let looks = self.looks(|_| true);
        let all = if looks.is_empty() {
            HashMap::new()
        } else {
            let read = |look: &Look| look.file.as_deref().and_then(proc_scan::read_stat);
            let known = looks.iter().filter_map(read);
            proc_scan::all_and(known.map(|stat| (stat.pid, stat)).collect())
        };
        let mut trees = group(&looks, &all);
        for Look {
            instance, leader, ..
        } in looks
        {
            let members = trees.remove(&leader).unwrap_or_default();
            tree::retain(leader, |key| {
                all.get(&key.0).is_some_and(|stat| stat.key() == key)
            });
            self.record(&instance, leader, &members, now);
        }
        let oldest = self.clock.now().checked_sub(KEPT);
        let oldest_ms = oldest.map_or(i64::MIN, Timestamp::as_millisecond);
        self.watched().retain(|_, watched| {
            watched.run.is_some()
                || watched
                    .ring
                    .back()
                    .is_some_and(|last| last.at_ms >= oldest_ms)
        });
    }

    fn look_at_limited(&self, now: Instant) {
        for Look {
            instance, leader, ..
        } in self.looks(|run| run.limit.is_some())
        {
            let mut members = members(self.known_members(&instance), leader);
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
            self.record(&instance, leader, &members, now);
        }
    }

    fn looks(&self, wanted: impl Fn(&Run) -> bool) -> Vec<Look> {
        self.watched()
            .iter()
            .filter_map(|(instance, watched)| {
                let run = watched.run.as_ref().filter(|run| wanted(run))?;
                Some(Look {
                    instance: instance.clone(),
                    leader: run.leader,
                    file: run.file.clone(),
                })
            })
            .collect()
    }

    fn known_members(&self, instance: &InstanceId) -> BTreeSet<Key> {
        let watched = self.watched();
        let run = watched
            .get(instance)
            .and_then(|watched| watched.run.as_ref());
        run.and_then(|run| run.last.as_ref())
            .map(|(_, members)| members.keys().copied().collect())
            .unwrap_or_default()
    }

    fn record(&self, instance: &InstanceId, leader: Key, members: &[Stat], now: Instant) {
        let lives = |stat: &&Stat| stat.key() == leader && !stat.is_zombie();
        if !members.iter().any(|stat| lives(&stat)) {
            return;
        }
        let others = members.iter().map(Stat::key).filter(|key| *key != leader);
        if members.len() > 1 {
            tree::remember(leader, others);
        }
        let at = self.clock.now();
        let mut watched = self.watched();
        // It may have been replaced while it was looked at.
        let Some(watched) = watched.get_mut(instance) else {
            return;
        };
        let Some(run) = watched.run.as_mut().filter(|run| run.leader == leader) else {
            return;
        };
        let fds = run.open_descriptors(now);
        let sample = run.sample(members, fds, at, now);
        watched.ring.push_back(Compact::of(&sample));
        watched.new = watched.new.saturating_add(1);
        let oldest = at
            .checked_sub(KEPT)
            .map_or(i64::MIN, Timestamp::as_millisecond);
        while watched
            .ring
            .front()
            .is_some_and(|first| first.at_ms < oldest)
        {
            watched.ring.pop_front();
        }
    }
}

/// Reads each process of a tree once: two readings of one would differ, and count twice.
fn members(mut known: BTreeSet<Key>, leader: Key) -> Vec<Stat> {
    known.insert(leader);
    let read = |key: Key| proc_scan::stat(key.0).filter(|stat| stat.key() == key);
    known.into_iter().filter_map(read).collect()
}

impl Run {
    fn sample(&mut self, members: &[Stat], fds: u64, at: Timestamp, now: Instant) -> TreeSample {
        let page = rustix::param::page_size() as u64;
        let zombies = members.iter().filter(|stat| stat.is_zombie()).count();
        let sample = TreeSample {
            at,
            cpu_percent: self.cpu_percent(members, now),
            rss_bytes: members.iter().map(|stat| stat.rss_pages * page).sum(),
            fds,
            threads: members
                .iter()
                .filter(|stat| !stat.is_zombie())
                .map(|stat| stat.threads)
                .sum(),
            processes: small(members.len() - zombies),
            zombies: small(zombies),
        };
        let ticks = members.iter().map(|stat| (stat.key(), stat.cpu_ticks));
        self.last = Some((now, ticks.collect()));
        self.latest = Some(sample);
        self.check_limit(sample.rss_bytes);
        sample
    }

    fn open_descriptors(&mut self, now: Instant) -> u64 {
        if let Some((counted, fds)) = self.fds
            && now.saturating_duration_since(counted) < COUNT_FDS
        {
            return fds;
        }
        let fds = proc_scan::open_descriptors(self.leader.0);
        self.fds = Some((now, fds));
        fds
    }

    fn cpu_percent(&self, members: &[Stat], now: Instant) -> f64 {
        let Some((then, before)) = &self.last else {
            return 0.0;
        };
        // Who was not there before has used all its time since.
        let used: u64 = members
            .iter()
            .map(|stat| {
                let known = before.get(&stat.key()).copied().unwrap_or(0);
                stat.cpu_ticks.saturating_sub(known)
            })
            .sum();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let seconds = now.saturating_duration_since(*then).as_secs_f64();
        if seconds > 0.0 {
            used as f64 / ticks / seconds * 100.0
        } else {
            0.0
        }
    }

    fn check_limit(&mut self, rss_bytes: u64) {
        let Some(limit_bytes) = self.limit else {
            return;
        };
        if rss_bytes <= limit_bytes {
            self.above = 0;
            return;
        }
        self.above += 1;
        let far_above = rss_bytes > limit_bytes.saturating_add(limit_bytes / 5);
        if far_above || self.above >= SAMPLES_ABOVE {
            self.above = 0;
            // A full queue already holds this news.
            if let Some(breach) = &self.breach {
                let _ = breach.try_send(MemoryBreach {
                    rss_bytes,
                    limit_bytes,
                });
            }
        }
    }
}

impl Compact {
    fn of(sample: &TreeSample) -> Self {
        Self {
            at_ms: sample.at.as_millisecond(),
            cpu_percent: sample.cpu_percent as f32,
            rss_kib: u32::try_from(sample.rss_bytes >> 10).unwrap_or(u32::MAX),
            fds: u32::try_from(sample.fds).unwrap_or(u32::MAX),
            threads: u32::try_from(sample.threads).unwrap_or(u32::MAX),
            processes: sample.processes,
            zombies: sample.zombies,
        }
    }

    fn expand(self) -> TreeSample {
        TreeSample {
            at: Timestamp::from_millisecond(self.at_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            cpu_percent: f64::from(self.cpu_percent),
            rss_bytes: u64::from(self.rss_kib) << 10,
            fds: u64::from(self.fds),
            threads: u64::from(self.threads),
            processes: self.processes,
            zombies: self.zombies,
        }
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Gives every process to the tree it belongs to.
fn group(looks: &[Look], all: &HashMap<i32, Stat>) -> HashMap<Key, Vec<Stat>> {
    let by_pid: HashMap<i32, Key> = looks
        .iter()
        .map(|look| (look.leader.0, look.leader))
        .filter(|(pid, leader)| all.get(pid).is_some_and(|stat| stat.key() == *leader))
        .collect();
    let mut kin: HashMap<Key, Key> = HashMap::new();
    for leader in by_pid.values() {
        kin.extend(
            tree::remembered(*leader)
                .into_iter()
                .map(|key| (key, *leader)),
        );
    }
    let mut owner: HashMap<i32, Option<Key>> = HashMap::with_capacity(all.len());
    let mut trees: HashMap<Key, Vec<Stat>> = HashMap::new();
    let mut line = Vec::new();
    for stat in all.values() {
        line.clear();
        let mut at = stat.pid;
        let found = loop {
            if let Some(known) = owner.get(&at) {
                break *known;
            }
            let Some(stat) = all.get(&at) else { break None };
            let own = by_pid.get(&at).or_else(|| by_pid.get(&stat.session));
            if let Some(leader) = own.or_else(|| kin.get(&stat.key())) {
                line.push(at);
                break Some(*leader);
            }
            if at <= 2 || line.contains(&at) {
                break None;
            }
            line.push(at);
            at = stat.parent;
        };
        for pid in &line {
            owner.insert(*pid, found);
        }
        if let Some(leader) = found {
            trees.entry(leader).or_default().push(*stat);
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(limit: u64) -> (Run, mpsc::Receiver<MemoryBreach>) {
        let (breach, breaches) = mpsc::channel(8);
        let run = Run {
            leader: (7, 1),
            limit: Some(limit),
            breach: Some(breach),
            above: 0,
            file: None,
            fds: None,
            last: None,
            latest: None,
        };
        (run, breaches)
    }

    #[test]
    fn one_sample_far_above_or_two_in_a_row() {
        let (mut run, mut breaches) = run(1_000);
        for rss in [900, 1_100, 1_000, 1_200, 900] {
            run.check_limit(rss);
        }
        assert!(breaches.try_recv().is_err());
        run.check_limit(1_100);
        run.check_limit(1_150);
        assert_eq!(breaches.try_recv().map(|b| b.rss_bytes), Ok(1_150));
        run.check_limit(1_201);
        assert_eq!(breaches.try_recv().map(|b| b.rss_bytes), Ok(1_201));
        assert!(breaches.try_recv().is_err());
    }

    #[test]
    fn a_leader_that_is_known_counts_once() {
        let own = proc_scan::stat(std::process::id().cast_signed())
            .unwrap()
            .key();
        assert_eq!(members(BTreeSet::from([own]), own).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn cpu_is_of_one_core() {
        let (mut run, _breaches) = run(1);
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = |pid, cpu_ticks| Stat {
            pid,
            state: b'R',
            parent: 1,
            group: 7,
            session: 7,
            cpu_ticks,
            threads: 2,
            start_time: 1,
            rss_pages: 10,
            exit_code: 0,
        };
        let start = Instant::now();
        let first = run.sample(&[stat(7, 50)], 4, Timestamp::UNIX_EPOCH, start);
        assert_eq!((first.cpu_percent, first.processes), (0.0, 1));
        let later = [stat(7, 50 + ticks), stat(8, ticks / 2)];
        let at = start + Duration::from_secs(2);
        let second = run.sample(&later, 4, Timestamp::UNIX_EPOCH, at);
        assert!((second.cpu_percent - 75.0).abs() < 1.0, "{second:?}");
        assert_eq!((second.threads, second.processes), (4, 2));
        assert_eq!(second.rss_bytes, 20 * rustix::param::page_size() as u64);
        let back = Compact::of(&second).expand();
        assert_eq!((back.rss_bytes, back.threads), (second.rss_bytes, 4));
    }
}
