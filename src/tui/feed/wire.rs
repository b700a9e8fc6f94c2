//! The socket: a line each way, and what is still unanswered.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};

use super::End;
use super::answer::{self, Asked, Heard};

/// Longest message: far more than the daemon sends for thousands of processes.
const LONGEST: usize = 256 * 1024 * 1024;

/// A connection with its open questions.
pub(super) struct Wire {
    frames: FramedRead<OwnedReadHalf, AnyDelimiterCodec>,
    write: OwnedWriteHalf,
    asked: HashMap<u64, Asked>,
    last: u64,
}

impl Wire {
    /// Connects.
    pub(super) async fn connect(socket: &Path) -> io::Result<Self> {
        let (read, write) = UnixStream::connect(socket).await?.into_split();
        let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), LONGEST);
        Ok(Self {
            frames: FramedRead::new(read, codec),
            write,
            asked: HashMap::new(),
            last: 0,
        })
    }

    /// Asks.
    pub(super) async fn ask(
        &mut self,
        asked: Asked,
        method: &str,
        params: Value,
    ) -> Result<(), End> {
        self.last += 1;
        let request = json!({
            "jsonrpc": "2.0", "id": self.last, "method": method, "params": params, "via": "cli",
        });
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        self.asked.insert(self.last, asked);
        self.write
            .write_all(&line)
            .await
            .map_err(|error| End::Lost(reason(&error)))
    }

    /// Asks, unless the same is unanswered still: a slow daemon is not asked more.
    pub(super) async fn ask_once(
        &mut self,
        asked: Asked,
        method: &str,
        params: Value,
    ) -> Result<(), End> {
        if self.waits_for(&asked) {
            return Ok(());
        }
        self.ask(asked, method, params).await
    }

    /// Is this unanswered?
    pub(super) fn waits_for(&self, asked: &Asked) -> bool {
        self.asked.values().any(|open| open == asked)
    }

    /// The next message. Nothing is lost when this is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, End> {
        match self.frames.next().await {
            Some(Ok(line)) => Ok(line.to_vec()),
            Some(Err(AnyDelimiterCodecError::Io(error))) => Err(End::Lost(reason(&error))),
            Some(Err(error)) => Err(End::Lost(error.to_string())),
            None => Err(End::Lost("the daemon ended the connection".into())),
        }
    }

    /// The next message, if it has arrived.
    pub(super) fn ready(&mut self) -> Option<Vec<u8>> {
        match self.frames.next().now_or_never() {
            Some(Some(Ok(line))) => Some(line.to_vec()),
            _ => None,
        }
    }

    /// What a message says. The error is for a person.
    pub(super) fn read(&mut self, message: &[u8]) -> Result<Heard, String> {
        answer::read(message, |id| self.asked.remove(&id))
    }
}

/// Why there is no connection, in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "no daemon runs".into(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "the daemon ended the connection".into()
        }
        _ => error.to_string(),
    }
}
