//! A disk that is really full: the home lies on a file system of a few megabytes.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::rig::counterparts::skipped;
use crate::rig::home::{command, stderr};
use crate::rig::{Rig, assert_runs_without_gaps, pause, until};
use crate::{amount, tell};

/// Size of the disk.
const SIZE: &str = "size=24m";

/// A mounted file system, until it is dropped.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = command("umount").arg("-l").arg(self.0).status();
    }
}

/// Programs run on, commands are answered, and once there is room again every line is there.
#[test]
fn nothing_is_lost_on_a_full_disk() {
    let rounds = amount(2, 20);
    let rig = Rig::new();
    let home = rig.home().path();
    std::fs::create_dir_all(&home).unwrap();
    let mut mount = command("mount");
    let mounted = mount
        .args(["-t", "tmpfs", "-o", SIZE, "none"])
        .arg(&home)
        .output();
    let mounted = mounted.unwrap();
    if !mounted.status.success() {
        return skipped(&format!(
            "no disk can be mounted: {}",
            stderr(&mounted).trim()
        ));
    }
    let disk = Disk(&home);

    let rig = rig.running("api", "puppet numbers 5");
    let (pid, daemon) = (rig.pid("api"), rig.daemon());
    for _ in 0..rounds {
        let filler = home.join("filler");
        fill(&filler);
        pause(Duration::from_millis(1_500));
        assert_eq!(rig.status("api"), "online");
        assert_eq!(rig.pid("api"), pid);
        std::fs::remove_file(&filler).unwrap();
        pause(Duration::from_millis(500));
    }
    let kept = rig.lines("api").len();
    until("lines are kept again", || rig.lines("api").len() > kept);
    assert_eq!(rig.daemon(), daemon, "it lives");
    rig.ok(&["stop", "api"]);
    let printed = rig.lines("api");
    assert_runs_without_gaps(&printed, 1);
    tell(
        "full disk",
        &json!({ "times": rounds, "lines": printed.len() }),
    );
    rig.ok(&["daemon", "stop"]);
    drop(disk);
}

/// Writes until there is no room for another byte.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
