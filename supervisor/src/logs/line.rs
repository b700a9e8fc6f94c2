//! Bytes into lines: split, cut, match.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

/// Longest line that is shown, in bytes; the rest of a longer one stays in the segment.
pub(super) const MAX_LINE: usize = 64 << 10;

/// A line's text without its end: `\n`, or `\r\n`.
pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The text that is shown of a line, and whether it was cut. Never cuts a character in two.
pub(super) fn message(line: &[u8]) -> (String, bool) {
    let text = trim_end(line);
    if text.len() <= MAX_LINE {
        return (String::from_utf8_lossy(text).into_owned(), false);
    }
    let mut end = MAX_LINE;
    // Continuation bytes are 10xxxxxx and there are at most three.
    while end > MAX_LINE - 4 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    (String::from_utf8_lossy(&text[..end]).into_owned(), true)
}

/// The text of a line as conditions and searches see it: as it is shown, and borrowed where
/// it is UTF-8.
pub(super) fn shown(line: &[u8]) -> Cow<'_, str> {
    let text = trim_end(line);
    if text.len() > MAX_LINE {
        return Cow::Owned(message(line).0);
    }
    String::from_utf8_lossy(text)
}

/// Finds lines that match.
#[derive(Debug)]
pub(super) struct Matcher {
    line: Regex,
    /// The same over many lines at once, where that finds every matching line: much faster
    /// than asking line by line.
    many: Option<Regex>,
}

impl Matcher {
    pub(super) fn new(pattern: &str) -> Result<Self, regex::Error> {
        let line = Regex::new(pattern)?;
        let many = if works_on_many(pattern) {
            RegexBuilder::new(pattern).multi_line(true).build().ok()
        } else {
            None
        };
        Ok(Self { line, many })
    }

    pub(super) fn matches(&self, line: &[u8]) -> bool {
        self.line.is_match(trim_end(line))
    }
}

/// With `^` and `$` at line ends, a match within one line is also a match within the whole
/// text. That is not so for `\A`, `\z` and for flags that change what `^`, `$` and `.` mean.
fn works_on_many(pattern: &str) -> bool {
    let plain_groups = pattern.match_indices("(?").all(|(at, _)| {
        let rest = &pattern[at + 2..];
        [":", "<", "P<", "i)", "i:"]
            .iter()
            .any(|allowed| rest.starts_with(allowed))
    });
    plain_groups && !pattern.contains("\\A") && !pattern.contains("\\z")
}

/// Splits whole lines into ranges; `cuts` are offsets at which a line ends without a line end.
/// With a matcher, only lines that match.
pub(super) fn split(bytes: &[u8], cuts: &[usize], matcher: Option<&Matcher>) -> Vec<Range<usize>> {
    let many = matcher.and_then(|matcher| Some((matcher, matcher.many.as_ref()?)));
    match many {
        // A `\r` before the line end is not part of the text, but `$` does not know that.
        Some((matcher, many)) if cuts.is_empty() && memchr(b'\r', bytes).is_none() => {
            search(bytes, matcher, many)
        }
        _ => {
            let mut lines = Vec::new();
            let mut cuts = cuts.iter().copied().peekable();
            let mut start = 0;
            while start < bytes.len() {
                while cuts.next_if(|cut| *cut <= start).is_some() {}
                let newline = memchr(b'\n', &bytes[start..]);
                let mut end = newline.map_or(bytes.len(), |at| start + at + 1);
                if let Some(cut) = cuts.next_if(|cut| *cut < end) {
                    end = cut;
                }
                if matcher.is_none_or(|matcher| matcher.matches(&bytes[start..end])) {
                    lines.push(start..end);
                }
                start = end;
            }
            lines
        }
    }
}

fn search(bytes: &[u8], matcher: &Matcher, many: &Regex) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    // Always the start of a line.
    let mut at = 0;
    while at < bytes.len() {
        let Some(found) = many.find_at(bytes, at) else {
            break;
        };
        // A match may reach over several lines, so only its beginning says anything: the
        // line it begins in is asked again by itself, and the search goes on after that.
        let start = memrchr(b'\n', &bytes[at..found.start()]).map_or(at, |back| at + back + 1);
        if start >= bytes.len() {
            break;
        }
        let newline = memchr(b'\n', &bytes[found.start()..]);
        let end = newline.map_or(bytes.len(), |ahead| found.start() + ahead + 1);
        if matcher.matches(&bytes[start..end]) {
            lines.push(start..end);
        }
        at = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_line_ends_and_cuts_at_characters() {
        assert_eq!(message(b"a\r\n"), ("a".to_owned(), false));
        assert_eq!(message(b"a\r\r"), ("a\r".to_owned(), false));
        assert_eq!(message(b"\xff\xfe!\n").0, "\u{fffd}\u{fffd}!");
        let long = "ü".repeat(MAX_LINE);
        let (text, cut) = message(format!("x{long}").as_bytes());
        assert!(cut && text.len() == MAX_LINE - 1 && text.ends_with('ü'));
    }

    #[test]
    fn splits_at_line_ends_and_cuts() {
        let split = |bytes: &[u8], cuts: &[usize]| {
            let lines = split(bytes, cuts, None);
            lines
                .into_iter()
                .map(|line| String::from_utf8_lossy(&bytes[line]).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(split(b"a\nb\n\nc", &[]), ["a\n", "b\n", "\n", "c"]);
        assert_eq!(split(b"abc\nd", &[2]), ["ab", "c\n", "d"]);
        assert_eq!(split(b"abc\nd", &[4]), ["abc\n", "d"]);
    }

    #[test]
    fn searching_many_lines_finds_what_each_line_alone_would() {
        let texts: [&[u8]; 4] = [
            b"one\ntwo\nthree\n",
            b"\n\nx\n\xff\xfeone\n",
            b"a\r\nb one\r\n two",
            b"one",
        ];
        let patterns = [
            "one",
            "^t",
            "o$",
            "^$",
            "[^x]+e",
            "(?i)ONE",
            r"\bone\b",
            r"\Atwo",
            r"e\z",
            "(?s).",
            "x*",
            "two|three",
            r"\s",
            "(?P<n>o)n",
        ];
        for text in texts {
            for pattern in patterns {
                let matcher = Matcher::new(pattern).unwrap();
                let slowly: Vec<_> = split(text, &[], None)
                    .into_iter()
                    .filter(|line| matcher.matches(&text[line.clone()]))
                    .collect();
                assert_eq!(
                    split(text, &[], Some(&matcher)),
                    slowly,
                    "{pattern} in {text:?}"
                );
            }
        }
    }
}
