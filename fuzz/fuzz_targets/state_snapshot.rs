//! What an older or a damaged release left in `processes/`: any bytes are a process or are
//! passed over, and the daemon starts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::Clock;
use supervisor::store::StoreHandle;

fuzz_target!(|bytes: &[u8]| {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("processes");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("api.json"), bytes).expect("a file");
    std::fs::write(folder.join("+groups.json"), bytes).expect("a file");
    // Not a database: it is set aside, and the snapshots take its place.
    let database = home.path().join("db.sqlite");
    std::fs::write(&database, "no database").expect("a file");
    let (store, thread) = StoreHandle::open(&database, Clock::system()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let loaded = runtime.block_on(store.load()).expect("what was saved");
    assert!(loaded.processes.len() <= 1);
    drop(thread);
});
