//! Requests to a platform, and what its answers mean.
//!
//! Redirects are answers and proxy variables are ignored, so that no message goes where the
//! settings do not say. Addresses hold tokens: no error holds an address.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;
use supervisor::secret::{Secret, masked};
use tokio::sync::OnceCell;

use super::{PATIENCE, SendError};

/// Most of an answer that is read, and most of it that is told.
const ANSWER: usize = 16 << 10;
const TOLD: usize = 200;
/// Nobody is waited for longer than this, whatever they ask for.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Shorter secrets stand in any text.
const SHORTEST: usize = 6;

/// A client with the secrets that must not be told.
pub(super) struct Http {
    client: OnceCell<Client>,
    secrets: Vec<Secret>,
}

impl Http {
    pub(super) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let parts = |secret: Secret| {
            // An answer may hold the token of an address alone.
            let text = secret.expose().to_owned();
            let pieces = text
                .split(['/', '?', '&', '='])
                .filter(|one| one.len() >= 16);
            let pieces: Vec<Secret> = pieces.map(Secret::from).collect();
            std::iter::once(secret).chain(pieces)
        };
        let long = |secret: &Secret| secret.expose().len() >= SHORTEST;
        Self {
            client: OnceCell::new(),
            secrets: secrets.into_iter().flat_map(parts).filter(long).collect(),
        }
    }

    /// Sends JSON, and says which good status was answered: any from 200 to 299.
    pub(super) async fn json(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: &Value,
    ) -> Result<String, SendError> {
        let mut headers = headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.request(Method::POST, url, headers, body.to_string().into_bytes())
            .await
    }

    pub(super) async fn request(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<String, SendError> {
        let answered = self.answered(method, url, headers, body).await?;
        Ok(answered.0)
    }

    /// As [`Http::request`], for platforms that say in the body what they think of it.
    pub(super) async fn answered(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(String, Vec<u8>), SendError> {
        let client = self.client.get_or_try_init(client).await?;
        let request = client
            .request(method, url.clone())
            .headers(headers)
            .timeout(PATIENCE)
            .body(body);
        let failed = |error: reqwest::Error| SendError::later(self.clean(&described(error)));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let wait = retry_after(&response);
        let body = read(&mut response).await.map_err(failed)?;
        if (200..300).contains(&status) {
            return Ok((format!("status {status}"), body));
        }
        let text = String::from_utf8_lossy(&body);
        let words: Vec<&str> = text.split_whitespace().collect();
        let said = self.clean(&words.join(" "));
        let said = said[..said.floor_char_boundary(TOLD)].trim_end();
        let text = match said.is_empty() {
            true => format!("status {status}"),
            false => format!("status {status}: {said}"),
        };
        Err(match status {
            408 | 429 | 500.. => SendError::Later {
                text,
                after: wait.or_else(|| body_wait(&body)),
            },
            _ => SendError::Final(text),
        })
    }

    /// A text of somebody else without our secrets and without controls.
    pub(super) fn clean(&self, text: &str) -> String {
        let text: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        masked(text, &self.secrets)
    }
}

async fn client() -> Result<Client, SendError> {
    // Reading the system's certificates takes milliseconds.
    let built = tokio::task::spawn_blocking(|| {
        // Building a client panics without one. Err means that it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .user_agent(concat!("mhost/", env!("CARGO_PKG_VERSION")))
            .build()
    });
    match built.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(SendError::later(format!("tls: {}", described(error)))),
        Err(error) => Err(SendError::later(error.to_string())),
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER - body.len())]);
    }
    Ok(body)
}

/// `no answer within 10 s`, or the innermost reason. The address is taken out.
fn described(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", PATIENCE.as_secs());
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds(value.trim().parse().ok()?)
}

/// Telegram and Discord say it in the body, too.
fn body_wait(body: &[u8]) -> Option<Duration> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let found = [&body["retry_after"], &body["parameters"]["retry_after"]];
    seconds(found.into_iter().find_map(Value::as_f64)?)
}

fn seconds(seconds: f64) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(wait.min(LONGEST))
}

/// An address of settings, on another server when that is asked for.
pub(super) fn address(url: &str, base: Option<&str>) -> Result<Url, SendError> {
    let wrong = |what: &str| SendError::Final(format!("the address {what}"));
    let mut url: Url = url.parse().map_err(|_| wrong("cannot be read"))?;
    if let Some(base) = base {
        let base: Url = base
            .parse()
            .map_err(|_| wrong("in `base_url` cannot be read"))?;
        let path = format!("{}{}", base.path().trim_end_matches('/'), url.path());
        let query = url.query().map(str::to_owned);
        url = base;
        url.set_path(&path);
        url.set_query(query.as_deref());
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(wrong("must begin with https:// or http://")),
    }
}

/// A header whose value is not shown anywhere.
pub(super) fn header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), SendError> {
    let wrong = || SendError::Final(format!("the header `{name}` cannot be sent"));
    let key: HeaderName = name.parse().map_err(|_| wrong())?;
    let mut value: HeaderValue = value.parse().map_err(|_| wrong())?;
    value.set_sensitive(true);
    headers.insert(key, value);
    Ok(())
}

/// `a=b&c=d`, escaped.
pub(super) fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut url: Url = "http://form/".parse().expect("it is an address");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().as_bytes().to_vec()
}
