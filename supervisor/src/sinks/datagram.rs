//! Datagrams, over UDP or to a socket file. Nobody confirms them: "sent" means that the
//! system took them.
//!
//! Over UDP nobody says either that the other side is full, and what it has no room for is
//! lost. So there is a short pause after as much as fits into the usual buffer of a receiver;
//! a socket file makes us wait by itself.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{UdpSocket, UnixDatagram};

use super::SinkError;

/// So many datagrams, or so many bytes, are sent in a row: a receiver on Linux has room for
/// about 100 of the largest that are sent here, unless it asks for more.
const BURST: usize = 64;
const BURST_BYTES: usize = 64 * 1024;
/// The pause after them: 32,000 datagrams a second and more.
const PAUSE: Duration = Duration::from_millis(1);

/// A way to send datagrams, opened when it is needed and again after a failure.
pub(super) struct Datagrams {
    to: To,
    open: Option<Socket>,
    /// Datagrams and bytes since the last pause.
    burst: (usize, usize),
}

enum To {
    Udp { host: String, port: u16 },
    Unix(String),
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    pub(super) fn udp(host: String, port: u16) -> Self {
        Self {
            to: To::Udp { host, port },
            open: None,
            burst: (0, 0),
        }
    }

    pub(super) fn unix(path: String) -> Self {
        Self {
            to: To::Unix(path),
            open: None,
            burst: (0, 0),
        }
    }

    /// Sends one. After a failure the next one looks the name up again.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let socket = match self.open.take() {
            Some(socket) => socket,
            None => self.connect().await?,
        };
        match &socket {
            Socket::Udp(socket) => {
                let (count, size) = self.burst;
                self.burst = (count + 1, size + bytes.len());
                if self.burst.0 > BURST || self.burst.1 > BURST_BYTES {
                    self.burst = (1, bytes.len());
                    tokio::time::sleep(PAUSE).await;
                }
                socket.send(bytes).await?
            }
            Socket::Unix(socket) => socket.send(bytes).await?,
        };
        self.open = Some(socket);
        Ok(())
    }

    async fn connect(&self) -> Result<Socket, SinkError> {
        match &self.to {
            To::Udp { host, port } => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                let failed = |error: io::Error| SinkError::at(&format!("{host}:{port}"), &error);
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                for address in found.map_err(failed)? {
                    let any = if address.is_ipv4() {
                        "0.0.0.0:0"
                    } else {
                        "[::]:0"
                    };
                    let socket = UdpSocket::bind(any).await?;
                    match socket.connect(address).await {
                        Ok(()) => return Ok(Socket::Udp(socket)),
                        Err(error) => last = error,
                    }
                }
                Err(failed(last))
            }
            To::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Ok(Socket::Unix(socket)),
                    Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
                        Err(SinkError::Retry(format!("{path} takes no datagrams")))
                    }
                    Err(error) => Err(SinkError::at(path, &error)),
                }
            }
        }
    }
}
