//! Side indices that were lost and are made anew from the lines.

use super::index::Indexed;
use super::*;

/// A line that says when it was, so many seconds ago.
fn dated(ago: i64, text: &str) -> (Timestamp, String) {
    let then = Clock::system().now().as_second() - ago;
    let then = Timestamp::from_second(then).unwrap();
    (then, format!(r#"{{"time":"{then}","msg":"{text}"}}"#))
}

/// Times come from the lines, are marked, and everything is found in the index again.
#[tokio::test(flavor = "multi_thread")]
async fn lost_times_are_made_anew_from_the_lines() {
    for is_restarted in [false, true] {
        let mut indexed = Indexed::new(Limits::default());
        let api = id("api");
        let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
        let old = dated(7_200, "old");
        let later = dated(3_600, "later");
        let wrong = Timestamp::MAX;
        let lines = [
            "no time".to_owned(),
            old.1.clone(),
            "no time either".to_owned(),
            later.1.clone(),
            format!(r#"{{"time":"{wrong}","msg":"wrong"}}"#),
            dated(5_000, "back").1,
        ];
        for line in &lines {
            writeln!(out, "{line}").unwrap();
        }
        let count = lines.len() as u64;
        indexed.until_lines(count).await;
        let before = indexed.rig.ask(&api, &query());
        assert!(before.lines.iter().all(|line| !line.guessed));
        let file = indexed.rig.paths.logs().join("api-0.out.idx");
        if is_restarted {
            indexed.pause();
            drop(out);
            indexed.rig.drained(&api, 1).await;
            indexed.rig.ingest = None;
            std::fs::remove_file(&file).unwrap();
            indexed.rig.restart();
            indexed.start();
            out = indexed.rig.open(&api, 2, Stream::Out).await;
        } else {
            std::fs::remove_file(&file).unwrap();
            indexed.index.as_ref().unwrap().rebuild();
        }
        indexed.rig.until(|| file.exists(), |there| *there).await;
        indexed.until_lines(count).await;
        assert_eq!(indexed.index.as_ref().unwrap().view().apart_bytes, 0);
        let page = indexed.rig.ask(&api, &query());
        assert_eq!(texts(&page), lines);
        assert!(page.lines.iter().all(|line| line.guessed), "{page:?}");
        if !is_restarted {
            // The capture has its own idea when it makes the file before the index could.
            let times: Vec<Timestamp> = page.lines.iter().map(|line| line.ts).collect();
            let (old, later) = (old.0, later.0);
            let said = [old, old, old, later, later, later];
            assert!(
                times == said || times.iter().all(|time| *time == times[0]),
                "{times:?}"
            );
        }
        // What comes now has its own time.
        writeln!(out, "new").unwrap();
        indexed.until_lines(count + 1).await;
        let page = indexed.rig.ask(&api, &query());
        let new = page.lines.last().unwrap();
        assert_eq!((new.message.as_str(), new.guessed), ("new", false));
        let sources = [indexed.rig.source(&api)];
        indexed.both(
            &sources,
            &LogQuery {
                search: Some("later OR new".into()),
                ..query()
            },
        );
        drop(out);
    }
}

/// A sealed segment gets its times back between those of its neighbours.
#[tokio::test(flavor = "multi_thread")]
async fn sealed_segments_get_their_times_back() {
    let mut indexed = Indexed::new(Limits {
        raw_max_size: 20_000,
        ..Limits::default()
    });
    let api = id("api");
    let mut out = indexed.rig.open(&api, 1, Stream::Out).await;
    let began = Clock::system().now();
    for n in 0..2_000 {
        let now = Clock::system().now();
        writeln!(out, r#"{{"time":"{now}","msg":"line {n}"}}"#).unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    // A guess is as good as the lines came evenly: not very, on a machine that does much else.
    let wrote = Clock::system().now().duration_since(began);
    indexed.until_lines(2_000).await;
    indexed.pause();
    let logs = indexed.rig.paths.logs();
    let before = indexed.rig.all(&api);
    for number in [2, 3] {
        std::fs::remove_file(logs.join(format!("api-0.out.{number}.idx"))).unwrap();
    }
    std::fs::write(logs.join("api-0.out.1.idx"), [0x5a; 200]).unwrap();
    indexed.start();
    let all = |rig: &Rig| {
        let lines = usize::MAX;
        rig.ask(&api, &LogQuery { lines, ..query() })
    };
    let there = || {
        (1..4).all(|n| {
            side::Index::open(&logs.join(format!("api-0.out.{n}.idx")))
                .unwrap()
                .is_some()
        })
    };
    indexed.rig.until(there, |there| *there).await;
    let page = all(&indexed.rig);
    assert_eq!(texts(&page), before);
    let guessed = page.lines.iter().filter(|line| line.guessed).count();
    assert!((500..2_000).contains(&guessed), "{guessed}");
    for line in page.lines.iter().filter(|line| line.guessed) {
        let said = record::parse(&line.message).time.unwrap();
        let off = line.ts.duration_since(said).abs();
        let allowed = jiff::SignedDuration::from_secs(2) + wrote;
        assert!(off < allowed, "{line:?}");
    }
    drop(out);
}

/// A segment that could not be opened when its stream came goes on with greater numbers: those
/// who follow know lines by them.
#[test]
fn a_segment_that_opens_late_goes_on_with_greater_numbers() {
    use crate::logs::names::Names;
    use crate::logs::segment::{Sequence, Writer};
    let folder = tempfile::tempdir().unwrap();
    let names = Names::new(folder.path(), &id("api"), Stream::Out);
    let (limits, mut sequence) = (Limits::default(), Sequence(40));
    let mut writer = Writer::open(names.clone(), 1).unwrap().0;
    writer.prepare(1, 1, &mut sequence, &limits).unwrap();
    writer.write(b"a\n", &limits).unwrap();
    let newest = sequence.0;
    let (mut late, mut sequence) = (Writer::pending(names), Sequence::default());
    late.prepare(2, 1, &mut sequence, &limits).unwrap();
    assert!(sequence.0 > newest, "{} after {newest}", sequence.0);
}
