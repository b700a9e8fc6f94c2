//! How fast output is captured and searched: `cargo bench -p supervisor --bench logs`.
//!
//! One program prints 2,000,000 lines of 110 bytes through one stream; then the log is asked
//! the usual questions. Give another number of lines as the argument, and another folder with
//! `MHOST_BENCH_DIR` (on a disk, since a folder in memory says little).

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::disallowed_macros, reason = "it prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use supervisor::logs::{Ingest, LogQuery, Source, query};
use supervisor::{Clock, InstanceId, Paths, Stream};

/// Time the ingest thread ran, from the scheduler's own count.
fn ingest_cpu() -> Option<Duration> {
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        if std::fs::read_to_string(task.join("comm")).ok()?.trim() == "ingest" {
            let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
            let nanos = stat.split_whitespace().next()?.parse().ok()?;
            return Some(Duration::from_nanos(nanos));
        }
    }
    None
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let lines: u64 = asked.unwrap_or(2_000_000);
    let folder = std::env::var_os("MHOST_BENCH_DIR").unwrap_or_else(|| ".".into());
    let home = tempfile::tempdir_in(folder)?;
    let paths = Paths::new(home.path())?;
    paths.create()?;
    let ingest = Ingest::start(&paths, &Clock::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let instance = InstanceId::new("flood".parse()?, 0);
    let fifo = paths.fifo(&instance, 1, Stream::Out);
    runtime.block_on(ingest.attach(&instance, 1, Stream::Out, &fifo))?;

    let began = Instant::now();
    let mut out = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&fifo)?;
    let mut line = [b'.'; 110];
    line[109] = b'\n';
    for number in 0..lines {
        // As a program does that writes each line at once.
        write!(&mut line[..20], "line {number:>14}")?;
        out.write_all(&line)?;
    }
    let printed = began.elapsed();
    drop(out);
    runtime.block_on(ingest.drained(&instance, 1, Duration::from_secs(60)));
    let kept = began.elapsed();
    let rate = |time: Duration| (lines as f64 / time.as_secs_f64()) as u64;
    println!("{lines} lines of 110 bytes, a write each");
    println!(
        "  printed   {printed:>10.1?}  {:>10} lines/s",
        rate(printed)
    );
    println!("  kept      {kept:>10.1?}  {:>10} lines/s", rate(kept));
    if let Some(cpu) = ingest_cpu() {
        println!("  ingest    {cpu:>10.1?}  of processor time");
    }
    if let Some(problem) = ingest.degraded() {
        println!("  {problem}");
    }

    let sources = [Source {
        instance,
        streams: Stream::BOTH.to_vec(),
        folder: paths.logs(),
    }];
    let grep = |pattern: &str| LogQuery {
        grep: Some(pattern.to_owned()),
        ..LogQuery::default()
    };
    let last = format!("line {:>14}", lines - 1);
    let questions = [
        ("the last 100 lines", LogQuery::default()),
        ("the last line by its text", grep(&last)),
        ("a word that is nowhere", grep("not there at all")),
        ("a pattern without a literal", grep("[A-Z]{3}[0-9]+$")),
    ];
    for (name, question) in &questions {
        let began = Instant::now();
        let page = query(&paths, &sources, question)?;
        println!(
            "  {name:<34} {:>10.1?}  {} lines",
            began.elapsed(),
            page.lines.len()
        );
    }
    ingest.stop();
    Ok(())
}
