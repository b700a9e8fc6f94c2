//! The daemon's end of one playbook process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;

use serde_json::Value;
use supervisor::state::ExitStatus;
use supervisor::sys::helper::{Bounds, Helper};
use tokio::time::Instant;

use super::frame::{self, FROM_INSIDE, FrameError};
use super::{Asked, MEMORY, Order, SCRIPT, SILENCE, STACK, Word};
use crate::context::{Oracle, Situation};
use crate::interpreter::{Header, Matter, Said, Source, Wrong};
use crate::playbook::{Finding, Format, Go, Script};

/// Texts that one process reads at most: then another one takes its place.
const READ: usize = 400;
/// Of the system, when there is no memory, or of a person.
const SIGKILL: i32 = 9;
/// How much in a row is not taken for a script's fault.
pub(super) const DOUBT: u32 = 2;

/// A process that is there.
pub(super) struct Link {
    helper: Helper,
    read: BTreeSet<u64>,
}

/// How a process ended, or why it was.
#[derive(Debug)]
pub(super) enum Ended {
    /// It had nothing to do, and went just before it was to do something.
    Rested,
    /// It ended by itself, or the system ended it.
    Exit(ExitStatus),
    /// It was killed, since it did not get on.
    Stuck,
    /// It was killed, since what it said is not to be trusted.
    Nonsense(String),
}

impl Ended {
    /// May somebody else be to blame: one who kills processes, or the machine? A script that
    /// does harm does it again.
    pub(super) fn is_doubtful(&self) -> bool {
        self.costs().is_some()
    }

    /// What of [`DOUBT`] is used up by this; none where there is no doubt.
    pub(super) fn costs(&self) -> Option<u32> {
        match self {
            Ended::Rested | Ended::Exit(ExitStatus::Signal(SIGKILL)) => Some(1),
            // Waiting for it took long enough.
            Ended::Stuck => Some(DOUBT),
            Ended::Exit(_) | Ended::Nonsense(_) => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Rested => f.write_str("went"),
            Ended::Stuck => f.write_str("did not get on and was killed"),
            Ended::Nonsense(what) => write!(f, "was killed, for {what},"),
            Ended::Exit(ExitStatus::Code(101)) => f.write_str("panicked"),
            Ended::Exit(ExitStatus::Code(code)) => write!(f, "ended with code {code}"),
            Ended::Exit(ExitStatus::Unknown) => f.write_str("ended"),
            Ended::Exit(ExitStatus::Signal(signal)) => {
                let (name, why) = match signal {
                    6 => ("SIGABRT", ", as it does without memory or stack,"),
                    9 => ("SIGKILL", ""),
                    11 => ("SIGSEGV", ""),
                    27 => ("SIGPROF", ", since it computed for more than 1 s,"),
                    31 => ("SIGSYS", ""),
                    other => return write!(f, "died of signal {other}"),
                };
                write!(f, "died of {name}{why}")
            }
        }
    }
}

/// How far some scripts were asked.
pub(super) struct Course {
    /// So many have said something.
    pub(super) done: usize,
    /// No more need be asked.
    pub(super) stopped: bool,
}

/// Scripts that were asked to their end, and the one during which there was no going on.
pub(super) struct Fall {
    /// So many have said something.
    pub(super) done: usize,
    /// The place of the one that was read or asked.
    pub(super) during: usize,
    pub(super) error: FrameError,
}

impl Link {
    pub(super) fn start(args: &[OsString]) -> io::Result<Self> {
        let bounds = Bounds {
            memory: MEMORY,
            stack: STACK,
        };
        Ok(Self {
            helper: Helper::start(args, bounds)?,
            read: BTreeSet::new(),
        })
    }

    /// Can it take another order?
    pub(super) fn is_fit(&self) -> bool {
        self.read.len() < READ && !self.helper.has_ended()
    }

    pub(super) fn pid(&self) -> i32 {
        self.helper.pid()
    }

