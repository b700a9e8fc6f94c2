//! Lines go when their time has come, by their level, and their rows and counts with them.

use super::index::{Indexed, line, questions};
use super::*;
use crate::logs::Retention;

fn limits() -> Limits {
    Limits {
        raw_max_size: 20_000,
        raw_keep: 1_000,
        ..Limits::default()
    }
}

async fn filled(count: u32) -> (Indexed, File, InstanceId) {
    let indexed = Indexed::new(limits());
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    for n in 0..count {
        writeln!(out, "{}", line(n)).unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    indexed.until_lines(u64::from(count)).await;
    (indexed, out, api)
}

fn is_grave(line: &str) -> bool {
    line.contains("[WARN]") || line.contains("\"error\"")
}

fn short() -> Retention {
    Retention {
        info: Duration::ZERO,
        default: Duration::ZERO,
        ..Retention::default()
    }
}

/// Lines of low levels go from sealed segments, with rows and counts; what stays is where it
/// was, for readers, cursors, the index, and whoever reads the files.
#[tokio::test(flavor = "multi_thread")]
async fn levels_that_are_too_old_go() {
    let (mut indexed, mut out, api) = filled(2_000).await;
    let sources = [indexed.rig.source(&api)];
    let asked = LogQuery {
        lines: 1_000_000,
        level: Some(Level::Warn),
        ..query()
    };
    let grave = indexed.both(&sources, &asked);
    let all: Vec<String> = (0..2_000).map(line).collect();
    assert!(grave.lines.len() > 600);
    indexed.retention.send_replace(short());
    writeln!(out, "{}", line(2_004)).unwrap();
    let kept: Vec<String> = all
        .iter()
        .cloned()
        .chain([line(2_004)])
        .filter(|line| is_grave(line))
        .collect();
    indexed
        .rig
        .until(
            || {
                let view = indexed.index.as_ref().unwrap().view();
                (indexed.rig.all(&api), view.lines, view.behind_bytes)
            },
            |(lines, rows, behind)| {
                let low = lines.iter().filter(|line| !is_grave(line)).count();
                low == 0 && *rows == lines.len() as u64 && *behind == 0
            },
        )
        .await;
    assert_eq!(indexed.rig.all(&api), kept);
    let mut now = indexed.both(&sources, &asked);
    now.lines.pop();
    assert_eq!(now.lines, grave.lines, "ids and times stay");
    let rare = |query: &LogQuery| indexed.both(&sources, query);
    for question in questions() {
        rare(&question);
    }
    // As a follower reads on from a line in the middle.
    let middle = &grave.lines[300];
    let rest = LogQuery {
        after: Some(middle.id.clone()),
        lines: 5,
        ..query()
    };
    let rest = crate::logs::query(&indexed.rig.paths, &sources, &rest).unwrap();
    assert_eq!(rest.lines, grave.lines[301..306]);
    // A new index finds the same, and so does a daemon that starts.
    indexed.index.as_ref().unwrap().rebuild();
    indexed.until_lines(kept.len() as u64).await;
    indexed.pause();
    indexed.rig.restart();
    indexed.start();
    indexed.until_lines(kept.len() as u64).await;
    assert_eq!(indexed.rig.all(&api), kept);
    let packed = indexed.rig.paths.logs().join("api-0.out.2.log.zst");
    let text = zstd::stream::decode_all(&std::fs::read(packed).unwrap()[..]).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.lines().count() > 10 && text.lines().all(is_grave),
        "{text}"
    );
}

/// When all levels are too old, files and rows go; the stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn segments_without_lines_go() {
    let (indexed, mut out, api) = filled(1_000).await;
    // One that cannot be read any more goes with the others.
    let oldest = indexed.rig.paths.logs().join("api-0.out.1.idx");
    assert!(oldest.exists(), "{}", indexed.rig.files());
    std::fs::write(oldest, b"").unwrap();
    indexed.retention.send_replace(Retention {
        warn: Duration::ZERO,
        error: Duration::ZERO,
        fatal: Duration::ZERO,
        ..short()
    });
    indexed
        .rig
        .until(
            || (indexed.rig.all(&api).len(), indexed.rig.files()),
            |(lines, files)| *lines == 0 && !files.contains(".zst"),
        )
        .await;
    indexed.retention.send_replace(Retention::default());
    writeln!(out, "{}", line(2)).unwrap();
    indexed.until_lines(1).await;
    assert_eq!(indexed.rig.all(&api), [line(2)]);
    let sources = [indexed.rig.source(&api)];
    for question in questions() {
        indexed.both(&sources, &question);
    }
}

/// Over the bound for the disk the oldest lines of the lowest levels go, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_bounded() {
    let (indexed, _out, api) = filled(3_000).await;
    let size = || -> u64 {
        let files = std::fs::read_dir(indexed.rig.paths.logs()).unwrap();
        files
            .filter_map(|file| {
                let name = file.as_ref().ok()?.file_name().into_string().ok()?;
                name.starts_with("api-")
                    .then(|| file.ok()?.metadata().ok().map(|m| m.len()))?
            })
            .sum()
    };
    indexed
        .rig
        .until(
            || indexed.rig.files(),
            |files| {
                let plain =
                    |line: &&str| line.split(' ').next().is_some_and(|n| n.ends_with(".log"));
                files.lines().filter(plain).count() == 1 && files.matches(".zst").count() > 3
            },
        )
        .await;
    let db = rusqlite::Connection::open(indexed.file()).unwrap();
    let pages = |name| -> i64 { db.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
    let index = (pages("page_count") - pages("freelist_count")) * pages("page_size");
    indexed.retention.send_replace(Retention {
        max_bytes: index.unsigned_abs() + size() - 2_000,
        ..Retention::default()
    });
    indexed
        .rig
        .until(|| indexed.rig.all(&api).len(), |lines| *lines < 3_000)
        .await;
    let left = indexed.rig.all(&api);
    let grave = |lines: &[String]| lines.iter().filter(|line| is_grave(line)).count();
    assert_eq!(grave(&left), 1_000, "all warnings and errors are there");
    assert!(left.len() > 1_500, "{}", left.len());
    // What went is the oldest.
    let first_low = left.iter().position(|line| !is_grave(line)).unwrap();
    assert!(left[first_low..].iter().any(|line| is_grave(line)));
    assert!(first_low > 5, "{first_low}");
}
