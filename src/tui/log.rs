//! The log that is looked at: its lines, its search and level, and where it stands.
//!
//! Lines are made fit for the screen once, when they come. Holding still is an anchor on a
//! line, not on a place, so that new lines below do not move what is read. The daemon searches
//! all kept lines, also by level; until its answer is there, the lines at hand are sifted here.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::Stream;
use supervisor::logs::record::{self, Form, Record};
use supervisor::logs::{Level, LogLine};

use super::data::LogWish;
use super::text::harmless;

/// Lines kept of what was shown.
const KEPT: usize = 5_000;
/// Characters of a line that are kept for the screen; more fills it several times.
const LONGEST: usize = 4_000;

/// One line, fit for the screen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Counts up; lines that are gone keep their number.
    pub(crate) number: u64,
    /// When it was printed.
    pub(crate) at: Timestamp,
    /// Who printed it.
    pub(crate) label: String,
    /// To standard error?
    pub(crate) is_err: bool,
    /// How grave.
    pub(crate) level: Option<Level>,
    /// What.
    pub(crate) text: String,
    /// Lines before this one are missing.
    pub(crate) after_gap: bool,
}

/// Where the log comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum LogState {
    /// It has been asked for.
    #[default]
    Loading,
    /// New lines come as they are printed.
    Live,
    /// It cannot be shown.
    Failed(String),
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// What is shown.
    pub(crate) wish: LogWish,
    /// Where it comes from.
    pub(crate) state: LogState,
    /// All processes, not only the selected one?
    pub(crate) all: bool,
    /// The search, as typed.
    pub(crate) search: String,
    /// Only lines of this level and above.
    pub(crate) level: Option<Level>,
    lines: VecDeque<Line>,
    next: u64,
    gap: bool,
    /// Lines up to this time have been shown before the log was opened once more.
    known: Option<Timestamp>,
    /// The last line in sight, when holding still.
    anchor: Option<u64>,
}

impl Log {
    /// A log begins. The same log once more, as after a restart of the daemon, goes on where
    /// it was.
    pub(crate) fn open(&mut self, wish: LogWish) {
        let same = self.wish == wish && !matches!(self.state, LogState::Failed(_));
        self.state = LogState::Live;
        self.known = None;
        if same {
            self.known = self.lines.back().map(|line| line.at);
            return;
        }
        self.wish = wish;
        self.lines.clear();
        self.anchor = None;
        self.gap = false;
    }

    /// It cannot be shown.
    pub(crate) fn fail(&mut self, why: &str) {
        self.state = LogState::Failed(harmless(why).into_owned());
        self.lines.clear();
        self.anchor = None;
    }

    /// The next line does not follow on the last.
    pub(crate) fn skip(&mut self) {
        self.gap = true;
    }

    /// More lines.
    pub(crate) fn push(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            if self.known.is_some_and(|known| line.ts <= known) {
                continue;
            }
            self.known = None;
            if self.lines.len() == KEPT {
                self.lines.pop_front();
            }
            let printed = match line.message.char_indices().nth(LONGEST) {
                Some((end, _)) => &line.message[..end],
                None => &line.message,
            };
            // What follows the cut may matter for what it is; so all of it is read.
            let record = record::parse(&line.message);
            let mut text = match record.form {
                Form::Json => told(&record),
                Form::Logfmt | Form::Plain => harmless(printed).into_owned(),
            };
            if line.truncated || printed.len() < line.message.len() {
                text.push(crate::output::text::ELLIPSIS);
            }
            self.lines.push_back(Line {
                number: self.next,
                at: line.ts,
                label: format!("{}:{}", line.process, line.instance),
                is_err: line.stream == Stream::Err,
                level: record.severity(line.stream),
                text,
                after_gap: std::mem::take(&mut self.gap),
            });
            self.next += 1;
        }
    }

    /// The lines of the wanted level from the last one in sight upwards.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = &Line> {
        let last = self.anchor.unwrap_or(u64::MAX);
        self.lines
            .iter()
            .rev()
            .skip_while(move |line| line.number > last)
            .filter(|line| self.shows(line))
    }

    /// All lines from the newest one upwards.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().rev()
    }

    fn shows(&self, line: &Line) -> bool {
        self.level
            .is_none_or(|level| line.level.is_some_and(|of| of >= level))
    }

    /// Is the end in sight?
    pub(crate) fn follows(&self) -> bool {
        self.anchor.is_none()
    }

    /// Shown lines below the last one in sight.
    pub(crate) fn below(&self) -> usize {
        let Some(anchor) = self.anchor else { return 0 };
        let newer = self.lines.iter().rev();
        newer
            .take_while(|line| line.number > anchor)
            .filter(|line| self.shows(line))
            .count()
    }

    /// Lines that have been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Follows the end, or holds still.
    pub(crate) fn toggle_follow(&mut self) {
        self.anchor = match self.anchor {
            Some(_) => None,
            None => self.lines.back().map(|line| line.number),
        };
    }

    /// Goes up by lines; from then on it holds still.
    pub(crate) fn up(&mut self, lines: usize) {
        let target = self
            .upwards()
            .take(lines + 1)
            .last()
            .map(|line| line.number);
        self.anchor = target.or(self.anchor);
    }

    /// Goes down by lines; at the end it follows again.
    pub(crate) fn down(&mut self, lines: usize) {
        let Some(anchor) = self.anchor else { return };
        let target = {
            let below = self.lines.iter().filter(|line| line.number > anchor);
            let mut shown = below
                .filter(|line| self.shows(line))
                .map(|line| line.number);
            let target = shown.by_ref().take(lines).last();
            // Further down there is nothing: this is the end.
            shown.next().and(target)
        };
        self.anchor = target;
    }

    /// To the first line. `page` lines stay in sight.
    pub(crate) fn top(&mut self, page: usize) {
        let shown = self.lines.iter().filter(|line| self.shows(line));
        let target = shown.take(page.max(1)).last().map(|line| line.number);
        self.anchor = target;
    }

    /// To the end, and on with it.
    pub(crate) fn bottom(&mut self) {
        self.anchor = None;
    }

    /// The next level: all, info, warn, error.
    pub(crate) fn next_level(&mut self) {
        self.level = match self.level {
            None => Some(Level::Info),
            Some(Level::Trace | Level::Debug | Level::Info) => Some(Level::Warn),
            Some(Level::Warn) => Some(Level::Error),
            Some(Level::Error | Level::Fatal) => None,
        };
    }
}

