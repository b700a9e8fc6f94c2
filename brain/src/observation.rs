//! What a model is told about a process: the facts that matter, each with an id to cite.
//!
//! ```text
//!   Facts, finding, history ──► parts P1–P9, each with its cap ──► render(budget) ──► text
//!                                 │ folded by pattern                │ most telling first
//!                                 └ same facts, same bytes           └ what was shown, by id
//! ```
//!
//! An observation is read once and can be told in any length: a model with room gets up to
//! 24 KB, a small one the few hundred tokens that say most. What is cut is cut by importance:
//! the state and the finding stay, then complaints, newest first, then the rest. Every fact is
//! one line, so that none can pretend to be another; the whole belongs inside a fence of
//! `prompts`. Reading blocks.

mod parts;

use std::collections::BTreeSet;

use supervisor::ProcessName;

use crate::causes::Case;
use crate::diagnose::TrailEntry;
use crate::facts::Facts;
use crate::playbook::PlaybookInfo;
use crate::score::score;
use crate::store::HistoryRow;
use crate::words::clean;

/// Most bytes about one process.
pub const PROCESS: usize = 24 * 1024;
/// Most bytes about all processes of one question.
pub const TOTAL: usize = 96 * 1024;
/// Bytes that make a token of logs and figures, on the careful side.
const TOKEN: usize = 3;
/// Budgets below this are told in short lines.
const SMALL: usize = 2_000;
/// Longest line, in characters, and longest in a small budget.
const LINE: usize = 400;
const SHORT: usize = 160;
/// A health score from which on a process is told in a line only.
const PERFECT: f64 = 99.5;

/// What is known beside the facts of the moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// What the brain found by its own rules: the first evidence.
    pub finding: Option<&'a Case>,
    /// Incidents of the process, newest first.
    pub past: &'a [HistoryRow],
    /// Which illness it is, in words, and incidents of all processes that may be alike.
    pub illness: Option<(&'a str, &'a [HistoryRow])>,
    /// What playbooks said when they were asked.
    pub asked: &'a [TrailEntry],
    /// All playbooks.
    pub playbooks: &'a [PlaybookInfo],
}

/// A part of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Process,
    Finding,
    Metrics,
    Probes,
    Complaints,
    Patterns,
    Logs,
    Events,
    Past,
    Playbooks,
    Changes,
    Fleet,
    Host,
}

impl Part {
    const ALL: [Part; 13] = [
        Part::Process,
        Part::Finding,
        Part::Metrics,
        Part::Probes,
        Part::Complaints,
        Part::Patterns,
        Part::Logs,
        Part::Events,
        Part::Past,
        Part::Playbooks,
        Part::Changes,
        Part::Fleet,
        Part::Host,
    ];

    fn title(self) -> &'static str {
        match self {
            Part::Process => "process",
            Part::Finding => "finding of mhost",
            Part::Metrics => "measured in the last hour",
            Part::Probes => "probes",
            Part::Complaints => "complaints in its output, newest last",
            Part::Patterns => "patterns of its output",
            Part::Logs => "last lines",
            Part::Events => "events",
            Part::Past => "earlier incidents",
            Part::Playbooks => "playbooks that were asked",
            Part::Changes => "changes of its definition",
            Part::Fleet => "other processes",
            Part::Host => "machine",
        }
    }

    /// Most bytes of it.
    fn cap(self) -> usize {
        match self {
            Part::Process => 2_048,
            Part::Finding => 2_048,
            Part::Metrics => 2_048,
            Part::Probes => 1_024,
            Part::Complaints => 5 * 1_024,
            Part::Patterns => 2 * 1_024,
            Part::Logs => 5 * 1_024,
            Part::Events => 3 * 1_024,
            // Together what the brain knows has 3 KB.
            Part::Past => 2 * 1_024,
            Part::Playbooks => 1_024,
            Part::Changes => 2 * 1_024,
            Part::Fleet => 4 * 1_024,
            Part::Host => 512,
        }
    }
}

/// A fact in a line.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    part: Part,
    /// What evidence cites.
    id: String,
    text: String,
    /// 0 is told first, whatever the budget is.
    tier: u8,
}

/// What there is to tell. The items of a part stand in the order in which they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    items: Vec<Item>,
}

/// An observation in so many words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// One fact a line, under the titles of their parts. Not fenced.
    pub text: String,
    /// Id and text of all that is in it: what evidence may cite.
    pub shown: Vec<(String, String)>,
    /// Facts that found no room.
    pub left_out: usize,
}

