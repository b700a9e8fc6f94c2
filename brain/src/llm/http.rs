//! The way to a provider: one POST, its status, and the events of its answer.
//!
//! Redirects are not followed, since they would carry the key elsewhere. A proxy of the
//! environment is used only for encrypted requests to other machines: it sees neither the
//! key nor the question.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;
use supervisor::Clock;
use supervisor::config::is_here;
use supervisor::secret::{Secret, masked};

use super::ModelError;
use super::heard::Heard;
use super::provider::Member;

/// Longest time until the connection stands; the whole answer has its own limit.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait that a provider is granted. Whoever says more would be left alone for ever, and
/// no clock reaches that far.
const WAIT: Duration = Duration::from_secs(24 * 3_600);
/// Most bytes of an answer as it comes over the wire: each token has a frame of some 250 bytes.
const WIRE: usize = 16 << 20;
/// Longest event.
const EVENT: usize = 2 << 20;
/// Most bytes of an error that are read.
const ERROR: usize = 64 << 10;
/// Most characters of it that are told.
const TOLD: usize = 300;

/// The way to one provider.
pub(super) struct Wire {
    client: Client,
    url: String,
    key: Option<Secret>,
}

/// What came back.
pub(super) enum Body {
    /// Event by event.
    Events(Events),
    /// All at once, though a stream was asked for.
    Whole(Value),
}

/// The events of an answer.
pub(super) struct Events {
    response: Response,
    buffer: Vec<u8>,
    /// Up to here no event ends.
    looked: usize,
    seen: usize,
    ended: bool,
}

impl Wire {
    /// The way to this provider; `headers` go with every request.
    pub(super) fn new(member: &Member, path: &str, headers: HeaderMap) -> Result<Self, ModelError> {
        // Already done in the daemon; a client without one cannot be made.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}{path}", member.base_url);
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mhost/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers);
        if is_here(&url) || !url.starts_with("https://") {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| ModelError::NotSetUp(format!("no client: {}", chain(&error))))?;
        Ok(Self {
            client,
            url,
            key: member.key.clone(),
        })
    }

    /// Asks. A status that says no becomes an error.
    pub(super) async fn post(
        &self,
        body: &impl Serialize,
        heard: &Heard<'_>,
    ) -> Result<Body, ModelError> {
        let sent = self.client.post(&self.url).json(body).send().await;
        let response = sent.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if !status.is_success() {
            if let Some(wait) = retry_after(response.headers()) {
                heard.retry_after(wait);
            }
            return Err(self.refusal(status, response, heard).await);
        }
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_whole = kind.starts_with("application/json");
        let mut events = Events {
            response,
            buffer: Vec::new(),
            looked: 0,
            seen: 0,
            ended: false,
        };
        if !is_whole {
            return Ok(Body::Events(events));
        }
        while events.more().await? {
            if events.buffer.len() > EVENT {
                return Err(ModelError::Nonsense("it is longer than 2 MB".into()));
            }
        }
        serde_json::from_slice(&events.buffer)
            .map(Body::Whole)
            .map_err(|_| ModelError::Nonsense("it is not JSON".into()))
    }

    async fn refusal(
        &self,
        status: StatusCode,
        mut response: Response,
        heard: &Heard<'_>,
    ) -> ModelError {
        let mut bytes = Vec::new();
        while bytes.len() < ERROR {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        bytes.truncate(ERROR);
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = error_text(&json);
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
        self.refused(status.as_u16(), &text, &json, heard)
    }

    /// What a status and its text mean.
    pub(super) fn refused(
        &self,
        status: u16,
        text: &str,
        json: &Value,
        heard: &Heard<'_>,
    ) -> ModelError {
        // An account without money does not get any by waiting.
        let is_empty = json.to_string().contains("insufficient_quota");
        match status {
            401 | 403 => ModelError::Unauthorised { status },
            429 if !is_empty => ModelError::RateLimited {
                retry_after: heard.wanted_wait(),
            },
            _ => ModelError::Refused {
                status,
                text: self.told(text),
            },
        }
    }

    /// A text of the provider, short, in one line, and without our key.
    fn told(&self, text: &str) -> String {
        let keys: Vec<Secret> = self.key.iter().cloned().collect();
        let text = masked(text.to_owned(), &keys);
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.chars().map(plain).take(TOLD).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return "it says no more".to_owned();
        }
        words.join(" ")
    }

    fn broken(&self, error: &reqwest::Error) -> ModelError {
        ModelError::Unreachable(self.told(&chain(error)))
    }
}

