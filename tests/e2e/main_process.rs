//! A program below a launcher says by `MAINPID=` that it is the one that is meant.

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Rig, kill, lives, until};

/// Whatever is sent to it is written to a file of that name, and SIGTERM ends it.
const WORKER: &str = r#"
trap 'echo renewed >> HUP' HUP
trap 'echo ended >> TERM; exit 3' TERM
puppet say MAINPID=$$ READY=1 >/dev/null &
while :; do sleep 0.05; done
"#;

/// `api`, where a shell starts the worker and does `then` after it.
fn below_a_shell(then: &str, more: &str) -> Rig {
    let rig = Rig::new();
    rig.write("worker.sh", WORKER);
    let command = format!("sh -c 'sh worker.sh; {then}'");
    let rig = rig
        .config(&format!(
            "[process.api]\ncommand = \"{command}\"\nready = \"notify\"\n{more}\n\
             [process.api.reload]\nmode = \"signal\"\nsignal = \"SIGHUP\"\n"
        ))
        .start();
    until("the main process is known", || main_pid(&rig).is_some());
    rig
}

fn main_pid(rig: &Rig) -> Option<i32> {
    let pid = &rig.process("api")["instances"][0]["main_pid"];
    pid.as_i64().map(|pid| i32::try_from(pid).unwrap())
}

fn renewals(rig: &Rig) -> usize {
    let told = std::fs::read_to_string(rig.path("HUP")).unwrap_or_default();
    told.lines().count()
}

/// The launcher would die of it, and the run with it. The next daemon is not told again.
#[test]
fn a_reload_by_a_signal_is_for_the_main_process_whichever_daemon_lives() {
    let rig = below_a_shell("exit 7", "");
    let (leader, main) = (rig.pid("api"), main_pid(&rig).unwrap());
    assert_ne!(leader, main);
    assert!(
        rig.ok(&["info", "api"])
            .contains(&format!("main pid       {main}\n"))
    );
    rig.ok(&["reload", "api"]);
    until("the first renewal", || renewals(&rig) == 1);
    rig.kill_daemon();
    until("a new daemon", || rig.status("api") == "online");
    assert_eq!(main_pid(&rig), Some(main));
    rig.ok(&["reload", "api"]);
    until("the second renewal", || renewals(&rig) == 2);
    assert_eq!(rig.pids("api"), [leader]);
    rig.ok(&["restart", "api"]);
    until("the main process of the next run", || {
        main_pid(&rig).is_some_and(|pid| pid != main)
    });
}

/// What is to end the program alone ends the program, and the launcher goes after it.
#[test]
fn a_stop_that_spares_the_tree_is_for_the_main_process() {
    let rig = below_a_shell("exit 7", "kill_tree = false");
    let main = main_pid(&rig).unwrap();
    rig.ok(&["stop", "api"]);
    assert!(!lives(main));
    let told = std::fs::read_to_string(rig.path("TERM")).unwrap();
    assert_eq!(told, "ended\n");
    assert_eq!(rig.process("api")["instances"][0]["exit_code"], 7);
    assert_eq!(main_pid(&rig), None);
}

/// It need not survive the signal, but what it was reloaded for is not there then.
#[test]
fn a_reload_that_ends_the_main_process_has_failed() {
    let rig = Rig::new();
    rig.write(
        "worker.sh",
        "puppet say MAINPID=$$ READY=1 >/dev/null &\nwait\n",
    );
    let rig = rig
        .config(
            r#"
            [process.api]
            command = "sh -c 'sh worker.sh; exec sleep 600'"
            ready = "notify"
            reload = { mode = "signal", signal = "SIGHUP" }
            "#,
        )
        .start();
    until("the main process is known", || main_pid(&rig).is_some());
    let main = main_pid(&rig).unwrap();
    let said = rig.fails(6, &["reload", "api"]);
    let expected = format!("its main process {main} ended");
    assert!(said.contains(&expected), "{said}");
}

/// One that is gone gets no signal, and nobody else gets it in its place.
#[test]
fn a_reload_says_that_the_main_process_is_gone() {
    let rig = below_a_shell("exec sleep 600", "");
    let main = main_pid(&rig).unwrap();
    kill(main, Signal::TERM);
    until("its end", || !lives(main));
    let said = rig.fails(6, &["reload", "api"]);
    let expected = format!("SIGHUP did not reach its main process {main}");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(rig.status("api"), "online");
    rig.ok(&["stop", "api"]);
}

/// A number is no proof: the signals of a run are for its own processes.
#[test]
fn nobody_elses_process_is_taken_for_the_main_one() {
    let own = std::process::id();
    let rig = Rig::new().config(&format!(
        "[process.api]\nready = \"notify\"\n\
         command = \"puppet say MAINPID={own} MAINPID=1 READY=1 200 STATUS=said\"\n\
         [process.api.reload]\nmode = \"signal\"\nsignal = \"SIGWINCH\"\n"
    ));
    let rig = rig.start();
    until("it has said all", || {
        rig.process("api")["instances"][0]["status_text"] == "said"
    });
    let instance = rig.process("api")["instances"][0].clone();
    assert_eq!(instance["main_pid"], Value::Null);
    rig.ok(&["reload", "api"]);
}
