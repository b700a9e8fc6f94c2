//! The tables `[process.<name>.health.<kind>]`: probes, as a person writes them.
//!
//! ```text
//!   health.http             ready when it passes, restarted when it fails
//!   health.startup.http     must pass once before the process is online, and is not asked again
//!   health.readiness.http   must pass before it is online; if it fails later, that is shown
//!   health.liveness.http    asked once the process is online, which is restarted if it fails
//! ```
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
    /// Probes that must pass once before it is online, and are not tried any more then. Those of
    /// `liveness` are not tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Box<Probes>>,
    /// Probes that must pass before it is online. When one fails later, the process is shown as
    /// not ready, and nothing else follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Box<Probes>>,
    /// Probes that are tried when it is online. It is restarted when one fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Box<Probes>>,
}

/// Probes of one role. Those of `startup` must pass once before the process is online, and are not
/// tried any more then; those of `readiness` must pass before, too, and say later whether it is
/// ready; those of `liveness` are tried when it is online, and restart it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
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

/// What a probe decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeRole {
    /// All of it: it stands directly in `health`.
    Whole,
    /// When it is up, for the first time.
    Startup,
    /// Whether it is ready.
    Readiness,
    /// Whether it is alive.
    Liveness,
}

impl ProbeRole {
    /// All of them, in the order in which they are shown.
    pub const ALL: [ProbeRole; 4] = [
        ProbeRole::Whole,
        ProbeRole::Startup,
        ProbeRole::Readiness,
        ProbeRole::Liveness,
    ];

    /// The table that its probes are in, below `health`.
    pub fn table(self) -> Option<&'static str> {
        match self {
            ProbeRole::Whole => None,
            ProbeRole::Startup => Some("startup"),
            ProbeRole::Readiness => Some("readiness"),
            ProbeRole::Liveness => Some("liveness"),
        }
    }

    /// Must its probes pass before the process is online?
    pub fn gates(self) -> bool {
        self != ProbeRole::Liveness
    }

    /// Is it its business what an unhealthy process gets?
    pub fn restarts(self) -> bool {
        matches!(self, ProbeRole::Whole | ProbeRole::Liveness)
    }

    /// How a probe of it is called: `http`, `readiness.http`.
    pub fn name_of(self, kind: ProbeKind) -> &'static str {
        match (self, kind) {
            (ProbeRole::Whole, ProbeKind::Http) => "http",
            (ProbeRole::Whole, ProbeKind::Tcp) => "tcp",
            (ProbeRole::Whole, ProbeKind::Script) => "script",
            (ProbeRole::Startup, ProbeKind::Http) => "startup.http",
            (ProbeRole::Startup, ProbeKind::Tcp) => "startup.tcp",
            (ProbeRole::Startup, ProbeKind::Script) => "startup.script",
            (ProbeRole::Readiness, ProbeKind::Http) => "readiness.http",
            (ProbeRole::Readiness, ProbeKind::Tcp) => "readiness.tcp",
            (ProbeRole::Readiness, ProbeKind::Script) => "readiness.script",
            (ProbeRole::Liveness, ProbeKind::Http) => "liveness.http",
            (ProbeRole::Liveness, ProbeKind::Tcp) => "liveness.tcp",
            (ProbeRole::Liveness, ProbeKind::Script) => "liveness.script",
        }
    }
}

/// What a probe does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Ask a URL.
    Http,
    /// Open a TCP connection.
    Tcp,
    /// Run a command.
    Script,
}

/// The probes of one role, wherever they stand.
#[derive(Debug, Clone, Copy)]
pub struct ProbeSet<'a> {
    /// Which.
    pub role: ProbeRole,
    /// Ask a URL.
    pub http: Option<&'a HttpProbe>,
    /// Open a TCP connection.
    pub tcp: Option<&'a TcpProbe>,
    /// Run a command.
    pub script: Option<&'a ScriptProbe>,
}

impl ProbeSet<'_> {
    /// What kinds of probe there are.
    pub fn kinds(self) -> impl Iterator<Item = ProbeKind> {
        let kinds = [
            self.http.map(|_| ProbeKind::Http),
            self.tcp.map(|_| ProbeKind::Tcp),
            self.script.map(|_| ProbeKind::Script),
        ];
        kinds.into_iter().flatten()
    }
}

impl Health {
    /// Is there no probe?
    pub fn is_empty(&self) -> bool {
        self.sets().iter().all(|set| set.kinds().next().is_none())
    }

    /// Is there a probe that must pass before the process is online?
    pub fn gates(&self) -> bool {
        let gating = self.sets().into_iter().filter(|set| set.role.gates());
        gating.flat_map(ProbeSet::kinds).next().is_some()
    }

    /// Its probes by role.
    pub fn sets(&self) -> [ProbeSet<'_>; 4] {
        let Self {
            http,
            tcp,
            script,
            startup,
            readiness,
            liveness,
        } = self;
        ProbeRole::ALL.map(|role| {
            let probes = match role {
                ProbeRole::Whole => {
                    return ProbeSet {
                        role,
                        http: http.as_ref(),
                        tcp: tcp.as_ref(),
                        script: script.as_ref(),
                    };
                }
                ProbeRole::Startup => startup,
                ProbeRole::Readiness => readiness,
                ProbeRole::Liveness => liveness,
            };
            let probes = probes.as_deref();
            ProbeSet {
                role,
                http: probes.and_then(|probes| probes.http.as_ref()),
                tcp: probes.and_then(|probes| probes.tcp.as_ref()),
                script: probes.and_then(|probes| probes.script.as_ref()),
            }
        })
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