impl Events {
    /// Reads on; `false` at the end.
    async fn more(&mut self) -> Result<bool, ModelError> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|error| {
            ModelError::Unreachable(format!("the answer broke off: {}", chain(&error)))
        })?;
        let Some(chunk) = chunk else {
            return Ok(false);
        };
        self.seen = self.seen.saturating_add(chunk.len());
        if self.seen > WIRE {
            return Err(ModelError::Nonsense("it does not end".into()));
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }

    /// The data of the next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<String>, ModelError> {
        loop {
            if let Some((at, gap)) = end_of_event(&self.buffer, self.looked) {
                self.looked = 0;
                let rest = self.buffer.split_off(at + gap);
                let event = std::mem::replace(&mut self.buffer, rest);
                let data = data_of(&event);
                if data.is_empty() {
                    continue;
                }
                return Ok(Some(data));
            }
            // The end of a line may be here and the empty one yet to come.
            self.looked = self.buffer.len().saturating_sub(2);
            if self.buffer.len() > EVENT {
                return Err(ModelError::Nonsense("it is longer than 2 MB".into()));
            }
            if self.ended {
                return Ok(None);
            }
            if !self.more().await? {
                // Some servers end the last event without an empty line.
                self.ended = true;
                self.buffer.extend_from_slice(b"\n\n");
            }
        }
    }
}

/// Where the first event ends behind this place, and how long the gap after it is.
fn end_of_event(buffer: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut start = from;
    while let Some(found) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        let at = start + found;
        match &buffer[at + 1..] {
            [b'\n', ..] => return Some((at, 2)),
            [b'\r', b'\n', ..] => return Some((at, 3)),
            _ => start = at + 1,
        }
    }
    None
}

/// The lines of data of an event, joined. Comments and other fields are left out.
fn data_of(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

/// The words of an error object, as all of these providers write it.
pub(super) fn error_text(json: &Value) -> Option<String> {
    // Gemini wraps it in a list.
    let json = json.get(0).unwrap_or(json);
    let error = json.get("error").filter(|error| !error.is_null())?;
    let text = error.get("message").unwrap_or(error);
    Some(
        text.as_str()
            .map_or_else(|| text.to_string(), str::to_owned),
    )
}

/// How long to wait, at most [`WAIT`]: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    wanted(headers).map(|wait| wait.min(WAIT))
}

fn wanted(headers: &HeaderMap) -> Option<Duration> {
    // What is too large for a number of seconds is no less than for ever.
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return Some(seconds(ms / 1_000.0));
    }
    let value = text(RETRY_AFTER.as_str())?.trim();
    if let Ok(wait) = value.parse::<f64>() {
        return Some(seconds(wait));
    }
    // Dates end in GMT, which the format of mails spells as an offset.
    let date = value.replace("GMT", "+0000");
    let at = rfc2822::parse(&date).ok()?.timestamp();
    Some(supervisor::until(Clock::system().now(), at))
}

/// An error with its sources: the first line of reqwest's names only the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_wanted_wait_is_read_in_every_form() {
        let wait = |name, value| retry_after(&headers(name, value));
        assert_eq!(wait("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wait("retry-after", "-3"), Some(Duration::ZERO));
        assert_eq!(
            wait("retry-after-ms", "70"),
            Some(Duration::from_millis(70))
        );
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "NaN"), Some(Duration::ZERO));
        let past = wait("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        let far = wait("retry-after", "Wed, 21 Oct 2099 07:28:00 GMT");
        assert_eq!(far, Some(WAIT));
        for huge in ["18446744073709551615", "1e300", "inf"] {
            assert_eq!(wait("retry-after", huge), Some(WAIT), "{huge}");
            assert_eq!(wait("retry-after-ms", huge), Some(WAIT), "{huge}");
        }
    }

    #[test]
    fn events_end_at_an_empty_line() {
        assert_eq!(end_of_event(b"data: 1\n\ndata: 2\n\n", 0), Some((7, 2)));
        assert_eq!(end_of_event(b"data: 1\r\n\r\nx", 0), Some((8, 3)));
        assert_eq!(end_of_event(b"data: 1\ndata: 2\n", 0), None);
        let long = b"data: 1\r\n\r\n";
        for cut in (0..long.len()).filter(|cut| end_of_event(&long[..*cut], 0).is_none()) {
            let looked = cut.saturating_sub(2);
            assert_eq!(end_of_event(long, looked), Some((8, 3)), "{cut}");
        }
        assert_eq!(data_of(b": ping\nevent: a\ndata: 1\ndata:2\r\n"), "1\n2");
    }

    #[test]
    fn words_of_an_error_are_found() {
        let text = |text: &str| error_text(&serde_json::from_str(text).unwrap());
        assert_eq!(text(r#"{"error":{"message":"no"}}"#).unwrap(), "no");
        assert_eq!(text(r#"[{"error":{"message":"no"}}]"#).unwrap(), "no");
        assert_eq!(
            text(r#"{"error":"model not found"}"#).unwrap(),
            "model not found"
        );
        assert_eq!(text(r#"{"detail":"x"}"#), None);
        assert_eq!(text(r#"{"error":null,"choices":[]}"#), None);
    }
}
