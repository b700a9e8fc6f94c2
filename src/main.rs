//! mhost: a process supervisor whose on-call engineer is built in.
//!
//! One binary, two roles: the command line ([`cli`]), and the daemon it talks to. This file
//! only names the parts.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod daemon;
mod exit;
mod output;
mod tui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect()).into()
}
