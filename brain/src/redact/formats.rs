//! The table of what secrets look like, and what their values must be like.
//!
//! `formats.toml` is the table; here it becomes rules. A rule that goes by a name beside the
//! value also looks at the value, because people write `token: expired`, too.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::{ceil, floor, names};

/// One entry of the table, ready for use.
pub(super) struct Format {
    /// Stands in the mark.
    pub(super) kind: &'static str,
    /// One of these is near, in small letters; without any, all long words are looked at.
    pub(super) gates: Vec<String>,
    pub(super) pattern: Regex,
    /// How far behind its gate it is looked for.
    pub(super) after: usize,
    /// A name tells that it is a secret, and not its own form.
    pub(super) context: bool,
    near: Near,
    /// The pattern at the start of a text, and whether a word must begin there.
    anchored: Option<(Regex, bool)>,
    check: Check,
    /// One that must be found.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    pub(super) example: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: String,
    #[serde(default)]
    gates: Vec<String>,
    pattern: String,
    #[serde(default = "after")]
    after: usize,
    #[serde(default)]
    context: bool,
    #[serde(default)]
    near: Near,
    #[serde(default)]
    check: Check,
    example: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    format: Vec<Entry>,
}

/// Where a gate stands in what is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Near {
    /// It is the start.
    #[default]
    Start,
    /// Somewhere in it.
    Middle,
    /// Behind a digit.
    Digit,
    /// In the name before the value.
    Name,
    /// In the name before a sign that assigns the value.
    Assign,
    /// Somewhere before an `@`.
    At,
}

/// How far before its gate a format may begin, and how far behind it a match must show.
const BEFORE: usize = 72;
const BEHIND: usize = 120;
/// A value that goes on for more than this is taken out, whatever it is like.
const LONGEST: usize = 1_024;
const BOUNDARY: &str = r"(?-u:\b)";

/// What a value must be like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Check {
    /// Its form is proof enough.
    #[default]
    None,
    /// Long, and not words joined by dashes.
    Long,
    /// No word of a language.
    Mixed,
    /// Base64 of a name and a password.
    Basic,
    /// Has a value that is no setting.
    Cookie,
    /// The value of a header.
    Header,
    /// Anything but what stands for a value.
    Value,
    /// As `Value`, and no plain word where the name is of prose.
    Named,
    /// Nothing that could be a word of a sentence.
    Prose,
    /// The value of a variable with such a word anywhere in its name.
    Variable,
    /// The value of a name in which something follows the word.
    Followed,
    /// A value that looks like a key, under the name of one that is not of data.
    Key,
}

fn after() -> usize {
    4_096
}

/// All of them, in the order in which they count.
pub(super) static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("formats.toml")).expect("the table is valid");
    let entries = table.format.into_iter();
    entries
        .map(|entry| Format {
            kind: Box::leak(entry.kind.into_boxed_str()),
            pattern: Regex::new(&entry.pattern).expect("the table is valid"),
            after: entry.after,
            gates: entry.gates.clone(),
            context: entry.context,
            near: entry.near,
            anchored: (entry.near == Near::Start && !entry.gates.is_empty()).then(|| {
                let word = entry.pattern.contains(BOUNDARY) && begins_a_word(&entry.pattern);
                let bare = if word {
                    entry.pattern.replacen(BOUNDARY, "", 1)
                } else {
                    entry.pattern.clone()
                };
                let regex = Regex::new(&format!("^(?:{bare})")).expect("the table is valid");
                (regex, word)
            }),
            check: entry.check,
            example: entry.example.concat(),
        })
        .collect()
});

fn begins_a_word(pattern: &str) -> bool {
    let start = pattern.strip_prefix("(?i)").unwrap_or(pattern);
    start.starts_with(BOUNDARY)
}

