//! `mhost logs --where`: any text is a condition or an error with a place, and a condition can
//! be asked of a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::Stream;
use supervisor::logs::expr::{Expr, Subject};
use supervisor::logs::record;

fuzz_target!(|text: &str| {
    let record = record::parse(r#"{"level":"error","msg":"disk full","status":503}"#);
    match Expr::parse(text, 1_774_708_321_123) {
        Ok(expr) => {
            expr.holds(&Subject {
                ts_ms: 1_774_708_321_000,
                process: "api",
                instance: 0,
                stream: Stream::Out,
                level: record.level,
                record: &record,
            });
        }
        Err(error) => assert_eq!(error.caret().len(), 2),
    }
});
