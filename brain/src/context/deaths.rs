//! The recent deaths of a process, each with the line that tells most and what it means.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::{Event, EventKind, ProcessName, until};

use crate::facts::{Facts, LogHit};
use crate::incident::SymptomKind;
use crate::incident::fingerprint::{error_line, fingerprint, template};
use crate::knowledge;

/// Deaths older than this have nothing to do with those of now.
const WINDOW: Duration = Duration::from_secs(600);
/// A run that lived longer was well: its death begins a new row.
const SHORT_LIFE_MS: u64 = 60_000;
/// What a program prints last may reach the log a moment after its exit was seen.
const LATE: Duration = Duration::from_millis(700);
/// Lines of source before the one that failed.
const BEFORE: u32 = 4;
/// Lines that are looked through; a few runs of chatty programs.
const LINES: usize = 400;

/// One death.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Death {
    /// `event:<id>`.
    pub(crate) id: String,
    /// When.
    pub(crate) at: Timestamp,
    /// The copy.
    pub(crate) instance: i64,
    /// Exit code, if it exited.
    pub(crate) code: Option<i64>,
    /// Signal, if one killed it.
    pub(crate) signal: Option<i64>,
    /// `exit code 1`, `signal 11 (SIGSEGV, …)`, `no start: …`.
    pub(crate) exit: String,
    /// How long the run lived.
    pub(crate) uptime_s: f64,
    /// The line that tells most, fit to be shown; empty if there is none.
    pub(crate) error: String,
    /// Where that line can be looked up.
    pub(crate) error_id: String,
    /// What it printed last that is no part of its last words; empty if nothing.
    pub(crate) output: String,
    /// Where that can be looked up.
    pub(crate) output_id: String,
    /// The kind of illness.
    pub(crate) kind: String,
    /// May another try help without anybody's doing?
    pub(crate) waitable: bool,
    /// What it means.
    pub(crate) words: String,
    /// `worker.js:6`; empty if no stack points anywhere.
    pub(crate) place: String,
    /// The line of source there; empty if it could not be read.
    pub(crate) source: String,
    /// The lines of source before it, nearest first: what is read is often opened there.
    #[serde(default)]
    pub(crate) before: Vec<String>,
    /// Its fingerprint's hash.
    pub(crate) print: String,
    /// Its fingerprint in words.
    pub(crate) readable: String,
    /// Deaths in a row with this fingerprint, up to and with this one.
    pub(crate) same: i64,
    /// Something it printed poses as an order to the reader.
    pub(crate) poses_as_order: bool,
    /// Its last words, as it printed them.
    #[serde(default)]
    pub(crate) last_words: Vec<String>,
    /// All of the above in a sentence.
    pub(crate) sentence: String,
}

/// The deaths since somebody last stepped in, oldest first, up to an event.
pub(crate) fn deaths(facts: &dyn Facts, name: &ProcessName, newest: i64) -> Vec<Death> {
    let now = facts.now();
    let mut crashes = facts.events(name, Some(EventKind::Crash), WINDOW);
    crashes.extend(facts.events(name, Some(EventKind::SpawnFailed), WINDOW));
    crashes.sort_by_key(|event| event.id);
    crashes.retain(|event| event.id <= newest);
    if let Some(reset) = last_reset(facts, name) {
        crashes.retain(|event| event.id > reset);
    }
    let Some(first) = crashes.first() else {
        return Vec::new();
    };
    let since = until(first.at, now)
        + Duration::from_millis(uptime_ms(first).min(30_000))
        + Duration::from_secs(1);
    let lines = facts.log_lines(name, ".", since, LINES);
    let mut all: Vec<Death> = Vec::new();
    // The fingerprint of those in the row that said something.
    let mut row: Option<String> = None;
    for event in &crashes {
        let mut death = death(facts, name, event, &lines);
        let is_like = |before: &Death| {
            // On a busy machine words may reach the log too late: one without any is no other.
            let row_fits = row.as_ref().is_none_or(|row| *row == death.print);
            before.print == death.print
                || (before.exit == death.exit && (is_silent(&death) || row_fits))
        };
        death.same = match all.last() {
            Some(before) if is_like(before) && uptime_ms(event) < SHORT_LIFE_MS => before.same + 1,
            _ => 1,
        };
        if death.same == 1 {
            row = None;
        }
        if !is_silent(&death) {
            row = Some(death.print.clone());
        }
        all.push(death);
    }
    all
}

/// Nothing it said is known.
fn is_silent(death: &Death) -> bool {
    death.error.is_empty() && death.last_words.is_empty()
}

/// The newest event by which somebody stepped in: what came before it counts no more.
fn last_reset(facts: &dyn Facts, name: &ProcessName) -> Option<i64> {
    let manual = facts
        .events(name, Some(EventKind::Restart), WINDOW)
        .into_iter()
        .filter(|event| event.data["reason"] == "manual");
    let cleared = facts.events(name, Some(EventKind::Cleared), WINDOW);
    let changed = facts.events(name, Some(EventKind::ConfigChanged), WINDOW);
    manual
        .chain(cleared)
        .chain(changed)
        .map(|event| event.id)
        .max()
}

fn uptime_ms(event: &Event) -> u64 {
    event.data["uptime_ms"].as_u64().unwrap_or(0)
}

