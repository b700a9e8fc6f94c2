//! From an HTTP request to a WebSocket (RFC 6455, section 4.1).
//!
//! The request goes the way of all others, so that proxies and certificates are the same; only
//! the frames are another library's.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{RequestBuilder, StatusCode, Upgraded};
use tokio_websockets::{ClientBuilder, Limits, WebSocketStream};

use super::failure::Failure;
use crate::http;

/// A socket of Slack's.
pub(super) type Socket = WebSocketStream<Upgraded>;

/// Longest time until it stands.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of a frame: a press brings the message it is under, which is some 100 KB.
const FRAME: usize = 2 << 20;
/// What the standard appends to a key before it is hashed.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Opens it.
pub(super) async fn shake(request: RequestBuilder) -> Result<Socket, Failure> {
    let key = key();
    let request = request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let opened = tokio::time::timeout(PATIENCE, async {
        let broken = |error: reqwest::Error| Failure::unanswered(http::root(&error));
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure {
                // A ticket that is no more is had anew; nothing is wrong with the token.
                status: Some(status.as_u16().max(500)),
                text: format!("the socket is refused with status {}", status.as_u16()),
                ..Failure::default()
            });
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept.as_bytes() != expected(&key).as_bytes()) {
            return Err(Failure::unanswered("this is no WebSocket"));
        }
        response.upgrade().await.map_err(broken)
    });
    let stream = opened
        .await
        .map_err(|_| Failure::unanswered("no answer in time"))??;
    let limits = Limits::default().max_payload_len(Some(FRAME));
    Ok(ClientBuilder::new().limits(limits).take_over(stream))
}

/// Sixteen bytes that are others each time; nothing is kept secret by them.
fn key() -> String {
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    STANDARD.encode([half(), half()].concat())
}

fn expected(key: &str) -> String {
    let hash = sha1_smol::Sha1::from(format!("{key}{GUID}")).digest();
    STANDARD.encode(hash.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard, section 1.3.
    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        assert_eq!(
            expected("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(key().len(), 24);
        assert_ne!(key(), key());
    }
}
