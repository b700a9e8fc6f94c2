//! Where scripts run: in this process, or in one of their own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lint::{Finding, Weight};
use super::{Format, Script};
use crate::context::{Situation, View};
use crate::helper::Helpers;
use crate::interpreter::{Compiled, Header, Interpreter, Matter, Place, Said, Source, Wrong};

/// Scripts that are kept compiled. More are compiled again when they are asked.
const KEPT: usize = 256;

/// Whether the scripts after one are asked, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    On,
    Stop,
}

/// Where scripts run. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Host {
    /// In this process: for one that lives as long as a command.
    Here(Arc<Here>),
    /// In a process of their own.
    Apart(Arc<Helpers>),
}

/// Why a text is not read.
pub(crate) enum Unread {
    /// It is wrong, or ended whoever read it.
    Wrong(Wrong),
    /// There is nobody to read it now.
    Unavailable(String),
}

/// An interpreter, and what it has read.
pub(crate) struct Here {
    interpreter: Interpreter,
    compiled: Mutex<HashMap<u64, Arc<Compiled>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Host::Here(_) => "Here",
            Host::Apart(_) => "Apart",
        })
    }
}

impl Host {
    pub(crate) fn here() -> Self {
        Host::Here(Arc::new(Here::new()))
    }

    /// What a text says of itself.
    pub(crate) fn read(&self, source: &Source) -> Result<Header, Unread> {
        match self {
            Host::Here(here) => match here.compiled(source) {
                Ok(compiled) => Ok(compiled.header.clone()),
                Err(wrong) => Err(Unread::Wrong(wrong)),
            },
            Host::Apart(helpers) => helpers.read(source),
        }
    }

    /// Everything that can be said against a text.
    pub(crate) fn lint(&self, name: &str, format: Format, text: &str) -> Vec<Finding> {
        match self {
            Host::Here(here) => here.interpreter.lint(name, format, text),
            Host::Apart(helpers) => helpers.lint(name, format, text).unwrap_or_else(|unread| {
                let (text, at) = match unread {
                    Unread::Wrong(Wrong { text, at }) => (text, at),
                    Unread::Unavailable(why) => (why, Place::default()),
                };
                vec![Finding {
                    weight: Weight::Error,
                    line: at.line,
                    column: at.column,
                    text,
                }]
            }),
        }
    }

    /// Asks scripts about a situation, in their order, until `told` says that it is enough.
    pub(crate) fn ask(
        &self,
        situation: &Arc<Situation>,
        matter: Matter,
        scripts: &[Arc<Script>],
        told: &mut dyn FnMut(usize, Said) -> Go,
    ) {
        match self {
            Host::Here(here) => {
                let view = View::new(situation.scene(), situation.clone());
                for (at, script) in scripts.iter().enumerate() {
                    let said = match here.compiled(&script.text) {
                        Ok(compiled) => compiled.ask(&here.interpreter, matter, &view),
                        Err(Wrong { text, at }) => Said::Failed {
                            text,
                            at,
                            bomb: true,
                        },
                    };
                    if told(at, said) == Go::Stop {
                        return;
                    }
                }
            }
            Host::Apart(helpers) => {
                let scripts: Vec<&Script> = scripts.iter().map(AsRef::as_ref).collect();
                helpers.ask(situation, matter, &scripts, told);
            }
        }
    }
}

impl Here {
    pub(crate) fn new() -> Self {
        Self {
            interpreter: Interpreter::new(),
            compiled: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Arc<Compiled>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compiled(&self, source: &Source) -> Result<Arc<Compiled>, Wrong> {
        if let Some(found) = self.kept().get(&source.id) {
            return Ok(found.clone());
        }
        let compiled = Arc::new(self.interpreter.read(source)?);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(source.id, compiled.clone());
        Ok(compiled)
    }
}
