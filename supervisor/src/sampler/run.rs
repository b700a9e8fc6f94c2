//! One run of an instance: from the processes of its tree to a sample, and to a breach.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::io::IoSum;
use super::leader::{self, Kept, Leader, Rest};
use super::limit::Limit;
use super::pss::PssLook;
use super::{MemoryBreach, TreeSample};
use crate::state::ProcessRef;
use crate::sys::proc_scan::{self, Stat};
use crate::sys::tree::Key;
use crate::sys::usage::{self, Io};
use crate::units::ByteSize;

/// Time between two counts of open descriptors, which cost as much as all the rest.
const COUNT_FDS: Duration = Duration::from_secs(20);

/// What is known of the present run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) leader: Key,
    /// Boxed, since most have none.
    pub(super) limit: Option<Box<Limit>>,
    /// The file by which the leader is read.
    pub(super) kept: Option<Kept>,
    /// What the tree was at the last look, if it could be at rest since.
    pub(super) rest: Option<Rest>,
    /// The leader's open descriptors, and when they were counted.
    fds: Option<(Instant, u64)>,
    /// The members of the last look, and when that was.
    last: Option<(Instant, SeenAll)>,
    io: IoSum,
    pub(super) pss: Option<PssLook>,
    pub(super) latest: Option<TreeSample>,
}

/// What a process had used at the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// CPU time.
    pub(super) ticks: u64,
    pub(super) io: Option<Io>,
}

/// The same of a whole tree, in order of their keys. Most trees are one process, for which a
/// table would be several times too large.
#[derive(Debug, Default)]
pub(super) struct SeenAll(Box<[(Key, Seen)]>);

