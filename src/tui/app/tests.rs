//! Every key, on every screen, against the state.

use supervisor::Status as State;

use super::*;
use crate::tui::data::RowKey;
use crate::tui::keys::TABLE;
use crate::tui::testing::{fleet, noon, open_log, printed, row, scores};

fn app() -> App {
    fleet((80, 24))
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        effects.extend(app.update(Message::Key(Key::Char(key))));
    }
    effects
}

fn key(app: &mut App, key: Key) -> Vec<Effect> {
    app.update(Message::Key(key))
}

fn selected(app: &App) -> &str {
    app.table.selected().map_or("", |row| &row.label)
}

fn said(app: &App) -> &str {
    app.status.as_ref().map_or("", |status| &status.text)
}

fn later(app: &mut App, seconds: i64) {
    let now = app.now + jiff::SignedDuration::from_secs(seconds);
    app.update(Message::Tick(now));
}

/// Whatever is pressed wherever, nothing falls over, and a way back is near.
#[test]
fn every_key_works_everywhere_it_is_bound() {
    for screen in Screen::ALL {
        for binding in TABLE.iter().filter(|binding| binding.on(screen)) {
            for bound in binding.keys {
                let mut app = app();
                app.screen = screen;
                match binding.mode {
                    Mode::Normal => {}
                    Mode::Typing => drop(press(&mut app, "/")),
                    Mode::Help => drop(press(&mut app, "?")),
                    Mode::Approvals => drop(press(&mut app, "a")),
                    Mode::Confirm if screen == Screen::Events => continue,
                    Mode::Confirm => drop(press(&mut app, "r")),
                }
                assert_eq!(app.mode(), binding.mode, "{binding:?}");
                key(&mut app, *bound);
                for _ in 0..3 {
                    key(&mut app, Key::Esc);
                }
                assert_eq!(app.mode(), Mode::Normal, "{binding:?}");
            }
        }
    }
}

#[test]
fn rows_are_moved_through() {
    let mut app = app();
    assert_eq!(selected(&app), "api:0");
    press(&mut app, "jj");
    assert_eq!(selected(&app), "checkout");
    key(&mut app, Key::Down);
    key(&mut app, Key::Up);
    press(&mut app, "k");
    assert_eq!(selected(&app), "api:1");
    press(&mut app, "G");
    assert_eq!(selected(&app), "web");
    press(&mut app, "g");
    assert_eq!(selected(&app), "api:0");
    key(&mut app, Key::PageDown);
    assert_eq!(selected(&app), "web");
    key(&mut app, Key::PageUp);
    key(&mut app, Key::End);
    assert_eq!(selected(&app), "web");
    key(&mut app, Key::Home);
    assert_eq!(selected(&app), "api:0");
}

#[test]
fn tabs_are_reached_by_number_and_in_turn() {
    let mut app = app();
    for (number, screen) in "1234".chars().zip(Screen::ALL) {
        press(&mut app, &number.to_string());
        assert_eq!(app.screen, screen);
    }
    key(&mut app, Key::Tab);
    assert_eq!(app.screen, Screen::Processes);
    key(&mut app, Key::BackTab);
    assert_eq!(app.screen, Screen::Events);
}

/// What cannot be taken back is asked for first, and only a yes does it.
#[test]
fn destructive_keys_ask() {
    let cases = [
        ("r", Ask::Restart("api:0".into())),
        ("s", Ask::Stop("api:0".into())),
        ("d", Ask::Delete("api".into())),
    ];
    for (pressed, ask) in cases {
        let mut app = app();
        assert!(press(&mut app, pressed).is_empty());
        assert_eq!(app.mode(), Mode::Confirm);
        assert!(press(&mut app, "n").is_empty());
        assert_eq!(app.mode(), Mode::Normal);
        assert_eq!(said(&app), "nothing was done");
        press(&mut app, pressed);
        assert!(key(&mut app, Key::Enter).is_empty(), "Enter is no yes");
        assert_eq!(press(&mut app, "y"), [Effect::Ask(ask)]);
        assert_eq!(app.mode(), Mode::Normal);
    }
}

/// The footer tells what is under way until it is done, and then how it ended for 3 s.
#[test]
fn outcomes_stay_three_seconds() {
    let mut app = app();
    let ask = Ask::Restart("api:0".into());
    press(&mut app, "ry");
    assert_eq!(said(&app), "◐ restarting api:0 …");
    later(&mut app, 60);
    assert_eq!(said(&app), "◐ restarting api:0 …");
    app.update(Message::Fed(Fed::Done(ask.clone(), Ok(None))));
    assert_eq!(said(&app), "✓ api:0 restarted");
    later(&mut app, 2);
    assert_eq!(said(&app), "✓ api:0 restarted");
    later(&mut app, 1);
    assert_eq!(said(&app), "");
    let why = Err("it exited with code 1\u{1b}[2J".to_owned());
    app.update(Message::Fed(Fed::Done(ask, why)));
    assert_eq!(
        said(&app),
        "✗ api:0 was not restarted: it exited with code 1"
    );
}

