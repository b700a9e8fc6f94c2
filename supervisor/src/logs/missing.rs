//! Sealed segments that are gone although nobody here let them go.
//!
//! ```text
//!   api-0.out.first: 3      api-0.out.3.log.zst   (nothing of 4)   api-0.out.5.log.zst   current: 6
//! ```
//!
//! Segments have numbers without gaps, and the first one that has to be there is written down
//! before any older one is deleted. So a number from there on that has no bytes was taken away
//! by somebody else. Its lines are told as lost, and no count of the index stands for them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::Names;
use super::reader::StreamReader;
use super::side::Index;
use crate::ids::ProcessName;
use crate::paths::Stream;

/// Part of a stream that is missing on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The process.
    pub process: ProcessName,
    /// The copy.
    pub instance: u16,
    /// Where it was printed.
    pub stream: Stream,
    /// The file, as it was called; the first one of several.
    pub file: String,
    /// How many files.
    pub files: u64,
    /// How many bytes they held, if that is still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, files, .. } = self;
        match files {
            1 => write!(f, "the log file {file} was removed")?,
            _ => write!(
                f,
                "the log file {file} and {} after it were removed",
                files - 1
            )?,
        }
        match self.bytes {
            Some(bytes) => write!(f, "; {bytes} bytes of output are gone with it"),
            None => write!(f, "; the output in it is gone"),
        }
    }
}

/// Offsets of a stream whose bytes are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
    /// The first segment, and how many.
    pub(super) number: u64,
    pub(super) count: u64,
    /// It is known where it begins.
    pub(super) sized: bool,
}

impl Hole {
    pub(super) fn lost(&self, names: &Names) -> Option<Lost> {
        let (instance, stream) = names.owner()?;
        let file = names.packed_log(self.number);
        Some(Lost {
            process: instance.process,
            instance: instance.index,
            stream,
            file: file.file_name()?.display().to_string(),
            files: self.count,
            bytes: self.sized.then(|| self.to - self.from),
        })
    }
}

/// The stream and the number of a sealed segment.
fn numbered(log: &str) -> Option<(&str, u64)> {
    let (stem, number) = log.rsplit_once('.')?;
    Some((stem, number.parse().ok()?))
}

/// The segments of all streams that have bytes, from one look at the folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    sealed: HashMap<String, BTreeSet<u64>>,
    /// Files of bytes, and those that have a side index, without their ends.
    logs: BTreeSet<String>,
    indices: HashSet<String>,
}

impl Listing {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else {
                continue;
            };
            if let Some(index) = name.strip_suffix(".idx") {
                listing.indices.insert(index.to_owned());
            }
            let log = name.strip_suffix(".zst").unwrap_or(name);
            let Some(log) = log.strip_suffix(".log") else {
                continue;
            };
            listing.logs.insert(log.to_owned());
            if let Some((stem, number)) = numbered(log) {
                let sealed = listing.sealed.entry(stem.to_owned()).or_default();
                sealed.insert(number);
            }
        }
        Ok(listing)
    }

    /// The streams that have a segment without a side index. `looks` into each file of them,
    /// too: one may be damaged.
    pub(super) fn without_index(&self, folder: &Path, looks: bool) -> BTreeSet<String> {
        let is_bare = |log: &&String| {
            let index = || Index::open(&folder.join(format!("{log}.idx")));
            !self.indices.contains(*log) || looks && matches!(index(), Ok(None))
        };
        let bare = self.logs.iter().filter(is_bare);
        let stems = bare.map(|log| numbered(log).map_or(log.as_str(), |(stem, _)| stem));
        stems
            .filter(|stem| Names::of_file(folder, &format!("{stem}.log")).is_some())
            .map(str::to_owned)
            .collect()
    }

    /// The numbers below `current` that have to be there and are not.
    fn missing(&self, names: &Names, current: u64) -> Vec<u64> {
        let nothing = BTreeSet::new();
        let there = self.sealed.get(names.stem()).unwrap_or(&nothing);
        // Read after the folder was, so that what is let go meanwhile is not missed.
        let Some(first) = names.first().or_else(|| there.first().copied()) else {
            return Vec::new();
        };
        let gone = |number: &u64| {
            // One that was compressed meanwhile is not in the listing.
            !there.contains(number)
                && !names.sealed_log(*number).exists()
                && !names.packed_log(*number).exists()
        };
        (first..current).filter(gone).collect()
    }

    /// Opens a stream if something of it is missing.
    pub(super) fn if_missing(&self, names: Names) -> io::Result<Option<StreamReader>> {
        let current = Index::open(&names.index())?.map_or(0, |index| index.header.number);
        // A stream that was never sealed has nothing that could be missing.
        if current <= 1 || self.missing(&names, current).is_empty() {
            return Ok(None);
        }
        StreamReader::open(names)
    }

    /// What is missing of a stream. Opens all of it when something is.
    pub(super) fn holes(&self, reader: &mut StreamReader) -> io::Result<Vec<Hole>> {
        let missing = self.missing(reader.names(), reader.current());
        let Some(oldest) = missing.first().copied() else {
            return Ok(Vec::new());
        };
        let mut holes = reader.lost()?;
        let (number, begins) = reader.oldest();
        if oldest < number {
            let count = missing.iter().filter(|gone| **gone < number).count() as u64;
            holes.insert(
                0,
                Hole {
                    from: 0,
                    to: begins,
                    number: oldest,
                    count,
                    sized: false,
                },
            );
        }
        Ok(holes)
    }
}
