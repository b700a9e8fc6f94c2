//! `[sinks.<name>]`: where kept lines are sent besides the disk.
//!
//! One flat table serves all types, so that the schema and its messages stay simple; which
//! keys a type takes is checked in `check`, with their places.

mod check;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logs::Level;
use crate::secret::{SHORTEST, Secret};

pub(crate) use check::check;

/// What a sink speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SinkType {
    /// Graylog's format, over UDP, TCP or HTTP.
    Gelf,
    /// The push interface of Grafana Loki.
    Loki,
    /// The bulk interface of Elasticsearch and OpenSearch.
    Elasticsearch,
    /// RFC 5424, over UDP, TCP, TLS or a Unix socket.
    Syslog,
}

/// How a GELF or syslog sink reaches its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams: nobody confirms them.
    Udp,
    /// A connection that is kept open.
    Tcp,
    /// A connection that is kept open, encrypted.
    Tls,
    /// A request per message.
    Http,
    /// A socket file, such as `/dev/log`.
    Unix,
}

impl SinkType {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gelf => "gelf",
            Self::Loki => "loki",
            Self::Elasticsearch => "elasticsearch",
            Self::Syslog => "syslog",
        }
    }
}

/// One place that kept lines are sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// What it speaks.
    #[serde(rename = "type")]
    pub kind: SinkType,
    /// Use it. Default `true`.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whose lines, as a glob such as `api*` or `{api,web}`. Default `*`.
    #[serde(default = "all")]
    #[schemars(extend("x-form" = "glob"))]
    pub processes: String,
    /// Least level that is sent. A line that shows no level counts as `info`. Default: all.
    #[serde(default)]
    pub level: Option<Level>,
    /// Sent with every line.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Most lines in one request. Default 500.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: usize,
    /// Longest time that a line waits for others. Default `2s`.
    #[serde(default = "flush", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub flush: Duration,
    /// Lines that wait while the server is away or slow; after that the oldest are dropped
    /// and counted. Default 10000.
    #[serde(default = "queue")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: usize,
    /// Longest time that one request may take. Default `10s`.
    #[serde(default = "timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// Name or address of the server; for syslog also the path of a socket. GELF and syslog.
    #[serde(default)]
    pub host: Option<String>,
    /// Its port. Default 12201 for GELF, 514 for syslog, 6514 for syslog over TLS.
    #[serde(default)]
    #[schemars(range(min = 1), extend("x-form" = "port"))]
    pub port: Option<u16>,
    /// GELF: `udp`, `tcp` or `http`; syslog: `udp`, `tcp`, `tls` or `unix`. Default `udp`.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// Where to send: the base address of Loki or Elasticsearch, or the whole address of a
    /// GELF input over HTTP.
    #[serde(default)]
    #[schemars(extend("x-form" = "endpoint"))]
    pub url: Option<String>,
    /// Name of the index; `{date}` becomes the day of the line, as `2026.03.28`. Default
    /// `mhost-logs`. Elasticsearch.
    #[serde(default)]
    pub index: Option<String>,
    /// The tenant, sent as `X-Scope-OrgID`. Loki.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Name or number of the facility. Default `local0`. Syslog.
    #[serde(default)]
    pub facility: Option<Facility>,
    /// An API key as Elasticsearch gives it, in its encoded form. Elasticsearch.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// For basic authentication. HTTP only.
    #[serde(default)]
    pub username: Option<String>,
    /// For basic authentication. HTTP only.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Further headers. HTTP only.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// A PEM file of certificate authorities to trust instead of those of the system. HTTPS
    /// and TLS only.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Believe any certificate. HTTPS and TLS only. Default `false`.
    #[serde(default)]
    pub tls_insecure: bool,
}

/// A facility of syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Facility {
    /// From 0 to 23.
    Number(#[schemars(range(max = 23))] u8),
    /// Such as `local0`.
    Name(String),
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

impl Facility {
    /// Its number; `None` for a name that is none.
    pub fn number(&self) -> Option<u8> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| *number < 24),
            Self::Name(name) => {
                let name = name.to_ascii_lowercase();
                let place = FACILITIES.iter().position(|known| *known == name);
                place.and_then(|place| u8::try_from(place).ok())
            }
        }
    }
}

fn yes() -> bool {
    true
}

fn all() -> String {
    "*".to_owned()
}

fn batch() -> usize {
    500
}

fn flush() -> Duration {
    Duration::from_secs(2)
}

fn queue() -> usize {
    10_000
}

fn timeout() -> Duration {
    Duration::from_secs(10)
}

impl SinkConfig {
    /// A sink of a type with all defaults.
    pub fn new(kind: SinkType) -> Self {
        Self {
            kind,
            enabled: true,
            processes: all(),
            level: None,
            labels: BTreeMap::new(),
            batch: batch(),
            flush: flush(),
            queue: queue(),
            timeout: timeout(),
            host: None,
            port: None,
            transport: None,
            url: None,
            index: None,
            tenant: None,
            facility: None,
            api_key: None,
            username: None,
            password: None,
            headers: BTreeMap::new(),
            ca_file: None,
            tls_insecure: false,
        }
    }

    /// The transport in force: a host that is a path means a socket.
    pub fn transport(&self) -> Transport {
        let path = self.host.as_deref().is_some_and(|h| h.starts_with('/'));
        let default = if self.kind == SinkType::Syslog && path {
            Transport::Unix
        } else {
            Transport::Udp
        };
        self.transport.unwrap_or(default)
    }

    /// All it holds that must not be shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let own = self.api_key.iter().chain(&self.password);
        let mut secrets: Vec<Secret> = own.chain(self.headers.values()).cloned().collect();
        let url: Option<reqwest::Url> = self.url.as_ref().and_then(|url| url.parse().ok());
        if let Some(url) = url {
            secrets.extend(url.password().map(Secret::from));
            // A token may stand in the query.
            secrets.extend(url.query().map(Secret::from));
        }
        secrets.retain(|secret| secret.expose().len() >= SHORTEST);
        secrets
    }
}
