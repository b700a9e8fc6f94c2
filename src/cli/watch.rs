//! Showing the same again and again: `--watch`.
//!
//! On a terminal each picture takes the place of the one before, in one write and never
//! higher than the terminal. Into a pipe they come one after the other. What watches only
//! looks: it never starts a daemon that somebody has stopped, and waits for one that is away.

use std::time::Duration;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;

/// Cursor to the top, and lines that are too long end at the border.
const BEGIN: &str = "\u{1b}[H\u{1b}[?7l";
/// What was behind this line before is gone.
const LINE_END: &str = "\u{1b}[K\n";
/// What was below is gone; long lines are wrapped again.
const END: &str = "\u{1b}[J\u{1b}[?7h";

/// Shows once, or every `interval` until somebody ends it.
pub(crate) fn repeat(
    ctx: &Context,
    interval: Option<Duration>,
    show: impl Fn() -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let Some(interval) = interval else {
        return show();
    };
    let on_screen = ctx.output.is_terminal() && !ctx.output.is_json();
    let mut last = String::new();
    let mut was_away = false;
    loop {
        if on_screen {
            ctx.output.hold();
        }
        let result = show();
        let shown = ctx.output.release();
        let away = match result {
            Ok(_) => None,
            // The first look has to succeed.
            Err(error) if ctx.only_looks() && is_away(&error) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        ctx.only_look();
        match &away {
            None => last = shown,
            Some(why) if on_screen => {
                let sign = ctx.output.painter().paint("✗", Tone::Bad);
                let text = format!("{sign} the daemon is away, waiting: {why}\n{last}");
                ctx.output.write(&picture(&text, ctx.output.height()))?;
            }
            Some(why) if !was_away => ctx.output.warn(&format!("the daemon is away: {why}")),
            Some(_) => {}
        }
        if away.is_none() && on_screen {
            ctx.output.write(&picture(&last, ctx.output.height()))?;
        }
        was_away = away.is_some();
        pause(interval);
    }
}

/// What a daemon that ends answers to everything.
const ENDS: i32 = -32_001;

/// May it be there again soon?
fn is_away(error: &CliError) -> bool {
    matches!(error.exit(), Exit::NotRunning | Exit::Protocol) || error.code() == Some(ENDS)
}

/// The lines at the top of the screen, one row left for the cursor.
fn picture(text: &str, rows: Option<usize>) -> String {
    let room = rows.unwrap_or(usize::MAX).saturating_sub(1).max(1);
    let lines: Vec<&str> = text.lines().collect();
    let mut drawn = BEGIN.to_owned();
    let fits = lines.len() <= room;
    let shown = if fits { lines.len() } else { room - 1 };
    for line in &lines[..shown] {
        drawn.push_str(line);
        drawn.push_str(LINE_END);
    }
    if !fits {
        drawn.push_str(&format!("… {} more lines", lines.len() - shown));
        drawn.push_str(LINE_END);
    }
    drawn.push_str(END);
    drawn
}

/// Waits. A spurious wake-up only makes a picture come early.
pub(crate) fn pause(time: Duration) {
    std::thread::park_timeout(time.max(Duration::from_millis(100)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, rows: usize) -> Vec<String> {
        let drawn = picture(text, Some(rows));
        let inner = drawn
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END));
        let lines = inner.expect("begins and ends").split_terminator(LINE_END);
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_picture_is_never_higher_than_the_screen() {
        assert_eq!(plain("a\nb\n", 10), ["a", "b"]);
        assert_eq!(plain("a\nb\nc\n", 4), ["a", "b", "c"]);
        assert_eq!(plain("a\nb\nc\nd\n", 4), ["a", "b", "… 2 more lines"]);
        assert_eq!(plain("a\nb\n", 1), ["… 2 more lines"]);
        assert_eq!(plain("", 3), Vec::<String>::new());
    }
}
