//! What Telegram says when it does not do something, and what that means here.
//!
//! The code says most of it. Only for 400 its words are looked at, since they alone tell a
//! message that is gone from one that is wrong; the words are those of Telegram's own server.

use std::time::Duration;

use serde::Deserialize;

use crate::ChatError;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// When it says "too fast" and not how long.
const UNSAID: Duration = Duration::from_secs(5);
/// Something that was there is no more, or nobody can write there.
const GONE: [&str; 15] = [
    "message to edit not found",
    "message to be replied not found",
    "message can't be edited",
    "message_id_invalid",
    "message thread not found",
    "topic_deleted",
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "chat was deactivated",
    "group is deactivated",
    "chat was deleted",
    "upgraded to a supergroup",
    "query is too old",
    "query_id_invalid",
];

/// A refusal, or no answer at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// Telegram's code, else the status; none when nothing came back.
    pub(super) code: Option<u16>,
    /// Its words, without the token.
    pub(super) text: String,
    /// What it says beside that.
    pub(super) more: More,
}

/// What may stand beside a refusal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct More {
    /// Seconds to wait.
    pub(super) retry_after: Option<u64>,
    /// The group has become a supergroup of this id.
    pub(super) migrate_to_chat_id: Option<i64>,
}

impl Failure {
    /// Nothing came back.
    pub(super) fn unanswered(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// The message looks like that already.
    pub(super) fn is_unchanged(&self) -> bool {
        self.code == Some(400) && self.text.contains("message is not modified")
    }

    /// How long nothing may be sent.
    pub(super) fn wait(&self) -> Option<Duration> {
        let said = self.more.retry_after.map(Duration::from_secs);
        let said = said.map(|wait| wait.min(LONGEST));
        (self.code == Some(429) || said.is_some()).then(|| said.unwrap_or(UNSAID))
    }
}

impl From<Failure> for ChatError {
    fn from(failure: Failure) -> Self {
        if let Some(after) = failure.wait() {
            return Self::TooFast { after };
        }
        let text = failure.text;
        let lower = text.to_ascii_lowercase();
        match failure.code {
            None => Self::Unavailable(text),
            // 404 is a token that is none at all: `/bot<token>/` leads nowhere.
            Some(401 | 404) => Self::Unauthorised(text),
            Some(403) => Self::Gone(text),
            Some(409) => Self::Conflict(text),
            Some(400) if GONE.iter().any(|words| lower.contains(words)) => Self::Gone(text),
            Some(code) if code >= 500 => Self::Unavailable(text),
            Some(_) => Self::Refused(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, text: &str) -> ChatError {
        let failure = Failure {
            code: Some(code),
            text: text.into(),
            ..Failure::default()
        };
        failure.into()
    }

    #[test]
    fn codes_and_words_have_one_meaning() {
        use ChatError::{Conflict, Gone, Refused, Unauthorised, Unavailable};
        type Kind = fn(String) -> ChatError;
        let cases: [(u16, &str, Kind); 14] = [
            (401, "Unauthorized", Unauthorised),
            (404, "Not Found", Unauthorised),
            (
                409,
                "Conflict: terminated by other getUpdates request",
                Conflict,
            ),
            (403, "Forbidden: bot was blocked by the user", Gone),
            (
                403,
                "Forbidden: bot was kicked from the supergroup chat",
                Gone,
            ),
            (400, "Bad Request: message to edit not found", Gone),
            (400, "Bad Request: chat not found", Gone),
            (400, "Bad Request: MESSAGE_ID_INVALID", Gone),
            (
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
                Gone,
            ),
            (400, "Bad Request: can't parse entities", Refused),
            (400, "Bad Request: message is too long", Refused),
            (413, "Request Entity Too Large", Refused),
            (500, "Internal Server Error", Unavailable),
            (502, "status 502", Unavailable),
        ];
        for (code, text, kind) in cases {
            assert_eq!(said(code, text), kind(text.into()), "{code} {text}");
        }
    }

    #[test]
    fn a_wait_is_obeyed_and_has_an_end() {
        let too_fast = |retry_after| {
            let failure = Failure {
                code: Some(429),
                text: "Too Many Requests".into(),
                more: More {
                    retry_after,
                    migrate_to_chat_id: None,
                },
            };
            ChatError::from(failure)
        };
        let wait = |seconds| ChatError::TooFast {
            after: Duration::from_secs(seconds),
        };
        assert_eq!(too_fast(Some(7)), wait(7));
        assert_eq!(too_fast(None), wait(5));
        assert_eq!(too_fast(Some(u64::MAX)), wait(86_400));
    }
}
