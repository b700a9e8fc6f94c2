//! The daemon's own limit of open files.
//!
//! It needs many descriptors and takes what it may have; its children get back what they
//! would have had without it.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static ORIGINAL: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of open files to the hard one. Returns the limit there is now.
pub fn raise_nofile() -> u64 {
    let found = ORIGINAL.get_or_init(|| getrlimit(Resource::Nofile));
    let raised = Rlimit {
        current: found.maximum,
        maximum: found.maximum,
    };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() {
        raised
    } else {
        getrlimit(Resource::Nofile)
    };
    now.current.unwrap_or(u64::MAX)
}

/// What children get when they ask for nothing; `None` when it was never raised.
pub(super) fn original_nofile() -> Option<Rlimit> {
    ORIGINAL.get().cloned()
}
