//! A server that gives the answers it is told to, one per connection, and keeps what it was
//! asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// An answer, byte by byte.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Status and headers.
    pub(crate) head: String,
    /// The body, in the pieces it is written in.
    pub(crate) body: Vec<String>,
    /// Time before each piece.
    pub(crate) pause: Duration,
    /// The connection breaks at the end.
    pub(crate) breaks: bool,
}

impl Answer {
    /// A whole JSON text.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
        Self {
            head,
            body: vec![body.to_owned()],
            pause: Duration::ZERO,
            breaks: false,
        }
    }

    /// A stream of events.
    pub(crate) fn events(events: &[String]) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n".to_owned();
        Self {
            head,
            body: events.to_vec(),
            pause: Duration::ZERO,
            breaks: false,
        }
    }

    /// With a header more.
    pub(crate) fn with(mut self, header: &str) -> Self {
        self.head.push_str(header);
        self.head.push_str("\r\n");
        self
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The first line and the headers, in lower case but for their values.
    pub(crate) head: Vec<String>,
    /// The body.
    pub(crate) body: Value,
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .iter()
            .find_map(|line| line.strip_prefix(prefix.as_str()))
    }
}

/// The server. Its threads end with the test.
pub(crate) struct Server {
    /// Where it is asked.
    pub(crate) url: String,
    answers: Arc<Mutex<Vec<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Gives these answers, one after the other; the last one again and again.
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (given, kept) = (answers.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (given, kept) = (given.clone(), kept.clone());
                std::thread::spawn(move || serve(stream, &given, &kept));
            }
        });
        Self {
            url,
            answers,
            asked,
        }
    }

    /// Gives these from now on.
    pub(crate) fn then(&self, answers: Vec<Answer>) {
        *self.answers.lock().unwrap() = answers;
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, answers: &Mutex<Vec<Answer>>, asked: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(question) = read(&mut reader) else {
        return;
    };
    let answer = {
        let mut asked = asked.lock().unwrap();
        asked.push(question);
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    };
    // Who has gone away needs no answer.
    let _ = write(stream, &answer);
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        head.push(line.to_owned());
    }
    let asked = Asked {
        head,
        body: Value::Null,
    };
    let length: usize = asked.header("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        body: serde_json::from_slice(&body).ok()?,
        ..asked
    })
}

fn write(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let head = &answer.head;
    write!(
        stream,
        "{head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    for piece in &answer.body {
        wait(answer.pause);
        write!(stream, "{:x}\r\n{piece}\r\n", piece.len())?;
        stream.flush()?;
    }
    if !answer.breaks {
        write!(stream, "0\r\n\r\n")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this server is slow on purpose")]
fn wait(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
