//! Capture and queries together, with real FIFOs.
//! It is one piece although it is long: a rig, and a test for each promise of the capture.

mod index;
mod mend;
mod missing;
mod queries;
mod retention;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::ids::Generation;
use crate::paths::Paths;

/// A home of its own, one program and its captured output.
struct Rig {
    _home: tempfile::TempDir,
    paths: Paths,
    limits: Limits,
    ingest: Option<Ingest>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path()).unwrap();
        paths.create().unwrap();
        let mut rig = Self {
            _home: home,
            paths,
            limits,
            ingest: None,
        };
        rig.restart();
        rig
    }

    /// The daemon is gone and another one comes.
    fn restart(&mut self) {
        self.ingest = None;
        let clock = Clock::system();
        let ingest = Ingest::start_with(&self.paths, &clock, self.limits.clone());
        self.ingest = Some(ingest.unwrap());
    }

    fn ingest(&self) -> &Ingest {
        self.ingest.as_ref().unwrap()
    }

    fn fifo(&self, id: &InstanceId, generation: Generation, stream: Stream) -> PathBuf {
        self.paths.fifo(id, generation, stream)
    }

    /// Begins a run's stream and opens it as a program would.
    async fn open(&self, id: &InstanceId, generation: Generation, stream: Stream) -> File {
        let fifo = self.fifo(id, generation, stream);
        self.ingest()
            .attach(id, generation, stream, &fifo)
            .await
            .unwrap();
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        File::from(rustix::fs::open(fifo, flags, Mode::empty()).unwrap())
    }

    async fn drained(&self, id: &InstanceId, generation: Generation) {
        let before = Instant::now();
        self.ingest()
            .drained(id, generation, Duration::from_secs(60))
            .await;
        assert!(before.elapsed() < Duration::from_secs(59), "it never ended");
    }

    fn source(&self, id: &InstanceId) -> Source {
        Source {
            instance: id.clone(),
            streams: Stream::BOTH.to_vec(),
            folder: self.paths.logs(),
        }
    }

    fn ask(&self, id: &InstanceId, query: &LogQuery) -> LogPage {
        super::query(&self.paths, &[self.source(id)], query).unwrap()
    }

    fn all(&self, id: &InstanceId) -> Vec<String> {
        let lines = usize::MAX;
        texts(&self.ask(id, &LogQuery { lines, ..query() }))
    }

    /// What lies in the logs folder, for messages of failed tests.
    fn files(&self) -> String {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.paths.logs()).unwrap() {
            let entry = entry.unwrap();
            // A compressed segment takes the place of a plain one at any time.
            let Ok(size) = entry.metadata().map(|metadata| metadata.len()) else {
                continue;
            };
            let mut text = format!("{} {size}", entry.file_name().display());
            if let Ok(Some(mut index)) = side::Index::open(&entry.path()) {
                let header = index.header;
                text.push_str(&format!(" {header:?} last {:?}", index.last().unwrap()));
            }
            files.push(text);
        }
        files.sort();
        files.join("\n")
    }

    /// Asks until the answer is as expected.
    async fn until<T: std::fmt::Debug>(&self, get: impl Fn() -> T, good: impl Fn(&T) -> bool) {
        // Long, since it is only waited for on a machine that does much else.
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let now = get();
            if good(&now) {
                return;
            }
            assert!(Instant::now() < deadline, "still {now:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// How many random texts are thrown at what reads text from outside: few in an ordinary run,
/// as many as `MHOST_RANDOM` says in one by hand.
pub(super) fn random_rounds() -> usize {
    let asked = std::env::var("MHOST_RANDOM").ok();
    asked.map_or(4_000, |asked| asked.parse().expect("a number"))
}

fn query() -> LogQuery {
    LogQuery::default()
}

fn id(name: &str) -> InstanceId {
    InstanceId::new(name.parse().unwrap(), 0)
}

fn texts(page: &LogPage) -> Vec<String> {
    page.lines.iter().map(|line| line.message.clone()).collect()
}

/// Another thread writes, as a program would; it closes its end when it is done.
fn writer(
    mut file: File,
    write: impl FnOnce(&mut File) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || write(&mut file))
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

/// What was printed is there, in order, with its bytes, after the run ended.
#[tokio::test]
async fn a_run_is_kept_to_its_last_byte() {
    let rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    let mut err = rig.open(&api, 1, Stream::Err).await;
    out.write_all(b"hello\r\nbad \xff\xfe bytes\nno end")
        .unwrap();
    drop(out);
    err.write_all(b"oops\n").unwrap();
    drop(err);
    rig.drained(&api, 1).await;
    let mut lines = rig.all(&api);
    lines.sort();
    assert_eq!(
        lines,
        ["bad \u{fffd}\u{fffd} bytes", "hello", "no end", "oops"]
    );
    let raw = std::fs::read(rig.paths.segment(&api, Stream::Out)).unwrap();
    assert_eq!(raw, b"hello\r\nbad \xff\xfe bytes\nno end");
    assert_eq!(rig.ingest().bytes(&api), raw.len() as u64 + 5);
    assert_eq!(
        rig.ingest().bytes_in(&api, Duration::from_secs(60)),
        raw.len() as u64 + 5
    );
    assert!(!rig.fifo(&api, 1, Stream::Out).exists());
    assert!(!rig.fifo(&api, 1, Stream::Err).exists());
    let only = LogQuery {
        stream: Some(Stream::Err),
        ..query()
    };
    assert_eq!(texts(&rig.ask(&api, &only)), ["oops"]);
}

/// A run goes on in the segment of the one before, but never in its unfinished line.
#[tokio::test]
async fn runs_do_not_share_lines() {
    let rig = Rig::new();
    let api = id("api");
    for run in 1..=3 {
        let mut out = rig.open(&api, run, Stream::Out).await;
        let _err = rig.open(&api, run, Stream::Err).await;
        write!(out, "run {run} begins\nrun {run} ends").unwrap();
        drop((out, _err));
        rig.drained(&api, run).await;
    }
    let mut expected = Vec::new();
    for run in 1..=3 {
        expected.extend([format!("run {run} begins"), format!("run {run} ends")]);
    }
    assert_eq!(rig.all(&api), expected);
    let tail = |run, n| rig.ingest().tail(&api, run, Stream::Out, n);
    assert_eq!(tail(3, 10), expected[4..]);
    assert_eq!(tail(3, 1), ["run 3 ends"]);
    // A run that prints nothing has no last lines, whatever the one before said.
    drop(rig.open(&api, 4, Stream::Out).await);
    rig.drained(&api, 4).await;
    assert!(rig.ingest().tail(&api, 4, Stream::Out, 10).is_empty());
    // The next run may have begun when the last words of one are asked for.
    assert_eq!(rig.ingest().tail(&api, 3, Stream::Out, 10), expected[4..]);
}

/// A run whose program was never started, or ended while nobody looked, ends all the same.
#[tokio::test]
async fn a_stream_nobody_opened_is_drained() {
    let rig = Rig::new();
    let api = id("api");
    let fifo = rig.fifo(&api, 1, Stream::Out);
    for _ in 0..2 {
        rig.ingest()
            .attach(&api, 1, Stream::Out, &fifo)
            .await
            .unwrap();
    }
    assert!(fifo.exists());
    rig.drained(&api, 1).await;
    assert!(!fifo.exists());
    std::fs::write(&fifo, "not a fifo").unwrap();
    assert!(
        rig.ingest()
            .attach(&api, 1, Stream::Out, &fifo)
            .await
            .is_err()
    );
}

/// A grandchild that keeps the stream does not keep the supervisor, and is still captured.
#[tokio::test]
async fn waiting_for_a_stream_that_stays_open_has_a_limit() {
    let rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"early\n").unwrap();
    rig.ingest()
        .drained(&api, 1, Duration::from_millis(50))
        .await;
    assert_eq!(rig.all(&api), ["early"]);
    out.write_all(b"late\n").unwrap();
    rig.until(|| rig.all(&api), |lines| lines.len() == 2).await;
}

/// One line of 10 MB is cut when it is shown and whole in the segment, and what comes after
/// it is not harmed.
#[tokio::test]
async fn a_giant_line_is_cut_when_shown() {
    let rig = Rig::new();
    let api = id("api");
    let out = rig.open(&api, 1, Stream::Out).await;
    let done = writer(out, |out| {
        out.write_all(b"before\n").unwrap();
        for _ in 0..10 {
            out.write_all(&vec![b'x'; 1 << 20]).unwrap();
        }
        out.write_all(b"\nafter\n").unwrap();
    });
    rig.drained(&api, 1).await;
    done.join().unwrap();
    let segment = std::fs::metadata(rig.paths.segment(&api, Stream::Out)).unwrap();
    assert_eq!(segment.len(), (10 << 20) + 14);
    let page = rig.ask(&api, &query());
    let cut: Vec<_> = page
        .lines
        .iter()
        .map(|line| (line.message.len(), line.truncated))
        .collect();
    assert_eq!(cut, [(6, false), (64 << 10, true), (5, false)]);
    // The same forwards, and line by line from each id.
    let mut after = page.lines[0].id.clone();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let page = rig.ask(
            &api,
            &LogQuery {
                after: Some(after),
                lines: 1,
                ..query()
            },
        );
        after = page.lines[0].id.clone();
        seen.push(page.lines[0].message.len());
    }
    assert_eq!(seen, [64 << 10, 5]);
    let grep = LogQuery {
        grep: Some("^x+|after".into()),
        context: 1,
        ..query()
    };
    assert_eq!(rig.ask(&api, &grep).lines.len(), 3);
}

