//! Where messages go and come from: private chats, mentions, threads, and who hides.

use chat::discord::{Discord, Settings};
use chat::{Card, Channel, ChatError, MenuEntry, Note, Place, Platform, Tone, What};
use serde_json::json;

use crate::server::{ANA, ANAS, APPLICATION, BOB, BOT, HIDDEN, OPS, Server, THREAD};
use crate::{bot, described, settings};

fn card() -> Card {
    Card::titled(Tone::Plain, "hello")
}

/// The command line makes one before it has a runtime.
#[test]
fn a_bot_is_made_without_a_runtime() {
    let server = Server::start();
    bot(&server);
    assert_eq!(server.calls().len(), 0, "and asks nothing");
}

/// An admin's place is their id; their private chat has another one.
#[tokio::test]
async fn a_user_is_reached_in_private() {
    let server = Server::start();
    let bot = bot(&server);
    let ana = Place::chat(Platform::Discord, ANA);
    let message = bot.send(&ana, &card()).await.unwrap();
    assert_eq!(message.place, Place::chat(Platform::Discord, ANAS));
    bot.edit(&message, &Card::titled(Tone::Good, "well again"))
        .await
        .unwrap();
    bot.send(&ana, &card()).await.unwrap();
    assert_eq!(server.shown(ANAS).len(), 2);
    assert_eq!(
        server.of("POST /users/@me/channels").len(),
        1,
        "it is remembered"
    );
    let nobody = Place::chat(Platform::Discord, "100000000000000404");
    let sent = bot.send(&nobody, &card()).await;
    assert!(matches!(sent, Err(ChatError::Gone(_))), "{sent:?}");
    // Who takes no messages of strangers.
    let no = json!({ "message": "Cannot send messages to this user", "code": 50_007 });
    let bob = Place::chat(Platform::Discord, BOB);
    server.instead("POST /channels/100000000000000032", 403, no);
    let sent = bot.send(&bob, &card()).await;
    assert!(matches!(sent, Err(ChatError::Gone(_))), "{sent:?}");
    described::check(&server.calls());
}

#[tokio::test]
async fn a_mention_is_heard_where_it_is_written() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.write(OPS, BOB, "just talk", json!({}));
    server.write(THREAD, ANA, &format!("<@{BOT}> why is it slow?"), json!({}));
    let incoming = bot.receive().await.unwrap();
    assert!(matches!(&incoming.what, What::Text { text, .. } if text == "why is it slow?"));
    assert_eq!(
        incoming.place.to_string(),
        format!("discord:{OPS}/{THREAD}")
    );
    assert_eq!(incoming.message().place, incoming.place);
    assert!(incoming.origin.addressed && !incoming.origin.private);
    bot.taken(&incoming).await.unwrap();
    bot.reply(&incoming, &card()).await.unwrap();
    assert_eq!(server.shown(THREAD).len(), 1);
    // A line for one cannot be hidden from the others there.
    bot.answer(&incoming, &Note::alert("only for you"))
        .await
        .unwrap();
    bot.close(&incoming).await.unwrap();
    assert_eq!(server.shown(THREAD).len(), 1);
    // Where it is, is asked once.
    server.write(THREAD, ANA, &format!("<@{BOT}> and now?"), json!({}));
    bot.receive().await.unwrap();
    assert_eq!(server.of("GET /channels/").len(), 1);
    assert_eq!(server.faults(), [""; 0]);
    described::check(&server.calls());
}

#[tokio::test]
async fn a_private_message_and_a_note_to_it() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.write(ANAS, ANA, "/stop api", json!({}));
    let incoming = bot.receive().await.unwrap();
    assert!(incoming.origin.private);
    bot.taken(&incoming).await.unwrap();
    bot.answer(&incoming, &Note::alert("That needs a higher role."))
        .await
        .unwrap();
    let shown = server.shown(ANAS);
    assert_eq!(shown[0].raw(), "That needs a higher role.");
    assert_eq!(server.faults(), [""; 0]);
}

#[tokio::test]
async fn whoever_hides_forwards_or_edits_is_told_apart() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    let text = "/stop api";
    server.write(
        ANAS,
        ANA,
        text,
        json!({ "webhook_id": "100000000000000077" }),
    );
    server.write(
        ANAS,
        ANA,
        text,
        json!({ "message_reference": { "type": 1 } }),
    );
    let edited =
        json!({ "id": "1050000000000000000", "edited_timestamp": "2026-01-01T00:01:00+00:00" });
    server.rewrite(ANAS, ANA, text, edited.clone());
    // Once more, since Discord has looked behind a link in it.
    server.rewrite(ANAS, ANA, text, edited);
    server.rewrite(ANAS, ANA, text, json!({}));
    server.write(ANAS, BOT, text, json!({}));
    server.write(ANAS, ANA, "the end", json!({}));
    let mut flags = Vec::new();
    loop {
        let incoming = bot.receive().await.unwrap();
        bot.taken(&incoming).await.unwrap();
        if matches!(&incoming.what, What::Text { text, .. } if text == "the end") {
            break;
        }
        let origin = incoming.origin;
        flags.push((origin.bot, origin.forwarded, origin.edited));
    }
    assert_eq!(
        flags,
        [
            (true, false, false),
            (false, true, false),
            (false, false, true)
        ]
    );
}

#[tokio::test]
async fn commands_are_listed_everywhere_or_on_one_server() {
    let entries = [MenuEntry {
        name: "status",
        arguments: "[app]",
        about: "how all are",
    }];
    let server = Server::start();
    bot(&server).menu(&entries).await.unwrap();
    let listed = server.of("PUT ");
    assert!(listed[0].path.contains("/guilds/"), "{}", listed[0].path);
    server.forget();
    let everywhere = Settings {
        guild: None,
        application_id: Some(APPLICATION.to_owned()),
        ..settings(&server)
    };
    let bot = Discord::new(&everywhere, None).unwrap();
    for _ in 0..2 {
        bot.menu(&entries).await.unwrap();
    }
    let calls = server.calls();
    assert_eq!(calls.len(), 2, "the application is known");
    assert_eq!(
        calls[0].path,
        format!("/applications/{APPLICATION}/commands")
    );
    assert_eq!(calls[0].body[0]["contexts"], json!([0, 1]));
    assert_eq!(server.faults(), [""; 0]);
    described::check(&calls);
    // Another application than the token's.
    let foreign = Settings {
        application_id: Some("100000000000000999".to_owned()),
        ..everywhere
    };
    let listed = Discord::new(&foreign, None).unwrap().menu(&entries).await;
    assert!(matches!(listed, Err(ChatError::Refused(_))), "{listed:?}");
}

#[tokio::test]
async fn a_chat_that_is_no_id_is_refused_here() {
    let server = Server::start();
    let bot = bot(&server);
    for chat in ["ops", "../users", "-100", ""] {
        let sent = bot
            .send(&Place::chat(Platform::Discord, chat), &card())
            .await;
        assert!(matches!(sent, Err(ChatError::Refused(_))), "{sent:?}");
    }
    assert_eq!(server.calls().len(), 0);
    let sent = bot
        .send(&Place::chat(Platform::Discord, HIDDEN), &card())
        .await;
    assert!(matches!(sent, Err(ChatError::Gone(_))), "{sent:?}");
}