impl Format {
    /// Looks for the secret whose gate stands at `gate`, and for others as near.
    pub(super) fn near(&self, text: &str, gate: Range<usize>, mut found: impl FnMut(usize, usize)) {
        let bytes = text.as_bytes();
        if let Some((regex, word)) = &self.anchored {
            let before = gate.start.checked_sub(1).map(|place| bytes[place]);
            if *word && before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return;
            }
            let to = ceil(text, gate.end + self.after);
            let mut part = &text[gate.start..to];
            let mut groups = regex.captures(part);
            if groups
                .as_ref()
                .is_some_and(|groups| groups.get_match().end() == part.len())
            {
                part = &text[gate.start..];
                groups = regex.captures(part);
            }
            let Some(groups) = groups else { return };
            let goes_on = groups.get_match().len() > self.after;
            let secret = groups
                .iter()
                .skip(1)
                .flatten()
                .next()
                .unwrap_or(groups.get_match());
            if goes_on || self.check.holds(secret.as_str(), "") {
                found(gate.start + secret.start(), gate.start + secret.end());
            }
            return;
        }
        let plausible = match self.near {
            Near::Start | Near::Middle | Near::Name => true,
            Near::Digit => gate.start > 0 && bytes[gate.start - 1].is_ascii_digit(),
            Near::Assign => assigns(&bytes[gate.end..]),
            Near::At => bytes[gate.end..]
                .iter()
                .take_while(|byte| !byte.is_ascii_whitespace() && !b"\"'<>`".contains(byte))
                .any(|byte| *byte == b'@'),
        };
        if plausible {
            let from = floor(text, gate.start.saturating_sub(BEFORE));
            self.find(text, from, ceil(text, gate.end + BEHIND), found);
        }
    }

    /// Where its secrets lie in `text`, between these places.
    pub(super) fn find(
        &self,
        text: &str,
        from: usize,
        to: usize,
        mut found: impl FnMut(usize, usize),
    ) {
        let mut at = from;
        while at < to {
            let Some(mut groups) = self.pattern.captures_at(&text[..to], at) else {
                return;
            };
            let mut goes_on = false;
            if groups.get_match().end() == to && to < text.len() {
                // It may go on beyond the place where the search was to end. Whoever writes a
                // log can make each name in it begin a value without an end: only one that is
                // taken out is followed to its end.
                let start = groups.get_match().start();
                let near = ceil(text, to + LONGEST);
                let Some(longer) = self.pattern.captures_at(&text[..near], start) else {
                    return;
                };
                groups = longer;
                if groups.get_match().end() == near && near < text.len() {
                    let Some(longest) = self.pattern.captures_at(text, start) else {
                        return;
                    };
                    groups = longest;
                    goes_on = groups.get_match().end() >= near;
                }
            }
            let whole = groups.get_match();
            let secret = groups.iter().skip(1).flatten().next().unwrap_or(whole);
            let named = &text[whole.start()..secret.start()];
            let holds = goes_on || self.check.holds(secret.as_str(), named);
            at = if !secret.is_empty() && holds {
                found(secret.start(), secret.end());
                whole.end()
            } else {
                // What was taken for a value may be the name of the next one.
                secret.start().max(whole.start() + 1)
            }
            .max(at + 1);
            at = ceil(text, at);
        }
    }
}

/// Does a name go on and end in a sign that assigns?
fn assigns(after: &[u8]) -> bool {
    let mut rest = after
        .iter()
        .take(64)
        .skip_while(|byte| byte.is_ascii_alphanumeric() || b"_.- ".contains(byte));
    let mut rest = rest
        .by_ref()
        .skip_while(|byte| b"\\\"'`])} \t".contains(byte));
    rest.next().is_some_and(|byte| b"=:%&".contains(byte))
}

impl Check {
    fn holds(self, value: &str, named: &str) -> bool {
        match self {
            Check::None => true,
            Check::Long => value.len() >= 20 && !is_words(value),
            Check::Mixed => !stands_for_one(value) && is_mixed(value),
            Check::Basic => decoded(value).is_some_and(|text| text.contains(':')),
            Check::Cookie => value.contains('=') && !stands_for_one(value),
            Check::Header => {
                let scheme = ["bearer", "basic", "digest", "negotiate", "ssws", "token"];
                !stands_for_one(value)
                    && !scheme.contains(&value.to_ascii_lowercase().as_str())
                    && (is_mixed(value) || value.len() >= 12)
            }
            Check::Value => !stands_for_one(value) && !is_prose(value, named),
            Check::Named => {
                let count = value.len() < 7 && value.bytes().all(|byte| byte.is_ascii_digit());
                !(stands_for_one(value) || is_prose(value, named) || count || is_code(value))
            }
            Check::Prose => !stands_for_one(value) && is_mixed(value),
            Check::Variable => {
                let prose = !names::is_setting(named) && is_prose(value, named);
                !(stands_for_one(value) || names::is_amount(value) || prose)
            }
            Check::Followed => {
                let prose = !names::is_of_place(named) && is_prose(value, named);
                let plain = stands_for_one(value) || names::is_amount(value) || is_code(value);
                !(plain || prose || names::is_about(named))
            }
            Check::Key => !stands_for_one(value) && names::is_key(named, value),
        }
    }
}

