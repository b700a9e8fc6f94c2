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
        "start" => Some("started it"),
        "stop" => Some("stopped it"),
        "reload" => Some("reloaded it"),
        "rollback" => Some("rolled it back"),
        "scale_up" => Some("started more copies"),
        "scale_down" => Some("stopped some copies"),
        "set_limit" => Some("changed a limit"),
        "clear_error" => Some("cleared the error"),
        "run_probe" => Some("asked its probe"),
        "wait" => Some("waited"),
        other => Some(other),
    }
}

/// Why an action was not carried out, in words; none where it was, or was begun.
pub(super) fn why_not(result: &str) -> Option<String> {
    let (word, why) = result.split_once(": ").unwrap_or((result, ""));
    let said = match word {
        "pending" | "proposed" => "waits for an answer".to_owned(),
        "expired" => "nobody answered in time".to_owned(),
        "denied" => match why.strip_prefix("by ") {
            Some(by) => format!("denied by {}", who(by)),
            None => "denied".to_owned(),
        },
        "skipped" => format!("withdrawn: {}", plain(why)),
        "refused" | "not done" => plain(result),
        _ => return None,
    };
    Some(said)
}

/// What became of an action that was carried out, by measurement where there is one.
pub(super) fn became(result: &str) -> String {
    match result {
        "success" => "that helped".to_owned(),
        "failed" => "that did not help".to_owned(),
        "partial" => "that helped in part".to_owned(),
        "unknown" => "whether it helped is not known".to_owned(),
        other => plain(other),
    }
}

/// Who did something, in words: `the playbook same-death`, `ana`.
pub(super) fn who(by: &str) -> String {
    if let Some((idea, leave)) = by.split_once(", with leave of ") {
        let leave = who(leave.trim_end_matches(','));
        return format!("{}, with leave of {leave},", who(idea));
    }
    match by.split_once(':') {
        Some(("brain", model)) if model.starts_with("model:") => who(model),
        Some(("brain", playbook)) => format!("the playbook {}", plain(playbook)),
        Some(("model", model)) => format!("the model {}", plain(model)),
        Some(("cli" | "rpc", person)) => plain(person),
        None if matches!(by, "brain" | "agent" | "system") => "mhost".to_owned(),
        _ => plain(by),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and_all(all: &[impl AsRef<str>]) -> String {
    let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A count as it stands in a sentence.
pub(super) fn number(count: usize) -> String {
    const SMALL: [&str; 10] = [
        "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    SMALL
        .get(count)
        .map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

/// The pattern of a line as a code span, with an ellipsis for what differs.
pub(super) fn pattern(text: &str) -> String {
    code(&text.replace("<*>", "…"))
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
