//! One pass over `/proc`, and what can be asked of it: shared by all who asked before it began.
//!
//! Who ends a thousand processes at once looks for the tree of each of them. That costs two
//! passes, not two thousand; and of a pass only those processes are looked at that may belong
//! to the tree in question: those near its leader, and those that nobody's leader is near.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::latest::{Latest, LatestOfAll};
use super::proc_scan::{self, Mark, Stat};
use super::reap;

/// All processes there were.
#[derive(Debug, Default)]
pub(super) struct Pass {
    all: HashMap<i32, Stat>,
    /// What was read of environments since, by home: it does not change while the process
    /// runs one program.
    marks: Mutex<HashMap<PathBuf, HashMap<i32, Option<Mark>>>>,
    near: OnceLock<Near>,
}

/// Who is near whom.
#[derive(Debug)]
struct Near {
    /// By the numbers of their session and of their process group.
    together: HashMap<i32, Vec<i32>>,
    children: HashMap<i32, Vec<i32>>,
    /// No leader that somebody waits for is on their line of parents, or leads their session
    /// or process group.
    strangers: Vec<i32>,
}

impl Pass {
    pub(super) fn new(all: HashMap<i32, Stat>) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    /// From a pass that begins after this is called.
    ///
    /// # Errors
    /// When one of the processes cannot be read: what is missing may be what is looked for.
    pub(super) fn shared() -> io::Result<Arc<Self>> {
        static LATEST: Latest<Arc<Pass>> = Latest::new();
        LATEST.ask(|| Ok(Arc::new(Self::new(proc_scan::try_all()?))))
    }

    /// The same without keeping a thread waiting.
    ///
    /// # Errors
    /// As [`Pass::shared`].
    pub(super) async fn next() -> io::Result<Arc<Self>> {
        static LATEST: LatestOfAll<Arc<Pass>> = LatestOfAll::new();
        let look = || Ok(Arc::new(Self::new(proc_scan::try_all()?)));
        let blocking = async move {
            let looked = tokio::task::spawn_blocking(look).await;
            looked.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        LATEST.ask(blocking).await
    }

    /// Everybody.
    pub(super) fn all(&self) -> &HashMap<i32, Stat> {
        &self.all
    }

    /// The mark in the environment of one of them, read since the pass began.
    ///
    /// # Errors
    /// When that cannot be known.
    pub(super) fn mark(&self, pid: i32, home: &Path) -> io::Result<Option<Mark>> {
        let marks = || self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = marks().get(home).and_then(|of_home| of_home.get(&pid)) {
            return Ok(known.clone());
        }
        let mark = proc_scan::try_mark(pid, home)?;
        let mut marks = marks();
        let of_home = marks.entry(home.to_owned()).or_default();
        of_home.insert(pid, mark.clone());
        Ok(mark)
    }

    /// Everybody who may belong to the tree of `leader`: who is in its session or group or
    /// one of `also`, who is below them, and the strangers, whom a mark may tie to it. Whoever
    /// is left out is near another leader, and was found to be nobody of this one's.
    pub(super) fn candidates(
        &self,
        leader: i32,
        also: impl IntoIterator<Item = i32>,
    ) -> BTreeSet<i32> {
        let near = self.near.get_or_init(|| self.see_who_is_near_whom());
        let mut found: BTreeSet<i32> = near.strangers.iter().copied().collect();
        let mut below: Vec<i32> = vec![leader];
        below.extend(near.together.get(&leader).into_iter().flatten());
        below.extend(also);
        let mut seen = BTreeSet::new();
        while let Some(pid) = below.pop() {
            if seen.insert(pid) {
                below.extend(near.children.get(&pid).into_iter().flatten());
            }
        }
        found.append(&mut seen);
        found
    }

    fn see_who_is_near_whom(&self) -> Near {
        let leaders = reap::owned();
        let mut near = Near {
            together: HashMap::new(),
            children: HashMap::new(),
            strangers: Vec::new(),
        };
        let mut known = HashMap::new();
        for stat in self.all.values() {
            near.children.entry(stat.parent).or_default().push(stat.pid);
            near.together
                .entry(stat.session)
                .or_default()
                .push(stat.pid);
            if stat.group != stat.session {
                near.together.entry(stat.group).or_default().push(stat.pid);
            }
            if !self.is_near_one_of(&leaders, stat.pid, &mut known) {
                near.strangers.push(stat.pid);
            }
        }
        near
    }

    fn is_near_one_of(
        &self,
        leaders: &BTreeSet<i32>,
        pid: i32,
        known: &mut HashMap<i32, bool>,
    ) -> bool {
        let (mut line, mut at) = (Vec::new(), pid);
        let answer = loop {
            if let Some(known) = known.get(&at) {
                break *known;
            }
            let Some(stat) = self.all.get(&at) else {
                break false;
            };
            line.push(at);
            if [at, stat.session, stat.group]
                .iter()
                .any(|number| leaders.contains(number))
            {
                break true;
            }
            if at <= 2 || line.len() > self.all.len() {
                break false;
            }
            at = stat.parent;
        };
        known.extend(line.into_iter().map(|at| (at, answer)));
        answer
    }
}

/// All processes of a home with their marks.
pub(super) type Marked = Arc<Vec<(Stat, Mark)>>;

/// All processes of a home with their marks, from a pass over `/proc` that begins after this
/// is called. Shared, since reading environments is what costs: a daemon that comes back looks
/// for strays of each of its instances at once.
///
/// # Errors
/// As [`Pass::next`], and when a mark cannot be read.
pub(super) async fn marked(home: &Path) -> io::Result<Marked> {
    static LATEST: LatestOfAll<(PathBuf, Marked)> = LatestOfAll::new();
    loop {
        let home_of_look = home.to_owned();
        let look = move || {
            let mut found = Vec::new();
            for stat in proc_scan::try_all()?.into_values() {
                let mark = proc_scan::try_mark(stat.pid, &home_of_look)?;
                found.extend(mark.map(|mark| (stat, mark)));
            }
            Ok((home_of_look, Arc::new(found)))
        };
        let blocking = async move {
            let looked = tokio::task::spawn_blocking(look).await;
            looked.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        let (whose, found) = LATEST.ask(blocking).await?;
        // Only tests have more than one home.
        if whose == home {
            return Ok(found);
        }
    }
}
