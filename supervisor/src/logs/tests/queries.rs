//! What queries select, and what deleting does to them.

use super::*;

/// Time bounds, patterns and lines around hits.
#[tokio::test]
async fn queries_select() {
    let rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    let mut times = Vec::new();
    for block in 0..4u32 {
        times.push(Clock::system().now());
        // Bounds are inclusive to the millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
        for n in block * 50_000..(block + 1) * 50_000 {
            writeln!(out, "line {n}").unwrap();
        }
        let end = format!("line {}", (block + 1) * 50_000 - 1);
        rig.until(
            || rig.ingest().tail(&api, 1, Stream::Out, 1),
            |last| *last == [end.clone()],
        )
        .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(out);
    rig.drained(&api, 1).await;
    assert_eq!(rig.all(&api), numbers(0..200_000));
    let last = rig.ask(&api, &query());
    assert_eq!(texts(&last), numbers(199_900..200_000));
    let middle = LogQuery {
        since: Some(times[1]),
        until: Some(times[3]),
        lines: usize::MAX,
        ..query()
    };
    assert_eq!(texts(&rig.ask(&api, &middle)), numbers(50_000..150_000));
    let grep = |pattern: &str, context, lines| {
        texts(&rig.ask(
            &api,
            &LogQuery {
                grep: Some(pattern.into()),
                context,
                lines,
                ..query()
            },
        ))
    };
    assert_eq!(grep("^line 77$", 0, 100), ["line 77"]);
    assert_eq!(
        grep(" 1999[0-9]7$", 0, 3),
        ["line 199977", "line 199987", "line 199997"]
    );
    assert_eq!(grep("line (5|8)$", 2, 10), numbers(3..11));
    assert_eq!(
        grep("line (0|5)$", 1, 10),
        [numbers(0..2), numbers(4..7)].concat()
    );
    assert!(grep("nothing", 3, 10).is_empty());
    let page = rig.ask(
        &api,
        &LogQuery {
            grep: Some("line 5$".into()),
            context: 1,
            ..query()
        },
    );
    assert_eq!(
        page.lines.iter().map(|l| l.context).collect::<Vec<_>>(),
        [true, false, true]
    );
    // In pages, with a pattern, context over the end of a page included.
    let mut after = rig
        .ask(
            &api,
            &LogQuery {
                until: Some(times[0]),
                ..query()
            },
        )
        .next;
    after.replace_range(.., "@0");
    let mut seen = Vec::new();
    loop {
        let step = LogQuery {
            after: Some(after),
            lines: 1,
            grep: Some("line 1?00(01|04)$".into()),
            context: 2,
            ..query()
        };
        let page = rig.ask(&api, &step);
        after = page.next.clone();
        if page.lines.is_empty() {
            break;
        }
        seen.extend(texts(&page));
    }
    assert_eq!(seen, numbers(9_999..10_007));
    assert!(
        crate::logs::query(
            &rig.paths,
            &[],
            &LogQuery {
                grep: Some("(".into()),
                ..query()
            }
        )
        .is_err()
    );
    let bad = crate::logs::query(
        &rig.paths,
        &[],
        &LogQuery {
            after: Some("?".into()),
            ..query()
        },
    );
    assert_eq!(bad.unwrap_err().code(), "bad_cursor");
}

/// Emptied logs are empty, deleted ones are gone, and a follower goes on in both cases.
#[tokio::test]
async fn flush_and_remove() {
    let rig = Rig::new();
    let api = id("api");
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"one\ntwo\n").unwrap();
    rig.until(|| rig.all(&api), |lines| lines.len() == 2).await;
    let next = rig.ask(&api, &query()).next;
    rig.ingest().flush(&api).await.unwrap();
    assert!(rig.all(&api).is_empty());
    out.write_all(b"three\n").unwrap();
    rig.until(|| rig.all(&api), |lines| *lines == ["three"])
        .await;
    let page = rig.ask(
        &api,
        &LogQuery {
            after: Some(next),
            ..query()
        },
    );
    assert_eq!(texts(&page), ["three"]);
    rig.ingest().remove(&api).await.unwrap();
    assert!(rig.all(&api).is_empty());
    assert_eq!(std::fs::read_dir(rig.paths.logs()).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(rig.paths.run()).unwrap().count(), 0);
    let mut out = rig.open(&api, 1, Stream::Out).await;
    out.write_all(b"four\n").unwrap();
    rig.until(|| rig.all(&api), |lines| *lines == ["four"])
        .await;
    let page = rig.ask(
        &api,
        &LogQuery {
            after: Some(page.next),
            ..query()
        },
    );
    assert_eq!(texts(&page), ["four"]);
    rig.ingest().stop();
    assert!(rig.ingest().flush(&api).await.is_err());
}

/// An answer has its bounds, however many lines are asked for; what is older comes with another
/// question, and a follower gets all of it.
#[tokio::test]
async fn an_answer_has_its_bounds() {
    let rig = Rig::new();
    let api = id("api");
    let out = rig.open(&api, 1, Stream::Out).await;
    let thread = writer(out, |out| {
        let long = "x".repeat(60_000);
        for n in 0..1_000 {
            writeln!(out, "{n} {long}").unwrap();
        }
    });
    rig.drained(&api, 1).await;
    thread.join().unwrap();
    let number = |line: &LogLine| -> u32 {
        let number = line.message.split(' ').next().unwrap();
        number.parse().unwrap()
    };
    let numbers = |page: &LogPage| page.lines.iter().map(number).collect::<Vec<_>>();
    let many = LogQuery {
        lines: 2_000,
        ..query()
    };
    let page = rig.ask(&api, &many);
    let newest = numbers(&page);
    assert!(page.cut && newest.len() < 1_000 && newest.last() == Some(&999));
    let until = Some(page.lines[0].ts);
    let older = rig.ask(
        &api,
        &LogQuery {
            until,
            ..many.clone()
        },
    );
    assert!(!older.cut);
    let all: std::collections::BTreeSet<u32> = numbers(&older).into_iter().chain(newest).collect();
    assert!(all.into_iter().eq(0..1_000));
    let (mut after, mut followed) = (Some(older.lines[0].id.clone()), vec![0]);
    loop {
        let page = rig.ask(
            &api,
            &LogQuery {
                after,
                ..many.clone()
            },
        );
        followed.extend(numbers(&page));
        after = Some(page.next);
        if !page.cut {
            break;
        }
    }
    assert!(followed.into_iter().eq(0..1_000));
    // Lines around hits need room, too: those of the newest hit come first.
    let around = LogQuery {
        grep: Some("^(300|600) ".into()),
        context: MOST_CONTEXT,
        ..many.clone()
    };
    let page = rig.ask(&api, &around);
    let (near, hits): (Vec<_>, Vec<_>) = page.lines.iter().partition(|line| line.context);
    assert!(page.cut && near.len() < 998, "{}", near.len());
    assert_eq!(hits.into_iter().map(number).collect::<Vec<_>>(), [300, 600]);
    assert_eq!(page.lines.last().map(number), Some(999));
    let after = Some(older.lines[0].id.clone());
    let page = rig.ask(&api, &LogQuery { after, ..around });
    assert!(page.cut && page.lines.len() < 999, "{}", page.lines.len());
}
