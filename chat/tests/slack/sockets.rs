//! Connections that end, are silent, say nonsense, or bring too much.

use std::time::Duration;

use chat::slack::{Settings, Slack};
use chat::{Channel, ChatError, What};
use serde_json::json;
use tokio::time::Instant;

use crate::ana::{ANA, PRIVATE};
use crate::platform::{OPS, Platform, Said};
use crate::{bot, settings, until};

fn text(what: &What) -> &str {
    match what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => panic!("a press of {payload}"),
    }
}

#[tokio::test]
async fn nothing_is_lost_when_slack_asks_for_another_connection() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    for (number, reason) in ["warning", "refresh_requested"].into_iter().enumerate() {
        platform.writes(PRIVATE, ANA, "before", json!({}));
        platform.disconnect(reason);
        until("there is another one", || {
            platform.connections() == number + 2
        })
        .await;
        assert_eq!(platform.lines(), 2, "the old one is read on");
        let before = bot.receive().await.unwrap();
        bot.taken(&before).await.unwrap();
        until("the old one carries yet", || platform.unacknowledged() == 0).await;
        platform.close_oldest();
        platform.writes(PRIVATE, ANA, "after", json!({}));
        let after = bot.receive().await.unwrap();
        assert_eq!((text(&before.what), text(&after.what)), ("before", "after"));
        bot.taken(&after).await.unwrap();
        until("all is acknowledged", || platform.unacknowledged() == 0).await;
    }
    assert_eq!(platform.faults(), [""; 0]);
}

/// Whoever is asked for another connection again and again takes more time for each.
#[tokio::test]
async fn a_platform_that_is_never_content_is_not_hurried() {
    let platform = Platform::start().await;
    platform.restless(true);
    let begun = Instant::now();
    let bot = bot(&platform).await;
    until("it was asked four times", || platform.connections() >= 4).await;
    // The first at once; then at least 0.9 s and 1.8 s.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(2_600), "{took:?}");
    // What comes meanwhile is heard on those that are still open.
    platform.writes(PRIVATE, ANA, "hello", json!({}));
    let next = bot.receive().await.unwrap();
    assert_eq!(text(&next.what), "hello");
    bot.taken(&next).await.unwrap();
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_and_opened_anew() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.close_oldest();
    let error = bot.receive().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
    // Whatever comes meanwhile waits for the next connection.
    platform.writes(PRIVATE, ANA, "hello", json!({}));
    let next = bot.receive().await.unwrap();
    assert_eq!(text(&next.what), "hello");
    assert_eq!(platform.connections(), 2);
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn what_was_not_taken_comes_again_after_a_break() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.types(PRIVATE, ANA, "restart api");
    let first = bot.receive().await.unwrap();
    platform.close_oldest();
    bot.receive().await.unwrap_err();
    bot.connect().await.unwrap();
    let again = bot.receive().await.unwrap();
    assert_eq!(again, first, "Slack would not deliver a command again");
    bot.taken(&again).await.unwrap();
}

