//! What stands in the place of bytes that cannot be read: one line that says so.
//!
//! ```text
//! line end · [mhost] 131072 bytes … are damaged · line end · a gap · line end
//! ```
//!
//! Offsets stay what they were, so the lines before and after it are served as ever. The gap
//! is left out by readers, as those of [`super::gaps`] are.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Most files that are remembered, so that each is told once.
const MOST: usize = 1_000;

/// What is told of a part of so many bytes.
fn told(length: u64) -> String {
    format!("\n[mhost] {length} bytes of this log are damaged and cannot be read\n")
}

/// Where in a damaged part its gap is.
pub(super) fn gap(length: u64) -> Range<u64> {
    let text = told(length).len() as u64;
    if text < length {
        text..length
    } else {
        0..length
    }
}

/// Fills in what is read of a damaged part from `at` on.
pub(super) fn fill(into: &mut [u8], at: u64, length: u64) -> usize {
    let count = into
        .len()
        .min(usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX));
    let text = told(length);
    let text = if (text.len() as u64) < length {
        text.as_bytes()
    } else {
        &[]
    };
    for (byte, at) in into[..count].iter_mut().zip(at..) {
        *byte = match text.get(usize::try_from(at).unwrap_or(usize::MAX)) {
            Some(told) => *told,
            None if at + 1 == length => b'\n',
            None => 0,
        };
    }
    count
}

/// Says in the daemon's log that a file is damaged, once.
pub(in crate::logs) fn tell(path: &Path, why: &str) {
    static KNOWN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() < MOST && known.insert(path.to_owned()) {
        let path = path.display();
        tracing::warn!(%path, why, "A kept log is damaged; the rest of it is served.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_reads_as_the_whole_does() {
        for length in [1, 10, 70, 1_000] {
            let mut whole = vec![1; length];
            assert_eq!(fill(&mut whole, 0, length as u64), length);
            assert_eq!(whole.last(), Some(&b'\n'));
            for at in 0..length {
                let mut part = [1; 7];
                let count = fill(&mut part, at as u64, length as u64);
                assert_eq!(part[..count], whole[at..(at + 7).min(length)]);
            }
            let gap = gap(length as u64);
            let text = String::from_utf8(whole[..gap.start as usize].to_vec()).unwrap();
            assert!(text.is_empty() || text.contains("bytes of this log are damaged"));
        }
    }
}
