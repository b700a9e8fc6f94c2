//! Answers HTTP on a socket that mhost has opened, and that is its standard input:
//! `command = "exec socket-server <&${FD}"`.
//!
//! On SIGTERM it loses nothing: it accepts no more, answers what it has accepted, and says on
//! each connection that this was the last answer. What waits to be accepted is for another copy,
//! or the next run.

#![forbid(unsafe_code)]

use std::error::Error;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Only of standard input can safe code have the descriptor.
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = std::net::TcpListener::from(socket);
    // Another instance may take the connection that woke us: then we must not wait for the next.
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (ending, connections) = (CancellationToken::new(), TaskTracker::new());
    let mut term = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                // Who breaks off has no answer, and others go on.
                let answers = answers(stream, ending.clone());
                connections.spawn(async move { answers.await.ok() });
            }
        }
    }
    drop(listener);
    ending.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}

/// Answers one question after another.
async fn answers(stream: TcpStream, ending: CancellationToken) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let body = format!("rust {}\n", std::process::id());
    loop {
        let asked = tokio::time::timeout(IDLE, question(&mut stream)).await;
        let Ok(Some(is_last)) = asked.unwrap_or(Ok(None)) else {
            return Ok(());
        };
        // The next question comes on a new connection. Closing without a word would lose one
        // that is under way.
        let is_last = is_last || ending.is_cancelled();
        let connection = if is_last { "close" } else { "keep-alive" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(answer.as_bytes()).await?;
        if is_last {
            return stream.get_mut().shutdown().await;
        }
    }
}

/// Reads a question without a body. Is it the last one of its connection? None is the end.
async fn question(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<bool>> {
    let mut is_last = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        match is_last {
            None => is_last = Some(line.ends_with("http/1.0")),
            Some(_) if line.is_empty() => return Ok(is_last),
            Some(_) if line == "connection: close" => is_last = Some(true),
            Some(_) => {}
        }
    }
}
