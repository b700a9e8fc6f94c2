//! The one table of keys.
//!
//! What a key does, where it does it, what the help says about it and what the footer shows:
//! all of it is a row of [`TABLE`]. The state only ever sees an [`Action`], so no other file
//! names a key.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::Screen;

/// A key as the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, as typed.
    Char(char),
    /// A letter with Control.
    Ctrl(char),
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with Shift.
    BackTab,
    /// Backspace.
    Backspace,
}

/// What the screen waits for; each kind of waiting has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Looking around.
    Normal,
    /// Typing a filter or a search.
    Typing,
    /// Answering a question.
    Confirm,
    /// Answering the agent.
    Approvals,
    /// Reading the help.
    Help,
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The first row.
    Top,
    /// The last row.
    Bottom,
    /// The process before, in the log.
    Previous,
    /// The process after, in the log.
    Next,
    /// Show this screen.
    Go(Screen),
    /// The screen after this one.
    NextScreen,
    /// The screen before this one.
    PreviousScreen,
    /// The log of the selected process.
    Open,
    /// Type a filter or a search.
    Filter,
    /// Forget the filter or the search.
    Clear,
    /// Follow the end of the log, or stop following.
    Follow,
    /// Show only lines of a level and above.
    Level,
    /// Order by the next column.
    Sort,
    /// Turn the order around.
    Reverse,
    /// Ask whether to restart.
    Restart,
    /// Ask whether to stop.
    Stop,
    /// Ask whether to delete.
    Delete,
    /// Show what the agent asks.
    Approvals,
    /// Show the keys.
    Help,
    /// Yes.
    Yes,
    /// No.
    No,
    /// Close what lies on top.
    Close,
    /// Take what was typed.
    Accept,
    /// Remove the last character.
    Erase,
    /// Remove all that was typed.
    EraseAll,
    /// Draw everything anew.
    Redraw,
    /// Stop the program as the shell does it.
    Suspend,
    /// End.
    Quit,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// When it holds.
    pub(crate) mode: Mode,
    /// Where it holds; everywhere when empty.
    pub(crate) screens: &'static [Screen],
    /// The keys.
    pub(crate) keys: &'static [Key],
    /// How they are shown.
    pub(crate) shown: &'static str,
    /// What they do.
    pub(crate) action: Action,
    /// The word in the footer; not shown there when empty.
    pub(crate) hint: &'static str,
    /// The sentence in the help.
    pub(crate) help: &'static str,
}

const TABLES: &[Screen] = &[Screen::Processes, Screen::Brain];
const LOGS: &[Screen] = &[Screen::Logs];
const PROCESSES: &[Screen] = &[Screen::Processes];
const ACTING: &[Screen] = &[Screen::Processes, Screen::Logs, Screen::Brain];
const FILTERED: &[Screen] = &[Screen::Processes, Screen::Brain, Screen::Events];
const EVERYWHERE: &[Screen] = &[];

const fn row(
    mode: Mode,
    screens: &'static [Screen],
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        mode,
        screens,
        keys,
        shown,
        action,
        hint,
        help,
    }
}

