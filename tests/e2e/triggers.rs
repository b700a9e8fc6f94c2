//! What restarts a healthy process: memory, the clock, a changed file.

use crate::rig::{Rig, until};

/// A program that uses more than it may is restarted, and the figures are in its history.
#[test]
fn a_leak_is_ended_at_its_limit() {
    let rig = Rig::new()
        .config(
            "[process.api]\ncommand = \"puppet leak 20MB/s\"\nmax_memory = \"40MB\"\n\
             grace_period = \"1s\"\n",
        )
        .start();
    let former = rig.pid("api");
    rig.until_other_pid("api", former);
    let exceeded = rig.event("api", "memory_exceeded");
    assert_eq!(exceeded["limit"], 40 << 20);
    assert!(exceeded["rss"].as_u64().unwrap() > 40 << 20);
    assert_eq!(rig.event("api", "restart")["reason"], "memory");
    assert!(!rig.kinds("api").contains(&"crash".to_owned()));
}

/// A schedule of seconds restarts gracefully, and not as a crash.
#[test]
fn a_schedule_restarts_the_process() {
    let rig = Rig::new()
        .config("[process.api]\ncommand = \"puppet sleep\"\ncron_restart = \"*/2 * * * * *\"\n");
    rig.run(&["start", "--no-wait"]);
    until("the schedule has come twice", || {
        let events = rig.events("api");
        let restarts = events.iter().filter(|one| one["kind"] == "restart");
        restarts
            .filter(|one| one["data"]["reason"] == "cron")
            .count()
            >= 2
    });
    assert!(!rig.kinds("api").contains(&"crash".to_owned()));
    assert!(rig.ok(&["cron"]).contains("*/2 * * * * *"));
}

/// A changed source file restarts the process, another file does not.
#[test]
fn a_changed_file_restarts_the_process() {
    let rig = Rig::new().config(
        "[process.api]\ncommand = \"puppet sleep\"\nwatch = [\"*.js\"]\nignore = [\"skip.js\"]\n",
    );
    rig.write("app.js", "1");
    let rig = rig.start();
    let former = rig.pid("api");
    rig.write("notes.txt", "2");
    rig.write("skip.js", "2");
    rig.write("app.js", "2");
    rig.until_other_pid("api", former);
    let restart = rig.event("api", "restart");
    assert_eq!(restart["reason"], "watch");
    assert!(restart["path"].as_str().unwrap().ends_with("app.js"));
    assert!(rig.ok(&["history", "api"]).contains("app.js"));
    let log = rig.ok(&["daemon", "logs"]);
    assert!(log.contains("app.js") && !log.contains("skip.js"), "{log}");
}
