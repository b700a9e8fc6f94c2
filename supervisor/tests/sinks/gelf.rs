//! GELF receivers, as strict as the payload specification: chunks are reassembled, ids and
//! counts compared, compression undone.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use supervisor::Stream;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

use crate::http::Server;
use crate::rig::{PATIENCE, Rig};

/// Takes datagrams until so many messages are whole.
async fn receive(socket: &UdpSocket, count: usize) -> Vec<Value> {
    let mut whole = Vec::new();
    let mut parts: BTreeMap<[u8; 8], BTreeMap<u8, Vec<u8>>> = BTreeMap::new();
    let mut buffer = vec![0; 65_536];
    while whole.len() < count {
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await;
        let datagram = &buffer[..length.expect("in time").unwrap()];
        assert!(datagram.len() <= 1_420, "{} bytes", datagram.len());
        if datagram.starts_with(&[0x1e, 0x0f]) {
            let id: [u8; 8] = datagram[2..10].try_into().unwrap();
            let (number, total) = (datagram[10], datagram[11]);
            assert!(number < total && total <= 128);
            let chunks = parts.entry(id).or_default();
            let former = chunks.insert(number, datagram[12..].to_vec());
            assert_eq!(former, None, "an id is used once");
            if chunks.len() == usize::from(total) {
                let bytes = parts.remove(&id).unwrap().into_values().flatten();
                whole.push(message(&bytes.collect::<Vec<u8>>()));
            }
        } else {
            whole.push(message(datagram));
        }
    }
    assert!(parts.is_empty());
    whole
}

fn message(bytes: &[u8]) -> Value {
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut gzip = flate2::read::GzDecoder::new(bytes);
        gzip.read_to_end(&mut text).unwrap();
    } else {
        text.extend(bytes);
    }
    let value: Value = serde_json::from_slice(&text).unwrap();
    strict(&value);
    value
}

/// What the specification demands of every message.
fn strict(value: &Value) {
    let object = value.as_object().unwrap();
    assert_eq!(object["version"], "1.1");
    for key in ["host", "short_message"] {
        assert!(!object[key].as_str().unwrap().trim().is_empty(), "{key}");
    }
    assert!(object["timestamp"].as_f64().unwrap() > 1.7e9);
    assert!(object["level"].as_u64().unwrap() <= 7);
    for (key, value) in object {
        let known = [
            "version",
            "host",
            "short_message",
            "full_message",
            "timestamp",
            "level",
        ];
        if known.contains(&key.as_str()) {
            continue;
        }
        let name = key.strip_prefix('_').unwrap();
        assert!(
            name != "id"
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_.-".contains(c))
        );
        assert!(value.is_string() || value.is_number(), "{key}: {value}");
    }
}

#[tokio::test]
async fn datagrams_are_compressed_and_chunked() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let rig = Rig::new(&format!(
        "[sinks.g]\ntype = \"gelf\"\nhost = \"127.0.0.1\"\nport = {port}\nflush = \"50ms\"\nlabels = {{ env = \"test\" }}"
    ));
    rig.ready(&["g"]).await;
    let mut program = rig.program("api", 1, Stream::Err).await;
    let repeated = "y".repeat(30_000);
    // Hexadecimal noise: half its size is left after compression.
    let mut seed = 1_u64;
    let noise: String = (0..1_500)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x}", seed >> 32)
        })
        .collect();
    program.print(&format!("short\n{repeated}\n{noise}\n"));
    let got = receive(&socket, 3).await;
    let texts: Vec<&str> = got
        .iter()
        .map(|message| message["short_message"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["short", &repeated, &noise]);
    assert_eq!(got[0]["_process"], "api");
    assert_eq!(
        (&got[0]["_instance"], &got[0]["_stream"]),
        (&1.into(), &"err".into())
    );
    assert_eq!(
        (&got[0]["_env"], &got[0]["_pid"]),
        (&"test".into(), &4711.into())
    );
    rig.until("g", |sink| sink.sent == 3).await;
}

#[tokio::test]
async fn over_tcp_messages_end_with_nul_on_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::new(&format!(
        "[sinks.g]\ntype = \"gelf\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"tcp\"\nflush = \"50ms\""
    ));
    rig.ready(&["g"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("one\n");
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    for expected in ["one", "two", "three"] {
        if expected != "one" {
            program.print(&format!("{expected}\n"));
        }
        while !bytes.contains(&0) {
            let read = timeout(PATIENCE, stream.read_buf(&mut bytes))
                .await
                .unwrap();
            assert!(read.unwrap() > 0, "the connection is kept open");
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        let value: Value = serde_json::from_slice(&bytes[..end]).unwrap();
        strict(&value);
        assert_eq!(value["short_message"], expected);
        bytes.drain(..=end);
    }
}

#[tokio::test]
async fn over_http_there_is_one_message_per_request() {
    let server = Server::start(|asked| {
        let refused = asked.body.windows(3).any(|part| part == b"bad");
        (if refused { 400 } else { 202 }, String::new())
    })
    .await;
    let rig = Rig::new(&format!(
        "[sinks.g]\ntype = \"gelf\"\nhost = \"127.0.0.1\"\nport = {}\ntransport = \"http\"\nflush = \"50ms\"",
        server.port
    ));
    rig.ready(&["g"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("one\nbad\ntwo\n");
    rig.until("g", |sink| (sink.sent, sink.rejected) == (2, 1))
        .await;
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for one in &asked {
        assert_eq!(
            (one.method.as_str(), one.target.as_str()),
            ("POST", "/gelf")
        );
        assert_eq!(one.headers["content-type"], "application/json");
        strict(&serde_json::from_slice(&one.body).unwrap());
    }
}
