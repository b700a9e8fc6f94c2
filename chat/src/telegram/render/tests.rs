//! Whatever stands in a card, only the card itself has markup, and it fits.

use proptest::prelude::*;

use super::*;
use crate::{Press, Style, Tone};

/// What a reader sees, and the tags that were open over each letter. Panics as Telegram
/// refuses: for tags that are none of its, not closed, or a sign that stands bare.
fn shown(html: &str) -> Vec<(char, Vec<String>)> {
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => {
                let end = rest.find('>').expect("a tag ends");
                let tag = &rest[1..end];
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
                    None => {
                        assert!(["b", "i", "pre"].contains(&tag), "{tag}");
                        open.push(tag.to_owned());
                    }
                }
                rest = &rest[end + 1..];
            }
            '&' => {
                let (name, letter) = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')]
                    .into_iter()
                    .find(|(name, _)| rest.starts_with(name))
                    .expect("an entity");
                seen.push((letter, open.clone()));
                rest = &rest[name.len()..];
            }
            '>' => panic!("a bare >"),
            letter => {
                seen.push((letter, open.clone()));
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

fn visible(html: &str) -> String {
    let seen = shown(html).into_iter().map(|(letter, _)| letter);
    seen.filter(|letter| *letter != JOINER).collect()
}

/// Holds for every card.
fn check(card: &Card) {
    let html = html(card);
    assert!(units(&html) <= MOST, "{}", units(&html));
    let seen = shown(&html);
    let is_pre = |tags: &Vec<String>| tags.iter().any(|tag| tag == "pre");
    assert!(seen.iter().any(|(letter, _)| !letter.is_whitespace()));
    for pair in seen.windows(3) {
        let [(before, _), (middle, tags), (after, _)] = pair else {
            continue;
        };
        if is_pre(tags) {
            continue;
        }
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        assert!(!(*middle == '@' && word(after)), "a mention: {html}");
        assert!(!(*middle == ':' && *after == '/'), "a link: {html}");
        assert!(
            !(word(before) && *middle == '.' && word(after)),
            "a host: {html}"
        );
    }
    let keyboard = keyboard(card).inline_keyboard;
    assert!(keyboard.iter().map(Vec::len).sum::<usize>() <= BUTTONS);
    for row in &keyboard {
        assert!((1..=ROW).contains(&row.len()));
        for button in row {
            assert!(!button.text.trim().is_empty() && units(&button.text) <= LABEL);
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[<>&@.:/a-z \n]{0,60}",
        Just("<b>@ana</b> http://evil.example/?a=1&b=2 tg://user?id=1 &lt; `x` </pre>".to_owned()),
        "[\u{0}-\u{20}\u{202a}-\u{202e}👩‍🔧\u{2060}a<&]{0,30}",
        (1_usize..9_000).prop_map(|count| "<&a@b.c".repeat(count / 7)),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        text().prop_map(Block::Text),
        text().prop_map(Block::Code),
        prop::collection::vec((text(), text()), 0..6).prop_map(Block::Fields),
        prop::collection::vec(text(), 0..6).prop_map(Block::Steps),
    ]
}

fn card() -> impl Strategy<Value = Card> {
    let buttons =
        prop::collection::vec(prop::collection::vec((text(), "[a-z]{1,80}"), 0..12), 0..12);
    (
        text(),
        prop::collection::vec(block(), 0..8),
        buttons,
        prop::option::of(text()),
    )
        .prop_map(|(title, blocks, rows, footer)| {
            let button = |(label, order)| Button::new(label, Press::Order(order));
            let row = |row: Vec<_>| row.into_iter().map(button).collect();
            Card {
                title,
                blocks,
                footer,
                buttons: rows.into_iter().map(row).collect(),
                tone: Tone::Critical,
                file: None,
            }
        })
}

proptest! {
    #[test]
    fn any_card_fits_and_is_only_what_it_says(card in card()) {
        check(&card);
    }
}

#[test]
fn a_card_looks_like_this() {
    let card = Card::titled(Tone::Critical, "api crashed <3 times>")
        .text("It cannot reach db.internal:5432 & gave up.")
        .block(Block::Fields(vec![
            ("exit".into(), "1".into()),
            ("by".into(), "@ana".into()),
        ]))
        .block(Block::Steps(vec!["restart api".into(), "wait 10 s".into()]))
        .block(Block::Code("at db.rs:10 <main>\n  @x http://y.z".into()))
        .footer("host web-1")
        .row(vec![
            Button::new("Approve", Press::Confirm("9fk2".into())).styled(Style::Primary),
            Button::new("x", Press::Order("y".repeat(63))),
        ]);
    let expected = "<b>🔴 api crashed &lt;3 times&gt;</b>\n\
        It cannot reach db.\u{2060}internal:5432 &amp; gave up.\n\
        <b>exit</b>: 1\n<b>by</b>: @\u{2060}ana\n\
        1. restart api\n2. wait 10 s\n\
        <pre>at db.rs:10 &lt;main&gt;\n  @x http://y.z</pre>\n\n\
        <i>host web-1</i>";
    assert_eq!(html(&card), expected);
    let keyboard = keyboard(&card).inline_keyboard;
    assert_eq!(keyboard.len(), 1);
    assert_eq!(
        keyboard[0].len(),
        1,
        "a press that does not fit is left out"
    );
}

#[test]
fn what_is_too_long_is_cut_and_the_rest_survives() {
    let card = Card::titled(Tone::Plain, "Logs")
        .block(Block::Code("<line>\n".repeat(2_000)))
        .text("never seen")
        .footer("by mhost")
        .row(vec![Button::new(
            "More",
            Press::Order("logs api 50".into()),
        )]);
    let html = html(&card);
    assert!(
        (MOST - 20..=MOST).contains(&units(&html)),
        "{}",
        units(&html)
    );
    let text = visible(&html);
    assert!(text.starts_with("Logs\n<line>") && text.ends_with("…\n\nby mhost"));
    assert!(!text.contains("never seen"));
    assert_eq!(keyboard(&card).inline_keyboard.len(), 1);
    check(&card);
}

#[test]
fn a_card_of_nothing_is_still_a_message() {
    for card in [
        Card::default(),
        Card::titled(Tone::Plain, " \u{202e}\n"),
        Card::default().block(Block::Code("\n".into())).footer(" "),
        Card::default().text("").block(Block::Fields(Vec::new())),
    ] {
        check(&card);
    }
}

#[test]
fn files_have_names_and_something_in_them() {
    let named = |name: &str, text: &str| {
        let document = crate::Document {
            name: name.into(),
            text: text.into(),
        };
        let file = document.at_most(FILE);
        (file.name, file.text)
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(named("api.log", "x"), (text("api.log"), text("x")));
    assert_eq!(named("../a/b\n.log", ""), (text("ab.log"), text("\n")));
    assert_eq!(named("//", "x"), (text("mhost.txt"), text("x")));
}
