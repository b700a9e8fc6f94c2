//! The index beside the segments: answers are the same with it, without it and with half of it.

use tokio::sync::watch;

use super::*;
use crate::logs::Retention;
use crate::logs::index::lookup::HIDDEN;

/// A rig with an indexer.
pub(super) struct Indexed {
    pub(super) rig: Rig,
    pub(super) index: Option<LogIndex>,
    pub(super) retention: watch::Sender<Retention>,
}

impl Indexed {
    pub(super) fn new(limits: Limits) -> Self {
        let mut indexed = Self {
            rig: Rig::with(limits),
            index: None,
            retention: watch::Sender::new(Retention::default()),
        };
        indexed.start();
        indexed
    }

    pub(super) fn start(&mut self) {
        let (grew, orders) = (self.rig.ingest().grew(), self.rig.ingest().orders());
        let (paths, clock) = (&self.rig.paths, Clock::system());
        let retention = self.retention.subscribe();
        let index = LogIndex::start(paths, &clock, grew, retention, orders).unwrap();
        self.index = Some(index);
    }

    /// Ends the indexer; what comes now is scanned.
    pub(super) fn pause(&mut self) {
        self.index = None;
    }

    pub(super) fn file(&self) -> PathBuf {
        crate::logs::index::path_in(&self.rig.paths.logs())
    }

    pub(super) async fn until_lines(&self, lines: u64) {
        let view = || self.index.as_ref().unwrap().view();
        self.rig
            .until(view, |view| view.lines == lines && view.behind_bytes == 0)
            .await;
    }

    /// The answer with the index and the answer without it.
    pub(super) fn both(&self, sources: &[Source], query: &LogQuery) -> LogPage {
        let with = crate::logs::query(&self.rig.paths, sources, query).unwrap();
        HIDDEN.set(true);
        let without = crate::logs::query(&self.rig.paths, sources, query);
        HIDDEN.set(false);
        let without = without.unwrap();
        assert_eq!(with.lines, without.lines, "{query:?}");
        assert_eq!(with.counts, without.counts, "{query:?}");
        let kinds = |page: &LogPage| {
            let templates = page.templates.clone().unwrap_or_default();
            let mut kinds: Vec<_> = templates
                .into_iter()
                .map(|one| (one.pattern, one.count, one.trend.counts))
                .collect();
            kinds.sort();
            kinds
        };
        assert_eq!(kinds(&with), kinds(&without), "{query:?}");
        with
    }
}

/// A line of some kind.
pub(super) fn line(n: u32) -> String {
    match n % 6 {
        0 => format!(
            r#"{{"level":"error","msg":"disk {n} is full","status":{},"user":{{"id":"u{}"}}}}"#,
            500 + n % 7,
            n % 11
        ),
        1 => format!(
            "2026-03-28T14:32:01Z  INFO request {n} took={} status={}",
            n % 100,
            200 + n % 5
        ),
        2 => format!("[WARN] slow query {n} caf\u{e9}"),
        3 => format!(
            r#"{{"level":30,"message":"job {n} done","took":{}.5,"ok":{}}}"#,
            n % 10,
            n.is_multiple_of(2)
        ),
        4 => format!("plain text without anything {n}"),
        _ => format!("TypeError: x{n} is not a function"),
    }
}

