//! Segments that somebody removed: told, and no longer counted.

use super::index::Indexed;
use super::*;

fn limits() -> Limits {
    Limits {
        raw_max_size: 20_000,
        ..Limits::default()
    }
}

/// Lines of five sealed segments or so, all in the index and compressed.
async fn printed(lines: u32) -> (Indexed, InstanceId) {
    let indexed = Indexed::new(limits());
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    for n in 0..lines {
        writeln!(out, "level=info msg=\"a line of {n}\"").unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    drop(out);
    indexed.rig.drained(&api, 1).await;
    indexed.until_lines(u64::from(lines)).await;
    let logs = indexed.rig.paths.logs();
    let plain = || (1..5).any(|n| logs.join(format!("api-0.out.{n}.log")).exists());
    indexed.rig.until(plain, |plain| !plain).await;
    (indexed, api)
}

fn counted(page: &LogPage) -> u64 {
    page.counts.iter().flatten().map(|one| one.count).sum()
}

fn mined(page: &LogPage) -> u64 {
    page.templates.iter().flatten().map(|one| one.count).sum()
}

fn shown(page: &LogPage) -> u64 {
    let ours = |line: &&LogLine| !line.message.starts_with("[mhost]");
    page.lines.iter().filter(ours).count() as u64
}

/// Whichever files of which segment are gone, answers are over the rest and say so.
#[tokio::test(flavor = "multi_thread")]
async fn counts_leave_out_what_was_removed() {
    let bare = query();
    let count = LogQuery {
        count_by: Some("process".into()),
        ..bare.clone()
    };
    let kinds = LogQuery {
        templates: true,
        ..bare.clone()
    };
    let all = LogQuery {
        lines: usize::MAX,
        ..bare.clone()
    };
    for gone in [
        // The oldest, the oldest with its times, one in the middle, two in a row.
        &["1.log.zst"][..],
        &["1.log.zst", "1.idx"],
        &["2.log.zst", "2.idx"],
        &["2.log.zst", "3.log.zst", "3.idx"],
    ] {
        let (mut indexed, api) = printed(3_000).await;
        indexed.pause();
        assert!(indexed.rig.ask(&api, &count).lost.is_empty());
        for file in gone {
            std::fs::remove_file(indexed.rig.paths.logs().join(format!("api-0.out.{file}")))
                .unwrap();
        }
        let sources = [indexed.rig.source(&api)];
        let left = shown(&indexed.rig.ask(&api, &all));
        assert!((1_000..3_000).contains(&left), "{gone:?} {left}");
        for _ in 0..2 {
            for query in [&count, &kinds, &all] {
                let page = indexed.both(&sources, query);
                let told: Vec<&str> = page.lost.iter().map(|lost| lost.file.as_str()).collect();
                let first = format!("api-0.out.{}", gone[0]);
                assert_eq!(told.first(), Some(&first.as_str()), "{query:?}");
                let files: u64 = page.lost.iter().map(|lost| lost.files).sum();
                let bytes = gone.iter().filter(|file| file.ends_with("zst")).count();
                assert_eq!(files, bytes as u64, "{:?}", page.lost);
                let found = counted(&page) + mined(&page) + shown(&page);
                assert_eq!(found, left, "{gone:?} {query:?}");
            }
            let some = indexed.rig.ask(&api, &bare);
            assert!(some.lost.is_empty(), "the last lines are all there");
            // The rows go, too, and what is missing stays known.
            indexed.start();
            let index = || indexed.index.as_ref().unwrap().view();
            indexed
                .rig
                .until(index, |view| view.lines == left && !view.lost.is_empty())
                .await;
            assert!(index().degraded().unwrap().contains("was removed"));
            indexed.pause();
        }
        indexed.rig.ingest().flush(&api).await.unwrap();
        assert!(indexed.rig.ask(&api, &count).lost.is_empty(), "flushed");
    }
}

/// What is let go by the rules is not missing: rotated away, expired, flushed, removed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_go_is_not_missing() {
    let mut rig = Rig::with(Limits {
        raw_keep: 2,
        ..limits()
    });
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    let all = LogQuery {
        lines: usize::MAX,
        ..query()
    };
    for n in 0..6_000 {
        writeln!(out, "line {n}").unwrap();
        if n % 300 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(rig.ask(&api, &all).lost.is_empty(), "{}", rig.files());
        }
    }
    // What is read in one go is kept together, and on a busy machine that is much.
    let mut rounds = 0..1_000;
    while rig.all(&api).first().is_none_or(|first| first == "line 0") {
        assert!(rounds.next().is_some(), "{}", rig.files());
        (0..300).for_each(|n| writeln!(out, "more {n}").unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.ask(&api, &all).lost, []);
    rig.ingest().flush(&api).await.unwrap();
    writeln!(out, "fresh").unwrap();
    rig.until(|| rig.all(&api), |lines| *lines == ["fresh"])
        .await;
    assert_eq!(rig.ask(&api, &all).lost, []);
    rig.restart();
    assert_eq!(rig.ask(&api, &all).lost, []);
    rig.ingest().remove(&api).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(rig.paths.logs()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A current log that is cut short is indexed anew, and its lines are not counted twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_short_is_counted_once() {
    let indexed = Indexed::new(Limits::default());
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    for n in 0..10 {
        writeln!(out, "line {n}").unwrap();
    }
    drop(out);
    indexed.rig.drained(&api, 1).await;
    indexed.until_lines(10).await;
    let log = File::options()
        .write(true)
        .open(indexed.rig.paths.segment(&api, Stream::Out))
        .unwrap();
    log.set_len(35).unwrap();
    indexed.until_lines(5).await;
}
