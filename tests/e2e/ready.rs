//! How a program tells that it is up: `READY=1`, a line, probes, or all of them.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Rig, home, kill, lives, parent, text, until};

/// One process `api`, which is being started and not waited for.
fn starting(table: &str) -> Rig {
    let rig = Rig::new().config(&format!("[process.api]\n{table}\n"));
    rig.ok(&["start", "--no-wait"]);
    until("it is starting", || {
        rig.status("api") == "starting" && !rig.pids("api").is_empty()
    });
    rig
}

/// Where the first run of `api` speaks to.
fn place(rig: &Rig) -> PathBuf {
    rig.home().file("run/api-0.1.notify")
}

fn instance(rig: &Rig) -> Value {
    rig.process("api")["instances"][0].clone()
}

/// Milliseconds between two events.
fn between(rig: &Rig, first: &str, second: &str) -> i64 {
    let events = rig.events("api");
    let at = |kind: &str| {
        let event = events.iter().find(|event| event["kind"] == kind).unwrap();
        let at: jiff::Timestamp = text(&event["at"]).parse().unwrap();
        at.as_millisecond()
    };
    at(second) - at(first)
}

/// A start waits for the word of the program, and its status is shown without what a terminal
/// would act on, and without secrets.
#[test]
fn it_is_online_when_it_says_so() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "puppet say 1500 READY=1 'STATUS=serving with hunter2hunter2'"
        ready = "notify"
        env = { API_TOKEN = "hunter2hunter2" }
        "#,
    );
    let rig = rig.start();
    assert_eq!(rig.status("api"), "online");
    assert!(between(&rig, "start", "online") >= 1_400);
    until("its status is shown", || {
        instance(&rig)["status_text"] == "serving with ***"
    });
    let shown = rig.ok(&["info", "api"]);
    assert!(shown.contains("serving with ***"), "{shown}");
    rig.ok(&["stop", "api"]);
    assert!(!place(&rig).exists());
    assert_eq!(instance(&rig)["status_text"], Value::Null);
}

/// As the documentation shows it, in Python.
#[test]
fn a_python_program_says_so_with_its_library() {
    let version = home::command("python3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return;
    }
    let rig = Rig::new();
    rig.write(
        "app.py",
        "import os, socket, time\n\
         def tell(text):\n\
         \x20   place = os.environ.get('NOTIFY_SOCKET')\n\
         \x20   if place:\n\
         \x20       with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:\n\
         \x20           s.sendto(text.encode(), place)\n\
         time.sleep(1.2)\n\
         tell('READY=1\\nSTATUS=up')\n\
         time.sleep(600)\n",
    );
    let rig = rig.config("[process.api]\ncommand = \"python3 app.py\"\nready = \"notify\"\n");
    let rig = rig.start();
    assert!(between(&rig, "start", "online") >= 1_100);
    until("its status is shown", || {
        instance(&rig)["status_text"] == "up"
    });
}

/// The first line that matches, wherever it is printed.
#[test]
fn a_line_makes_it_online() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "sh -c 'echo warming up; sleep 1.2; echo listening on port 80 >&2; exec sleep 600'"
        ready = { log = 'listening on port \d+$' }
        "#,
    );
    let rig = rig.start();
    assert_eq!(rig.status("api"), "online");
    assert!(between(&rig, "start", "online") >= 1_100);
}

/// What does not come is named, where the start is waited for and in the events.
#[test]
fn what_was_waited_for_is_told() {
    let config = |ready: &str| {
        format!(
            "[process.api]\ncommand = \"puppet sleep\"\n{ready}\nstart_timeout = \"300ms\"\nautorestart = false\n"
        )
    };
    for (ready, awaited) in [
        ("ready = \"notify\"", "READY=1"),
        ("ready = { log = \"up\" }", "the line of `ready`"),
        (
            "ready = \"notify\"\nhealth.script = { command = \"true\" }",
            "READY=1 and its probes",
        ),
    ] {
        let rig = Rig::new().config(&config(ready));
        rig.fails(1, &["start"]);
        let error = text(&rig.event("api", "errored")["error"]);
        assert_eq!(error, format!("it waited in vain for {awaited}"));
    }
}

