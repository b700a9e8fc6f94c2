//! A report on some hours of a fleet, as a person would send it.
//!
//! The figures are gathered elsewhere; here they become Markdown. What programs printed is
//! put in code spans with everything taken out that Markdown or a terminal would act on.
//! It is one piece although it is long: the parts of one document, in their order.

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
    and_all, became, code, counted, first_sentence, in_words, length, number, pattern, plain, rest,
    said, seconds, sentence, who, why_not,
};

/// Rows of a table; the rest is counted.
const ROWS: usize = 20;
/// Below this share of its time a report says how much of it is on record.
const RECORDED: f64 = 0.9;
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
    /// What was done or proposed, oldest first.
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
    /// Seconds it was wanted and not up, of all copies.
    pub down_s: f64,
    /// Seconds it was wanted, of all copies.
    pub wanted_s: f64,
    /// Copies of it now.
    pub copies: u64,
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
    /// What was carried out, in order.
    pub done: Vec<String>,
    /// What was only proposed, and why it was not carried out.
    #[serde(default)]
    pub not_done: Vec<NotDone>,
    /// `success`, `failed` and so on, by measurement.
    pub outcome: Option<String>,
    /// Who acted.
    pub by: String,
    /// Does it wait for a person?
    pub escalated: bool,
    /// Others that suffered from it.
    pub victims: Vec<String>,
}

/// A step that was proposed and not carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotDone {
    /// Which.
    pub action: String,
    /// What became of it: `pending`, `denied: by cli:ana`, `expired`, `refused: …`.
    pub result: String,
}

/// Was an action with this result carried out, whatever came of it?
pub fn was_carried_out(result: &str) -> bool {
    why_not(result).is_none()
}

/// Something that was done, or only proposed.
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
    /// What became of it: an outcome by measurement, else what is on record.
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

impl IncidentRow {
    /// Is it over with this outcome, and without a person?
    fn ended(&self, outcome: &str) -> bool {
        self.closed.is_some() && !self.escalated && self.outcome.as_deref() == Some(outcome)
    }
}

impl Digest {
    /// Share of the wanted time in which all processes together were up.
    pub fn uptime(&self) -> Option<f64> {
        let sum = |of: fn(&ProcessRow) -> f64| self.processes.iter().map(of).sum::<f64>();
        let wanted = sum(|row| row.wanted_s);
        (wanted > 0.0).then(|| 1.0 - sum(|row| row.down_s) / wanted)
    }

    /// For how long the oldest process is on record, in seconds.
    fn recorded(&self) -> f64 {
        let rows = self.processes.iter();
        rows.map(|row| row.wanted_s / row.copies.max(1) as f64)
            .fold(0.0, f64::max)
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
            ([], 0) => format!("{}.", self.at_peace()),
            ([], open) => format!(
                "{}, but {} not over.",
                self.at_peace(),
                counted(open, "incident is", "incidents are")
            ),
            ([one], _) => format!("`{}` needs attention: it is {}.", one.name, one.state),
            (many, _) => {
                let states = many.iter();
                let states = states.map(|one| format!("`{}` is {}", one.name, one.state));
                let states: Vec<String> = states.collect();
                format!(
                    "{} processes need attention: {}.",
                    many.len(),
                    and_all(&states)
                )
            }
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
            let mut sentence = format!(
                "In {length} there {} and {}",
                counted(self.incidents.len(), "was one incident", "were incidents"),
                counted(
                    usize::try_from(crashes).unwrap_or(usize::MAX),
                    "crash",
                    "crashes"
                ),
            );
            let ended = self.what_became();
            if !ended.is_empty() {
                let _ = write!(sentence, ": {}", and_all(&ended));
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
            let recorded = self.recorded();
            let short = recorded < RECORDED * seconds(self.from, self.to);
            said.push(match short {
                true => format!(
                    "Uptime of the fleet was {}, over the {} that it is on record.",
                    percent(uptime),
                    span(recorded)
                ),
                false => format!("Uptime of the fleet was {}.", percent(uptime)),
            });
        }
        said
    }

