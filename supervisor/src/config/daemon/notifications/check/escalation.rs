//! Whom a channel passes on to: it must be there, and it must end somewhere.

use std::collections::BTreeMap;

use crate::config::problem::Problems;
use crate::config::suggest::nearest;
use crate::config::tree::{Entry, Node};

/// Checks targets and the chain, `[notifications.escalation]`.
pub(super) fn check<'a>(
    channels: &[&'a Entry],
    names: &[&'a str],
    short: Option<&'a Entry>,
    problems: &mut Problems,
) {
    let mut next = BTreeMap::new();
    for entry in channels {
        if let Some(target) = target(entry, names, problems) {
            next.insert(entry.key.as_str(), target);
        }
    }
    if let Some(short) = short {
        chain(short, names, &mut next, problems);
    }
    circles(channels, &next, problems);
}

/// Whom a channel passes on to, if that is a channel.
fn target<'a>(entry: &'a Entry, names: &[&'a str], problems: &mut Problems) -> Option<&'a str> {
    let table = &entry.value;
    let written = table.get("escalation_target");
    if let (Some(after), None) = (table.entry("escalation_after"), written) {
        problems.error(
            &after.key_span,
            "`escalation_after` has no effect without `escalation_target`",
            "add `escalation_target` with the name of another channel",
        );
    }
    let node = written?;
    let text = node.text()?;
    known(text, node, names, problems).then_some(text)
}

fn known(text: &str, node: &Node, names: &[&str], problems: &mut Problems) -> bool {
    if names.contains(&text) {
        return true;
    }
    let help = match nearest(text, names.iter().copied()) {
        Some(near) => format!("write `\"{near}\"`"),
        None => format!("add `[notifications.{text}]`, or name one that is there"),
    };
    problems.error(&node.span, format!("there is no channel `{text}`"), help);
    false
}

/// The short form: what a channel does not say for itself.
fn chain<'a>(
    escalation: &'a Entry,
    names: &[&'a str],
    next: &mut BTreeMap<&'a str, &'a str>,
    problems: &mut Problems,
) {
    let Some(list) = escalation.value.get("chain") else {
        return;
    };
    let mut members: Vec<&str> = Vec::new();
    for node in list.items() {
        let Some(text) = node.text() else { continue };
        if members.contains(&text) {
            problems.error(
                &node.span,
                format!("`{text}` is twice in the chain"),
                "remove one of them: escalation must end somewhere",
            );
            return;
        }
        if !known(text, node, names, problems) {
            return;
        }
        members.push(text);
    }
    if members.len() < 2 {
        problems.error(
            &list.span,
            "a chain needs two channels or more",
            "write `chain = [\"slack\", \"pagerduty\"]`",
        );
    }
    for pair in members.windows(2) {
        next.entry(pair[0]).or_insert(pair[1]);
    }
}

/// Escalation that comes back to where it began would never end.
fn circles(channels: &[&Entry], next: &BTreeMap<&str, &str>, problems: &mut Problems) {
    let mut told: Vec<&str> = Vec::new();
    for entry in channels {
        let start = entry.key.as_str();
        let mut way = vec![start];
        let mut at = next.get(start);
        while let Some(step) = at {
            way.push(step);
            if *step == start || way.len() > channels.len() + 1 {
                break;
            }
            at = next.get(step);
        }
        let is_circle = way.len() > 1 && way.last() == Some(&start);
        if is_circle && !told.contains(&start) {
            told.extend(&way);
            let span =
                (entry.value.get("escalation_target")).map_or(&entry.key_span, |node| &node.span);
            problems.error(
                span,
                format!("escalation goes round in a circle: {}", way.join(" → ")),
                "let one of them have no `escalation_target`",
            );
        }
    }
}
