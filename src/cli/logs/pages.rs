//! More lines than one answer has room for: they are asked for in several, newest first.

use std::collections::HashSet;

use supervisor::Stream;
use supervisor::logs::{LogLine, LogPage, LogQuery};

use crate::cli::error::CliError;

/// What tells one line from all others.
fn name(line: &LogLine) -> (&str, u16, Stream, &str) {
    (
        line.process.as_str(),
        line.instance,
        line.stream,
        line.id.as_str(),
    )
}

/// The answer to a question for the last lines, whole if that is possible: `cut` stays true
/// where older lines are left out.
pub(super) fn ask_all(
    query: &LogQuery,
    mut ask: impl FnMut(&LogQuery) -> Result<LogPage, CliError>,
) -> Result<LogPage, CliError> {
    let mut page = ask(query)?;
    // Lines around hits and the best of many are not in the order of time.
    if query.context > 0 || query.rank {
        return Ok(page);
    }
    let mut asked = query.clone();
    while page.cut
        && page.lines.len() < query.lines
        && let Some(oldest) = page.lines.first().map(|line| line.ts)
    {
        let edge = page.lines.iter().take_while(|line| line.ts == oldest);
        let edge: HashSet<_> = edge.map(name).collect();
        asked.until = Some(oldest);
        asked.lines = query.lines - page.lines.len() + edge.len();
        let mut older = ask(&asked)?;
        older.lines.retain(|line| !edge.contains(&name(line)));
        if older.lines.is_empty() {
            page.cut = older.cut;
            break;
        }
        page.cut = older.cut;
        // Each answer tells what is missing back to where it ends.
        older.lost.retain(|lost| !page.lost.contains(lost));
        page.lost.append(&mut older.lost);
        older.lines.append(&mut page.lines);
        page.lines = older.lines;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize) -> LogLine {
        LogLine {
            id: n.to_string(),
            // Three lines in each millisecond.
            ts: jiff::Timestamp::from_millisecond(1_000 + n as i64 / 3).expect("a time"),
            process: "api".parse().expect("a name"),
            instance: 0,
            stream: Stream::Out,
            message: n.to_string(),
            truncated: false,
            partial: false,
            guessed: false,
            context: false,
        }
    }

    /// A daemon that has a hundred lines and room for seven.
    fn answer(query: &LogQuery, room: usize) -> LogPage {
        let until = query.until;
        let mut lines: Vec<LogLine> = (0..100).map(line).collect();
        lines.retain(|line| until.is_none_or(|until| line.ts <= until));
        let fit = query.lines.min(room);
        let cut = lines.len() > fit && fit < query.lines;
        let lines = lines.split_off(lines.len().saturating_sub(fit));
        LogPage {
            lines,
            next: "next".to_owned(),
            cut,
            lost: Vec::new(),
            counts: None,
            templates: None,
        }
    }

    fn asked(lines: usize, room: usize) -> (Vec<String>, bool) {
        let query = LogQuery {
            lines,
            ..LogQuery::default()
        };
        let page = ask_all(&query, |query| Ok(answer(query, room))).expect("an answer");
        let lines = page.lines.into_iter().map(|line| line.message);
        (lines.collect(), page.cut)
    }

    #[test]
    fn all_lines_come_however_small_an_answer_is() {
        let last =
            |count: usize| -> Vec<String> { (100 - count..100).map(|n| n.to_string()).collect() };
        for (lines, room) in [
            (5, 7),
            (7, 7),
            (8, 7),
            (50, 7),
            (100, 7),
            (1_000, 7),
            (1_000, 4),
        ] {
            assert_eq!(
                asked(lines, room),
                (last(lines.min(100)), false),
                "{lines} {room}"
            );
        }
        // What cannot be asked for in parts is told.
        assert_eq!(asked(50, 2), (last(3), true));
    }
}