pub(super) fn questions() -> Vec<LogQuery> {
    let base = LogQuery {
        lines: 40,
        ..query()
    };
    let search = |text: &str| LogQuery {
        search: Some(text.into()),
        ..base.clone()
    };
    let condition = |text: &str| LogQuery {
        condition: Some(text.into()),
        ..base.clone()
    };
    let count = |by: &str, query: LogQuery| LogQuery {
        count_by: Some(by.into()),
        ..query
    };
    let level = |level| LogQuery {
        level: Some(level),
        ..base.clone()
    };
    vec![
        search("disk"),
        search("disk OR slow"),
        search("\"is not a function\""),
        search("cafe"),
        search("x:80 don't"),
        search("req* NOT 1"),
        LogQuery {
            context: 2,
            lines: 3,
            ..search("slow AND query")
        },
        condition("status >= 503"),
        condition("level = error and status in (501, 502)"),
        condition("user.id = u3 or ok = true"),
        condition("message like '%disk%' and status > 500"),
        condition("message ~ 'x[0-9]+5 is'"),
        condition("process = 'web' and stream = err"),
        condition("level is null"),
        condition("ts > now - 1h and took < 5"),
        level(Level::Error),
        level(Level::Trace),
        LogQuery {
            stream: Some(Stream::Err),
            ..level(Level::Warn)
        },
        LogQuery {
            grep: Some("[05] is".into()),
            level: Some(Level::Error),
            search: Some("disk".into()),
            ..base.clone()
        },
        LogQuery {
            lines: 1_000_000,
            ..search("request")
        },
        count("process", base.clone()),
        count("level", base.clone()),
        count("minute", base.clone()),
        count(
            "instance",
            LogQuery {
                stream: Some(Stream::Err),
                ..base.clone()
            },
        ),
        count("process", level(Level::Warn)),
        count("process", search("disk")),
        count("process", search("\"disk 6\"")),
        count("hour", condition("level in (warn, error) or stream = err")),
        LogQuery {
            templates: true,
            ..base.clone()
        },
        LogQuery {
            templates: true,
            ..level(Level::Error)
        },
        LogQuery {
            templates: true,
            ..search("slow")
        },
        search("\"disk 6 is\""),
        search("NEAR(disk full, 2) NOT 12"),
        search("disk NOT \"6 is\""),
        count("status", search("disk")),
        count("user.id", condition("status > 501")),
        count("day", level(Level::Warn)),
        count("message", condition("user.id = u3")),
        count("stream", condition("message like '%5%'")),
        count(
            "level",
            LogQuery {
                grep: Some("7".into()),
                ..base.clone()
            },
        ),
    ]
}

/// With all, half or nothing in the index, every question has the same answer as a scan.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_and_a_scan_give_the_same_answers() {
    let mut indexed = Indexed::new(Limits::default());
    let (api, web) = (id("api"), id("web"));
    let mut files = Vec::new();
    for (who, stream) in [
        (&api, Stream::Out),
        (&api, Stream::Err),
        (&web, Stream::Err),
    ] {
        files.push(indexed.rig.open(who, 1, stream).await);
    }
    let sources = [indexed.rig.source(&api), indexed.rig.source(&web)];
    for n in 0..900 {
        writeln!(files[n as usize % 3], "{}", line(n)).unwrap();
    }
    indexed.until_lines(900).await;
    for query in questions() {
        let page = indexed.both(&sources, &query);
        let shown = page.lines.len()
            + page.counts.map_or(0, |counts| counts.len())
            + page.templates.map_or(0, |templates| templates.len());
        assert!(
            shown > 0 || query.search.as_deref() == Some("x:80 don't"),
            "{query:?} found nothing"
        );
    }
    indexed.pause();
    for n in 900..1400 {
        writeln!(files[n as usize % 3], "{}", line(n)).unwrap();
    }
    drop(files);
    for who in [&api, &web] {
        indexed.rig.drained(who, 1).await;
    }
    for query in questions() {
        indexed.both(&sources, &query);
    }
    // The next indexer goes on where the last one was.
    indexed.start();
    indexed.until_lines(1400).await;
    for query in questions() {
        indexed.both(&sources, &query);
    }
    let only_one = [indexed.rig.source(&web)];
    for query in questions() {
        indexed.both(&only_one, &query);
    }
}