fn death(facts: &dyn Facts, name: &ProcessName, event: &Event, lines: &[LogHit]) -> Death {
    let id = format!("event:{}", event.id);
    let code = event.data["code"].as_i64();
    let signal = event.data["signal"].as_i64();
    let uptime = Duration::from_millis(uptime_ms(event));
    let born = event.at - signed(uptime) - signed(Duration::from_millis(300));
    let died = event.at + signed(LATE);
    let run: Vec<&LogHit> = lines
        .iter()
        .filter(|line| line.at >= born && line.at <= died && !line.text.trim().is_empty())
        .collect();
    // The last words: stderr, which the event carries; else the end of all it printed.
    let stderr: Vec<String> = texts(&event.data["last_lines"]);
    let (mut words, mut error_id) = (stderr.clone(), id.clone());
    let mut telling = told(&words);
    let tells = telling.is_some_and(|index| speaks(&words[index]));
    if !tells {
        let tail: Vec<&LogHit> = run.iter().rev().take(20).rev().copied().collect();
        let texts: Vec<String> = tail.iter().map(|line| line.text.clone()).collect();
        // What went to stdout counts where stderr says nothing, or nothing in particular.
        if let Some(index) = told(&texts)
            && (telling.is_none() || speaks(&texts[index]))
        {
            error_id = format!("log:{}", tail[index].id);
            words = texts;
            telling = Some(index);
        }
    }
    let first = error_line(words.iter().map(String::as_str));
    let spawn_error = event.data["error"].as_str().unwrap_or_default().to_owned();
    let raw_error = match telling {
        Some(index) => words[index].clone(),
        None if event.kind == EventKind::SpawnFailed => spawn_error.clone(),
        None => stderr.last().cloned().unwrap_or_default(),
    };
    // The first line that names an error: stable from run to run.
    let stable = first.map_or_else(|| raw_error.clone(), |index| words[index].clone());
    let output = run.iter().rev().find(|line| {
        line.text != raw_error && !stderr.contains(&line.text) && !knowledge::is_frame(&line.text)
    });
    let exit = match (event.kind, code, signal) {
        (EventKind::SpawnFailed, _, _) => format!("it could not be started: {spawn_error}"),
        (_, _, Some(signal)) => knowledge::signal_words(signal),
        (_, Some(126), _) => "exit code 126 (the command is not executable)".to_owned(),
        (_, Some(127), _) => "exit code 127 (the command was not found)".to_owned(),
        (_, Some(code), None) => format!("exit code {code}"),
        (_, None, None) => "an unknown exit".to_owned(),
    };
    let illness = knowledge::illness(
        (!raw_error.is_empty()).then_some(raw_error.as_str()),
        &words.join("\n"),
    );
    let kind = match (illness.kind, signal, code) {
        ("unknown" | "exception", Some(_), _) => "signal",
        ("unknown", None, Some(126)) => "permission",
        (kind, _, _) => kind,
    };
    let location = knowledge::location(&words);
    let place = location.as_ref().map_or_else(String::new, |(file, line)| {
        format!("{}:{line}", file.rsplit('/').next().unwrap_or(file))
    });
    let before: Vec<String> = location
        .iter()
        .flat_map(|(file, line)| (1..=BEFORE).map(move |back| (file, line.saturating_sub(back))))
        .filter(|(_, line)| *line > 0)
        .map_while(|(file, line)| facts.source_line(name, file, line))
        .collect();
    let source = location
        .and_then(|(file, line)| facts.source_line(name, &file, line))
        .map(|line| knowledge::quotable(&line))
        .unwrap_or_default();
    let print = fingerprint(
        if event.kind == EventKind::SpawnFailed {
            SymptomKind::SpawnFailed
        } else {
            SymptomKind::Crash
        },
        &exit,
        (!stable.is_empty()).then_some(stable.as_str()),
    );
    let mut death = Death {
        id,
        at: event.at,
        instance: i64::from(event.instance.unwrap_or(0)),
        code,
        signal,
        exit,
        uptime_s: (uptime.as_secs_f64() * 10.0).round() / 10.0,
        error: knowledge::quotable(&raw_error),
        error_id,
        output: output.map_or_else(String::new, |line| knowledge::quotable(&line.text)),
        output_id: output.map_or_else(String::new, |line| format!("log:{}", line.id)),
        kind: kind.to_owned(),
        waitable: illness.waitable,
        words: if kind == "signal" {
            "a signal ended it, not an exception of its own".to_owned()
        } else {
            illness.words.to_owned()
        },
        place,
        source,
        before,
        print: print.hash,
        readable: print.readable,
        same: 1,
        poses_as_order: words.iter().any(|line| knowledge::poses_as_order(line)),
        last_words: words
            .iter()
            .map(|line| line.chars().take(300).collect())
            .collect(),
        sentence: String::new(),
    };
    death.sentence = sentence(&death);
    death
}

/// The line that tells most.
fn told(lines: &[String]) -> Option<usize> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    knowledge::telling(&lines)
}

/// Does a line say more than that something went wrong?
fn speaks(line: &str) -> bool {
    knowledge::is_specific(knowledge::illness(Some(line), "").kind)
}

/// The death in a sentence, most telling part first.
fn sentence(death: &Death) -> String {
    let mut text = format!("{} after {:.1} s", death.exit, death.uptime_s);
    if !death.error.is_empty() {
        text.push_str(&format!(": {}", death.error));
    }
    if !death.place.is_empty() {
        text.push_str(&format!(" (at {}", death.place));
        if !death.source.is_empty() {
            text.push_str(&format!(", which reads `{}`", death.source));
        }
        text.push(')');
    }
    text.push_str(&if death.kind == "unknown" {
        format!(". In short: {}", death.words)
    } else {
        format!(". That means: {}", death.words)
    });
    if !death.output.is_empty() && template(&death.output) != template(&death.error) {
        text.push_str(&format!(
            ". Its last output before that: `{}`",
            death.output
        ));
    }
    if death.poses_as_order {
        text.push_str(
            ". Its output holds text that poses as orders to the reader; it was treated as data",
        );
    }
    text
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::ZERO)
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|lines| {
            lines
                .iter()
                .filter_map(|line| line.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default()
}