    pub(super) fn read(&mut self, source: &Source) -> Result<Result<Header, Wrong>, FrameError> {
        self.send(&Order::Read(source.clone()))?;
        match self.receive()? {
            Word::Read(Ok(header)) if !header.is_sound(&source.name) => Err(nonsense()),
            Word::Read(told) => {
                if told.is_ok() {
                    self.read.insert(source.id);
                }
                Ok(told)
            }
            _ => Err(nonsense()),
        }
    }

    pub(super) fn lint(
        &mut self,
        name: &str,
        format: Format,
        text: &str,
    ) -> Result<Vec<Finding>, FrameError> {
        self.send(&Order::Lint {
            name: name.to_owned(),
            format,
            text: text.to_owned(),
        })?;
        match self.receive()? {
            Word::Linted(found) => Ok(found),
            _ => Err(nonsense()),
        }
    }

    /// Asks scripts in their order. The process is of no use any more when one fell.
    pub(super) fn ask(
        &mut self,
        situation: &Situation,
        matter: Matter,
        scripts: &[&Script],
        told: &mut dyn FnMut(usize, Said) -> Go,
    ) -> Result<Course, Fall> {
        // One whose text cannot be read any more is to blame for that.
        for (at, script) in scripts.iter().enumerate() {
            if !self.read.contains(&script.text.id) {
                let read = self.read(&script.text);
                let unread = |_| nonsense();
                let read = read.and_then(|header| header.map_err(unread));
                read.map_err(|error| Fall {
                    done: 0,
                    during: at,
                    error,
                })?;
            }
        }
        let order = Order::Ask {
            scene: Box::new(situation.scene()),
            matter,
            scripts: scripts
                .iter()
                .map(|script| Asked {
                    id: script.text.id,
                    stops: script.stops(),
                })
                .collect(),
        };
        let fall = |done: usize| {
            move |error| Fall {
                done,
                // After the last one has spoken it is still the last one's doing.
                during: done.min(scripts.len() - 1),
                error,
            }
        };
        self.send(&order).map_err(fall(0))?;
        let (mut done, mut begun, mut stopped) = (0, Instant::now(), false);
        loop {
            // Once it is enough, nobody is to blame for its end any more.
            let all = if stopped { scripts.len() } else { done };
            let word = self.receive().map_err(fall(all))?;
            match word {
                Word::Question(question) if done < scripts.len() && !stopped => {
                    if begun.elapsed() > SCRIPT {
                        return Err(fall(done)(FrameError::Late));
                    }
                    let answer = situation.answer(&question);
                    self.answer(answer).map_err(fall(done))?;
                }
                Word::Said(said) if done < scripts.len() && !stopped => {
                    stopped = told(done, said) == Go::Stop;
                    done += 1;
                    begun = Instant::now();
                }
                // It may have taken for a wish what is none, and not have asked the others.
                Word::Done if done > 0 => return Ok(Course { done, stopped }),
                _ => return Err(fall(all)(nonsense())),
            }
        }
    }

    fn answer(&mut self, answer: Result<Value, String>) -> Result<(), FrameError> {
        match self.send(&Order::Answer(answer)) {
            Err(FrameError::Long(length)) => {
                let text = format!("the answer has {length} bytes, which is too much");
                self.send(&Order::Answer(Err(text)))
            }
            sent => sent,
        }
    }

    fn send(&mut self, order: &Order) -> Result<(), FrameError> {
        frame::send(self.helper.stream(), order, SILENCE)
    }

    fn receive(&mut self) -> Result<Word, FrameError> {
        frame::receive(self.helper.stream(), FROM_INSIDE, SILENCE)
    }

    /// Puts an end to it after `error`, and says how it ended.
    pub(super) fn end(self, error: &FrameError) -> Ended {
        match error {
            FrameError::Closed => match self.helper.end() {
                ExitStatus::Code(0) => Ended::Rested,
                exit => Ended::Exit(exit),
            },
            FrameError::Late => Ended::Stuck,
            FrameError::Long(_) | FrameError::Nonsense(_) | FrameError::Socket(_) => {
                Ended::Nonsense(error.to_string())
            }
        }
    }
}

fn nonsense() -> FrameError {
    use serde::de::Error;
    FrameError::Nonsense(serde_json::Error::custom("an answer to no question"))
}
