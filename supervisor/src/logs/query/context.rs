//! Lines around hits.

use std::io;

use super::{Found, Search, before};
use crate::logs::cursor::Place;
use crate::logs::scan::{Forward, Span};

impl Search {
    /// Adds the lines around the hits of one stream.
    pub(super) fn surround(
        &mut self,
        place: usize,
        found: &mut Vec<Found>,
        next: &mut Place,
    ) -> io::Result<()> {
        let mut hits: Vec<Span> = found
            .iter()
            .filter(|hit| hit.track == place)
            .map(|hit| hit.line.span)
            .collect();
        hits.sort_by_key(|span| span.start);
        let context = self.context;
        let track = &mut self.tracks[place];
        let mut shown = 0;
        for (at, hit) in hits.iter().enumerate() {
            let mut around = before(&mut track.reader, shown, hit.start, context)?;
            shown = hit.end;
            let limit = hits.get(at + 1).map_or(track.visible, |hit| hit.start);
            let mut forward = Forward::new(hit.end, limit);
            let mut missing = context;
            while missing > 0
                && let Some(line) = forward.next(&mut track.reader, None)?
            {
                shown = line.span.end;
                around.push(line);
                missing -= 1;
            }
            if at + 1 == hits.len() && shown >= track.visible {
                next.pending = missing;
            }
            for line in around {
                found.push(Found::around(track.key(line.span)?, place, line));
            }
        }
        next.unseen = next.offset.saturating_sub(shown);
        Ok(())
    }
}
