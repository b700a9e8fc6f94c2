//! A REST API that says no, says nonsense, or says "later".

use std::time::Duration;

use chat::discord::{Discord, Settings};
use chat::{Card, Channel, ChatError, Document, MessageRef, Place, Platform, Tone};
use serde_json::{Value, json};

use crate::server::{Instead, OPS, Server, THREAD};
use crate::{bot, settings};

fn ops() -> Place {
    Place::chat(Platform::Discord, OPS)
}

fn card() -> Card {
    Card::titled(Tone::Plain, "hello")
}

fn no(message: &str, code: u32) -> Value {
    json!({ "message": message, "code": code })
}

#[tokio::test]
async fn a_wrong_token_is_told_as_one_and_never_shown() {
    let server = Server::start();
    let wrong = Settings {
        token: "MTAw.GsEcRt.sEcReT_wrong".to_owned().into(),
        ..settings(&server)
    };
    let bot = Discord::new(&wrong, None).unwrap();
    let error = bot.connect().await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorised("401: Unauthorized".into()));
    let echo = no("no bot MTAw.GsEcRt.sEcReT_wrong\n", 0);
    server.instead("GET /users/@me", 400, echo);
    let error = bot.connect().await.unwrap_err();
    let shown = format!("{error} {bot:?} {wrong:?}");
    assert!(error.to_string().contains("***"), "{error}");
    assert!(!shown.contains("sEcReT"), "{shown}");
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_is_told() {
    let server = Server::start();
    let bot = bot(&server);
    let slow = |after: f64, global: bool| Instead {
        of: "POST /channels/".into(),
        status: 429,
        headers: Vec::new(),
        body: json!({ "message": "You are being rate limited.", "retry_after": after,
                      "global": global })
        .to_string(),
        times: 1,
    };
    server.say(slow(0.2, false));
    bot.send(&ops(), &card()).await.unwrap();
    assert_eq!(server.of("POST /channels/").len(), 2);
    server.forget();
    server.say(slow(30.0, false));
    let after = Duration::from_secs(30);
    let error = bot.send(&ops(), &card()).await.unwrap_err();
    assert!(
        matches!(error, ChatError::TooFast { after: left } if left <= after),
        "{error:?}"
    );
    let error = bot.send(&ops(), &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::TooFast { .. }), "{error:?}");
    assert_eq!(server.of("POST /channels/").len(), 1, "it is left alone");
    let thread = Place {
        thread: Some(THREAD.into()),
        ..ops()
    };
    bot.send(&thread, &card()).await.unwrap();
    server.say(slow(30.0, true));
    let error = bot.send(&thread, &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::TooFast { .. }), "{error:?}");
    let error = bot.connect().await.unwrap_err();
    assert!(
        matches!(error, ChatError::TooFast { .. }),
        "all are meant: {error:?}"
    );
}

#[tokio::test]
async fn one_that_stands_before_discord_is_obeyed_too() {
    let server = Server::start();
    let bot = bot(&server);
    server.say(Instead {
        of: "POST /channels/".into(),
        status: 429,
        headers: vec![("retry-after", "60".into())],
        body: "<html>error 1015</html>".into(),
        times: 1,
    });
    let error = bot.send(&ops(), &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::TooFast { after } if after > Duration::from_secs(50)));
}

/// Fifteen at once to a server that takes five in a second.
#[tokio::test]
async fn what_the_headers_say_is_kept() {
    let server = Server::start();
    let bot = bot(&server);
    for _ in 0..15 {
        bot.send(&ops(), &card()).await.unwrap();
    }
    assert_eq!(server.shown(OPS).len(), 15);
    assert_eq!(server.faults(), [""; 0], "never too fast");
}

#[tokio::test]
async fn a_server_in_trouble_is_unavailable_and_the_next_call_goes_on() {
    let server = Server::start();
    let bot = bot(&server);
    for (status, body) in [
        (502, "<html>Bad Gateway</html>".to_owned()),
        (500, no("Internal Server Error", 0).to_string()),
        (200, "<html>Wifi login</html>".to_owned()),
        (200, "[1, 2".to_owned()),
        (200, "{}".to_owned()),
        (200, format!("\"{}\"", "x".repeat(5 << 20))),
    ] {
        server.say(Instead {
            of: "POST /channels/".into(),
            status,
            headers: Vec::new(),
            body,
            times: 1,
        });
        let error = bot.send(&ops(), &card()).await.unwrap_err();
        assert!(
            matches!(error, ChatError::Unavailable(_)),
            "{status}: {error:?}"
        );
    }
    bot.send(&ops(), &card()).await.unwrap();
    server.say(Instead {
        of: "GET /users/@me".into(),
        status: 302,
        headers: vec![("location", "http://evil.example/".into())],
        body: String::new(),
        times: 1,
    });
    let error = bot.connect().await.unwrap_err();
    assert!(
        matches!(error, ChatError::Refused(_)),
        "not followed: {error:?}"
    );
}

#[tokio::test]
async fn what_is_gone_or_refused_is_told_apart() {
    let server = Server::start();
    let bot = bot(&server);
    let message = bot.send(&ops(), &card()).await.unwrap();
    let says = |code| no("it says so", code);
    for code in [10_003, 10_004, 10_008, 50_001, 50_083] {
        server.instead("PATCH /channels/", 404, says(code));
        let error = bot.edit(&message, &card()).await.unwrap_err();
        assert!(matches!(error, ChatError::Gone(_)), "{code}: {error:?}");
    }
    server.instead("PATCH /channels/", 403, says(50_013));
    let error = bot.edit(&message, &card()).await.unwrap_err();
    assert!(error.to_string().contains("Embed Links"), "{error}");
    server.instead("PATCH /channels/", 400, says(50_035));
    let error = bot.edit(&message, &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused(_)), "{error:?}");
    let missing = MessageRef {
        id: "100000000000000404".into(),
        ..message
    };
    let error = bot.edit(&missing, &card()).await.unwrap_err();
    assert!(matches!(error, ChatError::Gone(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_comes_with_its_message_or_not_at_all() {
    let server = Server::start();
    let bot = bot(&server);
    let with_file = Card {
        file: Some(Document {
            name: "../a b.log".into(),
            text: "one\r\n--x\r\ntwo".into(),
        }),
        ..card()
    };
    server.instead(
        "POST /channels/",
        413,
        no("Request entity too large", 40_005),
    );
    let error = bot.send(&ops(), &with_file).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused(_)), "{error:?}");
    assert_eq!(server.shown(OPS).len(), 0);
    let message = bot.send(&ops(), &with_file).await.unwrap();
    bot.edit(&message, &card()).await.unwrap();
    let shown = server.shown(OPS);
    let file = ("ab.log".to_owned(), "one\r\n--x\r\ntwo".to_owned());
    assert_eq!(shown[0].files, [file], "and it stays");
    assert_eq!(server.faults(), [""; 0]);
}
