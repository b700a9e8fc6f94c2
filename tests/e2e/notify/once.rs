//! What came of an incident is told once, whatever daemon tells it.

use super::hook;
use super::receiver::{How, Receiver};
use crate::rig::{Rig, until};

/// It restarts what says that its pool is drained, and that never helps.
const IN_VAIN: &str = r#"
const META = #{ name: "in-vain", version: 1, description: "Restart in vain", on: ["tick"],
                cooldown: "1h", max_per_hour: 1 };
fn matches(c) { c.state == "online" && c.log_count("pool is drained", "3s") >= 3 }
fn reason(c) { `${c.name} says that its pool is drained` }
fn plan(c) { [ restart() ] }
fn verify(c) { if c.age_s < 1.0 { () } else { false } }
"#;

/// An incident that a person has is heard of again at each start of the daemon; what was done
/// about it is no news then.
#[test]
fn a_new_daemon_does_not_tell_again_what_was_done() {
    let receiver = Receiver::start(How::Good);
    let settings = hook("heals", &receiver, "events = [\"brain_heal\"]");
    let config = "[process.api]\ngrace_period = \"1s\"\n\
                  command = \"bash -c 'while sleep 0.2; do echo TypeError: pool is drained; done'\"\n";
    let rig = Rig::new()
        .config(config)
        .settings(&format!("[agent]\npoll_interval = \"500ms\"\n{settings}"));
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("in-vain.rhai"), IN_VAIN).unwrap();
    let rig = rig.start();
    let told = || receiver.bodies("/heals").len();
    until("a person has it, and what was done is told", || {
        let rows = rig.json(&["brain", "history"])["history"].clone();
        rows[0]["state"] == "escalated" && told() == 1
    });
    let looked = || rig.json(&["agent", "status"])["last_round"].clone();
    for _ in 0..2 {
        let before = looked();
        rig.kill_daemon();
        // It is taken up as soon as the agent has started, and gathered for a moment.
        until("the agent of the new daemon looks", || {
            let now = looked();
            !now.is_null() && now != before
        });
        crate::rig::pause(std::time::Duration::from_secs(2));
        assert_eq!(told(), 1, "{:#?}", receiver.all());
    }
}
