//! The gateway when it is not as one would like: closed, forgotten, silent, or full of nonsense.

use std::time::Duration;

use chat::discord::Discord;
use chat::{Channel, ChatError, What};
use serde_json::json;

use crate::server::{ANA, ANAS, Rules, Server};
use crate::{bot, settings, until};

async fn text(bot: &Discord) -> String {
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    match incoming.what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => payload,
    }
}

async fn resumed(server: &Server, times: usize) {
    until("the session is resumed", || {
        server.times("resume") == times && server.is_connected()
    })
    .await;
}

#[tokio::test]
async fn what_came_meanwhile_is_not_missed() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.write(ANAS, ANA, "first", json!({}));
    assert_eq!(text(&bot).await, "first");
    server.cut();
    server.write(ANAS, ANA, "second", json!({}));
    assert_eq!(text(&bot).await, "second");
    resumed(&server, 1).await;
    assert_eq!(server.times("identify"), 1);
    // Discord asks to come again, as it does several times a day.
    server.frame(&json!({ "op": 7, "d": null, "s": null, "t": null }).to_string());
    resumed(&server, 2).await;
    server.write(ANAS, ANA, "third", json!({}));
    assert_eq!(text(&bot).await, "third");
    assert_eq!(server.faults(), [""; 0]);
}

#[tokio::test]
async fn what_comes_twice_is_heard_once() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.write(ANAS, ANA, "first", json!({}));
    server.repeat();
    assert_eq!(text(&bot).await, "first");
    server.repeat();
    server.write(ANAS, ANA, "second", json!({}));
    assert_eq!(text(&bot).await, "second");
}

#[tokio::test]
async fn a_forgotten_session_is_begun_anew() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.change(|rules| rules.forgets = true);
    server.close(4_000, "Unknown error.");
    until("it introduces itself anew", || {
        server.times("identify") == 2 && server.is_connected()
    })
    .await;
    assert_eq!(server.times("unknown session"), 1);
    assert_eq!(server.times("too early"), 0, "not within five seconds");
    server.write(ANAS, ANA, "after", json!({}));
    assert_eq!(text(&bot).await, "after");
    assert_eq!(server.faults(), [""; 0]);
}

/// After a restart of mhost Discord says that it is too early, and takes the next one.
#[tokio::test]
async fn who_introduces_themselves_too_early_comes_again() {
    let server = Server::start();
    bot(&server).connect().await.unwrap();
    let another = bot(&server);
    another.connect().await.unwrap();
    assert_eq!(server.times("too early"), 1);
    server.write(ANAS, ANA, "hello", json!({}));
    assert_eq!(text(&another).await, "hello");
}

#[tokio::test]
async fn codes_say_what_to_do() {
    for (code, reason, expected) in [
        (4_004, "Authentication failed.", "refused"),
        (4_013, "Invalid intent(s).", "Privileged Gateway Intents"),
        (4_014, "Disallowed intent(s).", "Privileged Gateway Intents"),
        (4_011, "Sharding required.", "too many servers"),
        (4_012, "Invalid API version.", "another version"),
        (4_008, "Rate limited.", "Rate limited. (4008)"),
        (1_001, "going away", "going away (1001)"),
    ] {
        let server = Server::with(Rules {
            refuses: Some((code, reason)),
            ..Rules::default()
        });
        let bot = bot(&server);
        let error = bot.connect().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{code}: {error}");
        let retries = error.retry().is_some();
        assert_eq!(retries, [4_008, 1_001].contains(&code), "{code}: {error:?}");
        assert_eq!(bot.receive().await, Err(error), "and it stays so");
        assert_eq!(server.times("identify"), 1, "{code}");
    }
}

/// A connection that answers no heartbeat is none, however open it looks.
#[tokio::test]
async fn a_silent_connection_is_left() {
    let server = Server::with(Rules {
        // A busy machine stops for a second now and then.
        heartbeat: Duration::from_secs(2),
        ..Rules::default()
    });
    let bot = bot(&server);
    bot.connect().await.unwrap();
    until("it beats", || server.times("heartbeat") >= 3).await;
    assert_eq!(server.times("resume"), 0);
    server.change(|rules| rules.acknowledges = false);
    until("it comes back", || server.times("resume") > 0).await;
    server.change(|rules| rules.acknowledges = true);
    server.write(ANAS, ANA, "still here", json!({}));
    assert_eq!(text(&bot).await, "still here");
    assert_eq!(server.times("identify"), 1);
    assert_eq!(server.faults(), [""; 0]);
}

#[tokio::test]
async fn nonsense_is_passed_over() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    for frame in [
        "",
        "not json",
        "[1, 2",
        "{}",
        r#"{"op":99,"d":null}"#,
        r#"{"op":0,"t":"INTERACTION_CREATE","s":7,"d":null}"#,
        r#"{"op":0,"t":"INTERACTION_CREATE","s":7,"d":{"id":[],"type":"x"}}"#,
        r#"{"op":0,"t":"MESSAGE_CREATE","s":7,"d":{"id":"1","channel_id":"2","author":{}}}"#,
        r#"{"op":0,"t":"SOMETHING_NEW","s":7,"d":{"x":{"y":[1,2,3]}}}"#,
        r#"{"op":11,"d":{"unexpected":true}}"#,
    ] {
        server.frame(frame);
    }
    server.write(ANAS, ANA, "after all that", json!({}));
    assert_eq!(text(&bot).await, "after all that");
}

/// A hello that no client could live with ends the connection, not the program.
#[tokio::test]
async fn a_hello_that_cannot_be_is_an_error() {
    let hello = json!({ "op": 10, "d": { "heartbeat_interval": 0 } });
    let server = Server::with(Rules {
        greeting: Some(hello.to_string()),
        ..Rules::default()
    });
    let bot = bot(&server);
    let error = bot.connect().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
    server.change(|rules| rules.greeting = None);
    bot.connect().await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_the_next_one_is_found() {
    let server = Server::start();
    let bot = bot(&server);
    bot.connect().await.unwrap();
    let settings = settings(&server);
    drop(server);
    let broken = bot.receive().await;
    assert!(
        matches!(broken, Err(ChatError::Unavailable(_))),
        "{broken:?}"
    );
    let again = bot.connect().await;
    assert!(matches!(again, Err(ChatError::Unavailable(_))), "{again:?}");
    let shown = format!("{bot:?} {again:?} {settings:?}");
    assert!(!shown.contains("sEcReT"), "{shown}");
}

#[tokio::test]
async fn no_introductions_are_left() {
    let server = Server::with(Rules {
        starts: 0,
        ..Rules::default()
    });
    let after = Duration::from_secs(3_600);
    assert_eq!(
        bot(&server).connect().await,
        Err(ChatError::TooFast { after })
    );
    assert_eq!(server.times("identify"), 0);
}

/// The gateway's address comes from the server; the token goes to no other machine in the clear.
#[tokio::test]
async fn the_token_goes_nowhere_in_the_clear() {
    let server = Server::start();
    let starts = json!({ "total": 1, "remaining": 1, "reset_after": 0, "max_concurrency": 1 });
    for url in ["ws://gateway.example", "http://127.0.0.1:1", "x", ""] {
        let body = json!({ "url": url, "shards": 1, "session_start_limit": starts });
        server.instead("GET /gateway/bot", 200, body);
        let error = bot(&server).connect().await.unwrap_err();
        assert!(matches!(error, ChatError::Refused(_)), "{url}: {error:?}");
    }
}
