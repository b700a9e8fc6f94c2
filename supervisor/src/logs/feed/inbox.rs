//! What waits for one subscriber: bounded in lines and bytes, the oldest goes first.
//!
//! A subscriber that makes progress may ask that the reader wait while its inbox is full.
//! An inbox also knows how far its subscriber got: a line counts as done when it was
//! acknowledged or dropped. Lines are done in order within a stream, so one offset per stream
//! says it all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{FeedLine, Mark, Places};

/// What a line costs besides its text.
const OVERHEAD: usize = 256;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines.
    pub lines: usize,
    /// Bytes, about.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lines: 8_192,
            bytes: 64 << 20,
        }
    }
}

type Wanted = Box<dyn Fn(&FeedLine) -> bool + Send + Sync>;

/// The lines that wait for one subscriber.
pub struct Inbox {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
    bounds: Bounds,
    wanted: Wanted,
}

struct State {
    queue: VecDeque<Arc<FeedLine>>,
    bytes: usize,
    /// When the oldest line in the queue came in.
    oldest: Option<Instant>,
    dropped: u64,
    /// Nothing is dropped at the moment.
    patient: bool,
    /// A batch was taken and not acknowledged yet.
    taken: bool,
    /// It is about to end: nothing waits for more to come.
    hurries: bool,
    /// How often the feed has found nothing further to read.
    rounds: u64,
    /// How far the feed has read for this subscriber.
    seen: Places,
    /// How far everything is done.
    done: Places,
    /// What was dropped after a batch was taken: done only once that is.
    passed: Vec<Mark>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queued = self.lock().queue.len();
        f.debug_struct("Inbox")
            .field("queued", &queued)
            .finish_non_exhaustive()
    }
}

fn size(line: &FeedLine) -> usize {
    let parsed = if line.fields.is_empty() {
        0
    } else {
        // Fields are the text once more, in small pieces.
        line.text.len() * 2
    };
    line.text.len() + parsed + OVERHEAD
}

