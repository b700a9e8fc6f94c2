//! What a question would be over, too, and is no longer on the disk.

use std::io;
use std::path::Path;

use super::{Search, Track};
use crate::logs::missing::{Listing, Lost};

/// Looks for segments that are gone. Whoever follows was told with the first page.
pub(super) fn find_holes(folder: &Path, tracks: &mut [Track]) -> io::Result<()> {
    // Most streams have never been sealed, and need no look at the folder.
    if tracks.iter().all(|track| track.reader.current() <= 1) {
        return Ok(());
    }
    let listing = Listing::read(folder)?;
    for track in tracks {
        track.holes = listing.holes(&mut track.reader)?;
    }
    Ok(())
}

impl Track {
    /// The line at this offset says only that others are gone.
    pub(super) fn is_lost(&self, offset: u64) -> bool {
        let mut holes = self.holes.iter();
        holes.any(|hole| (hole.from..hole.to).contains(&offset))
    }

    /// What is missing of the selection, back to this time.
    fn lost(&mut self, oldest_ms: Option<i64>) -> io::Result<Vec<Lost>> {
        let mut lost = Vec::new();
        for hole in &self.holes {
            let newest = self.reader.record_at(hole.to)?.ts_ms;
            if hole.from < self.high
                && hole.to > self.low
                && oldest_ms.is_none_or(|oldest| newest >= oldest)
            {
                lost.extend(hole.lost(self.reader.names()));
            }
        }
        Ok(lost)
    }
}

impl Search {
    /// What is missing of all streams, back to this time.
    pub(super) fn lost(&mut self, oldest_ms: Option<i64>) -> io::Result<Vec<Lost>> {
        let mut lost = Vec::new();
        for track in &mut self.tracks {
            lost.extend(track.lost(oldest_ms)?);
        }
        Ok(lost)
    }
}
