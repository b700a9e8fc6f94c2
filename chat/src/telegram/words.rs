//! Whom a text is for, and what of it is only the address.

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Without what addresses the bot.
    pub(super) text: String,
    /// The bot is named, or it is a command.
    pub(super) called: bool,
}

/// Reads a text as the bot of this user name. `None` when it is a command for another bot.
pub(super) fn hear(text: &str, bot: Option<&str>) -> Option<Heard> {
    let text = text.trim();
    let mut called = bot.is_some_and(|bot| mentions(text, bot));
    let text = bot.map_or(text, |bot| bare(text, bot));
    if !text.starts_with('/') {
        let text = text.to_owned();
        return Some(Heard { text, called });
    }
    called = true;
    let word = text.split_whitespace().next().unwrap_or_default();
    let Some((command, whose)) = word.split_once('@') else {
        let text = text.to_owned();
        return Some(Heard { text, called });
    };
    if !bot.is_some_and(|bot| bot.eq_ignore_ascii_case(whose)) {
        return None;
    }
    let rest = &text[word.len()..];
    Some(Heard {
        text: format!("{command}{rest}"),
        called,
    })
}

/// Without the bot's name at the beginning and the end.
fn bare<'a>(text: &'a str, bot: &str) -> &'a str {
    let mut text = text;
    while let Some(rest) = named(text, bot) {
        text = rest.trim_start_matches([',', ':']).trim_start();
    }
    while let Some(at) = text.rfind('@') {
        let stands_alone = text[..at].ends_with(char::is_whitespace);
        match named(&text[at..], bot) {
            Some("") if stands_alone => text = text[..at].trim_end(),
            _ => break,
        }
    }
    text
}

/// What follows the bot's name, if the text begins with it.
fn named<'a>(text: &'a str, bot: &str) -> Option<&'a str> {
    let rest = text.strip_prefix('@')?;
    let name = rest.get(..bot.len())?;
    let rest = &rest[bot.len()..];
    (name.eq_ignore_ascii_case(bot) && !rest.starts_with(in_name)).then_some(rest)
}

fn mentions(text: &str, bot: &str) -> bool {
    text.match_indices('@')
        .any(|(at, _)| !text[..at].ends_with(in_name) && named(&text[at..], bot).is_some())
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_addresses_the_bot_is_taken_off() {
        for (text, expected, called) in [
            ("/status api", "/status api", true),
            ("/status@mhost_bot api", "/status api", true),
            ("/STATUS@MHOST_Bot", "/STATUS", true),
            ("  /logs@mhost_bot\napi 20 ", "/logs\napi 20", true),
            ("@mhost_bot status", "status", true),
            ("@mhost_bot: /status api", "/status api", true),
            ("why is it slow, @mhost_bot", "why is it slow,", true),
            ("why is @mhost_bot slow?", "why is @mhost_bot slow?", true),
            ("@mhost_bot", "", true),
            ("yes", "yes", false),
            ("mail ana@mhost_bot", "mail ana@mhost_bot", false),
            ("@mhost_bot2 yes", "@mhost_bot2 yes", false),
            ("@ärger yes", "@ärger yes", false),
            ("status /api", "status /api", false),
            ("/deploy api ana@host", "/deploy api ana@host", true),
        ] {
            let heard = hear(text, Some("mhost_bot"));
            let text = Some(expected.to_owned());
            assert_eq!(heard.as_ref().map(|one| one.text.clone()), text);
            assert_eq!(heard.map(|one| one.called), Some(called), "{expected}");
        }
    }

    #[test]
    fn commands_for_others_are_none_of_ours() {
        for text in [
            "/status@other_bot",
            "/status@",
            "/status@mhost_bot@x",
            "/@x",
        ] {
            assert_eq!(hear(text, Some("mhost_bot")), None, "{text}");
        }
        assert_eq!(hear("/status@mhost_bot", None), None);
    }
}
