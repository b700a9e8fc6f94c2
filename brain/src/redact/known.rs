//! Known values, in the forms in which programs print them.
//!
//! A value is looked for as it is, as a text that was made harmless holds it, as a URL, a JSON
//! text or a shell would hold it, and in base64 and hexadecimal, also where it is a part of what
//! was encoded. What the pattern of a line has left of it is looked for apart
//! ([`supervisor::templates::Remnant`]).

use std::collections::BTreeSet;

/// Shorter values are not looked for: they stand everywhere.
const SHORTEST: usize = 4;
/// Values of this length or more are found inside of other words, too.
pub(super) const LONG: usize = 8;
/// Shortest base64 or hexadecimal that is looked for.
const SHORTEST_CODED: usize = 8;

/// What settings hold under the name of a key without being one.
const PLAIN: [&str; 20] = [
    "true",
    "false",
    "none",
    "null",
    "default",
    "enabled",
    "disabled",
    "localhost",
    "development",
    "production",
    "staging",
    "test",
    "debug",
    "info",
    "auto",
    "required",
    "optional",
    "undefined",
    "127.0.0.1",
    "http",
];

/// One form of a known value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    /// What is looked for.
    pub(super) text: String,
    /// How it compares.
    pub(super) rule: Rule,
}

/// What must hold where a form is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Every byte is the same.
    Exact,
    /// The same, and it is a word of its own.
    Word,
    /// Small and large letters are the same.
    AnyCase,
    /// Part of a longer text in base64: all of it goes.
    Coded,
    /// The beginning of a value, where a text was cut in the middle of it.
    Cut,
}

/// Is this what settings hold under the name of a key without being one?
pub(super) fn is_plain(value: &str) -> bool {
    value.len() < SHORTEST || PLAIN.contains(&value.to_ascii_lowercase().as_str())
}

