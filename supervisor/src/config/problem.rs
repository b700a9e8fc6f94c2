//! What is wrong with a file, where, and what to type instead.
//!
//! A [`Problem`] carries its source text, so that whoever shows it needs nothing else. This
//! file renders plain text; colours and boxes are the binary's business.

use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Characters of a line that are shown at most.
const SHOWN: usize = 160;

/// A file that was read, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as it is shown.
    pub path: PathBuf,
    /// Its whole text.
    pub text: String,
}

/// Does it stop the load?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub source: Arc<Source>,
    /// Bytes of the text it is about.
    pub span: Range<usize>,
    /// Line of the first of them, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to type or do.
    pub help: Option<String>,
    /// Does it stop the load?
    pub severity: Severity,
}

/// Why a file could not be loaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Its name does not say what it holds.
    #[error("{0} does not end in .toml, .yaml, .yml or .json")]
    UnknownFormat(PathBuf),
    /// It was read and is wrong. Never empty; warnings come after errors of the same line.
    #[error("{} has {}", .0.first().map_or_else(String::new, |p| p.source.path.display().to_string()), counted(.0))]
    Invalid(Vec<Problem>),
}

fn counted(problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    match errors {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    }
}

impl LoadError {
    /// The problems, where the file could be read at all.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Unreadable { .. } | Self::UnknownFormat(_) => &[],
        }
    }
}

impl Source {
    /// A text that came from `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text: text.into(),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadError::Unreadable`], also when it is not UTF-8.
    pub fn read(path: &Path) -> Result<Arc<Self>, LoadError> {
        let unreadable = |reason: String| LoadError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let bytes = super::plain_file::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..valid]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            unreadable(format!("line {line} is not UTF-8"))
        })?;
        Ok(Self::new(path, text))
    }

    /// Line and column (in characters) of a byte, both from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.matches('\n').count();
        (line, 1 + before[start..].chars().count())
    }

    /// The nearest character boundary at or before a byte.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        (0..=offset)
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0)
    }

    /// Bytes of a line, from 1, without its newline.
    pub(crate) fn line_span(&self, line: usize) -> Range<usize> {
        let mut start = 0;
        for (index, text) in self.text.split('\n').enumerate() {
            if index + 1 == line {
                return start..start + text.trim_end_matches('\r').len();
            }
            start += text.len() + 1;
        }
        self.text.len()..self.text.len()
    }
}

impl Problem {
    /// Plain text with the line, a caret and the help:
    ///
    /// ```text
    /// error: unknown key `max_memry` in `process.api`
    ///   --> mhost.toml:3:1
    ///    |
    ///  3 | max_memry = "1GB"
    ///    | ^^^^^^^^^
    ///   help: write `max_memory`
    /// ```
    pub fn render(&self) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let path = self.source.path.display();
        let (line, column) = (self.line, self.column);
        let bytes = self.source.line_span(line);
        let text = self.source.text[bytes.clone()].replace('\t', " ");
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let start = self.source.floor(self.span.start).min(bytes.end);
        let end = self.source.floor(self.span.end).clamp(start, bytes.end);
        let carets = self.source.text[start..end].chars().count().max(1);
        let (text, before, carets) = window(&text, column - 1, carets);
        let mut out = format!("{word}: {}\n", self.message);
        let _ = writeln!(out, "{gutter} --> {path}:{line}:{column}");
        let _ = writeln!(out, "{gutter}  |");
        let _ = writeln!(out, " {number} | {text}");
        let _ = writeln!(
            out,
            "{gutter}  | {}{}",
            " ".repeat(before),
            "^".repeat(carets)
        );
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  help: {help}");
        }
        out
    }
}

/// What is shown of a line: all of it, or, where that would fill screens, what is around the
/// characters that are meant. Returns it with the place and the number of those.
fn window(line: &str, before: usize, carets: usize) -> (String, usize, usize) {
    let length = line.chars().count();
    if length <= SHOWN {
        return (line.to_owned(), before, carets);
    }
    let start = before.saturating_sub(SHOWN / 2);
    let mut shown: String = line.chars().skip(start).take(SHOWN).collect();
    if start + SHOWN < length {
        shown.push('…');
    }
    let mut place = before - start;
    let carets = carets.min(SHOWN.saturating_sub(place)).max(1);
    if start > 0 {
        shown.insert(0, '…');
        place += 1;
    }
    (shown, place, carets)
}