#[tokio::test]
async fn an_app_whose_socket_mode_is_off_is_told_so() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.disconnect("link_disabled");
    let error = bot.receive().await.unwrap_err();
    assert!(
        matches!(&error, ChatError::Refused(why) if why.contains("Socket Mode is switched off")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refused_upgrade_is_later_and_a_refused_token_is_not() {
    let platform = Platform::start().await;
    platform.refuse_upgrades(&[503, 408, 200]);
    let bot = Slack::new(&settings(&platform)).unwrap();
    for status in ["503", "408", "200"] {
        let error = bot.connect().await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
        assert!(said.contains(status) && !said.contains("ticket"), "{said}");
    }
    platform.say("apps.connections.open", [Said::error("invalid_auth")]);
    let error = bot.connect().await.unwrap_err();
    assert_eq!(error, ChatError::Unauthorised("invalid_auth".into()));
    let elsewhere = json!({ "ok": true, "url": "wss://evil.example/link?ticket=1" });
    platform.say(
        "apps.connections.open",
        [Said {
            status: 200,
            body: elsewhere.to_string(),
            retry_after: None,
        }],
    );
    let error = bot.connect().await.unwrap_err().to_string();
    assert!(error.contains("is not at Slack"), "{error}");
    bot.connect().await.unwrap();
    assert_eq!(platform.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_is_silent_is_dead() {
    let platform = Platform::start().await;
    let bot = Slack::new(&Settings {
        ping: Duration::from_millis(100),
        // A busy machine stops for a second now and then.
        silence: Duration::from_secs(5),
        ..settings(&platform)
    })
    .unwrap();
    bot.connect().await.unwrap();
    // One that answers pings lives, however little it says.
    let nothing = tokio::time::timeout(Duration::from_secs(7), bot.receive()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    platform.mute(true);
    platform.close_oldest();
    bot.receive().await.unwrap_err();
    let error = bot.receive().await.unwrap_err();
    assert_eq!(error, ChatError::Unavailable("the socket is silent".into()));
}

#[tokio::test]
async fn frames_of_nonsense_are_passed_over() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    for frame in [
        "{",
        "[]",
        "\"x\"",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"of_tomorrow"}"#,
        "\u{0}",
    ] {
        platform.frame(frame);
    }
    platform.deliver("events_api", json!({ "event": "?" }));
    platform.deliver(
        "interactive",
        json!({ "type": "view_submission", "view": {} }),
    );
    platform.deliver("function_executed", json!({}));
    platform.writes(OPS, ANA, "<@U0BOT> hello", json!({}));
    let next = bot.receive().await.unwrap();
    assert_eq!(text(&next.what), "hello");
    bot.taken(&next).await.unwrap();
    until("what is nothing to us is over, too", || {
        platform.unacknowledged() == 0
    })
    .await;
    assert_eq!(platform.acknowledged(), 4);
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn a_frame_without_end_ends_the_connection_and_nothing_else() {
    let platform = Platform::start().await;
    let bot = bot(&platform).await;
    platform.frame("x".repeat(3 << 20));
    let error = bot.receive().await.unwrap_err();
    assert!(matches!(error, ChatError::Unavailable(_)), "{error:?}");
    bot.connect().await.unwrap();
    platform.writes(PRIVATE, ANA, "hello", json!({}));
    assert_eq!(text(&bot.receive().await.unwrap().what), "hello");
}

/// Slack counts a delivery as failed after three seconds, and a command is never repeated.
#[tokio::test]
async fn what_takes_long_is_acknowledged_in_time_and_kept() {
    let platform = Platform::start().await;
    let bot = Slack::new(&Settings {
        latest: Duration::from_millis(100),
        ..settings(&platform)
    })
    .unwrap();
    bot.connect().await.unwrap();
    platform.types(PRIVATE, ANA, "restart api");
    let first = bot.receive().await.unwrap();
    until("it is acknowledged", || platform.unacknowledged() == 0).await;
    bot.connect().await.unwrap();
    assert_eq!(bot.receive().await.unwrap(), first, "not on record yet");
    bot.taken(&first).await.unwrap();
    platform.writes(PRIVATE, ANA, "next", json!({}));
    assert_eq!(text(&bot.receive().await.unwrap().what), "next");
    until("once each", || platform.acknowledged() == 2).await;
    assert_eq!(platform.faults(), [""; 0]);
}

#[tokio::test]
async fn a_flood_is_taken_in_order_and_what_is_too_much_comes_again() {
    const FLOOD: usize = 1_000;
    let platform = Platform::start().await;
    let bot = Slack::new(&Settings {
        // Rather never than too early: what was not taken must come again here.
        latest: Duration::from_secs(600),
        ..settings(&platform)
    })
    .unwrap();
    bot.connect().await.unwrap();
    for number in 0..FLOOD {
        platform.writes(PRIVATE, ANA, &format!("n {number}"), json!({}));
    }
    let mut heard = Vec::new();
    while heard.len() < FLOOD {
        // Long enough that nothing is on its way any more when it gives up.
        let next = tokio::time::timeout(Duration::from_secs(3), bot.receive()).await;
        let Ok(next) = next else {
            platform.redeliver();
            continue;
        };
        let next = next.unwrap();
        heard.push(text(&next.what).to_owned());
        bot.taken(&next).await.unwrap();
    }
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), FLOOD, "each once");
    until("all is acknowledged", || platform.unacknowledged() == 0).await;
    assert_eq!(platform.faults(), [""; 0]);
}
