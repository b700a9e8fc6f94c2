//! The one fixture program: it does on command what programs do to a supervisor.
//!
//! ```text
//! puppet exit N                      end at once with exit code N
//! puppet exit-after MS N             end after MS milliseconds with exit code N
//! puppet sleep                       do nothing, for ever
//! puppet leak SIZE/s                 use more memory each second, such as 10MB/s
//! puppet ignore-term                 ignore SIGTERM
//! puppet serve PORT                  answer HTTP; port 0 is any, and is printed
//!        [--dead-after N]            … only the first N requests, then answer nothing
//!        [--status CODE]             … with this status
//! puppet spew N [--bytes K]          print N numbered lines of K bytes as fast as it can
//! puppet numbers MS                  print a numbered line each MS milliseconds, for ever
//!        [--lines N --code C]        … or N of them, and end with exit code C
//! puppet fork                        leave a grandchild in a session of its own that
//!                                    ignores SIGTERM, and live on
//! puppet fork-exit N                 the same, and end with exit code N
//! puppet close-stdout                close both streams and live on
//! puppet bytes                       print lines that are not UTF-8, and live on
//! puppet long-line BYTES             print one line of that size and a short one, and live on
//! puppet say WORD…                   say each word (READY=1) to NOTIFY_SOCKET, wait at a number
//!                                    (ms) or until a file is there (file:go), begin again at
//!                                    `again`, and live on
//! ```
//!
//! It uses the standard library and the system only, so that a test depends on nothing else.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a program that is supervised, not a part of the supervisor"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

type Outcome = Result<u8, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match act(&words) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("puppet {}: {error}", words.join(" "));
            // Beside the codes that tests ask for.
            ExitCode::from(99)
        }
    }
}

fn act(words: &[&str]) -> Outcome {
    match words {
        ["exit", code] => {
            eprintln!("ending with {code}");
            Ok(code.parse()?)
        }
        ["exit-after", ms, code] => {
            sleep_ms(ms.parse()?);
            eprintln!("ending with {code}");
            Ok(code.parse()?)
        }
        ["sleep"] => sleep_for_ever(),
        ["leak", rate] => leak(bytes(rate.strip_suffix("/s").ok_or("SIZE/s")?)?),
        ["ignore-term"] => without_term("ignored"),
        ["ignored"] => {
            println!("SIGTERM is ignored");
            sleep_for_ever()
        }
        ["serve", port, flags @ ..] => serve(port.parse()?, flags),
        ["spew", lines] => spew(lines.parse()?, 0),
        ["spew", lines, "--bytes", width] => spew(lines.parse()?, width.parse()?),
        ["numbers", ms] => numbers(ms.parse()?, u64::MAX, 0),
        ["numbers", ms, "--lines", lines, "--code", code] => {
            numbers(ms.parse()?, lines.parse()?, code.parse()?)
        }
        ["fork"] => {
            itself(&["middle"]).status()?;
            sleep_for_ever()
        }
        ["fork-exit", code] => {
            itself(&["middle"]).status()?;
            Ok(code.parse()?)
        }
        // The child of a child in a new session, whose parent ends: nobody's but a subreaper's.
        ["middle"] => {
            rustix::process::setsid()?;
            itself(&["grandchild"]).spawn()?;
            Ok(0)
        }
        ["grandchild"] => {
            rustix::process::setsid()?;
            without_term("ignored")
        }
        // Only the shell can close a descriptor without unsafe code.
        ["close-stdout"] => replaced_by("exec \"$0\" sleep >&- 2>&-", &[]),
        ["bytes"] => {
            let mut out = std::io::stdout().lock();
            out.write_all(
                b"before\n\xff\xfe not UTF-8 \x80\n\x00\x01\x02 control\ncut \xe2\x82\nafter\n",
            )?;
            out.flush()?;
            sleep_for_ever()
        }
        ["long-line", size] => {
            let mut out = std::io::stdout().lock();
            let part = [b'x'; 4096];
            let mut left: usize = size.parse()?;
            while left > 0 {
                let now = left.min(part.len());
                out.write_all(&part[..now])?;
                left -= now;
            }
            out.write_all(b"\nafter the long line\n")?;
            out.flush()?;
            sleep_for_ever()
        }
        ["say", words @ ..] => say(words),
        _ => Err("there is no such act".into()),
    }
}

