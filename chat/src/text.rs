//! Texts as platforms measure them, in UTF-16 units, and as they read them.

/// Says that something was left out.
pub(crate) const CUT: &str = "…";

/// How long it is.
pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As much of its beginning as fits; no letter is cut in two.
pub(crate) fn fitting(text: &str, most: usize) -> String {
    let mut left = most;
    let fits = |c: &char| {
        let rest = left.checked_sub(c.len_utf16());
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    text.chars().take_while(fits).collect()
}

/// At most so many units, with a sign if it was longer.
pub(crate) fn short(text: &str, most: usize) -> String {
    if units(text) <= most {
        return text.to_owned();
    }
    fitting(text, most.saturating_sub(units(CUT))) + CUT
}

/// Would a platform that finds mentions, addresses and host names by itself go on after this
/// letter?
pub(crate) fn begins_something(before: Option<char>, c: char, after: Option<char>) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match c {
        '@' => word(after),
        ':' => after == Some('/'),
        '.' => word(before) && word(after),
        _ => false,
    }
}

/// Letters that show something. Those that turn the direction of others do not.
pub(crate) fn is_shown(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    (!c.is_control() || matches!(c, '\n' | '\t')) && !turns
}

/// Without ends of lines and tabs.
pub(crate) fn in_a_line(text: &str) -> String {
    text.split(['\n', '\r', '\t']).collect::<Vec<_>>().join(" ")
}
