//! Which processes belong to a run, and signals to all of them.
//!
//! A process belongs to a run when one of these can be shown, in this order:
//!
//! 1. it is in the run's control group, where the host gives us one (`cgroup`),
//! 2. it is in the session or the process group of the leader,
//! 3. it was seen below the leader by an earlier look ([`remember`]),
//! 4. its line of parents leads to such a process or to the leader,
//! 5. it carries the run's mark in its environment, or a parent of it does.
//!
//! What cannot be shown without a control group: a program that clears its environment,
//! forks twice and calls `setsid`, all between two looks of the sampler, leaves a process that
//! nothing else ties to its run. It is left alone, since it might be somebody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cgroup::Cgroup;
use super::pass::Pass;
use super::proc_scan::{self, Stat};
use super::{guard_link, kernel, process};
use crate::ids::{Generation, InstanceId};

/// Pid and start time: names a process within this boot.
pub(crate) type Key = (i32, u64);

/// What was seen below a leader.
static KIN: Mutex<BTreeMap<Key, BTreeSet<Key>>> = Mutex::new(BTreeMap::new());

/// More than this is a fork bomb, which is found by its group and its mark.
const MOST_KIN: usize = 4_096;

/// Notes that these processes were seen below `leader`.
pub(crate) fn remember(leader: Key, seen: impl IntoIterator<Item = Key>) {
    let mut kin = KIN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kin.entry(leader).or_default();
    for key in seen {
        if known.len() < MOST_KIN {
            known.insert(key);
        }
    }
}

/// What was seen below `leader` and not forgotten.
pub(crate) fn remembered(leader: Key) -> BTreeSet<Key> {
    let kin = KIN.lock().unwrap_or_else(PoisonError::into_inner);
    kin.get(&leader).cloned().unwrap_or_default()
}

/// Replaces what is known below `leader`: those that are gone are dropped.
pub(crate) fn retain(leader: Key, alive: impl Fn(Key) -> bool) {
    let mut kin = KIN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kin.get_mut(&leader) {
        known.retain(|key| alive(*key));
        if known.is_empty() {
            kin.remove(&leader);
        }
    }
}

/// The run is over.
pub(super) fn forget(leader: Key) {
    KIN.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&leader);
}

/// Which generations' marks count.
#[derive(Debug, Clone)]
pub(super) struct Generations {
    /// Up to this one.
    pub(super) up_to: Generation,
    /// Except these: another leader is there for them.
    pub(super) except: BTreeSet<Generation>,
}

/// A run, as far as its tree is concerned.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) home: PathBuf,
    pub(super) instance: InstanceId,
    pub(super) leader: Key,
    /// The leader's pid cannot have been used again: it lives, or it was not collected yet.
    pub(super) number_is_safe: bool,
    pub(super) generations: Generations,
    /// Other leaders, probe scripts: they and what is below them are somebody else's.
    pub(super) foreign: BTreeSet<i32>,
    /// Everybody in it belongs to the run.
    pub(super) cgroup: Option<Cgroup>,
}

impl Run {
    /// Who is in its control group, without the leader.
    pub(super) fn inside(&self) -> BTreeSet<i32> {
        let pids = self.cgroup.iter().flat_map(Cgroup::pids);
        pids.filter(|pid| *pid != self.leader.0).collect()
    }
}

/// The living processes of the run, without its leader.
///
/// # Errors
/// When it cannot be known of one of them.
pub(super) fn members(run: &Run, pass: &Pass) -> io::Result<Vec<Stat>> {
    let kin = remembered(run.leader);
    // Read after the pass, and before a pid is proven to be still the one in it: so it is that
    // process that is inside.
    let inside = run.inside();
    let mut known = HashMap::new();
    let mut found = Vec::new();
    let also = kin
        .iter()
        .map(|(pid, _)| *pid)
        .chain(inside.iter().copied());
    for pid in pass.candidates(run.leader.0, also) {
        let Some(stat) = pass.all().get(&pid) else {
            continue;
        };
        let lives = !stat.is_zombie() && pid != run.leader.0;
        if lives && (inside.contains(&pid) || belongs(run, &kin, pass, &mut known, pid)?) {
            found.push(*stat);
        }
    }
    found.sort_unstable_by_key(Stat::key);
    Ok(found)
}

/// Has somebody ended since the pass who may have been of the run? Of whom nothing can be read any
/// more it cannot be said that it was not, and what it has started meanwhile is in no pass yet:
/// that nobody is left has to be seen by another one. Those of `known` are not meant.
pub(super) fn has_lost(run: &Run, pass: &Pass, known: &BTreeSet<Key>) -> bool {
    let lost = |pid: i32| {
        let Some(then) = pass.all().get(&pid) else {
            return false;
        };
        let counts = pid != run.leader.0 && !then.is_zombie() && !known.contains(&then.key());
        let lives = |now: Stat| now.key() == then.key() && !now.is_zombie();
        counts
            && is_below_us(pass, pid)
            && !proc_scan::try_stat(pid).is_ok_and(|now| now.is_some_and(lives))
    };
    pass.candidates(run.leader.0, []).into_iter().any(lost)
}