impl SeenAll {
    pub(super) fn get(&self, key: Key) -> Option<&Seen> {
        let place = self
            .0
            .binary_search_by_key(&key, |(known, _)| *known)
            .ok()?;
        Some(&self.0[place].1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        self.0.iter().map(|(key, _)| *key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter().map(|(_, seen)| seen)
    }
}

impl FromIterator<(Key, Seen)> for SeenAll {
    fn from_iter<I: IntoIterator<Item = (Key, Seen)>>(all: I) -> Self {
        let mut all: Vec<(Key, Seen)> = all.into_iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        Self(all.into_boxed_slice())
    }
}

impl Run {
    pub(super) fn new(
        process: &ProcessRef,
        limit: Option<ByteSize>,
        breach: Option<mpsc::Sender<MemoryBreach>>,
    ) -> Self {
        Self {
            leader: (process.pid, process.start_time),
            limit: limit
                .filter(|limit| limit.0 > 0)
                .map(|limit| Box::new(Limit::new(limit.0, breach, Instant::now()))),
            kept: Kept::open(process.pid),
            rest: None,
            fds: None,
            last: None,
            io: IoSum::default(),
            pss: None,
            latest: None,
        }
    }

    /// The processes of the last look.
    pub(super) fn members(&self) -> impl Iterator<Item = Key> {
        self.last.iter().flat_map(|(_, members)| members.keys())
    }

    /// When its limit asks for a look, if it has one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.limit.as_deref().map(Limit::due)
    }

    /// A look for the limit has begun.
    pub(super) fn postpone(&mut self, now: Instant) {
        if let Some(limit) = &mut self.limit {
            limit.postpone(now);
        }
    }

    /// What the tree has read and written since the run began.
    pub(super) fn io_total(&self) -> Option<Io> {
        self.io.total()
    }

    /// Takes a sample of these processes.
    pub(super) fn look(
        &mut self,
        leader: Leader,
        members: &[Stat],
        at: Timestamp,
        now: Instant,
    ) -> TreeSample {
        let alone = leader::is_alone(members);
        if leader.rests
            && alone
            && let Some(sample) = self.same_again(rss_bytes(members), at, now)
        {
            if leader.fresh {
                self.rest = leader.rest(members, now);
            }
            return sample;
        }
        self.rest = leader.rest(members, now);
        let fitting = self
            .kept
            .as_ref()
            .and_then(|kept| kept.fitting(self.leader, alone));
        if fitting.is_some() {
            self.kept = fitting;
        }
        let fds = self.open_descriptors(now);
        self.sample(members, fds, at, now, usage::io)
    }

    /// A sample of a tree that has done nothing since the last one; its memory is known anew.
    fn same_again(&mut self, rss_bytes: u64, at: Timestamp, now: Instant) -> Option<TreeSample> {
        let latest = self.latest?;
        let (then, _) = self.last.as_mut()?;
        *then = now;
        let none = self.io.total().map(|_| 0);
        let sample = TreeSample {
            at,
            cpu_percent: 0.0,
            rss_bytes,
            pss_bytes: self.pss.and_then(|look| look.bytes(rss_bytes)),
            read_bytes_per_second: none,
            written_bytes_per_second: none,
            ..latest
        };
        self.latest = Some(sample);
        self.check_limit(sample.rss_bytes, now);
        Some(sample)
    }

    fn sample(
        &mut self,
        members: &[Stat],
        fds: u64,
        at: Timestamp,
        now: Instant,
        ask: impl Fn(i32) -> Option<Io>,
    ) -> TreeSample {
        let zombies = members.iter().filter(|stat| stat.is_zombie()).count();
        let (then, before) = match self.last.take() {
            Some((then, before)) => (Some(then), before),
            None => (None, SeenAll::default()),
        };
        let seconds = then.map_or(0.0, |then| {
            now.saturating_duration_since(then).as_secs_f64()
        });
        let (seen, grown) = self.io.look(members, &before, now, ask);
        let per_second = |bytes: u64| (bytes as f64 / seconds).round() as u64;
        let grown = grown.filter(|_| seconds > 0.0);
        let rss_bytes = rss_bytes(members);
        let sample = TreeSample {
            at,
            cpu_percent: cpu_percent(members, &before, seconds),
            rss_bytes,
            pss_bytes: self.pss.and_then(|look| look.bytes(rss_bytes)),
            read_bytes_per_second: grown.map(|io| per_second(io.read)),
            written_bytes_per_second: grown.map(|io| per_second(io.written)),
            fds,
            threads: members
                .iter()
                .filter(|stat| !stat.is_zombie())
                .map(|stat| stat.threads)
                .sum(),
            processes: small(members.len() - zombies),
            zombies: small(zombies),
        };
        self.last = Some((now, seen));
        self.latest = Some(sample);
        self.check_limit(sample.rss_bytes, now);
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

    fn check_limit(&mut self, rss_bytes: u64, now: Instant) {
        if let Some(limit) = &mut self.limit {
            limit.check(rss_bytes, now);
        }
    }
}

/// Resident bytes of these processes; shared pages count for each.
pub(super) fn rss_bytes(members: &[Stat]) -> u64 {
    let page = rustix::param::page_size() as u64;
    members.iter().map(|stat| stat.rss_pages * page).sum()
}

fn cpu_percent(members: &[Stat], before: &SeenAll, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        return 0.0;
    }
    // Who was not there before has used all its time since.
    let used: u64 = members
        .iter()
        .map(|stat| {
            let known = before.get(stat.key()).map_or(0, |seen| seen.ticks);
            stat.cpu_ticks.saturating_sub(known)
        })
        .sum();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    used as f64 / ticks / seconds * 100.0
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A process of the tree of pid 7.
    pub(in crate::sampler) fn stat(pid: i32, cpu_ticks: u64) -> Stat {
        Stat {
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
        }
    }

    pub(in crate::sampler) fn tree_sample(rss_bytes: u64, processes: u32) -> TreeSample {
        TreeSample {
            at: Timestamp::UNIX_EPOCH,
            cpu_percent: 0.0,
            rss_bytes,
            pss_bytes: None,
            read_bytes_per_second: None,
            written_bytes_per_second: None,
            fds: 0,
            threads: 1,
            processes,
            zombies: 0,
        }
    }

    fn run() -> Run {
        let nobody = ProcessRef {
            pid: -1,
            start_time: 1,
            boot_id: String::new(),
        };
        Run::new(&nobody, None, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_tree_at_rest_has_the_figures_it_had() {
        let mut run = run();
        let counts = |_| {
            Some(Io {
                read: 7,
                written: 3,
            })
        };
        let start = Instant::now();
        let mut stat = stat(7, 50);
        stat.rss_pages = 1;
        let (breach, mut breaches) = mpsc::channel(8);
        let limit = Limit::new(rss_bytes(&[stat]) - 1, Some(breach), start);
        run.limit = Some(Box::new(limit));
        run.sample(&[stat], 4, Timestamp::UNIX_EPOCH, start, counts);
        let at = Timestamp::from_second(5).unwrap();
        let second = start + Duration::from_secs(5);
        let bytes = rss_bytes(&[stat]);
        let rests = run.same_again(bytes, at, second).expect("was looked at");
        assert_eq!((rests.at, rests.cpu_percent, rests.fds), (at, 0.0, 4));
        assert_eq!(rests.rss_bytes, bytes);
        assert_eq!(rests.read_bytes_per_second, Some(0));
        // Also at rest it may be above its limit.
        assert!(breaches.try_recv().is_ok());
        // What it does afterwards is of the time since the last look, not since it was read.
        stat.cpu_ticks += rustix::param::clock_ticks_per_second();
        let third = second + Duration::from_secs(2);
        let works = run.sample(&[stat], 4, at, third, |_| {
            Some(Io {
                read: 107,
                written: 3,
            })
        });
        assert!((works.cpu_percent - 50.0).abs() < 1.0, "{works:?}");
        assert_eq!(works.read_bytes_per_second, Some(50));
    }

    #[tokio::test(start_paused = true)]
    async fn figures_are_per_second_and_of_one_core() {
        let mut run = run();
        let ticks = rustix::param::clock_ticks_per_second();
        let counts = |read| move |_| Some(Io { read, written: 3 });
        let start = Instant::now();
        let at = Timestamp::UNIX_EPOCH;
        let first = run.sample(&[stat(7, 50)], 4, at, start, counts(100));
        assert_eq!((first.cpu_percent, first.processes), (0.0, 1));
        assert_eq!(first.read_bytes_per_second, None);
        let later = [stat(7, 50 + ticks), stat(8, ticks / 2)];
        let second = start + Duration::from_secs(2);
        let second = run.sample(&later, 4, at, second, counts(1_100));
        assert!((second.cpu_percent - 75.0).abs() < 1.0, "{second:?}");
        assert_eq!((second.threads, second.processes), (4, 2));
        assert_eq!(second.rss_bytes, 20 * rustix::param::page_size() as u64);
        assert_eq!(second.read_bytes_per_second, Some(1_050));
        assert_eq!(second.written_bytes_per_second, Some(2));
        assert_eq!(run.io_total().map(|io| io.read), Some(2_200));
    }
}
