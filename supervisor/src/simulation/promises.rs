//! What must hold at any moment, whatever happens.
//!
//! A promise that is broken is written down with the time, and the story ends with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use crate::ids::{Generation, InstanceId, ProcessName};

/// What the last answered order says about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wish {
    /// An order is under way, or nobody can know.
    #[default]
    Open,
    /// It was answered that it is to stay down.
    Down,
    /// It was answered that there is no such process any more.
    Gone,
    /// It was answered that it is up, and it is one that is always brought up again.
    Up,
}

/// What the disk says about a run that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intention {
    /// It is on record.
    Recorded,
    /// A reload is on record, which starts it beside the run that is.
    Reload,
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
    deaths: u64,
    wishes: BTreeMap<ProcessName, Wish>,
    /// So many copies of it were answered to be there.
    copies: BTreeMap<ProcessName, u16>,
    /// Copies of which it was answered that they are to stay down, whatever the others do.
    down: BTreeSet<InstanceId>,
    newest: BTreeMap<InstanceId, Generation>,
}

impl Promises {
    pub(super) fn new() -> Self {
        let inner = Inner {
            begun: Instant::now(),
            lines: Vec::new(),
            broken: Vec::new(),
            deaths: 0,
            wishes: BTreeMap::new(),
            copies: BTreeMap::new(),
            down: BTreeSet::new(),
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

    /// A daemon has died, and the next one begins.
    pub(super) fn daemon_died(&self) {
        self.inner().deaths += 1;
        self.tell("another daemon begins");
    }

    /// A promise is broken.
    pub(super) fn broke(&self, what: impl AsRef<str>) {
        self.tell(format!("BROKEN: {}", what.as_ref()));
        self.inner().broken.push(what.as_ref().to_owned());
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.inner().broken.is_empty()
    }

    /// The story, what was broken in it, and how many daemons have died.
    pub(super) fn take(&self) -> (Vec<String>, Vec<String>, u64) {
        let mut inner = self.inner();
        (
            std::mem::take(&mut inner.lines),
            std::mem::take(&mut inner.broken),
            inner.deaths,
        )
    }

    pub(super) fn wish(&self, process: &ProcessName, wish: Wish) {
        self.inner().wishes.insert(process.clone(), wish);
    }

    /// What is wished of a process.
    pub(super) fn wished(&self, process: &ProcessName) -> Wish {
        let inner = self.inner();
        inner.wishes.get(process).copied().unwrap_or_default()
    }

    /// So many copies are wished of a process; none, when nobody can know.
    pub(super) fn wish_copies(&self, process: &ProcessName, copies: Option<u16>) {
        let mut inner = self.inner();
        match copies {
            Some(copies) => inner.copies.insert(process.clone(), copies),
            None => inner.copies.remove(process),
        };
    }

    /// So many copies are wished of a process, as far as anybody can know.
    pub(super) fn wished_copies(&self, process: &ProcessName) -> Option<u16> {
        self.inner().copies.get(process).copied()
    }

    /// This copy is to stay down, whatever the others do.
    pub(super) fn wish_down(&self, copy: InstanceId) {
        self.inner().down.insert(copy);
    }

    /// Of such copies of a process nobody can know any more whether they are to be down.
    pub(super) fn open_copies(&self, process: &ProcessName, such: impl Fn(u16) -> bool) {
        let is_such = |copy: &InstanceId| copy.process == *process && such(copy.index);
        self.inner().down.retain(|copy| !is_such(copy));
    }

    /// The copies that are to stay down by themselves.
    pub(super) fn wished_down(&self) -> BTreeSet<InstanceId> {
        self.inner().down.clone()
    }

    /// Such instances are no more: what comes under their name is counted anew.
    pub(super) fn forget(&self, such: impl Fn(&InstanceId) -> bool) {
        self.inner().newest.retain(|id, _| !such(id));
    }

    /// A run begins beside these others, which live.
    pub(super) fn spawned(
        &self,
        instance: &InstanceId,
        generation: Generation,
        beside: &BTreeSet<Generation>,
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
            let process = &instance.process;
            let wish = inner.wishes.get(process).copied().unwrap_or_default();
            (wish, before)
        };
        // The new copy of a reload has its number, and may come after one that the old copy took.
        let is_beside = intention == Intention::Reload;
        if let Wish::Down | Wish::Gone = wish {
            self.broke(format!(
                "{instance}: run {generation} begins although it was to stay {wish:?}"
            ));
        }
        if self.inner().down.contains(instance) {
            self.broke(format!(
                "{instance}: run {generation} begins although this copy was to stay down"
            ));
        }
        if let Some(copies) = self.wished_copies(&instance.process)
            && instance.index >= copies
        {
            self.broke(format!(
                "{instance}: run {generation} begins although there were to be {copies} copies"
            ));
        }
        if generation <= newest && !is_beside {
            self.broke(format!("{instance}: run {generation} comes after {newest}"));
        }
    }
}

fn since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}