/// All keys, in the order of the help and of the footer.
#[rustfmt::skip]
pub(crate) const TABLE: &[Binding] = &[
    row(Mode::Normal, ACTING, &[Key::Char('r')], "r", Action::Restart, "restart", "Restart it"),
    row(Mode::Normal, ACTING, &[Key::Char('s')], "s", Action::Stop, "stop", "Stop it"),
    row(Mode::Normal, PROCESSES, &[Key::Char('d')], "d", Action::Delete, "delete", "Delete it with all copies"),
    row(Mode::Normal, LOGS, &[Key::Char('f')], "f", Action::Follow, "follow", "Follow the end, or hold"),
    row(Mode::Normal, LOGS, &[Key::Char('l')], "l", Action::Level, "level", "Only this level and above"),
    row(Mode::Normal, LOGS, &[Key::Char('/')], "/", Action::Filter, "search", "Search all kept lines"),
    row(Mode::Normal, LOGS, &[Key::Left], "←", Action::Previous, "", "The process before"),
    row(Mode::Normal, LOGS, &[Key::Right], "→", Action::Next, "", "The process after"),
    row(Mode::Normal, FILTERED, &[Key::Char('/')], "/", Action::Filter, "filter", "Only rows with this text"),
    row(Mode::Normal, TABLES, &[Key::Char('S')], "S", Action::Sort, "sort", "Order by the next column"),
    row(Mode::Normal, TABLES, &[Key::Char('R')], "R", Action::Reverse, "reverse", "Turn the order around"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('a')], "a", Action::Approvals, "approvals", "Answer the agent"),
    row(Mode::Normal, TABLES, &[Key::Enter], "Enter", Action::Open, "", "Open its log"),
    row(Mode::Normal, EVERYWHERE, &[Key::Up, Key::Char('k')], "↑ k", Action::Up, "", "Up"),
    row(Mode::Normal, EVERYWHERE, &[Key::Down, Key::Char('j')], "↓ j", Action::Down, "", "Down"),
    row(Mode::Normal, EVERYWHERE, &[Key::PageUp, Key::Ctrl('u')], "PgUp", Action::PageUp, "", "A page up"),
    row(Mode::Normal, EVERYWHERE, &[Key::PageDown, Key::Ctrl('d')], "PgDn", Action::PageDown, "", "A page down"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('g'), Key::Home], "g", Action::Top, "", "To the top"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('G'), Key::End], "G", Action::Bottom, "", "To the bottom"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('1')], "1", Action::Go(Screen::Processes), "", "Processes"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('2')], "2", Action::Go(Screen::Logs), "", "Logs"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('3')], "3", Action::Go(Screen::Brain), "", "Health and brain"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('4')], "4", Action::Go(Screen::Events), "", "Events"),
    row(Mode::Normal, EVERYWHERE, &[Key::Tab], "Tab", Action::NextScreen, "", "The next screen"),
    row(Mode::Normal, EVERYWHERE, &[Key::BackTab], "⇧Tab", Action::PreviousScreen, "", "The screen before"),
    row(Mode::Normal, EVERYWHERE, &[Key::Esc], "Esc", Action::Clear, "", "Forget filter or search"),
    row(Mode::Normal, EVERYWHERE, &[Key::Ctrl('l')], "^L", Action::Redraw, "", "Draw everything anew"),
    row(Mode::Normal, EVERYWHERE, &[Key::Ctrl('z')], "^Z", Action::Suspend, "", "To the shell; fg returns"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('?')], "?", Action::Help, "help", "This help"),
    row(Mode::Normal, EVERYWHERE, &[Key::Char('q'), Key::Ctrl('c')], "q", Action::Quit, "quit", "Leave; processes run on"),

    row(Mode::Typing, EVERYWHERE, &[Key::Enter], "Enter", Action::Accept, "keep", ""),
    row(Mode::Typing, EVERYWHERE, &[Key::Esc, Key::Ctrl('c')], "Esc", Action::Close, "forget", ""),
    row(Mode::Typing, EVERYWHERE, &[Key::Ctrl('u')], "^U", Action::EraseAll, "erase all", ""),
    row(Mode::Typing, EVERYWHERE, &[Key::Backspace], "⌫", Action::Erase, "", ""),

    row(Mode::Confirm, EVERYWHERE, &[Key::Char('y'), Key::Char('Y')], "y", Action::Yes, "yes", ""),
    row(Mode::Confirm, EVERYWHERE, &[Key::Char('n'), Key::Char('N'), Key::Esc, Key::Char('q'), Key::Ctrl('c')], "n", Action::Close, "no", ""),

    row(Mode::Approvals, EVERYWHERE, &[Key::Char('y')], "y", Action::Yes, "approve", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Char('n')], "n", Action::No, "deny", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Up, Key::Char('k')], "↑ k", Action::Up, "", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Down, Key::Char('j')], "↓ j", Action::Down, "", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Char('g'), Key::Home], "g", Action::Top, "", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Char('G'), Key::End], "G", Action::Bottom, "", ""),
    row(Mode::Approvals, EVERYWHERE, &[Key::Esc, Key::Char('a'), Key::Char('q'), Key::Ctrl('c')], "Esc", Action::Close, "close", ""),

    row(Mode::Help, EVERYWHERE, &[Key::Up, Key::Char('k')], "↑ k", Action::Up, "", ""),
    row(Mode::Help, EVERYWHERE, &[Key::Down, Key::Char('j')], "↓ j", Action::Down, "", ""),
    row(Mode::Help, EVERYWHERE, &[Key::Esc, Key::Char('?'), Key::Char('q'), Key::Enter, Key::Ctrl('c')], "Esc", Action::Close, "close", ""),
];

