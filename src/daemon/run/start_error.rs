//! Why the daemon could not start, and whether the next one may.

use supervisor::HomeError;
use supervisor::store::StoreError;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum StartError {
    #[error("{}", with_source(.0))]
    Home(#[from] supervisor::HomeError),
    #[error("another daemon runs for this home (pid {pid}); ask it with: mhost daemon status")]
    Running { pid: String },
    #[error("cannot {what}: {source}")]
    System {
        what: String,
        source: std::io::Error,
    },
    #[error("{}", with_source(.0))]
    Store(#[from] supervisor::store::StoreError),
}

impl StartError {
    /// Is it something that the next daemon may not meet, such as a full disk?
    pub(super) fn may_pass(&self) -> bool {
        match self {
            StartError::Running { .. } => false,
            StartError::System { .. } => true,
            StartError::Home(error) => matches!(error, HomeError::NotWritable { .. }),
            StartError::Store(error) => {
                error.retryable() || matches!(error, StoreError::Open { .. })
            }
        }
    }
}

pub(in crate::daemon) fn with_source(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

pub(in crate::daemon) fn cannot(
    what: impl Into<String>,
) -> impl FnOnce(std::io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::System { what, source }
}
