//! Every screen as it looks, at the smallest usual size and at a large one.
//!
//! `UPDATE=1 cargo test --workspace tui` writes the pictures of `docs/` anew; the other
//! pictures are those of insta.

use std::io::Write;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::tui::app::Message;
use crate::tui::data::{Fed, Row, RowKey};
use crate::tui::keys::Key;
use crate::tui::testing::{fleet, noon, open_log, plain_lines, row};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);

/// What is on the screen, without the spaces at the ends of lines.
fn shown(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).unwrap();
    terminal
        .draw(|frame| draw(app, frame.buffer_mut(), Theme { colour: true }))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(width(symbol).max(1)).unwrap();
        }
        assert!(width(&line) <= usize::from(app.size.0), "{line}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        app.update(Message::Key(Key::Char(key)));
    }
}

/// The fleet after these keys, at both sizes.
fn pictures(name: &str, keys: &str) {
    for size in [SMALL, LARGE] {
        let mut app = fleet(size);
        press(&mut app, keys);
        if app.screen == Screen::Logs {
            open_log(&mut app);
        }
        let name = format!("{name}-{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, shown(&app));
    }
}

#[test]
fn processes_look_so() {
    pictures("processes", "");
}

#[test]
fn processes_by_cpu_look_so() {
    pictures("processes-by-cpu", "SSSjj");
}

#[test]
fn a_filter_is_typed_so() {
    pictures("filter", "/work");
}

#[test]
fn logs_look_so() {
    pictures("logs", "2");
}

#[test]
fn brain_looks_so() {
    pictures("brain", "3j");
}

#[test]
fn events_look_so() {
    pictures("events", "4jj");
}

#[test]
fn the_help_looks_so() {
    pictures("help", "?");
}

#[test]
fn a_question_looks_so() {
    pictures("confirm", "d");
}

#[test]
fn approvals_look_so() {
    pictures("approvals", "aj");
}

#[test]
fn an_empty_home_looks_so() {
    let mut app = fleet(SMALL);
    app.update(Message::Fed(Fed::Rows(Vec::new())));
    insta::assert_snapshot!("empty", shown(&app));
    app.log = Default::default();
    press(&mut app, "2");
    assert!(shown(&app).contains("No processes yet."));
}

#[test]
fn an_absent_daemon_is_told_calmly() {
    let mut app = fleet(SMALL);
    app.update(Message::Fed(Fed::Lost("no daemon runs".into())));
    app.update(Message::Tick(noon() + jiff::SignedDuration::from_secs(5)));
    insta::assert_snapshot!("away", shown(&app));
}

/// A window that is too small says what it needs; the next size is drawn as ever.
#[test]
fn small_windows_are_asked_to_grow() {
    let mut app = fleet((30, 8));
    insta::assert_snapshot!(shown(&app), @r"



         This window is 30×8.
      monit needs 50×12; q quits



    ");
    app.update(Message::Resize(80, 24));
    assert!(shown(&app).contains("api:0"));
}

/// No size and no state makes the drawing fall over.
#[test]
fn every_size_can_be_drawn() {
    // Each width and each height at which something changes, and the smallest and largest of all.
    let sizes = [
        (1, 1),
        (50, 12),
        (63, 13),
        (80, 24),
        (130, 1),
        (1, 50),
        (200, 12),
        (200, 50),
    ];
    for size in sizes {
        for keys in [
            "", "2", "3", "4", "?", "a", "r", "/x", "2/cart", "3/x", "4/x",
        ] {
            let mut app = fleet(size);
            press(&mut app, keys);
            shown(&app);
        }
    }
}

/// What a program prints changes nothing outside its place.
#[test]
fn hostile_text_stays_in_its_cells() {
    let mut app = fleet(SMALL);
    press(&mut app, "2");
    open_log(&mut app);
    let text = shown(&app);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\u{200b}'));
    assert!(text.contains("ERROR connect ECONNREFUSED"));
    assert!(!text.contains("owned"));
}

/// The pictures of the documentation are those of the program.
#[test]
fn the_documented_pictures_are_current() {
    for size in [SMALL, LARGE] {
        let name = format!("monit-{}x{}.txt", size.0, size.1);
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(&name);
        let mut app = fleet(size);
        press(&mut app, "j");
        app.update(Message::Fed(Fed::LogOpened(app.wants().log.unwrap())));
        app.update(Message::Fed(Fed::LogLines(plain_lines())));
        let wanted = shown(&app);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/{name} is out of date; run UPDATE=1 cargo test --workspace documented_pictures"
        );
    }
}

/// The first frame with 500 processes, and the frames after it. Figures, not a promise: a
/// busy machine is slow.
#[test]
fn five_hundred_processes_are_drawn_in_no_time() {
    let clock = supervisor::Clock::system();
    let micros = |since: jiff::Timestamp, times: u32| {
        supervisor::until(since, clock.now()).as_micros() / u128::from(times)
    };
    let rows: Vec<Row> = (0..500)
        .map(|index| Row {
            key: RowKey {
                name: format!("process-{index}"),
                instance: Some(0),
            },
            ..row(index, &format!("process-{index}"), State::Online)
        })
        .collect();
    let mut told = Vec::new();
    for size in [SMALL, LARGE] {
        let mut app = fleet(size);
        let begun = clock.now();
        app.update(Message::Fed(Fed::Rows(rows.clone())));
        let first = shown(&app);
        let first_us = micros(begun, 1);
        assert!(first.contains("process-3"));
        let begun = clock.now();
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        for _ in 0..100 {
            terminal
                .draw(|frame| draw(&app, frame.buffer_mut(), Theme { colour: true }))
                .unwrap();
        }
        told.push(format!(
            "monit {}x{}, 500 processes: first frame {first_us} µs, each further one {} µs",
            size.0,
            size.1,
            micros(begun, 100)
        ));
    }
    let _ = writeln!(std::io::stderr(), "{}", told.join("\n"));
}
