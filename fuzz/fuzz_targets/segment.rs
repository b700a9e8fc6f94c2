//! The files of a log: whatever the disk made of them, a query ends with lines or an error.
//! Two bytes say how much of the rest is the side index; what follows is the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::logs::{LogQuery, Source, query};
use supervisor::{InstanceId, Paths, Stream};

fuzz_target!(|bytes: &[u8]| {
    let Some((split, rest)) = bytes.split_at_checked(2) else {
        return;
    };
    let split = usize::from(u16::from_le_bytes([split[0], split[1]])).min(rest.len());
    let (index, text) = rest.split_at(split);
    let home = tempfile::tempdir().expect("a folder");
    let paths = Paths::new(home.path()).expect("a home");
    let folder = paths.logs();
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("api-0.out.idx"), index).expect("a file");
    std::fs::write(folder.join("api-0.out.log"), text).expect("a file");
    let source = Source {
        instance: InstanceId::new("api".parse().expect("a name"), 0),
        streams: vec![Stream::Out],
        folder,
    };
    let asked = LogQuery {
        lines: 50,
        ..LogQuery::default()
    };
    if let Ok(page) = query(&paths, &[source], &asked) {
        assert!(page.lines.len() <= 50);
    }
});
