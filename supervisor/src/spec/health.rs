//! The tables `[process.<name>.health.<kind>]`: probes, as a person writes them.
//!
//! The three kinds repeat the keys that they share: a table that is put together from parts
//! tells of a wrong key without its name and place.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::defaults;

/// The tables `[process.<name>.health.<kind>]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Ask a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// Open a TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// Run a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptProbe>,
}

impl Health {
    /// Is there no probe?
    pub fn is_empty(&self) -> bool {
        let Self { http, tcp, script } = self;
        http.is_none() && tcp.is_none() && script.is_none()
    }
}

/// Ask a URL. Redirects are not followed and proxy variables are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// What to ask. `${PORT}` and `{instance}` are filled in per instance.
    #[serde(serialize_with = "crate::secret::shown")]
    #[schemars(extend("x-form" = "url"))]
    pub url: String,
    /// Time between probes. Default `10s`.
    #[serde(default = "defaults::http_interval", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub interval: Duration,
    /// Time it may take; at most `interval`. Default `3s`.
    #[serde(default = "defaults::http_timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy. Default 3.
    #[serde(default = "defaults::retries")]
    #[schemars(range(min = 1))]
    pub retries: u32,
    /// Status it must answer: a number, `"2xx"`, or a list. Default 200.
    #[serde(default, alias = "expected_status")]
    #[schemars(extend("x-alias" = ["expected_status"]))]
    pub expected_code: ExpectedCode,
    /// Method. Default `GET`.
    #[serde(default = "defaults::get")]
    #[schemars(extend("x-form" = "method"))]
    pub method: String,
    /// Headers to send.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "crate::secret::headers_shown"
    )]
    pub headers: BTreeMap<String, String>,
    /// Text that the answer must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Accept any certificate. Default `false`.
    #[serde(default)]
    pub insecure: bool,
    /// Failures this soon after a start do not count. Default `0s`.
    #[serde(default, with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub start_period: Duration,
    /// Passes in a row that make it healthy. Default 1.
    #[serde(default = "defaults::success_threshold")]
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// What an unhealthy process gets. Default `restart`.
    #[serde(default)]
    pub on_fail: OnFail,
}

/// Open a TCP connection and close it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// Host. Default `localhost`.
    #[serde(default = "defaults::localhost")]
    pub host: String,
    /// Port: a number, or `"${PORT}"`.
    #[schemars(extend("x-form" = "port"))]
    pub port: PortText,
    /// Time between probes. Default `10s`.
    #[serde(default = "defaults::http_interval", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub interval: Duration,
    /// Time it may take; at most `interval`. Default `2s`.
    #[serde(default = "defaults::tcp_timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy. Default 3.
    #[serde(default = "defaults::retries")]
    #[schemars(range(min = 1))]
    pub retries: u32,
    /// Failures this soon after a start do not count. Default `0s`.
    #[serde(default, with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub start_period: Duration,
    /// Passes in a row that make it healthy. Default 1.
    #[serde(default = "defaults::success_threshold")]
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// What an unhealthy process gets. Default `restart`.
    #[serde(default)]
    pub on_fail: OnFail,
}

/// Run a command in the process's folder and environment, as its user; exit 0 passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptProbe {
    /// Command line, run by `/bin/sh -c` in a process group of its own.
    #[serde(serialize_with = "crate::secret::shown")]
    #[schemars(extend("x-form" = "command"))]
    pub command: String,
    /// Time between probes. Default `30s`.
    #[serde(default = "defaults::script_interval", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub interval: Duration,
    /// Time it may take before it is killed; at most `interval`. Default `5s`.
    #[serde(default = "defaults::script_timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy. Default 3.
    #[serde(default = "defaults::retries")]
    #[schemars(range(min = 1))]
    pub retries: u32,
    /// Failures this soon after a start do not count. Default `0s`.
    #[serde(default, with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub start_period: Duration,
    /// Passes in a row that make it healthy. Default 1.
    #[serde(default = "defaults::success_threshold")]
    #[schemars(range(min = 1))]
    pub success_threshold: u32,
    /// What an unhealthy process gets. Default `restart`.
    #[serde(default)]
    pub on_fail: OnFail,
}

/// A port number, or a text with a variable that becomes one per instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortText(pub String);

/// Statuses an HTTP probe takes as a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedCode(pub Vec<CodePattern>);

/// One status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodePattern {
    /// Exactly this.
    Exact(u16),
    /// `2xx` is `Class(2)`.
    Class(u8),
}

/// What an unhealthy process gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// A restart.
    #[default]
    Restart,
    /// An event only.
    Notify,
}
