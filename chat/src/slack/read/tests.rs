//! What comes in, in all the forms that Slack has for it.

use serde_json::{Value, json};

use super::*;

fn me() -> Me {
    Me {
        user_id: "U0BOT".into(),
        user: "mhost".into(),
        team_id: "T0ACME".into(),
        team: "Acme".into(),
        bot_id: Some("B0BOT".into()),
        enterprise_id: Some("E0ACME".into()),
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn read_one(kind: &str, mut payload: Value, fields: Value, at: &[&str]) -> Option<Incoming> {
    let mut into = &mut payload;
    for key in at {
        into = &mut into[*key];
    }
    for (name, value) in fields.as_object().unwrap() {
        into[name.as_str()] = value.clone();
    }
    let commands = ["status".to_owned()];
    read(&Delivery::of(kind, payload)?, &me(), &commands, now())
}

/// A mention in a channel, with these fields besides.
fn mention(fields: Value) -> Option<Incoming> {
    let event = json!({
        "type": "app_mention", "user": "U1", "text": "<@U0BOT> status api",
        "ts": "1700000000.000100", "channel": "C1", "event_ts": "1700000000.000100",
        "team": "T0ACME", "blocks": [{ "type": "of_tomorrow" }],
    });
    let payload = json!({ "type": "event_callback", "event_id": "Ev1", "event": event });
    read_one("events_api", payload, fields, &["event"])
}

fn direct(fields: Value) -> Option<Incoming> {
    let event = json!({
        "type": "message", "channel_type": "im", "user": "U1", "text": "status",
        "ts": "1700000000.000100", "channel": "D1", "event_ts": "1700000000.000100",
    });
    let payload = json!({ "type": "event_callback", "event_id": "Ev1", "event": event });
    read_one("events_api", payload, fields, &["event"])
}

fn command(fields: Value) -> Option<Incoming> {
    let payload = json!({
        "command": "/mhost", "text": "status api", "trigger_id": "1.2.abc",
        "channel_id": "C1", "channel_name": "ops", "user_id": "U1", "user_name": "ana",
        "team_id": "T0ACME", "response_url": "https://hooks.slack.com/commands/x",
        "is_enterprise_install": "false",
    });
    read_one("slash_commands", payload, fields, &[])
}

fn pressed(fields: Value) -> Option<Incoming> {
    let payload = json!({
        "type": "block_actions",
        "user": { "id": "U1", "username": "ana", "team_id": "T0ACME" },
        "container": { "type": "message", "message_ts": "1600000000.000200", "channel_id": "C1" },
        "channel": { "id": "C1", "name": "ops" },
        "message": { "ts": "1600000000.000200", "user": "U0BOT", "bot_id": "B0BOT", "text": "x" },
        "actions": [{ "action_id": "0.0", "value": "c:9fk2", "action_ts": "1700000000.5" }],
        "response_url": "https://hooks.slack.com/actions/x",
    });
    read_one("interactive", payload, fields, &[])
}

fn text(incoming: &Incoming) -> &str {
    match &incoming.what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => payload,
    }
}

#[test]
fn all_three_kinds_are_read() {
    let one = mention(json!({})).unwrap();
    assert_eq!(one.delivery, "m:C1:1700000000.000100");
    assert_eq!((&*one.sender.id, text(&one)), ("U1", "/status api"));
    assert_eq!(one.place.to_string(), "slack:C1");
    assert_eq!(one.at.as_microsecond(), 1_700_000_000_000_100);
    assert!(one.origin.addressed && !one.origin.private);
    assert_eq!(one.message().id, "1700000000.000100");

    let one = direct(json!({})).unwrap();
    assert_eq!(text(&one), "/status");
    assert!(one.origin.private && one.origin.addressed && one.answer.is_none());
    assert_eq!(
        one.place.to_string(),
        "slack:U1",
        "a private chat is its user"
    );

    let one = command(json!({})).unwrap();
    assert_eq!((&*one.delivery, text(&one)), ("c:1.2.abc", "/status api"));
    assert_eq!((&*one.sender.name, one.at), ("ana", now()));
    assert!(one.answer.is_some() && one.origin.addressed);

    let one = pressed(json!({})).unwrap();
    assert_eq!(one.delivery, "p:C1:1600000000.000200:1700000000.5:U1");
    assert_eq!(
        (text(&one), &*one.message().id),
        ("c:9fk2", "1600000000.000200")
    );
    assert_eq!(one.at.as_second(), 1_700_000_000);
    assert!(!one.origin.forwarded);
}

#[test]
fn circumstances_are_told_truly() {
    let thread = mention(json!({ "thread_ts": "1600000000.1" })).unwrap();
    assert_eq!(thread.place.to_string(), "slack:C1/1600000000.1");
    let first = mention(json!({ "thread_ts": "1700000000.000100" })).unwrap();
    assert_eq!(first.place.thread, None, "it begins the thread");
    let bot = mention(json!({ "bot_id": "B9", "subtype": "bot_message" })).unwrap();
    assert!(bot.origin.bot);
    let foreign = pressed(json!({ "message": { "user": "U0OTHER" } })).unwrap();
    assert!(foreign.origin.forwarded);
    let private = command(json!({ "channel_id": "D1", "channel_name": "directmessage" }));
    let private = private.unwrap();
    assert!(private.origin.private);
    assert_eq!(private.place.to_string(), "slack:U1");
    let container = json!({ "message_ts": "1.0", "channel_id": "D1", "thread_ts": "0.5" });
    let private = pressed(json!({ "container": container })).unwrap();
    assert!(private.origin.private);
    assert_eq!(private.message().place.to_string(), "slack:U1/0.5");
    let foreign = direct(json!({ "user_team": "T9" })).unwrap();
    assert_eq!(foreign.place.to_string(), "slack:T9-U1");
}

#[test]
fn whoever_is_of_another_workspace_is_somebody_else() {
    let id = |fields| mention(fields).unwrap().sender.id;
    assert_eq!(id(json!({ "team": "T9" })), "T9-U1");
    assert_eq!(id(json!({ "user_team": "T9" })), "T9-U1");
    assert_eq!(id(json!({ "user_team": "T0ACME", "team": "T9" })), "U1");
    assert_eq!(id(json!({ "team": "E0ACME" })), "U1");
    assert_eq!(
        command(json!({ "team_id": "T9" })).unwrap().sender.id,
        "T9-U1"
    );
    let user = json!({ "id": "U1", "team_id": "T9" });
    assert_eq!(pressed(json!({ "user": user })).unwrap().sender.id, "T9-U1");
}

#[test]
fn an_edit_is_one_and_what_only_looks_like_it_is_none() {
    let changed = |now: Value, before: &str| {
        direct(json!({
            "subtype": "message_changed", "user": null, "text": null,
            "message": now, "previous_message": { "text": before },
        }))
    };
    let edited = json!({
        "user": "U1", "text": "stop api", "ts": "1700000000.000100",
        "edited": { "user": "U1", "ts": "1700000009.000000" },
    });
    let one = changed(edited.clone(), "status api").unwrap();
    assert!(one.origin.edited && one.origin.private);
    assert_eq!(one.delivery, "m:D1:1700000000.000100:1700000009.000000");
    assert_eq!(one.at.as_second(), 1_700_000_009);
    assert!(changed(edited, "stop api").is_none(), "a link was shown");
    let grown = json!({ "user": "U1", "text": "x", "ts": "1.0" });
    assert!(changed(grown, "y").is_none(), "nobody edited it");
    let ours = json!({
        "user": "U0BOT", "text": "x", "ts": "1.0", "edited": { "ts": "2.0" },
    });
    assert!(changed(ours, "y").is_none(), "the bot edits its own");
}

#[test]
fn what_is_nothing_to_us_is_passed_over() {
    for fields in [
        json!({ "user": "U0BOT" }),
        json!({ "user": null, "bot_id": "B0BOT" }),
        json!({ "user": null }),
        json!({ "subtype": "message_deleted" }),
        json!({ "subtype": "channel_join" }),
        json!({ "text": " " }),
        json!({ "text": null }),
        json!({ "ts": null }),
        json!({ "type": "reaction_added" }),
    ] {
        assert!(direct(fields.clone()).is_none(), "{fields}");
    }
    for fields in [
        json!({ "type": "view_submission" }),
        json!({ "actions": [] }),
        json!({ "actions": [{ "action_ts": "1.0" }] }),
        json!({ "container": { "type": "view" } }),
        json!({ "user": {} }),
    ] {
        assert!(pressed(fields.clone()).is_none(), "{fields}");
    }
    assert!(command(json!({ "trigger_id": null })).is_none());
    assert!(Delivery::of("hello", json!({})).is_none());
}

#[test]
fn long_and_strange_texts_stay_within_bounds() {
    let long = mention(json!({ "text": "ä".repeat(9_000), "channel": "C".repeat(900) })).unwrap();
    assert!(text(&long).len() <= Incoming::MOST_TEXT && long.place.chat.len() <= 64);
    assert_eq!(mention(json!({ "ts": "x" })).unwrap().at, now());
    assert_eq!(
        mention(json!({ "ts": "99999999999999.1" })).unwrap().at,
        now()
    );
    assert_eq!(
        mention(json!({ "text": "<@U0BOT>" })).map(|one| text(&one).to_owned()),
        Some(String::new())
    );
    let url = format!("https://hooks.slack.com/{}", "x".repeat(2_000));
    assert!(
        command(json!({ "response_url": url }))
            .unwrap()
            .answer
            .is_none()
    );
}
