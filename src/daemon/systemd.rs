//! Tells systemd how the daemon fares: the few lines of `sd_notify` that are needed.
//!
//! Without `NOTIFY_SOCKET` every call does nothing. A message that cannot be delivered is
//! dropped: supervision does not depend on anybody listening.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::debug;

/// The socket of the service manager, if one started us.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As the environment says.
    pub(crate) fn from_env() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let watchdog = std::env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|micros| micros.parse().ok())
            .filter(|micros| *micros > 0)
            .map(Duration::from_micros);
        match connect(name.as_bytes()) {
            Ok(socket) => Self {
                socket: Some(socket),
                watchdog,
            },
            Err(error) => {
                debug!(%error, "The socket of the service manager cannot be used.");
                Self::default()
            }
        }
    }

    /// How often the watchdog wants to hear from us: half of what it allows.
    pub(crate) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!(
            "READY=1\nMAINPID={}\nSTATUS={status}\n",
            main_pid()
        ));
    }

    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}\n"));
    }

    pub(crate) fn watchdog(&self) {
        self.send("WATCHDOG=1\n");
    }

    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping processes.\n");
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            debug!(%error, "The service manager does not listen.");
        }
    }
}

/// The process that the unit is about: the guard, which outlives us. It is our parent.
fn main_pid() -> i32 {
    rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get())
}

fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_where_somebody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let systemd = Systemd {
            socket: Some(connect(path.as_os_str().as_bytes()).unwrap()),
            watchdog: Some(Duration::from_secs(10)),
        };
        assert_eq!(systemd.watchdog_interval(), Some(Duration::from_secs(5)));
        systemd.ready("3 processes");
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("READY=1\n") && text.contains("STATUS=3 processes\n"));
        drop(listener);
        systemd.watchdog();
        Systemd::default().stopping();
    }
}
