//! An address of one's own: the notice as JSON, signed.
//!
//! The time is part of what is signed, so that a receiver can refuse what somebody has kept
//! and sends again.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::json;
use sha2::Sha256;
use supervisor::Clock;
use supervisor::secret::Secret;

use super::SendError;
use super::http::{Http, address, header};
use crate::notify::{Outgoing, Webhook};

pub(super) struct Sender {
    settings: Webhook,
    method: Method,
    url: Url,
    http: Http,
    clock: Clock,
}

impl Sender {
    pub(super) fn new(settings: Webhook, clock: Clock) -> Result<Self, SendError> {
        let method = match settings.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            _ => {
                let text = "`method` must be POST, PUT or PATCH";
                return Err(SendError::Final(text.to_owned()));
            }
        };
        let mut secrets = vec![settings.url.clone()];
        secrets.extend(settings.secret.clone());
        secrets.extend(settings.headers.values().cloned());
        Ok(Self {
            method,
            url: address(settings.url.expose(), None)?,
            http: Http::new(secrets),
            clock,
            settings,
        })
    }
}

#[async_trait]
impl super::Sender for Sender {
    async fn send(&self, message: &Outgoing) -> Result<String, SendError> {
        let body = body(message)?;
        let seconds = self.clock.now().as_second().to_string();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        header(&mut headers, "X-Mhost-Event", message.notice.event.as_str())?;
        header(&mut headers, "X-Mhost-Delivery", &message.id)?;
        header(&mut headers, "X-Mhost-Timestamp", &seconds)?;
        if let Some(secret) = &self.settings.secret {
            let signed = [seconds.as_bytes(), b".", &body].concat();
            header(
                &mut headers,
                "X-Mhost-Signature",
                &signature(secret, &signed),
            )?;
            if self.settings.legacy_signature {
                header(&mut headers, "X-Signature", &signature(secret, &body))?;
            }
        }
        for (name, value) in &self.settings.headers {
            header(&mut headers, name, value.expose())?;
        }
        self.http
            .request(self.method.clone(), &self.url, headers, body)
            .await
    }
}

/// The notice; of a digest with its lines, and of all what was not told.
fn body(message: &Outgoing) -> Result<Vec<u8>, SendError> {
    let failed = |error: serde_json::Error| SendError::Final(error.to_string());
    let mut body = serde_json::to_value(&message.notice).map_err(failed)?;
    body["message"] = message.text().into();
    // As they are typed: `mhost restart api`.
    let actions = message.actions().into_iter().map(|(label, order)| {
        let group = match label {
            "Ack" | "Mute 1h" => "notify ",
            _ => "",
        };
        json!({ "label": label, "command": format!("mhost {group}{order}") })
    });
    body["actions"] = actions.collect();
    if message.resolves {
        body["resolves"] = message.class.as_str().into();
    }
    if message.suppressed > 0 {
        body["suppressed"] = message.suppressed.into();
    }
    if !message.lines.is_empty() {
        body["digest"] = serde_json::to_value(&message.lines).map_err(failed)?;
    }
    serde_json::to_vec(&body).map_err(failed)
}

/// `sha256=<hex>`.
fn signature(secret: &Secret, signed: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("a key may have any length");
    mac.update(signed);
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}
