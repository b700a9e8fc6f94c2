//! Texts from outside, made harmless for where they are shown.

/// Plain text of several lines: no controls and no letters that hide or turn others.
pub(in crate::notify) fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| *letter == '\n' || !is_hidden(*letter))
        .collect()
}

/// One line of plain text.
pub(in crate::notify) fn line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|letter| {
            if letter.is_whitespace() || letter.is_control() {
                ' '
            } else {
                letter
            }
        })
        .filter(|letter| !is_hidden(*letter))
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// HTML.
pub(in crate::notify) fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in plain(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// HTML as Telegram knows it. Addresses and names of people are broken up by a mark that nobody sees, so that no
/// client makes links or mentions of them by itself.
pub(in crate::notify) fn telegram(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let text = plain(text);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '@' => out.push_str("@\u{2060}"),
            '/' if out.is_empty() || out.ends_with([' ', '\n']) => out.push_str("/\u{2060}"),
            '#' | '$' => {
                out.push(letter);
                out.push('\u{2060}');
            }
            // `example.com` and `https://x`: clients make links of both.
            '.' | ':'
                if letters
                    .peek()
                    .is_some_and(|next| next.is_alphabetic() || *next == '/') =>
            {
                out.push(letter);
                out.push('\u{2060}');
            }
            other => out.push(other),
        }
    }
    out
}

/// Discord's markdown: what could be markup has a backslash before it.
pub(in crate::notify) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in plain(text).chars() {
        let begins = out.is_empty() || out.ends_with('\n');
        let marks = matches!(
            letter,
            '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '@' | '[' | ']' | ':'
        );
        if marks || begins && matches!(letter, '-' | '+') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// Controls, and letters that nobody sees or that turn the direction of others.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(line("a\r\nBcc: x\u{202e}\u{0} y"), "a Bcc: x y");
        assert_eq!(plain("a\u{1b}[31m\nb"), "a[31m\nb");
        assert_eq!(telegram("<b>&\"'"), "&lt;b&gt;&amp;&quot;'");
        assert_eq!(entities("<a>'"), "&lt;a&gt;&#39;");
        for text in [
            "@ana",
            "https://evil.example",
            "evil.com",
            "/stop api",
            "x /stop",
            "#tag",
        ] {
            assert!(telegram(text).contains('\u{2060}'), "{text}");
        }
        assert_eq!(telegram("took 1.5 s: ok"), "took 1.5 s: ok");
        assert_eq!(
            markdown("**a** @here <@1> [x](y)"),
            "\\*\\*a\\*\\* \\@here \\<\\@1\\> \\[x\\](y)"
        );
        assert_eq!(markdown("- a-b\n+ c"), "\\- a-b\n\\+ c");
        assert_eq!(markdown("https://x"), "https\\://x");
    }
}
