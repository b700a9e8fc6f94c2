//! `mhost mcp`: other people's agents look at processes and propose plans, over the Model
//! Context Protocol.
//!
//! ```text
//!   their agent ◄── stdio, or HTTP on loopback ──► bridge ──► the daemon, as `mcp:<user>`
//! ```
//!
//! The bridge knows no tool: the daemon lists them by role, answers look-ups and puts plans to
//! the same gate as everybody's. A person says yes, never the agent.

mod bridge;
mod http;
mod sessions;
mod token;

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use rmcp::ServiceExt;
use rmcp::transport::io::stdio;
use supervisor::Role;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use bridge::Bridge;

/// Let another agent look and propose, over MCP
///
/// Speaks the Model Context Protocol on standard input and output, as agents expect. With
/// --http it listens on loopback instead, for who knows the token. What an agent proposes is
/// done only after a yes of yours: mhost agent approve.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mhost mcp                  what an agent starts: command `mhost`, arguments [`mcp`]
  mhost mcp --role viewer    the same for one that may only look
  mhost mcp --http           for agents that want an address")]
pub(crate) struct Mcp {
    /// The most that the agent may do; proposing a plan takes the role that could run it
    #[arg(long, value_enum, default_value_t = Allowed::Operator)]
    role: Allowed,
    /// Listen here instead; only loopback [default address: 127.0.0.1:7474]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:7474",
        value_parser = loopback)]
    http: Option<SocketAddr>,
}

/// Roles that can be given to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// Look at what is there
    Viewer,
    /// Also reach out to addresses that the config names, and propose restarts and the like
    Operator,
    /// Also propose other limits and rollbacks
    Admin,
}

impl From<Allowed> for Role {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Viewer => Self::Viewer,
            Allowed::Operator => Self::Operator,
            Allowed::Admin => Self::Admin,
        }
    }
}

/// An address that nobody outside can reach.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address and a port, such as 127.0.0.1:7474".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{} can be reached from outside; use 127.0.0.1:{} and a tunnel",
            address.ip(),
            address.port()
        ));
    }
    Ok(address)
}

impl Mcp {
    /// Serves until the agent hangs up, or somebody ends it.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if ctx.output.is_json() {
            return Err(
                CliError::config("mcp speaks its own protocol and prints no JSON of ours")
                    .with_help("for data: mhost list --json, mhost ai diagnose <name> --json"),
            );
        }
        let bridge = Bridge::new(ctx.proxy(self.role.into())?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::failure(format!("cannot begin to serve: {error}")))?;
        let served = match self.http {
            Some(address) => runtime.block_on(http::serve(ctx, address, bridge)),
            None => runtime.block_on(speak(bridge)),
        };
        // A read of standard input cannot be called off: nobody waits for it.
        runtime.shutdown_background();
        served.map(|()| Exit::Success)
    }
}

async fn speak(bridge: Bridge) -> Result<(), CliError> {
    let broken = |why: String| {
        CliError::failure(format!("the agent does not speak the protocol: {why}"))
            .with_help("mhost mcp is started by an agent, see mhost mcp --help")
    };
    let running = match bridge.serve(stdio()).await {
        Ok(running) => running,
        // It hung up before it said anything.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(broken(error.to_string())),
    };
    let ended = running.waiting().await;
    ended.map(|_| ()).map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        assert!(loopback("127.0.0.1:0").is_ok());
        assert!(loopback("[::1]:7474").is_ok());
        for outside in ["0.0.0.0:7474", "[::]:1", "10.1.2.3:80"] {
            assert!(
                loopback(outside).unwrap_err().contains("from outside"),
                "{outside}"
            );
        }
        for wrong in ["", "localhost", "127.0.0.1", "7474"] {
            assert!(
                loopback(wrong).unwrap_err().contains("127.0.0.1:7474"),
                "{wrong}"
            );
        }
    }
}