/// Its word and its probes are both needed, in whichever order they come.
#[test]
fn its_word_and_its_probes_are_both_needed() {
    let rig = starting(
        "command = \"puppet say file:go READY=1\"\nready = \"notify\"\n\
         health.script = { command = \"true\", interval = \"200ms\", timeout = \"200ms\" }",
    );
    until("its probe passes", || {
        rig.process("api")["health"] == "pass"
    });
    home::pause(std::time::Duration::from_millis(500));
    assert_eq!(rig.status("api"), "starting");
    rig.write("go", "");
    rig.until("api", "online");
}

/// What a program says while the daemon is dead waits for the next one.
#[test]
fn what_is_said_while_no_daemon_lives_is_heard_by_the_next() {
    let rig = starting(
        "command = \"sh -c 'puppet say file:go READY=1 > said'\"\nready = \"notify\"\n\
         start_timeout = \"5m\"",
    );
    let (daemon, pid) = (rig.daemon(), rig.pid("api"));
    let guard = parent(daemon).unwrap();
    // Nobody brings it back while it is stopped.
    kill(guard, Signal::STOP);
    kill(daemon, Signal::KILL);
    until("the daemon is dead", || {
        rig.home().daemon().is_none_or(|now| now != daemon) || is_zombie(daemon)
    });
    rig.write("go", "");
    until("it has spoken", || {
        std::fs::read_to_string(rig.path("said")).is_ok_and(|said| said == "said READY=1\n")
    });
    kill(guard, Signal::CONT);
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}

/// The same when its guard dies together with the daemon, for what it says afterwards.
#[test]
fn the_next_daemon_hears_a_program_of_one_that_died_with_its_guard() {
    let rig = starting(
        "command = \"puppet say file:go READY=1\"\nready = \"notify\"\nstart_timeout = \"5m\"",
    );
    let (daemon, pid) = (rig.daemon(), rig.pid("api"));
    kill(parent(daemon).unwrap(), Signal::KILL);
    kill(daemon, Signal::KILL);
    until("both are gone", || !lives(daemon));
    assert_eq!(rig.pid("api"), pid, "it is adopted");
    // A daemon that was adopting has its socket in place before anybody is answered.
    until("it can be reached", || {
        UnixDatagram::unbound()
            .unwrap()
            .send_to(b"", place(&rig))
            .is_ok()
    });
    rig.write("go", "");
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
}

/// Its word is on record: a daemon that dies between it and the first pass of the probe is not
/// told again.
#[test]
fn its_word_is_not_needed_twice() {
    let rig = starting(
        "command = \"puppet say READY=1 STATUS=said\"\nready = \"notify\"\nstart_timeout = \"5m\"\n\
         health.script = { command = \"test -e good\", interval = \"200ms\", timeout = \"200ms\" }",
    );
    until("it has spoken", || instance(&rig)["status_text"] == "said");
    let pid = rig.pid("api");
    rig.kill_daemon();
    assert_eq!(rig.status("api"), "starting");
    rig.write("good", "");
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
    // The same for a line.
    let rig = starting(
        "command = \"sh -c 'echo up; exec sleep 600'\"\nready = { log = \"^up$\" }\nstart_timeout = \"5m\"\n\
         health.script = { command = \"test -e good\", interval = \"200ms\", timeout = \"200ms\" }",
    );
    rig.until_printed("api", "up");
    let pid = rig.pid("api");
    rig.kill_daemon();
    rig.write("good", "");
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
}

