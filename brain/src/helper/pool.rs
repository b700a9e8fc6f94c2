//! The playbook processes of a daemon: none at rest, one as a rule, two when two incidents are
//! thought about at once.
//!
//! ```text
//!   ask ──► an idle one, or a new one ──► all have spoken ──► idle
//!              ▲          └── it fell during `x`: once more, if somebody else may be to blame
//!              └── the others go on ◄── `x` is off
//! ```

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use supervisor::{Clock, after, until};

use super::frame::FrameError;
use super::link::{Course, DOUBT, Ended, Fall, Link};
use crate::context::Situation;
use crate::interpreter::{Header, Matter, Said, Source, Wrong};
use crate::playbook::{Finding, Format, Go, Script, Unread};

/// Processes at the same time. One that is stuck must not keep every incident waiting.
const MOST: usize = 2;
/// The longest pause between two tries to start one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Processes that run scripts. They are started when they are needed.
pub struct Helpers {
    args: Vec<OsString>,
    clock: Clock,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Link>,
    busy: usize,
    /// Of idle and busy ones.
    pids: BTreeSet<i32>,
    /// Failures in a row to start one, or to keep one.
    failures: u32,
    not_before: Option<Timestamp>,
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("args", &self.args).finish()
    }
}

impl Helpers {
    /// Processes of this program with these arguments, with which it must call [`super::run`].
    pub fn new(args: &[&str], clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            args: args.iter().map(OsString::from).collect(),
            clock,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// The pids of those that are there, for tests of it.
    pub fn pids(&self) -> Vec<i32> {
        self.lock().pids.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a text says of itself.
    pub(crate) fn read(&self, source: &Source) -> Result<Header, Unread> {
        let told = self.tried(|link| link.read(source));
        match told.map_err(|error| self.unread(&source.name, error))? {
            Ok(header) => Ok(header),
            Err(wrong) => Err(Unread::Wrong(wrong)),
        }
    }

    /// Everything that can be said against a text.
    pub(crate) fn lint(
        &self,
        name: &str,
        format: Format,
        text: &str,
    ) -> Result<Vec<Finding>, Unread> {
        let told = self.tried(|link| link.lint(name, format, text));
        told.map_err(|error| self.unread(name, error))
    }

    fn unread(&self, name: &str, error: Fallen) -> Unread {
        match error {
            // Not proven to be the text's doing: it is tried again.
            Fallen::Ended(ended) if ended.is_doubtful() => Unread::Unavailable(format!(
                "the playbook process {ended} while it read `{name}`"
            )),
            Fallen::Ended(ended) => Unread::Wrong(Wrong {
                text: format!("the playbook process {ended} while it read `{name}`"),
                at: Default::default(),
            }),
            Fallen::Unavailable(why) => Unread::Unavailable(why),
        }
    }

    /// Does something with a process; once more in another one where this one may have ended by
    /// somebody else's doing.
    fn tried<T>(
        &self,
        mut once: impl FnMut(&mut Link) -> Result<T, FrameError>,
    ) -> Result<T, Fallen> {
        let mut doubt = DOUBT;
        loop {
            let mut link = self.take(Pause::Refused).map_err(Fallen::Unavailable)?;
            match once(&mut link) {
                Ok(done) => {
                    self.give_back(link);
                    return Ok(done);
                }
                Err(error) => {
                    let ended = self.fell(link, &error);
                    match ended.costs().and_then(|costs| doubt.checked_sub(costs)) {
                        Some(left) => doubt = left,
                        None => return Err(Fallen::Ended(ended)),
                    }
                }
            }
        }
    }

    /// Asks scripts about a situation, in their order, until `told` says that it is enough. Each
    /// of them is told something.
    pub(crate) fn ask(
        &self,
        situation: &Situation,
        matter: Matter,
        scripts: &[&Script],
        told: &mut dyn FnMut(usize, Said) -> Go,
    ) {
        let mut open: Vec<usize> = (0..scripts.len()).collect();
        let mut doubt = DOUBT;
        while !open.is_empty() {
            let mut link = match self.take(Pause::Waited) {
                Ok(link) => link,
                Err(why) => {
                    for place in open {
                        let why = why.clone();
                        if told(place, Said::Unasked { why }) == Go::Stop {
                            return;
                        }
                    }
                    return;
                }
            };
            let asked: Vec<&Script> = open.iter().map(|place| scripts[*place]).collect();
            let mut tell = |at: usize, said| told(open[at], said);
            match link.ask(situation, matter, &asked, &mut tell) {
                Ok(Course { done, stopped }) => {
                    self.give_back(link);
                    if stopped {
                        return;
                    }
                    open.drain(..done);
                }
                Err(Fall {
                    done,
                    during,
                    error,
                }) => {
                    let ended = self.fell(link, &error);
                    let culprit = open[during];
                    open.drain(..done);
                    if open.is_empty() {
                        return;
                    }
                    // Another script than the last time.
                    if done > 0 {
                        doubt = DOUBT;
                    }
                    if let Some(left) = ended.costs().and_then(|costs| doubt.checked_sub(costs)) {
                        doubt = left;
                        continue;
                    }
                    doubt = DOUBT;
                    open.retain(|place| *place != culprit);
                    let how = ended.to_string();
                    if told(culprit, Said::Ended { how }) == Go::Stop {
                        return;
                    }
                }
            }
        }
    }

    /// A process for this caller alone. Waits for one when there are enough.
    fn take(&self, pause: Pause) -> Result<Link, String> {
        let mut state = self.lock();
        loop {
            while let Some(link) = state.idle.pop() {
                if link.is_fit() {
                    state.busy += 1;
                    return Ok(link);
                }
                state.pids.remove(&link.pid());
            }
            if state.busy < MOST {
                break;
            }
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let left = state
            .not_before
            .map_or(Duration::ZERO, |at| until(self.clock.now(), at));
        if !left.is_zero() && pause == Pause::Refused {
            return Err("the playbook process cannot be started now".to_owned());
        }
        state.busy += 1;
        drop(state);
        if !left.is_zero() {
            let (lock, never) = (Mutex::new(()), Condvar::new());
            let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
            drop(never.wait_timeout(lock, left.min(LONGEST_PAUSE)));
        }
        let started = Link::start(&self.args);
        let mut state = self.lock();
        match started {
            Ok(link) => {
                state.pids.insert(link.pid());
                Ok(link)
            }
            Err(error) => {
                state.busy -= 1;
                self.failed(&mut state);
                self.freed.notify_one();
                tracing::warn!(%error, "The playbook process could not be started.");
                Err(format!(
                    "the playbook process could not be started: {error}"
                ))
            }
        }
    }

    fn give_back(&self, link: Link) {
        let mut state = self.lock();
        state.busy -= 1;
        state.failures = 0;
        state.not_before = None;
        if link.is_fit() {
            state.idle.push(link);
        } else {
            state.pids.remove(&link.pid());
        }
        self.freed.notify_one();
    }

    /// A process is of no use any more.
    fn fell(&self, link: Link, error: &FrameError) -> Ended {
        let pid = link.pid();
        let ended = link.end(error);
        let mut state = self.lock();
        state.busy -= 1;
        state.pids.remove(&pid);
        if !matches!(ended, Ended::Rested) {
            tracing::warn!(pid, how = %ended, "The playbook process ended.");
            if ended.is_doubtful() {
                self.failed(&mut state);
            }
        }
        self.freed.notify_one();
        ended
    }

    /// At once, then after 0.1, 0.2, 0.4 … seconds.
    fn failed(&self, state: &mut State) {
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.checked_sub(2);
        let pause = doublings.map_or(Duration::ZERO, |n| Duration::from_millis(100 << n.min(10)));
        state.not_before = Some(after(self.clock.now(), pause.min(LONGEST_PAUSE)));
    }
}

/// What becomes of a caller who comes in the pause after one could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// It waits: an incident has no better time.
    Waited,
    /// It is refused: whoever reads texts holds the lock of all of them, and comes again.
    Refused,
}

/// Why nothing came of it.
enum Fallen {
    Ended(Ended),
    Unavailable(String),
}
