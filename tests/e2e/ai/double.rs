//! A model that says what a test wants, over the protocol of chat completions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

type Script = dyn Fn(&str) -> String + Send + Sync;

/// Answers until it is dropped.
pub(super) struct Double {
    port: u16,
    count: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Double {
    /// `script` gets all that was said as one text and answers.
    pub(super) fn start(script: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (count, over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let (counted, kept, ends) = (count.clone(), bodies.clone(), over.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (script, counted, kept) = (script.clone(), counted.clone(), kept.clone());
                std::thread::spawn(move || serve(stream, script.as_ref(), &counted, &kept));
            }
        });
        Self {
            port,
            count,
            bodies,
            over,
        }
    }

    /// Where it is asked.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// `config.toml` that leads to it.
    pub(super) fn settings(&self) -> String {
        format!(
            "[ai]\nprovider = \"ollama\"\nmodel = \"scripted\"\nbase_url = \"{}\"\n\
             context_tokens = 24000\n",
            self.url()
        )
    }

    /// Requests so far.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// All that it was sent so far.
    pub(super) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("nobody panics").clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the one that waits for callers; the port is closed after that.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, script: &Script, count: &AtomicUsize, bodies: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let asked: Value = serde_json::from_slice(&body).expect("a request in JSON");
    count.fetch_add(1, Ordering::SeqCst);
    bodies
        .lock()
        .expect("nobody panics")
        .push(asked.to_string());
    let text = script(&said(&asked));
    let (kind, body) = if asked["stream"] == true {
        ("text/event-stream", events(&text))
    } else {
        ("application/json", whole(&text).to_string())
    };
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// All messages of a request as one text.
fn said(asked: &Value) -> String {
    let messages = asked["messages"].as_array().cloned().unwrap_or_default();
    let texts = messages.iter().map(|one| match one["content"].as_str() {
        Some(text) => text.to_owned(),
        None => one["content"].to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn whole(text: &str) -> Value {
    json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    })
}

/// The text in two pieces, as a server streams it.
fn events(text: &str) -> String {
    let middle = text
        .char_indices()
        .nth(text.chars().count() / 2)
        .map_or(0, |(at, _)| at);
    let (first, second) = text.split_at(middle);
    let mut all = String::new();
    for (piece, end) in [
        (first, Value::Null),
        (second, Value::Null),
        ("", json!("stop")),
    ] {
        let event = json!({
            "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{ "index": 0, "delta": { "role": "assistant", "content": piece }, "finish_reason": end }],
        });
        all.push_str(&format!("data: {event}\n\n"));
    }
    let usage = json!({
        "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    });
    all.push_str(&format!("data: {usage}\n\ndata: [DONE]\n\n"));
    all
}
