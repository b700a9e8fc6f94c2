//! The socket, past the command line: what a client that misbehaves can do, which is nothing.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::json;

use crate::rig::Rig;

/// Half a frame, a connection that says nothing, a client that goes away: others are served.
#[test]
fn clients_that_misbehave_harm_nobody() {
    let rig = Rig::new().running("api", "puppet sleep");
    let daemon = rig.daemon();
    let mut half = rig.connect().unwrap();
    half.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"process.li")
        .unwrap();
    let silent: Vec<_> = (0..50).map(|_| rig.connect().unwrap()).collect();
    for bytes in [
        &b"\xff\xfe\x00\n"[..],
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"\"x\"\n",
    ] {
        let mut stream = rig.connect().unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = [0; 512];
        let count = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(answer.contains("error"), "{bytes:?}: {answer}");
    }
    // Asks, and does not wait for the answer.
    for _ in 0..50 {
        let mut stream = rig.connect().unwrap();
        let _ = stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"process.list\"}\n");
    }
    assert_eq!(rig.status("api"), "online");
    assert_eq!(rig.daemon(), daemon);
    drop((half, silent));
}

/// A line longer than 16 MB is refused and not kept, and the connection goes on behind it.
#[test]
fn a_line_that_is_too_long_is_refused() {
    let rig = Rig::new().running("api", "puppet sleep");
    let mut stream = rig.connect().unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        stream.write_all(&chunk).unwrap();
    }
    let ping = "\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"daemon.ping\"}\n";
    stream.write_all(ping.as_bytes()).unwrap();
    let answers: Vec<String> = BufReader::new(stream).lines().take(2).flatten().collect();
    assert!(answers[0].contains("-32600"), "{answers:?}");
    assert!(answers[1].contains("\"id\":7"), "{answers:?}");
    assert_eq!(rig.status("api"), "online");
}

/// Errors have the documented numbers, and name what they are about.
#[test]
fn errors_have_their_numbers() {
    let rig = Rig::new().running("api", "puppet sleep");
    let code = |method: &str, params| rig.rpc(method, params).unwrap()["error"]["code"].clone();
    assert_eq!(code("process.stop", json!({ "name": "nope" })), -32000);
    assert_eq!(code("no.such", json!({})), -32601);
    assert_eq!(
        code("process.scale", json!({ "name": "api", "instances": "x" })),
        -32602
    );
    assert_eq!(code("process.stop", json!({ "nmae": "api" })), -32602);
    let answer = rig.rpc("process.stop", json!({ "name": "ap" })).unwrap();
    assert_eq!(answer["error"]["data"]["near"], json!(["api"]));
    assert_eq!(rig.status("api"), "online");
}

/// Who asked for what is in the audit, and so is what was refused.
#[test]
fn what_was_asked_is_in_the_audit() {
    let rig = Rig::new().running("api", "puppet sleep");
    rig.ok(&["restart", "api"]);
    rig.fails(3, &["stop", "nope"]);
    let audit = rig.json(&["audit"]).to_string();
    assert!(audit.contains("process.restart"), "{audit}");
    assert!(audit.contains("nope"), "{audit}");
}