/// Who is not of its tree says nothing, as often and as much as it may say it.
#[test]
fn strangers_say_nothing_and_do_no_harm() {
    let rig = starting(
        "command = \"puppet say file:go STATUS=mine READY=1\"\nready = \"notify\"\nstart_timeout = \"5m\"",
    );
    let stranger = UnixDatagram::unbound().unwrap();
    stranger
        .send_to(&vec![b'x'; 100 << 10], place(&rig))
        .unwrap();
    for _ in 0..10_000 {
        stranger
            .send_to(b"READY=1\nSTATUS=theirs\nMAINPID=1", place(&rig))
            .unwrap();
    }
    assert_eq!(rig.status("api"), "starting");
    assert_eq!(instance(&rig)["status_text"], Value::Null);
    rig.write("go", "");
    rig.until("api", "online");
    until("its own word is shown", || {
        instance(&rig)["status_text"] == "mine"
    });
}

/// A program that needs longer says so, in time.
#[test]
fn a_program_gets_the_time_it_asks_for() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "puppet say EXTEND_TIMEOUT_USEC=4000000 1500 READY=1"
        ready = "notify"
        start_timeout = "700ms"
        "#,
    );
    let rig = rig.start();
    assert_eq!(rig.status("api"), "online");
    assert_eq!(rig.process("api")["restarts_total"], 0);
}

/// What it is told, and that it lives on while it says that it is alive, also over the death of
/// a daemon and the loss of its socket.
#[test]
fn a_program_that_says_it_is_alive_is_left_alone() {
    let rig = Rig::new();
    rig.write(
        "run.sh",
        "echo \"usec=$WATCHDOG_USEC\"\n[ \"$WATCHDOG_PID\" = $$ ] && echo 'the pid is mine'\n\
         exec puppet say READY=1 200 WATCHDOG=1 again\n",
    );
    let rig = rig
        .config("[process.api]\ncommand = \"sh run.sh\"\nready = \"notify\"\nwatchdog = \"2s\"\n");
    let rig = rig.start();
    let lines = rig.lines("api");
    assert_eq!(lines[..2], ["usec=2000000", "the pid is mine"]);
    let pid = rig.pid("api");
    let wait = || home::pause(std::time::Duration::from_secs(5));
    wait();
    rig.kill_daemon();
    wait();
    assert_eq!(
        (rig.pid("api"), rig.status("api")),
        (pid, "online".to_owned())
    );
    std::fs::remove_file(place(&rig)).unwrap();
    wait();
    assert!(place(&rig).exists(), "it is made again");
    assert_eq!(
        (rig.pid("api"), rig.status("api")),
        (pid, "online".to_owned())
    );
    let failed = rig.kinds("api").contains(&"health_fail".to_owned());
    assert!(!failed, "{:?}", rig.kinds("api"));
}

/// One that hangs is restarted as after a failed probe.
#[test]
fn a_program_that_falls_silent_is_restarted() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "puppet say READY=1 200 WATCHDOG=1 200 WATCHDOG=1"
        ready = "notify"
        watchdog = "1s"
        restart_delay = "1m"
        "#,
    );
    let rig = rig.start();
    let pid = rig.pid("api");
    until("it is ended", || !lives(pid));
    let failed = rig.event("api", "health_fail");
    assert_eq!(failed["probe"], "watchdog");
    assert_eq!(failed["error"], "no WATCHDOG=1 within 1s");
    rig.until("api", "errored (retry");
    assert_eq!(rig.event("api", "errored")["reason"], "probe");
}

/// One that says that it is broken is restarted at once, however long it might be silent.
#[test]
fn a_program_that_says_it_is_broken_is_restarted() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "puppet say 1500 WATCHDOG=trigger"
        watchdog = "10m"
        "#,
    );
    let rig = rig.start();
    let pid = rig.pid("api");
    until("it is ended", || !lives(pid));
    assert_eq!(
        rig.event("api", "health_fail")["error"],
        "it said WATCHDOG=trigger"
    );
}

