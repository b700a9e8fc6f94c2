//! What is commonly known about ways to die.
//!
//! A table from texts that runtimes print to a kind of illness, whether another try may help
//! without anybody's doing, and words for people. Scripts read it through `c.death` and
//! `c.trouble()`; it decides nothing.

mod table;

use std::sync::LazyLock;

use regex::Regex;

use crate::incident::fingerprint::trouble;
use table::TABLE;

/// A kind of illness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illness {
    /// Its name in scripts.
    pub(crate) kind: &'static str,
    /// Something else may cure it: a port is freed, a file appears, a peer comes back.
    pub(crate) waitable: bool,
    /// What it means, as the end of a sentence.
    pub(crate) words: &'static str,
}

static RULES: LazyLock<Vec<(Regex, Illness)>> = LazyLock::new(|| {
    TABLE
        .iter()
        .map(|(pattern, kind, waitable, words)| {
            (
                Regex::new(pattern).expect("a constant"),
                Illness {
                    kind,
                    waitable: *waitable,
                    words,
                },
            )
        })
        .collect()
});

const UNKNOWN: Illness = Illness {
    kind: "unknown",
    waitable: false,
    words: "it does not say why",
};

/// The illness that a line, or else a whole text, speaks of.
pub(crate) fn illness(line: Option<&str>, text: &str) -> Illness {
    let find = |text: &str| {
        RULES
            .iter()
            .find(|(rule, _)| rule.is_match(text))
            .map(|(_, illness)| *illness)
    };
    match line.and_then(find) {
        // The line says only that there was an exception: its stack may say more.
        Some(found) if found.kind == "exception" => find(text)
            .filter(|other| matches!(other.kind, "parse" | "module" | "port" | "environment"))
            .unwrap_or(found),
        Some(found) => found,
        None => find(text).unwrap_or(UNKNOWN),
    }
}

/// Kinds that texts of the C library and of common libraries tell in words of their own,
/// without one that sounds like trouble beside them.
const PLAIN: [&str; 8] = [
    "disk",
    "descriptors",
    "port",
    "certificate",
    "dns",
    "dependency",
    "clock",
    "pool",
];

/// The kind of illness a line of output speaks of, if it sounds like trouble; else empty.
pub(crate) fn kind_of(line: &str) -> &'static str {
    let kind = illness(Some(line), "").kind;
    if trouble(line) > 0 || PLAIN.contains(&kind) {
        kind
    } else {
        ""
    }
}

/// Is it a kind that names more than that something went wrong?
pub(crate) fn is_specific(kind: &str) -> bool {
    !matches!(kind, "" | "unknown" | "exception")
}

/// Is it a line of a stack, or of the source that a stack quotes? Such lines name places in
/// libraries, and no errors, files or addresses that the program works with.
pub(crate) fn is_frame(line: &str) -> bool {
    static FRAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"^\s*(?:at (?:async )?[\w$.<(/\[].*[:(]|File "[^"]+", line \d+|\.\.\. \d+ (?:more|common)|from \S+:\d+:in |node:internal|#?\d+:? +0x[0-9a-f]+|\^+\s*$|~*\^+~*\s*$|goroutine \d+|(?:raise|throw|throw new|except|\}? ?catch \()\s*\w)"#,
        )
        .expect("a constant")
    });
    FRAME.is_match(line)
}

/// The line of last words that says most about the cause.
///
/// The fingerprint keeps to the first line that names an error; a person reads on: what
/// caused it stands behind it (`Caused by: …`), and where nothing is named the last line
/// that says something particular counts more than the last one that complains.
pub(crate) fn telling(lines: &[&str]) -> Option<usize> {
    let kind = |line: &str| {
        if trouble(line) > 0 || illness(Some(line), "").kind != "exception" {
            illness(Some(line), "").kind
        } else {
            ""
        }
    };
    let named = lines.iter().position(|line| trouble(line) == 2);
    let specific = |from: usize, keep: fn(&str) -> bool| {
        (from..lines.len())
            .rev()
            .find(|at| keep(lines[*at]) && is_specific(kind(lines[*at])))
    };
    match named {
        Some(first) if is_specific(kind(lines[first])) => Some(first),
        Some(first) => {
            let causes =
                |line: &str| trouble(line) == 2 || line.trim_start().starts_with("Caused by");
            specific(first + 1, causes).or(Some(first))
        }
        None => specific(0, |_| true).or_else(|| lines.iter().rposition(|line| trouble(line) == 1)),
    }
}

