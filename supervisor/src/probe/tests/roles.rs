//! Probes of `startup`, `readiness` and `liveness`: each is tried in its time.

use std::path::Path;

use super::*;

/// A script for each of these roles, which passes while there is a file of its name.
fn scripts(names: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            "[health.{name}.script]\ncommand = 'echo x >> {name}.tried; test -e {name}'\n\
             interval = '200ms'\ntimeout = '200ms'\nretries = 2\n"
        )
    };
    names.iter().map(one).collect()
}

fn tried(folder: &Path, name: &str) -> usize {
    std::fs::read(folder.join(format!("{name}.tried"))).map_or(0, |text| text.len() / 2)
}

/// What must pass first, is asked until it does and not again; what must live is asked from when
/// the instance is online.
#[tokio::test]
async fn each_role_is_asked_in_its_time() {
    let folder = tempfile::tempdir().expect("temp folder");
    let at = |name: &str| folder.path().join(name);
    let mut run = start_in(
        folder.path(),
        &scripts(&["startup", "readiness", "liveness"]),
        &[],
    );
    std::fs::write(at("readiness"), "").expect("writes");
    let failed = |news: &ProbeEvent, who: &str| matches!(news, ProbeEvent::Failed { probe, .. } if probe == who);
    assert!(failed(&run.news().await, "startup.script"));
    assert!(!run.probes.all_pass() && run.probes.are_ready());
    std::fs::write(at("startup"), "").expect("writes");
    while run.news().await != ProbeEvent::Ready {}
    assert!(run.probes.all_pass());
    assert_eq!(tried(folder.path(), "liveness"), 0, "it was not online yet");
    let startups = tried(folder.path(), "startup");

    run.probes.came_up();
    std::fs::remove_file(at("readiness")).expect("removes");
    let (mut ready, mut alive) = (true, true);
    while ready || alive {
        let news = run.news().await;
        if let ProbeEvent::Failed { probe, on_fail, .. } = &news {
            ready &= !(probe == "readiness.script" && *on_fail == OnFail::Notify);
            alive &= !(probe == "liveness.script" && *on_fail == OnFail::Restart);
        }
    }
    assert!(!run.probes.are_ready());
    assert_eq!(tried(folder.path(), "startup"), startups, "it has passed");
    let names: Vec<String> = run
        .probes
        .views()
        .into_iter()
        .map(|one| one.probe)
        .collect();
    assert_eq!(
        names,
        ["startup.script", "readiness.script", "liveness.script"]
    );
    run.tasks.shutdown(DEADLINE).await;
}

/// What is taken over has come up before.
#[tokio::test]
async fn a_run_that_is_online_has_no_startup() {
    let folder = tempfile::tempdir().expect("temp folder");
    let health = scripts(&["startup", "liveness"]);
    let mut run = start_as(Phase::Online, folder.path(), &health, &[]);
    let news = run.news().await;
    assert!(
        matches!(&news, ProbeEvent::Failed { probe, .. } if probe == "liveness.script"),
        "{news:?}"
    );
    assert_eq!(tried(folder.path(), "startup"), 0);
    run.tasks.shutdown(DEADLINE).await;
}
