//! What comes in, in all the forms that Telegram has for it.

use serde_json::{Value, json};

use super::*;

fn me() -> Me {
    Me {
        id: 42,
        first_name: "mhost".into(),
        username: Some("mhost_bot".into()),
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// What is read of a message in a group that Ana wrote, with these fields besides.
fn group(fields: Value) -> Option<Incoming> {
    read_one("message", fields)
}

fn read_one(kind: &str, fields: Value) -> Option<Incoming> {
    let mut message = json!({
        "message_id": 9, "date": 1_700_000_000, "text": "/status api",
        "from": { "id": 7, "is_bot": false, "first_name": "Ana", "username": "ana" },
        "chat": { "id": -100, "type": "supergroup", "title": "Ops" },
    });
    merge(&mut message, fields);
    let (id, update) = Update::of(json!({ "update_id": 5, kind: message })).unwrap();
    read(id, update?, &me(), now())
}

fn merge(into: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        into[name.as_str()] = value.clone();
    }
}

fn pressed(query: Value) -> Option<Incoming> {
    let mut all = json!({
        "id": "q1", "chat_instance": "1", "data": "c:9fk2",
        "from": { "id": 7, "is_bot": false, "first_name": "Ana" },
        "message": {
            "message_id": 9, "date": 1_700_000_000, "text": "Sure?",
            "from": { "id": 42, "is_bot": true, "first_name": "mhost" },
            "chat": { "id": -100, "type": "supergroup", "title": "Ops" },
        },
    });
    merge(&mut all, query);
    let (id, update) = Update::of(json!({ "update_id": 6, "callback_query": all })).unwrap();
    read(id, update?, &me(), now())
}

#[test]
fn a_command_in_a_group_is_read() {
    let incoming = group(json!({})).unwrap();
    assert_eq!(incoming.delivery, "5");
    assert_eq!(incoming.place.to_string(), "telegram:-100");
    assert_eq!(
        (&*incoming.sender.id, &*incoming.sender.name),
        ("7", "@ana")
    );
    assert_eq!(incoming.at.as_second(), 1_700_000_000);
    let expected = Origin {
        addressed: true,
        ..Origin::default()
    };
    assert_eq!(incoming.origin, expected);
}

#[test]
fn circumstances_are_told_truly() {
    let origin = |fields| group(fields).unwrap().origin;
    let user = |id: i64, is_bot: bool| json!({ "id": id, "is_bot": is_bot, "first_name": "x" });
    assert!(!origin(json!({ "text": "hello" })).addressed);
    assert!(origin(json!({ "text": "hello @mhost_bot" })).addressed);
    let reply = json!({ "message_id": 1, "from": user(42, true) });
    assert!(origin(json!({ "text": "yes", "reply_to_message": reply })).addressed);
    let topic = json!({ "message_id": 1, "from": user(42, true), "forum_topic_created": {} });
    assert!(!origin(json!({ "text": "yes", "reply_to_message": topic })).addressed);
    let named =
        json!([{ "type": "text_mention", "offset": 0, "length": 1, "user": user(42, true) }]);
    assert!(origin(json!({ "text": "m yes", "entities": named })).addressed);
    let origin_of = json!({ "type": "user", "date": 1, "sender_user": user(8, false) });
    assert!(origin(json!({ "forward_origin": origin_of })).forwarded);
    assert!(origin(json!({ "forward_date": 1 })).forwarded);
    assert!(origin(json!({ "is_automatic_forward": true })).forwarded);
    assert!(origin(json!({ "edit_date": 1_700_000_001 })).edited);
    assert!(read_one("edited_message", json!({})).unwrap().origin.edited);
    assert!(origin(json!({ "from": user(9, true) })).bot);
    assert!(origin(json!({ "via_bot": user(9, true) })).bot);
    let private = json!({ "chat": { "id": 7, "type": "private" }, "text": "hello" });
    assert!(origin(private.clone()).private && origin(private).addressed);
}

#[test]
fn whoever_hides_is_nobody() {
    let group_bot = json!({ "id": 1_087_968_824, "is_bot": true, "first_name": "Group" });
    let chat = json!({ "id": -100, "type": "supergroup", "title": "Ops" });
    let hidden = group(json!({ "from": group_bot, "sender_chat": chat })).unwrap();
    assert!(hidden.origin.anonymous && !hidden.origin.bot);
    assert_eq!((&*hidden.sender.id, &*hidden.sender.name), ("-100", "Ops"));
    let hidden = group(json!({ "from": group_bot })).unwrap();
    assert!(hidden.origin.anonymous, "also without the chat");
    let channel = json!({ "id": -200, "type": "channel", "title": "News" });
    let hidden = group(json!({ "from": null, "sender_chat": channel })).unwrap();
    assert!(hidden.origin.anonymous);
    assert_eq!(group(json!({ "from": null })), None, "from nobody at all");
}

#[test]
fn topics_are_places_and_threads_of_replies_are_not() {
    let topic = group(json!({ "message_thread_id": 3, "is_topic_message": true })).unwrap();
    assert_eq!(topic.place.to_string(), "telegram:-100/3");
    let thread = group(json!({ "message_thread_id": 3 })).unwrap();
    assert_eq!(thread.place.to_string(), "telegram:-100");
}

#[test]
fn what_is_new_to_us_hides_no_command() {
    let entities = json!([{ "type": "of_2031", "offset": 0, "length": 7, "unix_time": 1 }]);
    let incoming = group(json!({ "entities": entities, "new_field": { "x": [1] } }));
    assert!(incoming.is_some());
}

#[test]
fn what_is_no_text_is_nothing() {
    assert_eq!(group(json!({ "text": null, "photo": [] })), None);
    assert_eq!(group(json!({ "text": "/status@other_bot" })), None);
    assert_eq!(group(json!({ "chat": "x" })), None);
    assert!(Update::of(json!({ "update_id": "x" })).is_none());
    let (_, poll) = Update::of(json!({ "update_id": 1, "poll": {} })).unwrap();
    assert_eq!(read(1, poll.unwrap(), &me(), now()), None);
}

#[test]
fn long_texts_and_names_are_cut_to_whole_letters() {
    let long = format!("/ask {}", "ä".repeat(9_000));
    let user = json!({ "id": 7, "first_name": "ß".repeat(500) });
    let incoming = group(json!({ "text": long, "from": user })).unwrap();
    assert_eq!(incoming.sender.name.len(), 64);
    let What::Text { text, .. } = incoming.what else {
        panic!("a text");
    };
    assert_eq!(text.len(), Incoming::MOST_TEXT - 1);
}

#[test]
fn a_press_is_read() {
    let press = pressed(json!({})).unwrap();
    assert_eq!(press.answer.as_deref(), Some("q1"));
    assert_eq!(press.at, now());
    assert_eq!(press.message().id, "9");
    assert!(matches!(&press.what, What::Press { payload, .. } if payload == "c:9fk2"));
    let expected = Origin {
        addressed: true,
        ..Origin::default()
    };
    assert_eq!(press.origin, expected);
}

#[test]
fn a_press_under_what_is_not_ours_says_so() {
    let chat = json!({ "id": -100, "type": "supergroup" });
    let foreign = json!({ "message_id": 9, "date": 1, "chat": chat,
        "from": { "id": 43, "is_bot": true, "first_name": "other" } });
    let press = pressed(json!({ "message": foreign })).unwrap();
    assert!(press.origin.forwarded);
    let bot = json!({ "id": 43, "is_bot": true, "first_name": "other" });
    assert!(pressed(json!({ "from": bot })).unwrap().origin.bot);
    let old = json!({ "message_id": 9, "date": 0, "chat": chat });
    assert!(!pressed(json!({ "message": old })).unwrap().origin.forwarded);
    assert_eq!(
        pressed(json!({ "message": null, "inline_message_id": "x" })),
        None
    );
    assert_eq!(
        pressed(json!({ "data": null, "game_short_name": "x" })),
        None
    );
}
