//! What a platform may answer, and what is made of it.

use std::time::Duration;

use chat::notify::{Discord, SendError, Slack, Target, Telegram, Webhook};
use serde_json::Value;

use crate::server::{Answer, Server};
use crate::{crash, send};

const TOKEN: &str = "123456:AAsecretsecretsecret";

fn telegram(url: &str) -> Target {
    Target::Telegram(Telegram {
        bot_token: TOKEN.into(),
        chat_id: "1".into(),
        thread_id: None,
        silent: false,
        base_url: Some(url.to_owned()),
    })
}

async fn answered(answer: Answer) -> SendError {
    let server = Server::answering([answer]).await;
    send(telegram(&server.url), &crash()).await.unwrap_err()
}

#[tokio::test]
async fn client_errors_are_final_and_the_rest_is_tried_again() {
    for status in [400, 401, 403, 404, 410, 301] {
        let error = answered((status, vec![], "no".into())).await;
        assert_eq!(error, SendError::Final(format!("status {status}: no")));
    }
    for status in [408, 429, 500, 502, 503, 504] {
        let error = answered((status, vec![], String::new())).await;
        let SendError::Later { text, after } = error else {
            panic!("{status}: {error}");
        };
        assert_eq!((text, after), (format!("status {status}"), None));
    }
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_read_from_header_and_body() {
    let header = vec![("retry-after", "7".to_owned())];
    let telegram = r#"{"ok":false,"parameters":{"retry_after":35}}"#;
    for (headers, body, seconds) in [
        (header, "", 7.0),
        (vec![], telegram, 35.0),
        (vec![], r#"{"retry_after":0.5}"#, 0.5),
        (vec![], r#"{"retry_after":1e300}"#, 0.0),
        (vec![("retry-after", "99999999".to_owned())], "", 900.0),
        (vec![("retry-after", "soon".to_owned())], "", 0.0),
    ] {
        let error = answered((429, headers, body.to_owned())).await;
        let SendError::Later { after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            after.unwrap_or_default(),
            Duration::from_secs_f64(seconds),
            "{body}"
        );
    }
}

#[tokio::test]
async fn no_token_and_no_address_is_told() {
    let body = format!(
        "bot{TOKEN} unknown\r\nsee /bot{TOKEN}/sendMessage {}",
        "x".repeat(9_000)
    );
    let error = answered((404, vec![], body)).await.to_string();
    assert!(error.starts_with("status 404: *** unknown see"), "{error}");
    assert!(error.len() < 300 && !error.contains("secret"), "{error}");

    // Nobody listens there: the reason is told, the address is not.
    let gone = Server::start().await.url.clone();
    let hook = format!("{gone}/services/T0/secretsecretsecret");
    let webhook = Target::Webhook(Webhook {
        url: hook.clone().into(),
        method: "POST".into(),
        headers: Default::default(),
        secret: None,
        legacy_signature: false,
    });
    let discord = Target::Discord(Discord {
        webhook_url: hook.into(),
        base_url: None,
    });
    for target in [telegram(&gone), webhook, discord] {
        let error = send(target, &crash()).await.unwrap_err();
        assert!(matches!(error, SendError::Later { .. }), "{error}");
        let text = error.to_string();
        assert!(
            !text.contains("secret") && !text.contains("127.0.0.1"),
            "{text}"
        );
        assert!(!text.is_empty());
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Server::start().await;
    let to = vec![("location", format!("{}/else", other.url))];
    let server = Server::answering([(307, to, String::new())]).await;
    let error = send(telegram(&server.url), &crash()).await.unwrap_err();
    assert_eq!(error, SendError::Final("status 307".into()));
    assert!(other.taken().is_empty());
}

/// An app writes by itself; what Slack says of it stands in the body of a good status.
#[tokio::test]
async fn slack_takes_a_message_of_an_app_and_says_why_not() {
    let said = |body: &str| (200, vec![], body.to_owned());
    let server = Server::answering([
        said(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#),
        said(r#"{"ok":false,"error":"channel_not_found"}"#),
        said(r#"{"ok":false,"error":"ratelimited"}"#),
    ])
    .await;
    let target = || {
        Target::Slack(Slack {
            webhook_url: "".into(),
            bot_token: Some("xoxb-secretsecretsecret".into()),
            channel: Some("C1".into()),
            base_url: Some(server.url.clone()),
        })
    };
    let message = crash();
    assert_eq!(send(target(), &message).await.unwrap(), "status 200");
    let seen = server.one();
    assert_eq!(seen.path, "/api/chat.postMessage");
    assert_eq!(
        seen.header("authorization"),
        "Bearer xoxb-secretsecretsecret"
    );
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["channel"], "C1");
    let refused = send(target(), &message).await;
    let text = "status 200: channel_not_found".to_owned();
    assert_eq!(refused, Err(SendError::Final(text)));
    let later = send(target(), &message).await;
    assert!(matches!(later, Err(SendError::Later { .. })), "{later:?}");
}