#[test]
fn order_and_direction_change() {
    let mut app = app();
    press(&mut app, "SSS");
    assert_eq!(said(&app), "ordered by cpu");
    press(&mut app, "g");
    let first = selected(&app).to_owned();
    press(&mut app, "Rg");
    assert_ne!(selected(&app), first);
    press(&mut app, "3S");
    assert!(app.brain.by_score);
    assert_eq!(app.scores()[0].name, "image-worker-with-a-long-name");
    press(&mut app, "R");
    assert_ne!(app.scores()[0].name, "image-worker-with-a-long-name");
}

/// While a filter is typed, keys are letters; it holds at once, Enter keeps it and Esc not.
#[test]
fn filters_are_typed() {
    let mut app = app();
    press(&mut app, "/wobx");
    assert_eq!(app.table.len(), 0);
    key(&mut app, Key::Backspace);
    key(&mut app, Key::Backspace);
    assert_eq!(app.table.filter, "wo");
    assert_eq!(selected(&app), "image-worker-with-a-long-name");
    key(&mut app, Key::Enter);
    assert_eq!(
        (app.mode(), app.table.filter.as_str()),
        (Mode::Normal, "wo")
    );
    press(&mut app, "/q");
    key(&mut app, Key::Ctrl('u'));
    assert_eq!(app.table.filter, "");
    press(&mut app, "web");
    key(&mut app, Key::Esc);
    assert_eq!((app.mode(), app.table.filter.as_str()), (Mode::Normal, ""));
    press(&mut app, "/");
    key(&mut app, Key::Backspace);
    assert_eq!(app.mode(), Mode::Normal);
    for (tab, shown) in [("3", 1), ("4", 1)] {
        press(&mut app, tab);
        press(&mut app, "/checkout");
        key(&mut app, Key::Enter);
        let count = if tab == "3" {
            app.scores().len()
        } else {
            app.shown_events().len()
        };
        assert_eq!(count, shown);
        key(&mut app, Key::Esc);
        assert_eq!(app.typed(), "");
    }
}

/// A paste is text where text is typed, and nothing anywhere else.
#[test]
fn a_paste_is_never_a_command() {
    let mut app = app();
    app.update(Message::Paste("ryq\ndy".into()));
    assert_eq!(app.mode(), Mode::Normal);
    press(&mut app, "/");
    app.update(Message::Paste("we\u{1b}b\nq".into()));
    assert_eq!(app.table.filter, "web");
}

#[test]
fn logs_are_followed_searched_and_sifted() {
    let mut app = app();
    key(&mut app, Key::Enter);
    assert_eq!(app.screen, Screen::Logs);
    open_log(&mut app);
    let wish = app.wants().log.unwrap();
    assert_eq!(wish.target.as_deref(), Some("api:0"));
    press(&mut app, "f");
    assert!(!app.log.follows());
    app.update(Message::Fed(Fed::LogLines(vec![printed("api", 0, "new")])));
    // The line is older than what is shown, and shown nevertheless.
    assert_eq!(app.log.below(), 1);
    press(&mut app, "f");
    assert!(app.log.follows());
    press(&mut app, "kk");
    assert!(!app.log.follows());
    press(&mut app, "G");
    assert!(app.log.follows());
    press(&mut app, "l");
    assert_eq!(said(&app), "info and above");
    assert_eq!(
        app.wants().log.unwrap().level,
        Some(supervisor::logs::Level::Info)
    );
    press(&mut app, "lll");
    assert_eq!(said(&app), "all levels");
    press(&mut app, "/econ");
    assert_eq!(app.wants().log.unwrap().search, "", "not at every letter");
    key(&mut app, Key::Enter);
    assert_eq!(app.wants().log.unwrap().search, "econ");
    key(&mut app, Key::Esc);
    assert_eq!(app.wants().log.unwrap().search, "");
}

