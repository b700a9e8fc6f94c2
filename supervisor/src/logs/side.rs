//! The side index of a segment: when the bytes at which offset came.
//!
//! ```text
//! header  magic(8) number(8) base(8) epoch(8)
//! record  offset(8) ts_ms(8) seq(8) generation(4) flags(2) check(2)     at most one per ms
//! ```
//!
//! All numbers are little-endian. Offsets are **logical**: they count from the first byte the
//! stream ever printed, so that they stay valid over rotation; `base` is the logical offset of
//! the segment's first byte. A record is written *before* the bytes it speaks of, so that no
//! kept byte is ever without one; a record with no bytes behind it is harmless. The check
//! finds a torn last record, which is then cut off.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Bytes of the header.
pub(super) const HEADER: u64 = 32;
/// Bytes of a record.
pub(super) const RECORD: u64 = 32;

/// No stream prints so much, and none is cut into so many segments: a number that is no less was
/// not written by us. Below it sums do not overflow.
const FARTHEST: u64 = 1 << 62;

const MAGIC: [u8; 8] = *b"mhostix1";

/// Records kept in memory by a reader: 2 KiB, so that hundreds of streams cost little.
const PAGE: u64 = 64;

/// A run begins at this offset: what stands before it is another line, with or without a
/// line end.
pub(super) const START: u16 = 1;
/// A run ended at this offset.
pub(super) const END: u16 = 2;
/// Nobody knows when these bytes came: the index was lost, and this one made from the lines.
pub(super) const GUESSED: u16 = 4;

/// Which segment this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts the segments of a stream; the name it gets when it is sealed.
    pub(super) number: u64,
    /// Logical offset of its first byte.
    pub(super) base: u64,
    /// When the stream was first captured, in ms: tells a new stream of an old name.
    pub(super) epoch: i64,
}

/// From `offset` on, bytes came at `ts_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) ts_ms: i64,
    pub(super) seq: u64,
    /// The low half of the run's generation.
    pub(super) generation: u32,
    pub(super) flags: u16,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        bytes[24..].copy_from_slice(&self.epoch.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER as usize]) -> Option<Self> {
        let header = Self {
            number: u64_at(bytes, 8),
            base: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24) as i64,
        };
        let sound = bytes[..8] == MAGIC && header.number.max(header.base) < FARTHEST;
        sound.then_some(header)
    }
}

impl Record {
    pub(super) fn encode(&self) -> [u8; RECORD as usize] {
        let mut bytes = [0; RECORD as usize];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ts_ms.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.generation.to_le_bytes());
        bytes[28..30].copy_from_slice(&self.flags.to_le_bytes());
        let check = check(&bytes[..30]);
        bytes[30..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let check_read = u16::from_le_bytes([bytes[30], bytes[31]]);
        let record = Self {
            offset: u64_at(bytes, 0),
            ts_ms: u64_at(bytes, 8) as i64,
            seq: u64_at(bytes, 16),
            generation: u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]),
            flags: u16::from_le_bytes([bytes[28], bytes[29]]),
        };
        let sound = check(&bytes[..30]) == check_read && record.offset.max(record.seq) < FARTHEST;
        sound.then_some(record)
    }

    pub(super) fn starts(&self) -> bool {
        self.flags & START != 0
    }

    pub(super) fn is_guessed(&self) -> bool {
        self.flags & GUESSED != 0
    }

    pub(super) fn ends(&self) -> bool {
        self.flags & END != 0
    }
}

/// FNV-1a folded to 16 bits; never 0 for a block of zeros, which a power cut may leave.
fn check(bytes: &[u8]) -> u16 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ (hash >> 16)) as u16
}

/// Reads an index: any record by its place, and the place of an offset or a time.
#[derive(Debug)]
pub(super) struct Index {
    /// None of one whose file is damaged.
    file: Option<File>,
    pub(super) header: Header,
    count: u64,
    page_first: u64,
    page: Vec<Record>,
}

