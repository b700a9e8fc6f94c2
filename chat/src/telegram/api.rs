//! One call of the Bot API: a typed request there, its answer back.
//!
//! The requests are those of `teloxide-core`. Its own way of sending them is not used: it
//! drops Telegram's code of an error, shows answers in errors, reads without a bound and waits
//! ten seconds by itself when the server is in trouble.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::config::is_here;
use supervisor::secret::{Secret, masked};
use teloxide_core::payloads::SendDocument;
use teloxide_core::requests::Payload;

use super::failure::{Failure, More};
use super::{Settings, SettingsError};
use crate::Document;
use crate::http;

/// Longest time until the connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time of a call beyond what it asks the server to wait.
const CALL: Duration = Duration::from_secs(20);
/// Longest time for a file.
const UPLOAD: Duration = Duration::from_secs(120);
/// Most bytes of an answer: some hundred times what a poll of 50 texts has.
const ANSWER: usize = 16 << 20;
/// Most characters of an error that are told.
const TOLD: usize = 300;

/// The way to one bot.
pub(super) struct Api {
    client: Client,
    base: String,
    token: Secret,
}

#[derive(Deserialize)]
struct Answer<T> {
    ok: bool,
    #[serde(default = "none")]
    result: Option<T>,
    #[serde(default)]
    error_code: Option<u16>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<More>,
}

fn none<T>() -> Option<T> {
    None
}

impl Api {
    /// The way to the bot of these settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        // Already done in the daemon; a client without one cannot be made.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            // The token is in the address; a redirect would carry it elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mhost/", env!("CARGO_PKG_VERSION")));
        if is_here(&settings.base_url) {
            builder = builder.no_proxy();
        }
        let client = builder.build();
        Ok(Self {
            client: client.map_err(|error| SettingsError::Client(http::root(&error)))?,
            base: settings.base_url.trim_end_matches('/').to_owned(),
            token: settings.token.clone(),
        })
    }

    /// Calls, and reads what comes back.
    pub(super) async fn ask<P, T>(&self, payload: &P) -> Result<T, Failure>
    where
        P: Payload + Serialize,
        T: DeserializeOwned,
    {
        let answer = self.call(payload).await?;
        answer.ok_or_else(|| Failure::unanswered(format!("{} says nothing", P::NAME)))
    }

    /// Calls for the sake of what it does. What comes back is not looked at: servers differ.
    pub(super) async fn tell<P>(&self, payload: &P) -> Result<(), Failure>
    where
        P: Payload + Serialize,
    {
        let _: Option<IgnoredAny> = self.call(payload).await?;
        Ok(())
    }

    async fn call<P, T>(&self, payload: &P) -> Result<Option<T>, Failure>
    where
        P: Payload + Serialize,
        T: DeserializeOwned,
    {
        let wait = payload.timeout_hint().unwrap_or_default() + CALL;
        let request = self.post(P::NAME).json(payload).timeout(wait);
        self.run(request).await
    }

    /// Sends a file: the one request that is no JSON.
    pub(super) async fn upload(
        &self,
        payload: &SendDocument,
        file: &Document,
    ) -> Result<(), Failure> {
        let fields = serde_json::to_value(payload);
        let fields = fields.map_err(|error| Failure::unanswered(error.to_string()))?;
        let mut form = Form::new();
        for (name, value) in fields.as_object().into_iter().flatten() {
            form = match value {
                // The payload has only the place for it.
                _ if name == "document" => form,
                Value::String(text) => form.text(name.clone(), text.clone()),
                other => form.text(name.clone(), other.to_string()),
            };
        }
        let part = Part::text(file.text.clone()).file_name(file.name.clone());
        let form = form.part("document", part);
        let request = self.post(SendDocument::NAME).multipart(form);
        let _: Option<IgnoredAny> = self.run(request.timeout(UPLOAD)).await?;
        Ok(())
    }

    fn post(&self, name: &str) -> RequestBuilder {
        let Self { base, token, .. } = self;
        // Telegram takes `SendMessage`, too; its documentation and other servers do not.
        let (first, rest) = name.split_at(1);
        let first = first.to_ascii_lowercase();
        let url = format!("{base}/bot{}/{first}{rest}", token.expose());
        self.client.post(url)
    }

    async fn run<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<Option<T>, Failure> {
        let broken = |error: &reqwest::Error| Failure::unanswered(self.told(&http::root(error)));
        let response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let bytes = http::whole(response, ANSWER).await;
        let bytes = bytes.map_err(|error| Failure::unanswered(self.told(&error)))?;
        let refused = |code, text: &str, more| Failure {
            code: Some(code),
            text: self.told(text),
            more,
        };
        match serde_json::from_slice::<Answer<T>>(&bytes) {
            Ok(answer) if answer.ok => Ok(answer.result),
            Ok(answer) => Err(refused(
                answer.error_code.unwrap_or(status),
                answer
                    .description
                    .as_deref()
                    .unwrap_or("it does not say why"),
                answer.parameters.unwrap_or_default(),
            )),
            // A success that cannot be read says no more than a server in trouble.
            Err(_) if status < 400 => Err(Failure::unanswered(
                "the answer is not JSON of a bot".into(),
            )),
            Err(_) => Err(refused(
                status,
                &format!("status {status}"),
                More::default(),
            )),
        }
    }

    /// A text from outside, short, in one line and without the token.
    fn told(&self, text: &str) -> String {
        let text = masked(text.to_owned(), std::slice::from_ref(&self.token));
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().map(plain).take(TOLD).collect()
    }
}
