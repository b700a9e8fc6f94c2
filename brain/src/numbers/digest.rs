//! A report on some hours of a fleet, as a person would send it.
//!
//! The figures are gathered elsewhere; here they become Markdown. What programs printed is
//! put in code spans with everything taken out that Markdown or a terminal would act on.

mod uptime;
mod wording;

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::advice::Hint;
use super::words::{percent, span};
pub use uptime::{Availability, availability};
pub use wording::prose;
use wording::{
    code, counted, first_sentence, in_words, length, of_all, plain, rest, said, seconds, sentence,
};

/// Rows of a table; the rest is counted.
const ROWS: usize = 20;
/// Longest text from outside, in characters.
const TEXT: usize = 200;

/// All that a report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// The machine.
    pub host: String,
    /// A row for each process.
    pub processes: Vec<ProcessRow>,
    /// What happened, oldest first.
    pub incidents: Vec<IncidentRow>,
    /// What was done, oldest first.
    pub actions: Vec<ActionRow>,
    /// The most frequent error lines.
    pub errors: Vec<ErrorRow>,
    /// What is to be changed.
    pub recommendations: Vec<Hint>,
}

/// A process over the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Its name.
    pub name: String,
    /// How it is now.
    pub state: String,
    /// Is something wrong with that?
    pub is_down: bool,
    /// Share of the wanted time in which it was up, 0 to 1; none if it was not wanted.
    pub uptime: Option<f64>,
    /// Seconds it was wanted and not up.
    pub down_s: f64,
    /// Crashes.
    pub crashes: u64,
    /// Restarts for any reason.
    pub restarts: u64,
    /// Its score now.
    pub score: Option<f64>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// `inc-7`.
    pub id: String,
    /// The process.
    pub process: String,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// What showed it: `crash`, `memory_exceeded`.
    pub trigger: String,
    /// What was behind it.
    pub cause: Option<String>,
    /// What was done, in order.
    pub done: Vec<String>,
    /// `success`, `failed` and so on, by measurement.
    pub outcome: Option<String>,
    /// Who acted.
    pub by: String,
    /// Does it wait for a person?
    pub escalated: bool,
    /// Others that suffered from it.
    pub victims: Vec<String>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRow {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub process: String,
    /// What.
    pub action: String,
    /// By whom.
    pub by: String,
    /// What became of it.
    pub result: String,
}

/// A kind of error line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorRow {
    /// The process.
    pub process: String,
    /// With `<*>` for values.
    pub pattern: String,
    /// Lines.
    pub count: u64,
    /// The newest.
    pub last: Timestamp,
}

impl Digest {
    /// Share of the wanted time in which all processes together were up.
    pub fn uptime(&self) -> Option<f64> {
        let (mut wanted, mut down) = (0.0, 0.0);
        for row in &self.processes {
            if let Some(share) = row.uptime {
                let all = if share >= 1.0 {
                    (self.to.as_second() - self.from.as_second()) as f64
                } else {
                    row.down_s / (1.0 - share)
                };
                wanted += all;
                down += row.down_s;
            }
        }
        (wanted > 0.0).then(|| 1.0 - down / wanted)
    }

