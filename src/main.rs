//! mhost: a process supervisor whose on-call engineer is built in.
//!
//! One binary, three roles: the command line ([`cli`]), the daemon it talks to, and the process
//! that runs the daemon's playbooks. This file only names the parts.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod daemon;
mod exit;
mod output;
mod tui;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    // Before the command line is read: what that takes, it would keep.
    if daemon::is_playbook_process(&args) {
        return brain::helper::run().into();
    }
    cli::main(args).into()
}