/// Twenty programs at once: each stream in its order, and all merged by time.
#[tokio::test]
async fn many_writers_keep_their_order() {
    let rig = Rig::new();
    let mut threads = Vec::new();
    let ids: Vec<InstanceId> = (0..20)
        .map(|n| InstanceId::new("web".parse().unwrap(), n))
        .collect();
    for id in &ids {
        let out = rig.open(id, 1, Stream::Out).await;
        threads.push(writer(out, |out| {
            for n in 0..5_000 {
                writeln!(out, "line {n}").unwrap();
            }
        }));
    }
    for id in &ids {
        rig.drained(id, 1).await;
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    for id in &ids {
        assert_eq!(rig.all(id), numbers(0..5_000));
    }
    let sources: Vec<Source> = ids.iter().map(|id| rig.source(id)).collect();
    let everything = LogQuery {
        lines: usize::MAX,
        ..query()
    };
    let page = super::query(&rig.paths, &sources, &everything).unwrap();
    assert_eq!(page.lines.len(), 100_000);
    assert!(page.lines.is_sorted_by_key(|line| line.ts));
    // A follower that reads it in small pages sees the same lines in the same order.
    let first = LogQuery {
        lines: 0,
        until: Some(Timestamp::UNIX_EPOCH),
        ..query()
    };
    let mut after = super::query(&rig.paths, &[], &first).unwrap().next;
    after.replace_range(1.., "0");
    let mut walked = Vec::new();
    loop {
        let step = LogQuery {
            after: Some(after),
            lines: 7_001,
            ..query()
        };
        let page = super::query(&rig.paths, &sources, &step).unwrap();
        after = page.next;
        if page.lines.is_empty() {
            break;
        }
        walked.extend(page.lines);
    }
    assert_eq!(walked.len(), page.lines.len());
    assert!(walked == page.lines);
}

/// The daemon goes away again and again while a program prints: no line is lost or doubled.
#[tokio::test]
async fn restarts_lose_nothing() {
    let mut rig = Rig::with(Limits {
        raw_max_size: 200_000,
        raw_keep: 100,
        ..Limits::default()
    });
    let api = id("api");
    let out = rig.open(&api, 7, Stream::Out).await;
    let fifo = rig.fifo(&api, 7, Stream::Out);
    let nothing = LogQuery {
        lines: 0,
        ..query()
    };
    let mut next = rig.ask(&api, &nothing).next;
    // As the guard does: the program may end while nobody reads.
    let held = super::stream::open_fifo(&fifo).unwrap();
    let thread = writer(out, |out| {
        for n in 0..100_000 {
            writeln!(out, "line {n}").unwrap();
        }
    });
    let mut followed = Vec::new();
    for _ in 0..20 {
        rig.restart();
        rig.ingest()
            .attach(&api, 7, Stream::Out, &fifo)
            .await
            .unwrap();
        let before = rig.ingest().bytes(&api);
        rig.until(
            || rig.ingest().bytes(&api),
            |now| *now > before || thread.is_finished(),
        )
        .await;
        let page = rig.ask(
            &api,
            &LogQuery {
                after: Some(next),
                lines: usize::MAX,
                ..query()
            },
        );
        next = page.next.clone();
        followed.extend(texts(&page));
    }
    thread.join().unwrap();
    rig.drained(&api, 7).await;
    drop(held);
    let kept = rig.all(&api);
    let wrong = kept
        .iter()
        .enumerate()
        .find(|(n, line)| **line != format!("line {n}"));
    assert_eq!((kept.len(), wrong), (100_000, None), "{}", rig.files());
    let rest = rig.ask(
        &api,
        &LogQuery {
            after: Some(next),
            lines: usize::MAX,
            ..query()
        },
    );
    followed.extend(texts(&rest));
    let wrong = followed
        .iter()
        .enumerate()
        .find(|(n, line)| **line != format!("line {n}"));
    assert_eq!((followed.len(), wrong), (100_000, None), "{}", rig.files());
    let ids: std::collections::BTreeSet<_> = rig
        .ask(
            &api,
            &LogQuery {
                lines: usize::MAX,
                ..query()
            },
        )
        .lines
        .into_iter()
        .map(|line| line.id)
        .collect();
    assert_eq!(ids.len(), 100_000);
}

/// Segments are sealed, the oldest are deleted, and a follower sees every line.
/// Whoever removes log files to get room loses what was in them, and not what comes after.
#[tokio::test]
async fn removed_files_begin_anew() {
    let rig = Rig::with(Limits::default());
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    let sources = [rig.source(&api)];
    let newest = || {
        let page = super::query(&rig.paths, &sources, &query()).unwrap();
        texts(&page).last().cloned().unwrap_or_default()
    };
    writeln!(out, "old").unwrap();
    rig.until(newest, |line| line == "old").await;
    std::fs::remove_dir_all(rig.paths.logs()).unwrap();
    let mut n = 0;
    let more = || {
        n += 1;
        writeln!(out, "new {n}").unwrap();
        newest()
    };
    let more = std::cell::RefCell::new(more);
    rig.until(|| (more.borrow_mut())(), |line| line.starts_with("new"))
        .await;
}

#[tokio::test]
async fn rotation_bounds_the_disk_and_spares_followers() {
    let rig = Rig::with(Limits {
        raw_max_size: 100_000,
        raw_keep: 3,
        ..Limits::default()
    });
    let api = id("api");
    let out = rig.open(&api, 1, Stream::Out).await;
    let mut follower = Follower::new(&rig.paths, rig.ingest(), query());
    let sources = [rig.source(&api)];
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let thread = writer(out, move |out| {
        for n in 0..60_000 {
            // In steps, so that the follower is never further behind than what is kept.
            if n % 10_000 == 0 {
                wait.recv().unwrap();
            }
            writeln!(out, "line {n}").unwrap();
        }
    });
    let mut seen = Vec::new();
    assert!(follower.next(&sources).await.unwrap().lines.is_empty());
    for step in 1..=6 {
        go.send(()).unwrap();
        while seen.len() < step * 10_000 {
            seen.extend(texts(&follower.next(&sources).await.unwrap()));
        }
    }
    thread.join().unwrap();
    assert!(seen == numbers(0..60_000));
    rig.drained(&api, 1).await;
    let sealed: Vec<_> = std::fs::read_dir(rig.paths.logs())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".log") && name != "api-0.out.log")
        .collect();
    assert_eq!(sealed.len(), 3, "{sealed:?}");
    let kept = rig.all(&api);
    assert!(kept.len() > 20_000 && kept.len() < 60_000);
    assert!(kept == numbers(60_000 - kept.len() as u32..60_000));
}

