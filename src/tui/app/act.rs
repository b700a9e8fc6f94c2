//! What keys mean, into the state.

use super::{App, Doubt, Effect, Link, Screen, Top};
use crate::output::style::Tone;
use crate::tui::data::{Ask, Row};
use crate::tui::keys::{Action, Mode};
use crate::tui::text::harmless;

impl App {
    /// Does what a key means.
    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        match self.mode() {
            Mode::Normal => self.normal(action),
            Mode::Typing => self.typing(action),
            Mode::Confirm => self.confirm(action),
            Mode::Approvals => self.approvals(action),
            Mode::Help => self.help(action),
        }
    }

    fn normal(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Go(screen) => self.screen = screen,
            Action::NextScreen => self.screen = self.screen.step(1),
            Action::PreviousScreen => self.screen = self.screen.step(Screen::ALL.len() - 1),
            Action::Open => {
                self.log.all = false;
                self.screen = Screen::Logs;
            }
            Action::Filter => self.top = Top::Typing(self.typed().to_owned()),
            Action::Clear => self.retype(String::clear),
            Action::Help => self.top = Top::Help(0),
            Action::Approvals => self.ask_for_approvals(),
            Action::Follow => self.log.toggle_follow(),
            Action::Level => {
                self.log.next_level();
                let level = self.log.level.map_or("all levels".into(), |level| {
                    format!("{} and above", level.as_str())
                });
                self.say(level, Tone::Quiet);
            }
            Action::Previous => self.turn(-1),
            Action::Next => self.turn(1),
            Action::Sort => self.sort(),
            Action::Reverse => self.reverse(),
            Action::Restart | Action::Stop | Action::Delete => self.doubt(action),
            moving => self.move_by(moving),
        }
        Vec::new()
    }

    fn move_by(&mut self, action: Action) {
        let page = self.page();
        let Some(rows) = action.rows(page) else {
            return;
        };
        match self.screen {
            Screen::Processes => self.table.move_by(rows),
            Screen::Logs => match action {
                Action::Top => self.log.top(page),
                Action::Bottom => self.log.bottom(),
                _ if rows < 0 => self.log.up(rows.unsigned_abs()),
                _ => self.log.down(rows.unsigned_abs()),
            },
            Screen::Brain => {
                let shown = self.scores();
                let place = self.score_place(&shown).saturating_add_signed(rows);
                let place = place.min(shown.len().saturating_sub(1));
                if let Some(name) = shown.get(place).map(|score| score.name.clone()) {
                    self.table.select_name(&name);
                }
            }
            Screen::Events => {
                let shown = self.shown_events();
                let place = self.event_place(&shown).saturating_add_signed(rows);
                let place = place.min(shown.len().saturating_sub(1));
                // On top it goes on with what happens.
                self.events.selected = match place {
                    0 => None,
                    _ => shown.get(place).map(|event| event.id),
                };
            }
        }
    }

    /// Another process in the log: all of them stand before the first.
    fn turn(&mut self, by: isize) {
        let stops = self.table.len() + 1;
        let now = if self.log.all {
            0
        } else {
            self.table.place().map_or(0, |place| place + 1)
        };
        let next = (now + stops).saturating_add_signed(by) % stops;
        self.log.all = next == 0;
        if next > 0 {
            self.table.select(next - 1);
        }
    }

    fn sort(&mut self) {
        let word = if self.screen == Screen::Brain {
            self.brain.by_score = !self.brain.by_score;
            if self.brain.by_score { "score" } else { "id" }
        } else {
            self.table.sort = self.table.sort.next();
            self.table.arrange();
            self.table.sort.word()
        };
        self.say(format!("ordered by {word}"), Tone::Quiet);
    }

    fn reverse(&mut self) {
        if self.screen == Screen::Brain {
            self.brain.reverse = !self.brain.reverse;
        } else {
            self.table.reverse = !self.table.reverse;
            self.table.arrange();
        }
    }

    /// Asks before something is done to the selected process.
    fn doubt(&mut self, action: Action) {
        let Some(row) = self.patient() else {
            self.say("no process is selected", Tone::Quiet);
            return;
        };
        let doubt = match action {
            Action::Restart => Doubt {
                question: format!("Restart {}?", row.label),
                remark: about(row),
                ask: Ask::Restart(row.label.clone()),
            },
            Action::Stop => Doubt {
                question: format!("Stop {}?", row.label),
                remark: about(row),
                ask: Ask::Stop(row.label.clone()),
            },
            _ => Doubt {
                question: format!("Delete {}?", row.key.name),
                remark: match row.copies {
                    0 | 1 => "It is stopped and forgotten, with its logs.".into(),
                    copies => {
                        format!("All {copies} copies are stopped and forgotten, with their logs.")
                    }
                },
                ask: Ask::Delete(row.key.name.clone()),
            },
        };
        if self.reaches_the_daemon() {
            self.top = Top::Confirm(doubt);
        }
    }

    /// Can anything be asked for? Says so if not.
    fn reaches_the_daemon(&mut self) -> bool {
        let up = matches!(self.link, Link::Up(_));
        if !up {
            self.say("the daemon is away; nothing can be done now", Tone::Busy);
        }
        up
    }

    fn ask_for_approvals(&mut self) {
        let first = self.questions().first().map(|question| question.id.clone());
        self.top = Top::Approvals(first);
    }

    fn typing(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept => self.top = Top::Nothing,
            Action::Close => {
                self.retype(String::clear);
                self.top = Top::Nothing;
            }
            Action::Erase if self.typed().is_empty() => self.top = Top::Nothing,
            Action::Erase => self.retype(|text| {
                text.pop();
            }),
            Action::EraseAll => self.retype(String::clear),
            _ => {}
        }
        Vec::new()
    }

    fn confirm(&mut self, action: Action) -> Vec<Effect> {
        match (std::mem::take(&mut self.top), action) {
            (Top::Confirm(doubt), Action::Yes) => self.begin(doubt.ask),
            _ => {
                self.say("nothing was done", Tone::Quiet);
                Vec::new()
            }
        }
    }

    fn approvals(&mut self, action: Action) -> Vec<Effect> {
        let Top::Approvals(selected) = &self.top else {
            return Vec::new();
        };
        let questions = self.questions();
        let place = questions
            .iter()
            .position(|question| Some(&question.id) == selected.as_ref())
            .unwrap_or(0);
        match action {
            Action::Close => self.top = Top::Nothing,
            Action::Yes | Action::No => {
                let Some(question) = questions.get(place) else {
                    return Vec::new();
                };
                let id = question.id.clone();
                let what = format!("{} of {}", question.plan.join(", "), question.process);
                let what = harmless(&what).into_owned();
                let ask = match action {
                    Action::Yes => Ask::Approve(id, what),
                    _ => Ask::Deny(id, what),
                };
                if self.reaches_the_daemon() {
                    return self.begin(ask);
                }
            }
            moving => {
                if let Some(rows) = moving.rows(self.page()) {
                    let place = place.saturating_add_signed(rows);
                    let place = place.min(questions.len().saturating_sub(1));
                    let id = questions.get(place).map(|question| question.id.clone());
                    self.top = Top::Approvals(id);
                }
            }
        }
        Vec::new()
    }

    fn help(&mut self, action: Action) -> Vec<Effect> {
        let Top::Help(first) = self.top else {
            return Vec::new();
        };
        self.top = match action {
            Action::Up => Top::Help(first.saturating_sub(1)),
            // The overlay draws no further than its end.
            Action::Down => Top::Help((first + 1).min(50)),
            _ => Top::Nothing,
        };
        Vec::new()
    }
}

/// What to know of a process before something is done to it.
fn about(row: &Row) -> String {
    match row.pid {
        Some(pid) => format!("It is {}, pid {pid}.", row.detail),
        None => format!("It is {}.", row.detail),
    }
}
