//! A line on the daemon's socket: any bytes are requests or errors that can be answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[allow(dead_code, reason = "not all of it is about reading")]
#[path = "../../src/daemon/rpc/message.rs"]
mod message;

use message::{Incoming, MAX_BATCH, answer};

fuzz_target!(|bytes: &[u8]| {
    let calls = match Incoming::read(bytes) {
        Incoming::One(one) => vec![one],
        Incoming::Batch(batch) => batch,
    };
    assert!(calls.len() <= MAX_BATCH);
    for call in calls {
        let text = match call {
            Ok(call) => answer(&call.id.unwrap_or(Value::Null), Ok("true".to_owned())),
            Err(malformed) => answer(&malformed.id, Err(*malformed.error)),
        };
        let reply: Value = serde_json::from_str(&text).expect("an answer is JSON");
        assert_eq!(reply["jsonrpc"], "2.0");
        assert!(!text.contains('\n'), "one line: {text}");
    }
});
