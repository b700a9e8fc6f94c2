//! Lines outlive what printed them: copies that were scaled away, processes that were deleted.

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Rig, kill, until};

/// What each copy prints: two lines with its number.
const PRINTS: &str = r#"sh -c 'echo "level=warn msg=begun copy=$MHOST_INSTANCE"; echo "end of $MHOST_INSTANCE" >&2; exec sleep 1000'"#;

/// Two copies of `sc`, of which one was scaled away, beside the only copy of `sc-1`.
fn scaled(rig: Rig) -> Rig {
    let start = |name: &str, copies: &str| {
        rig.ok(&["start", PRINTS, "--name", name, "-i", copies]);
    };
    start("sc", "2");
    start("sc-1", "1");
    rig.until_printed("sc", "end of 1");
    rig.until_printed("sc", "end of 0");
    rig.until_printed("sc-1", "end of 0");
    rig.ok(&["scale", "sc", "1"]);
    rig
}

fn found(rig: &Rig, args: &[&str]) -> Vec<String> {
    let printed = rig.ok(&[&["logs", "--raw"], args].concat());
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn count(rig: &Rig, args: &[&str]) -> u64 {
    let counted = rig.json(&[&["logs", "--count-by", "instance"], args].concat());
    let counts = counted["counts"].as_array().expect("counts");
    counts.iter().filter_map(|one| one["count"].as_u64()).sum()
}

/// Every question finds the lines of a copy that is no more, and none of another process.
fn finds_all(rig: &Rig) {
    let one = ["end of 1", "level=warn msg=begun copy=1"];
    let both = [
        "end of 0",
        "end of 1",
        "level=warn msg=begun copy=0",
        "level=warn msg=begun copy=1",
    ];
    for target in ["sc:1", "0:1"] {
        assert_eq!(found(rig, &[target]), one, "{target}");
    }
    assert_eq!(found(rig, &["sc"]), both);
    assert_eq!(found(rig, &["s?"]), both);
    assert_eq!(found(rig, &["sc-1"]).len(), 2, "it is another process");
    for all in [&[][..], &["all"]] {
        assert_eq!(found(rig, all).len(), 6, "{all:?}");
    }
    assert_eq!(found(rig, &["sc", "--search", "end AND 1"]), one[..1]);
    assert_eq!(found(rig, &["sc", "--where", "copy = 1"]), one[1..]);
    assert_eq!(found(rig, &["sc", "--level", "warn"]), both[2..]);
    assert_eq!((count(rig, &["sc"]), count(rig, &["sc:1"])), (4, 2));
    assert_eq!(count(rig, &[]), 6);
    let kinds = rig.json(&["logs", "sc", "--templates"]);
    let kinds = kinds["templates"].as_array().expect("templates");
    let lines: Option<u64> = kinds.iter().map(|kind| kind["count"].as_u64()).sum();
    assert_eq!(lines, Some(4), "{kinds:?}");
    let page = rig.json(&["logs", "sc:1"]);
    let instances: Vec<&Value> = page["lines"].as_array().expect("lines").iter().collect();
    assert!(instances.iter().all(|line| line["instance"] == 1), "{page}");
    for never in ["sc:2", "sc:7", "sc-2", "sc-1:1"] {
        rig.fails(3, &["logs", never]);
    }
}

/// Also after the daemon was replaced, which knows of one copy only.
#[test]
fn lines_of_copies_that_were_scaled_away_are_found() {
    let rig = scaled(Rig::new());
    finds_all(&rig);
    rig.kill_daemon();
    finds_all(&rig);
    let _follower = rig.spawn_into("followed", &["logs", "sc:1", "-f", "--raw"]);
    until("a follower shows them", || {
        std::fs::read_to_string(rig.path("followed")).is_ok_and(|text| text.lines().count() == 2)
    });
    rig.ok(&["scale", "sc", "2"]);
    until("and goes on when the copy is back", || {
        std::fs::read_to_string(rig.path("followed")).is_ok_and(|text| text.lines().count() == 4)
    });
}

/// What deletes lines deletes those, too.
#[test]
fn lines_of_copies_that_were_scaled_away_are_deleted() {
    let rig = scaled(Rig::new());
    rig.ok(&["flush", "sc:1", "--yes"]);
    assert_eq!(found(&rig, &["sc:1"]).len(), 0);
    assert_eq!(found(&rig, &["sc"]).len(), 2);
    rig.ok(&["scale", "sc", "2"]);
    rig.until_printed("sc:1", "end of 1");
    rig.ok(&["scale", "sc", "1"]);
    rig.ok(&["flush", "sc", "--yes"]);
    assert_eq!(found(&rig, &["sc"]).len(), 0);
    assert_eq!(found(&rig, &["sc-1"]).len(), 2, "it is another process");
    rig.ok(&["delete", "sc"]);
    let left: Vec<String> = std::fs::read_dir(rig.home().file("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .filter(|name| name.starts_with("sc-") && !name.starts_with("sc-1-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    rig.fails(3, &["logs", "sc:1"]);
}

/// What is kept of a copy that is no more expires as everything does.
#[test]
fn lines_of_copies_that_were_scaled_away_expire() {
    let rig = scaled(Rig::new());
    std::fs::write(
        rig.home().file("config.toml"),
        "[logs]\nretention_info = \"1s\"\nretention_default = \"1s\"\nretention_warn = \"1h\"\n",
    )
    .unwrap();
    kill(rig.daemon(), Signal::HUP);
    until("low levels are gone", || {
        found(&rig, &["sc:1"]) == ["level=warn msg=begun copy=1"]
    });
}

/// `--keep-logs` keeps them where they can be read, by the name of the process.
#[test]
fn lines_of_a_deleted_process_are_found_by_its_name() {
    let rig = scaled(Rig::new());
    rig.ok(&["delete", "sc", "--keep-logs"]);
    assert_eq!(found(&rig, &["sc"]).len(), 4);
    assert_eq!(found(&rig, &["sc:1"]).len(), 2);
    assert_eq!(found(&rig, &[]).len(), 2, "it is not among all processes");
    rig.fails(3, &["logs", "sc:2"]);
    rig.fails(3, &["logs", "sc", "-f"]);
    rig.fails(3, &["restart", "sc"]);
    rig.ok(&["flush", "sc", "--yes"]);
    assert_eq!(found(&rig, &["sc"]).len(), 0);
}
