//! Waiting for a line of a run: what `ready.log` is looked for with.
//!
//! Lines are read back from the segments, from where the run began, so that one that came while
//! no daemon lived, or before anybody looked, is found as well. Each look goes on where the last
//! one ended, and reads a bounded part. It reads nothing once the line has come.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use tracing::debug;

use super::ingest::Ingest;
use super::line;
use super::names::Names;
use super::reader::StreamReader;
use super::scan::Forward;
use crate::clock::Clock;
use crate::ids::{Generation, InstanceId};
use crate::paths::Stream;

/// Longest wait for new lines: an unfinished line becomes visible by time alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most lines of one look: then others have their turn on the thread.
const LOOK_LINES: usize = 65_536;

/// Lines of a run may have come so long before it was known to have begun.
const EARLIER_MS: i64 = 5_000;

/// Waits until a run has printed a line that matches. `began` is when the run did.
pub(super) async fn printed(
    ingest: &Ingest,
    folder: PathBuf,
    clock: &Clock,
    instance: &InstanceId,
    generation: Generation,
    began: Timestamp,
    pattern: Regex,
) {
    let mut grew = ingest.grew();
    let mut search = Search {
        folder,
        instance: instance.clone(),
        run: generation as u32,
        began_ms: began.as_millisecond(),
        pattern,
        places: [None; 2],
    };
    loop {
        grew.mark_unchanged();
        let now_ms = clock.now().as_millisecond();
        let look = tokio::task::spawn_blocking(move || {
            let found = search.look(now_ms);
            (search, found)
        });
        let Ok((back, found)) = look.await else {
            // The daemon goes down, or a look has failed in a way that was reported.
            return std::future::pending().await;
        };
        search = back;
        match found {
            Ok(Look::Found) => return,
            Ok(Look::More) => continue,
            Ok(Look::Nothing) => {}
            Err(error) => debug!(%instance, %error, "A log could not be read."),
        }
        let news = tokio::time::timeout(LOOK_EVERY, grew.changed()).await;
        if matches!(news, Ok(Err(_))) {
            // The capture has ended, and nothing will come.
            return std::future::pending().await;
        }
    }
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Found,
    Nothing,
    /// There is more to read.
    More,
}

/// How far each stream was read.
#[derive(Debug)]
struct Search {
    folder: PathBuf,
    instance: InstanceId,
    run: u32,
    began_ms: i64,
    pattern: Regex,
    /// Which stream of that name it is, and how far it was read.
    places: [Option<(i64, u64)>; 2],
}

impl Search {
    fn look(&mut self, now_ms: i64) -> io::Result<Look> {
        let mut look = Look::Nothing;
        for (at, stream) in Stream::BOTH.into_iter().enumerate() {
            let names = Names::new(&self.folder, &self.instance, stream);
            let Some(mut reader) = StreamReader::open(names)? else {
                continue;
            };
            let epoch = reader.epoch();
            let from = match self.places[at] {
                Some((known, place)) if known == epoch => place.min(reader.end()),
                // Deleted and made anew: all of it is new.
                Some(_) => 0,
                None => self.begin(&mut reader)?,
            };
            let to = reader.visible_end(now_ms)?.max(from);
            let mut forward = Forward::new(from, to);
            let (mut place, mut left) = (to, LOOK_LINES);
            while let Some(line) = forward.next(&mut reader, None)? {
                let is_of_run = reader.record_at(line.span.start)?.generation == self.run;
                if is_of_run && self.pattern.is_match(&line::shown(&line.bytes)) {
                    return Ok(Look::Found);
                }
                left -= 1;
                if left == 0 && line.span.end < to {
                    (place, look) = (line.span.end, Look::More);
                    break;
                }
            }
            self.places[at] = Some((epoch, place));
        }
        Ok(look)
    }

    /// Where the lines of the run begin, or before that.
    fn begin(&self, reader: &mut StreamReader) -> io::Result<u64> {
        match reader.start_of(self.run)? {
            Some(start) => Ok(start),
            None => {
                let offset = reader.offset_of_time(self.began_ms - EARLIER_MS)?;
                reader.line_start_from(offset)
            }
        }
    }
}