/// A signal's name and what it usually means.
pub(crate) fn signal_words(signal: i64) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL, illegal instruction",
        6 => "SIGABRT, it aborted itself",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL, killed from outside or by the kernel",
        11 => "SIGSEGV, segmentation fault in native code",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        25 => "SIGXFSZ, file size limit",
        31 => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

/// The text for people: at most 220 characters, and long quoted parts cut, because what a
/// program quotes is often data that strangers wrote.
pub(crate) fn quotable(line: &str) -> String {
    let cut = cut_quotes(line.trim());
    let mut text: String = cut.chars().take(220).collect();
    if text.len() < cut.len() {
        text.push('…');
    }
    text
}

/// Quoted parts of more than 48 characters become their first twelve. A quote opens where no
/// letter stands before it, so that `can't` opens none; one that never closes is cut, too.
fn cut_quotes(line: &str) -> String {
    const LONG: usize = 48;
    const HEAD: usize = 12;
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        out.push(letter);
        if matches!(letter, '"' | '\'') && !before.is_alphanumeric() {
            let mut inside = String::new();
            let mut closed = false;
            for next in letters.by_ref() {
                if next == letter {
                    closed = true;
                    break;
                }
                inside.push(next);
            }
            if inside.chars().count() > LONG {
                out.extend(inside.chars().take(HEAD));
                out.push('…');
            } else {
                out.push_str(&inside);
            }
            if closed {
                out.push(letter);
            }
        }
        before = out.chars().next_back().unwrap_or(letter);
    }
    out
}

/// Does a text pose as an order to whoever reads the log?
pub(crate) fn poses_as_order(text: &str) -> bool {
    static ORDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)ignore (?:all |any )?(?:previous|prior|above) instructions|system (?:notice|prompt|message)|you are now|disregard (?:all|the|previous)")
            .expect("a constant")
    });
    ORDER.is_match(text)
}

/// Where in the source a stack points: file as printed, and line.
pub(crate) fn location(lines: &[String]) -> Option<(String, u32)> {
    static PYTHON: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"File "([^"<]+)", line (\d+)"#).expect("a constant"));
    static SHELL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(\S+): line (\d+):").expect("a constant"));
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"([\w@./-]+\.(?:js|mjs|cjs|ts|tsx|java|kt|rb|go|php|rs|cs|ex|lua|pl)):(?:line )?(\d+)",
        )
        .expect("a constant")
    });
    let found = |regex: &Regex, line: &str| {
        let captures = regex.captures(line)?;
        Some((captures[1].to_owned(), captures[2].parse().ok()?))
    };
    // Own code before that of libraries. Python prints the innermost frame last; the others
    // print it first.
    static LIBRARY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"node:|node_modules|java\.base/|\b(?:jdk|sun|java|javax)\.[\w.]+\(|site-packages|dist-packages|/usr/lib|/lib/python\d|/\.rustc|/gems/|<frozen")
            .expect("a constant")
    });
    let own: Vec<&String> = lines
        .iter()
        .filter(|line| !LIBRARY.is_match(line))
        .collect();
    let any: Vec<&String> = lines
        .iter()
        .filter(|line| !line.contains("node:"))
        .collect();
    [own, any].into_iter().find_map(|lines| {
        lines
            .iter()
            .rev()
            .find_map(|line| found(&PYTHON, line))
            .or_else(|| lines.iter().find_map(|line| found(&SHELL, line)))
            .or_else(|| lines.iter().find_map(|line| found(&OTHER, line)))
    })
}

/// Does a line say that the trouble it speaks of was dealt with?
pub(crate) fn was_handled(text: &str) -> bool {
    static HANDLED: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(
            r"(?i)\b(?:handled|recovered|recover(?:ed)? (?:by|after)|retried (?:ok|and|with success)|succeeded|fell back|fallback|ignored|served from|retry ok|no action needed)\b",
        )
        .expect("a constant")
    });
    HANDLED.is_match(text)
}

#[cfg(test)]
mod tests;
