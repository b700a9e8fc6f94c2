//! Connected again: by itself or when it is told to, where it was, and never in a hurry.

use chat::discord::Discord;
use chat::{Channel, ChatError, What};
use serde_json::json;

use crate::bot;
use crate::server::{ANA, ANAS, Rules, Server};

async fn text(bot: &Discord) -> String {
    let incoming = bot.receive().await.unwrap();
    bot.taken(&incoming).await.unwrap();
    match incoming.what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => payload,
    }
}

/// Codes that say "come again": it does by itself, and goes on where it was.
#[tokio::test]
async fn what_can_go_on_goes_on_by_itself() {
    for code in [
        1_000, 1_001, 1_006, 4_000, 4_001, 4_002, 4_003, 4_005, 4_008,
    ] {
        let server = Server::start();
        let bot = bot(&server);
        bot.connect().await.unwrap();
        match code {
            1_006 => server.cut(),
            code => server.close(code, "Try again."),
        }
        server.write(ANAS, ANA, "meanwhile", json!({}));
        assert_eq!(text(&bot).await, "meanwhile", "{code}");
        assert_eq!(server.times("resume"), 1, "{code}");
        assert_eq!(server.times("identify"), 1, "{code}");
        assert_eq!(server.faults(), [""; 0], "{code}");
    }
}

/// Codes that say "never again" are told, and nothing is tried until somebody says so. Then it
/// goes on where it was, so that nothing is missed.
#[tokio::test]
async fn what_must_not_go_on_stops_and_is_opened_again_when_told_to() {
    for (code, reason, says) in [
        (4_004, "Authentication failed.", "the token is refused"),
        (4_014, "Disallowed intent(s).", "Privileged Gateway Intents"),
    ] {
        let server = Server::start();
        let bot = bot(&server);
        bot.connect().await.unwrap();
        server.close(code, reason);
        let error = bot.receive().await.unwrap_err();
        assert!(error.to_string().contains(says), "{code}: {error}");
        assert_eq!(error.retry(), None, "{code}");
        assert_eq!(bot.receive().await, Err(error), "and it stays so");
        assert_eq!(server.times("resume") + server.times("identify"), 1);

        server.write(ANAS, ANA, "meanwhile", json!({}));
        // A try that fails does not forget where it was.
        let starts = json!({ "total": 1, "remaining": 1, "reset_after": 0, "max_concurrency": 1 });
        let body = json!({ "url": "x", "shards": 1, "session_start_limit": starts });
        server.instead("GET /gateway/bot", 200, body);
        bot.connect().await.unwrap_err();
        bot.connect().await.unwrap();
        assert_eq!(text(&bot).await, "meanwhile", "{code}");
        assert_eq!(server.times("resume"), 1, "{code}");
        assert_eq!(server.times("identify"), 1, "{code}");
        // An open one is left as it is.
        bot.connect().await.unwrap();
        server.write(ANAS, ANA, "after", json!({}));
        assert_eq!(text(&bot).await, "after");
        assert_eq!(server.times("resume") + server.times("identify"), 2);
        assert_eq!(server.faults(), [""; 0], "{code}");
    }
}

/// A platform that tells whoever comes to come again is left alone: that is an error, after
/// which the bot waits longer each time.
#[tokio::test]
async fn who_is_told_to_come_again_and_again_does_not_hurry() {
    let server = Server::with(Rules {
        restless: true,
        ..Rules::default()
    });
    let bot = bot(&server);
    let connections = || server.times("identify") + server.times("resume");
    bot.connect().await.unwrap();
    let error = bot.receive().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
    assert_eq!(connections(), 4, "a few are for nothing");
    for number in 5..8 {
        // Whether it ends before or after it is noticed that it was there.
        let _ = bot.connect().await;
        let again = bot.receive().await.unwrap_err();
        assert_eq!(again, error);
        assert_eq!(
            connections(),
            number,
            "one for each time that it is told to"
        );
    }
    // What comes then is not missed.
    server.change(|rules| rules.restless = false);
    server.write(ANAS, ANA, "at last", json!({}));
    bot.connect().await.unwrap();
    assert_eq!(text(&bot).await, "at last");
    assert_eq!(server.times("identify"), 1);
    assert_eq!(server.faults(), [""; 0]);
}
