//! Interactions and messages as Discord sends them, and what they are here.

use serde_json::{Value, json};

use super::*;

const ANA: &str = "100000000000000021";
const BOT: &str = "100000000000000001";
const OPS: &str = "100000000000000011";
const THREAD: &str = "100000000000000012";

fn now() -> Timestamp {
    "2026-10-01T12:00:00Z".parse().unwrap()
}

fn me() -> Me {
    Me {
        id: BOT.into(),
        username: "mhost".into(),
    }
}

/// A command in a channel of a server, with other fields.
fn command(fields: Value) -> Value {
    let mut event = json!({
        "id": "175928847299117063", "type": 2, "token": "aW50ZXJhY3Rpb246x-_=",
        "guild_id": "100000000000000010", "channel_id": OPS,
        "channel": { "id": OPS, "type": 0, "parent_id": "100000000000000019" },
        "member": { "user": { "id": ANA, "username": "ana_ops" } },
        "data": { "id": "1", "name": "status", "type": 1,
                  "options": [{ "name": "app", "type": 3, "value": "api" }] },
    });
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    event
}

fn heard(event: Value) -> Option<Heard> {
    let event = serde_json::from_value(event).unwrap();
    interaction(event, &Listed::new(), now())
}

fn incoming(event: Value) -> Incoming {
    match heard(event) {
        Some(Heard::Incoming(incoming)) => incoming,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_a_text() {
    let one = incoming(command(json!({})));
    assert!(matches!(&one.what, What::Text { text, .. } if text == "/status api"));
    assert_eq!(one.place.to_string(), format!("discord:{OPS}"));
    assert_eq!(
        (one.sender.id.as_str(), one.sender.name.as_str()),
        (ANA, "@ana_ops")
    );
    assert_eq!(one.at.to_string(), "2016-04-30T11:18:25.796Z");
    assert_eq!(one.answer.as_deref(), Some("aW50ZXJhY3Rpb246x-_="));
    let expected = Origin {
        addressed: true,
        ..Origin::default()
    };
    assert_eq!(one.origin, expected);
}

#[test]
fn a_thread_is_in_its_channel_and_a_private_chat_is_private() {
    let channel = json!({ "id": THREAD, "type": 11, "parent_id": OPS });
    let one = incoming(command(json!({ "channel_id": THREAD, "channel": channel })));
    assert_eq!(one.place.to_string(), format!("discord:{OPS}/{THREAD}"));
    let private = json!({
        "guild_id": null, "member": null, "user": { "id": ANA, "username": "ana_ops" },
        "channel": { "id": "100000000000000022", "type": 1 },
    });
    let one = incoming(command(private.clone()));
    assert!(one.origin.private);
    assert_eq!(one.place.to_string(), "discord:100000000000000022");
    // Between two users, where the bot is not.
    let mut between = private;
    between["channel"]["type"] = json!(3);
    assert!(heard(command(between)).is_none());
}

#[test]
fn a_press_carries_what_its_button_carried() {
    let press = |id: &str, bot: bool| {
        let message = json!({ "id": "100000000000000099", "author": { "id": BOT, "bot": bot } });
        let data = json!({ "custom_id": id, "component_type": 2 });
        incoming(command(
            json!({ "type": 3, "data": data, "message": message }),
        ))
    };
    for (id, expected) in [
        ("o:status api", "o:status api"),
        ("o:status api #1", "o:status api"),
        ("o:status #x", "o:status #x"),
        ("a:<b>:", "a:<b>:"),
        ("o:scale api #", "o:scale api #"),
    ] {
        let one = press(id, true);
        assert!(matches!(&one.what, What::Press { payload, .. } if payload == expected));
        assert_eq!(one.message().id, "100000000000000099");
        assert!(!one.origin.forwarded);
    }
    assert!(press("c:x", false).origin.forwarded, "no button of ours");
}

#[test]
fn what_is_typed_is_told_apart() {
    let options = json!([{ "name": "app", "type": 3, "value": "wor", "focused": true }]);
    let data = json!({ "name": "logs", "options": options });
    let Some(Heard::Typing { argument, .. }) = heard(command(json!({ "type": 4, "data": data })))
    else {
        panic!("it is typed");
    };
    assert_eq!(argument, ("app".to_owned(), "wor".to_owned()));
}

#[test]
fn what_cannot_be_used_is_left_out() {
    for fields in [
        json!({ "type": 1 }),
        json!({ "type": 5 }),
        json!({ "data": null }),
        json!({ "member": null }),
        json!({ "type": 3 }),
        json!({ "type": 4 }),
    ] {
        assert!(heard(command(fields.clone())).is_none(), "{fields}");
    }
    let strange = incoming(command(json!({ "token": "../../x" })));
    assert_eq!(strange.answer, None, "it would become a part of an address");
}

fn written(text: &str, fields: Value, changed: bool) -> Option<Incoming> {
    let mut event = json!({
        "id": "175928847299117063", "channel_id": OPS, "guild_id": "100000000000000010",
        "author": { "id": ANA, "username": "ana_ops" }, "content": text, "type": 0,
        "mentions": [{ "id": BOT, "username": "mhost", "bot": true }],
    });
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    message(
        serde_json::from_value(event).unwrap(),
        changed,
        &me(),
        now(),
    )
}

#[test]
fn what_addresses_the_bot_is_taken_off() {
    for (text, expected) in [
        (format!("<@{BOT}> status"), "status"),
        (format!("<@!{BOT}>, /status api "), "/status api"),
        (format!("why is it slow <@{BOT}>"), "why is it slow"),
        (
            format!("why is <@{BOT}> slow?"),
            "why is <@100000000000000001> slow?",
        ),
    ] {
        let one = written(&text, json!({}), false).unwrap();
        assert!(
            matches!(&one.what, What::Text { text, .. } if text == expected),
            "{text}"
        );
        assert!(one.origin.addressed && !one.origin.private);
    }
}

#[test]
fn talk_of_others_and_of_the_bot_itself_is_passed_over() {
    let nobody = json!({ "mentions": [] });
    assert!(written("hello", nobody.clone(), false).is_none());
    assert!(written("", json!({}), false).is_none(), "a picture");
    assert!(written("x", json!({ "author": { "id": BOT, "bot": true } }), false).is_none());
    assert!(
        written("x", json!({ "type": 7 }), false).is_none(),
        "somebody joined"
    );
    assert!(
        written("x", json!({}), true).is_none(),
        "Discord has looked behind a link"
    );
    let reply =
        json!({ "mentions": [], "type": 19, "referenced_message": { "author": { "id": BOT } } });
    assert!(written("yes", reply, false).unwrap().origin.addressed);
    let private = json!({ "mentions": [], "guild_id": null });
    let one = written("yes", private, false).unwrap();
    assert!(one.origin.private && one.origin.addressed);
}

#[test]
fn whoever_hides_forwards_or_edits_is_told_apart() {
    let edited = json!({ "edited_timestamp": "2026-10-01T12:00:00.000000+00:00" });
    let flags = |fields: Value, changed| {
        let one = written("<@100000000000000001> /stop api", fields, changed).unwrap();
        let origin = one.origin;
        [
            origin.anonymous,
            origin.forwarded,
            origin.bot,
            origin.edited,
        ]
    };
    assert_eq!(flags(json!({}), false), [false; 4]);
    let webhook = json!({ "webhook_id": "100000000000000077" });
    assert_eq!(flags(webhook, false), [true, false, true, false]);
    let other = json!({ "author": { "id": "100000000000000078", "bot": true } });
    assert_eq!(flags(other, false), [false, false, true, false]);
    let forwarded = json!({ "message_reference": { "type": 1 } });
    assert_eq!(flags(forwarded, false), [false, true, false, false]);
    let reply = json!({ "message_reference": { "type": 0 }, "type": 19 });
    assert_eq!(flags(reply, false), [false; 4]);
    assert_eq!(flags(edited.clone(), true), [false, false, false, true]);
    let one = written("x", edited, true).unwrap();
    assert_eq!(
        one.delivery,
        "175928847299117063:2026-10-01T12:00:00.000000+00:00"
    );
    assert_eq!(one.at, now());
}
