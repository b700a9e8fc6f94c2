//! Servers that mhost opens the sockets of, and clients that ask them without a pause.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::rig::{PATIENCE, home};

/// Connections at the same time in a load.
pub(crate) const CLIENTS: usize = 4;

/// The servers of `examples/sockets`, as a config names them.
pub(crate) fn server(language: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sockets");
    match language {
        "python" => format!("python3 {}/server.py ${{FD}}", folder.display()),
        _ => format!("node {}/server.js ${{FD}}", folder.display()),
    }
}

/// The languages that are there.
#[expect(clippy::disallowed_macros, reason = "a test tells what it found")]
pub(crate) fn languages() -> Vec<&'static str> {
    let programs = [("python", "python3"), ("node", "node")];
    let is_there = |program: &str| {
        let version = home::command(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let found = programs.into_iter().filter(|(language, program)| {
        let found = is_there(program);
        if !found {
            eprintln!("skipped: {language}, there is no {program}");
        }
        found
    });
    found.map(|(language, _)| language).collect()
}

pub(crate) fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks on an open connection, and gives the last line of the answer.
pub(crate) fn ask(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.trim_end().rsplit_once('\n') {
        Some((head, line)) if head.starts_with("HTTP/1.") => Ok(line.to_owned()),
        _ => Err(std::io::Error::new(ErrorKind::UnexpectedEof, answer)),
    }
}

/// Asks on a connection, and gives it back unless the server says that this was its last answer.
fn ask_and_keep(mut stream: BufReader<TcpStream>) -> std::io::Result<Option<BufReader<TcpStream>>> {
    stream
        .get_mut()
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let (mut length, mut is_last) = (0, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(std::io::Error::other)?;
        }
        is_last |= line == "connection: close";
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok((!is_last).then_some(stream))
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) answered: AtomicUsize,
    /// Could not connect.
    pub(crate) refused: AtomicUsize,
    /// Was connected and not answered.
    pub(crate) broken: AtomicUsize,
}

/// How clients connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Connections {
    /// For each question anew.
    Single,
    /// For as many as the server answers on one.
    Kept,
}

/// Does something while clients ask without a pause, each question on a connection of its own.
pub(crate) fn under_load(port: u16, work: impl FnOnce(&Load)) -> Load {
    under_load_of(Connections::Single, port, work)
}

/// The same with clients that connect in this way.
pub(crate) fn under_load_of(connections: Connections, port: u16, work: impl FnOnce(&Load)) -> Load {
    let (load, over) = (Load::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut kept = None;
                while !over.load(Ordering::Relaxed) {
                    let connected = match kept.take() {
                        Some(stream) => Ok(stream),
                        None => connect(port).map(BufReader::new),
                    };
                    let count = match (connected, connections) {
                        (Err(_), _) => &load.refused,
                        (Ok(stream), Connections::Single) => match ask(stream.into_inner()) {
                            Ok(_) => &load.answered,
                            Err(_) => &load.broken,
                        },
                        (Ok(stream), Connections::Kept) => match ask_and_keep(stream) {
                            Ok(stream) => {
                                kept = stream;
                                &load.answered
                            }
                            Err(_) => &load.broken,
                        },
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Whatever fails in it, the clients end.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&load)));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
    load
}

/// Waits until some more requests were answered.
#[track_caller]
pub(crate) fn until_answered(load: &Load, more: usize) {
    let goal = load.answered.load(Ordering::Relaxed) + more;
    let answered = home::wait_until(PATIENCE, || load.answered.load(Ordering::Relaxed) >= goal);
    assert!(answered, "{goal} are not answered in time: {load:?}");
}
