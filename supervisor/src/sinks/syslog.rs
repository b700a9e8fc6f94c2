//! Syslog as RFC 5424 has it, over UDP, TCP, TLS or a socket file.
//!
//! Over TCP and TLS each message is preceded by its length (RFC 6587, RFC 5425), so that
//! nothing in a line can end it. A datagram holds one message.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connection;
use super::datagram::Datagrams;
use super::tls::Trust;
use super::{Identity, Sent, Sink, SinkError, syslog_level};
use crate::config::{Facility, SinkConfig, Transport};
use crate::logs::feed::FeedLine;

/// Most bytes of a message in a datagram: UDP allows 65,507.
const DATAGRAM: usize = 65_000;
/// `local0`.
const LOCAL0: u8 = 16;

/// A syslog server.
pub(super) struct Syslog {
    identity: Identity,
    facility: u8,
    way: Way,
}

enum Way {
    Datagrams(Datagrams),
    Connection(Connection),
}

impl Syslog {
    pub(super) fn new(config: &SinkConfig, identity: Identity) -> Self {
        let host = config.host.clone().unwrap_or("127.0.0.1".to_owned());
        let way = match config.transport() {
            Transport::Tcp => Way::Connection(Connection::tcp(host, config.port.unwrap_or(514))),
            Transport::Tls => Way::Connection(Connection::tls(
                host,
                config.port.unwrap_or(6_514),
                Trust::of(config),
            )),
            Transport::Unix => Way::Datagrams(Datagrams::unix(host)),
            Transport::Udp | Transport::Http => {
                Way::Datagrams(Datagrams::udp(host, config.port.unwrap_or(514)))
            }
        };
        Self {
            identity,
            facility: config
                .facility
                .as_ref()
                .and_then(Facility::number)
                .unwrap_or(LOCAL0),
            way,
        }
    }
}

#[async_trait]
impl Sink for Syslog {
    async fn send(&mut self, batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
        let messages = batch
            .iter()
            .map(|line| encode(line, &self.identity, self.facility));
        match &mut self.way {
            Way::Datagrams(socket) => {
                for message in messages {
                    let cut = message.floor_char_boundary(DATAGRAM);
                    socket.send(&message.as_bytes()[..cut]).await?;
                }
            }
            Way::Connection(connection) => {
                connection.send(framed(messages)).await?;
            }
        }
        Ok(Sent::default())
    }

    async fn settle(&mut self) -> Result<bool, SinkError> {
        match &mut self.way {
            Way::Connection(connection) => connection.settle().await,
            Way::Datagrams(_) => Ok(true),
        }
    }
}

/// Messages with their lengths before them.
fn framed(messages: impl Iterator<Item = String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(format!("{} ", message.len()).into_bytes());
        bytes.extend(message.into_bytes());
    }
    bytes
}

/// One message.
pub(super) fn encode(line: &FeedLine, identity: &Identity, facility: u8) -> String {
    let priority = u16::from(facility) * 8 + u16::from(syslog_level(line));
    let pid = line.pid.map_or("-".to_owned(), |pid| pid.to_string());
    let mut message = format!(
        "<{priority}>1 {:.3} {} {} {pid} - [mhost@0 instance=\"{}\" stream=\"{}\"",
        line.ts,
        header(&identity.host, 255),
        header(line.process.as_str(), 48),
        line.instance,
        line.stream.as_str(),
    );
    for (key, value) in &identity.labels {
        // Writing to a text does not fail.
        let _ = write!(message, " {}=\"{}\"", parameter(key), escaped(value));
    }
    message.push(']');
    if !line.text.is_empty() {
        message.push(' ');
        message.push_str(&line.text);
    }
    message
}

/// Printable ASCII without spaces, at most so many.
fn header(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let text: String = text.chars().take(most).map(plain).collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// The name of a parameter: at most 32 characters, without `=`, `]` and `"`.
fn parameter(key: &str) -> String {
    header(key, 32).replace(['=', ']', '"'], "_")
}

fn escaped(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{identity, line, structured};
    use super::*;
    use crate::logs::Level;

    #[test]
    fn golden_messages() {
        assert_eq!(
            encode(&line("Server listening on :3000"), &identity(), 16),
            r#"<134>1 2026-03-28T14:32:01.123Z web-1 api 4711 - [mhost@0 instance="0" stream="out" env="prod"] Server listening on :3000"#
        );
        let mut other = structured();
        (other.pid, other.text) = (None, String::new());
        assert_eq!(
            encode(&other, &identity(), 4),
            r#"<35>1 2026-03-28T14:32:01.123Z web-1 api - - [mhost@0 instance="1" stream="err" env="prod"]"#
        );
    }

    #[test]
    fn levels_are_severities() {
        use Level::{Debug, Error, Fatal, Info, Trace, Warn};
        for (level, priority) in [
            (Some(Fatal), 130),
            (Some(Error), 131),
            (Some(Warn), 132),
            (Some(Info), 134),
            (None, 134),
            (Some(Debug), 135),
            (Some(Trace), 135),
        ] {
            let mut line = line("x");
            line.level = level;
            let message = encode(&line, &identity(), 16);
            assert!(message.starts_with(&format!("<{priority}>1 ")), "{message}");
        }
    }

    #[test]
    fn labels_cannot_break_the_structure() {
        let identity = Identity {
            host: "wéb 1".to_owned(),
            labels: [("a=\"]b c".to_owned(), "q\"]\\".to_owned())].into(),
        };
        let message = encode(&line("x"), &identity, 16);
        assert!(
            message.contains(
                r#" w_b_1 api 4711 - [mhost@0 instance="0" stream="out" a___b_c="q\"\]\\"] x"#
            ),
            "{message}"
        );
    }

    #[test]
    fn frames_count_bytes() {
        let framed = framed(["é\n1 x".to_owned(), String::new()].into_iter());
        assert_eq!(framed, "6 é\n1 x0 ".as_bytes());
    }
}
