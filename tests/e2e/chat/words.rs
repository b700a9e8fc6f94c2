//! Every word of the chats, written by a person. The words are those of the one table that the
//! parser and the menus have, so that none can be forgotten.

use std::collections::BTreeSet;

use chat::order::VERBS;

use super::person::{Person, says};
use super::{DRAINED, FLEET, well};
use crate::rig::{Rig, until};

/// What is written, in this order, and what the answer shows.
const LINES: [(&str, &str); 55] = [
    ("/status", "2 of 2 online"),
    ("/status api", "api"),
    ("/status nobody", "no process"),
    ("/logs api", "no lines"),
    ("/logs web 50", "signed in with"),
    ("/follow web", "signed in with"),
    ("/health", "No probes"),
    ("/history api", "events of api"),
    ("/metrics", "figures"),
    ("/cron", "No schedules"),
    ("/links", "Nothing depends"),
    ("/limits api", "limits"),
    ("/env api", "api:0"),
    ("/index", "index over logs"),
    ("/version", "mhost "),
    ("/score", "health scores"),
    ("/playbooks", "playbooks"),
    ("/incidents", "Nothing is wrong"),
    ("/approvals", "No questions are open"),
    ("/whoami", "admin"),
    ("/help", "/restart"),
    ("/restart api", "restart api: done"),
    ("/reload web", "reload web: done"),
    ("/scale web +1", "web has 2 copies"),
    ("/reset api", "reset api: done"),
    ("/probe api", "probe api"),
    ("/signal api winch", "signal api: done"),
    ("/reindex", "index over logs"),
    ("/mute web 1h", "web is muted for 1h"),
    ("/mute web off", "web is told of again"),
    ("/pause", "does nothing until"),
    ("/resume", "acts again"),
    ("/ask is all well?", "a model is not available"),
    // There is no such incident and no such question.
    ("/ack zzz", "zzz"),
    ("/approve zzz", "zzz"),
    ("/deny zzz", "zzz"),
    ("/always zzz", "zzz"),
    // What ends something is asked about first.
    ("/save", "is saved"),
    ("/flush web", "Really"),
    ("/confirm", "flush web: done"),
    ("/stop web", "Really"),
    ("/confirm", "stop web: done"),
    ("/start web", "start web: done"),
    ("/allow drained api", "Really"),
    ("/confirm", "drained may act on api"),
    ("/grants", "drained on api"),
    ("/delete web", "Really"),
    ("/cancel", "ancelled"),
    ("/status web", "web"),
    ("/delete web", "Really"),
    ("/confirm", "delete web: done"),
    ("/status web", "no process"),
    ("/resurrect", "Really"),
    ("/confirm", "resurrect"),
    ("/status web", "web"),
];
/// It needs an id that only another answer tells.
const REVOKE: &str = "revoke";

/// Somebody is told what happens, so that it can be acknowledged and muted. Nobody listens there.
pub(super) const TOLD: &str = r#"
[notifications.elsewhere]
type = "webhook"
url = "http://127.0.0.1:9/"
events = ["crash"]
"#;

/// A fleet whose playbook has to ask, with this person's bot connected.
pub(super) fn fleet(person: &dyn Person) -> Rig {
    let rig = Rig::new()
        .config(FLEET)
        .settings(&(person.settings() + TOLD));
    let folder = rig.home().file("brain/playbooks");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("drained.rhai"), DRAINED).unwrap();
    let rig = well(rig.start());
    connected(&rig);
    rig
}

/// Waits until its bot is there.
pub(super) fn connected(rig: &Rig) {
    until("the bot is connected", || {
        rig.json(&["bot", "status"])["bots"][0]["connected"] == true
    });
}

/// Writes them all.
pub(super) fn all(person: &dyn Person) {
    let word = |line: &'static str| line[1..].split(' ').next().unwrap();
    let written = LINES.iter().map(|(line, _)| word(line));
    let written: BTreeSet<&str> = written.chain([REVOKE]).collect();
    let known: BTreeSet<&str> = VERBS.iter().map(|verb| verb.name).collect();
    assert_eq!(written, known, "each word, and no other");
    let rig = fleet(person);
    for (line, shows) in LINES {
        let answer = says(person, line, shows);
        if line == "/grants" {
            let (before, _) = answer.split_once(" · drained on api").unwrap();
            let id = before
                .rsplit(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap();
            let asks = "drained asks again before it acts on api";
            says(person, &format!("/{REVOKE} {id}"), asks);
        }
    }
    assert_eq!(rig.list().len(), 2);
    assert_eq!(person.faults(), Vec::<String>::new());
}
