//! Names of lines, and of places to go on from.
//!
//! A line's id is `<ms>.<seq>.<offset in its chunk>`, in base 36; an unfinished line adds its
//! length, so that its rest is not taken for the line itself. A page's `next` is
//! `@<ms>` and, per stream, `;<stem>=<epoch>.<offset>[.<context to come>.<seen back>]`. Both
//! hold over restarts of the daemon and over rotation, since offsets count from a stream's
//! first byte.

use super::LogError;

/// Orders lines over all streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) ts_ms: i64,
    pub(super) seq: u64,
    /// Bytes between the chunk's start and the line's.
    pub(super) delta: u64,
}

/// Where a follower is in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stem: String,
    pub(super) epoch: i64,
    pub(super) offset: u64,
    /// So many lines are shown as context of the last hit before a match is needed again.
    pub(super) pending: usize,
    /// So many bytes before `offset` were not shown and may serve as context.
    pub(super) unseen: u64,
}

/// What `after` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// After this line; the length is that of an unfinished one.
    Line(Key, Option<u64>),
    /// At these places; other streams from this time on.
    Places(i64, Vec<Place>),
}

/// Digits are cheaper to carry in base 36 than in base 10.
fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 36).ok()
}

/// Times before 1970 do not occur; a broken clock must not break the cursor.
fn ms(time: i64) -> u64 {
    time.max(0) as u64
}

impl Key {
    /// The id of a line; `partial` is the length of an unfinished one.
    pub(super) fn id(&self, partial: Option<u64>) -> String {
        let mut id = format!(
            "{}.{}.{}",
            base36(ms(self.ts_ms)),
            base36(self.seq),
            base36(self.delta)
        );
        if let Some(length) = partial {
            id.push('.');
            id.push_str(&base36(length));
        }
        id
    }
}

/// The text of a page's `next`.
pub(super) fn places(now_ms: i64, places: &[Place]) -> String {
    let mut text = format!("@{}", base36(ms(now_ms)));
    for place in places {
        text.push_str(&format!(
            ";{}={}.{}",
            place.stem,
            base36(ms(place.epoch)),
            base36(place.offset)
        ));
        if place.pending > 0 || place.unseen > 0 {
            text.push_str(&format!(
                ".{}.{}",
                base36(place.pending as u64),
                base36(place.unseen)
            ));
        }
    }
    text
}

/// Reads an id or a `next`.
pub(super) fn parse(text: &str) -> Result<Cursor, LogError> {
    let parsed = match text.strip_prefix('@') {
        Some(rest) => parse_places(rest),
        None => parse_line(text),
    };
    parsed.ok_or_else(|| LogError::Cursor(text.to_owned()))
}

fn parse_line(text: &str) -> Option<Cursor> {
    let mut parts = text.split('.').map(number);
    let mut part = || parts.next();
    let key = Key {
        ts_ms: part()?? as i64,
        seq: part()??,
        delta: part()??,
    };
    let length = match part() {
        Some(length) => Some(length?),
        None => None,
    };
    part().is_none().then_some(Cursor::Line(key, length))
}

fn parse_places(text: &str) -> Option<Cursor> {
    let mut parts = text.split(';');
    let time = number(parts.next()?)? as i64;
    let place = |part: &str| {
        let (stem, numbers) = part.split_once('=')?;
        let mut numbers = numbers.split('.').map(number);
        let epoch = numbers.next()?? as i64;
        let offset = numbers.next()??;
        let (pending, unseen) = match numbers.next() {
            Some(pending) => (pending? as usize, numbers.next()??),
            None => (0, 0),
        };
        Some(Place {
            stem: stem.to_owned(),
            epoch,
            offset,
            pending,
            unseen,
        })
    };
    let places: Option<Vec<Place>> = parts.map(place).collect();
    Some(Cursor::Places(time, places?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let key = Key {
            ts_ms: 1_774_708_321_123,
            seq: u64::MAX,
            delta: 0,
        };
        for partial in [None, Some(17)] {
            let read = parse(&key.id(partial)).unwrap();
            assert_eq!(read, Cursor::Line(key, partial));
        }
        let all = vec![
            Place {
                stem: "v1.2_x-0.out".to_owned(),
                epoch: 5,
                offset: 1 << 40,
                pending: 0,
                unseen: 0,
            },
            Place {
                stem: "api-1.err".to_owned(),
                epoch: 5,
                offset: 0,
                pending: 2,
                unseen: 77,
            },
        ];
        assert_eq!(parse(&places(12, &all)).unwrap(), Cursor::Places(12, all));
        for bad in ["", "x", "@", "1.2", "1.2.3.4.5", "@1;a", "@1;a=1", "1.2.é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
