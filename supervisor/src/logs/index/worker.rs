//! The indexer thread: rounds over what grew, each batch a transaction.
//!
//! It runs at a lower priority than programs and the capture. When the index is deleted or
//! damaged it makes a new one; when the disk refuses, it says so and tries again later.

mod look;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::came::Came;
use super::clean::{Cleaning, Thinned};
use super::gather::{Gather, Known, Settled};
use super::insert::{self, BatchError, Tail};
use super::keeper::{Keeper, Order};
use super::patterns::Patterns;
use super::{Shared, path_in, schema};
use crate::clock::Clock;
use crate::logs::names::{Names, bytes_apart};
use crate::logs::packed;
use crate::logs::reader::StreamReader;
use crate::logs::retention::{self, Change};
use crate::logs::side::Index;

/// How nice the thread is: programs and the capture go first.
const NICE: i32 = 10;
/// Between two rounds while lines come: they gather meanwhile, and batches are bigger.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it looks by itself: whether the index is still there, and what can be cleaned.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So much of the write-ahead log is moved as soon as nothing else is to be done.
const WORTH_MOVING: u64 = 4 << 20;
/// Empty pages that are worth a copy of the rest: 32 MiB.
const WORTH_SHRINKING: i64 = 8_192;
/// After the disk or the database refused.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Worker {
    folder: PathBuf,
    path: PathBuf,
    clock: Clock,
    shared: Arc<Shared>,
    grew: watch::Receiver<u64>,
    open: Option<Open>,
    keeper: Keeper,
    came: Came,
}

/// The index while it is open.
struct Open {
    db: Connection,
    /// Device and inode of the file, to see that it was replaced.
    identity: (u64, u64),
    known: HashMap<String, Known>,
    tail: Tail,
    settled: Settled,
    cleaning: Cleaning,
    patterns: Patterns,
    /// Streams that may have more sealed segments to compress.
    packing: BTreeSet<String>,
    /// First kept offset of streams when they were last looked at.
    firsts: HashMap<i64, u64>,
    lines: u64,
    /// When segments that are gone were last looked for, and those whose rows were cleaned.
    looked: Option<Instant>,
    holes: HashSet<(i64, u64, u64)>,
    /// How often lost side indices of a stream were made anew.
    mended: HashMap<String, u32>,
}

/// Which file it is; none when there is none, or one that was emptied.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    (metadata.len() > 0).then(|| (metadata.dev(), metadata.ino()))
}

impl Worker {
    pub(super) fn new(
        folder: PathBuf,
        clock: Clock,
        shared: Arc<Shared>,
        grew: watch::Receiver<u64>,
        keeper: Keeper,
    ) -> Self {
        Self {
            path: path_in(&folder),
            folder,
            came: Came::new(clock.now().as_millisecond()),
            clock,
            shared,
            grew,
            open: None,
            keeper,
        }
    }

