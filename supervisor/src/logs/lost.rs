//! Where a stream goes on when something of it was lost: a side index, the bytes, or both.
//!
//! Segments are deleted from the oldest on, bytes before their side index. So what is missing
//! with something older beside it, or beside its own bytes, was lost and not let go.

use std::io;

use super::names::Names;
use super::packed::{Bytes, damage};
use super::side::{Header, Index};

/// Where the sealed segments of a stream end, as far as that can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The newest of them.
    pub(super) number: u64,
    /// After its last byte.
    pub(super) offset: u64,
    /// Of the stream, if a side index still tells.
    pub(super) epoch: Option<i64>,
    /// Time and sequence number of the last record that is known.
    pub(super) last: Option<(i64, u64)>,
}

/// The end of the sealed segments below a number; `None` when there are none.
pub(super) fn end_below(names: &Names, number: u64) -> io::Result<Option<End>> {
    let mut older = names.sealed()?;
    older.retain(|found| *found < number);
    let Some(newest) = older.last().copied() else {
        return Ok(None);
    };
    let mut end = End {
        number: newest,
        offset: 0,
        epoch: None,
        last: None,
    };
    // Bytes in segments of which nobody knows where they begin.
    let mut beyond = 0;
    for number in older.into_iter().rev() {
        let size = size(names, number)?;
        if let Some(mut index) = Index::open(&names.sealed_index(number))? {
            let Header { base, epoch, .. } = index.header;
            let last = index.last()?;
            let known = last.map_or(base, |last| last.offset);
            end.offset = size.map_or(known, |size| base + size) + beyond;
            end.epoch = Some(epoch);
            end.last = last.map(|last| (last.ts_ms, last.seq));
            return Ok(Some(end));
        }
        beyond += size.unwrap_or(0);
    }
    end.offset = beyond;
    Ok(Some(end))
}

/// How many bytes a sealed segment has; `None` when they are gone or damaged.
fn size(names: &Names, number: u64) -> io::Result<Option<u64>> {
    match Bytes::sealed_size(names, number) {
        Err(error) if is_damage(&error) => {
            damage::tell(&names.packed_log(number), &error.to_string());
            Ok(None)
        }
        size => size,
    }
}

/// It says that a file is not what it was, and not that it cannot be read at all.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
