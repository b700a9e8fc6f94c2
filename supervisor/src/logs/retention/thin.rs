//! Writes a sealed segment anew with only the lines of some levels.

use std::io;

use crate::logs::levels::Levels;
use crate::logs::line;
use crate::logs::names::Names;
use crate::logs::packed::{Frames, Gaps, rewrite};
use crate::logs::reader::StreamReader;
use crate::logs::record;
use crate::logs::scan::{Forward, Line};
use crate::paths::Stream;

/// A line longer than what is read of it is copied in pieces of this size.
const PIECE: u64 = 1 << 20;

/// Leaves only lines of these levels in a sealed segment. Returns where it begins and ends.
pub(super) fn thin(names: &Names, number: u64, keep: Levels) -> io::Result<(u64, u64)> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let mut reader = StreamReader::open(names.clone())?.ok_or_else(gone)?;
    let (base, end) = reader.sealed(number)?.ok_or_else(gone)?;
    let stream = names.owner().map_or(Stream::Out, |(_, stream)| stream);
    rewrite(names, number, |frames| {
        let mut gaps = Gaps::of(keep);
        // Up to here everything is kept, or is a gap already.
        let mut at = base;
        let mut forward = Forward::new(base, end);
        while let Some(line) = forward.next(&mut reader, None)? {
            let text = line::shown(&line.bytes);
            if keep.has(record::parse(&text).severity(stream)) {
                gaps.push(at - base, line.span.start - base);
                copy(&reader, &line, frames)?;
                at = line.span.end;
            }
        }
        gaps.push(at - base, end - base);
        Ok(gaps)
    })?;
    Ok((base, end))
}

fn copy(reader: &StreamReader, line: &Line, frames: &mut Frames) -> io::Result<()> {
    let (mut from, to) = (line.span.start, line.span.end);
    if line.bytes.len() as u64 == to - from {
        return frames.push(&line.bytes);
    }
    let mut piece = Vec::new();
    while from < to {
        let next = to.min(from + PIECE);
        reader.read(from, next, &mut piece)?;
        frames.push(&piece)?;
        from = next;
    }
    Ok(())
}
