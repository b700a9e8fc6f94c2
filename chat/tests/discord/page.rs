//! What a reader sees of an embed, and what Discord would make of its text. A parser of ours,
//! as strict as the adapter's markup is small; one of other people checks the same in
//! `markdown.rs`.

use crate::conformance::Shown;
use crate::server::Message;

/// Nobody sees it.
const JOINER: char = '\u{2060}';

/// A message as a user sees it.
pub(crate) fn read(message: &Message) -> Shown {
    let mut shown = Shown {
        id: message.id.to_string(),
        buttons: message.buttons(),
        files: message.files.clone(),
        ..Shown::default()
    };
    assert!(message.content.is_empty(), "{}", message.content);
    let mut parts = Vec::new();
    for embed in &message.embeds {
        for name in ["title", "description"] {
            if let Some(text) = embed[name].as_str() {
                parts.push(markdown(text, &mut shown.live));
            }
        }
        // A footer has no markup.
        parts.extend(embed["footer"]["text"].as_str().map(str::to_owned));
    }
    shown.text = parts.join("\n");
    shown
}

/// The text without markup. What is markup and none of the adapter's is put to `live`.
fn markdown(text: &str, live: &mut Vec<String>) -> String {
    let mut out = String::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 1 {
            let code = part.strip_prefix('\n').expect("a block without a language");
            let code = code
                .strip_suffix('\n')
                .expect("its end has a line of its own");
            out.extend(code.chars().filter(|letter| *letter != JOINER));
            continue;
        }
        for (number, line) in part.split('\n').enumerate() {
            if number > 0 {
                out.push('\n');
            }
            plain(own(line), &mut out, live);
        }
    }
    out
}

/// Without what the adapter puts before a line by itself: the name of a field in bold, and the
/// number of a step.
fn own(line: &str) -> String {
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 && line[digits..].starts_with(". ") {
        // The dot is the adapter's: one of others has a backslash.
        return format!("{}\\{}", &line[..digits], &line[digits..]);
    }
    let Some(rest) = line.strip_prefix("**") else {
        return line.to_owned();
    };
    let mut escaped = false;
    for (at, letter) in rest.char_indices() {
        if !escaped && rest[at..].starts_with("**") {
            return format!("{}{}", &rest[..at], &rest[at + 2..]);
        }
        escaped = letter == '\\' && !escaped;
    }
    // A name that was cut with everything after it.
    line.to_owned()
}

fn plain(line: String, out: &mut String, live: &mut Vec<String>) {
    let letters: Vec<char> = line.chars().collect();
    let mut at = 0;
    let mut begins = true;
    while let Some(letter) = letters.get(at) {
        if *letter == '\\' && letters.get(at + 1).is_some_and(char::is_ascii_punctuation) {
            out.push(letters[at + 1]);
            at += 2;
            begins = false;
            continue;
        }
        let rest: String = letters[at..].iter().take(30).collect();
        let after = letters.get(at + 1);
        let is_live = match letter {
            '*' | '_' | '~' | '`' | '|' | '<' | '>' | '@' | '[' => true,
            '#' => begins,
            ':' => after.is_some_and(|after| *after == '/' || after.is_alphabetic()),
            '-' | '+' => begins && after.is_some_and(|after| matches!(after, ' ' | '#')),
            _ => false,
        };
        if is_live {
            live.push(rest);
        }
        begins = begins && letter.is_whitespace();
        out.push(*letter);
        at += 1;
    }
}

#[test]
fn live_things_are_found() {
    let seen = |text: &str| {
        let mut live = Vec::new();
        let text = markdown(text, &mut live);
        (text, live.len())
    };
    assert_eq!(
        seen("**na\\*me**: 1\n```\n@x *y*\n```"),
        ("na*me: 1\n@x *y*".into(), 0)
    );
    assert_eq!(seen("1. \\- x: a - b"), ("1. - x: a - b".into(), 0));
    for text in [
        "@everyone",
        "<@7>",
        "*x*",
        "`x`",
        "http://x",
        ":smile:",
        "||x||",
        "# x",
        "- x",
        "> x",
        "[a](b)",
        "a **b**",
        "-# x",
    ] {
        assert!(seen(text).1 > 0, "{text}");
    }
}
