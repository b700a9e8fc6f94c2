//! Texts as platforms measure them: in UTF-16 units.

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

/// Without ends of lines and tabs.
pub(crate) fn in_a_line(text: &str) -> String {
    text.split(['\n', '\r', '\t']).collect::<Vec<_>>().join(" ")
}
