//! Sealed segments, compressed: `api-0.out.7.log.zst`.
//!
//! ```text
//! frame of 128 KiB of log · frame · … · skippable frame: the sizes of all frames, footer
//! ```
//!
//! That is zstd's seekable format: `zstdcat` gives the whole segment, and a reader finds the
//! frame of any offset from the table at the end. Offsets stay those of the bytes as they were
//! printed, so index, cursors and followers do not notice. The plain file goes only when the
//! compressed one is on the disk; while there are both, the plain one counts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::names::{Names, gone};

/// Bytes of log in a frame: a single line costs one frame to read, about 0.1 ms.
const FRAME: usize = 128 << 10;
/// zstd's usual level: about 300 MB/s and core.
const LEVEL: i32 = 3;
const SKIPPABLE: u32 = 0x184D_2A5E;
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
}

/// A compressed segment.
#[derive(Debug)]
pub(super) struct Packed {
    file: File,
    frames: Vec<Frame>,
    total: u64,
    /// The frame that was read last: lines are mostly asked for in order.
    last: Mutex<(usize, Vec<u8>)>,
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
            Some(file) => Packed::open(file).map(|packed| Some(Bytes::Packed(packed))),
            None => Ok(None),
        }
    }

    /// How many bytes a sealed segment has.
    pub(super) fn sealed_size(names: &Names, number: u64) -> io::Result<Option<u64>> {
        match Self::open_sealed(names, number)? {
            Some(Bytes::Plain(file)) => Ok(Some(file.metadata()?.len())),
            Some(Bytes::Packed(packed)) => Ok(Some(packed.total)),
            None => Ok(None),
        }
    }

    /// Reads from an offset of the segment; 0 at its end.
    pub(super) fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Bytes::Plain(file) => file.read_at(into, at),
            Bytes::Packed(packed) => packed.read_at(into, at),
        }
    }
}

impl Packed {
    fn open(file: File) -> io::Result<Self> {
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
        Ok(Self {
            file,
            frames,
            total: from,
            last: Mutex::new((usize::MAX, Vec::new())),
        })
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.total || into.is_empty() {
            return Ok(0);
        }
        let after = self.frames.partition_point(|frame| frame.from <= at);
        let place = after.saturating_sub(1);
        let frame = self.frames[place];
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != place {
            let mut packed = vec![0; frame.packed as usize];
            self.file.read_exact_at(&mut packed, frame.at)?;
            let bytes = zstd::bulk::decompress(&packed, frame.length as usize)?;
            if bytes.len() != frame.length as usize {
                return Err(damaged("a frame of a compressed log is damaged"));
            }
            *last = (place, bytes);
        }
        let from = (at - frame.from) as usize;
        let count = into.len().min(last.1.len() - from);
        into[..count].copy_from_slice(&last.1[from..from + count]);
        Ok(count)
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
    let plain = names.sealed_log(number);
    let packed = names.packed_log(number);
    let fresh = packed.with_extension("zst.new");
    let written = write(&plain, &fresh).and_then(|()| std::fs::rename(&fresh, &packed));
    if written.is_err() {
        // What was begun would only take room.
        let _ = std::fs::remove_file(&fresh);
    }
    written?;
    if !names.sealed_index(number).exists() {
        // It was rotated away meanwhile.
        gone(std::fs::remove_file(&packed))?;
    }
    gone(std::fs::remove_file(plain))
}

fn write(plain: &Path, fresh: &Path) -> io::Result<()> {
    let mut log = File::open(plain)?;
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(fresh)?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    let mut block = Vec::with_capacity(FRAME);
    let mut table = Vec::new();
    loop {
        block.clear();
        (&mut log).take(FRAME as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        let frame = compressor.compress(&block)?;
        out.write_all(&frame)?;
        table.extend((frame.len() as u32).to_le_bytes());
        table.extend((block.len() as u32).to_le_bytes());
    }
    let count = (table.len() / 8) as u32;
    let mut tail = SKIPPABLE.to_le_bytes().to_vec();
    tail.extend((table.len() as u32 + FOOTER as u32).to_le_bytes());
    tail.extend(table);
    tail.extend(count.to_le_bytes());
    tail.push(0);
    tail.extend(SEEKABLE.to_le_bytes());
    out.write_all(&tail)?;
    // The plain file goes next: this one must be on the disk then.
    out.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::paths::Stream;

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
