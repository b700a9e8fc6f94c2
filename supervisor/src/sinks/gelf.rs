//! GELF 1.1, as Graylog takes it: over UDP, TCP or HTTP.
//!
//! A datagram holds at most 1,420 bytes, which passes any network unfragmented: a longer
//! message is compressed, and cut into at most 128 chunks if that does not suffice. Over TCP
//! messages end with a NUL and are not compressed; over HTTP there is one per request.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use super::connection::Connection;
use super::datagram::Datagrams;
use super::http::Http;
use super::{Identity, Sent, Sink, SinkError, syslog_level};
use crate::config::{SinkConfig, Transport};
use crate::logs::feed::FeedLine;

/// Most bytes of a datagram.
const DATAGRAM: usize = 1_420;
/// Magic (2), message id (8), number (1), count (1).
const CHUNK_HEADER: usize = 12;
/// Most chunks of a message: more are refused by receivers.
const MAX_CHUNKS: usize = 128;

/// A GELF input.
pub(super) struct Gelf {
    identity: Identity,
    way: Way,
}

enum Way {
    Udp {
        socket: Datagrams,
        ids: RandomState,
        count: u64,
    },
    Tcp(Connection),
    Http(Box<Http>),
}

impl Gelf {
    pub(super) fn new(config: &SinkConfig, identity: Identity) -> Result<Self, SinkError> {
        let host = config.host.clone().unwrap_or_default();
        let port = config.port.unwrap_or(12_201);
        let way = match config.transport() {
            Transport::Http => {
                let url = match &config.url {
                    Some(url) => url.clone(),
                    None => format!("http://{host}:{port}/gelf"),
                };
                Way::Http(Box::new(Http::new(config, &url)?))
            }
            Transport::Tcp => Way::Tcp(Connection::tcp(host, port)),
            _ => Way::Udp {
                socket: Datagrams::udp(host, port),
                ids: RandomState::new(),
                count: 0,
            },
        };
        Ok(Self { identity, way })
    }
}

#[async_trait]
impl Sink for Gelf {
    async fn send(&mut self, batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
        let mut sent = Sent::default();
        match &mut self.way {
            Way::Udp { socket, ids, count } => {
                for (place, line) in batch.iter().enumerate() {
                    *count += 1;
                    let id = ids.hash_one(*count).to_be_bytes();
                    let message = encode(line, &self.identity);
                    match datagrams(&message, id) {
                        Some(parts) => {
                            for part in parts {
                                socket.send(&part).await?;
                            }
                        }
                        None => sent.rejected.push((
                            place,
                            format!("the message needs more than {MAX_CHUNKS} chunks"),
                        )),
                    }
                }
            }
            Way::Tcp(connection) => {
                let mut bytes = Vec::new();
                for line in batch {
                    bytes.extend(encode(line, &self.identity));
                    bytes.push(0);
                }
                connection.send(bytes).await?;
            }
            Way::Http(http) => {
                for (place, line) in batch.iter().enumerate() {
                    let body = encode(line, &self.identity);
                    match http.post("application/json", body).await {
                        Ok(_) => {}
                        Err(SinkError::Retry(reason)) if place > 0 => {
                            sent.retry = (place..batch.len()).collect();
                            sent.reason = Some(reason);
                            break;
                        }
                        Err(SinkError::Retry(reason)) => return Err(SinkError::Retry(reason)),
                        Err(SinkError::Rejected(reason) | SinkError::TooLarge(reason)) => {
                            sent.rejected.push((place, reason));
                        }
                    }
                }
            }
        }
        Ok(sent)
    }

    async fn settle(&mut self) -> Result<bool, SinkError> {
        match &mut self.way {
            Way::Tcp(connection) => connection.settle().await,
            Way::Udp { .. } | Way::Http(_) => Ok(true),
        }
    }

    fn patience(&self, timeout: Duration, lines: usize) -> Duration {
        match self.way {
            // Each has its own time; the first that is late ends the batch.
            Way::Http(_) => timeout.saturating_mul(u32::try_from(lines).unwrap_or(u32::MAX)),
            Way::Udp { .. } | Way::Tcp(_) => timeout,
        }
    }
}

/// One message.
pub(super) fn encode(line: &FeedLine, identity: &Identity) -> Vec<u8> {
    let message = line.message.as_deref().unwrap_or(&line.text);
    // Receivers refuse a message that is empty or blank.
    let short = if message.trim().is_empty() {
        "-"
    } else {
        message
    };
    let mut object = Map::new();
    object.insert("version".into(), "1.1".into());
    object.insert("host".into(), identity.host.as_str().into());
    object.insert("short_message".into(), short.into());
    if line.message.is_some() {
        object.insert("full_message".into(), line.text.as_str().into());
    }
    // Whole milliseconds have at most three decimals as text.
    let seconds = line.ts.as_millisecond() as f64 / 1_000.0;
    object.insert("timestamp".into(), json!(seconds));
    object.insert("level".into(), syslog_level(line).into());
    object.insert("_process".into(), line.process.as_str().into());
    object.insert("_instance".into(), line.instance.into());
    object.insert("_stream".into(), line.stream.as_str().into());
    if let Some(pid) = line.pid {
        object.insert("_pid".into(), pid.into());
    }
    if line.truncated {
        object.insert("_truncated".into(), "true".into());
    }
    let labels = identity.labels.iter();
    let labels = labels.map(|(key, value)| (key, Value::from(value.as_str())));
    let fields = line.fields.iter().map(|(key, value)| (key, scalar(value)));
    for (key, value) in labels.chain(fields) {
        // What mhost itself says is not replaced by what a line says.
        object.entry(additional(key)).or_insert(value);
    }
    Value::Object(object).to_string().into_bytes()
}

