//! The state of the screen, and how it moves.
//!
//! ```text
//!   key, time, size ─┐
//!   what the daemon ─┴─► update(message) ──► effects: ask the daemon, leave, suspend
//!   tells                     │
//!                             └─► wants(): what the feed keeps asking for
//! ```
//!
//! Pure: no terminal, no socket, no clock. The loop carries messages in and effects out; the
//! screens draw what they find here and change nothing.

mod act;
mod take;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use supervisor::Event;
use supervisor::EventId;

use super::data::{Ask, Daemon, Fed, LogWish, Row, Score, Wants};
use super::keys::{self, Action, Key, Mode};
use super::log::Log;
use super::samples::Samples;
use super::table::Table;
use agent::{Entry, Question, Status as AgentStatus};
use supervisor::command::view::HealthView;

use crate::output::style::Tone;

/// How long the outcome of an action stays in the footer.
const STATUS_TIME: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);
/// Lines of the log below the table.
const TAIL: usize = 100;
/// Lines of the log on its own screen, to begin with.
const PAGE: usize = 1_000;
/// Longest filter or search.
const TYPED: usize = 200;

/// A tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Screen {
    /// The table.
    #[default]
    Processes,
    /// The log.
    Logs,
    /// Scores, incidents, probes.
    Brain,
    /// What happened.
    Events,
}

impl Screen {
    /// All of them, in their order.
    pub(crate) const ALL: [Screen; 4] = [
        Screen::Processes,
        Screen::Logs,
        Screen::Brain,
        Screen::Events,
    ];

    /// Its title.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Screen::Processes => "Processes",
            Screen::Logs => "Logs",
            Screen::Brain => "Health+Brain",
            Screen::Events => "Events",
        }
    }

    fn step(self, by: usize) -> Screen {
        let place = Screen::ALL.iter().position(|one| *one == self).unwrap_or(0);
        Screen::ALL[(place + by) % Screen::ALL.len()]
    }
}

/// What happens to the state.
#[derive(Debug)]
pub(crate) enum Message {
    /// A key.
    Key(Key),
    /// Text was pasted: it is never taken for keys.
    Paste(String),
    /// The window has this size.
    Resize(u16, u16),
    /// It is this late.
    Tick(Timestamp),
    /// The daemon tells something.
    Fed(Fed),
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask this of the daemon.
    Ask(Ask),
    /// Draw everything anew.
    Redraw,
    /// Stop, as the shell does it.
    Suspend,
    /// Leave.
    Quit,
}

/// The connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Link {
    /// Not yet.
    #[default]
    Connecting,
    /// There is a daemon.
    Up(Daemon),
    /// It went away at this time, for this reason.
    Down(Timestamp, String),
}

/// A line in the footer for a short while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    /// What it says.
    pub(crate) text: String,
    /// How it is meant.
    pub(crate) tone: Tone,
    /// When it goes. None while something is under way.
    pub(crate) until: Option<Timestamp>,
}

/// A question before something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// What is asked.
    pub(crate) question: String,
    /// What to know about it.
    pub(crate) remark: String,
    /// What a yes does.
    pub(crate) ask: Ask,
}

/// What lies on top of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Top {
    /// Nothing.
    #[default]
    Nothing,
    /// A line to type in; holds what stood there before.
    Typing(String),
    /// A question.
    Confirm(Doubt),
    /// The agent's questions; the selected one by its id.
    Approvals(Option<String>),
    /// The keys, scrolled by so many rows.
    Help(usize),
}

