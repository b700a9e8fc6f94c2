//! Commands and presses: acknowledged in time, answered in their place, and for whom.

use std::sync::Arc;

use chat::discord::{Discord, Names};
use chat::{Block, Button, Card, Channel, ChatError, Incoming, MenuEntry, Note, Press, Tone, What};
use serde_json::{Value, json};

use crate::server::{ANA, ANAS, BOB, EVE, OPS, Server, THREAD};
use crate::{described, markdown, page, settings, until};

/// Ana and Bob may look.
fn names() -> Names {
    Arc::new(|incoming: &Incoming| {
        let known = [ANA, BOB].contains(&incoming.sender.id.as_str());
        known.then(|| ["api", "worker", "web-api"].map(str::to_owned).to_vec())
    })
}

async fn connected(server: &Server) -> Discord {
    let bot = Discord::new(&settings(server), Some(names())).unwrap();
    bot.connect().await.unwrap();
    let entry = |name, arguments| MenuEntry {
        name,
        arguments,
        about: "does it",
    };
    let entries = [
        entry("status", "[app]"),
        entry("logs", "<app> [lines]"),
        entry("whoami", ""),
    ];
    bot.menu(&entries).await.unwrap();
    bot
}

async fn taken(bot: &Discord) -> Incoming {
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    incoming
}

fn card(title: &str) -> Card {
    Card::titled(Tone::Plain, title).block(Block::Code("a line".into()))
}

fn texts(messages: &[crate::server::Message]) -> Vec<String> {
    messages.iter().map(|one| page::read(one).text).collect()
}

fn done(server: &Server) {
    assert_eq!(server.faults(), [""; 0]);
    described::check(&server.calls());
    markdown::check(&server.calls());
}

#[tokio::test]
async fn the_answer_comes_in_the_place_of_the_wait() {
    let server = Server::start();
    let bot = connected(&server).await;
    let id = server.slash(OPS, ANA, "/logs api 20");
    let incoming = taken(&bot).await;
    assert!(server.is_thinking(&id));
    assert!(matches!(&incoming.what, What::Text { text, .. } if text == "/logs api 20"));
    let message = bot.reply(&incoming, &card("Logs of api")).await.unwrap();
    assert!(!server.is_thinking(&id));
    assert_eq!(server.shown(OPS).len(), 1);
    // It is a message as any other.
    bot.edit(&message, &card("Logs of api, followed"))
        .await
        .unwrap();
    assert_eq!(texts(&server.shown(OPS)), ["Logs of api, followed\na line"]);
    bot.reply(&incoming, &card("And one more")).await.unwrap();
    assert_eq!(server.shown(OPS).len(), 2);
    // A note after it is for the sender alone.
    bot.answer(&incoming, &Note::passing("by the way"))
        .await
        .unwrap();
    bot.close(&incoming).await.unwrap();
    assert_eq!(texts(&server.whispered(ANA)), ["by the way"]);
    done(&server);
}

/// Discord waits three seconds, however long it takes to write something down.
#[tokio::test]
async fn what_takes_long_is_acknowledged_in_time_and_kept() {
    let server = Server::start();
    let bot = connected(&server).await;
    let id = server.slash(OPS, ANA, "/status");
    let first = bot.receive().await.unwrap();
    until("it is heard", || server.is_thinking(&id)).await;
    bot.connect().await.unwrap();
    assert_eq!(bot.receive().await.unwrap(), first, "not on record yet");
    bot.taken(&first).await.unwrap();
    bot.reply(&first, &card("It is well")).await.unwrap();
    bot.close(&first).await.unwrap();
    assert_eq!(texts(&server.shown(OPS)), ["It is well\na line"]);
    done(&server);
}

