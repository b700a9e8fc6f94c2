//! The process itself: reads texts and asks scripts as it is told, until it is told nothing.
//!
//! It looks at nothing but its socket. Whatever goes wrong in it ends it; the other end says
//! during which script that was.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use supervisor::sys::helper;

use super::frame::{self, FrameError};
use super::{Asked, COMPUTES, IDLE, Order, SILENCE, Word};
use crate::context::{Oracle, Question, Scene, View};
use crate::interpreter::{Compiled, Interpreter, Matter, Place, Said};

/// How long an answer may take that a script waits for: the world may be slow.
const ANSWER: Duration = Duration::from_secs(120);
/// Longest text that is sent, in bytes.
const TEXT: usize = 128 << 10;

/// Is the playbook process until there is nothing to do for a while. Returns its exit code.
pub fn run() -> u8 {
    // A panic is told by the exit.
    std::panic::set_hook(Box::new(|_| {}));
    let Some(stream) = helper::enter() else {
        return 2;
    };
    let mut inside = Inside {
        interpreter: Interpreter::new(),
        compiled: HashMap::new(),
        wire: Arc::new(Wire(Mutex::new(stream))),
    };
    loop {
        match inside.wire.receive(IDLE) {
            Ok(order) => {
                if inside.obey(order).is_err() {
                    return 1;
                }
            }
            // Nobody wants anything, or there is nobody any more.
            Err(FrameError::Late | FrameError::Closed) => return 0,
            Err(_) => return 1,
        }
    }
}

struct Inside {
    interpreter: Interpreter,
    compiled: HashMap<u64, Compiled>,
    wire: Arc<Wire>,
}

/// The way to the daemon.
struct Wire(Mutex<UnixStream>);

impl Wire {
    fn receive(&self, within: Duration) -> Result<Order, FrameError> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frame::receive_inside(&mut stream, within)
    }

    fn say(&self, word: &Word) -> Result<(), FrameError> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frame::send(&mut stream, word, SILENCE)
    }

    fn ask(&self, question: &Question) -> Result<Result<Value, String>, FrameError> {
        self.say(&Word::Question(question.clone()))?;
        match self.receive(ANSWER)? {
            Order::Answer(answer) => Ok(answer),
            _ => Err(FrameError::Closed),
        }
    }
}

impl Inside {
    fn obey(&mut self, order: Order) -> Result<(), FrameError> {
        helper::compute_at_most(COMPUTES);
        match order {
            Order::Read(source) => {
                let read = self.interpreter.read(&source);
                let told = read.map(|compiled| {
                    let header = compiled.header.clone();
                    self.compiled.insert(source.id, compiled);
                    header
                });
                self.wire.say(&Word::Read(told))?;
            }
            Order::Lint { name, format, text } => {
                let found = self.interpreter.lint(&name, format, &text);
                self.wire.say(&Word::Linted(found))?;
            }
            Order::Ask {
                scene,
                matter,
                scripts,
            } => self.ask(*scene, matter, &scripts)?,
            Order::Answer(_) => return Err(FrameError::Closed),
        }
        helper::compute_at_most(Duration::ZERO);
        Ok(())
    }

    fn ask(&self, scene: Scene, matter: Matter, scripts: &[Asked]) -> Result<(), FrameError> {
        let remote = Remote {
            wire: self.wire.clone(),
            known: Mutex::default(),
        };
        let view = View::new(scene, Arc::new(remote));
        for script in scripts {
            helper::compute_at_most(COMPUTES);
            let Some(compiled) = self.compiled.get(&script.id) else {
                return Err(FrameError::Closed);
            };
            let said = short(compiled.ask(&self.interpreter, matter, &view));
            let wants = matches!(&said, Said::Wants { steps, .. } if !steps.is_empty());
            self.wire.say(&Word::Said(said))?;
            if wants && script.stops {
                break;
            }
        }
        self.wire.say(&Word::Done)
    }
}

/// What is too long to be sent is no answer.
fn short(said: Said) -> Said {
    let length = serde_json::to_vec(&said).map_or(usize::MAX, |bytes| bytes.len());
    if length <= frame::FROM_INSIDE / 2 {
        return said;
    }
    match said {
        Said::Failed { mut text, at, bomb } => {
            text.truncate(text.floor_char_boundary(TEXT));
            Said::Failed { text, at, bomb }
        }
        _ => Said::Failed {
            text: format!("what it says has {length} bytes"),
            at: Place::default(),
            bomb: true,
        },
    }
}

/// Answers that come over the wire. One that has come is not asked for again.
struct Remote {
    wire: Arc<Wire>,
    known: Mutex<HashMap<String, Value>>,
}

impl Oracle for Remote {
    fn answer(&self, question: &Question) -> Result<Value, String> {
        let words = question.words();
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&words) {
            return Ok(known.clone());
        }
        match self.wire.ask(question) {
            Ok(answer) => {
                let answer = answer?;
                known().insert(words, answer.clone());
                Ok(answer)
            }
            // Nobody listens any more: nothing that a script says matters.
            Err(_) => std::process::exit(0),
        }
    }
}
