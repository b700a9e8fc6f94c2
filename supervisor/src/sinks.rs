//! Sends kept lines to other systems: GELF, Loki, Elasticsearch, syslog.
//!
//! ```text
//!   feed ──► inbox (bounded, oldest dropped and counted) ──► runner ──► Sink ──► server
//!                                                              │ batch, backoff, retry
//!                                                              └ place on disk, dead letters
//! ```
//!
//! A sink is a task of its own behind an inbox of its own: one that fails or hangs delays
//! neither the others nor the capture. Delivery is at least once as long as a line is within
//! the queue: a batch counts as sent when the server has taken it, and after a restart of the
//! daemon a sink goes on after the last line that was.
//!
//! The encoders ([`gelf`], [`loki`], [`elastic`], [`syslog`]) are pure; `connection`,
//! `datagram` and `http` carry what they make.

mod connection;
mod datagram;
mod dead;
mod elastic;
mod gelf;
mod http;
mod loki;
mod manager;
mod place;
mod runner;
mod status;
mod syslog;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{SinkConfig, SinkType};
use crate::logs::feed::FeedLine;

pub use manager::Sinks;
pub use status::{SinkState, SinkStatus};

/// A way to a server. It owns its connection and opens it again when it has to.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Sends lines, in their order. `Ok` when the server has them, as far as its protocol
    /// says so. Dropping the future must leave a sink that can be used again.
    async fn send(&mut self, batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError>;

    /// Makes sure of what was sent a second ago, where the protocol itself confirms nothing.
    /// False when it is to be asked once more a second later.
    async fn settle(&mut self) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// How long [`Sink::send`] may take, when one request may take `timeout`.
    fn patience(&self, timeout: Duration, _lines: usize) -> Duration {
        timeout
    }
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Lines that the server will never take, by their place in the batch, and why.
    pub(crate) rejected: Vec<(usize, String)>,
    /// Lines to try again.
    pub(crate) retry: Vec<usize>,
    /// Why.
    pub(crate) reason: Option<String>,
}

/// Why a batch was not sent. Texts hold no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SinkError {
    /// It may work later.
    #[error("{0}")]
    Retry(String),
    /// The same bytes will never be taken.
    #[error("{0}")]
    Rejected(String),
    /// Fewer lines may be taken.
    #[error("{0}")]
    TooLarge(String),
}

impl SinkError {
    /// What the system said about this place.
    fn at(place: &str, error: &std::io::Error) -> Self {
        Self::Retry(format!("{place}: {}", crate::probe::io_text(error)))
    }
}

impl From<std::io::Error> for SinkError {
    fn from(error: std::io::Error) -> Self {
        Self::Retry(crate::probe::io_text(&error))
    }
}

/// What is sent with every line besides what the line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name of this machine.
    pub(crate) host: String,
    /// As the settings say.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Identity {
    fn of(config: &SinkConfig) -> Self {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Self {
            host: if host.is_empty() {
                "localhost".to_owned()
            } else {
                host
            },
            labels: config.labels.clone(),
        }
    }
}

/// The sink that the settings mean. It connects when it is first used.
pub(crate) fn make(config: &SinkConfig) -> Result<Box<dyn Sink>, SinkError> {
    let identity = Identity::of(config);
    Ok(match config.kind {
        SinkType::Gelf => Box::new(gelf::Gelf::new(config, identity)?),
        SinkType::Loki => Box::new(loki::Loki::new(config, identity)?),
        SinkType::Elasticsearch => Box::new(elastic::Elastic::new(config, identity)?),
        SinkType::Syslog => Box::new(syslog::Syslog::new(config, identity)),
    })
}

/// The level of syslog and GELF: 0 is the worst, 7 the least.
pub(crate) fn syslog_level(line: &FeedLine) -> u8 {
    use crate::logs::Level;
    match line.level {
        Some(Level::Fatal) => 2,
        Some(Level::Error) => 3,
        Some(Level::Warn) => 4,
        Some(Level::Info) | None => 6,
        Some(Level::Debug | Level::Trace) => 7,
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Lines for the tests of encoders.

    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::Identity;
    use crate::logs::Level;
    use crate::logs::feed::{FeedLine, Mark};
    use crate::paths::Stream;

    /// `2026-03-28T14:32:01.123Z`, as every line here.
    pub(crate) const MS: i64 = 1_774_708_321_123;

    pub(crate) fn identity() -> Identity {
        Identity {
            host: "web-1".to_owned(),
            labels: [("env".to_owned(), "prod".to_owned())].into(),
        }
    }

    /// A plain line of `api:0`.
    pub(crate) fn line(text: &str) -> FeedLine {
        FeedLine {
            ts: Timestamp::from_millisecond(MS).unwrap(),
            order: 0,
            process: "api".parse().unwrap(),
            instance: 0,
            stream: Stream::Out,
            pid: Some(4711),
            text: text.to_owned(),
            truncated: false,
            level: None,
            message: None,
            fields: serde_json::Map::new(),
            mark: Mark {
                stream: "api-0.out".into(),
                epoch: 5,
                end: 100,
            },
        }
    }

    /// A line of JSON, as it comes from the parser.
    pub(crate) fn structured() -> FeedLine {
        let fields = json!({ "status": 502, "req.path": "/pay", "id": "7", "ok": false });
        let Value::Object(fields) = fields else {
            unreachable!("it is an object");
        };
        FeedLine {
            stream: Stream::Err,
            instance: 1,
            level: Some(Level::Error),
            message: Some("upstream \"pay\" failed".to_owned()),
            fields,
            ..line(
                r#"{"level":"error","msg":"upstream \"pay\" failed","status":502,"req":{"path":"/pay"},"id":"7","ok":false}"#,
            )
        }
    }

    pub(crate) fn arcs(lines: Vec<FeedLine>) -> Vec<Arc<FeedLine>> {
        lines.into_iter().map(Arc::new).collect()
    }
}
