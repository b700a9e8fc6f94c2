//! The numbers that secrets have in one conversation.
//!
//! A conversation may outlast a [`Redactor`](super::Redactor): settings change between two
//! questions, and secrets with them. So the numbers stand apart and are handed from one to the
//! next. Of a secret only a keyed hash is kept, which nobody can read it from.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use super::spans::Span;
use super::{CLOSE, OPEN};

/// Secrets that get a number; those after them share one mark without.
const NUMBERED: usize = 4_096;

/// What one conversation calls its secrets: the same one always by the same mark. Copies share
/// the numbers.
#[derive(Clone, Default)]
pub struct Marks(Arc<Mutex<Numbers>>);

/// Two secrets of the same hash would share a mark; among so few it does not happen.
#[derive(Default)]
struct Numbers {
    key: RandomState,
    by_hash: HashMap<u64, (&'static str, usize)>,
    /// Nothing is numbered.
    plain: bool,
}

impl Marks {
    /// All without a number.
    pub fn unnumbered() -> Self {
        Self(Arc::new(Mutex::new(Numbers {
            plain: true,
            ..Numbers::default()
        })))
    }

    /// The mark of a secret: the one that it has, or the next.
    pub(super) fn of(&self, span: &Span) -> String {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.plain {
            return format!("{OPEN}{}{CLOSE}", span.kind);
        }
        let next = numbers.by_hash.len() + 1;
        let hash = numbers.key.hash_one(&span.secret);
        let known = numbers.by_hash.get(&hash).copied();
        let (kind, number) = match known {
            Some(known) => known,
            None if next > NUMBERED => return format!("{OPEN}{}{CLOSE}", span.kind),
            None => {
                numbers.by_hash.insert(hash, (span.kind, next));
                (span.kind, next)
            }
        };
        format!("{OPEN}{kind}#{number}{CLOSE}")
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Marks")
            .field("secrets", &numbers.by_hash.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RedactOptions, Redactor};
    use super::*;

    /// The second redactor knows one secret more, and meets them in another order.
    #[test]
    fn a_conversation_keeps_its_marks_from_one_redactor_to_the_next() {
        let redactor = |known: &[&str]| {
            let known = known.iter().map(|one| (*one).into());
            Redactor::new(known.collect::<Vec<_>>(), RedactOptions::default())
        };
        let (ana, bob) = ("hunter22-of-ana", "sunflower-of-bob");
        let marks = Marks::default();
        let first = redactor(&[ana]).with(marks.clone());
        assert_eq!(first.redact(ana), "«redacted:secret#1»");
        let later = redactor(&[ana, bob]).with(marks.clone());
        assert_eq!(
            later.redact(&format!("{bob} {ana}")),
            "«redacted:secret#2» «redacted:secret#1»"
        );
        let other = later.with(Marks::default());
        assert_eq!(other.redact(bob), "«redacted:secret#1»");
        let printed = format!("{marks:?} {later:?}");
        assert!(printed.contains("secrets: 2"), "{printed}");
        assert!(!printed.contains("hunter") && !printed.contains("sunflower"));
    }
}
