//! Whatever stands in a card, only the card itself has markup, and it fits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Press;

fn body(card: &Card) -> Value {
    serde_json::to_value(Body::card(card, None)).unwrap()
}

/// Takes out what has a backslash before it, and blocks of code. Panics for one without an end.
fn bare(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 1 {
            assert!(part.starts_with('\n') && part.ends_with('\n'), "{text}");
            continue;
        }
        let mut letters = part.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => assert!(letters.next().unwrap().is_ascii_punctuation(), "{text}"),
                letter => out.push(letter),
            }
        }
    }
    assert_eq!(text.matches("```").count() % 2, 0, "{text}");
    out
}

/// Holds for every card.
fn check(card: &Card) {
    let body = body(card);
    let embed = &body["embeds"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (title, description) = (text(&embed["title"]), text(&embed["description"]));
    let footer = text(&embed["footer"]["text"]);
    let sizes = [&title, &description, &footer].map(|text| units(text));
    assert!(
        sizes[0] <= TITLE && sizes[1] <= DESCRIPTION && sizes[2] <= FOOTER,
        "{sizes:?}"
    );
    assert!(sizes.iter().sum::<usize>() <= 6_000, "{sizes:?}");
    assert!(!is_blank(&title) || !is_blank(&description), "{embed}");
    assert!(
        !bare(&title).contains(['*', '_', '`', '<', '@', '[', '#']),
        "{title}"
    );
    for line in bare(&description).lines() {
        // The name of a field is in bold, which is the card's own.
        let line = line
            .strip_prefix("**")
            .map_or(line.to_owned(), |line| line.replacen("**", "", 1));
        assert!(
            !line.contains(['*', '_', '`', '<', '@', '[', '#', '|', '~']),
            "{line}"
        );
        assert!(!line.contains("://"), "{line}");
    }
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    let rows = body["components"].as_array().unwrap();
    assert!(rows.len() <= ROWS);
    let mut seen = std::collections::HashSet::new();
    for row in rows {
        let buttons = row["components"].as_array().unwrap();
        assert!((1..=ROW).contains(&buttons.len()));
        for button in buttons {
            let (label, id) = (text(&button["label"]), text(&button["custom_id"]));
            assert!(!label.trim().is_empty() && units(&label) <= LABEL);
            assert!(id.len() <= 100 && seen.insert(id));
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[<>&@.:/a-z \n`*_#-]{0,60}",
        Just("**b** @everyone http://evil.example <@7> `x` ``` [a](b) ||x||".to_owned()),
        "[\u{0}-\u{20}\u{202a}-\u{202e}👩‍🔧\u{2060}a<`]{0,30}",
        (1_usize..9_000).prop_map(|count| "<`a@b.c".repeat(count / 7)),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        words().prop_map(Block::Text),
        words().prop_map(Block::Code),
        prop::collection::vec((words(), words()), 0..6).prop_map(Block::Fields),
        prop::collection::vec(words(), 0..6).prop_map(Block::Steps),
    ]
}

fn card() -> impl Strategy<Value = Card> {
    let button = (words(), "[a-z]{1,120}");
    let buttons = prop::collection::vec(prop::collection::vec(button, 0..8), 0..8);
    let footer = prop::option::of(words());
    (
        words(),
        prop::collection::vec(block(), 0..8),
        buttons,
        footer,
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
    let card = Card::titled(Tone::Critical, "api crashed *3 times*")
        .text("It cannot reach db.internal:5432 & gave up.")
        .block(Block::Fields(vec![
            ("exit".into(), "1".into()),
            ("by".into(), "@ana".into()),
        ]))
        .block(Block::Steps(vec!["restart api".into(), "- wait".into()]))
        .block(Block::Code(
            "at db.rs:10 <main>\n  ``` @x http://y.z".into(),
        ))
        .footer("host web-1 *")
        .row(vec![
            Button::new("Approve", Press::Confirm("9fk2".into())).styled(Style::Primary),
            Button::new("Again", Press::Confirm("9fk2".into())).styled(Style::Danger),
            Button::new("x", Press::Order("y".repeat(99))),
        ]);
    let button = |style: u8, label: &str, id: &str| json!({ "type": 2, "style": style, "label": label, "custom_id": id });
    let expected = json!({
        "embeds": [{
            "type": "rich",
            "color": 0xe0_1e_5a,
            "title": r"🔴 api crashed \*3 times\*",
            "description": "It cannot reach db.internal\\:5432 & gave up.\n**exit**: 1\n\
                **by**: \\@ana\n1. restart api\n2. \\- wait\n```\nat db.rs:10 <main>\n  \
                `\u{2060}`\u{2060}` @x http://y.z\n```",
            "footer": { "text": "host web-1 *" },
        }],
        "components": [{ "type": 1, "components": [
            button(1, "Approve", "c:9fk2"), button(4, "Again", "c:9fk2 #1"),
        ] }],
        "allowed_mentions": { "parse": [] },
    });
    assert_eq!(body(&card), expected);
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
    let body = body(&card);
    let embed = &body["embeds"][0];
    let description = embed["description"].as_str().unwrap();
    let size = units(description);
    assert!((DESCRIPTION - 20..=DESCRIPTION).contains(&size), "{size}");
    assert!(description.ends_with("…\n```") && !description.contains("never seen"));
    assert_eq!(embed["footer"]["text"], "by mhost");
    assert_eq!(body["components"].as_array().unwrap().len(), 1);
    check(&card);
}

#[test]
fn a_card_of_nothing_is_still_a_message() {
    for card in [
        Card::default(),
        Card::titled(Tone::Plain, " \u{202e}\n"),
        Card::default().block(Block::Code("\n".into())).footer(" "),
        Card::default().text("").block(Block::Fields(Vec::new())),
        Card::default().block(Block::Fields(vec![(String::new(), String::new())])),
    ] {
        check(&card);
    }
}

#[test]
fn a_note_is_a_line_and_may_be_for_one() {
    let note = serde_json::to_value(Body::note(&Note::alert("not *you*")).private()).unwrap();
    assert_eq!(note["embeds"][0]["description"], r"not \*you\*");
    assert_eq!(note["embeds"][0].get("title"), None);
    assert_eq!(note["flags"], 64);
    let long = Body::note(&Note::passing("x".repeat(9_000)));
    let long = serde_json::to_value(long).unwrap();
    assert!(units(long["embeds"][0]["description"].as_str().unwrap()) <= DESCRIPTION);
}

#[test]
fn files_have_names_and_something_in_them() {
    let named = |name: &str, text: &str| {
        let document = Document {
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
    let body = Body::card(
        &Card::titled(Tone::Plain, "Logs"),
        Some(
            &(Document {
                name: "a.log".into(),
                text: "x".into(),
            }),
        ),
    );
    let body = serde_json::to_value(body).unwrap();
    assert_eq!(
        body["attachments"],
        json!([{ "id": "0", "filename": "a.log" }])
    );
}
