//! Many things at once, while Discord itself is slow.

use std::time::Duration;

use chat::{Button, Card, Channel, Incoming, Place, Platform, Press, Tone, What};
use serde_json::json;

use crate::bot;
use crate::server::{ANA, BOT, OPS, Rules, Server, THREAD};

const PRESSES: usize = 200;
/// After so many presses somebody mentions the bot where it has to look up what the place is.
const BETWEEN: usize = 20;

fn text(incoming: &Incoming) -> &str {
    match &incoming.what {
        What::Text { text, .. } => text,
        What::Press { payload, .. } => payload,
    }
}

/// Discord waits three seconds for each of them, whatever else mhost waits for.
#[tokio::test]
async fn two_hundred_presses_are_acknowledged_while_no_look_up_ends() {
    let server = Server::with(Rules {
        looks_away: true,
        ..Rules::default()
    });
    let bot = bot(&server);
    bot.connect().await.unwrap();
    let button = Button::new("Status", Press::Order("status api".into()));
    let card = Card::titled(Tone::Plain, "api").row(vec![button]);
    let place = Place::chat(Platform::Discord, OPS);
    let message = bot.send(&place, &card).await.unwrap();
    let mut presses = Vec::new();
    for number in 0..PRESSES {
        if number % BETWEEN == 0 {
            let text = format!("<@{BOT}> {number}");
            server.write(THREAD, ANA, &text, json!({}));
        }
        presses.push(server.press(ANA, &message.id, &format!("p{number}")));
    }
    // As the bot does it: one after the other.
    let all = async {
        for number in 0..PRESSES {
            let incoming = bot.receive().await.unwrap();
            assert_eq!(text(&incoming), format!("p{number}"));
            bot.taken(&incoming).await.unwrap();
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), all).await;
    heard.expect("what needs no look-up waits for none");
    assert!(presses.iter().all(|press| server.is_acknowledged(press)));
    assert_eq!(server.faults(), [""; 0]);

    // What waited comes where it belongs, in its order.
    server.change(|rules| rules.looks_away = false);
    for number in (0..PRESSES).step_by(BETWEEN) {
        let incoming = bot.receive().await.unwrap();
        bot.taken(&incoming).await.unwrap();
        assert_eq!(text(&incoming), number.to_string());
        let thread = format!("discord:{OPS}/{THREAD}");
        assert_eq!(incoming.place.to_string(), thread);
        assert_eq!(incoming.message().place, incoming.place);
    }
    assert_eq!(server.of("GET /channels/").len(), 1, "asked once");
    assert_eq!(server.faults(), [""; 0]);
}

/// What is not on record when a connection ends is handed out again, also what is looked up.
#[tokio::test]
async fn what_is_looked_up_comes_once_over_two_connections() {
    let server = Server::with(Rules {
        looks_away: true,
        ..Rules::default()
    });
    let bot = bot(&server);
    bot.connect().await.unwrap();
    server.write(THREAD, ANA, &format!("<@{BOT}> first"), json!({}));
    let nothing = tokio::time::timeout(Duration::from_millis(300), bot.receive()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    bot.connect().await.unwrap();
    server.write(THREAD, ANA, &format!("<@{BOT}> second"), json!({}));
    server.change(|rules| rules.looks_away = false);
    for expected in ["first", "second"] {
        let incoming = bot.receive().await.unwrap();
        bot.taken(&incoming).await.unwrap();
        assert_eq!(text(&incoming), expected);
    }
    let nothing = tokio::time::timeout(Duration::from_millis(300), bot.receive()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}