/// Health and brain.
#[derive(Debug, Default)]
pub(crate) struct Brain {
    /// Scores, in the order of the daemon; none before the first answer.
    pub(crate) scores: Option<Vec<Score>>,
    /// Why there is none.
    pub(crate) off: Option<String>,
    /// The agent.
    pub(crate) agent: Option<AgentStatus>,
    /// Incidents, newest first.
    pub(crate) incidents: Vec<Entry>,
    /// Probes.
    pub(crate) probes: Vec<HealthView>,
    /// Text that shown rows have.
    pub(crate) filter: String,
    /// By score instead of by name?
    pub(crate) by_score: bool,
    /// The other way around?
    pub(crate) reverse: bool,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Newest first; none before the first answer.
    pub(crate) list: Option<Vec<Event>>,
    /// Text that shown rows have.
    pub(crate) filter: String,
    /// The selected one; the newest when none.
    pub(crate) selected: Option<EventId>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct App {
    /// How late it is.
    pub(crate) now: Timestamp,
    /// The zone of the reader.
    pub(crate) zone: TimeZone,
    /// Columns and rows of the window.
    pub(crate) size: (u16, u16),
    /// The tab.
    pub(crate) screen: Screen,
    /// What lies on top.
    pub(crate) top: Top,
    /// The connection.
    pub(crate) link: Link,
    /// When the daemon last told anything.
    pub(crate) heard: Option<Timestamp>,
    /// Has there been a list of processes?
    pub(crate) loaded: bool,
    /// The processes.
    pub(crate) table: Table,
    /// What they used.
    pub(crate) samples: Samples,
    /// The log that is looked at.
    pub(crate) log: Log,
    /// Health and brain.
    pub(crate) brain: Brain,
    /// What happened.
    pub(crate) events: Events,
    /// The line in the footer.
    pub(crate) status: Option<Status>,
}

impl App {
    /// The state at the start.
    pub(crate) fn new(now: Timestamp, zone: TimeZone, size: (u16, u16)) -> Self {
        Self {
            now,
            zone,
            size,
            screen: Screen::default(),
            top: Top::default(),
            link: Link::default(),
            heard: None,
            loaded: false,
            table: Table::default(),
            samples: Samples::default(),
            log: Log::default(),
            brain: Brain::default(),
            events: Events::default(),
            status: None,
        }
    }

    /// Moves the state.
    pub(crate) fn update(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Key(key) => return self.key(key),
            Message::Paste(text) => self.paste(&text),
            Message::Resize(columns, rows) => self.size = (columns, rows),
            Message::Tick(now) => self.tick(now),
            Message::Fed(fed) => self.take(fed),
        }
        Vec::new()
    }

    /// Which keys hold.
    pub(crate) fn mode(&self) -> Mode {
        match &self.top {
            Top::Nothing => Mode::Normal,
            Top::Typing(_) => Mode::Typing,
            Top::Confirm(_) => Mode::Confirm,
            Top::Approvals(_) => Mode::Approvals,
            Top::Help(_) => Mode::Help,
        }
    }

    /// What the feed keeps asking for.
    pub(crate) fn wants(&self) -> Wants {
        let selected = || self.table.selected().map(|row| row.label.clone());
        let log = match self.screen {
            Screen::Processes => selected().map(|target| LogWish {
                target: Some(target),
                search: String::new(),
                level: None,
                lines: TAIL,
            }),
            Screen::Logs => {
                let target = if self.log.all { None } else { selected() };
                (self.log.all || target.is_some()).then(|| LogWish {
                    target,
                    search: self.searched().trim().to_owned(),
                    level: self.log.level,
                    lines: PAGE,
                })
            }
            Screen::Brain | Screen::Events => None,
        };
        let past = || selected().filter(|_| self.screen == Screen::Processes);
        Wants {
            past: past(),
            log,
            brain: self.screen == Screen::Brain,
        }
    }

    /// What the log is searched for. While it is typed, that is what it was before: a search
    /// looks through all kept lines, which is too much for every letter.
    fn searched(&self) -> &str {
        match &self.top {
            Top::Typing(before) => before,
            _ => &self.log.search,
        }
    }

    /// What the agent asks.
    pub(crate) fn questions(&self) -> &[Question] {
        self.brain
            .agent
            .as_ref()
            .map_or(&[], |agent| &agent.pending)
    }

    /// The scores that are shown, in their order.
    pub(crate) fn scores(&self) -> Vec<&Score> {
        let filter = self.brain.filter.to_lowercase();
        let all = self.brain.scores.iter().flatten();
        let mut shown: Vec<&Score> = all
            .filter(|score| score.name.to_lowercase().contains(&filter))
            .collect();
        if self.brain.by_score {
            shown.sort_by_key(|score| score.score.unwrap_or(u8::MAX));
        }
        if self.brain.reverse {
            shown.reverse();
        }
        shown
    }

