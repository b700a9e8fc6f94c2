//! What Discord says when it does not do something, and what that means here.
//!
//! Its own code says most of it; where there is none, the status does. The codes are those of
//! Discord's documentation, "JSON Error Codes".

use std::time::Duration;

use serde::Deserialize;

use crate::ChatError;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// When it says "too fast" and not how long.
const UNSAID: Duration = Duration::from_secs(5);
/// Something is no more, or nobody can write there.
const GONE: [u32; 12] = [
    UNKNOWN_CHANNEL,
    10_004, // guild
    10_008, // message
    10_013, // user
    10_015, // webhook: the token of an interaction that is over
    UNKNOWN_INTERACTION,
    50_001,  // no access to the channel any more
    50_007,  // the user takes no messages
    50_027,  // the token of an interaction is wrong
    50_083,  // the thread is archived
    50_278,  // no common server with the user
    160_005, // the thread is locked
];
/// There is no channel of this id.
const UNKNOWN_CHANNEL: u32 = 10_003;
/// The interaction is over, or never was.
const UNKNOWN_INTERACTION: u32 = 10_062;
/// The interaction was acknowledged before.
const ACKNOWLEDGED: u32 = 40_060;
/// The bot lacks a right in the channel.
const NO_RIGHT: u32 = 50_013;

/// A refusal, or no answer at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Failure {
    /// The status; none when nothing came back.
    pub(super) status: Option<u16>,
    /// Discord's own code, 0 when there is none.
    pub(super) code: u32,
    /// Its words, without the token.
    pub(super) text: String,
    /// How long to wait, if it says so.
    pub(super) after: Option<Duration>,
    /// The wait is for everything that the bot does.
    pub(super) global: bool,
}

/// The body of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) code: u32,
    pub(super) retry_after: Option<f64>,
    pub(super) global: bool,
    /// Where in the request it is wrong.
    pub(super) errors: Option<serde_json::Value>,
}

impl Failure {
    /// Nothing came back.
    pub(super) fn unanswered(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// It was not acknowledged in time, so the interaction is over.
    pub(super) fn late() -> Self {
        Self {
            code: UNKNOWN_INTERACTION,
            ..Self::unanswered("it was not acknowledged in time".into())
        }
    }

    /// Somebody acknowledged the interaction before.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.code == ACKNOWLEDGED
    }

    /// The id is of no channel; it may be of somebody's private one.
    pub(super) fn is_no_channel(&self) -> bool {
        self.code == UNKNOWN_CHANNEL
    }

    /// The token of an interaction does not help any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.code, 10_015 | UNKNOWN_INTERACTION | 50_027)
    }

    /// How long nothing may be sent.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.status == Some(429)).then(|| self.after.unwrap_or(UNSAID))
    }
}

/// Seconds, as Discord says them.
pub(super) fn seconds(said: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(said)
        .ok()
        .map(|wait| wait.min(LONGEST))
}

impl From<Failure> for ChatError {
    fn from(failure: Failure) -> Self {
        if let Some(after) = failure.wait() {
            return Self::TooFast { after };
        }
        let text = failure.text;
        match (failure.status, failure.code) {
            (None, _) => Self::Unavailable(text),
            (_, code) if GONE.contains(&code) => Self::Gone(text),
            (_, NO_RIGHT) => Self::Refused(format!(
                "{text}; give the bot View Channel, Send Messages, Embed Links and Attach Files there"
            )),
            (Some(401), _) => Self::Unauthorised(text),
            (Some(status), _) if status >= 500 => Self::Unavailable(text),
            (Some(_), _) => Self::Refused(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, code: u32) -> ChatError {
        let failure = Failure {
            status: Some(status),
            code,
            text: "x".into(),
            ..Failure::default()
        };
        failure.into()
    }

    #[test]
    fn codes_have_one_meaning() {
        use ChatError::{Gone, Refused, Unauthorised, Unavailable};
        type Kind = fn(String) -> ChatError;
        let cases: [(u16, u32, Kind); 12] = [
            (401, 0, Unauthorised),
            (401, 50_027, Gone),
            (404, 10_003, Gone),
            (404, 10_008, Gone),
            (404, 10_015, Gone),
            (403, 50_001, Gone),
            (403, 50_007, Gone),
            (400, 50_035, Refused),
            (403, 20_012, Refused),
            (404, 0, Refused),
            (500, 0, Unavailable),
            (503, 0, Unavailable),
        ];
        for (status, code, kind) in cases {
            assert_eq!(said(status, code), kind("x".into()), "{status} {code}");
        }
        let ChatError::Refused(text) = said(403, 50_013) else {
            panic!("a missing right can be given");
        };
        assert!(text.contains("Send Messages"));
    }

    #[test]
    fn a_wait_is_obeyed_and_has_an_end() {
        let too_fast = |after| {
            let failure = Failure {
                status: Some(429),
                after,
                ..Failure::default()
            };
            ChatError::from(failure)
        };
        let wait = |after| ChatError::TooFast { after };
        assert_eq!(too_fast(seconds(1.5)), wait(Duration::from_millis(1_500)));
        assert_eq!(too_fast(None), wait(Duration::from_secs(5)));
        assert_eq!(too_fast(seconds(f64::MAX)), wait(UNSAID));
        assert_eq!(too_fast(seconds(-1.0)), wait(UNSAID));
        assert_eq!(too_fast(seconds(1e9)), wait(LONGEST));
    }
}
