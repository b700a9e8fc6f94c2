//! A server on this machine that is told something over HTTP, and keeps it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// That it has taken it.
    Good,
    /// Not at all.
    Hangs,
    /// As Telegram does to a wrong token.
    Refuses,
    /// That it is busy, so many times, and then that it has taken it.
    Away(usize),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A header by its name in small letters.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(one, _)| one == name);
        found.map_or("", |(_, value)| value)
    }
}

pub(super) struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Request>>>,
    ill: Arc<AtomicBool>,
}

impl Receiver {
    pub(super) fn start(how: How) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = got.clone();
        let ill: Arc<AtomicBool> = Arc::default();
        let state = ill.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, ill) = (kept.clone(), state.clone());
                std::thread::spawn(move || while serve(&stream, how, &ill, &kept).is_some() {});
            }
        });
        Self { port, got, ill }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it answers that it is busy, or as it was begun.
    pub(super) fn ails(&self, ill: bool) {
        self.ill.store(ill, Ordering::Release);
    }

    /// All that came, the oldest first.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    /// The JSON of all that came to a path.
    pub(super) fn bodies(&self, path: &str) -> Vec<Value> {
        let requests = self.requests().into_iter().filter(|one| one.path == path);
        requests
            .map(|one| serde_json::from_slice(&one.body).unwrap())
            .collect()
    }

    /// The JSON of all that came.
    pub(super) fn all(&self) -> Vec<Value> {
        let requests = self.requests().into_iter();
        requests
            .map(|one| serde_json::from_slice(&one.body).unwrap())
            .collect()
    }
}

/// One request of a connection that is kept; none when it is over.
fn serve(stream: &TcpStream, how: How, ill: &AtomicBool, kept: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let before = {
        let mut kept = kept.lock().unwrap();
        kept.push(Request {
            path,
            headers,
            body,
        });
        kept.len() - 1
    };
    let (status, said) = match how {
        _ if ill.load(Ordering::Acquire) => ("503 Service Unavailable", "{}"),
        How::Good => ("200 OK", "{}"),
        How::Hangs => {
            // Until the other side gives up.
            let _ = reader.read_line(&mut String::new());
            return None;
        }
        How::Refuses => (
            "401 Unauthorized",
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
        ),
        How::Away(times) if before < times => ("503 Service Unavailable", "{}"),
        How::Away(_) => ("200 OK", "{}"),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
        said.len()
    );
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}
