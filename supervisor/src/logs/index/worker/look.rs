//! Looks for what somebody removed from the folder of the logs, now and then.
//!
//! Lost side indices are planned anew, which the capture puts in place; rows of segments that
//! are gone are cleaned away. Only this thread has the time for it.

use std::path::Path;

use tokio::time::Instant;

use super::{LOOK_EVERY, Open};
use crate::logs::index::clean::Thinned;
use crate::logs::index::insert::BatchError;
use crate::logs::levels::Levels;
use crate::logs::mend::{self, Plan};
use crate::logs::missing::{Listing, Lost};
use crate::logs::names::Names;

/// Most missing segments that are told: a whole folder may be gone.
const MOST_LOST: usize = 100;

/// So often the side indices of a stream are made anew, until the daemon or the index is.
const MOST_TRIES: u32 = 5;

/// What a look at the whole folder found.
pub(super) struct Looked {
    pub(super) lost: Vec<Lost>,
    pub(super) to_mend: Vec<Plan>,
}

impl Open {
    /// Looks for what somebody removed. `None` when it is not time to look.
    pub(super) fn look(&mut self, folder: &Path) -> Result<Option<Looked>, BatchError> {
        let now = Instant::now();
        if self.looked.is_some_and(|last| now < last + LOOK_EVERY) {
            return Ok(None);
        }
        let listing = Listing::read(folder)?;
        let to_mend = self.look_for_bare(folder, &listing);
        self.looked = Some(now);
        let lost = self.look_for_holes(folder, &listing)?;
        Ok(Some(Looked { lost, to_mend }))
    }

    /// Segments without a side index.
    fn look_for_bare(&mut self, folder: &Path, listing: &Listing) -> Vec<Plan> {
        let mut plans = Vec::new();
        let first = self.looked.is_none();
        for stem in listing.without_index(folder, first) {
            // One that cannot be written is not to be read over and over.
            let tries = self.mended.entry(stem.clone()).or_default();
            if *tries == MOST_TRIES {
                continue;
            }
            *tries += 1;
            match mend::plans(Names::of_stem(folder, &stem)) {
                Ok(found) => plans.extend(found),
                Err(error) => {
                    tracing::warn!(stream = stem, %error, "A log whose times are lost could not be read.");
                }
            }
        }
        plans
    }

    /// Segments that are gone: their rows go, too.
    fn look_for_holes(
        &mut self,
        folder: &Path,
        listing: &Listing,
    ) -> Result<Vec<Lost>, BatchError> {
        let mut lost = Vec::new();
        for (stem, known) in &self.known {
            let names = Names::of_stem(folder, stem);
            let Some(mut reader) = listing.if_missing(names)? else {
                continue;
            };
            for hole in listing.holes(&mut reader)? {
                if lost.len() < MOST_LOST {
                    lost.extend(hole.lost(reader.names()));
                }
                if self.holes.insert((known.id, hole.from, hole.to)) {
                    let kept = Levels::NOTHING;
                    let (from, to) = (hole.from, hole.to);
                    self.cleaning.thinned(known.id, Thinned { from, to, kept });
                }
            }
        }
        lost.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(lost)
    }
}
