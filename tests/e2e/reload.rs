//! Renewing programs while they are asked, and while the daemon dies.

use std::sync::atomic::Ordering;

use rustix::process::Signal;
use serde_json::Value;

use crate::load::{Connections, languages, server, under_load_of, until_answered};
use crate::rig::{PATIENCE, Rig, free_port, home, kill, lives, text, until};

/// Two copies of a server on one socket, which its probe asks, too.
fn serving(language: &str, port: u16) -> Rig {
    let rig = Rig::new().config(&format!(
        r#"
        [process.web]
        command = "sh web.sh ${{FD}}"
        instances = 2
        listen = ["tcp://127.0.0.1:{port}"]
        [process.web.health.http]
        url = "http://localhost:{port}/"
        interval = "1s"
        timeout = "900ms"
        [process.web.reload]
        timeout = "3s"
        "#,
    ));
    let server = server(language).replace("${FD}", "$1");
    rig.write("web.sh", &format!("exec {server}\n"));
    rig.start()
}

/// No request is lost by reloads, nor by one to a version that never comes up.
#[test]
fn reloads_lose_no_request() {
    for language in languages() {
        for connections in [Connections::Single, Connections::Kept] {
            let port = free_port();
            let rig = serving(language, port);
            let load = under_load_of(connections, port, |load| {
                until_answered(load, 50);
                for _ in 0..3 {
                    let before = rig.pids("web");
                    // Whose turn it is to accept is luck, and other tests take the machine.
                    rig.ok(&["reload", "web", "--wait", "--timeout", "30s"]);
                    assert!(rig.pids("web").iter().all(|pid| !before.contains(pid)));
                    assert!(before.iter().all(|pid| !lives(*pid)));
                    until_answered(load, 50);
                }
                let before = rig.pids("web");
                rig.write("web.sh", "exec sleep 600\n");
                let said = rig.fails(6, &["reload", "web"]);
                assert!(said.contains("accepted no connection"), "{said}");
                assert_eq!(rig.pids("web"), before);
                until_answered(load, 50);
            });
            let lost = (
                load.refused.load(Ordering::Relaxed),
                load.broken.load(Ordering::Relaxed),
            );
            assert_eq!(lost, (0, 0), "{language}, {connections:?}");
        }
    }
}

/// A new version whose probe fails is found out, though old ones answer on the same socket and
/// pass it.
#[test]
fn a_new_version_has_to_pass_its_probe_itself() {
    let Some(language) = languages().into_iter().find(|one| *one == "python") else {
        return;
    };
    let port = free_port();
    let rig = serving(language, port);
    rig.write(
        "ill.py",
        r"
import select, socket
listener = socket.socket(fileno=3)
while select.select([listener], [], []):
    try:
        stream, _ = listener.accept()
    except BlockingIOError:
        continue
    if stream.recv(65536):
        stream.sendall(b'HTTP/1.1 503 Ill\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    stream.close()
",
    );
    rig.write("web.sh", "exec python3 ill.py\n");
    let before = rig.pids("web");
    let said = rig.fails(6, &["reload", "web"]);
    assert!(said.contains("status 503"), "{said}");
    assert_eq!(rig.pids("web"), before);
    rig.assert_only(&before);
}

/// A program that opens its port by itself cannot stand beside its successor: the reload says
/// what to do, and the old one goes on.
#[test]
fn a_port_that_the_old_one_has_is_told() {
    let port = free_port();
    let rig = Rig::new().config(&format!(
        r#"
        [process.web]
        command = "sh web.sh"
        [process.web.health.http]
        url = "http://127.0.0.1:{port}/"
        interval = "1s"
        timeout = "900ms"
        "#,
    ));
    // Puppet waits for its port; most servers die.
    let taken = "test x$MHOST_REUSEPORT = x || { echo 'bind: Address already in use'; exit 1; }";
    rig.write("web.sh", &format!("{taken}\nexec puppet serve {port}\n"));
    let rig = rig.start();
    let pid = rig.pid("web");
    let said = rig.fails(6, &["reload", "web"]);
    assert!(said.contains("its port is taken by the old one"), "{said}");
    assert!(said.contains("`listen`"), "{said}");
    rig.assert_only(&[pid]);
}

/// Wherever in a reload the daemon is killed, each copy runs once in the end.
#[test]
fn a_kill_in_the_middle_of_a_reload_leaves_one_set() {
    let rig = Rig::new().config(
        r#"
        [process.web]
        command = "sh web.sh"
        instances = 2
        grace_period = "1s"
        [process.web.health.script]
        command = "test -e well || test x$MHOST_REUSEPORT = x"
        interval = "1s"
        timeout = "900ms"
        retries = 1000
        "#,
    );
    rig.write("web.sh", "trap '' TERM\nwhile :; do sleep 0.2; done\n");
    let rig = rig.start();
    let leaders = || {
        let mut alive = rig.home().strays_named("sh");
        alive.retain(|pid| {
            let id = rustix::process::Pid::from_raw(*pid);
            rustix::process::getsid(id).is_ok_and(|session| Some(session) == id)
        });
        alive
    };
    let renewed = |before: &[i32]| rig.pids("web").iter().all(|pid| !before.contains(pid));
    // While the new ones come up, while they prove themselves, while the old ones stop.
    for phase in ["beginning", "proof", "end"] {
        let before = rig.pids("web");
        match phase {
            "beginning" => _ = std::fs::remove_file(rig.path("well")),
            _ => rig.write("well", ""),
        }
        let mut command = rig.spawn_into("command", &["reload", "web", "--wait"]);
        match phase {
            "beginning" => until("new ones run", || leaders().len() >= 4),
            "proof" => until("new ones are online", || {
                let events = rig.events("web");
                let begun = events
                    .iter()
                    .rposition(|event| event["kind"] == "reload_started");
                let online = |event: &Value| text(&event["kind"]) == "online";
                begun.is_some_and(|begun| events[begun..].iter().any(online))
            }),
            _ => until("new ones are in place", || renewed(&before)),
        }
        let stays = before.iter().all(|pid| lives(*pid));
        assert!(stays, "{phase}: the old ones run until the end");
        kill(rig.daemon(), Signal::KILL);
        let ended = home::wait_until(PATIENCE, || !matches!(command.0.try_wait(), Ok(None)));
        assert!(ended, "{phase}: the command ends");
        rig.until("web", "online");
        assert_eq!(renewed(&before), phase == "end", "{phase}");
        let mut wanted = rig.pids("web");
        wanted.sort_unstable();
        until("each copy runs once", || {
            let mut alive = leaders();
            alive.sort_unstable();
            alive == wanted
        });
    }
}
