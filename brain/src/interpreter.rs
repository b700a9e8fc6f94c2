//! Reads scripts and asks them: the one place where the text of a playbook is run.
//!
//! ```text
//!   Source ──read──► Compiled ──ask(Matter, View)──► Said
//!                       └── Header: what the text says of itself
//! ```
//!
//! All that goes in and comes out is data, so that it may stand in another process
//! ([`crate::helper`]), as it does for the daemon; the short-lived commands run it in their
//! own. It counts no errors and believes nobody: that is up to whoever asks.

mod compiled;
mod said;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rhai::{Engine, Position};
use serde::{Deserialize, Serialize};

use crate::context;
use crate::playbook::{Finding, Format, Meta, PlaybookOverride, check, declarative, lint_with};
use crate::sandbox;
pub(crate) use compiled::Compiled;
pub(crate) use said::{Matter, Said};

/// A text to be read, with what the config says over its header.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    /// No two have the same.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) text: Cow<'static, str>,
    pub(crate) over: Option<PlaybookOverride>,
}

impl Source {
    pub(crate) fn new(
        name: &str,
        format: Format,
        text: Cow<'static, str>,
        over: Option<&PlaybookOverride>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            format,
            text,
            over: over.cloned(),
        }
    }
}

/// A place in a text, from 1; 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self {
            line: at.line().unwrap_or(0),
            column: at.position().unwrap_or(0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(f, "line {}", self.line),
            column => write!(f, "line {}, position {column}", self.line),
        }
    }
}

/// Why a text is no playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrong {
    pub(crate) text: String,
    pub(crate) at: Place,
}

impl Wrong {
    fn new(text: impl Into<String>, at: Position) -> Self {
        Self {
            text: text.into(),
            at: at.into(),
        }
    }
}

/// What a text says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) meta: Meta,
    /// Names of the steps that it can make, sorted.
    pub(crate) actions: Vec<String>,
    /// Hash of the script.
    pub(crate) hash: u64,
    /// Its functions, and where each begins.
    pub(crate) functions: BTreeMap<String, Place>,
}

impl Header {
    /// Could [`Interpreter::read`] have said this of a text with this name?
    pub(crate) fn is_sound(&self, name: &str) -> bool {
        let has = |function: &str| self.functions.contains_key(function);
        self.meta.name == name
            && (0.0..=1.0).contains(&self.meta.confidence)
            && has("matches")
            && has("plan")
    }
}

/// An engine with all that scripts may know.
pub(crate) struct Interpreter {
    engine: Engine,
    known: BTreeSet<String>,
}

impl Interpreter {
    pub(crate) fn new() -> Self {
        let mut engine = sandbox::engine();
        context::register(&mut engine);
        Self {
            known: check::known_functions(&engine),
            engine,
        }
    }

    /// Compiles a text and reads its header.
    pub(crate) fn read(&self, source: &Source) -> Result<Compiled, Wrong> {
        let translated;
        let text = match source.format {
            Format::Rhai => source.text.as_ref(),
            Format::Toml => {
                translated = declarative::translate(&source.name, &source.text)
                    .map_err(|flaw| Wrong::new(flaw.text, flaw.at))?;
                &translated
            }
        };
        Compiled::new(self, &source.name, text, source.over.as_ref())
    }

    /// Everything that can be said against a text.
    pub(crate) fn lint(&self, name: &str, format: Format, text: &str) -> Vec<Finding> {
        lint_with(&self.engine, &self.known, name, format, text)
    }
}
