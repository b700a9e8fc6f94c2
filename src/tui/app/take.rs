//! What the daemon tells, into the state.

use std::collections::HashMap;

use supervisor::Event;
use supervisor::command::view::MetricsView;

use super::{App, Effect, Link};
use crate::output::style::Tone;
use crate::tui::data::{Ask, Fed};
use crate::tui::log::LogState;
use crate::tui::text::harmless;

/// Events kept for the screen.
const EVENTS: usize = 1_000;

impl App {
    /// Takes one piece of news.
    pub(super) fn take(&mut self, fed: Fed) {
        if !matches!(fed, Fed::Lost(_)) {
            self.heard = Some(self.now);
        }
        match fed {
            Fed::Daemon(daemon) => {
                let was_down = matches!(self.link, Link::Down(..));
                self.link = Link::Up(daemon);
                if was_down {
                    self.say("✓ the daemon is back", Tone::Good);
                }
            }
            Fed::Lost(why) => self.lose(&why),
            Fed::Rows(rows) => {
                self.loaded = true;
                self.table.replace(rows);
                let rows = &self.table.rows;
                self.samples
                    .retain(|key| rows.iter().any(|row| row.key == *key));
            }
            Fed::Samples(samples) => self.sample(&samples),
            Fed::Past(series) => {
                for one in &series {
                    self.samples.before(one);
                }
            }
            Fed::LogOpened(wish) => self.log.open(wish),
            Fed::LogLines(lines) => self.log.push(lines),
            Fed::LogSkipped => self.log.skip(),
            Fed::LogFailed(why) => self.log.fail(&why),
            Fed::Scores(mut reply) => {
                for score in &mut reply.scores {
                    score.name = harmless(&score.name).into_owned();
                }
                self.brain.off = None;
                self.brain.scores = Some(reply.scores);
                self.brain.agent = Some(reply.agent);
            }
            Fed::BrainOff(why) => {
                self.brain.off = Some(harmless(&why).into_owned());
                self.brain.agent = None;
            }
            Fed::Agent(status) => {
                self.brain.off = None;
                self.brain.agent = Some(*status);
            }
            Fed::Incidents(entries) => self.brain.incidents = entries,
            Fed::Probes(probes) => self.brain.probes = probes,
            Fed::Events(events) => self.events.list = Some(events),
            Fed::Event(event) => self.happened(event),
            Fed::Done(ask, outcome) => self.done(&ask, outcome),
        }
    }

    fn lose(&mut self, why: &str) {
        if !matches!(self.link, Link::Down(..)) {
            self.link = Link::Down(self.now, harmless(why).into_owned());
            self.log.state = LogState::Loading;
            // Nobody will answer what was asked.
            self.status = None;
        }
    }

    fn sample(&mut self, samples: &[MetricsView]) {
        let mut newest: HashMap<(&str, u16), &MetricsView> = samples
            .iter()
            .map(|sample| ((sample.name.as_str(), sample.instance), sample))
            .collect();
        for row in &mut self.table.rows {
            let sample = row
                .key
                .instance
                .and_then(|instance| newest.remove(&(row.key.name.as_str(), instance)));
            row.cpu = sample.and_then(|sample| sample.cpu_percent);
            row.memory = sample.and_then(|sample| sample.memory_bytes);
            row.fds = sample.and_then(|sample| sample.fds);
            row.threads = sample.and_then(|sample| sample.threads);
            self.samples.push(&row.key, row.cpu, row.memory);
        }
        self.table.arrange();
    }

    fn happened(&mut self, event: Event) {
        let list = self.events.list.get_or_insert_default();
        let place = list.partition_point(|known| known.id > event.id);
        if list.get(place).is_none_or(|known| known.id != event.id) {
            list.insert(place, event);
            list.truncate(EVENTS);
        }
    }

    /// Tells what became of what was asked for.
    fn done(&mut self, ask: &Ask, outcome: Result<Option<String>, String>) {
        match outcome {
            // It stays open until enough people have said yes.
            Ok(Some(votes)) if matches!(ask, Ask::Approve(..)) => {
                self.say(format!("◐ yes: {}", harmless(&votes)), Tone::Busy);
                return;
            }
            Ok(note) => {
                let note = note.map_or_else(String::new, |note| format!(" ({})", harmless(&note)));
                self.say(format!("✓ {}{note}", ask.past()), Tone::Good);
            }
            Err(why) => self.say(format!("✗ {}: {}", ask.failed(), harmless(&why)), Tone::Bad),
        }
        if let (Ask::Approve(id, _) | Ask::Deny(id, _), Some(agent)) = (ask, &mut self.brain.agent)
        {
            agent.pending.retain(|question| question.id != *id);
        }
    }

    /// Begins something that a person asked for.
    pub(super) fn begin(&mut self, ask: Ask) -> Vec<Effect> {
        self.say(format!("◐ {} …", ask.present()), Tone::Busy);
        if let Some(status) = &mut self.status {
            status.until = None;
        }
        vec![Effect::Ask(ask)]
    }
}

impl Ask {
    fn present(&self) -> String {
        match self {
            Ask::Restart(target) => format!("restarting {target}"),
            Ask::Stop(target) => format!("stopping {target}"),
            Ask::Delete(target) => format!("deleting {target}"),
            Ask::Approve(_, what) => format!("approving {what}"),
            Ask::Deny(_, what) => format!("denying {what}"),
        }
    }

    fn past(&self) -> String {
        match self {
            Ask::Restart(target) => format!("{target} restarted"),
            Ask::Stop(target) => format!("{target} stopped"),
            Ask::Delete(target) => format!("{target} deleted"),
            Ask::Approve(_, what) => format!("approved: {what}"),
            Ask::Deny(_, what) => format!("denied: {what}"),
        }
    }

    fn failed(&self) -> String {
        match self {
            Ask::Restart(target) => format!("{target} was not restarted"),
            Ask::Stop(target) => format!("{target} was not stopped"),
            Ask::Delete(target) => format!("{target} was not deleted"),
            Ask::Approve(..) => "not approved".to_owned(),
            Ask::Deny(..) => "not denied".to_owned(),
        }
    }
}
