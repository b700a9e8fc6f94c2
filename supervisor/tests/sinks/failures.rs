//! Servers that hang, refuse, talk nonsense and go away; and sinks that come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use supervisor::Stream;
use supervisor::sinks::SinkState;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::http::Server;
use crate::rig::{PATIENCE, Rig, until};

fn loki(name: &str, port: u16, more: &str) -> String {
    format!(
        "[sinks.{name}]\ntype = \"loki\"\nurl = \"http://ana:s3cr3tpw@127.0.0.1:{port}\"\nflush = \"20ms\"\n{more}\n"
    )
}

/// The lines that a server got, in order.
fn lines(server: &Server) -> Vec<String> {
    let mut lines = Vec::new();
    for asked in server.asked() {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        for stream in body["streams"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                lines.push(value[1].as_str().unwrap().to_owned());
            }
        }
    }
    lines
}

/// One sink hangs, one is refused, one gets nonsense: the good one and the program notice
/// nothing, and each says what is wrong without a secret.
#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_one_is_nobody_elses() {
    let good = Server::start(|_| (204, String::new())).await;
    let nonsense = Server::start(|_| (200, "<html>s3cr3tpw</html>".to_owned())).await;
    let angry = Server::start(|_| (401, "wrong password s3cr3tpw".to_owned())).await;
    // Takes connections and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging_port = hanging.local_addr().unwrap().port();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing_port = closed.local_addr().unwrap().port();
    drop(closed);
    let settings = [
        loki("good", good.port, ""),
        loki("hanging", hanging_port, "timeout = \"200ms\"\nqueue = 1000"),
        loki("refusing", refusing_port, "queue = 1000"),
        loki("angry", angry.port, "queue = 1000"),
        loki("nonsense", nonsense.port, "index = \"x\"").replace("\"loki\"", "\"elasticsearch\""),
    ];
    let rig = Rig::new(&settings.join("\n"));
    let names = ["good", "hanging", "refusing", "angry", "nonsense"];
    rig.ready(&names).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    const LINES: usize = 5_000;
    let printing = tokio::task::spawn_blocking(move || {
        for number in 0..LINES {
            program.print(&format!("{number}\n"));
        }
        program
    });
    let _program = timeout(PATIENCE, printing).await.unwrap().unwrap();
    rig.until("good", |sink| sink.sent == LINES as u64).await;
    let expected: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
    assert_eq!(lines(&good), expected);
    let errors = [
        ("hanging", "timeout"),
        ("refusing", "refused"),
        ("angry", "status 401: wrong password ***"),
        ("nonsense", "the answer is not that of a bulk request"),
    ];
    for (name, error) in errors {
        rig.until(name, |sink| {
            sink.failures > 0 && sink.queued + sink.dropped == LINES as u64
        })
        .await;
        let status = rig.status(name);
        assert_eq!(status.last_error.as_deref(), Some(error), "{name}");
        assert_eq!((status.state, status.sent), (SinkState::Down, 0), "{name}");
        assert!(status.queued <= 1_500 || name == "nonsense", "{status:?}");
        assert!(!format!("{status:?}").contains("s3cr3tpw"));
    }
    drop(hanging);
}

