//! One call of the Web API: a request there, its answer back.
//!
//! Bodies are JSON, except where a method knows forms only. Tokens travel in a header, to the
//! Web API and nowhere else; no error holds one, or an address that is a key in itself.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use supervisor::config::is_here;
use supervisor::secret::{Secret, masked};

use super::failure::Failure;
use super::{Settings, SettingsError};
use crate::http;

/// Longest time until the connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time of a call.
const CALL: Duration = Duration::from_secs(20);
/// Longest time for a file.
const UPLOAD: Duration = Duration::from_secs(120);
/// Most bytes of an answer: a posted message comes back whole, which is some 100 KB.
const ANSWER: usize = 4 << 20;
/// Most characters of an error that are told.
const TOLD: usize = 300;
/// Without the charset Slack warns in every answer.
const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";

/// Which token a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// The bot's.
    Bot,
    /// The app's, which opens connections.
    App,
}

/// The way to one bot.
pub(super) struct Api {
    client: Client,
    settings: Settings,
    base: String,
    secrets: Vec<Secret>,
}

/// What is the same in all answers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    needed: Option<String>,
}

impl Api {
    /// The way to the bot of these settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        // Already done in the daemon; a client without one cannot be made.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            // A socket is opened by an upgrade, which later versions of HTTP do not have.
            .http1_only()
            // What goes to an address of Slack's must not be sent on elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mhost/", env!("CARGO_PKG_VERSION")));
        if is_here(&settings.base_url) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| SettingsError::Client(http::root(&error)))?;
        let mut secrets = vec![settings.bot_token.clone()];
        secrets.extend(settings.app_token.clone());
        secrets.extend(settings.signed.iter().map(|one| one.secret.clone()));
        Ok(Self {
            client,
            base: settings.base_url.trim_end_matches('/').to_owned(),
            settings: settings.clone(),
            secrets,
        })
    }

    /// Calls with JSON, and reads what comes back.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        who: As,
        method: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        let request = self.post(who, method).header(CONTENT_TYPE, JSON);
        self.read(request.body(body.to_string()), method).await
    }

    /// Calls with a form: some methods read nothing else.
    pub(super) async fn form<T: DeserializeOwned>(
        &self,
        method: &str,
        pairs: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let mut url: Url = "http://form/".parse().expect("it is an address");
        url.query_pairs_mut().extend_pairs(pairs);
        let body = url.query().unwrap_or_default().to_owned();
        let request = self.post(As::Bot, method).header(CONTENT_TYPE, FORM);
        self.read(request.body(body), method).await
    }

    /// Puts the bytes of a file where Slack has said.
    pub(super) async fn upload(&self, address: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let url = self.known(address, "the place for a file")?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .timeout(UPLOAD)
            .body(bytes);
        self.plain(request).await
    }

    /// Answers at the address that came with a command or a press.
    pub(super) async fn respond(&self, address: &str, body: &Value) -> Result<(), Failure> {
        let url = self.known(address, "the address for an answer")?;
        let request = self.client.post(url).header(CONTENT_TYPE, JSON);
        self.plain(request.timeout(CALL).body(body.to_string()))
            .await
    }

    /// A request for a socket at an address of Slack's.
    pub(super) fn socket(&self, address: &str) -> Result<RequestBuilder, Failure> {
        let mut url = self.known(address, "the address of the socket")?;
        let scheme = match url.scheme() {
            "wss" => "https",
            _ => "http",
        };
        // The standard lets `wss` become `https`, which is what it is before the upgrade.
        let text = format!("{scheme}{}", &url.as_str()[url.scheme().len()..]);
        url = Url::parse(&text).map_err(|_| Failure::unanswered("an address without a host"))?;
        Ok(self.client.get(url))
    }

    fn known(&self, address: &str, what: &str) -> Result<Url, Failure> {
        self.settings.trusted(address).ok_or_else(|| Failure {
            status: Some(200),
            text: format!("{what} is not at Slack"),
            ..Failure::default()
        })
    }

    fn post(&self, who: As, method: &str) -> RequestBuilder {
        let token = match who {
            As::Bot => Some(&self.settings.bot_token),
            As::App => self.settings.app_token.as_ref(),
        };
        let request = self.client.post(format!("{}/{method}", self.base));
        let token = token.map(Secret::expose).unwrap_or_default();
        request.bearer_auth(token).timeout(CALL)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        method: &str,
    ) -> Result<T, Failure> {
        let (status, wait, bytes) = self.send(request).await?;
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
            return Err(self.unread(status, wait));
        };
        let Ok(answer) = Answer::deserialize(&value) else {
            return Err(self.unread(status, wait));
        };
        if answer.ok && status < 400 {
            return serde_json::from_value(value).map_err(|_| {
                Failure::unanswered(format!("the answer of {method} is not understood"))
            });
        }
        Err(Failure {
            status: Some(status),
            text: self.told(answer.error.as_deref().unwrap_or("it does not say why")),
            needed: answer.needed.map(|needed| self.told(&needed)),
            retry_after: wait,
        })
    }

    /// A request to what is no method: a good status is all that is wanted.
    async fn plain(&self, request: RequestBuilder) -> Result<(), Failure> {
        let (status, wait, bytes) = self.send(request).await?;
        let answer = serde_json::from_slice::<Answer>(&bytes).ok();
        if (200..300).contains(&status) && answer.as_ref().is_none_or(|answer| answer.ok) {
            return Ok(());
        }
        let word = answer.and_then(|answer| answer.error).or_else(|| {
            let text = std::str::from_utf8(&bytes).ok()?.trim();
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            (!text.is_empty() && text.bytes().all(is_word)).then(|| text.to_owned())
        });
        let mut failure = self.unread(status, wait);
        failure.status = Some(status);
        if let Some(word) = word {
            failure.text = self.told(&word);
        }
        Err(failure)
    }

    async fn send(&self, request: RequestBuilder) -> Result<(u16, Option<u64>, Vec<u8>), Failure> {
        let broken = |error: String| Failure::unanswered(self.told(&error));
        let response = request
            .send()
            .await
            .map_err(|error| broken(http::root(&error)))?;
        let status = response.status().as_u16();
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
        let bytes = http::whole(response, ANSWER).await.map_err(broken)?;
        Ok((status, wait, bytes))
    }

    /// A success that cannot be read says no more than a server in trouble.
    fn unread(&self, status: u16, retry_after: Option<u64>) -> Failure {
        if status < 400 {
            return Failure::unanswered("the answer is not JSON of Slack");
        }
        Failure {
            status: Some(status),
            text: format!("status {status}"),
            needed: None,
            retry_after,
        }
    }

    /// A text from outside, short, in one line and without secrets.
    pub(super) fn told(&self, text: &str) -> String {
        let text = masked(text.to_owned(), &self.secrets);
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().map(plain).take(TOLD).collect()
    }
}
