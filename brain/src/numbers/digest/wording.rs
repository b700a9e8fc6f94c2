//! The words of a report: what programs and people said, made harmless and short.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::super::words::{span, times};
use super::{ROWS, TEXT};

pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    supervisor::until(from, to).as_secs_f64()
}

/// What shows an incident, in words.
pub(super) fn said(trigger: &str) -> String {
    match trigger {
        "crash" => "crashed".to_owned(),
        "errored" => "stopped being retried".to_owned(),
        "memory_exceeded" => "went over its memory limit".to_owned(),
        "health_fail" => "did not answer its probe".to_owned(),
        "health_score_low" => "did badly for a while".to_owned(),
        "sign" => "showed signs of trouble".to_owned(),
        other => plain(other).replace('_', " "),
    }
}

/// What was done, in words; none for what only keeps a record.
pub(super) fn in_words(action: &str) -> Option<&str> {
    match action {
        "log_only" | "log_incident" | "observe" | "update_score" => None,
        "halt" => Some("held it"),
        "restart" => Some("restarted it"),
        "kill_restart" => Some("killed and started it"),
        "notify" => Some("told people"),
        "escalate" => Some("asked for a person"),
        other => Some(other),
    }
}

/// A time as people say it: `24 hours`, `7 days`.
pub(super) fn length(seconds: f64) -> String {
    let hours = (seconds / 3_600.0).round();
    if (hours * 3_600.0 - seconds).abs() > 60.0 || hours < 1.0 {
        span(seconds)
    } else if hours > 48.0 && (hours % 24.0).abs() < 0.5 {
        format!("{:.0} days", hours / 24.0)
    } else if hours < 1.5 {
        "an hour".to_owned()
    } else {
        format!("{hours:.0} hours")
    }
}

/// Up to its first full stop, which is left out.
pub(super) fn first_sentence(text: &str) -> String {
    let text = sentence(text);
    let end = text.find(". ").unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 if one.contains("one ") => one.to_owned(),
        1 => format!("1 {one}"),
        count => match many.strip_prefix("were ") {
            Some(what) => format!("were {count} {what}"),
            None => format!("{count} {many}"),
        },
    }
}

pub(super) fn of_all(some: usize, all: usize) -> String {
    match (some, all) {
        (1, 1) => "it".to_owned(),
        (some, all) if some == all => "all of them".to_owned(),
        (some, _) => format!("{some} of them"),
    }
}

pub(super) fn rest(text: &mut String, all: usize) {
    if all > ROWS {
        let _ = writeln!(text, "\n… and {}.", times_more(all - ROWS));
    }
}

pub(super) fn times_more(count: usize) -> String {
    match times(count as u64).as_str() {
        "once" => "one more".to_owned(),
        _ => format!("{count} more"),
    }
}

/// Text from outside, without anything that Markdown or a terminal acts on.
pub(super) fn plain(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars().take(TEXT) {
        match c {
            c if c.is_control() => clean.push(' '),
            '|' | '*' | '_' | '[' | ']' | '<' | '>' | '\\' | '`' if c != '_' => {
                clean.push('\\');
                clean.push(c);
            }
            c => clean.push(c),
        }
    }
    clean
}

/// A sentence of ours that holds text from outside: cut, on one line, with its full stop.
pub(super) fn sentence(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            c => c,
        })
        .take(2 * TEXT)
        .collect();
    let text = unlinked(text.trim());
    let text = text.as_str();
    if text.ends_with(['.', '!', '?', ')']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Without links and pictures, which lead out of the document or fetch something.
fn unlinked(text: &str) -> String {
    text.replace('[', "\\[")
}

/// What a model wrote, as paragraphs and lists of a document of ours: nothing in it makes a
/// heading, a table, HTML, a link or a picture.
pub fn prose(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line: String = line
            .chars()
            .filter(|c| *c == '\t' || !c.is_control())
            .map(|c| match c {
                '<' => '‹',
                '>' => '›',
                c => c,
            })
            .collect();
        let line = unlinked(&line);
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let breaks = |mark: char| bare.len() > 2 && bare.chars().all(|c| c == mark || c == ' ');
        let begins = bare.starts_with(['#', '=', '|', '~']) || bare.starts_with("```");
        // Under a line of words, or between two, dashes make a heading or a ruler.
        let rules =
            bare.starts_with("--") || ['-', '*', '_'].into_iter().any(breaks) || bare == "-";
        if begins || rules {
            format!("{}\\{bare}", &line[..indent])
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// As a code span that fits a table.
pub(super) fn code(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| match c {
            c if c.is_control() => ' ',
            '`' => '\'',
            c => c,
        })
        .take(TEXT)
        .collect();
    format!("`{}`", clean.trim().replace('|', "\\|"))
}
