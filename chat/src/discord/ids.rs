//! Discord's ids, and what can be read from them.

use std::time::Duration;

use jiff::Timestamp;
use supervisor::until;

use super::settings::is_id;
use crate::{ChatError, MessageRef, Place};

/// The first second of 2015, from which Discord counts, in milliseconds.
const EPOCH: i64 = 1_420_070_400_000;
/// Tokens of interactions are good for 15 minutes; a little less, so that none ends on its way.
const GOOD: Duration = Duration::from_secs(14 * 60 + 30);

/// When something was made: the upper bits of its id count milliseconds.
pub(super) fn time(id: &str) -> Option<Timestamp> {
    let id: u64 = id.parse().ok()?;
    let ms = i64::try_from(id >> 22).ok()?;
    Timestamp::from_millisecond(EPOCH.checked_add(ms)?).ok()
}

/// How much longer the token of this interaction is good for; none when it is over.
pub(super) fn left(interaction: &str, now: Timestamp) -> Option<Duration> {
    let age = until(time(interaction)?, now);
    GOOD.checked_sub(age).filter(|left| !left.is_zero())
}

/// The channel of a place: a thread is one of its own.
pub(super) fn channel(place: &Place) -> Result<&str, ChatError> {
    number(place.thread.as_deref().unwrap_or(&place.chat), "channel")
}

/// The channel and the id of a message.
pub(super) fn of(message: &MessageRef) -> Result<(&str, &str), ChatError> {
    Ok((channel(&message.place)?, number(&message.id, "message")?))
}

/// An id, which becomes a part of addresses, so nothing else may stand there.
pub(super) fn number<'a>(text: &'a str, what: &str) -> Result<&'a str, ChatError> {
    if is_id(text) {
        return Ok(text);
    }
    let text: String = text.chars().take(40).collect();
    Err(ChatError::Refused(format!(
        "`{text}` is no {what} of Discord, which is a number"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Discord's documentation.
    const EXAMPLE: &str = "175928847299117063";

    #[test]
    fn an_id_says_when_it_was_made() {
        let at = time(EXAMPLE).unwrap();
        assert_eq!(at.to_string(), "2016-04-30T11:18:25.796Z");
        assert_eq!(time("x"), None);
        assert_eq!(time("99999999999999999999"), None);
    }

    #[test]
    fn a_token_ends_before_discord_ends_it() {
        let made = time(EXAMPLE).unwrap();
        let after = |seconds| supervisor::after(made, Duration::from_secs(seconds));
        assert_eq!(left(EXAMPLE, made), Some(GOOD));
        assert!(left(EXAMPLE, after(869)).is_some());
        assert_eq!(left(EXAMPLE, after(870)), None);
        assert_eq!(left(EXAMPLE, after(86_400)), None);
    }

    #[test]
    fn what_is_no_id_reaches_no_address() {
        assert_eq!(number(EXAMPLE, "channel"), Ok(EXAMPLE));
        for text in [
            "",
            "../x",
            "1759288472991170630000",
            "@me",
            "17592884729911706x",
        ] {
            assert!(number(text, "channel").is_err(), "{text}");
        }
    }
}
