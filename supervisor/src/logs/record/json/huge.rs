//! Numbers that no machine number can hold, such as `1e400`: JSON allows them, so the line is
//! JSON, and the number is kept as its text.

/// This is what the line could not be read for.
pub(super) fn is_meant(error: &serde_json::Error) -> bool {
    // The library has no other word for it.
    error.is_syntax() && error.to_string().starts_with("number out of range")
}

/// The line with quotes around such numbers.
pub(super) fn quoted(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => text_length(rest),
            '-' | '0'..='9' => {
                let in_number =
                    |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
                rest.find(|c| !in_number(c)).unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let is_number = first != '"' && token.parse::<f64>().is_ok_and(f64::is_infinite);
        if is_number && !first.is_alphabetic() {
            out.push('"');
            out.push_str(token);
            out.push('"');
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out
}

/// The length of a text in quotes at the start.
fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_are_too_great_are_quoted() {
        let line = r#"{"a\"1e999":1e400,"b":[-1E+999, 12, 1e3],"c":"say 1e400 \\","d":1e-400}"#;
        let wanted =
            r#"{"a\"1e999":"1e400","b":["-1E+999", 12, 1e3],"c":"say 1e400 \\","d":1e-400}"#;
        assert_eq!(quoted(line), wanted);
        assert_eq!(quoted("\"never ends 1e400"), "\"never ends 1e400");
    }
}
