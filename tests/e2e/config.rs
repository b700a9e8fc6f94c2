//! Config files: started twice, changed, pruned, wrong; saved and restored.

use crate::rig::{Rig, text};

const TWO: &str =
    "[process.a]\ncommand = \"puppet sleep\"\n[process.b]\ncommand = \"puppet sleep\"\n";

fn changes(rig: &Rig, args: &[&str]) -> Vec<(String, String)> {
    let outcome = rig.json(args);
    let processes = outcome["processes"].as_array().unwrap().clone();
    let mut changes: Vec<_> = processes
        .iter()
        .map(|one| (text(&one["name"]), text(&one["change"])))
        .collect();
    changes.sort();
    changes
}

fn is(changes: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = changes
        .iter()
        .map(|(name, change)| (name.as_str(), change.as_str()))
        .collect();
    assert_eq!(found, expected);
}

/// A second start restarts only what changed, and removes only what it is told to.
#[test]
fn starting_a_file_again_does_only_the_difference() {
    let rig = Rig::new().config(TWO);
    is(
        &changes(&rig, &["start"]),
        &[("a", "created"), ("b", "created")],
    );
    let (a, b) = (rig.pid("a"), rig.pid("b"));
    is(
        &changes(&rig, &["start"]),
        &[("a", "unchanged"), ("b", "unchanged")],
    );
    assert_eq!((rig.pid("a"), rig.pid("b")), (a, b));

    let rig = rig.config(
        "[process.a]\ncommand = \"puppet sleep\"\n[process.b]\ncommand = \"puppet numbers 50\"\n",
    );
    is(
        &changes(&rig, &["start"]),
        &[("a", "unchanged"), ("b", "updated")],
    );
    assert_eq!(rig.pid("a"), a);
    assert_ne!(rig.pid("b"), b);

    let rig = rig.config("[process.a]\ncommand = \"puppet sleep\"\n");
    let outcome = rig.json(&["start"]);
    assert_eq!(outcome["left_over"], serde_json::json!(["b"]));
    assert_eq!(rig.list().len(), 2);
    let outcome = rig.json(&["start", "--prune"]);
    assert_eq!(outcome["pruned"], serde_json::json!(["b"]));
    assert_eq!(rig.list().len(), 1);
    assert_eq!(rig.pid("a"), a);
    rig.assert_only(&[a]);
}

/// A dry run says what would happen, starts nothing, and no daemon either.
#[test]
fn a_dry_run_does_nothing() {
    let rig = Rig::new().config(TWO);
    let said = rig.ok(&["start", "--dry-run"]);
    assert!(said.contains('a') && said.contains("start"), "{said}");
    assert!(rig.home().strays().is_empty());
    let rig = rig.start();
    let a = rig.pid("a");
    let rig = rig.config("[process.a]\ncommand = \"puppet numbers 50\"\n");
    let said = rig.ok(&["start", "--dry-run"]);
    assert!(said.contains("restart"), "{said}");
    assert_eq!(rig.pid("a"), a);
}

/// All that is wrong with a file is told at once, with its places, and nothing is started.
#[test]
fn a_wrong_file_changes_nothing() {
    let rig = Rig::new().config(
        "[process.a]\ncommand = \"puppet sleep\"\nintsances = 2\n[process.b]\ndepends_on = [\"zz\"]\n",
    );
    let said = rig.fails(2, &["start"]);
    assert!(
        said.contains("intsances") && said.contains("instances"),
        "{said}"
    );
    assert!(said.contains("zz"), "{said}");
    let rig = rig.config(
        "[process.a]\ncommand = \"x\"\ndepends_on = [\"b\"]\n[process.b]\ncommand = \"x\"\ndepends_on = [\"a\"]\n",
    );
    let said = rig.fails(2, &["start"]);
    assert!(
        said.contains("a → b → a") || said.contains("b → a → b"),
        "{said}"
    );
}

/// Only some processes of a file.
#[test]
fn only_some_of_a_file() {
    let rig = Rig::new().config(TWO);
    rig.ok(&["start", "--only", "b"]);
    let names: Vec<String> = rig.list().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, ["b"]);
    rig.ok(&["start"]);
    // The others are in the file still, and neither said to be gone nor removed.
    let said = rig.ok(&["start", "--only", "b", "--prune"]);
    assert!(
        !said.contains("a removed") && !said.contains("not in the file"),
        "{said}"
    );
    assert_eq!(rig.list().len(), 2);
}

/// What was saved comes back with its order, number and state; what runs is left alone.
#[test]
fn saved_processes_are_restored_as_they_were() {
    let rig = Rig::new().config(TWO).start();
    rig.ok(&[
        "start",
        "puppet sleep",
        "--name",
        "c",
        "--instances",
        "2",
        "--env",
        "X=a b",
    ]);
    rig.ok(&["stop", "a"]);
    rig.ok(&["save"]);
    let (b, c) = (rig.pid("b"), rig.pids("c"));
    rig.ok(&["resurrect"]);
    assert_eq!(
        (rig.pid("b"), rig.pids("c")),
        (b, c),
        "what runs is left alone"
    );
    rig.ok(&["delete", "all", "--yes"]);
    assert!(rig.list().is_empty());
    rig.ok(&["resurrect"]);
    let names: Vec<String> = rig.list().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(rig.status("a"), "stopped");
    assert_eq!(rig.status("b"), "online");
    assert_eq!(rig.pids("c").len(), 2);
    assert!(rig.ok(&["env", "c"]).contains("a b"));
}
