//! What must hold at any moment, whatever happens.
//!
//! A promise that is broken is written down with the time, and the story ends with it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use crate::ids::{Generation, InstanceId};

/// What the last answered order says about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wish {
    /// An order is under way, or nobody can know.
    #[default]
    Open,
    /// It was answered that it is to stay down.
    Down,
}

/// What the disk says about a run that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intention {
    /// It is on record.
    Recorded,
    /// It is not, since nothing could be written.
    DiskFull,
    /// It is not.
    Missing,
}

thread_local! {
    /// The book of the story that this thread tells.
    static HERE: RefCell<Option<Promises>> = const { RefCell::new(None) };
}

/// Writes into the book of the story that is being told, if there is one.
pub(super) fn aside(what: impl FnOnce() -> String) {
    HERE.with_borrow(|here| {
        if let Some(promises) = here {
            promises.tell(what());
        }
    });
}

/// The book of a story. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Promises {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    lines: Vec<String>,
    broken: Vec<String>,
    wishes: BTreeMap<InstanceId, Wish>,
    newest: BTreeMap<InstanceId, Generation>,
}

impl Promises {
    pub(super) fn new() -> Self {
        let inner = Inner {
            begun: Instant::now(),
            lines: Vec::new(),
            broken: Vec::new(),
            wishes: BTreeMap::new(),
            newest: BTreeMap::new(),
        };
        let promises = Self {
            inner: Arc::new(Mutex::new(inner)),
        };
        HERE.set(Some(promises.clone()));
        promises
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    /// Something happened.
    pub(super) fn tell(&self, what: impl AsRef<str>) {
        let mut inner = self.inner();
        let line = format!("{:>10.3}  {}", since(inner.begun), what.as_ref());
        inner.lines.push(line);
    }

    /// A promise is broken.
    pub(super) fn broke(&self, what: impl AsRef<str>) {
        self.tell(format!("BROKEN: {}", what.as_ref()));
        self.inner().broken.push(what.as_ref().to_owned());
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.inner().broken.is_empty()
    }

    /// The story and what was broken in it.
    pub(super) fn take(&self) -> (Vec<String>, Vec<String>) {
        let mut inner = self.inner();
        (
            std::mem::take(&mut inner.lines),
            std::mem::take(&mut inner.broken),
        )
    }

    pub(super) fn wish(&self, instance: &InstanceId, wish: Wish) {
        self.inner().wishes.insert(instance.clone(), wish);
    }

    /// A run begins beside these others, which live.
    pub(super) fn spawned(
        &self,
        instance: &InstanceId,
        generation: Generation,
        beside: &[Generation],
        intention: Intention,
    ) {
        self.tell(format!("{instance} spawns run {generation}"));
        if !beside.is_empty() {
            self.broke(format!(
                "{instance}: run {generation} begins while {beside:?} live"
            ));
        }
        if intention == Intention::Missing {
            self.broke(format!(
                "{instance}: run {generation} begins and no record says so"
            ));
        }
        let (wish, newest) = {
            let mut inner = self.inner();
            let newest = inner.newest.entry(instance.clone()).or_default();
            let before = *newest;
            // The next daemon cannot know of a run that is gone and never was on record.
            if intention == Intention::Recorded {
                *newest = generation.max(before);
            }
            let wish = inner.wishes.get(instance).copied().unwrap_or_default();
            (wish, before)
        };
        if wish == Wish::Down {
            self.broke(format!(
                "{instance}: run {generation} begins although it was to stay down"
            ));
        }
        if generation <= newest {
            self.broke(format!("{instance}: run {generation} comes after {newest}"));
        }
    }
}

fn since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}