#[tokio::test]
async fn a_line_gives_way_to_the_card_that_follows() {
    let server = Server::start();
    let bot = connected(&server).await;
    server.slash(OPS, ANA, "/status");
    let incoming = taken(&bot).await;
    bot.answer(&incoming, &Note::passing("I am looking into it…"))
        .await
        .unwrap();
    assert_eq!(texts(&server.shown(OPS)), ["I am looking into it…"]);
    bot.reply(&incoming, &card("It is well")).await.unwrap();
    bot.close(&incoming).await.unwrap();
    assert_eq!(texts(&server.shown(OPS)), ["It is well\na line"]);
    done(&server);
}

#[tokio::test]
async fn a_refusal_is_for_the_sender_alone() {
    let server = Server::start();
    let bot = connected(&server).await;
    // Who may look is answered for all; the refusal is not.
    let id = server.slash(OPS, BOB, "/status");
    let incoming = taken(&bot).await;
    bot.answer(&incoming, &Note::alert("That needs a higher role."))
        .await
        .unwrap();
    bot.close(&incoming).await.unwrap();
    assert_eq!(texts(&server.whispered(BOB)), ["That needs a higher role."]);
    assert!(!server.is_thinking(&id));
    // A stranger, and what is about the sender, is not shown to all from the beginning.
    server.slash(OPS, EVE, "/status");
    let incoming = taken(&bot).await;
    bot.answer(&incoming, &Note::alert("You are not authorised."))
        .await
        .unwrap();
    bot.close(&incoming).await.unwrap();
    assert_eq!(texts(&server.whispered(EVE)), ["You are not authorised."]);
    server.slash(OPS, ANA, "/whoami");
    let incoming = taken(&bot).await;
    let message = bot.reply(&incoming, &card("You are ana")).await.unwrap();
    bot.edit(&message, &card("You are @ana")).await.unwrap();
    assert_eq!(texts(&server.whispered(ANA)), ["You are @ana\na line"]);
    assert_eq!(server.shown(OPS).len(), 0);
    done(&server);
}

#[tokio::test]
async fn what_is_not_answered_does_not_wait_for_ever() {
    let server = Server::start();
    let bot = connected(&server).await;
    let id = server.slash(OPS, ANA, "/status");
    let incoming = taken(&bot).await;
    assert!(server.is_thinking(&id));
    bot.close(&incoming).await.unwrap();
    assert!(!server.is_thinking(&id));
    assert_eq!(server.shown(OPS).len(), 0);
    done(&server);
}

/// The daemon is killed and another one takes the command up again: it knows the interaction
/// from what is on record, and nothing else.
#[tokio::test]
async fn another_daemon_answers_in_the_same_place() {
    let server = Server::start();
    let bot = connected(&server).await;
    let first = server.slash(OPS, ANA, "/status");
    let acknowledged = taken(&bot).await;
    server.instead("POST /interactions/", 503, json!({}));
    let second = server.slash(OPS, ANA, "/status");
    server.forgive(&second);
    let not_yet = bot.receive().await.unwrap();
    drop(bot);
    let bot = Discord::new(&settings(&server), Some(names())).unwrap();
    bot.reply(&acknowledged, &card("first")).await.unwrap();
    bot.close(&acknowledged).await.unwrap();
    assert!(!server.is_thinking(&first));
    // One that was not acknowledged in time is answered as a message.
    bot.reply(&not_yet, &card("second")).await.unwrap();
    bot.close(&not_yet).await.unwrap();
    assert_eq!(
        texts(&server.shown(OPS)),
        ["first\na line", "second\na line"]
    );
    assert_eq!(server.of("POST /channels/").len(), 1);
    assert_eq!(server.faults(), [""; 0]);
}

