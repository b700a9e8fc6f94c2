//! Signed requests: forged, old, repeated, too long, and those that Slack only tries out.

use std::net::SocketAddr;
use std::time::Duration;

use chat::Channel;
use chat::slack::{Settings, Signed, Slack};
use serde_json::{Value, json};
use supervisor::Clock;

use crate::ana::{ANA, PRIVATE};
use crate::platform::people::signature;
use crate::platform::{Platform, SIGNING, Way};
use crate::{settings, until};

async fn bot(platform: &Platform, latest: Duration) -> (Slack, SocketAddr) {
    let bot = Slack::new(&Settings {
        app_token: None,
        signed: Some(Signed {
            secret: SIGNING.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
        }),
        latest,
        ..settings(platform)
    })
    .unwrap();
    bot.connect().await.unwrap();
    let address = bot.listens_at().await.unwrap();
    platform.by(Way::Signed(format!("http://{address}/")));
    (bot, address)
}

fn now() -> i64 {
    Clock::system().now().as_second()
}

/// The status and the body of an answer to this.
async fn knock(to: SocketAddr, at: i64, signature: &str, kind: &str, body: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client
        .post(format!("http://{to}/"))
        .header("content-type", kind)
        .header("x-slack-request-timestamp", at.to_string())
        .header("x-slack-signature", signature)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const COMMAND: &str = "command=%2Fmhost&text=restart+api&trigger_id=1.2.x&channel_id=D0ANA\
    &channel_name=directmessage&user_id=U0ANA&user_name=ana&team_id=T0ACME";

#[tokio::test]
async fn only_slack_is_listened_to_and_only_to_what_is_new() {
    let platform = Platform::start().await;
    let (bot, to) = bot(&platform, Duration::ZERO).await;
    let good = signature(SIGNING, now(), COMMAND);
    let old = now() - 301;
    for (at, signature) in [
        (now(), "v0=".to_owned()),
        (now(), String::new()),
        (now(), signature("8f742231b10e0000", now(), COMMAND)),
        (now() - 1_000, good.clone()),
        (old, signature(SIGNING, old, COMMAND)),
        (now() + 400, signature(SIGNING, now() + 400, COMMAND)),
        (
            now(),
            signature(SIGNING, now(), &COMMAND.replace("restart", "delete")),
        ),
    ] {
        let said = knock(to, at, &signature, FORM, COMMAND).await;
        assert_eq!(said, (403, Value::Null), "{at} {signature}");
    }
    let at = now();
    let good = signature(SIGNING, at, COMMAND);
    let said = knock(to, at, &good, FORM, COMMAND).await;
    assert_eq!(said, (200, Value::Null));
    let first = bot.receive().await.unwrap();
    bot.taken(&first).await.unwrap();
    // Somebody has listened, and says the same again.
    assert_eq!(knock(to, at, &good, FORM, COMMAND).await.0, 200);
    platform.writes(PRIVATE, ANA, "next", json!({}));
    let next = bot.receive().await.unwrap();
    assert!(next.delivery.starts_with("m:"), "{next:?}");
}

#[tokio::test]
async fn what_slack_tries_out_is_answered() {
    let platform = Platform::start().await;
    let (_bot, to) = bot(&platform, Duration::ZERO).await;
    let signed = async |kind: &str, body: &str| {
        let at = now();
        knock(to, at, &signature(SIGNING, at, body), kind, body).await
    };
    let challenge = json!({ "type": "url_verification", "challenge": "3eZbrw1a", "token": "x" });
    let said = signed(JSON, &challenge.to_string()).await;
    assert_eq!(said, (200, json!({ "challenge": "3eZbrw1a" })));
    assert_eq!(signed(FORM, "ssl_check=1&token=x").await.0, 200);
    assert_eq!(signed(JSON, r#"{"type":"app_rate_limited"}"#).await.0, 200);
    for (kind, body) in [(JSON, "{"), (FORM, "x=y"), ("text/plain", "command=x")] {
        assert_eq!(signed(kind, body).await.0, 400, "{kind} {body}");
    }
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(signed(JSON, &long).await.0, 413);
}

/// It is answered once it is on record. Until then Slack asks again, which is the same thing.
#[tokio::test]
async fn a_request_is_answered_once_it_is_on_record() {
    let platform = Platform::start().await;
    let (bot, _) = bot(&platform, Duration::from_secs(600)).await;
    platform.writes(PRIVATE, ANA, "status", json!({}));
    let first = bot.receive().await.unwrap();
    assert_eq!(platform.acknowledged(), 0);
    platform.redeliver();
    let again = bot.receive().await.unwrap();
    assert_eq!(again.delivery, first.delivery);
    bot.taken(&first).await.unwrap();
    until("it is answered", || platform.unacknowledged() == 0).await;
    assert_eq!(platform.acknowledged(), 1);
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let platform = Platform::start().await;
    let (_bot, to) = bot(&platform, Duration::ZERO).await;
    let second = Slack::new(&Settings {
        app_token: None,
        signed: Some(Signed {
            secret: SIGNING.into(),
            listen: to,
        }),
        ..settings(&platform)
    })
    .unwrap();
    let error = second.connect().await.unwrap_err().to_string();
    assert!(error.contains(&to.to_string()), "{error}");
}
