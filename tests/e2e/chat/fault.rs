//! A program that really fails, and a person who says yes: its lock outlives it when it is
//! killed, and every start refuses.
//!
//! `MHOST_FAULTS` names a folder of programs of other people's making that fail; with
//! `stale-lock-py` in it that one is taken in the place of ours.

use std::path::PathBuf;

use rustix::process::Signal;

use super::person::{At, Message, Person, says, with_button};
use super::words::{TOLD, connected};
use crate::rig::{Rig, kill, until};

/// Writes its pid into a lock, takes it away at a clean end, and refuses to start beside one.
const PROGRAM: &str = r#"
mkdir -p run
if ! (set -o noclobber; echo $$ > run/api.lock) 2>/dev/null; then
    echo "ERROR lock file $PWD/run/api.lock exists (pid $(cat run/api.lock)); not starting" >&2
    exit 1
fi
trap 'rm -f run/api.lock; exit 0' TERM
echo serving
while sleep 0.2; do :; done
"#;

/// A supervisor alone tries it in vain. It takes minutes until another playbook would have it
/// that no try helps.
const PROCESS: &str = r#"
max_restarts = 30
min_uptime = "2s"
restart_delay = "5s"
grace_period = "3s"
[process.api.env]
PORT = "0"
"#;

/// Where the program of other people is, if anywhere.
fn foreign() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("MHOST_FAULTS")?);
    let program = folder.join("stale-lock-py/api.py");
    program.exists().then_some(program)
}

fn fleet(person: &dyn Person) -> Rig {
    let foreign = foreign();
    let command = foreign.as_ref().map_or("bash api.sh", |_| "python3 api.py");
    let config = format!("[process.api]\ncommand = \"{command}\"{PROCESS}");
    let settings =
        (person.settings() + TOLD).replace("[agent]\n", "[agent]\nverify_window = \"3s\"\n");
    let rig = Rig::new().config(&config).settings(&settings);
    match foreign {
        Some(program) => drop(std::fs::copy(program, rig.path("api.py")).unwrap()),
        None => rig.write("api.sh", PROGRAM),
    }
    let rig = rig.start();
    connected(&rig);
    until("it holds its lock", || rig.path("run/api.lock").exists());
    rig
}

fn now(person: &dyn Person, asked: &Message) -> Message {
    let all = person.sees(At::Channel);
    let found = all.into_iter().find(|one| one.id == asked.id);
    found.expect("the message is still there")
}

/// From the crash to the measured outcome, in one message.
pub(super) fn is_healed(person: &dyn Person) {
    let rig = fleet(person);
    let former = rig.pid("api");
    kill(former, Signal::KILL);
    until("somebody is asked", || {
        with_button(person, At::Channel, "Approve").is_some()
    });
    let asked = with_button(person, At::Channel, "Approve").unwrap();
    assert!(asked.text.contains("lock"), "{}", asked.text);
    assert!(rig.path("run/api.lock").exists(), "not without a yes");
    says(person, "/incidents", "api");
    says(person, "/approvals", "lock");
    says(person, "/ack api", "of api is looked after by");
    person.presses(At::Channel, &now(person, &asked), "Approve");
    until("it is measured", || {
        now(person, &asked).text.contains("well again")
    });
    let end = now(person, &asked);
    assert!(end.text.contains("approved"), "{}", end.text);
    assert_eq!(end.buttons, Vec::<String>::new());
    assert_eq!(rig.status("api"), "online");
    assert_ne!(rig.pid("api"), former);
    says(person, "/incidents", "Nothing is wrong");
    assert_eq!(person.faults(), Vec::<String>::new());
}