#[tokio::test]
async fn a_press_is_acknowledged_and_its_message_edited() {
    let server = Server::start();
    let bot = connected(&server).await;
    let button = Button::new("Restart", Press::Order("restart api".into()));
    let asked = card("api crashed").row(vec![button]);
    let place = chat::Place::chat(chat::Platform::Discord, OPS);
    let message = bot.send(&place, &asked).await.unwrap();
    let payload = server.shown(OPS)[0].buttons()[0].1.clone();
    let id = server.press(ANA, &message.id, &payload);
    let incoming = taken(&bot).await;
    assert!(server.is_acknowledged(&id));
    bot.answer(&incoming, &Note::passing("")).await.unwrap();
    bot.edit(incoming.message(), &card("api is restarted"))
        .await
        .unwrap();
    bot.reply(&incoming, &card("restart api: done"))
        .await
        .unwrap();
    bot.close(&incoming).await.unwrap();
    let shown = texts(&server.shown(OPS));
    assert_eq!(
        shown,
        ["api is restarted\na line", "restart api: done\na line"]
    );
    assert_eq!(server.whispered(ANA).len(), 0, "an empty note is none");
    done(&server);
}

/// Discord tells whoever pressed that it failed, so it must not be done behind their back.
#[tokio::test]
async fn a_press_that_was_acknowledged_too_late_is_told() {
    let server = Server::start();
    let bot = connected(&server).await;
    let button = Button::new("Restart", Press::Order("restart api".into()));
    let place = chat::Place::chat(chat::Platform::Discord, OPS);
    let message = bot
        .send(&place, &card("x").row(vec![button]))
        .await
        .unwrap();
    let id = server.press(ANA, &message.id, "o:restart api");
    server.forgive(&id);
    let gone = json!({ "message": "Unknown interaction", "code": 10_062 });
    server.instead("POST /interactions/", 404, gone);
    let incoming = bot.receive().await.unwrap();
    let said = bot.taken(&incoming).await;
    assert!(matches!(said, Err(ChatError::Gone(_))), "{said:?}");
    let said = bot.answer(&incoming, &Note::passing("")).await;
    assert!(matches!(said, Err(ChatError::Gone(_))), "{said:?}");
}

#[tokio::test]
async fn names_are_suggested_to_whoever_may_look() {
    let server = Server::start();
    let bot = connected(&server).await;
    let suggested = async |user: &str, part: &str| {
        let id = server.typed(OPS, user, "logs", part);
        until("something is suggested", || server.suggested(&id).is_some()).await;
        server.suggested(&id).unwrap()
    };
    assert_eq!(suggested(ANA, "").await, ["api", "web-api", "worker"]);
    assert_eq!(suggested(BOB, "API").await, ["api", "web-api"]);
    assert_eq!(suggested(ANA, "wor").await, ["worker"]);
    assert_eq!(suggested(EVE, "").await, [""; 0]);
    // Nothing of it is a message.
    server.slash(OPS, ANA, "/status worker");
    let incoming = taken(&bot).await;
    assert!(matches!(&incoming.what, What::Text { text, .. } if text == "/status worker"));
    done(&server);
}

#[tokio::test]
async fn a_thread_is_answered_in_the_thread() {
    let server = Server::start();
    let bot = connected(&server).await;
    server.slash(THREAD, ANA, "/status");
    let incoming = taken(&bot).await;
    assert_eq!(
        incoming.place.to_string(),
        format!("discord:{OPS}/{THREAD}")
    );
    bot.reply(&incoming, &card("in the thread")).await.unwrap();
    bot.send(&incoming.place, &card("and once more"))
        .await
        .unwrap();
    assert_eq!(server.shown(THREAD).len(), 2);
    assert_eq!(server.shown(OPS).len(), 0);
    done(&server);
}

#[tokio::test]
async fn in_private_nothing_has_to_be_hidden() {
    let server = Server::start();
    let bot = connected(&server).await;
    server.slash(ANAS, ANA, "/whoami");
    let incoming = taken(&bot).await;
    assert!(incoming.origin.private);
    bot.reply(&incoming, &card("You are ana")).await.unwrap();
    assert_eq!(server.shown(ANAS).len(), 1);
    let callback = &server.of("POST /interactions/")[0].body;
    assert_eq!(callback.get("data"), None::<&Value>);
    done(&server);
}
