//! Which process belongs to which tree.

use std::collections::HashMap;

use super::Look;
use crate::sys::proc_scan::Stat;
use crate::sys::tree::{self, Key};

/// Gives every process to the tree it belongs to.
pub(super) fn group(looks: &[Look], all: &HashMap<i32, Stat>) -> HashMap<Key, Vec<Stat>> {
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
            // Nobody is older than the one that made it: this one's parent is gone, what was
            // read of it is from before, and somebody else has the number now.
            let parent = all.get(&stat.parent);
            if parent.is_some_and(|parent| parent.start_time > stat.start_time) {
                break None;
            }
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

    fn stat(pid: i32, parent: i32, start_time: u64) -> Stat {
        Stat {
            pid,
            state: b'S',
            parent,
            group: pid,
            session: pid,
            cpu_ticks: 0,
            threads: 1,
            start_time,
            rss_pages: 1,
            exit_code: 0,
        }
    }

    /// A stranger whose parent has ended is read anew only once in a while; meanwhile the
    /// parent's number may be that of a supervised process.
    #[test]
    fn a_child_of_one_that_had_the_number_before_is_nobodys() {
        let leader = stat(700, 1, 900);
        let own = stat(701, 700, 901);
        let stale = stat(500, 700, 50);
        let below = stat(501, 500, 950);
        let all = [leader, own, stale, below].map(|stat| (stat.pid, stat));
        let look = Look {
            instance: crate::ids::InstanceId::new("api".parse().expect("a name"), 0),
            leader: leader.key(),
            kept: None,
            rest: None,
        };
        let trees = group(&[look], &all.into_iter().collect());
        let mut found: Vec<i32> = trees[&leader.key()].iter().map(|stat| stat.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [700, 701]);
    }
}
