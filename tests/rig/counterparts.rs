//! Programs of other people that tests talk to. `.ci/run` installs them, and
//! `MHOST_COUNTERPARTS` names their folder. A test without its counterpart says that it was
//! skipped.

use std::io::Write;
use std::path::PathBuf;

/// Where this was installed; `None`, said on stderr, when it was not.
pub(crate) fn folder(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MHOST_COUNTERPARTS").map(PathBuf::from);
    let found = folder.map(|folder| folder.join(what));
    let found = found.filter(|path| path.exists());
    if found.is_none() {
        skipped(&format!(
            "there is no {what} in MHOST_COUNTERPARTS; see .ci/run"
        ));
    }
    found
}

/// Says why nothing was tried.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
