//! The Telegram adapter against servers of other people: `lo-bot-api-emulator` of PyPI, which
//! refuses what it does not know, and `telegram-test-api` of npm, which takes nearly all.
//! Between them and the adapter stands [`between`], which writes down every call; each of these
//! is held against a description of the Bot API, too.
//! `MHOST_COUNTERPARTS` names the folder that `.ci/run` has installed them in.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "../conformance/mod.rs"]
mod conformance;

mod between;
mod described;
mod faults;
mod groups;
mod loose;
mod page;
mod people;
mod strict;
mod webhook;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use chat::telegram::{Settings, Telegram};

/// As long as a real one, and nobody's.
const TOKEN: &str = "123456:AAHsecretsecretsecretsecretsecret";

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Where `.ci/run` has put it.
fn folder(what: &str) -> Option<PathBuf> {
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

/// A bot at this address that waits a second for what comes.
fn bot(url: &str) -> Telegram {
    let settings = Settings {
        base_url: url.to_owned(),
        poll: Duration::from_secs(1),
        ..Settings::new(TOKEN)
    };
    Telegram::new(&settings).unwrap()
}