impl Inbox {
    pub(crate) fn new(places: Places, bounds: Bounds, wanted: Wanted) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                oldest: None,
                dropped: 0,
                patient: false,
                taken: false,
                hurries: false,
                rounds: 0,
                seen: places.clone(),
                done: places,
                passed: Vec::new(),
            }),
            filled: Notify::new(),
            emptied: Notify::new(),
            bounds,
            wanted,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `lines` wait, or some wait and the oldest has done so for `patience`.
    pub async fn ready(&self, lines: usize, patience: std::time::Duration) {
        loop {
            let filled = self.filled.notified();
            let deadline = {
                let state = self.lock();
                let hurries = state.hurries && !state.queue.is_empty();
                if state.queue.len() >= lines || hurries {
                    return;
                }
                state.oldest.map(|oldest| oldest + patience)
            };
            match deadline {
                Some(deadline) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(deadline) => return,
                        () = filled => {}
                    }
                }
                None => filled.await,
            }
        }
    }

    /// Takes the oldest lines, at most so many and about so many bytes, at least one if there
    /// is one. They are in the caller's hands until [`Inbox::done`].
    pub fn take(&self, lines: usize, bytes: usize) -> Vec<Arc<FeedLine>> {
        let mut state = self.lock();
        let mut batch: Vec<Arc<FeedLine>> = Vec::new();
        let mut sum = 0;
        while batch.len() < lines
            && let Some(line) = state.queue.front()
            && (batch.is_empty() || sum + size(line) <= bytes)
        {
            sum += size(line);
            batch.extend(state.queue.pop_front());
        }
        state.bytes -= sum;
        state.taken = !batch.is_empty();
        state.oldest = (!state.queue.is_empty()).then(Instant::now);
        self.emptied.notify_one();
        batch
    }

    /// Says whether the reader should wait while the inbox is full: it should as long as the
    /// subscriber makes progress. At first it does not.
    pub fn wait_for_me(&self, patient: bool) {
        self.lock().patient = patient;
        self.emptied.notify_one();
    }

    /// How many lines may come at once.
    pub(super) fn room(&self, late: bool) -> usize {
        let state = self.lock();
        if !state.patient || late {
            return usize::MAX;
        }
        if state.bytes > self.bounds.bytes / 2 {
            return 0;
        }
        self.bounds.lines.saturating_sub(state.queue.len())
    }

    /// Waits until something was taken out, at most so long.
    pub(super) async fn emptied(&self, limit: std::time::Duration) {
        // Either way it is looked at again.
        let _ = tokio::time::timeout(limit, self.emptied.notified()).await;
    }

    /// The lines of the last batch are dealt with.
    pub fn done(&self, batch: &[Arc<FeedLine>]) {
        let mut state = self.lock();
        for line in batch {
            state.done.set(&line.mark);
        }
        for mark in std::mem::take(&mut state.passed) {
            state.done.set(&mark);
        }
        state.taken = false;
    }

    /// From now on lines are handed on as they come, and looked for more often. Answers how
    /// far the feed is, for [`Inbox::is_through`].
    pub fn hurry(&self) -> u64 {
        let mut state = self.lock();
        state.hurries = true;
        self.filled.notify_one();
        state.rounds
    }

    pub(super) fn hurries(&self) -> bool {
        self.lock().hurries
    }

    /// The feed has found nothing further.
    pub(super) fn looked(&self) {
        self.lock().rounds += 1;
    }

    /// Is all dealt with that was printed before [`Inbox::hurry`] answered this?
    pub fn is_through(&self, since: u64) -> bool {
        let state = self.lock();
        // The first of the two may have begun before.
        state.rounds >= since + 2 && state.queue.is_empty() && !state.taken
    }

    /// How many lines wait.
    pub fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// How many lines were dropped since the start, because others came and it was full.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Where a subscriber goes on that has done what this one has.
    pub fn places(&self) -> Places {
        let state = self.lock();
        if state.queue.is_empty() && !state.taken {
            // Also lines that were not wanted are behind it.
            state.seen.clone()
        } else {
            state.done.clone()
        }
    }

    /// Where the feed begins for this subscriber in a stream; `resolve` finds the place of a
    /// time in a stream it has no place in.
    pub(super) fn start<E>(
        &self,
        stream: &Arc<str>,
        epoch: i64,
        resolve: impl FnOnce(i64) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some((known, offset)) = state.seen.streams.get(&**stream) {
            // Deleted and made anew: all of it is new.
            return Ok(if *known == epoch { *offset } else { 0 });
        }
        let offset = resolve(state.seen.since_ms)?;
        for places in [&mut state.seen, &mut state.done] {
            places.streams.insert(stream.to_string(), (epoch, offset));
        }
        Ok(offset)
    }

    /// Puts in what is wanted and new of a round, and notes how far that went.
    pub(super) fn push(&self, lines: &[Arc<FeedLine>], ends: &[Mark]) {
        let mut state = self.lock();
        let state = &mut *state;
        let before = state.queue.len();
        for line in lines {
            let mark = &line.mark;
            let known = state.seen.streams.get(&*mark.stream);
            if known.is_some_and(|(epoch, at)| *epoch == mark.epoch && mark.end <= *at)
                || !(self.wanted)(line)
            {
                continue;
            }
            state.bytes += size(line);
            state.queue.push_back(line.clone());
            while state.queue.len() > self.bounds.lines
                || (state.bytes > self.bounds.bytes && state.queue.len() > 1)
            {
                if let Some(oldest) = state.queue.pop_front() {
                    state.bytes -= size(&oldest);
                    state.dropped += 1;
                    if state.taken {
                        state.passed.push(oldest.mark.clone());
                    } else {
                        state.done.set(&oldest.mark);
                    }
                }
            }
        }
        compact(&mut state.passed);
        for end in ends {
            let known = state.seen.streams.get(&*end.stream);
            if known.is_none_or(|(epoch, at)| *epoch != end.epoch || *at < end.end) {
                state.seen.set(end);
            }
        }
        if state.queue.is_empty() {
            return;
        }
        state.oldest.get_or_insert_with(Instant::now);
        if state.queue.len() != before {
            self.filled.notify_one();
        }
    }

    /// Forgets streams that are gone for good.
    pub(super) fn forget(&self, gone: &[Arc<str>]) {
        let mut state = self.lock();
        for stream in gone {
            state.seen.streams.remove(&**stream);
            state.done.streams.remove(&**stream);
        }
    }
}

/// Only the last mark of each stream matters.
fn compact(marks: &mut Vec<Mark>) {
    if marks.len() < 1_024 {
        return;
    }
    let mut last = std::collections::BTreeMap::new();
    for mark in marks.drain(..) {
        last.insert(mark.stream.clone(), mark);
    }
    marks.extend(last.into_values());
}
