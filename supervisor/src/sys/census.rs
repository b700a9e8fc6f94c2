//! All processes of the machine, pass after pass, without reading each of them anew.
//!
//! Most processes belong to nobody who is supervised, and what matters of them (where they
//! came from, their session) does not change once they have settled. So they are read when
//! they turn up, once more soon after, and then about once a minute. Whoever is supervised is
//! read by the caller in each pass.
//!
//! That a pid still means the same process is told by the inode of its folder in `/proc`: the
//! kernel gives every process a new one, and gives one that was dropped from its cache a new
//! one, too, which costs a reading and hides nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::proc_scan::{self, Stat};

/// A process that is new is read again in so many passes: it may be about to `setsid`.
const YOUNG: u32 = 2;
/// One that is not is read again in one of so many passes.
const SELDOM: u32 = 12;

/// What was read in former passes.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pass: u32,
    known: HashMap<i32, Known>,
}

#[derive(Debug)]
struct Known {
    inode: u64,
    stat: Stat,
    /// The passes in which it was found first and last.
    first: u32,
    last: u32,
}

impl Census {
    /// All processes there are, by pid; those in `found` have been read already.
    pub(crate) fn take(&mut self, found: HashMap<i32, Stat>) -> HashMap<i32, Stat> {
        self.take_from(found, proc_scan::pids(), proc_scan::stat)
    }

    fn take_from(
        &mut self,
        mut found: HashMap<i32, Stat>,
        pids: impl Iterator<Item = (i32, u64)>,
        read: impl Fn(i32) -> Option<Stat>,
    ) -> HashMap<i32, Stat> {
        self.pass = self.pass.wrapping_add(1);
        let pass = self.pass;
        for (pid, inode) in pids {
            let Entry::Vacant(place) = found.entry(pid) else {
                continue;
            };
            let known = self.known.get_mut(&pid).filter(|known| {
                let young = pass.wrapping_sub(known.first) <= YOUNG;
                let due = pass.wrapping_add(pid.unsigned_abs()).is_multiple_of(SELDOM);
                known.inode == inode && !young && !due
            });
            if let Some(known) = known {
                known.last = pass;
                place.insert(known.stat);
                continue;
            }
            let Some(stat) = read(pid) else { continue };
            place.insert(stat);
            let first = match self.known.get(&pid) {
                Some(known) if known.stat.key() == stat.key() => known.first,
                _ => pass,
            };
            let known = Known {
                inode,
                stat,
                first,
                last: pass,
            };
            self.known.insert(pid, known);
        }
        self.known.retain(|_, known| known.last == pass);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn stat(pid: i32, start_time: u64, session: i32) -> Stat {
        Stat {
            pid,
            state: b'S',
            parent: 1,
            group: session,
            session,
            cpu_ticks: 0,
            threads: 1,
            start_time,
            rss_pages: 1,
            exit_code: 0,
        }
    }

    /// A machine, and who was read in the last pass.
    #[derive(Default)]
    struct Machine {
        census: Census,
        processes: HashMap<i32, (u64, Stat)>,
    }

    impl Machine {
        fn pass(&mut self, supervised: &[Stat]) -> (HashMap<i32, Stat>, Vec<i32>) {
            let asked = RefCell::new(Vec::new());
            let found = supervised.iter().map(|stat| (stat.pid, *stat)).collect();
            let pids = self
                .processes
                .iter()
                .map(|(pid, (inode, _))| (*pid, *inode));
            let all = self.census.take_from(found, pids, |pid| {
                asked.borrow_mut().push(pid);
                Some(self.processes[&pid].1)
            });
            (all, asked.into_inner())
        }
    }

    #[test]
    fn strangers_are_read_when_they_turn_up_and_then_seldom() {
        let mut machine = Machine::default();
        for pid in 100..150 {
            machine
                .processes
                .insert(pid, (u64::from(pid.unsigned_abs()), stat(pid, 5, pid)));
        }
        let own = stat(100, 5, 100);
        let mut counts = Vec::new();
        for _ in 0..27 {
            let (all, asked) = machine.pass(&[own]);
            assert_eq!(all.len(), 50);
            assert!(!asked.contains(&100), "the caller has read it");
            counts.push(asked.len());
        }
        assert_eq!(counts[..3], [49, 49, 49]);
        assert!(counts[3..].iter().all(|count| *count <= 5), "{counts:?}");
        // Each once in a minute.
        assert_eq!(counts[3..27].iter().sum::<usize>(), 2 * 49);
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let mut machine = Machine::default();
        machine.processes.insert(7, (1, stat(7, 5, 7)));
        for _ in 0..5 {
            machine.pass(&[]);
        }
        machine.processes.insert(7, (2, stat(7, 90, 3)));
        let (all, asked) = machine.pass(&[]);
        assert_eq!((all[&7].start_time, all[&7].session), (90, 3));
        assert_eq!(asked, [7]);
        machine.processes.clear();
        assert!(machine.pass(&[]).0.is_empty());
        assert!(machine.census.known.is_empty());
    }

    #[test]
    fn the_real_machine_looks_the_same_twice() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let mut census = Census::default();
        for _ in 0..5 {
            let all = census.take(HashMap::new());
            assert_eq!(
                all[&own].key(),
                proc_scan::stat(own).expect("is there").key()
            );
        }
    }
}
