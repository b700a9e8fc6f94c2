//! Playbooks in a process of their own, so that no bug of the engine ends the daemon.
//!
//! ```text
//!   daemon                                   `mhost` again, confined (supervisor::sys::helper)
//!   Host::Apart ─► Helpers ─► Link ═ Order ══► inside: Interpreter
//!        Situation ◄── Question ══════════════  c.errors("5m")
//!                  ── Answer ════════════════►
//!        Said, checked ◄══════════════════════
//! ```
//!
//! It is started when a script is first to be read or asked, and ends by itself when it had
//! nothing to do for a while: a daemon at rest has none. What comes from it is checked as if it
//! came from a stranger. A script during which it dies is off; the others go on in a new one.
//! The short-lived commands (`brain playbook lint`, `test`) read scripts in their own process.

mod frame;
mod inside;
mod link;
mod pool;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::{Question, Scene};
use crate::interpreter::{Header, Matter, Said, Source, Wrong};
use crate::playbook::{Finding, Format};
pub use inside::run;
pub use pool::Helpers;

/// What it may write to, its stack not counted. All built-in playbooks take 10 MiB of it.
const MEMORY: u64 = 64 << 20;
/// Its stack. The limits of the engine need less than 1 MiB, and several without optimisation.
const STACK: u64 = 16 << 20;
/// How long it may compute for one script: several times what the engine allows, which looks at
/// the clock between operations only.
const COMPUTES: Duration = Duration::from_secs(1);
/// How long it may say nothing: longer than a script may take by its own clock.
const SILENCE: Duration = Duration::from_secs(8);
/// How long one script may take in all.
const SCRIPT: Duration = Duration::from_secs(30);
/// How long it lives with nothing to do.
const IDLE: Duration = Duration::from_secs(20);

/// What the daemon sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Read a text and keep it.
    Read(Source),
    /// Say what can be said against a text.
    Lint {
        name: String,
        format: Format,
        text: String,
    },
    /// Ask texts that were read, by their ids, up to the first that `stops` and wants something.
    Ask {
        scene: Box<Scene>,
        matter: Matter,
        scripts: Vec<Asked>,
    },
    /// What it asked for.
    Answer(Result<Value, String>),
}

/// A script to be asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Asked {
    id: u64,
    /// What it wants is done, so that nobody else need be asked.
    stops: bool,
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Read(Result<Header, Wrong>),
    Linted(Vec<Finding>),
    /// What the script that is asked wants to know.
    Question(Question),
    /// What the next of the scripts says.
    Said(Said),
    /// No more of them is asked.
    Done,
}