    pub(super) fn run(mut self) {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), NICE) {
            tracing::debug!(%error, "The log index runs at the usual priority.");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "The log index cannot run.");
                return;
            }
        };
        while !self.shared.stop.load(Ordering::Acquire) {
            self.grew.mark_unchanged();
            let wait = match self.round() {
                Ok(Next::More) => continue,
                Ok(Next::Soon) => Some(PAUSE),
                Ok(Next::Idle) => None,
                Err(error) => {
                    self.failed(&error);
                    Some(RETRY)
                }
            };
            runtime.block_on(self.rest(wait));
        }
        // Closing moves the write-ahead log into the file.
        self.open = None;
    }

    /// Waits for lines, or for the given time.
    async fn rest(&mut self, wait: Option<Duration>) {
        let woken = self.shared.wake.notified();
        match wait {
            Some(wait) => {
                let _ = timeout(wait, woken).await;
            }
            None => {
                let grew = self.grew.changed();
                let news = async {
                    tokio::select! {
                        () = woken => {}
                        changed = grew => if changed.is_err() {
                            // The capture has ended; only a wake can come.
                            std::future::pending::<()>().await;
                        },
                    }
                };
                let _ = timeout(LOOK_EVERY, news).await;
            }
        }
    }

    fn failed(&mut self, error: &BatchError) {
        if let BatchError::Sql(error) = error
            && schema::is_damage(error)
        {
            tracing::warn!(%error, "The log index is damaged; it is made anew.");
            self.throw_away();
            return;
        }
        let problem = error.to_string();
        let known = self.view_problem();
        if known.as_deref() != Some(&problem) {
            tracing::warn!(%error, "The log index cannot be written.");
        }
        // A half-done transaction must not linger.
        self.open = None;
        self.came.failed();
        self.shared.update(|view| view.problem = Some(problem));
    }

    fn view_problem(&self) -> Option<String> {
        let mut problem = None;
        self.shared.update(|view| problem = view.problem.clone());
        problem
    }

    fn throw_away(&mut self) {
        self.open = None;
        schema::remove(&self.path);
        self.shared.update(|view| {
            view.rebuilds += 1;
            view.lines = 0;
            // Until the first round has looked.
            view.behind_bytes = 1;
        });
    }

    /// Opens the index if it is not, or not any more, the file of that name.
    fn ensure_open(&mut self) -> Result<Open, BatchError> {
        if self.shared.rebuild.swap(false, Ordering::AcqRel) {
            self.throw_away();
        }
        if let Some(open) = &self.open
            && identity(&self.path) != Some(open.identity)
        {
            tracing::warn!("The log index was removed; it is made anew.");
            self.open = None;
            // Nothing that is left beside it belongs to a new file.
            schema::remove(&self.path);
            self.shared.update(|view| {
                view.rebuilds += 1;
                view.lines = 0;
                view.behind_bytes = 1;
            });
        }
        match self.open.take() {
            Some(open) => Ok(open),
            None => Open::new(&self.path, &self.folder),
        }
    }

    fn round(&mut self) -> Result<Next, BatchError> {
        let mut open = self.ensure_open()?;
        let next = self.work(&mut open)?;
        // Not after an error: then it is opened anew.
        self.open = Some(open);
        Ok(next)
    }

    fn work(&mut self, open: &mut Open) -> Result<Next, BatchError> {
        let now_ms = self.clock.now().as_millisecond();
        let (folder, shared) = (&self.folder, &self.shared);
        let mut gather = Gather::open(folder, &open.known, &open.settled, now_ms)?;
        self.came.begin(&gather, &open.known);
        open.forget_missing(&gather);
        let mut full = false;
        if !gather.sources.is_empty() {
            let done = insert::batch(
                &mut open.db,
                &mut gather,
                &mut open.known,
                &mut open.tail,
                &mut open.patterns,
                &mut self.came,
            )?;
            shared.count(self.came.written(&gather));
            open.patterns.announce(now_ms, &shared.patterns);
            open.lines += done.lines;
            full = done.full;
            open.look_for_lost(folder, &gather);
            gather.settle(&mut open.settled);
        }
        let looked = gather.looked_at().map(str::to_owned);
        open.packing.extend(looked);
        let mut packed = !full && pack_sealed(&mut open.packing, folder);
        if !full && !packed {
            let index_bytes = || open.bytes().unwrap_or(0);
            let change = self.keeper.step(folder, index_bytes, now_ms);
            packed = change.is_some();
            if let Some(change) = change {
                open.lose(change);
            }
        }
        let cleans = !open.cleaning.is_idle();
        let cleaned = open.cleaning.step(&mut open.db)?;
        open.lines = open.lines.saturating_sub(cleaned);
        if cleans && open.cleaning.is_idle() {
            open.patterns.forget_unknown(&open.db)?;
            open.shrink()?;
        }
        let (lines, left) = (open.lines, gather.left());
        let lag = gather.oldest().map_or(0, |ts| now_ms.saturating_sub(ts));
        let busy = full || packed || !open.cleaning.is_idle();
        let files = [self.path.clone(), schema::beside(&self.path, "-wal")];
        let sizes = files.iter().filter_map(|path| path.metadata().ok());
        let size = sizes.map(|metadata| metadata.len()).sum();
        let apart = if busy { None } else { bytes_apart(folder).ok() };
        let mut looked = if busy { None } else { open.look(folder)? };
        for plan in looked
            .iter_mut()
            .flat_map(|looked| looked.to_mend.drain(..))
        {
            self.keeper.order(Order::Mend(Box::new(plan)));
        }
        // What was found is cleaned at once.
        let busy = busy || !open.cleaning.is_idle();
        shared.update(|view| {
            view.lines = lines;
            view.apart_bytes = apart.unwrap_or(view.apart_bytes);
            if let Some(looked) = looked {
                view.lost = looked.lost;
            }
            view.behind_bytes = left;
            view.lag_ms = lag.max(0) as u64;
            view.size_bytes = size;
            view.problem = None;
        });
        Ok(match (busy, gather.waits || left > 0) {
            (true, _) => Next::More,
            (false, true) => Next::Soon,
            (false, false) => {
                open.settle(&self.path);
                Next::Idle
            }
        })
    }
}

