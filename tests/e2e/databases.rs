//! The databases at their end, and when one of them is broken.

use std::path::Path;

use crate::rig::Rig;

const WEB: &str = "[process.web]\ncommand = \"sleep 600\"\n";

/// After a clean stop each database is one file, with nothing beside it that is not in it yet.
#[test]
fn a_clean_stop_leaves_nothing_beside_the_databases() {
    let rig = Rig::new()
        .config(WEB)
        .settings("[notifications.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n")
        .start();
    rig.ok(&["brain", "history"]);
    rig.ok(&["notify", "history"]);
    rig.ok(&["daemon", "stop"]);
    let mut found = Vec::new();
    for folder in ["", "brain"] {
        for entry in std::fs::read_dir(rig.home().file(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with("-wal") && entry.metadata().unwrap().len() > 0 {
                found.push(name);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
    assert!(Path::new(&rig.home().file("brain/history.db")).exists());
}

/// A history of the brain that is no database is moved aside, and one that cannot be opened
/// leaves the brain off; the state of the daemon says either, with what to type.
#[test]
fn a_broken_history_of_the_brain_is_said() {
    let rig = Rig::new().config(WEB);
    let history = rig.home().file("brain/history.db");
    std::fs::create_dir_all(history.parent().unwrap()).unwrap();
    std::fs::write(
        &history,
        "no database, but long enough to be looked at\n".repeat(99),
    )
    .unwrap();
    let rig = rig.start();
    let degraded = || rig.json(&["daemon", "status"])["degraded"].clone();
    let said = degraded().to_string();
    assert!(said.contains("history.db.damaged"), "{said}");
    assert!(said.contains("rm "), "{said}");
    rig.ok(&["brain", "history"]);
    rig.ok(&["daemon", "stop"]);
    std::fs::remove_file(&history).unwrap();
    std::fs::create_dir(&history).unwrap();
    rig.ok(&["start"]);
    let said = degraded().to_string();
    assert!(said.contains("the brain and the agent are off"), "{said}");
    assert!(said.contains("history.db"), "{said}");
    assert!(said.contains("mhost daemon upgrade"), "{said}");
    assert_eq!(rig.status("web"), "online");
}
