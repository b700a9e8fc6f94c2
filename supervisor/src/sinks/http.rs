//! Requests to one address: what is sent with each, and what an answer means.
//!
//! Redirects are answers and proxy variables are ignored, as for probes, so that no line and
//! no password goes where the settings do not say. Errors name neither address nor secret.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Response, Url};
use tokio::sync::OnceCell;

use super::SinkError;
use crate::config::SinkConfig;
use crate::probe::describe_http_error;

/// Most of an answer that is read: a bulk answer of 10,000 failed lines fits.
const MAX_ANSWER: usize = 8 << 20;
/// Most of a refusal that is told.
const MAX_REASON: usize = 200;

/// A client for one address.
pub(super) struct Http {
    url: Url,
    headers: HeaderMap,
    login: Option<(String, Option<String>)>,
    timeout: Duration,
    ca_file: Option<PathBuf>,
    insecure: bool,
    client: OnceCell<Client>,
}

impl Http {
    pub(super) fn new(config: &SinkConfig, url: &str) -> Result<Self, SinkError> {
        let url: Url = url
            .parse()
            .map_err(|error| SinkError::Retry(format!("url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let text = "url: it must begin with http:// or https://";
            return Err(SinkError::Retry(text.to_owned()));
        }
        let mut http = Self {
            url,
            headers: HeaderMap::new(),
            login: config.username.clone().map(|name| {
                let password = config.password.as_ref();
                (name, password.map(|password| password.expose().to_owned()))
            }),
            timeout: config.timeout,
            ca_file: config.ca_file.clone(),
            insecure: config.tls_insecure,
            client: OnceCell::new(),
        };
        for (name, value) in &config.headers {
            http.header(name, value.expose())?;
        }
        Ok(http)
    }

    /// Sends a header with every request.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), SinkError> {
        let cannot = |_| SinkError::Retry(format!("the header `{name}` cannot be sent"));
        let key: HeaderName = name
            .parse()
            .map_err(|_| SinkError::Retry(format!("`{name}` is not the name of a header")))?;
        let mut value: HeaderValue = value.parse().map_err(cannot)?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &str {
        self.url.path()
    }

    /// The body of a good answer.
    pub(super) async fn post(
        &self,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, SinkError> {
        let client = self.client.get_or_try_init(|| self.build()).await?;
        let mut request = client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, content_type)
            .timeout(self.timeout)
            .body(body);
        if let Some((name, password)) = &self.login {
            request = request.basic_auth(name, password.as_deref());
        }
        let failed = |error: reqwest::Error| SinkError::Retry(describe_http_error(&error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let limit = if status.is_success() {
            MAX_ANSWER
        } else {
            4 << 10
        };
        let answer = read(&mut response, limit).await.map_err(failed)?;
        if status.is_success() {
            return Ok(answer);
        }
        let text = refusal(status.as_u16(), &answer);
        Err(match status.as_u16() {
            // The lines themselves are wrong: they would be so tomorrow.
            400 | 422 => SinkError::Rejected(text),
            413 => SinkError::TooLarge(text),
            _ => SinkError::Retry(text),
        })
    }

    async fn build(&self) -> Result<Client, SinkError> {
        let (ca_file, insecure) = (self.ca_file.clone(), self.insecure);
        let plain = self.url.scheme() == "http";
        // Reading the system's certificates takes milliseconds.
        let built = tokio::task::spawn_blocking(move || {
            // Building a client panics without one. Err means that it is there already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut builder = Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(1)
                .user_agent(concat!("mhost/", env!("CARGO_PKG_VERSION")));
            if insecure || plain {
                // Without TLS there is nobody to believe, and no roots need to be read.
                builder = builder.tls_danger_accept_invalid_certs(true);
            } else if let Some(file) = ca_file {
                let told = |error: String| format!("ca_file: {}: {error}", file.display());
                let pem = std::fs::read(&file).map_err(|error| told(error.to_string()))?;
                let roots = Certificate::from_pem_bundle(&pem)
                    .map_err(|_| told("it is not a PEM file".to_owned()))?;
                builder = builder.tls_certs_only(roots);
            }
            builder
                .build()
                .map_err(|error| format!("tls: {}", describe_http_error(&error)))
        });
        match built.await {
            Ok(client) => client.map_err(SinkError::Retry),
            Err(error) => Err(SinkError::Retry(error.to_string())),
        }
    }
}

async fn read(response: &mut Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]);
    }
    Ok(body)
}

/// `status 400: entry out of order`.
fn refusal(status: u16, answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let text = &text[..text.floor_char_boundary(MAX_REASON)];
    if text.is_empty() {
        format!("status {status}")
    } else {
        format!("status {status}: {text}")
    }
}