/// A JSON record as a sentence: `ERROR no disk path="/a b" n=3`.
fn told(record: &Record<'_>) -> String {
    let mut text = String::new();
    if let Some(level) = record.level {
        text.push_str(&level.as_str().to_uppercase());
        text.push(' ');
    }
    text.push_str(&harmless(&record.message));
    for (key, value) in &record.fields {
        let plain = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let quote = if plain.is_empty() || plain.contains(' ') {
            "\""
        } else {
            ""
        };
        text.push_str(&format!(
            " {}={quote}{}{quote}",
            harmless(key),
            harmless(&plain)
        ));
        if text.len() > LONGEST {
            text.push(crate::output::text::ELLIPSIS);
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::printed;

    fn log(lines: &[&str]) -> Log {
        let mut log = Log::default();
        log.open(LogWish::default());
        log.push(lines.iter().map(|text| printed("api", 0, text)).collect());
        log
    }

    fn shown(log: &Log) -> Vec<&str> {
        let mut lines: Vec<&str> = log.upwards().map(|line| line.text.as_str()).collect();
        lines.reverse();
        lines
    }

    #[test]
    fn records_read_as_sentences() {
        let log = log(&[
            r#"{"level":50,"time":1,"msg":"no disk\u001b[2J","path":"/a b","n":3}"#,
            r#"{"broken": "#,
            "level=warn msg=slow",
        ]);
        assert_eq!(
            shown(&log),
            [
                r#"ERROR no disk path="/a b" n=3"#,
                r#"{"broken": "#,
                "level=warn msg=slow"
            ]
        );
        let levels: Vec<_> = log.newest().map(|line| line.level).collect();
        assert_eq!(levels, [Some(Level::Warn), None, Some(Level::Error)]);
    }

    #[test]
    fn holding_still_is_not_moved_by_new_lines() {
        let mut log = log(&["a", "b", "c", "d"]);
        assert!(log.follows());
        log.up(1);
        assert_eq!(shown(&log), ["a", "b", "c"]);
        log.push(vec![printed("api", 0, "e")]);
        assert_eq!(shown(&log), ["a", "b", "c"]);
        assert_eq!(log.below(), 2);
        log.down(1);
        assert_eq!(shown(&log), ["a", "b", "c", "d"]);
        log.down(5);
        assert!(log.follows());
        log.top(2);
        assert_eq!(shown(&log), ["a", "b"]);
        log.bottom();
        assert_eq!(log.below(), 0);
        log.toggle_follow();
        log.push(vec![printed("api", 0, "f")]);
        assert_eq!(log.below(), 1);
    }

    #[test]
    fn levels_hide_what_is_less_grave() {
        let mut log = log(&["DEBUG a", "INFO b", "WARN c", "ERROR d", "plain"]);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(shown(&log).len());
            log.next_level();
        }
        assert_eq!(seen, [5, 3, 2, 1]);
        assert_eq!(log.level, None);
    }

    #[test]
    fn the_log_is_bounded_and_harmless() {
        let mut log = log(&["\u{1b}[31mred\u{1b}[0m\tx"]);
        assert_eq!(shown(&log), ["red x"]);
        log.push(vec![printed("api", 0, &"x".repeat(100_000))]);
        assert_eq!(shown(&log)[1].chars().count(), LONGEST + 1);
        log.push((0..KEPT + 10).map(|_| printed("api", 0, "y")).collect());
        assert_eq!(log.lines.len(), KEPT);
    }
}