fn say(words: &[&str]) -> Outcome {
    let place = std::env::var("NOTIFY_SOCKET")?;
    let socket = UnixDatagram::unbound()?;
    let mut left = words.iter();
    while let Some(word) = left.next() {
        if *word == "again" {
            left = words.iter();
        } else if let Ok(ms) = word.parse() {
            sleep_ms(ms);
        } else if let Some(file) = word.strip_prefix("file:") {
            while !std::path::Path::new(file).exists() {
                sleep_ms(10);
            }
        } else {
            // Who is not heard goes on, as programs do.
            match socket.send_to(word.as_bytes(), &place) {
                Ok(_) => println!("said {word}"),
                Err(error) => println!("not said {word}: {error}"),
            }
        }
    }
    sleep_for_ever()
}

fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn sleep_for_ever() -> Outcome {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// This program with other words.
fn itself(words: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap_or_else(|_| "puppet".into());
    let mut command = Command::new(own);
    command.args(words);
    command
}

/// Becomes `puppet word` with SIGTERM ignored: what is ignored stays so over an exec.
fn without_term(word: &str) -> Outcome {
    replaced_by("trap '' TERM; exec \"$0\" \"$1\"", &[word])
}

/// Becomes a shell script, in which `$0` is this program.
fn replaced_by(script: &str, words: &[&str]) -> Outcome {
    let own = std::env::current_exe()?;
    Err(Command::new("/bin/sh")
        .args(["-c", script])
        .arg(own)
        .args(words)
        .exec()
        .into())
}

/// `10MB` in bytes.
fn bytes(text: &str) -> Result<usize, Box<dyn Error>> {
    let (number, factor) = match text {
        text if text.ends_with("MB") => (&text[..text.len() - 2], 1 << 20),
        text if text.ends_with("KB") => (&text[..text.len() - 2], 1 << 10),
        text => (text, 1),
    };
    Ok(number.parse::<usize>()? * factor)
}

fn leak(each_second: usize) -> Outcome {
    let mut kept = Vec::new();
    loop {
        // Written to, since untouched memory is not resident.
        kept.push(vec![1_u8; each_second / 10]);
        sleep_ms(100);
    }
}

fn spew(lines: u64, width: usize) -> Outcome {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    for number in 1..=lines {
        writeln!(out, "{number:<width$}")?;
    }
    out.flush()?;
    Ok(0)
}

fn numbers(each_ms: u64, lines: u64, code: u8) -> Outcome {
    let mut out = std::io::stdout();
    for number in 1..=lines {
        // One write per line.
        out.write_all(format!("{number}\n").as_bytes())?;
        out.flush()?;
        sleep_ms(each_ms);
    }
    Ok(code)
}

fn serve(port: u16, flags: &[&str]) -> Outcome {
    let (mut status, mut alive) = (200, u64::MAX);
    match flags {
        [] => {}
        ["--status", code] => status = code.parse()?,
        ["--dead-after", requests] => alive = requests.parse()?,
        _ => return Err("unknown flag".into()),
    }
    let listener = listen(port)?;
    println!("listening on {}", listener.local_addr()?.port());
    let mut unanswered = Vec::new();
    for stream in listener.incoming().flatten() {
        if alive == 0 {
            unanswered.push(stream);
            continue;
        }
        alive -= 1;
        // A client that went away is its own business.
        let _ = answer(stream, status);
    }
    Ok(0)
}

/// With SO_REUSEPORT, so that the next generation can listen beside this one.
fn listen(port: u16) -> Result<TcpListener, Box<dyn Error>> {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, listen, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(
        &socket,
        &SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port),
    )?;
    listen(&socket, 64)?;
    Ok(socket.into())
}

fn answer(stream: TcpStream, status: u16) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = std::env::var("MHOST_GENERATION").unwrap_or_default();
    write!(
        stream.get_mut(),
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
