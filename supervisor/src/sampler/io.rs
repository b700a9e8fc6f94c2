//! Adds up what a tree reads and writes, while its processes come and go.
//!
//! The kernel counts per process and, when a process is waited for, adds its counts to those
//! of its parent. So the sum over a tree stays right when one of it ends, and falls only when
//! somebody else collects it; then what is left is counted on from there.
//!
//! Asking costs as much as all else that is known of a process, so one that has used no CPU
//! is not asked again before [`QUIET`] is over, unless one of its tree has gone.

use std::time::Duration;

use tokio::time::Instant;

use super::run::{Seen, SeenAll};
use crate::sys::proc_scan::Stat;
use crate::sys::usage::Io;

/// So long the counts of a process that used no CPU are believed.
const QUIET: Duration = Duration::from_secs(20);

/// What a tree has read and written since its run began.
#[derive(Debug, Default)]
pub(super) struct IoSum {
    /// All processes were asked then.
    asked: Option<Instant>,
    /// Of the processes that were there at the last look.
    sum: Option<Io>,
    /// Of the whole run.
    total: Option<Io>,
}

impl IoSum {
    /// What was read and written so far, as far as the leader's counts can be read.
    pub(super) fn total(&self) -> Option<Io> {
        self.total
    }

    /// Takes the counts of one look, and answers how much came since the look before: nothing
    /// the first time. `ask` reads those of a process.
    pub(super) fn look(
        &mut self,
        members: &[Stat],
        before: &SeenAll,
        now: Instant,
        ask: impl Fn(i32) -> Option<Io>,
    ) -> (SeenAll, Option<Io>) {
        let stale = |at: Instant| now.saturating_duration_since(at) >= QUIET;
        let all = self.asked.is_none_or(stale) || one_has_gone(members, before);
        if all {
            self.asked = Some(now);
        }
        let seen: SeenAll = members
            .iter()
            .map(|stat| {
                let known = before.get(stat.key());
                let io = match known.filter(|seen| !all && seen.ticks == stat.cpu_ticks) {
                    Some(seen) => seen.io,
                    None => ask(stat.pid),
                };
                let ticks = stat.cpu_ticks;
                (stat.key(), Seen { ticks, io })
            })
            .collect();
        let counts: Vec<Io> = seen.values().filter_map(|seen| seen.io).collect();
        if counts.is_empty() {
            // Of another user: nothing is known, which is not the same as zero.
            (self.sum, self.total) = (None, None);
            return (seen, None);
        }
        let sum = Io {
            read: counts.iter().map(|io| io.read).sum(),
            written: counts.iter().map(|io| io.written).sum(),
        };
        let grown = self.sum.map(|last| Io {
            read: sum.read.saturating_sub(last.read),
            written: sum.written.saturating_sub(last.written),
        });
        let total = self.total.unwrap_or_default();
        // What was used before the first look belongs to the run, too.
        let more = grown.unwrap_or(sum);
        self.total = Some(Io {
            read: total.read.saturating_add(more.read),
            written: total.written.saturating_add(more.written),
        });
        self.sum = Some(sum);
        (seen, grown)
    }
}

fn one_has_gone(members: &[Stat], before: &SeenAll) -> bool {
    let still = members
        .iter()
        .filter(|stat| before.get(stat.key()).is_some())
        .count();
    still < before.len()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use super::*;
    use crate::sampler::run::tests::stat;

    /// Processes with their counts, and how often they were asked.
    #[derive(Default)]
    struct Fake {
        counts: RefCell<HashMap<i32, u64>>,
        asked: Cell<u32>,
    }

    impl Fake {
        fn set(&self, pid: i32, read: u64) {
            self.counts.borrow_mut().insert(pid, read);
        }

        fn ask(&self, pid: i32) -> Option<Io> {
            self.asked.set(self.asked.get() + 1);
            let read = *self.counts.borrow().get(&pid)?;
            Some(Io {
                read,
                written: read / 2,
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_processes_are_seldom_asked() {
        let (fake, mut sum) = (Fake::default(), IoSum::default());
        let mut before = SeenAll::default();
        let start = Instant::now();
        fake.set(7, 100);
        let mut look = |seconds: u64, ticks: u64| {
            let now = start + Duration::from_secs(seconds);
            let (seen, grown) = sum.look(&[stat(7, ticks)], &before, now, |pid| fake.ask(pid));
            before = seen;
            (grown.map(|io| io.read), sum.total().map(|io| io.read))
        };
        assert_eq!(look(0, 1), (None, Some(100)));
        fake.set(7, 300);
        assert_eq!(look(5, 1), (Some(0), Some(100)), "believed");
        assert_eq!(look(10, 2), (Some(200), Some(300)), "it used CPU");
        fake.set(7, 350);
        assert_eq!(look(15, 2), (Some(0), Some(300)));
        assert_eq!(look(20, 2), (Some(50), Some(350)), "after a while");
        assert_eq!(fake.asked.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_is_neither_lost_nor_counted_twice() {
        let (fake, mut sum) = (Fake::default(), IoSum::default());
        let now = Instant::now();
        fake.set(7, 10);
        fake.set(8, 1_000);
        let both = [stat(7, 1), stat(8, 1)];
        let (before, _) = sum.look(&both, &SeenAll::default(), now, |pid| fake.ask(pid));
        // The parent has waited for it: the kernel has added its counts.
        fake.set(7, 1_010);
        let (before, grown) = sum.look(&both[..1], &before, now, |pid| fake.ask(pid));
        assert_eq!(grown.map(|io| io.read), Some(0));
        // Another one is collected by somebody else, and then the leader goes on.
        fake.set(9, 500);
        let with = [both[0], stat(9, 1)];
        let (before, grown) = sum.look(&with, &before, now, |pid| fake.ask(pid));
        assert_eq!(grown.map(|io| io.read), Some(500));
        let (before, grown) = sum.look(&both[..1], &before, now, |pid| fake.ask(pid));
        assert_eq!(grown.map(|io| io.read), Some(0));
        fake.set(7, 1_015);
        let later = [stat(7, 2)];
        let (_, grown) = sum.look(&later, &before, now, |pid| fake.ask(pid));
        assert_eq!(grown.map(|io| io.read), Some(5));
        assert_eq!(sum.total().map(|io| io.read), Some(1_010 + 500 + 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_read_is_unknown() {
        let mut sum = IoSum::default();
        let look = sum.look(&[stat(7, 1)], &SeenAll::default(), Instant::now(), |_| None);
        assert_eq!((look.1, sum.total()), (None, None));
    }
}
