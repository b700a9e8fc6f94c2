//! Deliveries by HTTP: events, commands and presses, each signed by Slack.
//!
//! A request counts if its signature is right and it is not older than five minutes. The same
//! one again, by Slack or by somebody who has listened, is the same delivery and is done once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use supervisor::Clock;
use supervisor::secret::Secret;
use tokio::sync::oneshot;

use super::wire::Delivery;
use crate::hook::{Answer, Listener};
use crate::queue::{Ack, Queue};

/// Oldest and newest request that counts, by Slack's documentation.
const WINDOW: i64 = 5 * 60;
/// Most fields of a form; Slack's have about a dozen.
const FIELDS: usize = 64;

/// Takes what Slack has signed.
pub(super) struct Door {
    pub(super) secret: Secret,
    pub(super) queue: Arc<Queue<Delivery>>,
    pub(super) latest: Duration,
    pub(super) clock: Clock,
}

#[async_trait]
impl Listener for Door {
    async fn knock(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let at = text("x-slack-request-timestamp").unwrap_or_default();
        let signature = text("x-slack-signature").unwrap_or_default();
        if !is_signed(&self.secret, at, body, signature) || !is_fresh(at, self.clock.now()) {
            return Answer::forbidden();
        }
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        match understood(kind.unwrap_or_default(), body) {
            Some(Heard::Challenge(challenge)) => Answer::json(json!({ "challenge": challenge })),
            Some(Heard::Delivery(delivery)) => self.take(delivery).await,
            Some(Heard::Nothing) => Answer::ok(),
            None => Answer::bad(),
        }
    }
}

impl Door {
    /// Answers once it is on record, or in time for Slack.
    async fn take(&self, delivery: Delivery) -> Answer {
        let (tell, told) = oneshot::channel();
        if !self.queue.push(delivery, Ack::of_request(tell)) {
            return Answer::later();
        }
        match tokio::time::timeout(self.latest, told).await {
            Ok(Ok(())) | Err(_) => Answer::ok(),
            // It was delivered again meanwhile, and that one is waited for.
            Ok(Err(_)) => Answer::later(),
        }
    }
}

/// What a request says.
enum Heard {
    Challenge(String),
    Delivery(Delivery),
    Nothing,
}

fn understood(kind: &str, body: &[u8]) -> Option<Heard> {
    let found = |kind, payload| {
        let found = Delivery::of(kind, payload).map(Heard::Delivery);
        Some(found.unwrap_or(Heard::Nothing))
    };
    if kind.starts_with("application/json") {
        let body: Value = serde_json::from_slice(body).ok()?;
        return match body["type"].as_str()? {
            "url_verification" => {
                let challenge = body["challenge"].as_str()?;
                Some(Heard::Challenge(challenge.chars().take(200).collect()))
            }
            "event_callback" => found("events_api", body),
            _ => Some(Heard::Nothing),
        };
    }
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    // The signature says nothing of the kind: one kind is not read as another.
    if body.first() == Some(&b'{') {
        return None;
    }
    let fields = form(body)?;
    match fields.get("payload").and_then(Value::as_str) {
        Some(payload) => found("interactive", serde_json::from_str(payload).ok()?),
        // Slack asks now and then whether the certificate holds.
        None if fields.contains_key("ssl_check") => Some(Heard::Nothing),
        None if fields.contains_key("command") => found("slash_commands", fields.into()),
        None => None,
    }
}

fn form(body: &[u8]) -> Option<Map<String, Value>> {
    let mut url: Url = "http://form/".parse().expect("it is an address");
    url.set_query(Some(std::str::from_utf8(body).ok()?));
    let pairs = url.query_pairs().take(FIELDS);
    Some(
        pairs
            .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
            .collect(),
    )
}

/// `v0=` and the HMAC of `v0:<time>:<body>`, compared in constant time.
fn is_signed(secret: &Secret, at: &str, body: &[u8], signature: &str) -> bool {
    let Some(signature) = signature.strip_prefix("v0=").and_then(unhex) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    for part in [b"v0:", at.as_bytes(), b":", body] {
        mac.update(part);
    }
    mac.verify_slice(&signature).is_ok()
}

fn is_fresh(at: &str, now: Timestamp) -> bool {
    let at: Option<i64> = at.parse().ok();
    at.is_some_and(|at| now.as_second().abs_diff(at) <= WINDOW.unsigned_abs())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() != 64 {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation.
    #[test]
    fn a_signature_is_that_of_slacks_own_example() {
        let secret = Secret::from("8f742231b10e8888abcd99yyyzzz85a5");
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
            &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
            &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F\
            commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let at = "1531420618";
        let body = body.as_bytes();
        assert!(is_signed(&secret, at, body, signature));
        assert!(!is_signed(&secret, "1531420619", body, signature));
        assert!(!is_signed(&secret, at, &body[1..], signature));
        assert!(!is_signed(&Secret::from("8f742231"), at, body, signature));
        for wrong in ["", "v0=", "v0=zz", &signature[3..], &signature[..40]] {
            assert!(!is_signed(&secret, at, body, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_request_counts_for_five_minutes() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (at, fresh) in [
            ("1000000", true),
            ("999700", true),
            ("1000300", true),
            ("999699", false),
            ("1000301", false),
            ("", false),
            ("1000000.5", false),
            ("-9223372036854775808", false),
        ] {
            assert_eq!(is_fresh(at, now), fresh, "{at}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let json = "application/json";
        let form = "application/x-www-form-urlencoded";
        for (kind, body) in [
            (json, "{"),
            (json, "{}"),
            (json, r#"{"type":"url_verification"}"#),
            (form, "x=y"),
            (form, "payload=%7B"),
            ("text/plain", "command=x"),
            ("", ""),
        ] {
            assert!(understood(kind, body.as_bytes()).is_none(), "{kind} {body}");
        }
        let nothing =
            |kind, body: &str| matches!(understood(kind, body.as_bytes()), Some(Heard::Nothing));
        assert!(nothing(form, "ssl_check=1&token=x"));
        assert!(nothing(json, r#"{"type":"app_rate_limited"}"#));
        assert!(nothing(
            form,
            "payload=%7B%22type%22%3A%22view_closed%22%7D"
        ));
    }
}