/// A deleted or damaged index is made anew, and meanwhile nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_comes_back() {
    let indexed = Indexed::new(Limits::default());
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    for n in 0..300 {
        writeln!(out, "{}", line(n)).unwrap();
    }
    indexed.until_lines(300).await;
    let asked = LogQuery {
        search: Some("disk".into()),
        ..query()
    };
    let sources = [indexed.rig.source(&api)];
    let expected = indexed.both(&sources, &asked).lines;
    assert_eq!(expected.len(), 50);
    for damage in 0..4 {
        let before = indexed.index.as_ref().unwrap().view().rebuilds;
        match damage {
            0 => std::fs::remove_file(indexed.file()).unwrap(),
            1 => {
                // All of its pages, also the first one.
                let length = std::fs::metadata(indexed.file()).unwrap().len() as usize;
                // SQLite takes it away by itself when the last one closes it.
                let _ = std::fs::remove_file(indexed.file().with_extension("sqlite-wal"));
                std::fs::write(indexed.file(), vec![0x5a; length]).unwrap();
            }
            2 => indexed.index.as_ref().unwrap().rebuild(),
            // Emptied, as by a shell's `>`: it stays the same file.
            _ => std::fs::write(indexed.file(), "").unwrap(),
        }
        let page = crate::logs::query(&indexed.rig.paths, &sources, &asked).unwrap();
        assert_eq!(page.lines, expected, "right after damage {damage}");
        writeln!(out, "plain").unwrap();
        indexed
            .rig
            .until(
                || indexed.index.as_ref().unwrap().view(),
                |view| view.rebuilds > before,
            )
            .await;
        indexed.until_lines(301 + damage).await;
        assert_eq!(indexed.both(&sources, &asked).lines, expected);
    }
    // Each line counts once, however often it was indexed.
    let came = indexed.index.as_ref().unwrap().came();
    assert_eq!(came.iter().map(|(_, _, count)| count).sum::<u64>(), 304);
    let errors = came
        .iter()
        .find(|(_, level, _)| *level == Some(Level::Error));
    assert_eq!(errors.map(|(_, _, count)| *count), Some(50));
}

/// Sealed segments are compressed, and nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn sealed_segments_are_compressed() {
    let limits = Limits {
        raw_max_size: 30_000,
        raw_keep: 100,
        ..Limits::default()
    };
    let mut indexed = Indexed::new(limits);
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    for n in 0..4_000 {
        writeln!(out, "{}", line(n)).unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    indexed.until_lines(4_000).await;
    let ends = |rig: &Rig, end: &str| {
        let files = std::fs::read_dir(rig.paths.logs()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(end)).count()
    };
    writeln!(out, "{}", line(4_000)).unwrap();
    indexed
        .rig
        .until(
            || (ends(&indexed.rig, ".log"), ends(&indexed.rig, ".log.zst")),
            |(plain, packed)| *plain == 1 && *packed > 3,
        )
        .await;
    let all = (0..4_001).map(line).collect::<Vec<_>>();
    indexed
        .rig
        .until(|| indexed.rig.all(&api) == all, |is_all| *is_all)
        .await;
    let sources = [indexed.rig.source(&api)];
    for query in questions() {
        indexed.both(&sources, &query);
    }
    indexed.pause();
    indexed.rig.restart();
    assert_eq!(indexed.rig.all(&api).len(), 4_001);
    // A damaged one costs its own lines, not those before and after it, and says so.
    let damaged = indexed.rig.paths.logs().join("api-0.out.3.log.zst");
    let sound = std::fs::read(&damaged).unwrap();
    let is_told =
        |line: &&String| line.ends_with("bytes of this log are damaged and cannot be read");
    let mut broken = sound.clone();
    broken[100..200].fill(0x5a);
    for bytes in [
        b"no zstd".as_slice(),
        b"",
        &sound[..sound.len() / 2],
        &broken,
    ] {
        std::fs::write(&damaged, bytes).unwrap();
        let left = indexed.rig.all(&api);
        assert!((3_000..4_001).contains(&left.len()), "{}", left.len());
        assert_eq!(
            (left.first(), left.last()),
            (Some(&line(0)), Some(&line(4_000)))
        );
        assert_eq!(left.iter().filter(is_told).count(), 1);
        assert!(left.iter().all(|line| !line.contains('\0')));
    }
    std::fs::write(&damaged, sound).unwrap();
    // Without what a side index says only the times of its lines are wrong.
    for number in ["3.", ""] {
        let side = indexed
            .rig
            .paths
            .logs()
            .join(format!("api-0.out.{number}idx"));
        let sound = std::fs::read(&side).unwrap();
        std::fs::write(&side, [0x5a; 500]).unwrap();
        assert_eq!(
            indexed.rig.all(&api),
            (0..4_001).map(line).collect::<Vec<_>>(),
            "{number}"
        );
        std::fs::write(&side, sound).unwrap();
    }
    let logs = indexed.rig.paths.logs();
    let side = logs.join("api-0.out.3.idx");
    std::fs::remove_file(side).unwrap();
    assert_eq!(
        indexed.rig.all(&api),
        (0..4_001).map(line).collect::<Vec<_>>()
    );
    // Neither does the current one hide the stream, gone or empty.
    let current = logs.join("api-0.out.idx");
    let sound = std::fs::read(&current).unwrap();
    std::fs::write(&current, b"").unwrap();
    assert_eq!(indexed.rig.all(&api).len(), 4_001);
    std::fs::remove_file(&current).unwrap();
    assert_eq!(indexed.rig.all(&api).len(), 4_001);
    std::fs::write(&current, sound).unwrap();
    // What is gone or unreadable altogether hides nothing but its own lines, and says so.
    let rest_is_served = |rig: &Rig, what: &str, newest: u32, holes: usize| {
        let left = rig.all(&api);
        assert!((2_000..4_001).contains(&left.len()), "{what}: {left:#?}");
        assert_eq!(left.first(), Some(&line(0)), "{what}");
        assert_eq!(left.last(), Some(&line(newest)), "{what}");
        assert_eq!(left.iter().filter(is_told).count(), holes, "{what}");
    };
    // The third has no index any more.
    std::fs::write(logs.join("api-0.out.3.log.zst"), b"no zstd").unwrap();
    rest_is_served(&indexed.rig, "its bytes are damaged, too", 4_000, 1);
    std::fs::remove_file(logs.join("api-0.out.3.log.zst")).unwrap();
    rest_is_served(&indexed.rig, "index and bytes are gone", 4_000, 1);
    std::fs::remove_file(logs.join("api-0.out.2.log.zst")).unwrap();
    rest_is_served(&indexed.rig, "two in a row are gone", 4_000, 2);
    // The capture goes on behind all of that.
    std::fs::remove_file(&current).unwrap();
    indexed.rig.restart();
    let mut out = indexed.rig.open(&api, 2, Stream::Out).await;
    writeln!(out, "{}", line(4_001)).unwrap();
    drop(out);
    indexed.rig.drained(&api, 2).await;
    rest_is_served(&indexed.rig, "a new run", 4_001, 2);
}

