//! Sealed segments, compressed: `api-0.out.7.log.zst`.
//!
//! ```text
//! frame of 128 KiB of log · frame · … · what is missing · the sizes of all frames, footer
//! ```
//!
//! That is zstd's seekable format: `zstdcat` gives the whole segment, and a reader finds the
//! frame of any offset from the table at the end. Offsets stay those of the bytes as they were
//! printed, so index, cursors and followers do not notice. The plain file goes only when the
//! compressed one is on the disk; while there are both, the plain one counts. Lines may be
//! missing in the middle: see [`gaps`]. What is damaged is told in its place: see [`damage`].
//! It is one piece although it is long: one format, written and read.

pub(super) mod damage;
mod gaps;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names::{Names, gone};
pub(super) use gaps::Gaps;
use gaps::Spot;

/// Bytes of log in a frame: a single line costs one frame to read, about 0.1 ms.
const FRAME: usize = 128 << 10;
/// zstd's usual level: about 300 MB/s and core.
const LEVEL: i32 = 3;
const SKIPPABLE: u32 = 0x184D_2A5E;
/// Of the frame with the gaps, which is skipped by others, too.
const GAPS: u32 = 0x184D_2A50;
/// Magic number and size of a frame that is skipped.
const FRAME_HEAD: u64 = 8;
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Number of frames, a descriptor byte and the magic number.
const FOOTER: u64 = 9;
/// Most frames a table is believed to have: a segment of 128 GiB.
const MOST_FRAMES: u32 = 1 << 20;

/// The bytes of a segment, however they lie on the disk.
#[derive(Debug)]
pub(super) enum Bytes {
    Plain(File),
    Packed(Packed),
    /// So many bytes that cannot be read.
    Lost(u64),
}

/// A compressed segment.
#[derive(Debug)]
pub(super) struct Packed {
    path: PathBuf,
    file: File,
    frames: Vec<Frame>,
    gaps: Gaps,
    /// With what is missing.
    total: u64,
    /// The frame that was read last: lines are mostly asked for in order.
    last: Mutex<(usize, Vec<u8>)>,
    /// Gaps in frames that turned out to be damaged, counted without what is missing.
    damaged: Mutex<Vec<Range<u64>>>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where it begins in the file, and how long it is there.
    at: u64,
    packed: u32,
    /// Where its bytes begin in the segment, and how many they are.
    from: u64,
    length: u32,
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Bytes {
    /// Opens a sealed segment; `None` when there is none.
    pub(super) fn open_sealed(names: &Names, number: u64) -> io::Result<Option<Self>> {
        if let Some(file) = open(&names.sealed_log(number))? {
            return Ok(Some(Bytes::Plain(file)));
        }
        match open(&names.packed_log(number))? {
            Some(file) => Packed::open(file, names.packed_log(number))
                .map(|packed| Some(Bytes::Packed(packed))),
            None => Ok(None),
        }
    }

    /// How many bytes a sealed segment has.
    pub(super) fn sealed_size(names: &Names, number: u64) -> io::Result<Option<u64>> {
        match Self::open_sealed(names, number)? {
            Some(Bytes::Plain(file)) => Ok(Some(file.metadata()?.len())),
            Some(Bytes::Packed(packed)) => Ok(Some(packed.total)),
            Some(Bytes::Lost(length)) => Ok(Some(length)),
            None => Ok(None),
        }
    }

    /// How many bytes it has, with what is missing.
    pub(super) fn size(&self) -> u64 {
        match self {
            Bytes::Packed(packed) => packed.total,
            Bytes::Plain(file) => file.metadata().map_or(0, |metadata| metadata.len()),
            Bytes::Lost(length) => *length,
        }
    }

    /// How many bytes of a sealed segment are left.
    pub(super) fn kept_size(names: &Names, number: u64) -> io::Result<Option<u64>> {
        match Self::open_sealed(names, number)? {
            Some(Bytes::Packed(packed)) => Ok(Some(packed.total - packed.gaps.total())),
            Some(Bytes::Plain(file)) => Ok(Some(file.metadata()?.len())),
            Some(Bytes::Lost(_)) | None => Ok(None),
        }
    }

    /// What is not kept of it any more; `None` when it is not compressed.
    pub(super) fn gaps(&self) -> Option<&Gaps> {
        match self {
            Bytes::Packed(packed) => Some(&packed.gaps),
            Bytes::Plain(_) | Bytes::Lost(_) => None,
        }
    }

    /// Something is missing in what was read so far.
    pub(super) fn has_gaps(&self) -> bool {
        match self {
            Bytes::Packed(packed) => !packed.gaps.is_empty() || !packed.damaged().is_empty(),
            Bytes::Plain(_) => false,
            Bytes::Lost(_) => true,
        }
    }

    /// Is the byte at an offset missing?
    pub(super) fn is_gap(&self, at: u64) -> bool {
        match self {
            Bytes::Packed(packed) => packed.gaps.has(at) || packed.is_damaged_at(at),
            Bytes::Plain(_) => false,
            // It begins with a line end, for a line before it that has none.
            Bytes::Lost(length) => at == 0 || damage::gap(*length).contains(&at),
        }
    }

    /// Reads from an offset of the segment; 0 at its end.
    pub(super) fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Bytes::Plain(file) => file.read_at(into, at),
            Bytes::Packed(packed) => Ok(packed.read_at(into, at)),
            Bytes::Lost(length) => Ok(damage::fill(into, at, *length)),
        }
    }
}

