//! How many lines came since the daemon started, by process and level.
//!
//! Lines are counted while they are indexed, each once: an index that is made anew counts
//! nothing again. What was there before the daemon started does not count.

use std::collections::HashMap;

use super::gather::{Gather, Known, Source};
use crate::ids::ProcessName;

/// Whose lines, and the rank of their level.
pub(super) type Whose = (ProcessName, Option<u8>);

/// What was counted.
#[derive(Debug)]
pub(super) struct Came {
    begun: bool,
    /// When the daemon started: streams that are younger count from their first line on.
    started_ms: i64,
    /// Up to where each stream was counted, with its epoch.
    places: HashMap<String, (i64, u64)>,
    /// Of the present batch, until it is written.
    fresh: HashMap<Whose, u64>,
}

impl Came {
    /// Counts from now on.
    pub(super) fn new(started_ms: i64) -> Self {
        Self {
            begun: false,
            started_ms,
            places: HashMap::new(),
            fresh: HashMap::new(),
        }
    }

    /// Looks where streams are when the daemon starts.
    pub(super) fn begin(&mut self, gather: &Gather, known: &HashMap<String, Known>) {
        if self.begun {
            return;
        }
        self.begun = true;
        for source in &gather.sources {
            let known = known.get(&source.stem).filter(|k| k.epoch == source.epoch);
            let from = match known {
                Some(known) => known.done,
                None if source.epoch >= self.started_ms => 0,
                None => source.end(),
            };
            self.places
                .insert(source.stem.clone(), (source.epoch, from));
        }
    }

    /// A line that begins at `start`.
    pub(super) fn line(&mut self, source: &Source, start: u64, level: Option<u8>) {
        let known = self.places.get(&source.stem);
        if known.is_some_and(|(epoch, from)| *epoch == source.epoch && start < *from) {
            return;
        }
        let process = &source.instance.process;
        let whose = (process.clone(), level);
        *self.fresh.entry(whose).or_default() += 1;
    }

    /// The batch is written: its lines count.
    pub(super) fn written(&mut self, gather: &Gather) -> HashMap<Whose, u64> {
        for source in &gather.sources {
            let place = self.places.entry(source.stem.clone()).or_default();
            *place = match *place {
                (epoch, from) if epoch == source.epoch => (epoch, from.max(source.done)),
                _ => (source.epoch, source.done),
            };
        }
        std::mem::take(&mut self.fresh)
    }

    /// It is not: they come again.
    pub(super) fn failed(&mut self) {
        self.fresh.clear();
    }
}
