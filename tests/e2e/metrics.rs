//! Figures: shown, kept over the daemon's life, and read by a real Prometheus.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::home::command;
use crate::rig::{PATIENCE, Rig, free_port, kill, lives, text, until};

/// The page, as a client of HTTP 1.1 gets it: its head and its body.
fn get(url: &str, method: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    // Chunks of a page that was not sent as a whole.
    assert!(head.contains("content-length"), "{head}");
    (head.to_owned(), body.to_owned())
}

/// Serves at this port of this machine.
fn serve(rig: &Rig, port: u16) -> String {
    let reply = rig.json(&["metrics", "start", "--listen", &format!("127.0.0.1:{port}")]);
    text(&reply["url"])
}

/// A process with a probe and a crash behind it, and one with two copies.
fn busy() -> Rig {
    let rig = Rig::new().config(
        r#"
[process.api]
command = "puppet sleep"
restart_delay = "0ms"
[process.api.health.script]
command = "true"
interval = "1s"
timeout = "1s"
[process.worker]
command = "puppet sleep"
instances = 2
"#,
    );
    let rig = rig.start();
    let former = rig.pid("api");
    kill(former, Signal::KILL);
    rig.until_other_pid("api", former);
    rig.until("api", "online");
    rig
}

#[test]
fn figures_are_shown_and_their_past_is_kept() {
    let rig = Rig::new().running("api", "puppet sleep");
    let sampled = || {
        let shown = rig.json(&["metrics", "show", "api"]);
        shown["metrics"][0]["memory_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0)
    };
    until("a sample", sampled);
    let table = rig.ok(&["metrics", "show"]);
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let wanted = "NAME INST CPU MEM UPTIME RESTARTS FDS SCORE THREADS PSS READ WRITTEN";
    assert_eq!(head, wanted.split(' ').collect::<Vec<_>>(), "{table}");
    let history = || {
        rig.json(&[
            "metrics", "history", "api", "--metric", "memory", "--since", "10m",
        ])
    };
    let before = history()["series"][0]["samples"].as_u64().unwrap();
    assert!(before > 0);
    // A daemon that ends well writes what it has; the next one goes on.
    let daemon = rig.daemon();
    kill(daemon, Signal::TERM);
    until("it is gone", || !lives(daemon));
    rig.ok(&["start", "api"]);
    let after = history()["series"][0]["samples"].as_u64().unwrap();
    assert!(after >= before, "{after} of {before}");
    let drawn = rig.ok(&["metrics", "history", "api", "--metric", "cpu,threads"]);
    assert!(
        drawn.contains("api:0 cpu over 1d") && drawn.contains("p95"),
        "{drawn}"
    );
    rig.fails(3, &["metrics", "history", "nobody"]);
    rig.fails(2, &["metrics", "history", "api", "--since", "yesterday"]);
}

/// What a process and its children write is counted, also of children that have ended; and
/// shared pages are divided.
#[test]
fn input_and_output_are_counted() {
    let rig = Rig::new().settings("[metrics]\ninterval = \"1s\"\n");
    let folder = rig.path("");
    if on_memory(&folder) {
        return;
    }
    rig.write(
        "write.sh",
        "sleep 3\n(dd if=/dev/zero of=out bs=1048576 count=3 2>/dev/null; sleep 3)\nexec sleep 1000\n",
    );
    let rig = rig.running("writer", "sh write.sh");
    let shown = || rig.json(&["metrics", "show", "writer"])["metrics"][0].clone();
    until("3 MiB were written", || {
        shown()["written_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes >= 3 << 20)
    });
    until("its pages are shared out", || shown()["pss_bytes"].is_u64());
    let before = shown();
    assert!(
        before["pss_bytes"].as_u64() <= before["memory_bytes"].as_u64(),
        "{before}"
    );
    // The child ends, and what it wrote stays counted once.
    until("it is alone", || shown()["threads"] == 1);
    let after = shown()["written_bytes"].as_u64().unwrap();
    assert!((3 << 20..6 << 20).contains(&after), "{after}");
    let written = rig.json(&["metrics", "history", "writer", "--metric", "written,pss"]);
    assert!(
        written["series"][0]["max"].as_f64().unwrap() > 100_000.0,
        "{written}"
    );
    assert!(
        written["series"][1]["min"].as_f64().unwrap() > 0.0,
        "{written}"
    );
    let (_, page) = get(&serve(&rig, 0), "GET");
    for line in [
        "mhost_process_written_bytes_total{name=\"writer\",instance=\"0\"} ",
        "mhost_process_read_bytes_total{name=\"writer\",instance=\"0\"} ",
        "mhost_process_pss_bytes{name=\"writer\",instance=\"0\"} ",
        "mhost_process_open_fds{name=\"writer\",instance=\"0\"} ",
        "mhost_process_threads{name=\"writer\",instance=\"0\"} 1\n",
        "# TYPE mhost_process_written_bytes_total counter",
    ] {
        assert!(page.contains(line), "no {line} in\n{page}");
    }
}

/// Nothing is written to storage below a folder that lies in memory.
fn on_memory(folder: &std::path::Path) -> bool {
    let in_memory = rustix::fs::statfs(folder).is_ok_and(|stat| stat.f_type == 0x0102_1994);
    if in_memory {
        let line = "skipped: the temporary folder lies in memory\n";
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    in_memory
}

#[test]
fn the_page_is_served_and_turned_off() {
    let rig = busy();
    let url = serve(&rig, free_port());
    until("a probe was tried", || {
        get(&url, "GET").1.contains("result=\"pass\"")
    });
    let (head, page) = get(&url, "GET");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    for line in [
        "mhost_process_status{name=\"api\",instance=\"0\",status=\"online\"} 1",
        "mhost_process_status{name=\"api\",instance=\"0\",status=\"errored\"} 0",
        "mhost_process_restarts_total{name=\"api\",instance=\"0\",reason=\"crash\"} 1",
        "mhost_process_restarts_total{name=\"worker\",instance=\"1\",reason=\"crash\"} 0",
        "mhost_process_health_score{name=\"api\"}",
        "mhost_process_uptime_seconds{name=\"worker\",instance=\"1\"}",
        "mhost_health_probe_duration_seconds_bucket{name=\"api\",instance=\"0\",probe=\"script\",le=\"0.25\"}",
        "mhost_health_probe_total{name=\"api\",probe=\"script\",result=\"pass\"}",
        "# TYPE mhost_daemon_uptime_seconds gauge",
        "mhost_build_info{version=",
        "mhost_log_index_lag_seconds ",
    ] {
        assert!(page.contains(line), "no {line} in\n{page}");
    }
    assert!(!page.contains("duration_ms"), "{page}");
    let (_, page) = get(&format!("{url}?with=ms"), "GET");
    let in_ms = "mhost_health_probe_duration_ms_bucket{name=\"api\",instance=\"0\",probe=\"script\",le=\"250\"}";
    assert!(page.contains(in_ms), "{page}");
    let elsewhere = url.replace("/metrics", "/other");
    assert!(get(&elsewhere, "GET").0.starts_with("HTTP/1.1 404"));
    assert!(get(&url, "POST").0.starts_with("HTTP/1.1 405"));
    // The next daemon serves it, too, and `stop` holds for the one after that.
    rig.kill_daemon();
    until("it is served again", || connect(&url).is_some());
    let reply = rig.json(&["metrics", "stop"]);
    assert_eq!(reply["was_served"], json!(true));
    assert!(connect(&url).is_none());
    rig.kill_daemon();
    let reply = rig.json(&["metrics", "stop"]);
    assert_eq!(reply["was_served"], json!(false));
}

fn connect(url: &str) -> Option<TcpStream> {
    let host = url.strip_prefix("http://")?.split('/').next()?;
    TcpStream::connect(host).ok()
}

/// Connections that say nothing hold nobody up: new ones wait until their time is over.
#[test]
fn silent_connections_do_not_block_the_page() {
    let rig = Rig::new();
    let url = serve(&rig, 0);
    let silent: Vec<_> = (0..40).filter_map(|_| connect(&url)).collect();
    assert_eq!(silent.len(), 40);
    // Commands go another way.
    rig.ok(&["ping"]);
    drop(silent);
    assert!(get(&url, "GET").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    if !is_there("promtool") {
        return;
    }
    let rig = busy();
    let (_, page) = get(&serve(&rig, 0), "GET");
    let mut promtool = command("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.is_empty(), "{text}\n{page}");
}

#[test]
fn a_real_prometheus_scrapes_it() {
    if !is_there("prometheus") {
        return;
    }
    let rig = busy();
    let url = serve(&rig, 0);
    let target = url.strip_prefix("http://").unwrap();
    let target = target.strip_suffix("/metrics").unwrap();
    rig.write(
        "prometheus.yml",
        &format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: mhost\n    static_configs:\n      - targets: ['{target}']\n"
        ),
    );
    let port = free_port();
    let api = format!("127.0.0.1:{port}");
    let mut prometheus = command("prometheus")
        .arg(format!(
            "--config.file={}",
            rig.path("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            rig.path("data").display()
        ))
        .arg(format!("--web.listen-address={api}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = |query: &str| {
        let mut stream = TcpStream::connect(&api).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(
            stream,
            "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: x\r\n\r\n"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        serde_json::from_str::<serde_json::Value>(body).ok()
    };
    let scraped = || {
        let value =
            answer("mhost_process_restarts_total%7Bname%3D%22api%22%2Creason%3D%22crash%22%7D");
        value.is_some_and(|value| value["data"]["result"][0]["value"][1] == json!("1"))
    };
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("Prometheus has the crash", scraped);
        let up = answer("up").unwrap();
        assert_eq!(up["data"]["result"][0]["value"][1], json!("1"), "{up}");
    }));
    let _ = prometheus.kill();
    let _ = prometheus.wait();
    seen.unwrap();
}

fn is_there(program: &str) -> bool {
    let found = command(program).arg("--version").output().is_ok();
    if !found {
        // Not by a macro: what these print is only shown for tests that fail.
        let line = format!("skipped: {program} is not installed (apt-get install prometheus)\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    found
}
