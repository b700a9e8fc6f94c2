//! A new set that proves itself by the sign of `ready`.

use supervisor::Status;

use super::rig::{Rig, failure, pid, reload_as_said, spec};

/// Says that it is up, but not beside another copy while there is a file.
fn says_so(file: &std::path::Path) -> String {
    format!(
        "test x$MHOST_REUSEPORT = x1 && test -e {} || echo up; exec sleep 600",
        file.display()
    )
}

/// Without a probe the sign is the proof, and one that does not come leaves the old set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_proves_a_new_set() {
    let rig = Rig::new().await;
    let silent = rig.home.path().join("silent");
    let extra = "ready = { log = \"^up$\" }\n[reload]\ntimeout = \"700ms\"\n";
    rig.apply(vec![spec("web", &says_so(&silent), extra)])
        .await
        .expect("starts");
    let first = pid(&rig.online("web").await);
    rig.call(reload_as_said("web")).await.expect("reloads");
    let view = rig.view("web").await;
    let second = pid(&view);
    assert_eq!(view.state, Status::Online);
    assert_ne!(second, first);
    rig.until_only(second).await;

    std::fs::write(&silent, "").expect("written");
    let told = failure(rig.call(reload_as_said("web")).await);
    let wanted = "the new `web:0` failed: it waited in vain for the line of `ready` within 700ms; \
        the old instances were kept";
    assert_eq!(told, wanted);
    rig.until_only(second).await;
    rig.finish().await;
}
