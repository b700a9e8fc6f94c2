//! The Telegram adapter against servers of other people: `lo-bot-api-emulator` of PyPI, which
//! refuses what it does not know, and `telegram-test-api` of npm, which takes nearly all.
//! Between them and the adapter stands [`between`], which writes down every call; each of these
//! is held against a description of the Bot API, too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "../conformance/mod.rs"]
mod conformance;

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

mod between;
mod described;
mod faults;
mod groups;
mod loose;
mod page;
mod people;
mod strict;
mod webhook;

use std::time::Duration;

use chat::telegram::{Settings, Telegram};

use counterparts::{folder, skipped};

/// As long as a real one, and nobody's.
const TOKEN: &str = "123456:AAHsecretsecretsecretsecretsecret";

/// A bot at this address that waits a second for what comes.
fn bot(url: &str) -> Telegram {
    let settings = Settings {
        base_url: url.to_owned(),
        poll: Duration::from_secs(1),
        ..Settings::new(TOKEN)
    };
    Telegram::new(&settings).unwrap()
}