/// Compresses one sealed segment of each stream, once all that was new is in the index. True
/// when there was one: another may follow.
fn pack_sealed(streams: &mut BTreeSet<String>, folder: &Path) -> bool {
    streams.retain(|stem| {
        let names = Names::of_stem(folder, stem);
        let packed = match Index::open(&names.index()) {
            Ok(Some(index)) => packed::pack_one(&names, index.header.number),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        packed.unwrap_or_else(|error| {
            tracing::warn!(stream = stem, %error, "A log could not be compressed and stays as it is.");
            false
        })
    });
    !streams.is_empty()
}

/// When the next round is due.
enum Next {
    More,
    Soon,
    Idle,
}

impl Open {
    fn new(path: &Path, folder: &Path) -> Result<Self, BatchError> {
        let db = schema::open(path)?;
        let (known, tail) = insert::load(&db)?;
        // One look at all rows, at start-up only: how many there are, and those of streams
        // that were replaced when nobody looked.
        let counts: Vec<(i64, i64)> = db
            .prepare("SELECT stream, count(*) FROM rows GROUP BY stream")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let lines: i64 = counts.iter().map(|(_, count)| count).sum();
        let patterns = Patterns::load(&db)?;
        let mut open = Self {
            patterns,
            identity: identity(path).ok_or(std::io::Error::from(std::io::ErrorKind::NotFound))?,
            db,
            known,
            tail,
            settled: Settled::default(),
            cleaning: Cleaning::default(),
            packing: BTreeSet::new(),
            firsts: HashMap::new(),
            lines: lines.max(0) as u64,
            looked: None,
            holes: HashSet::new(),
            mended: HashMap::new(),
        };
        for (stream, _) in counts {
            if !open.known.values().any(|known| known.id == stream) {
                open.cleaning.forget(stream);
            }
        }
        open.look_for_thinned(folder)?;
        Ok(open)
    }

    /// Segments that lost lines when their rows could not follow.
    fn look_for_thinned(&mut self, folder: &Path) -> Result<(), BatchError> {
        let cleaned: HashSet<(i64, i64, u8)> = self
            .db
            .prepare("SELECT stream, begins, kept FROM cleaned")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (stem, known) in &self.known {
            for (from, to, kept) in retention::thinned(&Names::of_stem(folder, stem)) {
                if !cleaned.contains(&(known.id, from as i64, kept.bits())) {
                    self.cleaning.thinned(known.id, Thinned { from, to, kept });
                }
            }
        }
        Ok(())
    }

    /// Rows go with their lines.
    fn lose(&mut self, change: Change) {
        match change {
            Change::Thinned {
                stem,
                from,
                to,
                kept,
            } => {
                if let Some(known) = self.known.get(&stem) {
                    self.cleaning.thinned(known.id, Thinned { from, to, kept });
                }
            }
            Change::Begins { stem, first } => {
                if let Some(known) = self.known.get(&stem) {
                    self.cleaning.begins_at(known.id, first);
                }
            }
        }
    }

    /// Pages of the file: all, and those that nothing is in.
    fn pages(&self) -> Result<(i64, i64), rusqlite::Error> {
        let get = |name| self.db.pragma_query_value(None, name, |row| row.get(0));
        Ok((get("page_count")?, get("freelist_count")?))
    }

    /// Bytes that it needs.
    fn bytes(&self) -> Result<u64, rusqlite::Error> {
        let (all, free) = self.pages()?;
        let size: i64 = self
            .db
            .pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok((all - free).saturating_mul(size).max(0) as u64)
    }

    /// Moves what a flood left in the write-ahead log into the file, once there is time.
    fn settle(&self, path: &Path) {
        let waiting = std::fs::metadata(schema::beside(path, "-wal")).map_or(0, |wal| wal.len());
        if waiting < WORTH_MOVING {
            return;
        }
        // A reader may hold it back: then the next time.
        let moved = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = moved {
            tracing::debug!(%error, "The write-ahead log of the index stays for now.");
        }
    }

    /// Gives room back when most of the file is empty.
    fn shrink(&self) -> Result<(), rusqlite::Error> {
        let (all, free) = self.pages()?;
        if free > WORTH_SHRINKING && free > all / 2 {
            self.db.execute_batch("VACUUM")?;
        }
        Ok(())
    }

    /// Streams that are no longer there, or are others of the same name.
    fn forget_missing(&mut self, gather: &Gather) {
        let cleaning = &mut self.cleaning;
        self.known.retain(|stem, known| {
            let there = gather.stems.contains(stem);
            let replaced = gather
                .sources
                .iter()
                .filter(|source| source.stem == *stem)
                // Cut short by somebody: what comes now stands where other lines stood.
                .any(|source| source.epoch != known.epoch || source.done < known.done);
            if !there || replaced {
                cleaning.forget(known.id);
            }
            there && !replaced
        });
    }

    /// Streams of which the oldest segments are gone.
    fn look_for_lost(&mut self, folder: &Path, gather: &Gather) {
        for source in &gather.sources {
            let Some(known) = self.known.get(&source.stem) else {
                continue;
            };
            let names = Names::of_stem(folder, &source.stem);
            let Ok(first) = StreamReader::first_kept(&names) else {
                continue;
            };
            let before = self.firsts.insert(known.id, first);
            // At the first look, rows may be left of what went when nobody looked.
            if first > before.unwrap_or(0) {
                self.cleaning.begins_at(known.id, first);
            }
        }
    }
}