/// What is written where a value would stand.
fn stands_for_one(value: &str) -> bool {
    const WORDS: [&str; 44] = [
        "true",
        "false",
        "null",
        "none",
        "nil",
        "undefined",
        "unset",
        "empty",
        "yes",
        "not",
        "and",
        "required",
        "missing",
        "invalid",
        "expired",
        "incorrect",
        "wrong",
        "denied",
        "rejected",
        "failed",
        "redacted",
        "hidden",
        "masked",
        "filtered",
        "string",
        "str",
        "number",
        "bool",
        "option",
        "optional",
        "default",
        "example",
        "changeme",
        "placeholder",
        "unknown",
        "present",
        "the",
        "value",
        "string|null",
        "anonymous",
        "nan",
        "n/a",
        "ok",
        "set",
    ];
    if value.len() > LONGEST {
        return false;
    }
    let plain = value
        .trim_matches(|letter: char| matches!(letter, '"' | '\'' | '.' | ',' | ':' | ';' | '!'));
    let lower = plain.to_ascii_lowercase();
    plain.len() < 3
        || plain.contains("«redacted:")
        || WORDS.contains(&lower.as_str())
        || plain
            .bytes()
            .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#'))
        || (plain.starts_with('<') && plain.ends_with('>'))
        || plain.starts_with("${")
        || plain.starts_with("$(")
        || plain.starts_with("{{")
        || plain.starts_with("%(")
        || (plain.starts_with('$')
            && plain[1..]
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// A word after a colon and a space, as in `token: expired`, reads like a sentence.
fn is_prose(value: &str, named: &str) -> bool {
    let quoted = named.ends_with(['"', '\'', '`']);
    let told =
        named.trim_end().ends_with([':', '=']) && named.ends_with(' ') && !named.contains('"');
    told && !quoted
        && value
            .chars()
            .all(|letter| letter.is_alphabetic() || matches!(letter, '.' | '-' | ','))
        && value.chars().skip(1).all(|letter| !letter.is_uppercase())
}

/// A name or a call of a program: `token = request.headers.get(…)`, `self.token`.
fn is_code(value: &str) -> bool {
    let mut parts = value.split(['.', ':', '/']).filter(|part| !part.is_empty());
    let names = |part: &str| {
        part.len() < 24
            && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
            && !part.bytes().all(|b| b.is_ascii_uppercase())
    };
    value.contains('.') && parts.all(names)
}

/// Words of a language, joined by dashes or underscores.
fn is_words(value: &str) -> bool {
    let plain = |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    let parts = value.split(['-', '_', '.']);
    let letters: usize = parts.filter(plain).map(str::len).sum();
    letters * 10 >= value.len() * 6
}

/// It has digits among its letters, or large letters among small ones, or marks: no word.
fn is_mixed(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.bytes().any(|byte| class(&byte));
    let inner = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    let marks = value.bytes().any(|byte| {
        byte.is_ascii_punctuation() && !matches!(byte, b'.' | b',' | b'-' | b':' | b';' | b'\'')
    });
    (has(u8::is_ascii_alphabetic) && (has(u8::is_ascii_digit) || marks))
        || (has(u8::is_ascii_lowercase) && inner)
        || (value.len() >= 8 && value.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text that this is base64 of, if it is one of letters and marks.
pub(super) fn decoded(value: &str) -> Option<String> {
    let bytes = super::known::from_base64(value)?;
    let text = String::from_utf8(bytes).ok()?;
    let printed = text
        .chars()
        .all(|letter| !letter.is_control() || letter.is_whitespace());
    (printed && text.len() >= 4).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_is_said_about_them() {
        let holds = |check: Check, value, named| check.holds(value, named);
        for (value, named) in [
            ("expired", "token: "),
            ("null", "token="),
            ("***", "password="),
            ("${DB_PASSWORD}", "password="),
            ("<password>", "password="),
            ("4096", "max_token="),
            ("request.headers.token", "token = "),
        ] {
            assert!(!holds(Check::Named, value, named), "{named}{value}");
        }
        for (value, named) in [
            ("hunter2", "password: "),
            ("correct horse", "password: \""),
            ("sunflower", "token="),
            ("Tr0ub4dor&3", "secret = "),
        ] {
            assert!(holds(Check::Named, value, named), "{named}{value}");
        }
        assert!(holds(Check::Basic, "YWRtaW46aHVudGVyMg==", ""));
        assert!(!holds(Check::Basic, "authentication", ""));
        assert!(!holds(Check::Long, "sk-based-on-the-former-example", ""));
    }
}
