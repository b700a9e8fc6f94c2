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
