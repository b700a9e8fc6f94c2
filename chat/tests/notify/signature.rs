//! Webhooks, whose signature is verified by Python's own library.

use std::io::Write;
use std::process::Stdio;

use chat::notify::{Target, Webhook};
use serde_json::json;

use crate::server::{Seen, Server};
use crate::{all, command, digest, send, skipped};

fn webhook(server: &Server, legacy_signature: bool) -> Target {
    Target::Webhook(Webhook {
        url: format!("{}/hook?key=0123456789abcdef", server.url).into(),
        method: "POST".into(),
        headers: [("X-Team".to_owned(), "ops".into())].into(),
        secret: Some("whsec_ü0123456789".into()),
        legacy_signature,
    })
}

/// Exit code 0 when both signatures are right.
const VERIFY: &str = r##"
import hashlib, hmac, sys
secret, seconds, signature, legacy = sys.argv[1:5]
body = sys.stdin.buffer.read()
def signed(data):
    return "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
good = hmac.compare_digest(signature, signed(seconds.encode() + b"." + body))
sys.exit(0 if good and (not legacy or hmac.compare_digest(legacy, signed(body))) else 1)
"##;

fn verified(seen: &Seen, body: &[u8]) -> bool {
    let mut child = command("python3")
        .args(["-c", VERIFY, "whsec_ü0123456789"])
        .args(["X-Mhost-Timestamp", "X-Mhost-Signature", "X-Signature"].map(|one| seen.header(one)))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    child.wait().unwrap().success()
}

#[tokio::test]
async fn a_signature_verifies_and_any_change_breaks_it() {
    if command("python3").arg("--version").output().is_err() {
        skipped("there is no python3");
        return;
    }
    let server = Server::start().await;
    for (index, message) in all().into_iter().enumerate() {
        let legacy = index % 2 == 1;
        assert_eq!(
            send(webhook(&server, legacy), &message).await.unwrap(),
            "status 200"
        );
        let seen = server.one();
        assert_eq!(seen.path, "/hook?key=0123456789abcdef");
        assert_eq!(seen.header("x-mhost-event"), message.notice.event.as_str());
        assert_eq!(seen.header("x-mhost-delivery"), message.id);
        assert_eq!(seen.header("x-team"), "ops");
        assert_eq!(seen.header("x-signature").is_empty(), !legacy);
        assert!(verified(&seen, &seen.body));
        let mut other = seen.body.clone();
        let middle = other.len() / 2;
        other[middle] ^= 1;
        assert!(!verified(&seen, &other));
        let mut late = seen.clone();
        late.headers
            .insert("x-mhost-timestamp", "1".parse().unwrap());
        assert!(!verified(&late, &seen.body));
    }
}

#[tokio::test]
async fn the_body_is_the_notice() {
    let server = Server::start().await;
    let message = &all()[0];
    send(webhook(&server, false), message).await.unwrap();
    let body = server.one().json();
    for (key, value) in [
        ("id", json!("n1")),
        ("event", json!("crash")),
        ("severity", json!("critical")),
        ("process", json!("api")),
        ("instance", json!(2)),
        ("host", json!("h1")),
        ("incident_id", json!("n7")),
        ("ts", json!("2026-01-02T03:04:05Z")),
        ("suppressed", json!(7)),
    ] {
        assert_eq!(body[key], value, "{key}");
    }
    assert_eq!(body["details"]["exit_code"], 3);
    assert_eq!(
        body["message"],
        "ESCALATED after 15m: exit code 3 after 2m (+7 suppressed)"
    );
    send(webhook(&server, false), &digest()).await.unwrap();
    let body = server.one().json();
    assert_eq!(body["digest"].as_array().unwrap().len(), 50);
    assert_eq!(body["digest"][0]["events"]["crash"], 4);
}
