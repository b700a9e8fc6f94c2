//! What a line says: any bytes are a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::Stream;
use supervisor::logs::record;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let record = record::parse(&text);
    assert!(record.fields.len() <= record::MAX_FIELDS);
    let _ = (record.search_text(), record.severity(Stream::Err));
});
