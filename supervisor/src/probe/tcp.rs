//! Opens a TCP connection and closes it.
//!
//! All addresses of the host are tried at once and the first that answers counts, so that a
//! dead IPv6 address does not hide a live IPv4 one.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;

use super::http::io_text;
use super::tracker::{Outcome, is_ours};

/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

#[derive(Debug)]
pub(super) struct TcpCheck {
    host: String,
    port: Result<u16, String>,
}

impl TcpCheck {
    pub(super) fn new(host: &str, port: &str) -> Self {
        let host = host.trim();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        Self {
            host: bare.unwrap_or(host).to_owned(),
            port: port
                .trim()
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{port}` is not a port")),
        }
    }

    /// Whom it asks.
    pub(super) fn place(&self) -> Option<(String, u16)> {
        let port = self.port.as_ref().ok()?;
        Some((self.host.clone(), *port))
    }

    pub(super) async fn run(&self) -> Outcome {
        let port = match &self.port {
            Ok(port) => *port,
            Err(error) => return Outcome::fail(error),
        };
        let addresses = match addresses(&self.host, port).await {
            Ok(addresses) => addresses,
            Err(error) if is_ours(&error) => return Outcome::unmade(format!("dns: {error}")),
            Err(error) => return Outcome::fail(format!("dns: {error}")),
        };
        let mut tries: FuturesUnordered<_> =
            addresses.into_iter().map(TcpStream::connect).collect();
        let mut worst: Option<io::Error> = None;
        while let Some(tried) = tries.next().await {
            match tried {
                Ok(_connection) => return Outcome::pass(),
                // A refusal says more than "no such network".
                Err(error) => {
                    let of_no_weight = worst.as_ref().is_none_or(is_ours);
                    if of_no_weight || error.kind() == io::ErrorKind::ConnectionRefused {
                        worst = Some(error);
                    }
                }
            }
        }
        match worst {
            Some(error) if is_ours(&error) => Outcome::unmade(io_text(&error)),
            Some(error) => Outcome::fail(io_text(&error)),
            None => Outcome::fail(format!("dns: `{}` has no address", self.host)),
        }
    }
}

/// `localhost` is not looked up: it is always both loopback addresses.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![
            (Ipv6Addr::LOCALHOST, port).into(),
            (Ipv4Addr::LOCALHOST, port).into(),
        ]);
    }
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.take(MAX_ADDRESSES).collect())
}