/// Does its line of parents lead to the daemon or its guard, as that of all does who lost theirs?
fn is_below_us(pass: &Pass, pid: i32) -> bool {
    let guard = guard_link::parent_guard().map(|guard| guard.pid());
    let (mut at, mut steps) = (pid, 0);
    while at > 1 && steps < pass.all().len() {
        if is_self(at) || Some(at) == guard {
            return true;
        }
        let Some(stat) = pass.all().get(&at) else {
            // It ended in the middle of the pass.
            return true;
        };
        (at, steps) = (stat.parent, steps + 1);
    }
    false
}

/// Is this process the leader of the run, or certainly one of its tree? As [`members`] for one,
/// with the marks left out: those are what whoever asks to be taken for a member may have made.
///
/// # Errors
/// When it cannot be known.
pub(super) fn includes(run: &Run, pid: i32) -> io::Result<bool> {
    let (kin, inside) = (remembered(run.leader), run.inside());
    let (mut at, mut line) = (pid, BTreeSet::new());
    while let Some(stat) = proc_scan::try_stat(at)? {
        if stat.key() == run.leader || inside.contains(&at) {
            return Ok(true);
        }
        if run.foreign.contains(&at) {
            return Ok(false);
        }
        if in_session(run, &stat) || kin.contains(&stat.key()) {
            return Ok(true);
        }
        let is_anothers = run.foreign.contains(&stat.session) || run.foreign.contains(&stat.group);
        if is_anothers || at <= 2 || is_self(at) || !line.insert(at) {
            return Ok(false);
        }
        at = stat.parent;
    }
    Ok(false)
}

/// Is it in the session or the process group of the leader?
fn in_session(run: &Run, stat: &Stat) -> bool {
    run.number_is_safe
        && (stat.session == run.leader.0 || stat.group == run.leader.0)
        && stat.start_time >= run.leader.1
}

/// What an earlier walk found out about a process.
#[derive(Clone, Copy)]
struct Known {
    belongs: bool,
    /// For whatever is below it, too. Else it is what the marks above say, and a process
    /// below may carry a mark of its own: the guard carries none, its children do.
    proven: bool,
}

fn belongs(
    run: &Run,
    kin: &BTreeSet<Key>,
    pass: &Pass,
    known: &mut HashMap<i32, Known>,
    pid: i32,
) -> io::Result<bool> {
    let mut line = Vec::new();
    let mut at = pid;
    let mut above = false;
    // Some(answer) holds for the whole line; None: nobody on it is known, so ask the marks.
    let answer = loop {
        if let Some(known) = known.get(&at) {
            above = known.belongs;
            break known.proven.then_some(known.belongs);
        }
        let Some(stat) = pass.all().get(&at) else {
            break None;
        };
        if stat.key() == run.leader {
            break Some(true);
        }
        if run.foreign.contains(&at) {
            break Some(false);
        }
        if in_session(run, stat) || kin.contains(&stat.key()) {
            line.push(at);
            break Some(true);
        }
        if run.foreign.contains(&stat.session) || run.foreign.contains(&stat.group) {
            line.push(at);
            break Some(false);
        }
        if at <= 2 || is_self(at) || line.contains(&at) {
            break None;
        }
        line.push(at);
        at = stat.parent;
    };
    let mut verdict = answer.unwrap_or(above);
    for at in line.into_iter().rev() {
        if answer.is_none()
            && let Some(mark) = pass.mark(at, &run.home)?
        {
            verdict = mark.is_of(&run.instance)
                && mark.generation <= run.generations.up_to
                && !run.generations.except.contains(&mark.generation);
        }
        let known_now = Known {
            belongs: verdict,
            proven: answer.is_some(),
        };
        known.insert(at, known_now);
    }
    Ok(verdict)
}

fn is_self(pid: i32) -> bool {
    rustix::process::getpid().as_raw_nonzero().get() == pid
}