impl Key {
    /// The key of an event of the terminal. None for releases and for keys nobody uses.
    pub(crate) fn of(event: KeyEvent) -> Option<Key> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Some(match event.code {
            KeyCode::Char(c) if control && !alt => Key::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char(c) if !alt => Key::Char(c),
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::Left => Key::Left,
            KeyCode::Right => Key::Right,
            KeyCode::PageUp => Key::PageUp,
            KeyCode::PageDown => Key::PageDown,
            KeyCode::Home => Key::Home,
            KeyCode::End => Key::End,
            KeyCode::Enter => Key::Enter,
            KeyCode::Esc => Key::Esc,
            KeyCode::Tab => Key::Tab,
            KeyCode::BackTab => Key::BackTab,
            KeyCode::Backspace => Key::Backspace,
            _ => return None,
        })
    }
}

impl Binding {
    /// Does it hold on this screen?
    pub(crate) fn on(&self, screen: Screen) -> bool {
        self.screens.is_empty() || self.screens.contains(&screen)
    }
}

/// What a key means there.
pub(crate) fn action(mode: Mode, screen: Screen, key: Key) -> Option<Action> {
    rows(mode, screen)
        .find(|binding| binding.keys.contains(&key))
        .map(|binding| binding.action)
}

/// The rows that hold there.
pub(crate) fn rows(mode: Mode, screen: Screen) -> impl Iterator<Item = &'static Binding> {
    TABLE
        .iter()
        .filter(move |binding| binding.mode == mode && binding.on(screen))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key means one thing at a time.
    #[test]
    fn no_key_means_two_things() {
        let modes = [
            Mode::Normal,
            Mode::Typing,
            Mode::Confirm,
            Mode::Approvals,
            Mode::Help,
        ];
        for mode in modes {
            for screen in Screen::ALL {
                let mut seen: Vec<Key> = Vec::new();
                for key in rows(mode, screen).flat_map(|binding| binding.keys) {
                    assert!(
                        !seen.contains(key),
                        "{key:?} twice in {mode:?} on {screen:?}"
                    );
                    seen.push(*key);
                }
            }
        }
    }

    /// The keys of the specification do what it says.
    #[test]
    fn the_specified_keys_are_there() {
        let wanted = [
            (Screen::Processes, "jkgGrsqdSRa/?1234", 17),
            (Screen::Logs, "jkgGrsqfla/?1234", 16),
            (Screen::Brain, "jkgGrsqSRa/?1234", 16),
            (Screen::Events, "jkgGqa/?1234", 12),
        ];
        for (screen, keys, count) in wanted {
            let bound = keys
                .chars()
                .filter_map(|key| action(Mode::Normal, screen, Key::Char(key)));
            assert_eq!(bound.count(), count, "{screen:?}");
            assert_eq!(
                action(Mode::Normal, screen, Key::Tab),
                Some(Action::NextScreen)
            );
        }
    }

    /// Whoever can be confused by a screen finds a way out and a way to the help.
    #[test]
    fn every_mode_shows_a_way_out() {
        for screen in Screen::ALL {
            for mode in [
                Mode::Normal,
                Mode::Typing,
                Mode::Confirm,
                Mode::Approvals,
                Mode::Help,
            ] {
                assert!(rows(mode, screen).any(|binding| !binding.hint.is_empty()));
                assert!(action(mode, screen, Key::Ctrl('c')).is_some());
                assert!(action(mode, screen, Key::Esc).is_some());
            }
        }
    }

    #[test]
    fn events_of_the_terminal_become_keys() {
        let event = |code, modifiers| Key::of(KeyEvent::new(code, modifiers));
        assert_eq!(
            event(KeyCode::Char('G'), KeyModifiers::SHIFT),
            Some(Key::Char('G'))
        );
        assert_eq!(
            event(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Key::Ctrl('c'))
        );
        assert_eq!(event(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(event(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
