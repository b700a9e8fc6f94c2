//! Two times of one process, side by side: which lines came, went or multiplied, and what it
//! used.
//!
//! Counts are compared as rates, since the times may differ in length, and only a difference
//! that chance does not explain is called one.

use serde::{Deserialize, Serialize};

use super::words::{percent, size};

/// A change of a rate that is smaller is none.
const TWICE: f64 = 2.0;
/// Standard deviations by which two counts must differ.
const SURE: f64 = 3.0;
/// A change of a figure that is smaller is none.
const MOVED: f64 = 0.2;
/// Rows of each kind that are told.
const MOST: usize = 20;

/// How often a kind of line came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// With `<*>` for values.
    pub pattern: String,
    /// Lines.
    pub count: u64,
    /// Does it speak of an error?
    pub grave: bool,
}

/// What is known of one time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Its length.
    pub seconds: f64,
    /// The kinds of lines there were.
    pub kinds: Vec<Kind>,
    /// All lines.
    pub lines: u64,
    /// Lines of level error or worse.
    pub errors: u64,
    /// Times it died.
    pub crashes: u64,
    /// Times a new run followed an old one.
    pub restarts: u64,
    /// Times its probe failed so often that it was told.
    pub probe_failures: u64,
    /// Percent of one core, all copies: average and the most that 95 of 100 samples had.
    pub cpu: Option<f64>,
    /// The 95th of 100.
    pub cpu_p95: Option<f64>,
    /// Resident bytes, all copies, on average.
    pub memory: Option<f64>,
    /// The most.
    pub memory_max: Option<f64>,
    /// Average score.
    pub score: Option<f64>,
}

/// A kind of line whose rate differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The kind.
    pub pattern: String,
    /// Lines a minute before.
    pub before: f64,
    /// Lines a minute after.
    pub after: f64,
    /// Does it speak of an error?
    pub grave: bool,
}

/// A figure of both times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Its name.
    pub figure: String,
    /// Before; none where it is not known.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
    /// Both and the change, for people.
    pub text: String,
}

/// How two times differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `better`, `worse`, `mixed`, `same` or `unknown`.
    pub verdict: String,
    /// Why.
    pub reasons: Vec<String>,
    /// Kinds that came, the most frequent first.
    pub new: Vec<Difference>,
    /// Kinds that went.
    pub gone: Vec<Difference>,
    /// Kinds that came far more or far less often.
    pub changed: Vec<Difference>,
    /// Figures.
    pub deltas: Vec<Delta>,
}

