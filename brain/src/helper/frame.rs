//! Messages on the socket: four bytes of length, then JSON.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// Longest message. A playbook is 1 MiB at most, and what is known of a crash a few times less.
const LONGEST: usize = 16 << 20;
/// Longest message that the daemon takes from it: what a script says is bounded by its engine.
pub(super) const FROM_INSIDE: usize = 2 << 20;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The other end closed, between two messages or within one.
    #[error("the socket was closed")]
    Closed,
    /// The other end said nothing in time.
    #[error("it said nothing")]
    Late,
    #[error("its message has {0} bytes")]
    Long(usize),
    #[error("its message is none: {0}")]
    Nonsense(#[from] serde_json::Error),
    #[error("the socket failed: {0}")]
    Socket(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
        match error.kind() {
            WouldBlock | TimedOut => FrameError::Late,
            UnexpectedEof | BrokenPipe | ConnectionReset => FrameError::Closed,
            _ => FrameError::Socket(error),
        }
    }
}

/// Sends a message.
pub(super) fn send(
    stream: &mut UnixStream,
    message: &impl Serialize,
    within: Duration,
) -> Result<(), FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    let long = |_| FrameError::Long(length);
    let head = u32::try_from(length).map_err(long)?;
    if length > LONGEST {
        return Err(FrameError::Long(length));
    }
    bytes[..4].copy_from_slice(&head.to_le_bytes());
    stream.set_write_timeout(Some(within))?;
    Ok(stream.write_all(&bytes)?)
}

/// Reads the next message, which has `longest` bytes at most and is whole `within` this time.
pub(super) fn receive<T: DeserializeOwned>(
    stream: &mut UnixStream,
    longest: usize,
    within: Duration,
) -> Result<T, FrameError> {
    let until = Instant::now() + within;
    let mut head = [0; 4];
    fill(stream, &mut head, until)?;
    let length = u32::from_le_bytes(head) as usize;
    if length > longest.min(LONGEST) {
        return Err(FrameError::Long(length));
    }
    let mut bytes = vec![0; length];
    fill(stream, &mut bytes, until)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// As large as the daemon sends.
pub(super) fn receive_inside<T: DeserializeOwned>(
    stream: &mut UnixStream,
    within: Duration,
) -> Result<T, FrameError> {
    receive(stream, LONGEST, within)
}

/// One that sends a byte now and then is late all the same.
fn fill(stream: &mut UnixStream, bytes: &mut [u8], until: Instant) -> Result<(), FrameError> {
    let mut done = 0;
    while done < bytes.len() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(FrameError::Late);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut bytes[done..]) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_message_comes_whole_or_not_at_all() {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        send(&mut one, &vec!["a", "b"], LONG).unwrap();
        let got: Vec<String> = receive(&mut two, 100, LONG).unwrap();
        assert_eq!(got, ["a", "b"]);
        let late = receive::<u8>(&mut two, 100, SOON);
        assert!(matches!(late, Err(FrameError::Late)), "{late:?}");
        one.write_all(&[9, 0, 0, 0, b'"']).unwrap();
        let cut = receive::<String>(&mut two, 100, SOON);
        assert!(matches!(cut, Err(FrameError::Late)), "{cut:?}");
        drop(one);
        let gone = receive::<String>(&mut two, 100, LONG);
        assert!(matches!(gone, Err(FrameError::Closed)), "{gone:?}");
    }

    #[test]
    fn what_is_too_long_or_nonsense_is_refused() {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        one.write_all(&u32::MAX.to_le_bytes()).unwrap();
        let long = receive::<String>(&mut two, 100, LONG);
        assert!(matches!(long, Err(FrameError::Long(_))), "{long:?}");
        one.write_all(&[2, 0, 0, 0, b'x', b'y']).unwrap();
        let nonsense = receive::<String>(&mut two, 100, LONG);
        assert!(
            matches!(nonsense, Err(FrameError::Nonsense(_))),
            "{nonsense:?}"
        );
    }
}
