//! Whatever stands in a card, only the card itself has markup, and it fits.

use proptest::prelude::*;

use super::*;
use crate::{Press, Style, Tone};

/// All texts of a value, with the kind of object that each stands in.
fn texts(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str);
            if let (Some(kind), Some(Value::String(text))) = (kind, fields.get("text")) {
                found.push((kind.to_owned(), text.clone()));
            }
            fields.values().for_each(|value| texts(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}

fn visible(blocks: &[Value]) -> String {
    let mut found = Vec::new();
    texts(&Value::from(blocks.to_vec()), &mut found);
    let texts: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
    texts.join("|").replace(JOINER, "")
}

/// Holds for every card.
fn check(card: &Card) {
    let blocks = blocks(card);
    assert!((1..=BLOCKS).contains(&blocks.len()), "{}", blocks.len());
    let mut sum = 0;
    let mut ids = Vec::new();
    for block in &blocks {
        let mut found = Vec::new();
        texts(block, &mut found);
        let length: usize = found.iter().map(|(_, text)| units(text)).sum();
        for (kind, text) in &found {
            assert!(["text", "plain_text"].contains(&kind.as_str()), "{kind}");
            assert!(!text.is_empty());
        }
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=HEADER).contains(&length), "{length}"),
            "context" | "section" => assert!((1..=LINE).contains(&length)),
            "rich_text" => {
                assert!((1..=TEXT).contains(&length), "{length}");
                sum += length;
            }
            "actions" => {
                let buttons = block["elements"].as_array().unwrap();
                assert!((1..=ROW).contains(&buttons.len()));
                for button in buttons {
                    let label = button["text"]["text"].as_str().unwrap();
                    assert!(!is_blank(label) && units(label) <= LABEL);
                    assert!(button["value"].as_str().unwrap().len() <= 2_000);
                    ids.push(button["action_id"].as_str().unwrap().to_owned());
                }
            }
            other => panic!("{other}"),
        }
        let is_code = block["elements"][0]["type"] == "rich_text_preformatted";
        for (_, text) in found.iter().filter(|_| !is_code) {
            is_dead(text);
        }
    }
    assert!(sum <= MOST + 1, "{sum}");
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "each button has its own id");
    let notice = notice(card);
    is_dead(&notice);
    assert!(
        !notice.is_empty() && !notice.contains(['<', '>']),
        "{notice}"
    );
    assert!(notice.split('&').skip(1).all(|rest| {
        ["amp;", "lt;", "gt;"]
            .iter()
            .any(|name| rest.starts_with(name))
    }));
}

/// No mention, no link, no name of a host.
fn is_dead(text: &str) {
    let letters: Vec<char> = text.chars().collect();
    for three in letters.windows(3) {
        let [before, middle, after] = three else {
            continue;
        };
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        assert!(!(*middle == '@' && word(after)), "a mention: {text}");
        assert!(!(*middle == ':' && *after == '/'), "a link: {text}");
        assert!(
            !(word(before) && *middle == '.' && word(after)),
            "a host: {text}"
        );
    }
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[<>&@.:/a-z \n]{0,60}",
        Just("<!channel> <@U1> http://evil.example/?a=1&b=2 *b* `x` :smile:".to_owned()),
        "[\u{0}-\u{20}\u{202a}-\u{202e}👩‍🔧\u{2060}a<&]{0,30}",
        (1_usize..9_000).prop_map(|count| "<&a@b.c".repeat(count / 7)),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        anything().prop_map(Block::Text),
        anything().prop_map(Block::Code),
        prop::collection::vec((anything(), anything()), 0..6).prop_map(Block::Fields),
        prop::collection::vec(anything(), 0..6).prop_map(Block::Steps),
    ]
}

fn card() -> impl Strategy<Value = Card> {
    let buttons = prop::collection::vec(
        prop::collection::vec((anything(), "[a-z]{1,80}"), 0..30),
        0..14,
    );
    (
        anything(),
        prop::collection::vec(block(), 0..9),
        buttons,
        prop::option::of(anything()),
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
    #![proptest_config(ProptestConfig::with_cases(48))]
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
        .block(Block::Steps(vec!["restart api".into()]))
        .block(Block::Code("at db.rs:10 <main>\n  @x http://y.z".into()))
        .footer("host web-1")
        .row(vec![
            Button::new("Approve", Press::Confirm("9fk2".into())).styled(Style::Primary),
            Button::new("x", Press::Order("y".repeat(2_000))),
        ]);
    let section = |elements: Value| json!({ "type": "rich_text_section", "elements": elements });
    let rich = |one: Value| json!({ "type": "rich_text", "elements": [one] });
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let bold = |text: &str| json!({ "type": "text", "text": text, "style": { "bold": true } });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let expected = [
        json!({ "type": "header", "text": plain("🔴 api crashed <3 times>") }),
        rich(section(json!([text(
            "It cannot reach db.\u{2060}internal:5432 & gave up."
        )]))),
        rich(section(json!([
            bold("exit"),
            text(": 1"),
            bold("\nby"),
            text(": @\u{2060}ana"),
        ]))),
        rich(json!({
            "type": "rich_text_list", "style": "ordered",
            "elements": [section(json!([text("restart api")]))],
        })),
        rich(json!({
            "type": "rich_text_preformatted",
            "elements": [text("at db.rs:10 <main>\n  @x http://y.z")],
        })),
        json!({ "type": "context", "elements": [plain("host web-1")] }),
        json!({ "type": "actions", "elements": [{
            "type": "button", "action_id": "0.0", "text": plain("Approve"),
            "value": "c:9fk2", "style": "primary",
        }] }),
    ];
    assert_eq!(
        blocks(&card),
        expected,
        "a press that does not fit is left out"
    );
    assert_eq!(notice(&card), "🔴 api crashed &lt;3 times&gt;");
}

#[test]
fn what_is_too_long_is_cut_and_the_rest_survives() {
    let mut card = Card::titled(Tone::Plain, "Logs".repeat(100))
        .block(Block::Code("<line>\n".repeat(2_000)))
        .footer("by mhost")
        .row(vec![Button::new(
            "More",
            Press::Order("logs api 50".into()),
        )]);
    let text = visible(&blocks(&card));
    assert!(text.starts_with("LogsLogs") && text.contains("<line>\n<"));
    assert_eq!(text.matches('…').count(), 2, "{text}");
    assert!(text.ends_with("|by mhost|More"), "{text}");
    check(&card);
    let mut small = card.clone();
    for number in 0..100 {
        card = card.text("y".repeat(200));
        small = small
            .text("y")
            .row(vec![Button::new("x", Press::Order(number.to_string()))]);
    }
    check(&small);
    let text = visible(&blocks(&card));
    assert!(text.ends_with("…|by mhost|More"), "{text}");
    check(&card);
}

#[test]
fn a_card_of_nothing_is_still_a_message() {
    for card in [
        Card::default(),
        Card::titled(Tone::Plain, " \u{202e}\n"),
        Card::default().block(Block::Code("\n".into())).footer(" "),
        Card::default().text("").block(Block::Fields(Vec::new())),
        Card::default().block(Block::Steps(vec![String::new()])),
        Card::default().block(Block::Fields(vec![(String::new(), String::new())])),
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
