//! What a process complains about while it lives, and who complains about it.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use supervisor::{HealthStatus, ProcessName, Status, until};

use crate::facts::{Facts, LogHit, ProcessFacts};
use crate::incident::fingerprint::{template, trouble};
use crate::knowledge;

/// Finds the lines worth a closer look; [`trouble`] then grades them.
const TROUBLE: &str = r"(?i)error|exception|panic|fatal|critical|fail|cannot|can't|refus|denied|unable|unavailable|unreachable|not found|no such|timed? ?out|exhausted|expired|overdue|misfire|rejected|shedding|violation|defunct|too many|out of memory|abort|killed|corrupt|invalid|warn|could not|couldn't|future|skew|ahead of|pool|certificate|ECONN|ENO|EMFILE|in use|no space|SSL|lock";
/// What callers say of one that does not answer, or too late.
static UNREACHED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)timed? ?-?out|refused|unreachable|ECONN|ETIMEDOUT|EPIPE|reset by peer|hang ?up|no (?:answer|response)|not respond|unavailable|too slow|broken pipe",
    )
    .expect("a constant")
});
/// Lines looked through in one question.
const LINES: usize = 200;
/// A log that is flooded is not searched: that is an illness of its own.
const FLOOD: u64 = 4 * 1024 * 1024;
/// How deep a chain of dependencies is followed.
const DEPTH: usize = 8;

/// Lines that say the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ErrorGroup {
    /// The newest of them, fit to be shown.
    pub(crate) text: String,
    /// Where it can be looked up.
    pub(crate) id: String,
    /// What they have in common.
    pub(crate) template: String,
    /// How many.
    pub(crate) count: i64,
    /// Seconds since the oldest of them.
    pub(crate) first_s: f64,
    /// Seconds since the newest of them.
    pub(crate) last_s: f64,
    /// Do they name an error the way languages do? Else they only sound like trouble.
    pub(crate) named: bool,
    /// Does it say that the trouble was dealt with?
    #[serde(skip)]
    pub(crate) handled: bool,
    /// The kind of illness.
    pub(crate) kind: String,
    /// What it means.
    pub(crate) words: String,
}

/// A process that complains about another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blame {
    /// Who complains, or who is complained about.
    pub(crate) process: String,
    /// What it says.
    pub(crate) text: String,
    /// Where that can be looked up.
    pub(crate) id: String,
}

/// A dependency that is not well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SickDependency {
    /// Its name.
    pub(crate) name: String,
    /// How it stands, in words.
    pub(crate) words: String,
}

/// Groups of alike lines in the last `window`, the most telling and most frequent first.
pub(crate) fn errors(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Vec<ErrorGroup> {
    let bytes = facts.log_bytes(name, window);
    if bytes == 0 || bytes > FLOOD {
        return Vec::new();
    }
    let now = facts.now();
    let mut groups: BTreeMap<String, ErrorGroup> = BTreeMap::new();
    for line in facts.log_lines(name, TROUBLE, window, LINES) {
        let grade = trouble(&line.text);
        if (grade == 0 && knowledge::kind_of(&line.text).is_empty())
            || knowledge::is_frame(&line.text)
        {
            continue;
        }
        let age = until(line.at, now).as_secs_f64();
        let common = template(&line.text);
        let illness = knowledge::illness(Some(&line.text), "");
        let group = groups.entry(common.clone()).or_insert_with(|| ErrorGroup {
            text: String::new(),
            id: String::new(),
            template: common,
            count: 0,
            first_s: age,
            last_s: age,
            named: grade == 2,
            handled: knowledge::was_handled(&line.text),
            kind: illness.kind.to_owned(),
            words: illness.words.to_owned(),
        });
        group.count += 1;
        group.first_s = group.first_s.max(age);
        // Lines come oldest first.
        group.last_s = age;
        group.text = knowledge::quotable(&line.text);
        group.id = format!("log:{}", line.id);
    }
    let mut groups: Vec<ErrorGroup> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        (b.named, b.count)
            .cmp(&(a.named, a.count))
            .then(a.last_s.total_cmp(&b.last_s))
    });
    groups.truncate(20);
    groups
}

/// The newest line of all, if there is one in the last `window`.
pub(crate) fn newest_line(
    facts: &dyn Facts,
    name: &ProcessName,
    window: Duration,
) -> Option<LogHit> {
    if facts.log_bytes(name, window) == 0 {
        return None;
    }
    facts.log_lines(name, r"\S", window, 1).pop()
}

/// What others that depend on `name` say about it in the last `window`.
pub(crate) fn blamed(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Vec<Blame> {
    facts
        .dependents(name)
        .into_iter()
        .flat_map(|other| complaints(facts, &other, name, window))
        // "db query failed: no such column" names the database, and is no fault of it.
        .filter(|blame| UNREACHED.is_match(&blame.text))
        .collect()
}

/// What `name` says about its own dependencies in the last `window`.
pub(crate) fn blames(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Vec<Blame> {
    let Some(process) = facts.process(name) else {
        return Vec::new();
    };
    process
        .depends_on
        .iter()
        .flat_map(|dependency| {
            complaints(facts, name, dependency, window)
                .into_iter()
                .map(|blame| Blame {
                    process: dependency.to_string(),
                    ..blame
                })
        })
        .collect()
}

fn complaints(
    facts: &dyn Facts,
    speaker: &ProcessName,
    about: &ProcessName,
    window: Duration,
) -> Vec<Blame> {
    if facts.log_bytes(speaker, window) == 0 {
        return Vec::new();
    }
    let pattern = format!(r"\b{}\b", regex::escape(about.as_str()));
    facts
        .log_lines(speaker, &pattern, window, 20)
        .into_iter()
        .filter(|line| trouble(&line.text) > 0)
        .map(|line| Blame {
            process: speaker.to_string(),
            text: knowledge::quotable(&line.text),
            id: format!("log:{}", line.id),
        })
        .collect()
}

/// Is every copy up, and does no probe fail?
pub fn is_well(process: &ProcessFacts) -> bool {
    process.state == Status::Online
        && process
            .instances
            .iter()
            .all(|instance| instance.probe_failures == 0 && instance.health != HealthStatus::Fail)
}

/// The deepest dependency of `name` that is not well: where its own trouble may come from.
pub(crate) fn sick_dependency(facts: &dyn Facts, name: &ProcessName) -> Option<SickDependency> {
    let mut found = None;
    let mut current = name.clone();
    for _ in 0..DEPTH {
        let sick = facts.process(&current)?.depends_on.iter().find_map(|name| {
            let process = facts.process(name)?;
            (!is_well(&process)).then_some(process)
        });
        let Some(process) = sick else {
            return found;
        };
        let probe = process
            .instances
            .iter()
            .find_map(|instance| instance.probe_error.clone());
        found = Some(SickDependency {
            name: process.name.to_string(),
            words: match probe {
                Some(error) => format!(
                    "`{}` is {} but down for its probe: {error}",
                    process.name, process.detail
                ),
                None => format!("`{}` is down: {}", process.name, process.detail),
            },
        });
        current = process.name;
    }
    found
}