/// 100,000 lines through a sink that is far too slow: what waits is bounded, and every line
/// was sent, waits or was counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sink_drops_its_oldest_and_counts_them() {
    const LINES: u64 = 100_000;
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = slow.local_addr().unwrap().port();
    // Reads a little, then a little more.
    tokio::spawn(async move {
        let mut buffer = vec![0; 4 << 10];
        while let Ok((mut stream, _)) = slow.accept().await {
            while stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let rig = Rig::new(&format!(
        "[sinks.slow]\ntype = \"gelf\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"tcp\"\nqueue = 2000\nflush = \"20ms\"\ntimeout = \"300ms\""
    ));
    rig.ready(&["slow"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    let text = "a line of a usual length, as programs print it when they have something to say";
    let printing = tokio::task::spawn_blocking(move || {
        for number in 0..LINES {
            program.print(&format!("{number} {text}\n"));
        }
        program
    });
    let mut most = 0;
    until(
        || {
            let status = rig.status("slow");
            most = most.max(status.queued);
            status.sent + status.queued + status.dropped == LINES
        },
        || format!("{:?}", rig.status("slow")),
    )
    .await;
    let _program = printing.await.unwrap();
    let status = rig.status("slow");
    assert!(most <= 2_000 + 500, "{most} lines waited");
    assert!(status.dropped > 50_000, "{status:?}");
}

/// A server that takes what it gets loses nothing to a flood, however small the queue: the
/// lines wait in the log files.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_up_gets_every_line_of_a_flood() {
    const LINES: usize = 30_000;
    let server = Server::start(|_| (204, String::new())).await;
    let rig = Rig::new(&loki("l", server.port, "queue = 100\nbatch = 100"));
    rig.ready(&["l"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    let printing = tokio::task::spawn_blocking(move || {
        for number in 0..LINES {
            program.print(&format!("{number}\n"));
        }
        program
    });
    rig.until("l", |sink| sink.sent + sink.dropped >= LINES as u64)
        .await;
    let _program = printing.await.unwrap();
    assert_eq!(rig.status("l").dropped, 0);
    let expected: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
    assert_eq!(lines(&server), expected);
}

/// A server that closes in the middle of a batch gets all of it on its next connection.
#[tokio::test]
async fn a_connection_that_breaks_in_a_batch_loses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::new(&format!(
        "[sinks.s]\ntype = \"syslog\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"tcp\"\nflush = \"20ms\""
    ));
    rig.ready(&["s"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    for number in 0..300 {
        program.print(&format!("line {number} of a batch\n"));
    }
    // The system has taken all of it, and this server reads ten bytes.
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut ten = [0; 10];
    stream.read_exact(&mut ten).await.unwrap();
    drop(stream);
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !String::from_utf8_lossy(&bytes).contains("line 299 of a batch") {
        let read = tokio::time::timeout_at(deadline, stream.read_buf(&mut bytes)).await;
        assert!(read.expect("in time").unwrap() > 0);
    }
    let text = String::from_utf8(bytes).unwrap();
    let got: BTreeSet<usize> = text
        .split("line ")
        .filter_map(|rest| rest.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(got, (0..300).collect());
    rig.until("s", |sink| sink.sent == 300).await;
}

/// What was not sent when the daemon ended is sent by the next one, and nothing twice.
#[tokio::test]
async fn a_new_daemon_goes_on_where_the_old_one_was() {
    let server = Server::start(|_| (204, String::new())).await;
    let up = loki("l", server.port, "");
    let down = loki("l", 1, "");
    let rig = Rig::new(&up);
    rig.ready(&["l"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("1\n2\n");
    rig.until("l", |sink| sink.sent == 2).await;
    // Other settings of the same sink: it keeps its place.
    rig.reload(&down);
    rig.until("l", |sink| sink.state == SinkState::Idle).await;
    program.print("3\n4\n");
    rig.until("l", |sink| {
        (sink.state, sink.queued) == (SinkState::Down, 2)
    })
    .await;
    let rig = rig.restart(&down).await;
    rig.ready(&["l"]).await;
    drop(program);
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("5\n");
    rig.until("l", |sink| sink.queued == 3).await;
    let rig = rig.restart(&up).await;
    rig.ready(&["l"]).await;
    rig.until("l", |sink| sink.sent == 3).await;
    assert_eq!(lines(&server), ["1", "2", "3", "4", "5"]);
}

/// Sinks come and go with the settings; one that did not change is not disturbed.
#[tokio::test]
async fn settings_are_followed() {
    let server = Server::start(|_| (204, String::new())).await;
    let other = Server::start(|_| (204, String::new())).await;
    let first = loki("first", server.port, "");
    let second = loki("second", other.port, "");
    let rig = Rig::new(&first);
    rig.ready(&["first"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print("1\n");
    rig.until("first", |sink| sink.sent == 1).await;
    rig.reload(&format!("{first}\n{second}"));
    rig.ready(&["second"]).await;
    // A new sink begins with what comes.
    let begun = rig.clock.now();
    until(|| rig.clock.now() > begun, || "the clock stands".to_owned()).await;
    program.print("2\n");
    rig.until("second", |sink| sink.sent == 1).await;
    rig.until("first", |sink| sink.sent == 2).await;
    rig.reload(&format!("{first}enabled = false\n{second}"));
    rig.until("first", |sink| sink.state == SinkState::Off)
        .await;
    program.print("3\n");
    rig.until("second", |sink| sink.sent == 2).await;
    rig.reload(&first);
    until(|| rig.names() == ["first"], || format!("{:?}", rig.names())).await;
    // Switched on again, it catches up.
    rig.until("first", |sink| sink.sent == 3).await;
    assert_eq!(lines(&server), ["1", "2", "3"]);
    assert_eq!(lines(&other), ["2", "3"]);
}