/// A crash in the middle of a rotation is repaired at the next start.
#[tokio::test]
async fn a_rotation_cut_short_is_finished() {
    let mut rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"one\ntwo\n").unwrap();
    rig.until(|| rig.all(&api), |lines| lines.len() == 2).await;
    let next = rig.ask(&api, &query()).next;
    rig.ingest = None;
    let log = rig.paths.segment(&api, Stream::Out);
    let (index, sealed) = (log.with_extension("idx"), log.with_extension("1.log"));
    // After the first step: only the log has its new name.
    std::fs::rename(&log, &sealed).unwrap();
    assert_eq!(rig.all(&api), ["one", "two"]);
    // After the second step.
    std::fs::hard_link(&index, log.with_extension("1.idx")).unwrap();
    assert_eq!(rig.all(&api), ["one", "two"]);
    rig.restart();
    let fifo = rig.fifo(&api, 1, Stream::Out);
    rig.ingest()
        .attach(&api, 1, Stream::Out, &fifo)
        .await
        .unwrap();
    out.write_all(b"three\n").unwrap();
    drop(out);
    rig.drained(&api, 1).await;
    assert_eq!(rig.all(&api), ["one", "two", "three"]);
    assert_eq!(std::fs::read(&log).unwrap(), b"three\n");
    let rest = rig.ask(
        &api,
        &LogQuery {
            after: Some(next),
            ..query()
        },
    );
    assert_eq!(texts(&rest), ["three"]);
    // An index that was lost costs times, not lines.
    rig.ingest = None;
    std::fs::remove_file(&index).unwrap();
    rig.restart();
    drop(rig.open(&api, 2, Stream::Out).await);
    rig.drained(&api, 2).await;
    assert_eq!(rig.all(&api), ["one", "two", "three"]);
}

