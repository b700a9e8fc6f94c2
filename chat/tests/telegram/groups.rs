//! Groups, topics and people who hide, at the strict server.

use chat::{Card, Channel, Note, Place, Platform, Tone, What};
use serde_json::{Value, json};

use crate::conformance::Counterpart;
use crate::people::ana;
use crate::strict::Strict;
use crate::{bot, described};

const OPS: i64 = -100_200;

fn group() -> Value {
    json!({ "id": OPS, "type": "supergroup", "title": "Ops", "is_forum": true })
}

#[tokio::test]
async fn a_group_with_topics_is_served_in_its_topics() {
    let Some(them) = Strict::with_ana().await else {
        return;
    };
    let bot = bot(&them.between.url);
    let topic = json!({ "message_thread_id": 3, "is_topic_message": true, "text": "/status" });
    them.say(group(), topic).await;
    let incoming = bot.receive().await.unwrap();
    assert_eq!(incoming.place.to_string(), format!("telegram:{OPS}/3"));
    assert!(incoming.origin.addressed && !incoming.origin.private);
    bot.taken(&incoming).await.unwrap();
    let card = Card::titled(Tone::Plain, "All is well");
    let message = bot.send(&incoming.place, &card).await.unwrap();
    assert_eq!(message.place, incoming.place);
    let sent = them.between.of("sendMessage");
    assert_eq!(sent[0].number("chat_id"), Some(OPS));
    assert_eq!(sent[0].number("message_thread_id"), Some(3));
    // All would see an answer to a text, so there is none.
    bot.answer(&incoming, &Note::alert("only for you"))
        .await
        .unwrap();
    assert_eq!(them.between.of("sendMessage").len(), 1);
    described::check(&them.between.calls());
}

#[tokio::test]
async fn what_is_for_others_is_passed_over() {
    let Some(them) = Strict::with_ana().await else {
        return;
    };
    let bot = bot(&them.between.url);
    them.say(group(), json!({ "text": "/stop@other_bot api" }))
        .await;
    them.say(group(), json!({ "new_chat_title": "Ops 2" }))
        .await;
    them.say(group(), json!({ "sticker": { "file_id": "x" } }))
        .await;
    them.say(group(), json!({ "text": "just talk" })).await;
    let talk = bot.receive().await.unwrap();
    assert!(matches!(&talk.what, What::Text { text, .. } if text == "just talk"));
    assert!(!talk.origin.addressed);
    bot.taken(&talk).await.unwrap();
    // What was passed over is told, too, or it would come for ever.
    them.write("/status").await;
    let next = bot.receive().await.unwrap();
    assert!(next.origin.private);
    let polls = them.between.of("getUpdates");
    assert_eq!(polls.last().unwrap().number("offset"), Some(5));
}

#[tokio::test]
async fn whoever_hides_or_forwards_is_told_apart() {
    let Some(them) = Strict::with_ana().await else {
        return;
    };
    let bot = bot(&them.between.url);
    let hidden = json!({ "id": 1_087_968_824, "is_bot": true, "first_name": "Group" });
    let origin = json!({ "type": "user", "date": 1, "sender_user": ana() });
    let other = json!({ "id": 9, "is_bot": true, "first_name": "via" });
    for fields in [
        json!({ "from": hidden, "sender_chat": group() }),
        json!({ "forward_origin": origin }),
        json!({ "via_bot": other }),
        json!({ "edit_date": 1_700_000_100 }),
    ] {
        let mut fields = fields;
        fields["text"] = json!("/stop api");
        them.say(group(), fields).await;
    }
    let mut flags = Vec::new();
    for _ in 0..4 {
        let incoming = bot.receive().await.unwrap();
        let origin = incoming.origin;
        flags.push([
            origin.anonymous,
            origin.forwarded,
            origin.bot,
            origin.edited,
        ]);
        bot.taken(&incoming).await.unwrap();
    }
    for (number, flags) in flags.iter().enumerate() {
        let mut expected = [false; 4];
        expected[number] = true;
        assert_eq!(*flags, expected, "{number}");
    }
}

#[tokio::test]
async fn a_chat_that_is_no_number_is_refused_here() {
    let bot = bot("http://127.0.0.1:9");
    let place = Place::chat(Platform::Telegram, "@channel");
    let sent = bot.send(&place, &Card::default()).await;
    assert!(matches!(sent, Err(chat::ChatError::Refused(_))), "{sent:?}");
}
