//! Programs with less than root, and with a `/tmp` of their own, through the real daemon.

use rustix::process::geteuid;

use crate::rig::{PATIENCE, Rig, wait_until};

/// The first example of the page that explains it, with this home's name in the file it makes.
fn example(mark: &str) -> String {
    let page = std::fs::read_to_string("docs/sandbox.md").expect("the page is there");
    let (_, example) = page.split_once("```toml\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    example.replace("mine", mark)
}

/// The example of the page does what the page says, survives the daemon, and leaves nothing.
#[test]
fn the_example_of_the_page_runs() {
    if !geteuid().is_root() {
        let error = Rig::new().config(&example("mine")).fails(2, &["start"]);
        for key in ["user", "capabilities", "private_tmp"] {
            let said = format!("`{key}` needs a daemon that runs as root");
            assert!(error.contains(&said), "{error}");
        }
        return;
    }
    let mark = format!("mine-{}", std::process::id());
    let rig = Rig::new().config(&example(&mark)).start();
    for line in ["CapEff:\t0000000000000400", "NoNewPrivs:\t1", &mark] {
        rig.until_printed("web", line);
    }
    let outside = std::path::Path::new("/tmp").join(&mark);
    assert!(!outside.exists(), "everybody sees it");

    let pids = rig.pids("web");
    rig.kill_daemon();
    rig.until("web", "online");
    assert_eq!(rig.pids("web"), pids, "it is the same run");
    rig.assert_only(&pids);

    rig.ok(&["restart", "web"]);
    let restarted = rig.pids("web");
    assert_ne!(restarted, pids);
    let inside = format!("/proc/{}/root/tmp", restarted[0]);
    let alone = || {
        let found = std::fs::read_dir(&inside).expect("root may look");
        let names: Vec<_> = found.map(|one| one.expect("reads").file_name()).collect();
        names == [mark.as_str()]
    };
    assert!(wait_until(PATIENCE, alone), "each run begins with nothing");
    rig.ok(&["stop", "web"]);
    rig.assert_only(&[]);
    assert!(!outside.exists());
}

/// What cannot be done is said where it is asked for, and nothing runs without it.
#[test]
fn what_a_private_tmp_would_hide_is_said() {
    if !geteuid().is_root() {
        return;
    }
    let rig = Rig::new().config("[process.web]\ncommand = \"sleep 1000\"\nprivate_tmp = true\n");
    let error = rig.fails(1, &["start"]);
    let said = "cannot set `private_tmp`: it hides the working folder, ";
    assert!(error.contains(said), "{error}");
    assert!(rig.pids("web").is_empty());
}
