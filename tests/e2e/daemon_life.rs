//! The daemon dies, is stopped, or is replaced: what its processes notice.

use rustix::process::Signal;

use crate::rig::home::{Home, exists, kill, lives, outputs, until};

fn started() -> (Home, i32) {
    let home = Home::new();
    let output = home.run(&["start", "sleep 1000", "--name", "api"]);
    assert!(output.status.success(), "{output:?}");
    let pid = home.pid("api").unwrap();
    assert!(lives(pid));
    (home, pid)
}

#[test]
fn stopping_it_stops_the_processes_and_leaves_nothing() {
    let (home, pid) = started();
    let output = home.run(&["daemon", "stop"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!lives(pid));
    until("all has ended", || home.strays().is_empty());
    assert!(!exists(&home.file("mhost.sock")));
    assert!(!exists(&home.file("mhost.pid")));
    let audit = std::fs::read_to_string(home.file("audit.jsonl")).unwrap();
    assert!(audit.contains("daemon.stop"), "{audit}");
}

#[test]
fn a_signal_ends_it_in_order_too() {
    let (home, pid) = started();
    kill(home.guard().unwrap(), Signal::TERM);
    until("all has ended", || home.strays().is_empty());
    assert!(!lives(pid));
    assert!(!exists(&home.file("mhost.sock")));
}

#[test]
fn a_daemon_that_is_killed_comes_back_and_adopts() {
    let (home, pid) = started();
    let former = home.daemon().unwrap();
    kill(former, Signal::KILL);
    until("a new daemon answers", || {
        home.daemon().is_some_and(|now| now != former)
    });
    until("it has adopted", || home.pid("api") == Some(pid));
    assert!(lives(pid));
}

/// Who removes the home under a living daemon finds the same daemon and the same process.
#[test]
fn a_removed_home_leads_to_no_second_daemon() {
    let (home, pid) = started();
    let daemon = home.daemon().unwrap();
    // The daemon may write into it meanwhile.
    until("the home is removed", || {
        std::fs::remove_dir_all(home.path()).is_ok()
    });
    let output = home.run(&["start", "sleep 1000", "--name", "api"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(home.daemon(), Some(daemon));
    assert_eq!(home.pid("api"), Some(pid));
    assert_eq!(home.strays_named("sleep"), [pid]);
    let status = home.run(&["daemon", "status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("home folder was removed"), "{said}");
}

#[test]
fn commands_that_come_while_it_is_dead_start_no_second_one() {
    let (home, pid) = started();
    let guard = home.guard().unwrap();
    kill(home.daemon().unwrap(), Signal::KILL);
    let children = (0..4)
        .map(|_| home.mhost(&["list"]).spawn().unwrap())
        .collect();
    for output in outputs(children) {
        assert!(output.status.success(), "{output:?}");
    }
    until("it has adopted", || home.pid("api") == Some(pid));
    assert_eq!(home.guard(), Some(guard));
    until("one guard, one daemon, one child", || {
        home.strays().len() == 3
    });
    assert!(home.run(&["daemon", "stop"]).status.success());
    until("all has ended", || home.strays().is_empty());
}

#[test]
fn a_guard_that_is_killed_is_replaced() {
    let (home, pid) = started();
    let (daemon, guard) = (home.daemon().unwrap(), home.guard().unwrap());
    kill(guard, Signal::KILL);
    until("a new guard is there", || {
        home.strays().iter().any(|one| ![daemon, pid].contains(one))
    });
    assert_eq!(home.daemon(), Some(daemon));
    kill(daemon, Signal::KILL);
    until("a new daemon answers", || {
        home.daemon().is_some_and(|now| now != daemon)
    });
    until("it has adopted", || home.pid("api") == Some(pid));
}

#[test]
fn an_upgrade_in_place_keeps_the_processes() {
    let (home, pid) = started();
    let (daemon, guard) = (home.daemon().unwrap(), home.guard().unwrap());
    let output = home.run(&["daemon", "upgrade"]);
    assert!(output.status.success(), "{output:?}");
    until("a new daemon answers", || {
        home.daemon().is_some_and(|now| now != daemon)
    });
    until("it has adopted", || home.pid("api") == Some(pid));
    assert_eq!(home.guard(), Some(guard));
}

/// What hangs in the place of the new daemon is ended with all it has started.
#[test]
fn an_upgrade_to_something_that_hangs_leaves_nothing_of_it() {
    let (home, pid) = started();
    let script = home.folder().join("hangs");
    std::fs::write(&script, "#!/bin/sh\nsleep 987 &\nsleep 987\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    home.run(&["daemon", "upgrade", "--binary", script.to_str().unwrap()]);
    until("the former one is back", || home.pid("api") == Some(pid));
    until("nothing else is left", || {
        home.strays_named("sleep") == [pid]
    });
}

#[test]
fn an_upgrade_to_something_else_is_undone() {
    let (home, pid) = started();
    let daemon = home.daemon().unwrap();
    let output = home.run(&["daemon", "upgrade", "--binary", "/bin/false"]);
    assert!(!output.status.success(), "{output:?}");
    until("the former one answers again", || {
        home.daemon().is_some_and(|now| now != daemon)
    });
    until("it has adopted", || home.pid("api") == Some(pid));
}

#[test]
fn children_stay_when_the_settings_say_so() {
    let (home, pid) = started();
    let config = "[daemon]\nstop_children_on_exit = false\n";
    std::fs::write(home.file("config.toml"), config).unwrap();
    kill(home.daemon().unwrap(), Signal::HUP);
    let log = || std::fs::read_to_string(home.file("logs/daemon.log")).unwrap();
    let count = |text: String| text.matches("The settings are in force").count();
    until("the settings are read again", || count(log()) >= 2);
    assert!(home.run(&["daemon", "stop"]).status.success());
    assert!(lives(pid));
    assert_eq!(home.daemon(), None);
    assert!(home.run(&["daemon", "start"]).status.success());
    until("it is adopted", || home.pid("api") == Some(pid));
}

#[test]
fn saved_processes_come_back_once() {
    let (home, _) = started();
    assert!(home.run(&["save"]).status.success());
    assert!(home.run(&["daemon", "stop"]).status.success());
    until("all has ended", || home.strays().is_empty());
    let run = home
        .mhost(&["daemon", "run", "--resurrect"])
        .spawn()
        .unwrap();
    until("it is started again", || home.pid("api").is_some());
    let guard = i32::try_from(run.id()).unwrap();
    assert_eq!(home.guard(), Some(guard));
    // A daemon that follows a dead one does not start what was stopped meanwhile.
    assert!(home.run(&["stop", "api"]).status.success());
    let former = home.daemon().unwrap();
    kill(former, Signal::KILL);
    until("a new daemon answers", || {
        home.daemon().is_some_and(|now| now != former)
    });
    assert_eq!(home.pid("api"), None);
    assert!(home.run(&["daemon", "stop"]).status.success());
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
