//! Datagrams, over UDP or to a socket file. Nobody confirms them: "sent" means that the
//! system took them.

use std::io;

use rustix::io::Errno;
use tokio::net::{UdpSocket, UnixDatagram};

use super::SinkError;

/// A way to send datagrams, opened when it is needed and again after a failure.
pub(super) struct Datagrams {
    to: To,
    open: Option<Socket>,
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
        }
    }

    pub(super) fn unix(path: String) -> Self {
        Self {
            to: To::Unix(path),
            open: None,
        }
    }

    /// Sends one. After a failure the next one looks the name up again.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let socket = match self.open.take() {
            Some(socket) => socket,
            None => self.connect().await?,
        };
        match &socket {
            Socket::Udp(socket) => socket.send(bytes).await?,
            Socket::Unix(socket) => socket.send(bytes).await?,
        };
        self.open = Some(socket);
        Ok(())
    }

    async fn connect(&self) -> Result<Socket, SinkError> {
        match &self.to {
            To::Udp { host, port } => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
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
                Err(last.into())
            }
            To::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Ok(Socket::Unix(socket)),
                    Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
                        let text = "the socket takes no datagrams";
                        Err(SinkError::Retry(text.to_owned()))
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
