//! Slack's own writing of a text, as the text that somebody wrote; and what of it is only the
//! address.
//!
//! In what comes from Slack `& < >` are escaped and whatever it has recognised stands between
//! `<` and `>`: `<@U0123>`, `<#C0123|general>`, `<!here>`, `<http://api.example|api.example>`.

/// A text with its marks read: mentions as `@id`, links as they were written.
pub(super) fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')]
            .into_iter()
            .find(|(name, _)| rest.starts_with(name));
        let mark = rest
            .strip_prefix('<')
            .and_then(|inner| inner.split_once('>'))
            .filter(|(inner, _)| !inner.contains('<'));
        match (entity, mark) {
            (Some((name, letter)), _) => {
                plain.push(letter);
                rest = &rest[name.len()..];
            }
            (None, Some((inner, after))) => {
                plain.push_str(&marked(inner));
                rest = after;
            }
            (None, None) => {
                plain.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn marked(inner: &str) -> String {
    let (what, label) = match inner.split_once('|') {
        Some((what, label)) => (what, Some(label)),
        None => (inner, None),
    };
    let label = label.filter(|label| !label.is_empty()).map(unescaped);
    match what.as_bytes().first() {
        // An id says who it is; a label is what they call themselves.
        Some(b'@') => what.to_owned(),
        Some(b'#') => format!("#{}", label.unwrap_or_else(|| what[1..].to_owned())),
        Some(b'!') => label.unwrap_or_else(|| format!("@{}", &what[1..])),
        _ => label.unwrap_or_else(|| unescaped(what)),
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Without what addresses the bot; a command begins with `/`.
    pub(super) text: String,
    /// The bot is named.
    pub(super) called: bool,
}

/// Reads the text of a message for the bot of this user id. `commands` are the words that are
/// commands also without a slash: people cannot begin a message with one on Slack.
pub(super) fn hear(text: &str, bot: &str, commands: &[String]) -> Heard {
    let text = decoded(text);
    let name = format!("@{bot}");
    let called = text
        .match_indices(&name)
        .any(|(at, _)| ends(&text[at + name.len()..]));
    let mut bare = text.trim();
    while let Some(rest) = bare.strip_prefix(&name).filter(|rest| ends(rest)) {
        bare = rest.trim_start_matches([',', ':']).trim_start();
    }
    while let Some(rest) = bare.strip_suffix(&name) {
        if !rest.is_empty() && !rest.ends_with(char::is_whitespace) {
            break;
        }
        bare = rest.trim_end();
    }
    let text = match is_command(bare, commands) {
        true => format!("/{bare}"),
        false => bare.to_owned(),
    };
    Heard { text, called }
}

/// The text of a slash command: `/mhost status api` comes as `status api`. What is a sentence,
/// or a yes or no, is left as it is.
pub(super) fn command(text: &str, commands: &[String]) -> String {
    let text = decoded(text);
    let text = text.trim();
    if text.is_empty() {
        return "/help".to_owned();
    }
    let is_said = is_answer(text) || text.split_whitespace().count() > 2;
    if text.starts_with('/') || (is_said && !is_command(text, commands)) {
        return text.to_owned();
    }
    format!("/{text}")
}

/// Answers in a word. Some are commands as well, which have more words.
const ANSWERS: [&str; 10] = [
    "yes", "no", "y", "n", "ok", "approve", "deny", "cancel", "👍", "👎",
];

fn is_answer(text: &str) -> bool {
    ANSWERS.contains(&&*text.to_lowercase())
}

fn is_command(text: &str, commands: &[String]) -> bool {
    if is_answer(text) {
        return false;
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    commands.iter().any(|one| one.eq_ignore_ascii_case(word))
}

fn ends(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_what_was_written() {
        for (text, expected) in [
            ("a &amp;&lt;b&gt; &amp;lt;", "a &<b> &lt;"),
            ("<@U1> <@U2|ana>", "@U1 @U2"),
            ("<#C1|general> <#C2>", "#general #C2"),
            ("<!here> <!subteam^S1|@ops>", "@here @ops"),
            ("logs <http://api.example|api.example>", "logs api.example"),
            (
                "<https://a.example/?b=1&amp;c=2>",
                "https://a.example/?b=1&c=2",
            ),
            ("<mailto:a@b.example|a@b.example>", "a@b.example"),
            ("1 < 2 <", "1 < 2 <"),
            ("<<@U1>", "<@U1"),
            ("ä<|>ö", "äö"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_addresses_the_bot_is_taken_off() {
        let commands = ["status", "logs", "approve"].map(str::to_owned);
        for (text, expected, called) in [
            ("<@U1> status api", "/status api", true),
            ("<@U1>: /status api", "/status api", true),
            ("<@U1> STATUS", "/STATUS", true),
            ("status api", "/status api", false),
            ("<@U1> why is it slow", "why is it slow", true),
            ("why is it slow, <@U1>", "why is it slow,", true),
            ("why is <@U1> slow?", "why is @U1 slow?", true),
            ("<@U1>", "", true),
            ("yes", "yes", false),
            ("<@U1> approve", "approve", true),
            ("<@U12> yes", "@U12 yes", false),
            ("mail a@U1", "mail a@U1", true),
            ("status: all well", "status: all well", false),
        ] {
            let heard = hear(text, "U1", &commands);
            assert_eq!((&*heard.text, heard.called), (expected, called), "{text}");
        }
    }

    #[test]
    fn slash_commands_begin_with_a_slash() {
        for (text, expected) in [
            ("status api", "/status api"),
            ("/status", "/status"),
            ("  ", "/help"),
            ("logs <http://x.example|x.example> 20", "/logs x.example 20"),
            ("staus api", "/staus api"),
            ("why is api slow?", "why is api slow?"),
            ("Yes", "Yes"),
            ("approve", "approve"),
            ("approve k3v9qa", "/approve k3v9qa"),
        ] {
            assert_eq!(command(text, &["logs".to_owned()]), expected);
        }
    }
}
