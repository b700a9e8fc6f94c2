//! What an engineer reads when the registry and the logs do not say enough.
//!
//! Plain data: it is kept with an incident, so that a diagnosis can be made again without the
//! world. Everything is optional to whoever answers; what nobody knows is empty.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A file that a program speaks of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileLook {
    /// As the program named it.
    pub path: String,
    /// Is it there?
    pub exists: bool,
    /// `file`, `folder`, `link` or `other`.
    pub kind: String,
    /// Its permission bits.
    pub mode: u32,
    /// Who owns it, by number.
    pub owner: u32,
    /// Its length.
    pub bytes: u64,
    /// Seconds since it was written.
    pub written_s: Option<f64>,
    /// Does it lie below the process's working folder?
    pub inside: bool,
    /// The nearest folder above it that is there.
    pub nearest: String,
}

/// A file of a known format that cannot be read as such.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokenFile {
    /// Below the working folder.
    pub path: String,
    /// `JSON`, `TOML`.
    pub format: String,
    /// What is wrong, and where.
    pub error: String,
    /// Does it end too early?
    pub cut_off: bool,
    /// Seconds since it was written.
    pub written_s: f64,
}

/// A lock or pid file that a program speaks of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LockLook {
    /// Absolute, without symbolic links.
    pub path: String,
    /// A regular file, and no link?
    pub regular: bool,
    /// Below the working folder of the process?
    pub inside: bool,
    /// The pid it holds.
    pub pid: Option<i32>,
    /// The command line of that pid, if it lives.
    pub holder: Option<String>,
    /// The process of ours that the live holder belongs to.
    pub holder_ours: Option<String>,
    /// Does anybody have it open or locked?
    pub open_by: Option<i32>,
    /// Seconds since it was written.
    pub written_s: f64,
}

/// What the last change of a definition changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeLook {
    /// Seconds since then.
    pub age_s: f64,
    /// Key, former value, new value; values of secrets masked.
    pub keys: Vec<(String, String, String)>,
}

/// An environment file, beside what was read from it before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvFileLook {
    /// As configured.
    pub path: String,
    /// Is it there?
    pub exists: bool,
    /// Seconds since it was written.
    pub written_s: f64,
    /// Variables that differ from the last good start: name, then, now; values of secrets
    /// masked. Empty when no good start is remembered.
    pub changed: Vec<(String, String, String)>,
    /// Its variables and short plain values; values of secrets masked.
    pub values: Vec<(String, String)>,
}

/// What became of a try to reach an address.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReachLook {
    /// The host, as named.
    pub host: String,
    /// The port, 0 when only the name was tried.
    pub port: u16,
    /// `open`, `refused`, `timeout`, `unresolved`, `unreachable`, or empty: not tried.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The process of ours that should listen there, by its definition or by its sockets.
    pub process: Option<String>,
}

/// How long a certificate is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateLook {
    /// `host:port` of the server that shows it, or the file.
    pub of: String,
    /// From when on.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// What somebody told mhost to do with a process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderLook {
    /// The row of the audit log.
    pub id: String,
    /// Seconds ago.
    pub age_s: f64,
    /// Who: `cli:ana`, `brain:rapid-crash`.
    pub who: String,
    /// What: `stop`, `signal`.
    pub command: String,
}

/// One try of a probe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptLook {
    /// Seconds ago.
    pub age_s: f64,
    /// Did it pass?
    pub passed: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why not.
    pub error: Option<String>,
}

/// Another process, in a line.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NeighbourLook {
    /// Its name.
    pub name: String,
    /// State with its flags.
    pub detail: String,
    /// Is every copy up, and does no probe fail?
    pub well: bool,
    /// Percent of one core.
    pub cpu_percent: f64,
    /// Resident bytes.
    pub rss_bytes: u64,
    /// Its limit.
    pub max_memory: Option<u64>,
    /// How often it went over that limit in the last ten minutes, and how many bytes it had.
    pub over_memory: u64,
    /// The most it had then.
    pub over_bytes: u64,
    /// The event that says so.
    pub over_event: Option<i64>,
    /// Why its probe fails.
    pub probe_error: Option<String>,
    /// How long its newest probe took, in milliseconds.
    pub probe_ms: Option<u64>,
    /// Ports that its definition names.
    pub ports: Vec<u16>,
    /// How it died last, within ten minutes: the event and what it said.
    pub died: Option<(i64, String)>,
    /// What it complains about in the last half minute: line id and text.
    pub complaint: Option<(String, String)>,
    /// Seconds since its newest restart, and the reason.
    pub restarted: Option<(f64, String)>,
}

/// Seconds from `then` to `now`, one decimal.
pub fn seconds(then: Timestamp, now: Timestamp) -> f64 {
    (supervisor::until(then, now).as_secs_f64() * 10.0).round() / 10.0
}