/// Rows go with their lines: flushed, removed, and rotated away.
#[tokio::test(flavor = "multi_thread")]
async fn rows_go_with_their_lines() {
    let limits = Limits {
        raw_max_size: 20_000,
        raw_keep: 2,
        ..Limits::default()
    };
    let indexed = Indexed::new(limits);
    let (api, web) = (id("api"), id("web"));
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    let mut other = indexed.rig.open(&web, 1, Stream::Out).await;
    writeln!(other, "disk of web").unwrap();
    for n in 0..3_000 {
        writeln!(out, "{}", line(n)).unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    let kept = |rig: &Rig| rig.all(&api).len() as u64;
    indexed
        .rig
        .until(
            || (kept(&indexed.rig), indexed.index.as_ref().unwrap().view()),
            |(kept, view)| *kept < 3_000 && view.lines == kept + 1 && view.behind_bytes == 0,
        )
        .await;
    let sources = [indexed.rig.source(&api), indexed.rig.source(&web)];
    for query in questions() {
        indexed.both(&sources, &query);
    }
    indexed.rig.ingest().flush(&api).await.unwrap();
    writeln!(out, "fresh").unwrap();
    indexed.until_lines(2).await;
    for query in questions() {
        indexed.both(&sources, &query);
    }
    drop(other);
    indexed.rig.ingest().remove(&web).await.unwrap();
    indexed.until_lines(1).await;
}

/// A condition that is not understood says where; a search never fails.
#[tokio::test]
async fn bad_questions_are_explained() {
    let rig = Rig::new();
    let sources = [rig.source(&id("api"))];
    let ask = |query: LogQuery| crate::logs::query(&rig.paths, &sources, &query);
    let error = ask(LogQuery {
        condition: Some("status >".into()),
        ..query()
    });
    let LogError::Condition(error) = error.unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(error.at, 8);
    let grep = Some("a(".to_owned());
    let error = ask(LogQuery { grep, ..query() }).unwrap_err();
    assert_eq!(error.details(), ["    a(", "     ^", "unclosed group"]);
    for text in ["\"", "a:b", "*", "NEAR(", ""] {
        let search = Some(text.to_owned());
        ask(LogQuery { search, ..query() }).unwrap();
    }
    let count_by = Some("a b; --".to_owned());
    let error = ask(LogQuery {
        count_by,
        ..query()
    })
    .unwrap_err();
    assert_eq!(error.code(), "bad_count_by");
}
