//! The Slack adapter against a strict server of ours, which is proven first with Slack's own
//! client (`sdk.rs`). Each call of the adapter is held against Slack's description of its Web
//! API, too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "../conformance/mod.rs"]
mod conformance;

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

mod ana;
mod described;
mod faults;
mod platform;
mod sdk;
mod signed;
mod sockets;

use std::time::Duration;

use chat::Channel;
use chat::slack::{Settings, Slack};

use counterparts::{folder, skipped};
use platform::{APP_TOKEN, BOT_TOKEN, Platform};

/// Settings for a bot at this server, by Socket Mode.
fn settings(platform: &Platform) -> Settings {
    Settings {
        base_url: platform.base_url(),
        app_token: Some(APP_TOKEN.into()),
        ..Settings::new(BOT_TOKEN)
    }
}

/// A bot at this server, connected.
async fn bot(platform: &Platform) -> Slack {
    let bot = Slack::new(&settings(platform)).unwrap();
    bot.connect().await.unwrap();
    bot
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within a minute");
}
