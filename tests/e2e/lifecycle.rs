//! Programs end in all ways: what follows, and what is told about it.

use rustix::process::Signal;

use crate::rig::{Rig, free_port, kill, lives, until};

/// A process that is killed comes back, and its history says why.
#[test]
fn a_killed_process_is_restarted_and_the_history_says_so() {
    let rig = Rig::new().running("api", "puppet sleep");
    let former = rig.pid("api");
    kill(former, Signal::KILL);
    rig.until_other_pid("api", former);
    rig.until("api", "online");
    rig.assert_events(
        "api",
        &["start", "online", "crash", "restart", "start", "online"],
    );
    let crash = rig.event("api", "crash");
    assert_eq!(crash["signal"], 9);
    assert_eq!(rig.event("api", "restart")["reason"], "crash");
    let table = rig.ok(&["history", "api"]);
    assert!(
        table.contains("crash") && table.contains("reason=crash"),
        "{table}"
    );
    let listed = rig.process("api");
    assert_eq!(listed["name"], "api");
    assert_eq!(listed["status"], "online");
    assert_eq!(listed["restarts"], 1);
}

/// A process that dies at once is held after five tries, not restarted for ever.
#[test]
fn rapid_crash_is_held() {
    let rig = Rig::new().settings("[brain]\nenabled = false\n").config(
        "[process.api]\ncommand = \"puppet exit 7\"\nmax_restarts = 5\nrestart_delay = \"10ms\"\n",
    );
    rig.run(&["start", "--no-wait"]);
    rig.until("api", "errored (breaker)");
    let kinds = rig.kinds("api");
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "crash").count(),
        5,
        "{kinds:?}"
    );
    assert_eq!(kinds.last().unwrap(), "errored", "{kinds:?}");
    assert_eq!(rig.event("api", "errored")["reason"], "max_restarts");
    assert_eq!(rig.event("api", "crash")["code"], 7);
    assert_eq!(rig.process("api")["instances"][0]["exit_code"], 7);
}

/// Exit 0 is the end of a job, exit 3 is a failure, and `autorestart` decides about both.
#[test]
fn autorestart_decides_what_follows_an_exit() {
    let rig = Rig::new().config(
        r#"
        [process.done]
        command = "puppet exit-after 100 0"
        [process.never]
        command = "puppet exit-after 100 3"
        autorestart = false
        [process.always]
        command = "puppet exit-after 100 0"
        autorestart = "always"
        restart_delay = "10ms"
        "#,
    );
    rig.run(&["start", "--no-wait"]);
    rig.event("done", "exited");
    rig.until("done", "stopped");
    rig.until("never", "errored");
    until("always has run three times", || {
        rig.process("always")["restarts"].as_u64() >= Some(2)
    });
    assert_eq!(rig.process("done")["restarts"], 0);
    assert_eq!(rig.event("never", "errored")["reason"], "no_autorestart");
    assert_eq!(rig.process("never")["instances"][0]["exit_code"], 3);
}

/// A program that is missing or may not be run is told at once, with its name.
#[test]
fn a_program_that_cannot_be_run_is_told() {
    let rig = Rig::new();
    let said = rig.fails(1, &["start", "no-such-program --x", "--name", "missing"]);
    assert!(said.contains("no-such-program"), "{said}");
    rig.write("plain.bin", "not a program");
    let said = rig.fails(
        1,
        &[
            "start",
            "./plain.bin",
            "--name",
            "plain",
            "--max-restarts",
            "1",
        ],
    );
    assert!(said.contains("plain.bin"), "{said}");
    assert!(said.to_lowercase().contains("permission"), "{said}");
    rig.until("plain", "errored");
    assert!(
        rig.kinds("plain").contains(&"spawn_failed".to_owned()),
        "{:?}",
        rig.kinds("plain")
    );
}

/// The dependent starts after what it depends on is online.
#[test]
fn what_others_depend_on_starts_first() {
    let rig = Rig::new()
        .config(
            r#"
            [process.web]
            command = "puppet sleep"
            depends_on = ["api"]
            [process.api]
            command = "puppet sleep"
            depends_on = ["db"]
            [process.db]
            command = "puppet sleep"
            "#,
        )
        .start();
    let id = |name: &str, kind: &str| {
        let events = rig.events(name);
        let event = events.iter().find(|event| event["kind"] == kind).unwrap();
        event["id"].as_u64().unwrap()
    };
    assert!(id("db", "online") < id("api", "start"));
    assert!(id("api", "online") < id("web", "start"));
    rig.ok(&["stop", "all"]);
    assert!(id("web", "stop") < id("api", "stopping"));
    assert!(id("api", "stop") < id("db", "stopping"));
}