/// A program that says that it is stopping is shown so, and no probe restarts it, also under
/// another daemon.
#[test]
fn a_program_that_ends_by_itself_is_not_restarted_by_its_probe() {
    let rig = Rig::new();
    rig.write("good", "");
    let rig = rig.config(
        r#"
        [process.api]
        command = "puppet say READY=1 file:end STOPPING=1"
        ready = "notify"
        [process.api.health.script]
        command = "test -e good"
        interval = "200ms"
        timeout = "200ms"
        retries = 1
        "#,
    );
    let rig = rig.start();
    rig.write("end", "");
    rig.until("api", "online (says it is stopping)");
    let pid = rig.pid("api");
    std::fs::remove_file(rig.path("good")).unwrap();
    rig.event("api", "health_fail");
    rig.kill_daemon();
    home::pause(std::time::Duration::from_secs(1));
    assert_eq!(rig.pid("api"), pid);
    assert_eq!(rig.status("api"), "online (says it is stopping)");
    kill(pid, Signal::KILL);
    rig.until_other_pid("api", pid);
}

/// A table of scripts that pass while a file of their name is there.
fn by_role(roles: &[&str]) -> String {
    let one = |role: &&str| {
        format!(
            "[process.api.health.{role}.script]\ncommand = \"test -e {role}\"\n\
             interval = \"200ms\"\ntimeout = \"200ms\"\nretries = 2\n"
        )
    };
    roles.iter().map(one).collect()
}

/// What starts is not killed for not being alive yet, what is not ready is shown and left alone,
/// and what is not alive is restarted. Another daemon goes on with it.
#[test]
fn startup_readiness_and_liveness_decide_different_things() {
    let rig = starting(&format!(
        "command = \"puppet sleep\"\nstart_timeout = \"5m\"\n{}",
        by_role(&["startup", "readiness", "liveness"])
    ));
    let pid = rig.pid("api");
    rig.write("readiness", "");
    home::pause(std::time::Duration::from_secs(2));
    assert_eq!(
        (rig.pid("api"), rig.status("api")),
        (pid, "starting".to_owned())
    );
    rig.write("liveness", "");
    rig.write("startup", "");
    rig.until("api", "online");
    std::fs::remove_file(rig.path("startup")).unwrap();

    std::fs::remove_file(rig.path("readiness")).unwrap();
    rig.until("api", "online (not ready)");
    assert_eq!(instance(&rig)["ready"], false);
    let failed = rig.event("api", "health_fail");
    assert_eq!(failed["probe"], "readiness.script");
    rig.kill_daemon();
    rig.until("api", "online (not ready)");
    home::pause(std::time::Duration::from_secs(1));
    assert_eq!(rig.pid("api"), pid);
    rig.write("readiness", "");
    until("it is ready again", || instance(&rig)["ready"] == true);
    assert_eq!(rig.status("api"), "online");

    std::fs::remove_file(rig.path("liveness")).unwrap();
    rig.until_other_pid("api", pid);
    until("it is ended", || !lives(pid));
    assert_eq!(rig.event("api", "errored")["reason"], "probe");
}

/// What has nothing to decide is refused, with its place.
#[test]
fn on_fail_stands_where_it_decides_something() {
    let rig = Rig::new().config(
        "[process.api]\ncommand = \"puppet sleep\"\n[process.api.health.readiness.tcp]\nport = 1\non_fail = \"restart\"\n",
    );
    let said = rig.fails(2, &["start"]);
    assert!(said.contains("mhost.toml:5"), "{said}");
    assert!(said.contains("`liveness`"), "{said}");
}

/// A hang that only the watchdog sees is not forgiven because a probe still passes: also where
/// it is first looked whether a dependency is to blame.
#[test]
fn a_probe_that_passes_does_not_speak_for_the_watchdog() {
    let rig = Rig::new().config(
        r#"
        [process.db]
        command = "puppet sleep"
        [process.api]
        command = "puppet say READY=1"
        ready = "notify"
        watchdog = "1s"
        depends_on = ["db"]
        health.script = { command = "true", interval = "200ms", timeout = "200ms" }
        "#,
    );
    let rig = rig.start();
    let pid = rig.pid("api");
    until("it is ended", || !lives(pid));
    assert_eq!(rig.event("api", "errored")["reason"], "probe");
}
