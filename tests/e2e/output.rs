//! `output = "file"`: nothing makes the program wait, and its lines are in the log all the same.

use rustix::process::Signal;

use crate::rig::{Rig, kill, until};

/// Without daemon and guard nobody reads: one that prints to a pipe stops when it is full, one
/// that prints to a file goes on to its end. The next daemon has every line.
#[test]
fn output_to_a_file_never_waits_for_a_reader() {
    let rig = Rig::new()
        .config(
            "[process.filed]\ncommand = \"sh -c 'while [ ! -e go ]; do sleep 0.05; done; seq -f %0300.0f 6000; touch done; sleep 600'\"\noutput = \"file\"\n",
        )
        .start();
    let (guard, daemon) = (rig.home().guard().unwrap(), rig.home().daemon().unwrap());
    kill(guard, Signal::KILL);
    kill(daemon, Signal::KILL);
    rig.write("go", "");
    until("it has printed all", || rig.path("done").exists());
    let pid = rig.pid("filed");
    until("all is in the log", || rig.lines("filed").len() >= 6_000);
    let lines = rig.lines("filed");
    assert_eq!(lines.len(), 6_000);
    assert!(lines.last().is_some_and(|last| last.ends_with("006000")));
    rig.ok(&["restart", "filed"]);
    assert_ne!(rig.pid("filed"), pid);
    rig.ok(&["stop", "filed"]);
    let left = || std::fs::read_dir(rig.home().file("run")).unwrap().flatten();
    until("no file is left", || {
        !left().any(|file| file.file_name().to_string_lossy().starts_with("filed"))
    });
}