impl Packed {
    fn open(file: File, path: PathBuf) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut footer = [0; FOOTER as usize];
        let footer_at = size
            .checked_sub(FOOTER)
            .ok_or_else(|| damaged("too short"))?;
        file.read_exact_at(&mut footer, footer_at)?;
        let number = |bytes: &[u8]| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[..4]);
            u32::from_le_bytes(word)
        };
        let count = number(&footer);
        if number(&footer[5..]) != SEEKABLE || footer[4] != 0 || count > MOST_FRAMES {
            return Err(damaged("a compressed log has no table of its frames"));
        }
        let table_at = footer_at
            .checked_sub(u64::from(count) * 8)
            .ok_or_else(|| damaged("a compressed log is cut short"))?;
        let mut table = vec![0; count as usize * 8];
        file.read_exact_at(&mut table, table_at)?;
        let (mut at, mut from) = (0, 0);
        let mut frames = Vec::with_capacity(count as usize);
        for entry in table.chunks_exact(8) {
            let (packed, length) = (number(entry), number(&entry[4..]));
            if length as usize > FRAME || packed as usize > 2 * FRAME {
                return Err(damaged("a compressed log has a wrong table of its frames"));
            }
            frames.push(Frame {
                at,
                packed,
                from,
                length,
            });
            at += u64::from(packed);
            from += u64::from(length);
        }
        let gaps = read_gaps(&file, at, table_at)?;
        Ok(Self {
            path,
            file,
            frames,
            total: from + gaps.total(),
            gaps,
            last: Mutex::new((usize::MAX, Vec::new())),
            damaged: Mutex::default(),
        })
    }

    fn damaged(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is the byte at an offset in the gap of a damaged frame?
    fn is_damaged_at(&self, at: u64) -> bool {
        match self.gaps.spot(at) {
            Spot::Kept { at, .. } => self.damaged().iter().any(|gap| gap.contains(&at)),
            Spot::Gone { .. } => false,
        }
    }

    fn unpack(&self, frame: Frame) -> io::Result<Vec<u8>> {
        let mut packed = vec![0; frame.packed as usize];
        self.file.read_exact_at(&mut packed, frame.at)?;
        let bytes = zstd::bulk::decompress(&packed, frame.length as usize)?;
        if bytes.len() != frame.length as usize {
            return Err(damaged("a frame of a compressed log is damaged"));
        }
        Ok(bytes)
    }

    /// What stands in the place of a frame that cannot be read.
    fn stand_in(&self, frame: Frame, why: &io::Error) -> Vec<u8> {
        damage::tell(&self.path, &why.to_string());
        let length = u64::from(frame.length);
        let gap = damage::gap(length);
        let gap = frame.from + gap.start..frame.from + gap.end;
        let mut known = self.damaged();
        if !known.contains(&gap) {
            known.push(gap);
        }
        let mut bytes = vec![0; frame.length as usize];
        damage::fill(&mut bytes, 0, length);
        bytes
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> usize {
        if at >= self.total || into.is_empty() {
            return 0;
        }
        let (at, most) = match self.gaps.spot(at) {
            Spot::Kept { at, follow } => (at, follow),
            Spot::Gone { follow } => {
                let count = into
                    .len()
                    .min(usize::try_from(follow).unwrap_or(usize::MAX));
                into[..count].fill(0);
                if count as u64 == follow {
                    into[count - 1] = b'\n';
                }
                return count;
            }
        };
        let after = self.frames.partition_point(|frame| frame.from <= at);
        let place = after.saturating_sub(1);
        let Some(frame) = self.frames.get(place).copied() else {
            return 0;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != place {
            let bytes = self.unpack(frame);
            *last = (
                place,
                bytes.unwrap_or_else(|error| self.stand_in(frame, &error)),
            );
        }
        let from = (at - frame.from) as usize;
        let there = last.1.len().saturating_sub(from) as u64;
        let count = into.len().min(there.min(most) as usize);
        into[..count].copy_from_slice(&last.1[from..from + count]);
        count
    }
}

/// Compresses the sealed segments of a stream that are not yet, except one that is not whole:
/// that of the present number, when sealing was cut short. True when there was one.
pub(super) fn pack_one(names: &Names, current: u64) -> io::Result<bool> {
    for number in names.sealed()? {
        if number < current && names.sealed_log(number).exists() {
            pack(names, number)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn pack(names: &Names, number: u64) -> io::Result<()> {
    let mut log = File::open(names.sealed_log(number))?;
    rewrite(names, number, |frames| {
        let mut block = Vec::with_capacity(FRAME);
        loop {
            block.clear();
            (&mut log).take(FRAME as u64).read_to_end(&mut block)?;
            if block.is_empty() {
                return Ok(Gaps::default());
            }
            frames.push(&block)?;
        }
    })
}

/// Puts another form of a sealed segment in its place, in one step: what `fill` writes, without
/// the gaps that it gives back.
pub(super) fn rewrite(
    names: &Names,
    number: u64,
    fill: impl FnOnce(&mut Frames) -> io::Result<Gaps>,
) -> io::Result<()> {
    let (packed, plain) = (names.packed_log(number), names.sealed_log(number));
    // Rotation takes the log first and the index last. An index alone may have been removed by
    // somebody, which is no reason to give the lines up.
    let first_to_go = match plain.exists() {
        true => plain.clone(),
        false => names.sealed_index(number),
    };
    let fresh = packed.with_extension("zst.new");
    let written = Frames::create(&fresh)
        .and_then(|mut frames| {
            let gaps = fill(&mut frames)?;
            frames.finish(&gaps)
        })
        .and_then(|()| std::fs::rename(&fresh, &packed));
    if written.is_err() {
        // What was begun would only take room.
        let _ = std::fs::remove_file(&fresh);
    }
    written?;
    if !first_to_go.exists() {
        // It was rotated away meanwhile.
        gone(std::fs::remove_file(&packed))?;
    }
    gone(std::fs::remove_file(plain))
}

/// The gaps that stand between the last frame and the table.
fn read_gaps(file: &File, from: u64, table_at: u64) -> io::Result<Gaps> {
    let to = table_at.saturating_sub(FRAME_HEAD);
    if from == to {
        return Ok(Gaps::default());
    }
    let wrong = || damaged("a compressed log has a wrong list of what is missing");
    let length = to.checked_sub(from).ok_or_else(wrong)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| wrong())?];
    file.read_exact_at(&mut bytes, from)?;
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
    let (size, list) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
    if u32::from_le_bytes(*magic) != GAPS || u32::from_le_bytes(*size) as usize != list.len() {
        return Err(wrong());
    }
    Gaps::decode(list).ok_or_else(wrong)
}

/// Writes a compressed segment.
pub(super) struct Frames {
    out: File,
    compressor: zstd::bulk::Compressor<'static>,
    block: Vec<u8>,
    table: Vec<u8>,
}

impl Frames {
    fn create(path: &Path) -> io::Result<Self> {
        let out = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        // Four bytes a frame, so that damage is seen and not served.
        compressor.include_checksum(true)?;
        Ok(Self {
            out,
            compressor,
            block: Vec::with_capacity(FRAME),
            table: Vec::new(),
        })
    }

    /// Adds bytes of the log.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(FRAME - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == FRAME {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(&self.block)?;
        self.out.write_all(&frame)?;
        self.table.extend((frame.len() as u32).to_le_bytes());
        self.table.extend((self.block.len() as u32).to_le_bytes());
        self.block.clear();
        Ok(())
    }

    fn finish(mut self, gaps: &Gaps) -> io::Result<()> {
        self.end_frame()?;
        let mut tail = Vec::new();
        if *gaps != Gaps::default() {
            let list = gaps.encode();
            tail.extend(GAPS.to_le_bytes());
            tail.extend((list.len() as u32).to_le_bytes());
            tail.extend(list);
        }
        let count = (self.table.len() / 8) as u32;
        tail.extend(SKIPPABLE.to_le_bytes());
        tail.extend((self.table.len() as u32 + FOOTER as u32).to_le_bytes());
        tail.extend(self.table);
        tail.extend(count.to_le_bytes());
        tail.push(0);
        tail.extend(SEEKABLE.to_le_bytes());
        self.out.write_all(&tail)?;
        // The plain file goes next: this one must be on the disk then.
        self.out.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::paths::Stream;

    /// Somebody removed the index just then: that takes no line away.
    #[test]
    fn a_segment_without_an_index_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let id = InstanceId::new("api".parse().unwrap(), 0);
        let names = Names::new(folder.path(), &id, Stream::Out);
        std::fs::write(names.sealed_log(3), "one\ntwo\n").unwrap();
        pack(&names, 3).unwrap();
        assert_eq!(Bytes::sealed_size(&names, 3).unwrap(), Some(8));
    }

    #[test]
    fn any_range_of_a_packed_segment_reads_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let id = InstanceId::new("api".parse().unwrap(), 0);
        let names = Names::new(folder.path(), &id, Stream::Out);
        let mut text = Vec::new();
        for n in 0..40_000_u64 {
            writeln!(text, "line {n} {}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).unwrap();
        }
        std::fs::write(names.sealed_log(3), &text).unwrap();
        std::fs::write(names.sealed_index(3), "").unwrap();
        assert!(
            !pack_one(&names, 3).unwrap(),
            "the present number is not packed"
        );
        assert!(pack_one(&names, 4).unwrap());
        assert!(!pack_one(&names, 4).unwrap());
        assert!(!names.sealed_log(3).exists());
        assert_eq!(names.sealed().unwrap(), [3]);
        let size = text.len();
        assert_eq!(Bytes::sealed_size(&names, 3).unwrap(), Some(size as u64));
        let bytes = Bytes::open_sealed(&names, 3).unwrap().unwrap();
        for (from, to) in [
            (0, 10),
            (FRAME - 5, FRAME + 5),
            (0, size),
            (size - 1, size),
            (700_000, 900_000),
        ] {
            let mut read = vec![0; to - from];
            let mut done = 0;
            while done < read.len() {
                let count = bytes
                    .read_at(&mut read[done..], (from + done) as u64)
                    .unwrap();
                assert!(count > 0);
                done += count;
            }
            assert_eq!(read, text[from..to]);
        }
        assert_eq!(bytes.read_at(&mut [0; 4], size as u64).unwrap(), 0);
        // The same bytes as a plain stream of frames.
        let whole = std::fs::read(names.packed_log(3)).unwrap();
        assert_eq!(zstd::stream::decode_all(&whole[..]).unwrap(), text);
        assert!(whole.len() < size / 2);
        // Damage is an error and no panic.
        for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
            std::fs::write(names.packed_log(3), &whole[..cut]).unwrap();
            assert!(Bytes::open_sealed(&names, 3).is_err());
        }
    }
}