/// What depends on something that fails is not started, and says on whom it waits.
#[test]
fn a_failed_dependency_holds_its_dependents_back() {
    let rig = Rig::new().config(
        r#"
        [process.db]
        command = "puppet exit 1"
        max_restarts = 1
        [process.api]
        command = "puppet sleep"
        depends_on = ["db"]
        "#,
    );
    let said = rig.fails(1, &["start"]);
    assert!(said.contains("db"), "{said}");
    assert_eq!(rig.event("api", "dependency_failed")["dependency"], "db");
    assert_eq!(rig.status("api"), "stopped");
}

/// A group restarts one member after the other, each waiting for the one before.
#[test]
fn a_group_restarts_rolling() {
    let rig = Rig::new()
        .config(
            r#"
            [process.a]
            command = "puppet sleep"
            [process.b]
            command = "puppet sleep"
            [process.c]
            command = "puppet sleep"
            [groups.web]
            processes = ["a", "b", "c"]
            start_order = ["b", "a", "c"]
            "#,
        )
        .start();
    let before = ["a", "b", "c"].map(|name| rig.pid(name));
    rig.ok(&["restart", "web"]);
    let after = ["a", "b", "c"].map(|name| rig.pid(name));
    assert!(before.iter().zip(after).all(|(was, is)| *was != is));
    let last = |name: &str, kind: &str| {
        let events = rig.events(name);
        let event = events.iter().rfind(|event| event["kind"] == kind).unwrap();
        event["id"].as_u64().unwrap()
    };
    assert!(last("b", "online") < last("a", "stopping"));
    assert!(last("a", "online") < last("c", "stopping"));
    rig.assert_only(&after);
}

/// Scaling leaves alone what stays.
#[test]
fn scaling_starts_and_stops_only_the_difference() {
    let rig = Rig::new();
    rig.ok(&["start", "puppet sleep", "--name", "api", "--instances", "2"]);
    let two = rig.pids("api");
    assert_eq!(two.len(), 2);
    rig.ok(&["scale", "api", "+1"]);
    let three = rig.pids("api");
    assert_eq!(three[..2], two[..]);
    rig.ok(&["scale", "api", "-1"]);
    assert_eq!(rig.pids("api"), two);
    assert!(!lives(three[2]));
    rig.ok(&["scale", "api", "0"]);
    assert!(rig.pids("api").is_empty());
    rig.assert_only(&[]);
    let scaled: Vec<_> = rig.events("api");
    let scaled: Vec<_> = scaled
        .iter()
        .filter(|one| one["kind"] == "scaled")
        .collect();
    assert_eq!(scaled.len(), 3);
    assert_eq!(
        (&scaled[0]["data"]["from"], &scaled[0]["data"]["to"]),
        (&2.into(), &3.into())
    );
}

/// Each instance knows which one it is.
#[test]
fn each_instance_knows_its_place() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "sh -c 'echo $MHOST_NAME $MHOST_INSTANCE of $MHOST_INSTANCES at $PORT; exec sleep 1000'"
        instances = 2
        increment_var = "PORT"
        env = { PORT = 4000 }
        "#,
    );
    let rig = rig.start();
    rig.until_printed("api", "api 0 of 2 at 4000");
    rig.until_printed("api", "api 1 of 2 at 4001");
}

/// A reload whose new instance does not come up keeps the old one, and exits with 6.
#[test]
fn a_reload_that_fails_keeps_the_old_one() {
    let rig = Rig::new().config(
        r#"
        [process.api]
        command = "puppet sleep"
        start_timeout = "30s"
        [process.api.health.script]
        command = "test ! -e broken"
        interval = "500ms"
        timeout = "500ms"
        retries = 1
        on_fail = "notify"
        "#,
    );
    let rig = rig.start();
    let former = rig.pid("api");
    rig.write("broken", "");
    let said = rig.fails(6, &["reload", "api", "--timeout", "2s"]);
    assert!(said.contains("api"), "{said}");
    assert_eq!(rig.pids("api"), [former]);
    assert!(lives(former));
    std::fs::remove_file(rig.path("broken")).unwrap();
    rig.ok(&["reload", "api"]);
    assert_ne!(rig.pid("api"), former);
    until("the former instance ends", || !lives(former));
    rig.assert_only(&rig.pids("api"));
}

/// A server that stops to answer is restarted by its probe.
#[test]
fn a_probe_that_fails_restarts_the_process() {
    let port = free_port();
    let rig = Rig::new().config(&format!(
        r#"
        [process.api]
        command = "puppet serve {port} --dead-after 5"
        [process.api.health.http]
        url = "http://127.0.0.1:{port}/"
        interval = "200ms"
        timeout = "200ms"
        retries = 2
        "#,
    ));
    let rig = rig.start();
    let former = rig.pid("api");
    rig.until_other_pid("api", former);
    assert_eq!(rig.event("api", "health_fail")["probe"], "http");
    assert_eq!(rig.event("api", "restart")["reason"], "probe");
}