    /// The first words: how it went and what is left to do.
    pub fn summary(&self) -> Vec<String> {
        let mut said = Vec::new();
        let open: Vec<&IncidentRow> = self
            .incidents
            .iter()
            .filter(|one| one.closed.is_none())
            .collect();
        let down: Vec<&ProcessRow> = self.processes.iter().filter(|one| one.is_down).collect();
        said.push(match (down.as_slice(), open.len()) {
            ([], 0) => "Everything runs.".to_owned(),
            ([], open) => format!(
                "Everything runs, but {} not over.",
                counted(open, "incident is", "incidents are")
            ),
            ([one], _) => format!("`{}` needs attention: it is {}.", one.name, one.state),
            (many, _) => format!(
                "{} processes need attention: {}.",
                many.len(),
                many.iter()
                    .map(|one| format!("`{}` ({})", one.name, one.state))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        });
        let crashes: u64 = self.processes.iter().map(|one| one.crashes).sum();
        let length = length((self.to.as_second() - self.from.as_second()) as f64);
        if self.incidents.is_empty() {
            let crashed = match crashes {
                0 => "nothing crashed".to_owned(),
                1 => "there was one crash, which the plain restart took care of".to_owned(),
                many => format!("{many} crashes were taken care of by the plain restart"),
            };
            said.push(format!("In {length} there was no incident; {crashed}."));
        } else {
            let alone = self
                .incidents
                .iter()
                .filter(|one| {
                    one.closed.is_some()
                        && !one.escalated
                        && one.outcome.as_deref() == Some("verified")
                })
                .count();
            let mut sentence = format!(
                "In {length} there {} and {}",
                counted(self.incidents.len(), "was one incident", "were incidents"),
                counted(
                    usize::try_from(crashes).unwrap_or(usize::MAX),
                    "crash",
                    "crashes"
                ),
            );
            if alone > 0 {
                let _ = write!(
                    sentence,
                    "; mhost cured {} by itself",
                    of_all(alone, self.incidents.len())
                );
            }
            sentence.push('.');
            said.push(sentence);
        }
        let asked: Vec<String> = self
            .incidents
            .iter()
            .filter(|one| one.escalated && one.closed.is_none())
            .map(|one| format!("`{}` ({})", one.process, one.id))
            .collect();
        if !asked.is_empty() {
            said.push(format!("A person should look at {}.", asked.join(", ")));
        }
        if let Some(uptime) = self.uptime() {
            said.push(format!("Uptime of the fleet was {}.", percent(uptime)));
        }
        said
    }

    /// The report. `prose` is what a model wrote, cleaned; it stands above the figures.
    pub fn markdown(&self, prose: Option<&str>, zone: &TimeZone) -> String {
        let mut text = String::new();
        let day = |at: Timestamp| {
            at.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        };
        let _ = writeln!(
            text,
            "# mhost report: {}, {} to {} {}\n",
            plain(&self.host),
            day(self.from),
            day(self.to),
            self.to.to_zoned(zone.clone()).strftime("%Z")
        );
        text.push_str("## Summary\n\n");
        for sentence in self.summary() {
            let _ = writeln!(text, "{sentence}");
        }
        if let Some(prose) = prose.map(str::trim).filter(|prose| !prose.is_empty()) {
            let _ = write!(text, "\n{prose}\n");
        }
        self.incidents_text(&mut text, zone);
        self.uptime_text(&mut text);
        self.actions_text(&mut text, zone);
        self.errors_text(&mut text, zone);
        self.recommendations_text(&mut text);
        text
    }

    fn incidents_text(&self, text: &mut String, zone: &TimeZone) {
        text.push_str("\n## Incidents\n\n");
        if self.incidents.is_empty() {
            text.push_str("None.\n");
        }
        for one in self.incidents.iter().rev().take(ROWS) {
            let ended = match one.closed {
                Some(at) => format!("over after {}", span(seconds(one.opened, at))),
                None => "not over".to_owned(),
            };
            let _ = writeln!(
                text,
                "- **{}: {}**, {} ({}), {ended}.",
                plain(&one.process),
                said(&one.trigger),
                self.moment(one.opened, zone),
                one.id
            );
            if let Some(cause) = &one.cause {
                let _ = writeln!(text, "  Cause: {}", sentence(cause));
            }
            let done: Vec<&str> = one.done.iter().filter_map(|done| in_words(done)).collect();
            let done = if done.is_empty() {
                "watched".to_owned()
            } else {
                done.join(", ")
            };
            let outcome = match one.outcome.as_deref() {
                Some("verified") => ", and that helped by measurement",
                Some("contained") => ", and that kept the damage from growing",
                Some("recovered") => ", and it was well again by itself",
                Some("failed") => ", and that did not help",
                _ => "",
            };
            let _ = writeln!(text, "  Done: {done}, by {}{outcome}.", plain(&one.by));
            if !one.victims.is_empty() {
                let _ = writeln!(text, "  Suffered from it: {}.", one.victims.join(", "));
            }
            if one.escalated && one.closed.is_none() {
                let _ = writeln!(
                    text,
                    "  It waits for a person: `mhost brain explain {}`",
                    one.id
                );
            }
        }
        rest(text, self.incidents.len());
    }

    fn uptime_text(&self, text: &mut String) {
        text.push_str("\n## Uptime\n\n");
        if self.processes.is_empty() {
            text.push_str("No processes.\n");
            return;
        }
        text.push_str("| Process | Now | Uptime | Down | Crashes | Restarts | Score |\n|---|---|---|---|---|---|---|\n");
        let mut rows: Vec<&ProcessRow> = self.processes.iter().collect();
        rows.sort_by(|a, b| {
            let share = |one: &ProcessRow| one.uptime.unwrap_or(1.0);
            share(a)
                .total_cmp(&share(b))
                .then(b.crashes.cmp(&a.crashes))
                .then(a.name.cmp(&b.name))
        });
        for row in rows.iter().take(ROWS) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                plain(&row.name),
                plain(&row.state),
                row.uptime.map_or_else(|| "—".to_owned(), percent),
                if row.down_s < 0.5 {
                    "—".to_owned()
                } else {
                    span(row.down_s)
                },
                row.crashes,
                row.restarts,
                row.score
                    .map_or_else(|| "—".to_owned(), |score| format!("{score:.0}")),
            );
        }
        rest(text, rows.len());
    }

    fn actions_text(&self, text: &mut String, zone: &TimeZone) {
        text.push_str("\n## Actions taken\n\n");
        if self.actions.is_empty() {
            text.push_str("None.\n");
            return;
        }
        text.push_str("| Time | Process | Action | By | Result |\n|---|---|---|---|---|\n");
        for one in self.actions.iter().rev().take(ROWS) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                self.moment(one.at, zone),
                plain(&one.process),
                plain(&one.action),
                plain(&one.by),
                plain(&one.result)
            );
        }
        rest(text, self.actions.len());
    }

    fn errors_text(&self, text: &mut String, zone: &TimeZone) {
        text.push_str("\n## Top errors\n\n");
        if self.errors.is_empty() {
            text.push_str("None.\n");
            return;
        }
        text.push_str("| Lines | Process | Error | Last |\n|---|---|---|---|\n");
        for one in self.errors.iter().take(ROWS) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                one.count,
                plain(&one.process),
                code(&one.pattern),
                self.moment(one.last, zone)
            );
        }
        rest(text, self.errors.len());
    }

    fn recommendations_text(&self, text: &mut String) {
        text.push_str("\n## Recommendations\n\n");
        if self.recommendations.is_empty() {
            text.push_str("None.\n");
        }
        // What is to be done to several is said once.
        let mut grouped: Vec<(Vec<&str>, &Hint)> = Vec::new();
        for one in &self.recommendations {
            let same = grouped
                .iter_mut()
                .find(|(_, other)| other.what == one.what && other.why == one.why);
            match same {
                Some((names, _)) => names.push(one.process.as_str()),
                None => grouped.push((vec![one.process.as_str()], one)),
            }
        }
        for (place, (names, one)) in grouped.iter().take(ROWS).enumerate() {
            let _ = writeln!(
                text,
                "{}. **{}**: {}, since {}: {}",
                place + 1,
                names.join(", "),
                one.what,
                first_sentence(&one.why),
                code(&one.how)
            );
        }
        rest(text, grouped.len());
    }

    /// A time within the report: the day stands with it only where there are several.
    fn moment(&self, at: Timestamp, zone: &TimeZone) -> String {
        let days = seconds(self.from, self.to) > 86_400.0 * 1.5;
        let form = if days { "%m-%d %H:%M" } else { "%H:%M:%S" };
        at.to_zoned(zone.clone()).strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests;
