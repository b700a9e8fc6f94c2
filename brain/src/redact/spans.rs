//! Places in a text that hide a secret, made into places that do not overlap.

use std::ops::Range;

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What it is.
    pub(super) kind: &'static str,
    /// Of two at one place the smaller one names the secret.
    pub(super) rank: usize,
    /// The secret itself: equal ones get one number.
    pub(super) secret: String,
}

impl Span {
    pub(super) fn new(range: Range<usize>, kind: &'static str, rank: usize, secret: &str) -> Self {
        Self {
            from: range.start,
            to: range.end,
            kind,
            rank,
            secret: secret.to_owned(),
        }
    }
}

/// Joins what overlaps and cuts out what is marked already. In order.
pub(super) fn settle(text: &str, mut found: Vec<Span>, marks: &[Range<usize>]) -> Vec<Span> {
    found.sort_by_key(|span| (span.from, span.rank));
    let mut joined: Vec<Span> = Vec::with_capacity(found.len());
    for span in found {
        match joined.last_mut() {
            Some(last) if span.from < last.to => {
                let to = last.to.max(span.to);
                if span.rank < last.rank {
                    last.kind = span.kind;
                    last.rank = span.rank;
                    last.secret = span.secret;
                }
                last.to = to;
            }
            _ => joined.push(span),
        }
    }
    if marks.is_empty() {
        return joined;
    }
    let mut all = Vec::with_capacity(joined.len());
    for span in joined {
        let mut from = span.from;
        let first = marks.partition_point(|mark| mark.end <= span.from);
        let inside = marks[first..]
            .iter()
            .take_while(|mark| mark.start < span.to);
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        for mark in inside {
            if from < mark.start {
                pieces.push((from, mark.start));
            }
            from = from.max(mark.end);
        }
        if from < span.to {
            pieces.push((from, span.to));
        }
        if pieces == [(span.from, span.to)] {
            all.push(span);
            continue;
        }
        for (from, to) in pieces {
            // Marks of a sentence between two secrets hide nothing.
            if text[from..to].chars().any(char::is_alphanumeric) {
                all.push(Span::new(from..to, span.kind, span.rank, &text[from..to]));
            }
        }
    }
    all
}
