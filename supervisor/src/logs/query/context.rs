//! Lines around hits.

use std::io;

use super::{Found, Room, Search, before};
use crate::logs::cursor::Place;
use crate::logs::scan::{Forward, Span};

impl Search {
    /// Adds the lines around the hits of one stream, as far as there is room: those of the
    /// newest hits first.
    pub(super) fn surround(
        &mut self,
        place: usize,
        found: &mut Vec<Found>,
        next: &mut Place,
        room: &mut Room,
    ) -> io::Result<()> {
        let mut hits: Vec<Span> = found
            .iter()
            .filter(|hit| hit.track == place)
            .map(|hit| hit.line.span)
            .collect();
        hits.sort_by_key(|span| span.start);
        let context = self.context;
        let track = &mut self.tracks[place];
        let mut shown = hits.last().map_or(0, |newest| newest.end);
        let mut limit = track.visible;
        for (at, hit) in hits.iter().enumerate().rev() {
            let mut around = Vec::new();
            let mut forward = Forward::new(hit.end, limit);
            while around.len() < context
                && !room.is_full()
                && let Some(line) = forward.next(&mut track.reader, None)?
            {
                room.takes(&line);
                around.push(line);
            }
            if at + 1 == hits.len() {
                shown = around.last().map_or(hit.end, |line| line.span.end);
                if shown >= track.visible {
                    next.pending = context - around.len();
                }
            }
            let low = at.checked_sub(1).map_or(0, |older| hits[older].end);
            let earlier = before(&mut track.reader, low, hit.start, context, room)?;
            limit = earlier.first().map_or(hit.start, |line| line.span.start);
            for line in earlier.into_iter().chain(around) {
                found.push(Found::around(track.key(line.span)?, place, line));
            }
        }
        next.unseen = next.offset.saturating_sub(shown);
        Ok(())
    }
}
