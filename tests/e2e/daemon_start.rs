//! One daemon per home, started by whoever needs it first, and what is told when it cannot be.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::rig::home::{Home, exists, outputs, stderr, until};
use serde_json::{Value, json};

#[test]
fn commands_that_race_start_one_daemon() {
    let home = Home::new();
    let children = (0..6)
        .map(|_| home.mhost(&["list", "--json"]).spawn().unwrap())
        .collect();
    for output in outputs(children) {
        assert!(output.status.success(), "{output:?}");
    }
    let daemon = home.daemon().unwrap();
    let guard = home.guard().unwrap();
    let mut expected = vec![daemon, guard];
    expected.sort_unstable();
    // Whoever came too late may need a moment to end.
    until("one guard and one daemon", || {
        let mut strays = home.strays();
        strays.sort_unstable();
        strays == expected
    });
}

#[test]
fn what_a_dead_daemon_left_is_no_obstacle() {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    // A pid that lives and is not ours, and a socket that nobody answers on.
    std::fs::write(home.file("mhost.pid"), "1\n").unwrap();
    drop(UnixListener::bind(home.file("mhost.sock")).unwrap());
    let output = home.run(&["list"]);
    assert!(output.status.success(), "{output:?}");
    let pid = std::fs::read_to_string(home.file("mhost.pid")).unwrap();
    assert_eq!(pid.trim(), home.daemon().unwrap().to_string());
}

#[test]
fn commands_that_must_not_start_it_do_not() {
    let home = Home::new();
    for args in [
        &["daemon", "status"][..],
        &["daemon", "stop"],
        &["ping"],
        &["kill"],
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {output:?}");
    }
    let output = home
        .mhost(&["list"])
        .env("MHOST_NO_AUTOSTART", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(!exists(&home.file("mhost.sock")));
    assert!(home.strays().is_empty());
}

#[test]
fn a_home_that_cannot_be_used_is_told() {
    let home = Home::new();
    // Root may write everywhere, but nobody can make a folder under a file.
    std::fs::write(home.path(), "a file").unwrap();
    let output = home
        .mhost(&["list"])
        .env("MHOST_HOME", home.file("inside"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(stderr(&output).contains("inside"), "{output:?}");

    let output = home
        .mhost(&["list"])
        .env("MHOST_HOME", format!("/tmp/{}", "x".repeat(120)))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("MHOST_HOME"), "{output:?}");
}

#[test]
fn a_daemon_that_does_not_come_up_is_quoted() {
    let home = Home::new();
    std::fs::create_dir_all(home.file("db.sqlite/x")).unwrap();
    let output = home.run(&["list"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = stderr(&output);
    assert!(text.contains("db.sqlite"), "{text}");
    until("the guard gives up too", || home.strays().is_empty());
}

#[test]
fn another_major_version_is_refused() {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    let listener = UnixListener::bind(home.file("mhost.sock")).unwrap();
    let fake = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let request: Value = serde_json::from_str(&line).unwrap();
        let view = json!({
            "version": "99.1.2", "os": "linux", "arch": "x", "pid": 1, "uptime_ms": 1,
            "protocol": 1, "home": "/", "degraded": [],
        });
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": view });
        writeln!(stream.get_mut(), "{answer}").unwrap();
    });
    let output = home.run(&["list"]);
    fake.join().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = stderr(&output);
    assert!(
        text.contains("99.1.2") && text.contains("mhost daemon stop"),
        "{text}"
    );
}

#[test]
fn garbage_on_the_socket_does_no_harm() {
    let home = Home::new();
    assert!(home.run(&["daemon", "start"]).status.success());
    let daemon = home.daemon();
    for bytes in [
        &b"\x00\xff\xfe garbage\n"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth",
        b"[[[[[[[[[[\n",
        b"\n\n\n",
    ] {
        let mut stream = UnixStream::connect(home.file("mhost.sock")).unwrap();
        stream.write_all(bytes).unwrap();
    }
    let deep = "[".repeat(100_000);
    let mut stream = UnixStream::connect(home.file("mhost.sock")).unwrap();
    writeln!(stream, "{deep}").unwrap();
    writeln!(
        stream,
        "{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"process.nope\"}}"
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut read = || -> Value {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let mut answers = [read(), read()];
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!(answers[0]["error"]["code"], -32700);
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert!(daemon.is_some());
    assert_eq!(home.daemon(), daemon);
}