    /// How it is where nothing is down.
    fn at_peace(&self) -> &'static str {
        let mut rows = self.processes.iter();
        match self.processes.is_empty() {
            true => "There is no process",
            false if rows.all(|one| one.state.starts_with("stopped")) => {
                "All processes are stopped"
            }
            false => "Everything runs",
        }
    }

    /// What became of the incidents, in parts of a sentence.
    fn what_became(&self) -> Vec<String> {
        let count =
            |so: fn(&IncidentRow) -> bool| self.incidents.iter().filter(|one| so(one)).count();
        let mut parts = Vec::new();
        let cured = count(|one| one.ended("verified"));
        if cured > 0 {
            parts.push(format!("mhost cured {}", number(cured)));
        }
        match count(|one| one.ended("recovered")) {
            0 => {}
            1 => parts.push("one passed by itself".to_owned()),
            many => parts.push(format!("{} passed by themselves", number(many))),
        }
        match count(|one| one.closed.is_none()) {
            0 => {}
            1 => parts.push("one is not over".to_owned()),
            many => parts.push(format!("{} are not over", number(many))),
        }
        parts
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
        // First what is left to do, then the newest.
        let mut rows: Vec<&IncidentRow> = self.incidents.iter().rev().collect();
        rows.sort_by_key(|one| one.closed.is_some());
        for one in rows.into_iter().take(ROWS) {
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
            let done = if done.is_empty() && !one.not_done.is_empty() {
                "nothing".to_owned()
            } else if done.is_empty() {
                "mhost watched it".to_owned()
            } else {
                format!("{} {}", who(&one.by), and_all(&done))
            };
            let outcome = match one.outcome.as_deref() {
                Some("verified") => "; by measurement that helped",
                Some("contained") => "; that kept the damage from growing",
                Some("recovered") => "; it was well again by itself",
                Some("failed") => "; that did not help",
                _ => "",
            };
            let _ = writeln!(text, "  Done: {done}{outcome}.");
            let not_done = one.not_done.iter().filter_map(|one| {
                in_words(&one.action)?;
                let why = why_not(&one.result).unwrap_or_else(|| plain(&one.result));
                Some(format!("{} ({why})", plain(&one.action.replace('_', " "))))
            });
            let not_done: Vec<String> = not_done.collect();
            if !not_done.is_empty() {
                let _ = writeln!(text, "  Proposed and not done: {}.", and_all(&not_done));
            }
            if !one.victims.is_empty() {
                let _ = writeln!(text, "  Suffered from it: {}.", and_all(&one.victims));
            }
            if one.escalated && one.closed.is_none() {
                let _ = writeln!(
                    text,
                    "  It waits for a person; all about it: `mhost brain explain {}`",
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
        text.push_str("| Process | Now | Uptime | Down | Crashes | Restarts | Health of 100 |\n|---|---|---|---|---|---|---|\n");
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
        // What only keeps a record was done to nothing.
        let rows = self.actions.iter().rev();
        let rows: Vec<(&ActionRow, &str)> = rows
            .filter_map(|one| Some((one, in_words(&one.action)?)))
            .collect();
        let (done, not_done): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|(one, _)| was_carried_out(&one.result));
        if done.is_empty() {
            text.push_str("None.\n");
        } else {
            text.push_str("| Time | Process | Done | By | Result |\n|---|---|---|---|---|\n");
        }
        let line = |one: &ActionRow, what: &str, became: &str| {
            format!(
                "| {} | {} | {} | {} | {became} |",
                self.moment(one.at, zone),
                plain(&one.process),
                plain(what),
                who(&one.by),
            )
        };
        for (one, done) in done.iter().take(ROWS) {
            let _ = writeln!(text, "{}", line(one, done, &became(&one.result)));
        }
        rest(text, done.len());
        if not_done.is_empty() {
            return;
        }
        text.push_str("\n## Proposed and not done\n\n");
        text.push_str("| Time | Process | Action | By | Why not |\n|---|---|---|---|---|\n");
        for (one, _) in not_done.iter().take(ROWS) {
            let why = why_not(&one.result).unwrap_or_default();
            let action = one.action.replace('_', " ");
            let _ = writeln!(text, "{}", line(one, &action, &why));
        }
        rest(text, not_done.len());
    }

    fn errors_text(&self, text: &mut String, zone: &TimeZone) {
        text.push_str("\n## Top errors\n\n");
        if self.errors.is_empty() {
            text.push_str("None.\n");
            return;
        }
        text.push_str("| Lines | Process | Error | Last seen |\n|---|---|---|---|\n");
        for one in self.errors.iter().take(ROWS) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                one.count,
                plain(&one.process),
                pattern(&one.pattern),
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
                "{}. **{}**: {}. Why: {}. Begin with {}",
                place + 1,
                and_all(names),
                one.what,
                first_sentence(&one.why),
                code(&one.how)
            );
        }
        rest(text, grouped.len());
    }

    /// A time within the report: the day stands with it where it is not the last.
    fn moment(&self, at: Timestamp, zone: &TimeZone) -> String {
        let (at, last) = (at.to_zoned(zone.clone()), self.to.to_zoned(zone.clone()));
        let form = match at.date() == last.date() {
            true => "%H:%M:%S",
            false => "%m-%d %H:%M",
        };
        at.strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests;
