//! A connection that is kept open, plain or encrypted, to a server that confirms nothing.
//!
//! What was written may still be lost when the server goes away. So the bytes of the last
//! second are kept, and written again first when the connection turns out to be dead: a line
//! may then come twice, and is not lost unless it went down with the server itself.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::SinkError;
use super::tls::Trust;

/// A connection that lives so long after a write has most likely delivered it.
pub(super) const SETTLED: Duration = Duration::from_secs(1);
/// Most bytes that are kept to be written again.
const KEPT: usize = 8 << 20;

trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

/// A way to a server by TCP, opened when it is needed.
pub(super) struct Connection {
    host: String,
    port: u16,
    trust: Option<Trust>,
    /// Taken out while it is used, so that whoever gives up in between leaves none.
    open: Option<Box<dyn Wire>>,
    unsure: VecDeque<(Instant, Vec<u8>)>,
}

impl Connection {
    pub(super) fn tcp(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            trust: None,
            open: None,
            unsure: VecDeque::new(),
        }
    }

    pub(super) fn tls(host: String, port: u16, trust: Trust) -> Self {
        Self {
            trust: Some(trust),
            ..Self::tcp(host, port)
        }
    }

    /// Writes whole messages.
    pub(super) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), SinkError> {
        let mut wire = self.ready().await?;
        wire.write_all(&bytes).await?;
        wire.flush().await?;
        self.unsure.push_back((Instant::now(), bytes));
        let mut kept: usize = self.unsure.iter().map(|(_, bytes)| bytes.len()).sum();
        while kept > KEPT
            && self.unsure.len() > 1
            && let Some((_, oldest)) = self.unsure.pop_front()
        {
            kept -= oldest.len();
        }
        self.open = Some(wire);
        Ok(())
    }

    /// Makes sure that what was written a second ago arrived, as far as one can know. True
    /// when nothing is left to make sure of.
    pub(super) async fn settle(&mut self) -> Result<bool, SinkError> {
        if self.unsure.is_empty() {
            return Ok(true);
        }
        let wire = self.ready().await?;
        self.open = Some(wire);
        Ok(self.unsure.is_empty())
    }

    /// A connection that lives, with everything unsure written again if it is a new one.
    async fn ready(&mut self) -> Result<Box<dyn Wire>, SinkError> {
        if let Some(mut wire) = self.open.take()
            && lives(&mut wire).await
        {
            let now = Instant::now();
            while let Some((written, _)) = self.unsure.front()
                && now.duration_since(*written) >= SETTLED
            {
                self.unsure.pop_front();
            }
            return Ok(wire);
        }
        let mut wire = self.connect().await?;
        for (_, bytes) in &self.unsure {
            wire.write_all(bytes).await?;
        }
        wire.flush().await?;
        for (written, _) in &mut self.unsure {
            *written = Instant::now();
        }
        Ok(wire)
    }

    async fn connect(&self) -> Result<Box<dyn Wire>, SinkError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let place = || format!("{}:{}", self.host, self.port);
        let stream = stream.map_err(|error| SinkError::at(&place(), &error))?;
        // Batches are written at once; there is nothing to wait for.
        stream.set_nodelay(true)?;
        Ok(match &self.trust {
            None => Box::new(stream),
            Some(trust) => Box::new(trust.connect(&self.host, stream).await?),
        })
    }
}

/// Has the server not closed it? What it says is not looked at.
async fn lives(wire: &mut Box<dyn Wire>) -> bool {
    let mut buffer = [0; 512];
    loop {
        // The future is asked once before the time is looked at.
        match tokio::time::timeout(Duration::ZERO, wire.read(&mut buffer)).await {
            Err(_nothing) => return true,
            Ok(Ok(0)) => return false,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.kind() == io::ErrorKind::Interrupted,
        }
    }
}
