//! What the brain knows beside the facts: earlier incidents, alike ones, and playbooks.

use super::{add, clock};
use crate::diagnose::{Asked, TrailEntry};
use crate::incident::fingerprint::likeness as likeness_of;
use crate::observation::{Item, Part};
use crate::playbook::PlaybookInfo;
use crate::store::HistoryRow;

/// Incidents of the process, and alike ones, that are told.
const PAST: usize = 5;
const ALIKE: usize = 5;

/// Open and earlier incidents, and what was done about them.
pub(in crate::observation) fn past(rows: &[HistoryRow], items: &mut Vec<Item>) {
    for row in rows.iter().take(PAST) {
        add(
            items,
            Part::Past,
            if row.closed.is_none() { 2 } else { 4 },
            format!("incident:{}", row.id),
            story(row),
        );
    }
}

/// Incidents of all processes that were alike, the most alike and then the newest first.
pub(in crate::observation) fn alike(illness: &str, rows: &[HistoryRow], items: &mut Vec<Item>) {
    let likeness = |row: &HistoryRow| {
        let other = row.illness.as_deref().unwrap_or_default();
        likeness_of(illness, other)
    };
    let mut rows: Vec<(u8, &HistoryRow)> = rows
        .iter()
        .map(|row| (likeness(row), row))
        .filter(|(likeness, _)| *likeness > 0)
        .collect();
    rows.sort_by_key(|(likeness, _)| std::cmp::Reverse(*likeness));
    for (likeness, row) in rows.into_iter().take(ALIKE) {
        let how = match likeness {
            2 => "said the same",
            _ => "ended the same way",
        };
        let text = format!("{how}: {}, {}", row.process, story(row));
        let tier = if likeness > 1 { 3 } else { 4 };
        add(
            items,
            Part::Past,
            tier,
            format!("incident:{}", row.id),
            text,
        );
    }
}

/// What became of an incident.
fn story(row: &HistoryRow) -> String {
    let mut text = format!(
        "{} {} by {}",
        row.ts.strftime("%Y-%m-%d %H:%M"),
        row.result,
        row.trigger
    );
    if let Some(cause) = &row.cause {
        text.push_str(&format!(": {cause}"));
    }
    if !row.actions.is_empty() {
        text.push_str(&format!("; done: {}", row.actions.join(", ")));
    }
    if let Some(outcome) = &row.outcome {
        text.push_str(&format!("; outcome: {outcome}"));
    }
    if let Some(playbook) = &row.playbook {
        text.push_str(&format!("; playbook {playbook}"));
    }
    text
}

/// Playbooks that were asked, and why none of them acts; those that matched come first.
pub(in crate::observation) fn playbooks(
    asked: &[TrailEntry],
    all: &[PlaybookInfo],
    items: &mut Vec<Item>,
) {
    for entry in asked {
        let (tier, why) = match &entry.asked {
            Asked::Won => (3, "it applies".to_owned()),
            Asked::Beside => (3, "it applies, and another's plan was taken".to_owned()),
            Asked::NoPlan => (3, "it applies and has no steps".to_owned()),
            Asked::Resting { until } => {
                (3, format!("it applies and rests until {}", clock(*until)))
            }
            Asked::Spent { runs } => (
                3,
                format!("it applies and ran {runs} times in an hour already"),
            ),
            Asked::Failed { error } => (4, format!("it failed: {error}")),
            Asked::Silent => (5, "it does not apply".to_owned()),
        };
        let name = &entry.playbook.0;
        let info = all.iter().find(|info| info.name == *name);
        let text = match info {
            Some(info) => format!(
                "{}; does [{}]; {why}",
                info.description,
                info.actions.join(", ")
            ),
            None => why,
        };
        add(
            items,
            Part::Playbooks,
            tier,
            format!("playbook:{name}"),
            text,
        );
    }
}
