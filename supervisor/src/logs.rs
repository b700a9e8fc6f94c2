//! Capture and search of what programs print.
//!
//! ```text
//! FIFO ──ingest, worker──► segment, index (files) ◄──reader, scan── query ◄── follow
//! ```
//!
//! Segments are the truth: bytes as they came. What a line is (split, cut, replacement of what
//! is not UTF-8) is decided when they are read. Nothing here keeps lines in memory.

mod awaited;
mod backlog;
mod copies;
mod count;
mod counter;
mod cursor;
pub mod expr;
pub mod feed;
mod filter;
mod follow;
mod index;
mod ingest;
mod levels;
mod line;
mod lost;
mod mend;
mod missing;
mod names;
mod packed;
mod query;
mod reader;
pub mod record;
mod retention;
mod scan;
mod search;
mod segment;
mod side;
mod spool;
mod stream;
mod worker;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::command::Target;
use crate::ids::{InstanceId, ProcessName};
use crate::paths::Stream;

pub use copies::Copies;
pub(crate) use copies::KnownCopies;
pub use count::Count;
pub use follow::Follower;
pub use index::{IndexView, LogIndex, NewPattern, TemplateView, Trend};
pub use ingest::Ingest;
pub use missing::Lost;
pub use query::{MOST_CONTEXT, query};
pub use record::{Level, Record};
pub use retention::Retention;
pub use search::search_query;
pub use segment::Limits;

/// Why kept lines cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The pattern is not a regular expression.
    #[error("`{pattern}` is not a regular expression")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// Where it is wrong.
        #[source]
        source: Box<regex::Error>,
    },
    /// The condition is not understood.
    #[error("the condition is not understood: {0}")]
    Condition(#[from] expr::ExprError),
    /// The search could not be prepared.
    #[error("the search could not be prepared")]
    Search(#[source] Box<rusqlite::Error>),
    /// Nothing can be counted by this.
    #[error(
        "`{0}` is nothing to count by; use process, instance, stream, level, minute, hour, day or the name of a field"
    )]
    CountBy(String),
    /// The place to go on from is none that a page or a line named.
    #[error("`{0}` is not the id of a line; leave `after` out to begin with the last lines")]
    Cursor(String),
    /// A segment cannot be read.
    #[error("the logs in {folder} cannot be read")]
    Read {
        /// Where they lie.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl LogError {
    /// Lines that show more of it: where in the text it is wrong.
    pub fn details(&self) -> Vec<String> {
        match self {
            LogError::Condition(error) => error.caret(),
            LogError::Pattern { source, .. } => {
                let text = source.to_string();
                // The first line says that it is about a regular expression, which is known.
                let lines = text.lines().filter(|line| *line != "regex parse error:");
                lines
                    .map(|line| line.trim_start_matches("error: ").to_owned())
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// A stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            LogError::Pattern { .. } => "bad_pattern",
            LogError::Condition(_) => "bad_condition",
            LogError::Search(_) => "search_failed",
            LogError::CountBy(_) => "bad_count_by",
            LogError::Cursor(_) => "bad_cursor",
            LogError::Read { .. } => "logs_unreadable",
        }
    }
}

/// Which kept lines are asked for. All conditions combine with AND.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Whose; all when absent.
    #[serde(default)]
    pub target: Option<Target>,
    /// The last so many of the selection.
    #[serde(default = "default_lines")]
    pub lines: usize,
    /// From this time on.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Up to this time.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Lines that match this regular expression.
    #[serde(default)]
    pub grep: Option<String>,
    /// One stream only.
    #[serde(default)]
    pub stream: Option<Stream>,
    /// So many lines around each hit.
    #[serde(default)]
    pub context: usize,
    /// Only lines after the one with this id: how a follower goes on.
    #[serde(default)]
    pub after: Option<String>,
    /// Lines with these words: an FTS5 query, or just words that all have to be there.
    #[serde(default)]
    pub search: Option<String>,
    /// The best matches of `search` instead of the newest.
    #[serde(default)]
    pub rank: bool,
    /// Lines for which this condition holds; see [`expr`].
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
    /// Lines of this level or a graver one.
    #[serde(default)]
    pub level: Option<Level>,
    /// Counts lines by the values of this field instead of showing them.
    #[serde(default)]
    pub count_by: Option<String>,
    /// Shows the kinds of lines instead of the lines, the most frequent first.
    #[serde(default)]
    pub templates: bool,
}

fn default_lines() -> usize {
    100
}

impl Default for LogQuery {
    fn default() -> Self {
        Self {
            target: None,
            lines: default_lines(),
            since: None,
            until: None,
            grep: None,
            stream: None,
            context: 0,
            after: None,
            search: None,
            rank: false,
            condition: None,
            level: None,
            count_by: None,
            templates: false,
        }
    }
}

/// A kept line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Orders lines and resumes a follower; the same over restarts of the daemon.
    pub id: String,
    /// When its first byte was read.
    pub ts: Timestamp,
    /// The process.
    pub process: ProcessName,
    /// The copy.
    pub instance: u16,
    /// Where it was printed.
    pub stream: Stream,
    /// The text, with replacement characters where it was not UTF-8, without its line end.
    pub message: String,
    /// It was longer than 64 KiB and is cut here; the segment has it whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// It had no end yet: what comes of it later is another line.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// `ts` is a guess: the file that knew when the line came was lost.
    #[serde(default, skip_serializing_if = "is_false")]
    pub guessed: bool,
    /// It is here for context and did not match by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub context: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde wants"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// An answer to a [`LogQuery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// In time order.
    pub lines: Vec<LogLine>,
    /// Where a follower goes on, also when there were no lines.
    pub next: String,
    /// An answer has no room for all lines that were asked for: older ones are left out, or
    /// with `after` newer ones; lines around hits may be left out, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What the answer would be over, too, and is no longer on the disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// Lines by value, the most frequent first: the answer to `count_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Vec<Count>>,
    /// Kinds of lines: the answer to `templates`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<Vec<TemplateView>>,
}

/// Which streams a query is over, once its target is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The instance.
    pub instance: InstanceId,
    /// Out, err or both.
    pub streams: Vec<Stream>,
    /// Where its segments lie.
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests;