/// The name of an additional field: `_` and word characters, dots and dashes.
fn additional(key: &str) -> String {
    if key == "id" {
        // `_id` is not allowed.
        return "_id_".to_owned();
    }
    let word = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c
        } else {
            '_'
        }
    };
    std::iter::once('_').chain(key.chars().map(word)).collect()
}

/// Only texts and numbers are allowed.
fn scalar(value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

/// What is sent for one message over UDP; `None` when it is too long.
pub(super) fn datagrams(message: &[u8], id: [u8; 8]) -> Option<Vec<Vec<u8>>> {
    if message.len() <= DATAGRAM {
        return Some(vec![message.to_vec()]);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = gzip.write_all(message).and_then(|()| gzip.finish());
    // Writing to memory does not fail.
    let bytes = compressed.ok()?;
    if bytes.len() <= DATAGRAM {
        return Some(vec![bytes]);
    }
    let parts: Vec<&[u8]> = bytes.chunks(DATAGRAM - CHUNK_HEADER).collect();
    let count = u8::try_from(parts.len()).ok()?;
    if parts.len() > MAX_CHUNKS {
        return None;
    }
    let chunk = |(number, part): (u8, &&[u8])| {
        let mut chunk = vec![0x1e, 0x0f];
        chunk.extend(id);
        chunk.extend([number, count]);
        chunk.extend(*part);
        chunk
    };
    Some((0..count).zip(&parts).map(chunk).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::testing::{identity, line, structured};
    use super::*;

    fn text(line: &FeedLine) -> String {
        String::from_utf8(encode(line, &identity())).unwrap()
    }

    #[test]
    fn golden_messages() {
        assert_eq!(
            text(&line("Server listening on :3000")),
            r#"{"version":"1.1","host":"web-1","short_message":"Server listening on :3000","timestamp":1774708321.123,"level":6,"_process":"api","_instance":0,"_stream":"out","_pid":4711,"_env":"prod"}"#
        );
        assert_eq!(
            text(&structured()),
            r#"{"version":"1.1","host":"web-1","short_message":"upstream \"pay\" failed","full_message":"{\"level\":\"error\",\"msg\":\"upstream \\\"pay\\\" failed\",\"status\":502,\"req\":{\"path\":\"/pay\"},\"id\":\"7\",\"ok\":false}","timestamp":1774708321.123,"level":3,"_process":"api","_instance":1,"_stream":"err","_pid":4711,"_env":"prod","_status":502,"_req.path":"/pay","_id_":"7","_ok":"false"}"#
        );
    }

    #[test]
    fn a_line_cannot_pretend_to_be_somebody_else() {
        let mut hostile = structured();
        let fields = json!({ "process": "bank", "host": "x", "a b\u{0}": 1, "n": null });
        hostile.fields = fields.as_object().unwrap().clone();
        let value: Value = serde_json::from_str(&text(&hostile)).unwrap();
        assert_eq!(value["_process"], "api");
        assert_eq!(
            (&value["host"], &value["_host"]),
            (&json!("web-1"), &json!("x"))
        );
        assert_eq!((&value["_a_b_"], &value["_n"]), (&json!(1), &json!("null")));
    }

    #[test]
    fn empty_lines_have_a_message_and_controls_are_escaped() {
        for blank in ["", "  "] {
            assert!(text(&line(blank)).contains(r#""short_message":"-""#));
        }
        let bytes = encode(&line("a\u{0}b\u{1b}[31m"), &identity());
        assert!(!bytes.contains(&0), "NUL ends a message over TCP");
    }

    #[test]
    fn long_messages_are_compressed_and_chunked() {
        assert_eq!(
            datagrams(&[b'x'; 1_420], [1; 8]),
            Some(vec![vec![b'x'; 1_420]])
        );
        let compressed = datagrams(&[b'x'; 1_421], [1; 8]).unwrap();
        assert_eq!(
            (compressed.len(), &compressed[0][..2]),
            (1, &[0x1f, 0x8b][..])
        );

        // Bytes that cannot be compressed.
        let ids = RandomState::new();
        let noise: Vec<u8> = (0..1_250_u64)
            .flat_map(|n| ids.hash_one(n).to_be_bytes())
            .collect();
        let chunks = datagrams(&noise, [7; 8]).unwrap();
        assert!(chunks.len() > 7 && chunks.iter().all(|chunk| chunk.len() <= 1_420));
        let count = u8::try_from(chunks.len()).unwrap();
        let mut whole = Vec::new();
        for (number, chunk) in (0..count).zip(&chunks) {
            assert_eq!(
                chunk[..12],
                [0x1e, 0x0f, 7, 7, 7, 7, 7, 7, 7, 7, number, count]
            );
            whole.extend(&chunk[12..]);
        }
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&whole[..])
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, noise);
        let huge: Vec<u8> = (0..30_000_u64)
            .flat_map(|n| ids.hash_one(n).to_be_bytes())
            .collect();
        assert_eq!(datagrams(&huge, [7; 8]), None);
    }
}
