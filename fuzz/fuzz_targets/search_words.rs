//! `mhost logs --search`: any text becomes a query that FTS5 takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::logs::search_query;

fuzz_target!(|text: &str| {
    if let Some(query) = search_query(text) {
        assert_eq!(search_query(&query).as_deref(), Some(query.as_str()));
    }
});