/// A full disk: the program goes on, what fits is kept, and a line says what is missing.
#[tokio::test]
async fn a_full_disk_does_not_stop_the_program() {
    let limits = Limits {
        memory: 10_000,
        ..Limits::default()
    };
    let full = limits.full.clone();
    let rig = Rig::with(limits);
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"before\n").unwrap();
    rig.until(|| rig.all(&api), |lines| lines.len() == 1).await;
    full.store(true, Ordering::Relaxed);
    // 3,000,000 bytes do not fit into a pipe: this would block if nobody took them.
    let line = [b'y'; 99]
        .iter()
        .copied()
        .chain(*b"\n")
        .collect::<Vec<u8>>();
    let mut out = tokio::task::spawn_blocking(move || {
        (0..30_000).for_each(|_| out.write_all(&line).unwrap());
        out
    })
    .await
    .unwrap();
    rig.until(|| rig.ingest().bytes(&api), |bytes| *bytes == 3_000_007)
        .await;
    let degraded = rig.ingest().degraded().unwrap();
    assert!(
        degraded.contains("disk full") && degraded.contains("api#0 (out)"),
        "{degraded}"
    );
    full.store(false, Ordering::Relaxed);
    rig.until(|| rig.ingest().degraded(), Option::is_none).await;
    out.write_all(b"after\n").unwrap();
    drop(out);
    rig.drained(&api, 1).await;
    let lines = rig.all(&api);
    assert_eq!(lines.len(), 1 + 100 + 1 + 1);
    assert!(
        lines[101].starts_with("[mhost] 2990000 bytes lost between 2"),
        "{}",
        lines[101]
    );
    assert!(lines[101].ends_with(": disk full"));
    assert_eq!(lines[102], "after");
}

