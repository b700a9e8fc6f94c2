//! The lines after a place: what followers ask for, again and again.
//!
//! Nothing here asks the index: what a follower has not seen is mostly not in it yet.

use std::collections::BinaryHeap;
use std::io;

use super::{Found, Room, Search, Track, before};
use crate::logs::LogPage;
use crate::logs::cursor::{Cursor, Key, Place};
use crate::logs::filter::Filter;
use crate::logs::scan::{Forward, Line};

impl Search {
    /// The first lines after a place.
    pub(super) fn page_after(&mut self, cursor: &Cursor) -> io::Result<LogPage> {
        let mut walks = Vec::new();
        let mut heap = BinaryHeap::new();
        for (place, track) in self.tracks.iter_mut().enumerate() {
            let from = track.resume(cursor)?;
            let mut walk = Walk::new(track, from, self.context);
            walk.advance(track, &self.filter)?;
            if let Some(head) = &walk.head {
                heap.push(std::cmp::Reverse((head.0, place)));
            }
            walks.push(walk);
        }
        let mut found = Vec::new();
        let mut hits = 0;
        let mut room = Room::default();
        while hits < self.lines.max(1)
            && !room.is_full()
            && let Some(std::cmp::Reverse((_, place))) = heap.pop()
        {
            let (walk, track) = (&mut walks[place], &mut self.tracks[place]);
            let Some((key, line, context)) = walk.head.take() else {
                continue;
            };
            hits += usize::from(!context);
            room.takes(&line);
            let line = Found {
                context,
                ..Found::hit(key, place, line)
            };
            walk.take(track, line, &mut found, &mut room)?;
            walk.advance(track, &self.filter)?;
            if let Some(head) = &walk.head {
                heap.push(std::cmp::Reverse((head.0, place)));
            }
        }
        let places: Vec<Place> = walks
            .into_iter()
            .zip(&self.tracks)
            .map(|(walk, track)| walk.place(track))
            .collect();
        let page = self.page(found, &places);
        Ok(LogPage {
            cut: room.is_full(),
            ..page
        })
    }
}

/// A follower's way through one stream.
struct Walk {
    forward: Forward,
    /// The next line that will be shown, and whether it is context only.
    head: Option<(Key, Line, bool)>,
    /// After the last line that was looked at.
    at: u64,
    /// After the last line that was shown.
    shown: u64,
    pending: usize,
    /// Lines are taken one by one at the moment.
    near: bool,
    context: usize,
    to: u64,
    from: Place,
}

impl Walk {
    fn new(track: &Track, from: Place, context: usize) -> Self {
        let at = from.offset.max(track.low);
        let to = track.high.max(at);
        Self {
            forward: Forward::new(at, to),
            head: None,
            at,
            shown: at.saturating_sub(from.unseen),
            pending: from.pending.min(context),
            near: false,
            context,
            to,
            from,
        }
    }

    /// Finds the next line to show.
    fn advance(&mut self, track: &mut Track, filter: &Filter) -> io::Result<()> {
        let sieve = (!filter.is_empty()).then(|| filter.of(&track.instance, track.stream));
        let near = self.pending > 0 && sieve.is_some();
        // Lines that are shown in any case are taken one by one; else the next hit is searched.
        let chosen = if near { None } else { sieve.as_ref() };
        if near != self.near {
            // What it has read ahead was chosen by the other rule.
            self.near = near;
            self.forward = Forward::new(self.at, self.to);
        }
        self.head = match self.forward.next(&mut track.reader, chosen)? {
            Some(line) => {
                let hit = match (&sieve, near) {
                    (Some(sieve), true) => {
                        sieve.passes(&mut track.reader, line.span.start, &line.bytes)?
                    }
                    _ => true,
                };
                Some((track.key(line.span)?, line, !hit))
            }
            None => None,
        };
        if self.head.is_none() {
            self.at = self.to;
        }
        Ok(())
    }

    /// Shows the head, and what stands before it as far as there is room.
    fn take(
        &mut self,
        track: &mut Track,
        head: Found,
        found: &mut Vec<Found>,
        room: &mut Room,
    ) -> io::Result<()> {
        let (span, low) = (head.line.span, self.shown);
        if head.context {
            self.pending -= 1;
        } else if self.context > 0 {
            for line in before(&mut track.reader, low, span.start, self.context, room)? {
                found.push(Found::around(track.key(line.span)?, head.track, line));
            }
            self.pending = self.context;
        }
        found.push(head);
        self.at = span.end;
        self.shown = span.end;
        Ok(())
    }

    fn place(self, track: &Track) -> Place {
        let offset = match &self.head {
            Some((_, line, _)) => line.span.start,
            None => self.at,
        };
        let context = self.context > 0;
        Place {
            offset,
            pending: if context { self.pending } else { 0 },
            unseen: if context {
                offset.saturating_sub(self.shown)
            } else {
                0
            },
            ..track.place(offset.max(self.from.offset))
        }
    }
}
