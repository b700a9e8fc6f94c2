//! On, off and paused: what people said to the agent itself.
//!
//! It outlives the daemon in a small file beside the brain's history, written by rename.
//! `agent stop` is the global brake: incidents are still seen and recorded, nothing is done
//! about them. Without any word of a person the configuration holds.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest pause, as the longest leave: what is to last longer is a stop, which nobody
/// takes for something that ends by itself.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(90 * 86_400);

/// What people said last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Switch {
    /// `agent start` was said (true) or `agent stop` (false); nothing yet when absent.
    pub(crate) started: Option<bool>,
    /// Nothing is done before this time.
    pub(crate) paused_until: Option<Timestamp>,
    /// Why.
    pub(crate) paused_why: Option<String>,
}

impl Switch {
    /// Reads it; what cannot be read is as if nothing had been said.
    pub(crate) fn load(path: Option<&Path>) -> Self {
        let Some(path) = path else {
            return Self::default();
        };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "The state of the agent is damaged and was ignored.");
                Self::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "The state of the agent could not be read.");
                }
                Self::default()
            }
        }
    }

    /// Writes it beside its place and renames it there. Blocking.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn save(&self, path: Option<&Path>) -> io::Result<()> {
        let Some(path) = path else {
            return Ok(());
        };
        let mut beside = PathBuf::from(path).into_os_string();
        beside.push(".new");
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::rename(&beside, path)
    }

    /// Has somebody stopped the agent?
    pub(crate) fn stopped(&self) -> bool {
        self.started == Some(false)
    }

    /// Is the agent enabled, when the configuration says `configured`?
    pub(crate) fn enabled(&self, configured: bool) -> bool {
        self.started.unwrap_or(configured)
    }

    /// The pause, with its end and reason, if it has not passed.
    pub(crate) fn pause(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let end = self.paused_until.filter(|end| *end > now)?;
        Some((end, self.paused_why.clone().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.json");
        assert_eq!(Switch::load(Some(&path)), Switch::default());
        let switch = Switch {
            started: Some(false),
            paused_until: Some(Timestamp::from_second(1_000).unwrap()),
            paused_why: Some("maintenance".into()),
        };
        switch.save(Some(&path)).unwrap();
        assert_eq!(Switch::load(Some(&path)), switch);
        assert!(switch.stopped() && !switch.enabled(true));
        assert!(switch.pause(Timestamp::from_second(999).unwrap()).is_some());
        assert!(
            switch
                .pause(Timestamp::from_second(1_000).unwrap())
                .is_none()
        );
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Switch::load(Some(&path)), Switch::default());
    }
}