/// The log of the next process, and of all of them before the first.
#[test]
fn logs_are_turned_through() {
    let mut app = app();
    press(&mut app, "2");
    key(&mut app, Key::Right);
    assert_eq!(app.wants().log.unwrap().target.as_deref(), Some("api:1"));
    key(&mut app, Key::Left);
    key(&mut app, Key::Left);
    assert_eq!(app.wants().log.unwrap().target, None);
    press(&mut app, "r");
    assert_eq!(said(&app), "no process is selected");
    key(&mut app, Key::Left);
    assert_eq!(app.wants().log.unwrap().target.as_deref(), Some("web"));
    key(&mut app, Key::Right);
    key(&mut app, Key::Right);
    assert_eq!(app.wants().log.unwrap().target.as_deref(), Some("api:0"));
}

#[test]
fn approvals_are_answered() {
    let mut app = app();
    press(&mut app, "a");
    let yes = press(&mut app, "jy");
    assert!(matches!(&yes[..], [Effect::Ask(Ask::Approve(id, _))] if id == "q-2"));
    let Effect::Ask(ask) = yes[0].clone() else {
        panic!()
    };
    // A second person has to say yes: the question stays.
    let votes = "1 of 2: cli:ana, 11:59 UTC; one more needed";
    app.update(Message::Fed(Fed::Done(ask.clone(), Ok(Some(votes.into())))));
    assert_eq!(said(&app), format!("◐ yes: {votes}"));
    assert_eq!(app.questions().len(), 2);
    app.update(Message::Fed(Fed::Done(ask, Ok(None))));
    assert_eq!(
        said(&app),
        "✓ approved: restart, verify memory for 10m of checkout"
    );
    assert_eq!(app.questions().len(), 1);
    let no = press(&mut app, "gn");
    assert!(matches!(&no[..], [Effect::Ask(Ask::Deny(id, _))] if id == "q-1"));
    key(&mut app, Key::Esc);
    assert_eq!(app.mode(), Mode::Normal);
    app.update(Message::Fed(Fed::Scores(Box::new(scores()))));
    // Silence is a no: what has expired is not offered any more.
    later(&mut app, 3_600);
    assert!(app.questions().is_empty());
    assert!(press(&mut app, "ay").is_empty());
}

#[test]
fn nothing_is_asked_of_an_absent_daemon() {
    let mut app = app();
    app.update(Message::Fed(Fed::Lost("no daemon runs".into())));
    press(&mut app, "r");
    assert_eq!(app.mode(), Mode::Normal);
    assert_eq!(said(&app), "the daemon is away; nothing can be done now");
    assert!(press(&mut app, "ay").is_empty());
    app.update(Message::Fed(Fed::Daemon(Daemon::default())));
    assert_eq!(said(&app), "✓ the daemon is back");
}

#[test]
fn keys_of_other_screens_say_where_they_work() {
    let mut app = app();
    press(&mut app, "l");
    assert_eq!(said(&app), "l works on Logs (2)");
    press(&mut app, "Z");
    assert_eq!(said(&app), "l works on Logs (2)");
    press(&mut app, "4d");
    assert_eq!(said(&app), "d works on Processes (1)");
}

#[test]
fn events_are_kept_once_and_in_order() {
    let mut app = app();
    let known = app.shown_events()[3].clone();
    let count = app.shown_events().len();
    app.update(Message::Fed(Fed::Event(known.clone())));
    assert_eq!(app.shown_events().len(), count);
    press(&mut app, "4jjj");
    assert_eq!(app.event_place(&app.shown_events()), 3);
    let mut next = known;
    next.id = 99;
    app.update(Message::Fed(Fed::Event(next)));
    assert_eq!(app.shown_events()[0].id, 99);
    assert_eq!(
        app.event_place(&app.shown_events()),
        4,
        "it stays on its event"
    );
    press(&mut app, "g");
    assert_eq!(app.event_place(&app.shown_events()), 0);
}

#[test]
fn the_rest_of_the_keys() {
    let mut app = app();
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
    assert_eq!(key(&mut app, Key::Ctrl('c')), [Effect::Quit]);
    assert_eq!(key(&mut app, Key::Ctrl('z')), [Effect::Suspend]);
    assert_eq!(key(&mut app, Key::Ctrl('l')), [Effect::Redraw]);
    press(&mut app, "?jjk");
    assert_eq!(app.top, Top::Help(1));
    assert!(press(&mut app, "q").is_empty(), "it closes the help only");
    assert_eq!(app.mode(), Mode::Normal);
}

/// Rows that vanish take their history with them; the rest keeps it.
#[test]
fn history_follows_the_rows() {
    let mut app = app();
    let web = RowKey {
        name: "web".into(),
        instance: Some(0),
    };
    assert!(app.samples.of(&web).is_some());
    app.update(Message::Fed(Fed::Rows(vec![row(0, "api", State::Online)])));
    assert!(app.samples.of(&web).is_none());
    assert_eq!(app.now, noon());
}
