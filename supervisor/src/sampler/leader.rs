//! Reading the leader of a tree, as cheaply as it can be.
//!
//! A process of one thread that has not run since it was read is as it was: it has used no
//! processor, has the memory, the descriptors and the children it had, and has read and
//! written nothing. The kernel tells in one short file whether it has run, so most leaders are
//! not read at all. What others can do to its memory (the kernel may take pages from it) shows
//! when its figures are read all the same, once a minute.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::sys::proc_scan::{self, Activity, ActivityFile, Stat, StatFile};
use crate::sys::tree::Key;

/// So long a process that has not run is believed to be as it was.
const BELIEVED: Duration = Duration::from_secs(60);

/// A file of the leader that is kept open: one, since descriptors are few.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// Of one that is alone in its tree and has one thread.
    Activity(Arc<ActivityFile>),
    /// Of any other.
    Stat(Arc<StatFile>),
}

/// A leader that is its whole tree and has one thread, as it was when it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    activity: Activity,
    stat: Stat,
    read: Instant,
}

/// What is known of a leader in this pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leader {
    pub(super) stat: Stat,
    /// What its activity was before it was read.
    activity: Option<Activity>,
    /// It has not run since the last sample.
    pub(super) rests: bool,
    /// It was read all the same.
    pub(super) fresh: bool,
}

impl Kept {
    /// The file of the process that has this pid now.
    pub(super) fn open(pid: i32) -> Option<Self> {
        ActivityFile::open(pid).map(|file| Self::Activity(Arc::new(file)))
    }

    /// The other file, if this process is better read by it now.
    pub(super) fn fitting(&self, leader: Key, alone: bool) -> Option<Self> {
        let still = |stat: Option<Stat>| stat.is_some_and(|stat| stat.key() == leader);
        match (self, alone) {
            (Self::Activity(_), true) | (Self::Stat(_), false) => None,
            (Self::Activity(_), false) => {
                let file = StatFile::open(leader.0)?;
                still(file.read()).then(|| Self::Stat(Arc::new(file)))
            }
            (Self::Stat(_), true) => {
                // Opened first: if the leader lives after that, the file is its.
                let file = Self::open(leader.0)?;
                still(proc_scan::stat(leader.0)).then_some(file)
            }
        }
    }
}

/// Reads a leader, unless it is as it was. `None` once it has been collected.
pub(super) fn read(
    leader: Key,
    kept: Option<&Kept>,
    rest: Option<Rest>,
    now: Instant,
) -> Option<Leader> {
    let activity = match kept {
        Some(Kept::Stat(file)) => {
            let stat = file.read()?;
            return Some(Leader::of(stat, None));
        }
        // Before it is read, so that what it does meanwhile shows in the next pass.
        Some(Kept::Activity(file)) => file.read(),
        None => None,
    };
    let ask = || proc_scan::stat(leader.0).filter(|stat| stat.key() == leader);
    unless_it_rests(activity, rest, now, ask)
}

fn unless_it_rests(
    activity: Option<Activity>,
    rest: Option<Rest>,
    now: Instant,
    ask: impl FnOnce() -> Option<Stat>,
) -> Option<Leader> {
    let rest = rest.filter(|rest| activity == Some(rest.activity));
    if let Some(rest) = rest
        && now.saturating_duration_since(rest.read) < BELIEVED
    {
        return Some(Leader {
            stat: rest.stat,
            activity,
            rests: true,
            fresh: false,
        });
    }
    Some(Leader {
        // Only its memory may have changed: what costs more to find out is as it was.
        rests: rest.is_some(),
        ..Leader::of(ask()?, activity)
    })
}

impl Leader {
    fn of(stat: Stat, activity: Option<Activity>) -> Self {
        Self {
            stat,
            activity,
            rests: false,
            fresh: true,
        }
    }

    /// What it is compared with in the next pass, if it is all there is of its tree.
    pub(super) fn rest(&self, members: &[Stat], now: Instant) -> Option<Rest> {
        Some(Rest {
            activity: self.activity.filter(|_| is_alone(members))?,
            stat: self.stat,
            read: now,
        })
    }
}

/// Is this a tree of one living process with one thread?
pub(super) fn is_alone(members: &[Stat]) -> bool {
    matches!(members, [only] if only.threads == 1 && !only.is_zombie())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Stat {
        proc_scan::stat(std::process::id().cast_signed()).expect("we live")
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_run_is_not_read() {
        let stat = Stat {
            threads: 1,
            ..own()
        };
        let activity = |times| Activity::parse(format!("9000 0 {times}\n").as_bytes());
        let now = Instant::now();
        let rest = Leader::of(stat, activity(3)).rest(&[stat], now);
        assert!(rest.is_some());
        let grown = Stat {
            rss_pages: stat.rss_pages + 9,
            ..stat
        };
        let look = |activity, rest, after: u64| {
            let now = now + Duration::from_secs(after);
            let leader = unless_it_rests(activity, rest, now, || Some(grown)).expect("lives");
            let more = leader.stat.rss_pages - stat.rss_pages;
            (leader.rests, leader.fresh, more)
        };
        assert_eq!(look(activity(3), rest, 59), (true, false, 0));
        assert_eq!(
            look(activity(3), rest, 60),
            (true, true, 9),
            "once a minute all the same"
        );
        assert_eq!(look(activity(4), rest, 5), (false, true, 9), "it has run");
        assert_eq!(look(None, rest, 5), (false, true, 9), "nobody knows");
        assert_eq!(look(activity(3), None, 5), (false, true, 9), "not alone");
        let gone = unless_it_rests(None, rest, now, || None);
        assert!(gone.is_none());
        assert!(Leader::of(stat, None).rest(&[stat], now).is_none());
    }

    #[test]
    fn the_file_fits_the_tree() {
        let stat = own();
        let activity = Kept::open(stat.pid).expect("opens");
        assert!(activity.fitting(stat.key(), true).is_none());
        let whole = activity.fitting(stat.key(), false).expect("changes");
        assert!(matches!(whole, Kept::Stat(_)));
        assert!(whole.fitting(stat.key(), false).is_none());
        let back = whole.fitting(stat.key(), true).expect("changes");
        assert!(matches!(back, Kept::Activity(_)));
        // The pid means another process by now.
        let former = (stat.pid, stat.start_time - 1);
        assert!(activity.fitting(former, false).is_none());
        assert!(whole.fitting(former, true).is_none());
    }

    #[test]
    fn only_a_single_thread_rests() {
        let stat = Stat {
            threads: 1,
            ..own()
        };
        assert!(is_alone(&[stat]));
        assert!(!is_alone(&[Stat { threads: 2, ..stat }]));
        assert!(!is_alone(&[Stat {
            state: b'Z',
            ..stat
        }]));
        assert!(!is_alone(&[stat, stat]));
        assert!(!is_alone(&[]));
    }
}
