//! The process that runs the daemon's playbooks: whatever becomes of it, the daemon stays, and
//! cures the next illness.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{PATIENCE, Rig, kill, lives, parent, pause, until, wait_until};

/// Restarts what says that its pool is drained, and measures soon.
const STORM: &str = r#"
const META = #{ name: "storm", version: 1, description: "Restart a storm", on: ["tick"],
                cooldown: "1s", max_per_hour: 20 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 2.0 { () } else { c.log_count("pool is drained", "1s") == 0 } }
"#;

/// Computes for a while whenever it is asked, so that something is always being asked.
const BUSY: &str = r#"
const META = #{ name: "busy", version: 1, description: "Think", on: ["tick"], priority: 90 };
fn matches(c) { let n = 0; while n < 20000 { n += 1; } false }
fn plan(c) { [] }
"#;

/// Ill as soon as there is a file `sick`, and cured by a restart.
const SICK: &str = "bash -c 'rm -f sick; while sleep 0.2; do [ ! -e sick ] || echo TypeError: pool is drained; done'";

const CURRY: &str = "let f = Fn(\"x\"); loop { f = f.curry(f); }";
const MEMORY: &str =
    r#"let s = ""; s.pad(60000, 'a'); let t = ""; t.pad(60000, 'b'); s.replace("a", t); true"#;

/// The playbook processes of a daemon.
fn helpers(daemon: i32) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_helper = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == b"mhost\0daemon\0run-playbooks\0" && parent(*pid) == Some(daemon)
    };
    pids.filter(is_helper).collect()
}

fn state(rig: &Rig, name: &str) -> Value {
    let all = rig.json(&["brain", "playbooks"]);
    let rows = all["playbooks"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name);
    row.map_or(Value::Null, |row| row.clone())
}

/// Makes the program ill, and waits until its cure was measured.
fn is_cured(rig: &Rig) {
    let rows = || rig.json(&["brain", "history"])["history"].clone();
    let cured = |rows: &Value| {
        let all = rows.as_array().into_iter().flatten();
        all.filter(|row| row["outcome"] == "verified").count()
    };
    let before = cured(&rows());
    rig.write("sick", "");
    let again = wait_until(PATIENCE, || cured(&rows()) > before);
    assert!(again, "{}", rows());
}

#[test]
fn whatever_becomes_of_the_playbook_process_the_daemon_stays_and_cures() {
    let rig = Rig::new().settings(
        "[agent]\npoll_interval = \"500ms\"\nmax_actions_per_hour = 100\n\
         max_actions_per_process_per_hour = 100\n[brain]\ncooldown = \"1s\"\n\
         learn = false\nchain = [\"playbooks\"]\n\
         [brain.playbooks.error-storm]\nenabled = false\n",
    );
    rig.ok(&["list"]);
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("storm.rhai"), STORM).unwrap();
    std::fs::write(folder.join("busy.rhai"), BUSY).unwrap();
    rig.ok(&["start", SICK, "--name", "api"]);
    let daemon = rig.daemon();
    is_cured(&rig);

    // It has nothing but its socket, and may have nothing.
    let pid = helpers(daemon)[0];
    let of = |what: &str| std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap();
    assert_eq!(of("environ"), "");
    assert!(of("status").contains("NoNewPrivs:\t1"));
    for limit in ["Max core file size", "Max file size", "Max processes"] {
        let limits = of("limits");
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(
            line[limit.len()..].split_whitespace().next(),
            Some("0"),
            "{line}"
        );
    }
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: Vec<_> = open
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .collect();
    assert!(
        open.iter()
            .all(|one| one.ends_with("null") || one.to_string_lossy().starts_with("socket")),
        "{open:?}"
    );

    // Killed in the middle of what it does, again and again.
    for _ in 0..8 {
        until("it thinks", || !helpers(daemon).is_empty());
        for pid in helpers(daemon) {
            kill(pid, Signal::KILL);
        }
        pause(Duration::from_millis(700));
    }
    is_cured(&rig);
    // Stopped: it is given up after a while.
    until("it thinks", || !helpers(daemon).is_empty());
    let stopped = helpers(daemon);
    for pid in &stopped {
        kill(*pid, Signal::STOP);
    }
    is_cured(&rig);
    until("those that hang are gone", || {
        !stopped.iter().any(|pid| lives(*pid))
    });
    for name in ["storm", "busy", "crashed"] {
        assert_eq!(state(&rig, name)["state"], "ok", "{}", state(&rig, name));
    }

    // Scripts that end it are told, and are off.
    for (name, bomb) in [("curry", CURRY), ("memory", MEMORY)] {
        let text = format!(
            "const META = #{{ name: \"{name}\", version: 1, description: \"x\", on: [\"tick\"] }};\n\
             fn matches(c) {{ {bomb} }}\nfn plan(c) {{ [] }}\n"
        );
        std::fs::write(folder.join(format!("{name}.rhai")), text).unwrap();
        until("it is marked", || state(&rig, name)["state"] == "broken");
        let error = state(&rig, name)["error"].as_str().unwrap().to_owned();
        assert!(
            error.contains("the playbook process died of SIG")
                && error.contains(&format!("while `{name}` was asked")),
            "{error}"
        );
    }
    is_cured(&rig);
    // A draft that does harm, tried by a person, harms as little.
    let text = format!(
        "const META = #{{ name: \"draft\", version: 1, description: \"x\", on: [\"tick\"] }};\n\
         fn matches(c) {{ {MEMORY} }}\nfn plan(c) {{ [] }}\n"
    );
    let params = serde_json::json!({ "name": "draft", "format": "rhai", "text": text });
    let tried = rig.rpc("brain.playbook_test", params).unwrap();
    assert!(
        tried.to_string().contains("playbook process died"),
        "{tried}"
    );
    assert_eq!(rig.daemon(), daemon, "the daemon is the one it was");

    // It goes with the daemon, also when it cannot run.
    until("it thinks", || !helpers(daemon).is_empty());
    let left = helpers(daemon);
    kill(left[0], Signal::STOP);
    rig.kill_daemon();
    until("it has gone with the daemon", || {
        !left.iter().any(|pid| lives(*pid))
    });
    is_cured(&rig);
    rig.ok(&["stop", "api"]);
}

/// A daemon with nothing to think about has no such process.
#[test]
fn a_daemon_at_rest_has_no_playbook_process() {
    let rig = Rig::new();
    rig.ok(&["list"]);
    let daemon = rig.daemon();
    rig.ok(&["brain", "playbooks"]);
    until("it has gone", || helpers(daemon).is_empty());
}