/// Problems of one file while they are collected.
#[derive(Debug)]
pub(crate) struct Problems {
    pub(crate) source: Arc<Source>,
    list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        let list = Vec::new();
        Self { source, list }
    }

    pub(crate) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, Severity::Error, message.into(), Some(help.into()));
    }

    pub(crate) fn bare(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.push(span, Severity::Error, message.into(), None);
    }

    pub(crate) fn warning(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(span, Severity::Warning, message.into(), Some(help.into()));
    }

    fn push(
        &mut self,
        span: &Range<usize>,
        severity: Severity,
        message: String,
        help: Option<String>,
    ) {
        let start = self.source.floor(span.start);
        let (line, column) = self.source.position(start);
        let problem = Problem {
            source: Arc::clone(&self.source),
            span: start..self.source.floor(span.end).max(start),
            line,
            column,
            message,
            help: help.filter(|help| !help.is_empty()),
            severity,
        };
        // An anchor that is used twice is checked twice, but is wrong once.
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Takes over problems of another file, such as an env file.
    pub(crate) fn adopt(&mut self, other: impl IntoIterator<Item = Problem>) {
        for problem in other {
            if !self.list.contains(&problem) {
                self.list.push(problem);
            }
        }
    }

    pub(crate) fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }

    /// Warnings when there is no error, else everything, in the order of the file.
    pub(crate) fn finish(mut self) -> Result<Vec<Problem>, LoadError> {
        let own = self.source.path.clone();
        self.list.sort_by_key(|problem| {
            (
                problem.source.path != own,
                problem.source.path.clone(),
                problem.span.start,
                problem.severity,
            )
        });
        if self.errors() > 0 {
            return Err(LoadError::Invalid(self.list));
        }
        Ok(self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_text_also_after_other_alphabets() {
        let mut problems = Problems::new(Source::new("x.toml", "a = 1\nü = \"żó\" # no\n"));
        let at = problems.source.text.find("\"żó").unwrap();
        problems.error(&(at..at + "\"żó\"".len()), "bad", "write it");
        let problem = problems.finish().unwrap_err().problems()[0].clone();
        assert_eq!((problem.line, problem.column), (2, 5));
        assert_eq!(
            problem.render(),
            "error: bad\n  --> x.toml:2:5\n   |\n 2 | ü = \"żó\" # no\n   |     ^^^^\n  help: write it\n"
        );
    }

    #[test]
    fn a_line_that_fills_screens_is_shown_around_the_place() {
        let text = format!("{}BAD{}", "é".repeat(100_000), "x".repeat(100_000));
        let mut problems = Problems::new(Source::new("x.json", text.clone()));
        let at = text.find("BAD").unwrap();
        problems.bare(&(at..at + 3), "bad");
        problems.bare(&(0..text.len()), "long");
        let error = problems.finish().unwrap_err();
        let [long, bad] = error.problems() else {
            panic!("two");
        };
        assert!(long.render().len() < 2_000);
        let drawn = bad.render();
        let lines: Vec<&str> = drawn.lines().collect();
        let place = |line: &str, what: char| line.chars().position(|c| c == what);
        assert!(drawn.len() < 2_000 && lines[1].ends_with("x.json:1:100001"));
        assert_eq!(place(lines[3], 'B'), place(lines[4], '^'), "{drawn}");
        assert!(lines[4].ends_with(" ^^^"));
    }

    #[test]
    fn a_span_past_the_end_is_still_a_place() {
        let mut problems = Problems::new(Source::new("x", "é"));
        problems.bare(&(1..99), "end");
        let error = problems.finish().unwrap_err();
        assert_eq!(error.to_string(), "x has 1 problem");
        assert!(error.problems()[0].render().contains("x:1:1"));
    }
}