/// Compares two times.
pub fn compare(before: &Window, after: &Window) -> Comparison {
    let (mut new, mut gone, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    let of = |window: &Window, pattern: &str| {
        window
            .kinds
            .iter()
            .filter(|kind| kind.pattern == pattern)
            .map(|kind| kind.count)
            .sum::<u64>()
    };
    let mut patterns: Vec<(&str, bool)> = Vec::new();
    for kind in before.kinds.iter().chain(&after.kinds) {
        match patterns
            .iter_mut()
            .find(|(known, _)| *known == kind.pattern)
        {
            Some((_, grave)) => *grave |= kind.grave,
            None => patterns.push((&kind.pattern, kind.grave)),
        }
    }
    for (pattern, grave) in patterns {
        let (was, is) = (of(before, pattern), of(after, pattern));
        let one = Difference {
            pattern: pattern.to_owned(),
            before: rate(was, before),
            after: rate(is, after),
            grave,
        };
        match (was, is) {
            (0, 0) => {}
            (0, _) => new.push(one),
            (_, 0) => gone.push(one),
            _ if differs(was, before, is, after) => changed.push(one),
            _ => {}
        }
    }
    // What speaks of errors first, then what moved most.
    let moved = |one: &Difference| (one.after - one.before).abs();
    for list in [&mut new, &mut gone, &mut changed] {
        list.sort_by(|a, b| b.grave.cmp(&a.grave).then(moved(b).total_cmp(&moved(a))));
        list.truncate(MOST);
    }
    let (verdict, reasons) = verdict(before, after, &new, &gone);
    Comparison {
        verdict: verdict.to_owned(),
        reasons,
        new,
        gone,
        changed,
        deltas: deltas(before, after),
    }
}

/// Lines a minute.
fn rate(count: u64, window: &Window) -> f64 {
    let minutes = (window.seconds / 60.0).max(1.0 / 60.0);
    (count as f64 / minutes * 100.0).round() / 100.0
}

/// Is the difference of two counts more than chance, and large?
fn differs(was: u64, before: &Window, is: u64, after: &Window) -> bool {
    let share = after.seconds / before.seconds.max(1.0);
    let expected = was as f64 * share;
    // Both counts are uncertain by their square roots; the first is scaled with its time.
    let deviation = (is as f64 + expected * share).sqrt().max(1.0);
    let ratio = is as f64 / expected.max(0.001);
    (is as f64 - expected).abs() >= SURE * deviation && !(1.0 / TWICE..=TWICE).contains(&ratio)
}

/// Better or worse, by what nobody wants: crashes, errors, failing probes, a lower score.
fn verdict(
    before: &Window,
    after: &Window,
    new: &[Difference],
    gone: &[Difference],
) -> (&'static str, Vec<String>) {
    if before.is_empty() || after.is_empty() {
        let which = if before.is_empty() { "first" } else { "second" };
        return (
            "unknown",
            vec![format!("nothing is known of the {which} time")],
        );
    }
    let (mut better, mut worse) = (Vec::new(), Vec::new());
    let mut weigh = |word: &str, was: u64, is: u64, least: u64| {
        let fair = was as f64 * after.seconds / before.seconds.max(1.0);
        if is as f64 > fair && (is > was + least || differs(was, before, is, after)) {
            worse.push(format!("more {word}: {was} before, {is} after"));
        } else if fair > is as f64 && (was > is + least || differs(was, before, is, after)) {
            better.push(format!("fewer {word}: {was} before, {is} after"));
        }
    };
    weigh("crashes", before.crashes, after.crashes, 0);
    weigh(
        "probe failures",
        before.probe_failures,
        after.probe_failures,
        0,
    );
    weigh("error lines", before.errors, after.errors, u64::MAX / 2);
    let new_errors = new.iter().filter(|one| one.grave).count();
    if new_errors > 0 {
        worse.push(format!("{new_errors} new kinds of error lines"));
    }
    let gone_errors = gone.iter().filter(|one| one.grave).count();
    if gone_errors > 0 {
        better.push(format!("{gone_errors} kinds of error lines are gone"));
    }
    if let (Some(was), Some(is)) = (before.score, after.score) {
        if is < was - 10.0 {
            worse.push(format!("the score fell from {was:.0} to {is:.0}"));
        } else if is > was + 10.0 {
            better.push(format!("the score rose from {was:.0} to {is:.0}"));
        }
    }
    for (name, was, is, shown) in [
        (
            "memory",
            before.memory,
            after.memory,
            size as fn(f64) -> String,
        ),
        ("cpu", before.cpu, after.cpu, |value| {
            format!("{value:.1} %")
        }),
    ] {
        if let (Some(was), Some(is)) = (was, is) {
            let least = if name == "cpu" {
                10.0
            } else {
                32.0 * 1024.0 * 1024.0
            };
            if is > was * 1.5 && is - was > least {
                worse.push(format!("{name} rose from {} to {}", shown(was), shown(is)));
            }
        }
    }
    let word = match (better.is_empty(), worse.is_empty()) {
        (true, true) => "same",
        (false, true) => "better",
        (true, false) => "worse",
        (false, false) => "mixed",
    };
    let mut reasons = worse;
    reasons.append(&mut better);
    if reasons.is_empty() {
        reasons.push("crashes, errors, probes and usage are about the same".to_owned());
    }
    (word, reasons)
}

impl Window {
    fn is_empty(&self) -> bool {
        self.lines == 0
            && self.crashes == 0
            && self.restarts == 0
            && self.cpu.is_none()
            && self.score.is_none()
    }
}

fn deltas(before: &Window, after: &Window) -> Vec<Delta> {
    let per_minute = |count: u64, window: &Window| Some(rate(count, window));
    let number = |value: f64| format!("{value:.0}");
    let rated = |value: f64| format!("{value:.1}/min");
    let cpu = |value: f64| format!("{value:.1} %");
    type Shown = fn(f64) -> String;
    let rows: [(&str, Option<f64>, Option<f64>, Shown); 9] = [
        (
            "log lines",
            per_minute(before.lines, before),
            per_minute(after.lines, after),
            rated,
        ),
        (
            "error lines",
            per_minute(before.errors, before),
            per_minute(after.errors, after),
            rated,
        ),
        (
            "crashes",
            Some(before.crashes as f64),
            Some(after.crashes as f64),
            number,
        ),
        (
            "restarts",
            Some(before.restarts as f64),
            Some(after.restarts as f64),
            number,
        ),
        ("score", before.score, after.score, number),
        ("cpu", before.cpu, after.cpu, cpu),
        ("cpu p95", before.cpu_p95, after.cpu_p95, cpu),
        ("memory", before.memory, after.memory, size),
        ("memory max", before.memory_max, after.memory_max, size),
    ];
    rows.into_iter()
        .filter(|(_, was, is, _)| was.is_some() || is.is_some())
        .map(|(figure, was, is, shown)| {
            let side = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), shown);
            let change = match (was, is) {
                (Some(was), Some(is)) if was > 0.0 && ((is - was) / was).abs() >= MOVED => {
                    let sign = if is > was { "+" } else { "−" };
                    format!(" ({sign}{})", percent(((is - was) / was).abs().min(99.0)))
                }
                _ => String::new(),
            };
            Delta {
                figure: figure.to_owned(),
                before: was,
                after: is,
                text: format!("{} → {}{change}", side(was), side(is)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(pattern: &str, count: u64) -> Kind {
        Kind {
            pattern: pattern.to_owned(),
            count,
            grave: pattern.contains("error"),
        }
    }

    fn window(seconds: f64, kinds: Vec<Kind>) -> Window {
        Window {
            seconds,
            lines: kinds.iter().map(|kind| kind.count).sum(),
            errors: kinds
                .iter()
                .filter(|kind| kind.grave)
                .map(|kind| kind.count)
                .sum(),
            kinds,
            ..Window::default()
        }
    }

    #[test]
    fn new_gone_and_changed_are_told_apart() {
        let before = window(
            3600.0,
            vec![kind("GET <*>", 6000), kind("old job", 40), kind("tick", 60)],
        );
        let after = window(
            600.0,
            vec![
                kind("GET <*>", 1000),
                kind("error in <*>", 12),
                kind("tick", 300),
            ],
        );
        let found = compare(&before, &after);
        let names = |list: &[Difference]| {
            list.iter()
                .map(|one| one.pattern.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&found.new), ["error in <*>"]);
        assert_eq!(names(&found.gone), ["old job"]);
        // As many requests a minute as before: only the ticks multiplied.
        assert_eq!(names(&found.changed), ["tick"]);
        assert_eq!(found.verdict, "worse");
        assert!(
            found
                .reasons
                .iter()
                .any(|one| one.contains("new kinds of error")),
            "{found:?}"
        );
    }

    #[test]
    fn a_cure_is_better_and_chance_is_the_same() {
        let ill = Window {
            crashes: 6,
            score: Some(20.0),
            ..window(3600.0, vec![kind("ready", 7)])
        };
        let well = Window {
            score: Some(98.0),
            ..window(3600.0, vec![kind("ready", 1)])
        };
        assert_eq!(compare(&ill, &well).verdict, "better");
        assert_eq!(compare(&well, &ill).verdict, "worse");
        let other = window(3600.0, vec![kind("ready", 9)]);
        let found = compare(&window(3600.0, vec![kind("ready", 7)]), &other);
        assert_eq!((found.verdict.as_str(), found.changed.len()), ("same", 0));
    }

    #[test]
    fn nothing_to_compare_is_said() {
        let found = compare(&Window::default(), &window(60.0, vec![kind("x", 1)]));
        assert_eq!(found.verdict, "unknown");
        assert!(found.reasons[0].contains("first"));
    }

    #[test]
    fn figures_show_their_change() {
        let before = Window {
            memory: Some(100.0 * 1_048_576.0),
            ..window(60.0, vec![kind("x", 1)])
        };
        let after = Window {
            memory: Some(200.0 * 1_048_576.0),
            ..window(60.0, vec![kind("x", 1)])
        };
        let found = compare(&before, &after);
        let memory = found
            .deltas
            .iter()
            .find(|one| one.figure == "memory")
            .unwrap();
        assert_eq!(memory.text, "100MB → 200MB (+100 %)");
        assert_eq!(
            found.verdict, "worse",
            "it grew by more than half: {:?}",
            found.reasons
        );
    }
}