/// A follower never gets half a line and then the rest, unless the program paused for long.
#[tokio::test]
async fn unfinished_lines_wait() {
    let rig = Rig::new();
    let mut tries = 0;
    let (api, mut out, began, page) = loop {
        let api = InstanceId::new("api".parse().unwrap(), tries);
        let mut out = rig.open(&api, 1, Stream::Out).await;
        let began = Instant::now();
        out.write_all(b"one\nprompt> ").unwrap();
        rig.until(|| rig.ingest().bytes(&api), |bytes| *bytes == 12)
            .await;
        let page = rig.ask(&api, &query());
        // Else the machine has paused for longer than a program may.
        if began.elapsed() < Duration::from_millis(800) {
            break (api, out, began, page);
        }
        tries += 1;
    };
    assert_eq!(texts(&page), ["one"]);
    let ask = |after: &str| {
        rig.ask(
            &api,
            &LogQuery {
                after: Some(after.to_owned()),
                ..query()
            },
        )
    };
    rig.until(|| texts(&ask(&page.next)), |lines| *lines == ["prompt> "])
        .await;
    assert!(began.elapsed() > Duration::from_millis(900));
    let partial = ask(&page.next);
    out.write_all(b"yes\n").unwrap();
    rig.until(|| texts(&ask(&partial.next)), |lines| *lines == ["yes"])
        .await;
    assert_eq!(texts(&ask(&partial.lines[0].id)), ["yes"]);
    assert_eq!(rig.all(&api), ["one", "prompt> yes"]);
}

