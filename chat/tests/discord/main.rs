//! The Discord adapter over the real wire format: a strict server of ours for the gateway and
//! the REST API, which `discord.js` has to get along with, too. Every request is held against
//! Discord's own description of its API, and every text against a parser of Discord's markdown
//! that is not ours.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "../conformance/mod.rs"]
mod conformance;

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

#[allow(dead_code, reason = "the tests of the program use the rest")]
mod server;

mod again;
mod ana;
mod burst;
mod client;
mod connection;
mod described;
mod faults;
mod interactions;
mod markdown;
mod page;
mod places;
mod strict;

use std::process::Command;
use std::time::Duration;

use chat::discord::{Discord, Settings};

use counterparts::{folder, skipped};
use server::{GUILD, Server, TOKEN};

#[expect(clippy::disallowed_methods, reason = "the counterpart is a real one")]
fn command(program: &str) -> Command {
    Command::new(program)
}

/// A bot at this server whose commands are listed there.
fn settings(server: &Server) -> Settings {
    Settings {
        guild: Some(GUILD.to_owned()),
        base_url: server.url.clone(),
        ..Settings::new(TOKEN)
    }
}

fn bot(server: &Server) -> Discord {
    Discord::new(&settings(server), None).unwrap()
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2_400 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what}: not within a minute");
}
