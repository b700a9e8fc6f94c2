//! All that `mhost` prints goes through [`Output`].
//!
//! Data goes to stdout, talk goes to stderr. With `--json` stdout holds exactly one JSON
//! value and there is no talk. A reader that has gone away ([`CliError::is_broken_pipe`])
//! is not a failure.

pub(crate) mod date_format;
pub(crate) mod figures;
pub(crate) mod report;
pub(crate) mod state;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod text;

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::error::CliError;
use report::Look;
use style::{Painter, Tone};
use table::Table;

/// Where the answers of a command go.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    terminal: bool,
    /// Columns and rows.
    size: Cell<(Option<usize>, Option<usize>)>,
    out: Painter,
    err: Painter,
    /// What is written while it is held.
    held: RefCell<Option<String>>,
}

/// What the command line says about output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// `--json`
    pub(crate) json: bool,
    /// `--quiet`
    pub(crate) quiet: bool,
    /// `--no-color`
    pub(crate) no_color: bool,
}

impl Output {
    /// Output as the flags, the environment and the terminal say.
    pub(crate) fn new(wishes: Wishes) -> Self {
        let set = |key: &str| std::env::var_os(key).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = !(wishes.no_color || wishes.json || set("NO_COLOR") || dumb);
        let terminal = io::stdout().is_terminal();
        Self {
            json: wishes.json,
            quiet: wishes.quiet,
            terminal,
            size: Cell::new(size_of(terminal)),
            out: Painter {
                on: colour && terminal,
            },
            err: Painter {
                on: colour && io::stderr().is_terminal(),
            },
            held: RefCell::default(),
        }
    }

    /// Holds back all that is written from now on, for a picture that is drawn as a whole. The
    /// terminal is measured anew.
    pub(crate) fn hold(&self) {
        self.size.set(size_of(self.terminal));
        self.held.replace(Some(String::new()));
    }

    /// What was held back.
    pub(crate) fn release(&self) -> String {
        self.held.take().unwrap_or_default()
    }

    /// Is one JSON value wanted?
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Are only errors wanted?
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Does a person read along?
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns of the terminal; none when there is no limit.
    pub(crate) fn width(&self) -> Option<usize> {
        self.size.get().0
    }

    /// Rows of the terminal; none when there is no limit.
    pub(crate) fn height(&self) -> Option<usize> {
        self.size.get().1
    }

    /// How pictures of problems are drawn, which go to stderr.
    pub(crate) fn look(&self) -> Look {
        Look {
            width: self.width().unwrap_or(80).max(40),
            colour: self.err.on,
        }
    }

    /// Shows such a picture.
    pub(crate) fn drawing(&self, drawn: &str) {
        if !(self.json || self.quiet) {
            self.talk(drawn.trim_end());
        }
    }

    /// Puts colour on what goes to stdout.
    pub(crate) fn painter(&self) -> Painter {
        self.out
    }

    /// Writes data as it is.
    pub(crate) fn write(&self, text: &str) -> Result<(), CliError> {
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.push_str(text);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes one line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        self.write(&format!("{text}\n"))
    }

    /// Writes a table that fits the terminal.
    pub(crate) fn table(&self, table: &Table) -> Result<(), CliError> {
        self.write(&table.render(self.width(), self.out))
    }

    /// Writes the one JSON value of a command: indented for a person, one line for a pipe.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), CliError> {
        let text = if self.terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(&text::json(&text.map_err(io::Error::from)?))
    }

    /// `✓ …`: something was done.
    pub(crate) fn done(&self, text: &str) -> Result<(), CliError> {
        if self.json || self.quiet {
            return Ok(());
        }
        let sign = self.out.paint("✓", Tone::Good);
        self.line(&format!("{sign} {}", text::clean(text)))
    }

    /// Talk that is neither an answer nor a failure.
    pub(crate) fn note(&self, text: &str) {
        if !(self.json || self.quiet) {
            self.talk(&text::clean_block(text));
        }
    }

    /// `! …`: something a person should look at.
    pub(crate) fn warn(&self, text: &str) {
        if !(self.json || self.quiet) {
            let sign = self.err.paint("!", Tone::Busy);
            self.talk(&format!("{sign} {}", text::clean_block(text)));
        }
    }

    /// As [`Self::warn`], and as `{"warning": …}` on stderr where JSON is wanted.
    pub(crate) fn caution(&self, text: &str) {
        if self.json && !self.quiet {
            let warning = serde_json::json!({ "warning": text });
            self.talk(&text::json(&warning.to_string()));
        }
        self.warn(text);
    }

    /// `✗ …`: a failure. The exit code must then not be 0.
    pub(crate) fn fail(&self, text: &str) {
        let sign = self.err.paint("✗", Tone::Bad);
        self.talk(&format!("{sign} {}", text::clean_block(text)));
    }

    /// A line that belongs to the failure above it.
    pub(crate) fn indented(&self, text: &str) {
        for line in text.lines() {
            self.talk(&format!("    {}", text::clean_line(line)));
        }
    }

    /// `  help: …`: what to type next.
    pub(crate) fn help(&self, text: &str) {
        let word = self.err.paint("help:", Tone::Strong);
        self.talk(&format!("  {word} {}", text::clean_block(text)));
    }

    /// Tells what went wrong, in the form that is wanted.
    pub(crate) fn error(&self, error: &CliError) {
        if error.is_silent() {
            return;
        }
        if self.json {
            self.talk(&text::json(&error.to_json().to_string()));
            return;
        }
        if let Some(report) = error.report() {
            self.talk(report.trim_end());
            self.talk("");
        }
        self.fail(&error.to_string());
        for detail in error.details() {
            self.indented(detail);
        }
        if let Some(help) = error.help() {
            self.help(help);
        }
    }

    /// Writes to stderr. Nobody is left to tell when that fails, so it is not looked at.
    fn talk(&self, text: &str) {
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.push_str(text);
            held.push('\n');
            return;
        }
        let _ = io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes());
    }
}

/// The columns and rows to keep: those of the terminal, or `COLUMNS` where somebody exported it.
fn size_of(terminal: bool) -> (Option<usize>, Option<usize>) {
    let asked = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse::<usize>().ok())
        .filter(|columns| *columns > 0);
    let some = |size: u16| Some(usize::from(size)).filter(|size| *size > 0);
    if terminal && let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) {
        return (some(size.ws_col).or(asked), some(size.ws_row));
    }
    (asked, None)
}