/// A program starts and goes on although the disk had no room for its files, and what it
/// printed is there when it has.
#[tokio::test]
async fn a_program_starts_on_a_full_disk() {
    let rig = Rig::new();
    let api = id("api");
    rig.limits.full.store(true, Ordering::Relaxed);
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"one\ntwo\n").unwrap();
    drop(out);
    rig.until(|| rig.ingest().degraded(), Option::is_some).await;
    assert!(rig.all(&api).is_empty());
    rig.limits.full.store(false, Ordering::Relaxed);
    rig.drained(&api, 1).await;
    assert_eq!(rig.all(&api), ["one", "two"]);
}

/// Who only waits for news learns of an unfinished line, too.
#[tokio::test]
async fn an_unfinished_line_is_news() {
    let rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    let mut grew = rig.ingest().grew();
    out.write_all(b"prompt> ").unwrap();
    while rig.all(&api).is_empty() {
        let news = tokio::time::timeout(Duration::from_secs(60), grew.changed());
        news.await.expect("there was no news").unwrap();
    }
    assert_eq!(rig.all(&api), ["prompt> "]);
}

/// Hundreds of runs that end at once are each told of their end.
#[tokio::test]
async fn many_runs_end_at_once() {
    let rig = Rig::new();
    let ids: Vec<InstanceId> = (0..300)
        .map(|n| InstanceId::new("web".parse().unwrap(), n))
        .collect();
    let mut open = Vec::new();
    for id in &ids {
        let mut out = rig.open(id, 1, Stream::Out).await;
        writeln!(out, "{id}").unwrap();
        open.push(out);
    }
    let waits = ids.iter().map(|id| rig.drained(id, 1));
    let all = futures::future::join_all(waits);
    drop(open);
    all.await;
    for id in &ids {
        assert_eq!(rig.all(id), [id.to_string()]);
    }
    assert_eq!(std::fs::read_dir(rig.paths.run()).unwrap().count(), 0);
}