    /// The place of the selected process among the scores.
    pub(crate) fn score_place(&self, shown: &[&Score]) -> usize {
        let name = self.table.selected().map(|row| row.key.name.as_str());
        shown
            .iter()
            .position(|score| Some(score.name.as_str()) == name)
            .unwrap_or(0)
    }

    /// The events that are shown, newest first.
    pub(crate) fn shown_events(&self) -> Vec<&Event> {
        let words: Vec<String> = self
            .events
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let all = self.events.list.iter().flatten();
        if words.is_empty() {
            return all.collect();
        }
        all.filter(|event| {
            let text = format!(
                "{} {} {} {}",
                event.kind, event.process, event.actor, event.data
            );
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        })
        .collect()
    }

    /// The place of the selected event among the shown ones.
    pub(crate) fn event_place(&self, shown: &[&Event]) -> usize {
        self.events
            .selected
            .and_then(|id| shown.iter().position(|event| event.id == id))
            .unwrap_or(0)
    }

    /// The row that actions are about.
    pub(crate) fn patient(&self) -> Option<&Row> {
        match self.screen {
            Screen::Logs if self.log.all => None,
            Screen::Processes | Screen::Logs | Screen::Brain => self.table.selected(),
            Screen::Events => None,
        }
    }

    /// The text of the line to type in.
    pub(crate) fn typed(&self) -> &str {
        match self.screen {
            Screen::Processes => &self.table.filter,
            Screen::Logs => &self.log.search,
            Screen::Brain => &self.brain.filter,
            Screen::Events => &self.events.filter,
        }
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        let mode = self.mode();
        if let Some(action) = keys::action(mode, self.screen, key) {
            return self.act(action);
        }
        match (mode, key) {
            (Mode::Typing, Key::Char(c)) => self.retype(|text| text.push(c)),
            (Mode::Normal, Key::Char(c)) => {
                // A key of another screen says where it works; others are nobody's.
                let home = Screen::ALL
                    .into_iter()
                    .find(|screen| keys::action(Mode::Normal, *screen, key).is_some());
                if let Some(home) = home {
                    let place = Screen::ALL.iter().position(|one| *one == home).unwrap_or(0);
                    self.say(
                        format!("{c} works on {} ({})", home.title(), place + 1),
                        Tone::Quiet,
                    );
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn paste(&mut self, text: &str) {
        if self.mode() == Mode::Typing {
            let line = text.lines().next().unwrap_or_default().to_owned();
            self.retype(|typed| typed.push_str(&line));
        }
    }

    /// Changes the typed text; it holds at once.
    fn retype(&mut self, change: impl FnOnce(&mut String)) {
        let mut text = self.typed().to_owned();
        change(&mut text);
        text.retain(|c| !c.is_control());
        if let Some((end, _)) = text.char_indices().nth(TYPED) {
            text.truncate(end);
        }
        match self.screen {
            Screen::Processes => {
                self.table.filter = text;
                self.table.arrange();
            }
            Screen::Logs => self.log.search = text,
            Screen::Brain => self.brain.filter = text,
            Screen::Events => self.events.filter = text,
        }
    }

    /// Says something in the footer for a while.
    fn say(&mut self, text: impl Into<String>, tone: Tone) {
        let until = self.now.checked_add(STATUS_TIME).ok();
        self.status = Some(Status {
            text: text.into(),
            tone,
            until,
        });
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = now;
        let over = |status: &Status| status.until.is_some_and(|until| until <= now);
        if self.status.as_ref().is_some_and(over) {
            self.status = None;
        }
        // What the agent asked may have expired meanwhile.
        if let Some(agent) = &mut self.brain.agent {
            agent.pending.retain(|question| question.expires > now);
        }
    }

    /// Rows of a page, for the keys that move by pages.
    fn page(&self) -> usize {
        usize::from(self.size.1 / 2).max(1)
    }
}

impl Action {
    /// How far it moves, in rows.
    fn rows(self, page: usize) -> Option<isize> {
        let page = isize::try_from(page).unwrap_or(1);
        match self {
            Action::Up => Some(-1),
            Action::Down => Some(1),
            Action::PageUp => Some(-page),
            Action::PageDown => Some(page),
            Action::Top => Some(isize::MIN / 2),
            Action::Bottom => Some(isize::MAX / 2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
