//! What comes in, by requests that Telegram sends.
//!
//! Telegram is told an address and a secret that stands in each of its requests. A request is
//! answered once what it brings is on record; else Telegram sends it again. Now and then it is
//! asked how that goes: whoever cannot be reached does not notice it by waiting.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;
use supervisor::Clock;
use supervisor::secret::Secret;
use teloxide_core::payloads::{GetWebhookInfo, SetWebhook, SetWebhookSetters};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::api::Api;
use super::poll::KINDS;
use super::settings::Webhook as Address;
use super::wire::{Me, Update};
use super::{lock, read};
use crate::hook::{Answer, Hook, Listener};
use crate::queue::{Ack, Queue};
use crate::{ChatError, Incoming};

/// When a request is given up that nobody put on record. Telegram sends it again.
const PATIENCE: Duration = Duration::from_secs(20);

/// The receiving end of a bot that is knocked at.
pub(super) struct Webhook {
    api: Arc<Api>,
    address: Address,
    door: Arc<Door>,
    hook: tokio::sync::Mutex<Option<Hook>>,
    /// Failures of Telegram until then are known.
    known: Mutex<i64>,
}

/// Takes what has the secret.
struct Door {
    secret: Secret,
    queue: Queue<(i64, Update)>,
}

/// What Telegram says of its own attempts.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    url: String,
    #[serde(default)]
    last_error_date: i64,
    #[serde(default)]
    last_error_message: String,
}

impl Webhook {
    /// One that Telegram will be told of.
    pub(super) fn new(api: Arc<Api>, address: Address, token: &Secret) -> Self {
        Self {
            api,
            address,
            door: Arc::new(Door {
                secret: secret(token),
                queue: Queue::default(),
            }),
            hook: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Where it listens, once it does.
    pub(super) async fn listens_at(&self) -> Option<SocketAddr> {
        self.hook.lock().await.as_ref().map(Hook::address)
    }

    /// Listens, and tells Telegram where.
    pub(super) async fn connect(&self) -> Result<(), ChatError> {
        self.door.queue.again();
        let mut hook = self.hook.lock().await;
        if hook.is_none() {
            let listen = self.address.listen;
            let opened = Hook::open(listen, self.door.clone()).await;
            *hook = Some(opened.map_err(|error| {
                ChatError::Unavailable(format!("nobody can knock at {listen}: {error}"))
            })?);
        }
        let set = SetWebhook::new(self.address.url.clone())
            .secret_token(self.door.secret.expose())
            .allowed_updates(KINDS);
        self.api.tell(&set).await?;
        *lock(&self.known) = Clock::system().now().as_second();
        Ok(())
    }

    /// The next thing that comes in.
    pub(super) async fn next(&self, me: &Me) -> Result<Incoming, ChatError> {
        if self.hook.lock().await.is_none() {
            self.connect().await?;
        }
        let read = |(id, update): (i64, Update), age| {
            read::read(id, update, me, Clock::system().now() - age)
        };
        let mut next = std::pin::pin!(self.door.queue.next(read));
        loop {
            let check = Instant::now() + self.address.check;
            match tokio::time::timeout_at(check, &mut next).await {
                Ok(next) => return next,
                Err(_) => self.look().await?,
            }
        }
    }

    /// It is on record.
    pub(super) fn taken(&self, incoming: &Incoming) {
        self.door.queue.taken(incoming);
    }

    /// Does Telegram deliver here, and could it?
    async fn look(&self) -> Result<(), ChatError> {
        let info: Info = self.api.ask(&GetWebhookInfo {}).await?;
        if info.url != self.address.url.as_str() {
            return Err(ChatError::Conflict(
                "another address was set for its deliveries".into(),
            ));
        }
        let is_new = {
            let mut known = lock(&self.known);
            let is_new = info.last_error_date > *known;
            *known = info.last_error_date.max(*known);
            is_new
        };
        if is_new {
            let why: String = info.last_error_message.chars().take(200).collect();
            return Err(ChatError::Unavailable(format!(
                "Telegram could not deliver: {why}"
            )));
        }
        Ok(())
    }
}

#[async_trait]
impl Listener for Door {
    async fn knock(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let given = headers.get("x-telegram-bot-api-secret-token");
        if !given.is_some_and(|given| is_same(given.as_bytes(), &self.secret)) {
            return Answer::forbidden();
        }
        let Some((id, update)) = serde_json::from_slice(body).ok().and_then(Update::of) else {
            return Answer::bad();
        };
        // Of a kind that is newer than this program.
        let Some(update) = update else {
            return Answer::ok();
        };
        let (tell, told) = oneshot::channel();
        if !self.queue.push((id, update), Ack::of_request(tell)) {
            return Answer::later();
        }
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(())) => Answer::ok(),
            Ok(Err(_)) | Err(_) => Answer::later(),
        }
    }
}

/// A word that only Telegram and whoever has the token know; the same one after a restart.
fn secret(token: &Secret) -> Secret {
    let bytes = mac(token, b"webhook").finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.into()
}

/// Compared in constant time.
fn is_same(given: &[u8], secret: &Secret) -> bool {
    let given = mac(secret, given).finalize().into_bytes();
    mac(secret, secret.expose().as_bytes())
        .verify_slice(&given)
        .is_ok()
}

fn mac(key: &Secret, text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_that_telegram_takes_and_only_it_is_the_same() {
        let one = secret(&"1:abc".into());
        assert_eq!(one, secret(&"1:abc".into()));
        assert_ne!(one, secret(&"1:abd".into()));
        let text = one.expose();
        assert!(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(is_same(text.as_bytes(), &one));
        for other in ["", "1:abc", &text[1..], &text.to_uppercase()] {
            assert!(!is_same(other.as_bytes(), &one), "{other}");
        }
    }
}