impl Observation {
    /// Reads what there is about a process. None when it does not exist.
    pub fn of(facts: &dyn Facts, name: &ProcessName, known: Known<'_>) -> Option<Self> {
        let process = facts.process(name)?;
        let mut items = Vec::new();
        parts::process(facts, &process, &mut items);
        if let Some(case) = known.finding {
            parts::finding(case, &mut items);
        }
        parts::metrics(facts, &process, &mut items);
        parts::probes(facts, name, &mut items);
        parts::logs(facts, name, &mut items);
        parts::events(facts, name, &mut items);
        parts::past(known.past, &mut items);
        if let Some((illness, rows)) = known.illness {
            parts::alike(illness, rows, &mut items);
        }
        parts::playbooks(known.asked, known.playbooks, &mut items);
        parts::changes(facts, name, &mut items);
        parts::fleet(facts, Some(name), &mut items);
        parts::host(facts, &mut items);
        Some(Self { items })
    }

    /// All processes in a line each, and the machine.
    pub fn fleet(facts: &dyn Facts) -> Self {
        let mut items = Vec::new();
        parts::fleet(facts, None, &mut items);
        parts::host(facts, &mut items);
        Self { items }
    }

    /// All processes in a line each, then those in full that do worst, at most so many.
    pub fn fleet_and_worst(facts: &dyn Facts, most: usize) -> Vec<Self> {
        let mut worst: Vec<(f64, ProcessName)> = facts
            .processes()
            .into_iter()
            .filter_map(|name| Some((score(facts, &name)?.value, name)))
            .filter(|(value, _)| *value < PERFECT)
            .collect();
        worst.sort_by(|(a, one), (b, other)| a.total_cmp(b).then_with(|| one.cmp(other)));
        let in_full = worst.into_iter().take(most).filter_map(|(_, name)| {
            Some(Self::of(facts, &name, Known::default())?.beside_others(&name))
        });
        std::iter::once(Self::fleet(facts)).chain(in_full).collect()
    }

    /// What is left of it beside the fleet. Ids say whose they are: a key of a definition or a
    /// figure is there for each process.
    fn beside_others(mut self, name: &ProcessName) -> Self {
        self.items
            .retain(|item| !matches!(item.part, Part::Fleet | Part::Host));
        for item in &mut self.items {
            item.id = format!("{}@{name}", item.id);
        }
        self
    }

    /// Tells it in at most so many tokens, the most telling facts.
    pub fn render(&self, budget_tokens: usize) -> View {
        let room = budget_tokens.saturating_mul(TOKEN).min(PROCESS);
        let longest = if budget_tokens < SMALL { SHORT } else { LINE };
        let lines: Vec<String> = self
            .items
            .iter()
            .map(|item| format!("[{}] {}\n", item.id, clean(&item.text, longest)))
            .collect();
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by_key(|place| self.items[*place].tier);
        let mut chosen = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut used = 0;
        let mut of_part = [0; Part::ALL.len()];
        for place in order {
            let item = &self.items[place];
            let part = item.part as usize;
            let title = if of_part[part] == 0 {
                item.part.title().len() + 4
            } else {
                0
            };
            let size = lines[place].len();
            let fits = used + size + title <= room && of_part[part] + size <= item.part.cap();
            if fits && ids.insert(item.id.as_str()) {
                chosen.insert(place);
                used += size + title;
                of_part[part] += size;
            }
        }
        let mut view = View {
            left_out: self.items.len() - chosen.len(),
            ..View::default()
        };
        for part in Part::ALL {
            let mut of_it = chosen
                .iter()
                .filter(|place| self.items[**place].part == part)
                .peekable();
            if of_it.peek().is_none() {
                continue;
            }
            view.text.push_str("# ");
            view.text.push_str(part.title());
            view.text.push('\n');
            for place in of_it {
                view.text.push_str(&lines[*place]);
                let item = &self.items[*place];
                view.shown
                    .push((item.id.clone(), clean(&item.text, longest)));
            }
        }
        view
    }
}

/// Observations of several processes, one after another, within [`TOTAL`] bytes together.
pub fn together(all: &[Observation], budget_tokens: usize) -> View {
    let each = budget_tokens.min(TOTAL / TOKEN) / all.len().max(1);
    let mut view = View::default();
    for one in all {
        let part = one.render(each);
        view.text.push_str(&part.text);
        view.shown.extend(part.shown);
        view.left_out += part.left_out;
    }
    view
}

#[cfg(test)]
mod tests;