impl Index {
    /// Opens an index; `None` when there is none or it has no header yet.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER as usize];
        if !read_full(&file, &mut header, 0)? {
            return Ok(None);
        }
        let Some(header) = Header::decode(&header) else {
            return Ok(None);
        };
        let mut index = Self {
            file: Some(file),
            header,
            count: 0,
            page_first: 0,
            page: Vec::new(),
        };
        index.refresh()?;
        Ok(Some(index))
    }

    /// There is one at this path, and it says nothing that can be understood.
    pub(super) fn is_damaged(path: &Path) -> bool {
        let mut header = [0; HEADER as usize];
        let read = File::open(path).and_then(|file| read_full(&file, &mut header, 0));
        matches!(read, Ok(true)) && Header::decode(&header).is_none()
    }

    /// In the place of a damaged one: all bytes came at one time.
    pub(super) fn in_place_of(header: Header, ts_ms: i64, seq: u64) -> Self {
        let all = Record {
            offset: header.base,
            ts_ms,
            seq,
            generation: 0,
            flags: START | GUESSED,
        };
        Self {
            file: None,
            header,
            count: 1,
            page_first: 0,
            page: vec![all],
        }
    }

    /// It has no file.
    pub(super) fn is_in_place_of_one(&self) -> bool {
        self.file.is_none()
    }

    /// Which file it reads: device and inode.
    pub(super) fn identity(&self) -> io::Result<Option<(u64, u64)>> {
        let metadata = self.file.as_ref().map(File::metadata).transpose()?;
        Ok(metadata.map(|metadata| (metadata.dev(), metadata.ino())))
    }

    /// Sees records that were added meanwhile.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let length = file.metadata()?.len();
        self.count = length.saturating_sub(HEADER) / RECORD;
        self.page.clear();
        // A torn record can only be the last one.
        while self.count > 0 && self.get(self.count - 1)?.is_none() {
            self.count -= 1;
        }
        Ok(())
    }

    /// How many whole records there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The record at a place.
    pub(super) fn get(&mut self, place: u64) -> io::Result<Option<Record>> {
        if place >= self.count {
            return Ok(None);
        }
        let in_page = place.checked_sub(self.page_first);
        if let Some(record) = in_page.and_then(|at| self.page.get(at as usize)) {
            return Ok(Some(*record));
        }
        let first = place - place % PAGE;
        let wanted = PAGE.min(self.count - first);
        let mut bytes = [0; (PAGE * RECORD) as usize];
        let bytes = &mut bytes[..(wanted * RECORD) as usize];
        self.page.clear();
        self.page_first = first;
        if let Some(file) = &self.file
            && read_full(file, bytes, HEADER + first * RECORD)?
        {
            let records = bytes.chunks_exact(RECORD as usize);
            self.page.extend(records.map_while(Record::decode));
        }
        Ok(self.page.get((place - first) as usize).copied())
    }

    /// How many records from the first on satisfy `holds`, which must hold for a prefix.
    pub(super) fn prefix(&mut self, holds: impl Fn(&Record) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(record) if holds(&record) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The place of the record that covers an offset: the last one not after it.
    pub(super) fn place_of(&mut self, offset: u64) -> io::Result<Option<u64>> {
        // Lines are mostly asked for in order, so the page at hand usually has the answer.
        if let (Some(first), Some(last)) = (self.page.first(), self.page.last())
            && first.offset <= offset
            && offset < last.offset
        {
            let within = self.page.partition_point(|r| r.offset <= offset) as u64;
            return Ok(Some(self.page_first + within - 1));
        }
        Ok(self
            .prefix(|record| record.offset <= offset)?
            .checked_sub(1))
    }

    /// The last record.
    pub(super) fn last(&mut self) -> io::Result<Option<Record>> {
        match self.count {
            0 => Ok(None),
            count => self.get(count - 1),
        }
    }
}

/// Fills the whole buffer, or says that the file ends before.
fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> Record {
        Record {
            offset: n * 10,
            ts_ms: 1_000 + n as i64,
            seq: n,
            generation: 1,
            flags: 0,
        }
    }

    #[test]
    fn finds_records_and_drops_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.idx");
        let header = Header {
            number: 3,
            base: 0,
            epoch: 9,
        };
        let mut bytes = header.encode().to_vec();
        for n in 0..1000 {
            bytes.extend(record(n).encode());
        }
        bytes.extend(&record(1000).encode()[..20]);
        std::fs::write(&path, &bytes).unwrap();
        let mut index = Index::open(&path).unwrap().unwrap();
        assert_eq!((index.header, index.count()), (header, 1000));
        for offset in [0, 5, 9990, 123_456, 4321, 4330] {
            let place = index.place_of(offset).unwrap().unwrap();
            assert_eq!(place, (offset / 10).min(999), "{offset}");
        }
        assert_eq!(index.prefix(|r| r.ts_ms < 1_500).unwrap(), 500);
        // A whole record of garbage at the end is not believed either.
        bytes.truncate(bytes.len() - 20);
        bytes.extend([0; RECORD as usize]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Index::open(&path).unwrap().unwrap().count(), 1000);
    }
}