/// The forms of a value; none if it is no secret.
pub(super) fn forms(value: &str) -> Vec<Form> {
    let value = value.trim();
    if is_plain(value) {
        return Vec::new();
    }
    let mut all = BTreeSet::new();
    let whole = if value.len() < LONG {
        Rule::Word
    } else {
        Rule::Exact
    };
    let mut add = |text: String, rule| {
        if text.len() >= SHORTEST {
            all.insert(Form { text, rule });
        }
    };
    add(value.to_owned(), whole);
    if value.len() > LONG {
        add(value[..super::ceil(value, LONG)].to_owned(), Rule::Cut);
    }
    // Texts for models and people are made harmless first.
    for text in [
        crate::words::harmless(value),
        crate::words::clean(value, usize::MAX),
    ] {
        if text != value {
            add(text, whole);
        }
    }
    // A value of several lines is printed line by line, too.
    let lines: Vec<&str> = value.lines().map(str::trim).collect();
    if lines.len() > 1 {
        for line in lines
            .iter()
            .filter(|line| line.len() >= 2 * LONG && !line.starts_with("-----"))
        {
            add((*line).to_owned(), Rule::Exact);
        }
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    for text in [
        json.trim_matches('"').to_owned(),
        json.trim_matches('"').replace('/', "\\/"),
        value.replace('\'', "'\\''"),
        value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;"),
    ] {
        if text != value {
            add(text, whole);
        }
    }
    for kept in ["-._~", "-._~/", "-._~!*'()", "-._~!$&'()*+,;=:@/"] {
        for space in ["%20", "+"] {
            let text = url(value, kept, space);
            if text != value {
                add(text, Rule::AnyCase);
            }
        }
    }
    for text in in_base64(value.as_bytes()) {
        if text.len() >= SHORTEST_CODED {
            add(text, Rule::Coded);
        }
    }
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    if hex.len() >= 2 * SHORTEST_CODED {
        add(hex, Rule::AnyCase);
    }
    all.into_iter().collect()
}

fn url(value: &str, kept: &str, space: &str) -> String {
    let mut text = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else if byte == b' ' {
            text.push_str(space);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What is sure to stand in the base64 of any text that holds these bytes: one for each of the
/// three places at which they may begin, in both alphabets.
fn in_base64(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for shift in 0..3_usize {
        let bits = shift * 8;
        let first = bits.div_ceil(6);
        let last = (bits + bytes.len() * 8) / 6;
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(bytes);
        let text: String = (first..last).map(|place| letter(&shifted, place)).collect();
        let other = text.replace('+', "-").replace('/', "_");
        if other != text {
            all.push(other);
        }
        all.push(text);
    }
    all
}

fn letter(bytes: &[u8], place: usize) -> char {
    let bit = place * 6;
    let at = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(0));
    let pair = at(bit / 8) << 8 | at(bit / 8 + 1);
    let value = pair >> (10 - bit % 8) & 63;
    char::from(STANDARD[value as usize])
}

/// Reads base64 of either alphabet, with or without its end.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() < 4 || text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// Reads what was written for a URL.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let coded = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(coded.unwrap_or(bytes[at]));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).ok()
}

/// Where a known value stands, if what was found is one.
pub(super) fn range(
    text: &str,
    hit: std::ops::Range<usize>,
    rule: Rule,
    form: &str,
    value: &str,
) -> Option<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    match rule {
        Rule::AnyCase => Some(hit),
        Rule::Cut => {
            let pairs = bytes[hit.start..].iter().zip(value.as_bytes());
            let same = pairs.take_while(|(one, other)| one == other).count();
            let end = super::floor(text, hit.start + same);
            let after = &text[end..];
            let is_cut = ["…", " …", "\n"].iter().any(|mark| after.starts_with(mark));
            (end >= hit.end && (is_cut || after.is_empty())).then_some(hit.start..end)
        }
        Rule::Exact => is_same(&text[hit.clone()], form).then_some(hit),
        Rule::Word => {
            let alone = !bytes[..hit.start]
                .last()
                .is_some_and(|byte| in_word(*byte) && in_word(bytes[hit.start]))
                && !bytes
                    .get(hit.end)
                    .is_some_and(|byte| in_word(*byte) && in_word(bytes[hit.end - 1]));
            (alone && is_same(&text[hit.clone()], form)).then_some(hit)
        }
        Rule::Coded => {
            if &text[hit.clone()] != form {
                return None;
            }
            let coded = |byte: &u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
            };
            let left = bytes[..hit.start]
                .iter()
                .rev()
                .take_while(|byte| coded(byte))
                .count();
            let mut right = bytes[hit.end..]
                .iter()
                .take_while(|byte| coded(byte))
                .count();
            right += bytes[hit.end + right..]
                .iter()
                .take(2)
                .take_while(|byte| **byte == b'=')
                .count();
            Some(hit.start - left..hit.end + right)
        }
    }
}

/// As it is, or all of it in large letters: so programs shout, and settings are compared.
fn is_same(found: &str, form: &str) -> bool {
    let large = || found.bytes().all(|byte| !byte.is_ascii_lowercase());
    found == form || (large() && found.eq_ignore_ascii_case(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_what_is_encoded_is_found_at_every_place() {
        assert_eq!(
            from_base64("YWRtaW46aHVudGVyMg==").expect("reads"),
            b"admin:hunter2"
        );
        for shift in 0..3 {
            let secret = b"s3cr3t+/value?";
            let mut text = vec![b'a'; shift];
            text.extend_from_slice(secret);
            text.extend_from_slice(b"and so on");
            let places = text.len() * 8 / 6;
            let coded: String = (0..places).map(|place| letter(&text, place)).collect();
            let found = in_base64(secret)
                .iter()
                .any(|part| coded.contains(part.as_str()));
            assert!(found, "{coded}");
        }
    }

    #[test]
    fn settings_are_no_secrets() {
        assert!(forms("true").is_empty());
        assert!(forms("abc").is_empty());
        let short = forms("pa ss");
        let coded = Form {
            text: "pa%20ss".to_owned(),
            rule: Rule::AnyCase,
        };
        assert!(short.contains(&coded));
        assert!(
            short
                .iter()
                .any(|form| form.text == "pa ss" && form.rule == Rule::Word)
        );
    }
}
