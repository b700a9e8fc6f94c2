//! Thinking is an extra: without it, or with a broken playbook, all else works.

use rustix::process::Signal;

use crate::rig::{Rig, kill, lives, until};

/// All that a supervisor does, done once.
fn supervises(rig: &Rig) {
    rig.ok(&["start", "puppet sleep", "--name", "api"]);
    let former = rig.pid("api");
    kill(former, Signal::KILL);
    rig.until_other_pid("api", former);
    rig.until("api", "online");
    rig.ok(&["restart", "api"]);
    rig.ok(&["scale", "api", "2"]);
    rig.ok(&["reload", "api"]);
    rig.kill_daemon();
    rig.until("api", "online");
    assert_eq!(rig.pids("api").len(), 2);
    rig.ok(&["stop", "api"]);
    rig.assert_only(&[]);
}

/// With the brain switched off it is a complete supervisor.
#[test]
fn without_a_brain_it_is_a_complete_supervisor() {
    let rig = Rig::new().settings("[brain]\nenabled = false\n");
    supervises(&rig);
}

/// A playbook that does not compile, never ends, or answers nonsense harms nobody.
#[test]
fn a_broken_playbook_harms_nobody() {
    let rig = Rig::new();
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    let meta = |name: &str| {
        format!(
            "const META = #{{ name: \"{name}\", version: 1, on: [\"crash\"], cooldown: \"1s\" }};\n"
        )
    };
    let scripts = [
        ("no-code", "this is no code {".to_owned()),
        (
            "endless",
            meta("endless") + "fn matches(c) { loop {} }\nfn plan(c) { [] }\n",
        ),
        (
            "nonsense",
            meta("nonsense") + "fn matches(c) { true }\nfn plan(c) { \"rm -rf /\" }\n",
        ),
        (
            "deep",
            meta("deep") + "fn f(c) { f(c) }\nfn matches(c) { f(c) }\nfn plan(c) { [] }\n",
        ),
    ];
    for (name, script) in scripts {
        std::fs::write(folder.join(format!("{name}.rhai")), script).unwrap();
    }
    supervises(&rig);
}

/// The same death again and again is held, with the name of the playbook and the reason.
#[test]
fn the_same_death_is_held_by_a_playbook() {
    // With a breaker of its own, so that the playbook for those without has nothing to say.
    let rig = Rig::new().config(
        "[process.api]\ncommand = \"puppet exit 7\"\nmax_restarts = 100\nrestart_delay = \"500ms\"\n",
    );
    rig.run(&["start", "--no-wait"]);
    rig.until("api", "errored (held: same-death)");
    rig.assert_only(&[]);
    let history = rig.ok(&["brain", "history"]);
    assert!(history.contains("same-death"), "{history}");
    // A person's start lifts the hold.
    rig.run(&["start", "api", "--no-wait"]);
    rig.until("api", "errored (retry");
    rig.ok(&["stop", "api"]);
}

/// What starts last is there for the first command that asks for it.
#[test]
fn the_first_command_may_ask_the_brain() {
    let rig = Rig::new();
    rig.ok(&["brain", "status"]);
    let daemon = rig.daemon();
    kill(daemon, Signal::KILL);
    until("it is gone", || !lives(daemon));
    rig.ok(&["brain", "playbooks"]);
    assert_ne!(rig.daemon(), daemon);
}
