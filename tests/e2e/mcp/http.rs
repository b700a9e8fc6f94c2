//! `mhost mcp --http`: who gets in, how many, and that it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::{CONFIG, hello};
use crate::rig::{Rig, Running, until};

/// `mhost mcp --http` on a free port.
pub(super) struct Http {
    running: Running,
    pub(super) port: u16,
    pub(super) token: String,
}

impl Http {
    pub(super) fn begin(rig: &Rig) -> Self {
        let mut child = rig
            .home()
            .mhost(&["mcp", "--http", "127.0.0.1:0"])
            .spawn()
            .expect("mhost runs");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
        let running = Running(child);
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it is");
        let port = line.trim().trim_end_matches("/mcp").rsplit(':').next();
        let port = port.and_then(|port| port.parse().ok());
        let token = std::fs::read_to_string(rig.home().file("mcp.token")).expect("a token");
        Self {
            running,
            port: port.unwrap_or_else(|| panic!("no port in {line}")),
            token: token.trim().to_owned(),
        }
    }

    /// The status with which a greeting is answered.
    fn greet(&self, headers: &[(&str, &str)]) -> String {
        let answer = self.greeted(headers);
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Ends a session.
    fn leave(&self, headers: &[(&str, &str)], session: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let mut head = format!("DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        write!(
            stream,
            "{head}Connection: close\r\nMcp-Session-Id: {session}\r\n\r\n"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    /// A greeting, and how its answer begins.
    fn greeted(&self, headers: &[(&str, &str)]) -> String {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello()});
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let own = format!("127.0.0.1:{}", self.port);
        let mut head = "POST /mcp HTTP/1.1\r\nConnection: close\r\n\
            Content-Type: application/json\r\n\
            Accept: application/json, text/event-stream\r\n"
            .to_owned();
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {own}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
        let mut answer = Vec::new();
        let read = stream.take(4_096).read_to_end(&mut answer);
        read.expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn over_http_so_many_agents_are_served_and_one_more_is_told_so() {
    let rig = Rig::new().config(CONFIG).start();
    let http = Http::begin(&rig);
    let token = format!("Bearer {}", http.token);
    let known = [("Authorization", token.as_str())];
    let first = http.greeted(&known);
    let session = first
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    for _ in 1..16 {
        assert_eq!(http.greet(&known), "200");
    }
    let refused = http.greeted(&known).to_ascii_lowercase();
    for part in [
        "503",
        "retry-after: ",
        "16 agents are connected",
        "five minutes",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // Who knows no token is not told how many there are.
    assert_eq!(http.greet(&[]), "401");
    http.leave(&known, session.expect("a session"));
    assert_eq!(http.greet(&known), "200");
}

#[test]
fn over_http_only_who_knows_the_token_and_comes_from_no_page_gets_in() {
    let rig = Rig::new().config(CONFIG).start();
    let http = Http::begin(&rig);
    let token = format!("Bearer {}", http.token);
    let known = ("Authorization", token.as_str());
    assert_eq!(http.greet(&[known]), "200");
    assert_eq!(http.greet(&[]), "401");
    assert_eq!(http.greet(&[("Authorization", "Bearer wrong")]), "401");
    assert_eq!(http.greet(&[("Authorization", &http.token)]), "401");
    // A page that has its own name resolve to this machine.
    assert_eq!(http.greet(&[known, ("Host", "evil.example")]), "403");
    assert_eq!(
        http.greet(&[known, ("Origin", "http://evil.example")]),
        "403"
    );
    let own = format!("http://127.0.0.1:{}", http.port);
    assert_eq!(http.greet(&[known, ("Origin", &own)]), "403");
}

#[test]
fn a_client_that_holds_its_stream_does_not_keep_it_from_ending() {
    let rig = Rig::new().config(CONFIG).start();
    let mut http = Http::begin(&rig);
    let head = |method: &str, more: &str| {
        format!(
            "{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\n\
            Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
            {more}\r\n",
            http.port, http.token
        )
    };
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello()});
    let body = body.to_string();
    let connect = || TcpStream::connect(("127.0.0.1", http.port)).expect("it listens");
    let mut greeting = connect();
    let length = format!("Content-Length: {}\r\n", body.len());
    write!(greeting, "{}{body}", head("POST", &length)).expect("it reads");
    let session = BufReader::new(greeting).lines().find_map(|line| {
        let line = line.expect("it answers");
        line.strip_prefix("mcp-session-id: ").map(str::to_owned)
    });
    let session = format!("Mcp-Session-Id: {}\r\n", session.expect("a session"));
    let mut stream = connect();
    write!(stream, "{}", head("GET", &session)).expect("it reads");
    let mut status = String::new();
    let mut held = BufReader::new(stream);
    held.read_line(&mut status).expect("it answers");
    assert!(status.contains("200"), "{status}");
    let pid = rustix::process::Pid::from_child(&http.running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    until("it has ended", || {
        http.running.0.try_wait().expect("a child").is_some()
    });
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let rig = Rig::new();
    let said = rig.fails(2, &["mcp", "--http", "0.0.0.0:7474"]);
    assert!(
        said.contains("from outside") && said.contains("127.0.0.1:7474"),
        "{said}"
    );
}
