//! What a process printed: complaints, the patterns behind its lines, and the last ones.

use std::collections::HashMap;

use jiff::Timestamp;
use supervisor::ProcessName;

use super::{COMPLAINTS, DAY, HOUR, LAST, LINES, PATTERNS, add, clock};
use crate::facts::{Facts, LogHit};
use crate::incident::fingerprint::{fnv1a, template, trouble};
use crate::observation::{Item, Part};

/// Lines of one pattern.
struct Group<'a> {
    newest: &'a LogHit,
    first: Timestamp,
    count: usize,
    place: usize,
}

fn groups<'a>(lines: impl Iterator<Item = &'a LogHit>) -> Vec<(String, Group<'a>)> {
    let mut all: HashMap<String, Group<'a>> = HashMap::new();
    for (place, line) in lines.enumerate() {
        let group = all.entry(template(&line.text)).or_insert(Group {
            newest: line,
            first: line.at,
            count: 0,
            place,
        });
        group.count += 1;
        group.newest = line;
        group.place = place;
    }
    all.into_iter().collect()
}

/// Complaints, patterns, last lines.
pub(in crate::observation) fn logs(facts: &dyn Facts, name: &ProcessName, items: &mut Vec<Item>) {
    let lines = facts.log_lines(name, ".", HOUR, LINES);
    let older = facts.log_lines(
        name,
        r"(?i)error|exception|panic|fatal|fail|refused|denied|cannot|timed? ?out|killed|no such|not found",
        DAY,
        200,
    );
    let first = lines.first().map(|line| line.at);
    let mut complaints = groups(
        older
            .iter()
            .filter(|line| first.is_none_or(|first| line.at < first))
            .chain(&lines)
            .filter(|line| trouble(&line.text) > 0),
    );
    // The newest ones; those that name an error before those that only sound like one.
    complaints.sort_by_key(|(_, group)| {
        (
            std::cmp::Reverse(trouble(&group.newest.text)),
            std::cmp::Reverse(group.place),
        )
    });
    complaints.truncate(COMPLAINTS);
    let mut told: Vec<(usize, usize, String, String)> = complaints
        .iter()
        .enumerate()
        .map(|(rank, (_, group))| {
            let mut text = format!("{} {}", clock(group.newest.at), group.newest.text.trim());
            if group.count > 1 {
                text = format!(
                    "{} ×{} since {} {}",
                    clock(group.newest.at),
                    group.count,
                    clock(group.first),
                    group.newest.text.trim()
                );
            }
            (group.place, rank, format!("log:{}", group.newest.id), text)
        })
        .collect();
    told.sort_by_key(|(place, ..)| *place);
    for (_, rank, id, text) in told {
        let tier = if rank < 3 {
            1
        } else if rank < 8 {
            2
        } else {
            3
        };
        add(items, Part::Complaints, tier, id, text);
    }
    let mut patterns = groups(lines.iter());
    patterns.sort_by(|(a, one), (b, other)| other.count.cmp(&one.count).then_with(|| a.cmp(b)));
    for (pattern, group) in patterns
        .iter()
        .take(PATTERNS)
        .filter(|(_, group)| group.count > 1)
    {
        let hash = fnv1a(pattern.as_bytes()) as u32;
        let text = format!(
            "{} lines from {} to {}: {pattern}",
            group.count,
            clock(group.first),
            clock(group.newest.at)
        );
        add(
            items,
            Part::Patterns,
            4,
            format!("pattern:{hash:08x}"),
            text,
        );
    }
    let last = &lines[lines.len().saturating_sub(LAST)..];
    let count = last.len();
    for (place, line) in last.iter().enumerate() {
        let tier = if place + 5 >= count { 3 } else { 5 };
        let text = format!("{} {}", clock(line.at), line.text.trim());
        add(items, Part::Logs, tier, format!("log:{}", line.id), text);
    }
}