/// Sends `signal` to all living processes of the run but its leader, each after proof. With
/// SIGKILL it looks again until nobody new turns up. Returns how many were reached.
pub(super) async fn signal_members(run: Run, signal: i32) -> usize {
    // A program that forks while it is looked at shows up in the next look.
    let looks = if signal == libc::SIGKILL { 200 } else { 3 };
    let (run, mut reached) = (Arc::new(run), BTreeSet::new());
    let mut killed = 0;
    if let Some(cgroup) = run.cgroup.clone()
        && signal == libc::SIGKILL
    {
        killed = off_thread(move || cgroup.kill()).await.unwrap_or(0);
    }
    for _ in 0..looks {
        let Ok(pass) = Pass::next().await else {
            // There may be somebody who cannot be seen.
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (whose, before) = (run.clone(), std::mem::take(&mut reached));
        let look = off_thread(move || signal_new(&whose, &pass, signal, before));
        // The daemon goes down.
        let Some((now, look)) = look.await else { break };
        reached = now;
        match look {
            Look::Nobody => break,
            Look::All => {}
            Look::Some => tokio::time::sleep(BREATH).await,
        }
    }
    reached.len().max(killed)
}

/// A moment in which descriptors may become free.
const BREATH: Duration = Duration::from_millis(5);

/// Who that turned up in a look was reached.
enum Look {
    /// Nobody new was there.
    Nobody,
    /// All who were.
    All,
    /// Not all, or they could not all be seen.
    Some,
}

/// Signals those of the run who were not reached before.
fn signal_new(
    run: &Run,
    pass: &Pass,
    signal: i32,
    mut reached: BTreeSet<Key>,
) -> (BTreeSet<Key>, Look) {
    let Ok(found) = members(run, pass) else {
        return (reached, Look::Some);
    };
    let new: Vec<Stat> = found
        .into_iter()
        .filter(|stat| !reached.contains(&stat.key()))
        .collect();
    if new.is_empty() {
        let look = match has_lost(run, pass, &reached) {
            true => Look::All,
            false => Look::Nobody,
        };
        return (reached, look);
    }
    // Known from now on, also if killing its parent hides where it came from.
    remember(run.leader, new.iter().map(Stat::key));
    let mut look = Look::All;
    for stat in new {
        match process::try_prove_key(stat.pid, stat.start_time) {
            Ok(pidfd) => {
                if let Some(pidfd) = pidfd {
                    let _ = kernel::signal(pidfd.as_fd(), signal);
                }
                reached.insert(stat.key());
            }
            Err(_) => look = Look::Some,
        }
    }
    (reached, look)
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, session: i32, start_time: u64) -> (i32, Stat) {
        let stat = Stat {
            pid,
            state: b'S',
            parent,
            group: session,
            session,
            cpu_ticks: 0,
            threads: 1,
            start_time,
            rss_pages: 1,
            exit_code: 0,
        };
        (pid, stat)
    }

    /// The run of a leader that was there first.
    fn run(leader: i32, foreign: BTreeSet<i32>) -> Run {
        Run {
            home: "/h".into(),
            instance: InstanceId::new("a".parse().expect("valid"), 0),
            leader: (leader, 10),
            number_is_safe: true,
            generations: Generations {
                up_to: 1,
                except: BTreeSet::new(),
            },
            foreign,
            cgroup: None,
        }
    }

    #[test]
    fn sessions_parents_and_kin_decide() {
        // Numbers above any real pid, so that no environment can be read.
        let base = 1 << 28;
        let all = HashMap::from([
            stat(base, 1, base, 10),
            stat(base + 1, base, base, 11),         // in the session
            stat(base + 2, base + 1, base + 2, 12), // below, own session
            stat(base + 3, 1, base + 3, 13),        // orphan, seen before
            stat(base + 4, 1, base + 4, 14),        // another leader
            stat(base + 5, base + 4, base + 5, 15), // below that one
            stat(base + 6, 1, base + 6, 16),        // stranger
        ]);
        let run = run(base, [base + 4].into());
        remember(run.leader, [(base + 3, 13), (base + 6, 99)]);
        let pids = |run: &Run| -> Vec<i32> {
            let pass = Pass::new(all.clone());
            let found = members(run, &pass).expect("all can be read");
            found.iter().map(|stat| stat.pid - base).collect()
        };
        assert_eq!(pids(&run), [1, 2, 3]);
        forget(run.leader);
        assert_eq!(pids(&run), [1, 2]);
        let reused = Run {
            leader: (base, 9),
            number_is_safe: false,
            ..run
        };
        assert_eq!(pids(&reused), [0; 0]);
    }

    /// One of a chain of processes that each start the next one and end.
    #[test]
    fn nobody_is_left_is_not_said_of_who_ended_unseen() {
        let ours = rustix::process::getpid().as_raw_nonzero().get();
        let base = 1 << 28;
        let run = run(base, BTreeSet::new());
        let pass = |parent| {
            let own = proc_scan::stat(ours).expect("we are there");
            let one = stat(base + 1, parent, base + 1, 11);
            Pass::new(HashMap::from([(ours, own), one]))
        };
        let none = BTreeSet::new();
        assert!(has_lost(&run, &pass(ours), &none));
        assert!(!has_lost(&run, &pass(1), &none), "it was not of ours");
        let known = BTreeSet::from([(base + 1, 11)]);
        assert!(!has_lost(&run, &pass(ours), &known), "it was ended");
    }
}
