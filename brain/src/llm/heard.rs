//! What has come of an answer so far.
//!
//! A provider tells it piece by piece. Whoever asked can still see it when the answer broke
//! off, came too late, or was no longer wanted: it has been paid for all the same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{ModelError, Sink, Usage};

/// Longest answer, in bytes of its text and its calls. No prompt of ours asks for a hundredth.
pub(super) const LONGEST: usize = 1 << 20;
/// Bytes of English text in a token, roughly; less in other languages and in code.
const BYTES_PER_TOKEN: u64 = 4;

/// Hears one try of one provider.
pub(super) struct Heard<'a> {
    sink: &'a dyn Sink,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    shown: bool,
    bytes: usize,
    usage: Option<Usage>,
    retry_after: Option<Duration>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(sink: &'a dyn Sink) -> Self {
        Self {
            sink,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of the text.
    pub(super) fn piece(&self, text: &str) -> Result<(), ModelError> {
        self.counted(text.len())?;
        if !text.is_empty() {
            self.lock().shown = true;
            self.sink.piece(text);
        }
        Ok(())
    }

    /// So many bytes more, which nobody is shown.
    pub(super) fn counted(&self, bytes: usize) -> Result<(), ModelError> {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_add(bytes);
        if state.bytes > LONGEST {
            return Err(ModelError::Nonsense("it is longer than 1 MB".into()));
        }
        Ok(())
    }

    /// What the provider says that it costs so far; a later word counts more.
    pub(super) fn usage(&self, usage: Usage) {
        self.lock().usage = Some(usage);
    }

    /// How long the provider wants to be left alone.
    pub(super) fn retry_after(&self, wait: Duration) {
        self.lock().retry_after = Some(wait);
    }

    /// The same, for whoever tries again.
    pub(super) fn wanted_wait(&self) -> Option<Duration> {
        self.lock().retry_after
    }

    /// Has anybody been shown a piece?
    pub(super) fn has_shown(&self) -> bool {
        self.lock().shown
    }

    /// Has anything come at all?
    pub(super) fn has_begun(&self) -> bool {
        let state = self.lock();
        state.bytes > 0 || state.usage.is_some()
    }

    /// What it cost: as the provider says, but no less than the bytes of question and answer
    /// make likely. A cap that a server with a bill of nothing gets past is none.
    pub(super) fn cost(&self, question_bytes: usize) -> Usage {
        let state = *self.lock();
        let likely = Usage {
            prompt_tokens: guess(question_bytes),
            answer_tokens: guess(state.bytes),
            estimated: true,
        };
        let Some(told) = state.usage.filter(is_sane) else {
            return likely;
        };
        Usage {
            prompt_tokens: told.prompt_tokens.max(likely.prompt_tokens),
            answer_tokens: told.answer_tokens.max(likely.answer_tokens),
            estimated: likely.prompt_tokens > told.prompt_tokens
                || likely.answer_tokens > told.answer_tokens,
        }
    }

    /// The same for an answer that has not ended: providers say what it cost at its end, and
    /// at its beginning that it has one token.
    pub(super) fn cost_so_far(&self, question_bytes: usize) -> Usage {
        let told = self.cost(question_bytes);
        let come = guess(self.lock().bytes);
        Usage {
            answer_tokens: told.answer_tokens.max(come),
            estimated: told.estimated || come > told.answer_tokens,
            ..told
        }
    }
}

/// More tokens than any model takes or gives at once.
const ABSURD: u64 = 100_000_000;

/// Can a bill be meant? One of nothing for both, or of more than there is, cannot.
fn is_sane(bill: &Usage) -> bool {
    let parts = [bill.prompt_tokens, bill.answer_tokens];
    parts.iter().any(|part| *part > 0) && parts.iter().all(|part| *part < ABSURD)
}

fn guess(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::*;

    #[test]
    fn an_answer_without_a_bill_is_estimated() {
        let heard = Heard::new(&Silent);
        assert!(!heard.has_begun());
        heard.piece("0123456789").unwrap();
        let usage = heard.cost(401);
        assert_eq!((usage.prompt_tokens, usage.answer_tokens), (101, 3));
        assert!(usage.estimated && heard.has_shown());
        let told = Usage {
            prompt_tokens: 107,
            answer_tokens: 4,
            estimated: false,
        };
        heard.usage(told);
        assert_eq!(heard.cost(401), told);
    }

    /// Nothing at all, less than the bytes allow, more than there is: a cap counts all the same.
    #[test]
    fn a_bill_that_cannot_be_meant_is_not_believed() {
        for (prompt_tokens, answer_tokens) in [(0, 0), (1, 0), (u64::MAX, 3), (9, u64::MAX)] {
            let heard = Heard::new(&Silent);
            heard.piece("0123456789").unwrap();
            heard.usage(Usage {
                prompt_tokens,
                answer_tokens,
                estimated: false,
            });
            let usage = heard.cost(401);
            assert_eq!((usage.prompt_tokens, usage.answer_tokens), (101, 3));
            assert!(usage.estimated);
        }
    }

    #[test]
    fn an_answer_that_was_cut_off_costs_what_has_come_of_it() {
        let heard = Heard::new(&Silent);
        heard.usage(Usage {
            prompt_tokens: 107,
            answer_tokens: 1,
            estimated: false,
        });
        assert!(!heard.cost_so_far(401).estimated);
        heard.piece(&"word ".repeat(80)).unwrap();
        let cost = heard.cost_so_far(401);
        assert_eq!((cost.prompt_tokens, cost.answer_tokens), (107, 100));
        assert!(cost.estimated);
    }

    #[test]
    fn an_endless_answer_is_ended() {
        let heard = Heard::new(&Silent);
        heard.counted(LONGEST).unwrap();
        assert!(matches!(heard.piece("x"), Err(ModelError::Nonsense(_))));
    }
}
