//! How Telegram would show an HTML text: what is read, and what of it would be more than text.

#[path = "../conformance/live.rs"]
mod live;

use crate::conformance::Shown;
use live::live;

/// Tags that Telegram knows and that lead nowhere.
const TAGS: [&str; 6] = ["b", "i", "u", "s", "code", "pre"];
/// Not seen, and ends whatever Telegram would make a link or a mention of.
const JOINER: char = '\u{2060}';

/// Reads the text of a message as strictly as Telegram, and as suspiciously.
pub(crate) fn read(html: &str) -> Shown {
    let mut shown = Shown::default();
    let mut open: Vec<&str> = Vec::new();
    // What is outside of code, where Telegram looks for links and mentions.
    let mut loose = String::new();
    let mut rest = html;
    while let Some(letter) = rest.chars().next() {
        let mut size = letter.len_utf8();
        let mut letter = Some(letter);
        match rest.as_bytes()[0] {
            b'<' => {
                let end = rest
                    .find('>')
                    .expect("can't parse entities: a tag has no end");
                let tag = &rest[1..end];
                let name = tag.trim_start_matches('/');
                assert!(TAGS.contains(&name), "can't parse entities: <{tag}>");
                if tag.starts_with('/') {
                    assert_eq!(open.pop(), Some(name), "can't parse entities: </{name}>");
                } else {
                    open.push(name);
                }
                (letter, size) = (None, end + 1);
            }
            b'&' => {
                let end = rest.find(';').expect("an entity ends");
                let name = &rest[1..end];
                let named = [("amp", '&'), ("lt", '<'), ("gt", '>')];
                let found = named.iter().find(|(one, _)| *one == name);
                letter = Some(found.unwrap_or_else(|| panic!("&{name};")).1);
                size = end + 1;
            }
            _ => {}
        }
        if let Some(letter) = letter {
            if letter != JOINER {
                shown.text.push(letter);
            }
            let is_code = open.iter().any(|tag| matches!(*tag, "code" | "pre"));
            loose.push(if is_code { ' ' } else { letter });
        }
        rest = &rest[size..];
    }
    assert!(open.is_empty(), "can't parse entities: {open:?} is open");
    assert!(!shown.text.trim().is_empty(), "message text is empty");
    shown.live = live(&loose);
    shown
}

#[test]
fn live_things_are_found() {
    assert_eq!(
        read("<b>hello</b> 1 &lt; 2, a@ b: / c. d <pre>@x http://y.z</pre>").live,
        [""; 0]
    );
    for text in [
        "@ana",
        "a@b",
        "http://x",
        "evil.example",
        "tg://user",
        "x 10.0",
    ] {
        assert_eq!(read(text).live.len(), 1, "{text}");
    }
    assert!(std::panic::catch_unwind(|| read("<a href=\"x\">y</a>")).is_err());
    assert!(std::panic::catch_unwind(|| read("<b>x")).is_err());
    assert!(std::panic::catch_unwind(|| read("a & b")).is_err());
}
