//! What Slack says when it does not do something, and what that means here.
//!
//! Nearly all of its answers have status 200 and a word in `error`; the word decides.

use std::time::Duration;

use crate::ChatError;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// When it says "too fast" and not how long.
const UNSAID: Duration = Duration::from_secs(5);
/// The token is none, or is no more.
const UNAUTHORISED: [&str; 9] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "not_allowed_token_type",
    "app_not_installed",
    "invalid_token",
    "team_access_not_granted",
];
/// Something that was there is no more, or nobody can write there.
const GONE: [&str; 18] = [
    "channel_not_found",
    "message_not_found",
    "thread_not_found",
    "not_in_channel",
    "is_archived",
    "user_not_found",
    "users_not_found",
    "user_disabled",
    "user_not_in_channel",
    "cannot_dm_bot",
    "cant_update_message",
    "edit_window_closed",
    "messages_tab_disabled",
    "file_not_found",
    "expired_url",
    "used_url",
    "no_service",
    "no_team",
];
const TOO_FAST: [&str; 3] = ["ratelimited", "rate_limited", "message_limit_exceeded"];
const LATER: [&str; 6] = [
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
    "accesslimited",
];

/// A refusal, or no answer at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// The status; none when nothing came back.
    pub(super) status: Option<u16>,
    /// Slack's word for it, else what is known, without secrets.
    pub(super) text: String,
    /// The scope that the bot would need.
    pub(super) needed: Option<String>,
    /// Seconds to wait, as the header says.
    pub(super) retry_after: Option<u64>,
}

impl Failure {
    /// Nothing came back.
    pub(super) fn unanswered(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// How long nothing may be sent.
    pub(super) fn wait(&self) -> Option<Duration> {
        let is_too_fast = self.status == Some(429) || TOO_FAST.contains(&&*self.text);
        let said = self.retry_after.map(Duration::from_secs);
        is_too_fast.then(|| said.unwrap_or(UNSAID).min(LONGEST))
    }

    /// The bot is not where it should write.
    pub(super) fn is_outside(&self) -> bool {
        matches!(&*self.text, "not_in_channel" | "channel_not_found")
    }
}

impl From<Failure> for ChatError {
    fn from(failure: Failure) -> Self {
        if let Some(after) = failure.wait() {
            return Self::TooFast { after };
        }
        let Failure {
            status,
            text,
            needed,
            ..
        } = failure;
        let is = |words: &[&str]| words.contains(&&*text);
        if is(&UNAUTHORISED) {
            return Self::Unauthorised(text);
        }
        if is(&GONE) {
            return Self::Gone(text);
        }
        match (status, needed) {
            (None, _) => Self::Unavailable(text),
            (Some(500..), _) => Self::Unavailable(text),
            _ if is(&LATER) => Self::Unavailable(text),
            (_, Some(needed)) => Self::Refused(format!(
                "{text}: add the scope {needed} to the app and install it anew"
            )),
            _ => Self::Refused(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> ChatError {
        let failure = Failure {
            status: Some(200),
            text: text.into(),
            ..Failure::default()
        };
        failure.into()
    }

    #[test]
    fn words_have_one_meaning() {
        use ChatError::{Gone, Refused, Unauthorised, Unavailable};
        type Kind = fn(String) -> ChatError;
        let cases: [(&str, Kind); 10] = [
            ("invalid_auth", Unauthorised),
            ("token_revoked", Unauthorised),
            ("not_allowed_token_type", Unauthorised),
            ("channel_not_found", Gone),
            ("not_in_channel", Gone),
            ("is_archived", Gone),
            ("message_not_found", Gone),
            ("invalid_blocks", Refused),
            ("internal_error", Unavailable),
            ("fatal_error", Unavailable),
        ];
        for (text, kind) in cases {
            assert_eq!(said(text), kind(text.into()), "{text}");
        }
        let status = |status, text: &str| {
            ChatError::from(Failure {
                status: Some(status),
                text: text.into(),
                ..Failure::default()
            })
        };
        assert_eq!(status(503, "status 503"), Unavailable("status 503".into()));
        assert_eq!(status(404, "status 404"), Refused("status 404".into()));
        let scope = Failure {
            status: Some(200),
            text: "missing_scope".into(),
            needed: Some("files:write".into()),
            retry_after: None,
        };
        let told = ChatError::from(scope).to_string();
        assert!(told.contains("files:write"), "{told}");
    }

    #[test]
    fn a_wait_is_obeyed_and_has_an_end() {
        let too_fast = |retry_after| {
            let failure = Failure {
                status: Some(429),
                text: "ratelimited".into(),
                needed: None,
                retry_after,
            };
            ChatError::from(failure)
        };
        let wait = |seconds| ChatError::TooFast {
            after: Duration::from_secs(seconds),
        };
        assert_eq!(too_fast(Some(7)), wait(7));
        assert_eq!(too_fast(None), wait(5));
        assert_eq!(too_fast(Some(u64::MAX)), wait(86_400));
        assert_eq!(said("ratelimited"), wait(5));
    }
}
