//! Sockets that outlive programs: nobody is refused while a program, or the daemon, is away.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::load::{CLIENTS, ask, connect, languages, server, under_load, until_answered};
use crate::rig::{PATIENCE, Rig, kill, lives, parent, text, until, wait_until};

fn serving(language: &str, more: &str) -> Rig {
    let config = format!(
        "[process.web]\ncommand = \"{}\"\nlisten = [\"tcp://127.0.0.1:0\"]\n{more}\n",
        server(language)
    );
    Rig::new().config(&config).start()
}

/// Where the first socket of a process is open.
fn bound(rig: &Rig, name: &str) -> String {
    text(&rig.process(name)["listen"][0]["bound"])
}

fn port(rig: &Rig, name: &str) -> u16 {
    let bound = bound(rig, name);
    let (_, port) = bound.rsplit_once(':').unwrap();
    port.parse().unwrap()
}

/// Is this a guard that has come later, and does it have this open? What has just ended has
/// nothing, and a fork of the daemon that has not become a guard yet has all that the daemon has.
fn is_guard_with(pid: i32, what: &Path) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !String::from_utf8_lossy(&words).contains("--guard-of") {
        return false;
    }
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let mut links = open.flatten().map(|one| std::fs::read_link(one.path()));
    links.any(|link| link.is_ok_and(|link| link == what))
}

fn until_gone(pid: i32) {
    until("it is gone", || !lives(pid));
}

/// A program is told of its sockets as systemd tells it, by number, name and pid.
#[test]
fn a_program_gets_its_sockets_as_from_systemd() {
    let rig = Rig::new();
    rig.write(
        "show.sh",
        "echo \"fds=$LISTEN_FDS names=$LISTEN_FDNAMES args=$* port=$ADMIN\"\n\
         [ \"$LISTEN_PID\" = $$ ] && echo 'the pid is mine'\n\
         for n in 3 4 5; do readlink /proc/$$/fd/$n || echo \"no $n\"; done\n\
         exec sleep 600\n",
    );
    let rig = rig.config(
        r#"
            [process.show]
            command = "sh show.sh ${FD}"
            args = ["--admin=${FD_ADMIN}", "$${FD}"]
            env = { ADMIN = "fd ${FD_ADMIN:-none}", LISTEN_PID = "1" }
            listen = [
                "tcp://127.0.0.1:0",
                { address = "unix://run/show.sock", name = "admin", mode = "0600" },
            ]
            "#,
    );
    std::fs::create_dir(rig.path("run")).unwrap();
    let rig = rig.start();
    rig.until_printed("show", "no 5");
    let lines = rig.lines("show");
    assert_eq!(
        lines[0],
        "fds=2 names=0:admin args=3 --admin=4 ${FD} port=fd 4"
    );
    assert_eq!(lines[1], "the pid is mine");
    assert!(lines[2].starts_with("socket:["), "{lines:?}");
    assert!(lines[3].starts_with("socket:["), "{lines:?}");

    let listen = rig.process("show")["listen"].clone();
    assert_eq!(listen[0]["address"], "tcp://127.0.0.1:0");
    assert!(!text(&listen[0]["bound"]).ends_with(":0"), "{listen}");
    let file = rig.path("run/show.sock").canonicalize().unwrap();
    assert_eq!(listen[1]["bound"], format!("unix://{}", file.display()));
    let told = rig.ok(&["info", "show"]);
    assert!(
        told.contains("tcp://127.0.0.1:0, open at tcp://127.0.0.1:"),
        "{told}"
    );
    // Nobody accepts, and nobody is refused.
    UnixStream::connect(&file).unwrap();
    rig.ok(&["stop", "show"]);
    assert!(!file.exists());
    assert_eq!(rig.process("show")["listen"][0]["bound"], Value::Null);
    assert!(connect(port_of(&listen[0])).is_err());
}

fn port_of(listen: &Value) -> u16 {
    let bound = text(&listen["bound"]);
    bound.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Connections that are made while nothing of a program lives are answered by its next run.
#[test]
fn connections_wait_for_the_next_run() {
    for language in languages() {
        let rig = serving(language, "restart_delay = \"2s\"");
        let (port, pid) = (port(&rig, "web"), rig.pid("web"));
        until("it answers", || {
            connect(port)
                .and_then(ask)
                .is_ok_and(|line| line == format!("{language} {pid}"))
        });
        kill(pid, Signal::KILL);
        until_gone(pid);
        let waiting: Vec<TcpStream> = (0..20).map(|_| connect(port).unwrap()).collect();
        for stream in waiting {
            let line = ask(stream).unwrap();
            assert!(line.starts_with(language) && line != format!("{language} {pid}"));
        }
    }
}

/// Under load, neither a crash of the program, nor of the daemon, nor of both, nor of the guard
/// refuses anybody; what breaks is at most what a killed program had accepted.
#[test]
fn nobody_is_refused_whoever_dies() {
    for language in languages() {
        // So many crashes are not for the playbook of crash loops.
        let rig = serving(language, "max_restarts = 100");
        let port = port(&rig, "web");
        until("it answers", || connect(port).and_then(ask).is_ok());
        let mut crashes = 0;
        let load = under_load(port, |load| {
            until_answered(load, 50);
            for _ in 0..2 {
                let pid = rig.pid("web");
                kill(pid, Signal::KILL);
                crashes += 1;
                rig.until_other_pid("web", pid);
                until_answered(load, 50);
            }
            let pid = rig.pid("web");
            rig.kill_daemon();
            assert_eq!(rig.pid("web"), pid, "the program did not notice");
            until_answered(load, 50);

            let daemon = rig.daemon();
            kill(daemon, Signal::KILL);
            kill(pid, Signal::KILL);
            crashes += 1;
            until_gone(pid);
            until("another daemon answers", || {
                rig.home().daemon().is_some_and(|now| now != daemon)
            });
            rig.until("web", "online");
            until_answered(load, 50);

            // A new guard has the sockets, too.
            let (daemon, pid) = (rig.daemon(), rig.pid("web"));
            let guard = parent(daemon).unwrap();
            kill(guard, Signal::KILL);
            // It gets them a moment after it has begun.
            let socket = std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap();
            until("another guard has the socket", || {
                let others = rig.home().strays().into_iter();
                let mut others = others.filter(|one| ![daemon, pid, guard].contains(one));
                others.any(|one| is_guard_with(one, &socket))
            });
            kill(daemon, Signal::KILL);
            kill(pid, Signal::KILL);
            crashes += 1;
            until_gone(pid);
            rig.daemon();
            rig.until("web", "online");
            until_answered(load, 50);
        });
        let (refused, broken) = (load.refused.into_inner(), load.broken.into_inner());
        assert_eq!(refused, 0, "{language}: nobody is refused");
        assert!(broken <= crashes * CLIENTS, "{language}: {broken} broken");
        assert_eq!(port, self::port(&rig, "web"), "the port is the same");
    }
}

/// All instances have the socket, one that is added as well, and a restart loses nothing.
#[test]
fn instances_share_a_socket_and_a_restart_loses_nothing() {
    for language in languages() {
        let rig = serving(language, "");
        let port = port(&rig, "web");
        let answers_all = |pids: &[i32]| {
            let mut left: Vec<String> =
                pids.iter().map(|pid| format!("{language} {pid}")).collect();
            wait_until(PATIENCE, || {
                if let Ok(line) = connect(port).and_then(ask) {
                    left.retain(|one| *one != line);
                }
                left.is_empty()
            })
        };
        let load = under_load(port, |load| {
            until_answered(load, 20);
            rig.ok(&["scale", "web", "2"]);
            rig.until("web", "online");
            let pids = rig.pids("web");
            assert_eq!(pids.len(), 2);
            assert!(answers_all(&pids), "both answer");
            for _ in 0..3 {
                rig.ok(&["restart", "web"]);
                rig.until("web", "online");
                until_answered(load, 20);
            }
            let now = rig.pids("web");
            assert!(now.iter().all(|pid| !pids.contains(pid)));
            assert!(answers_all(&now), "both new ones answer");
        });
        let refused = load.refused.into_inner();
        let broken = load.broken.into_inner();
        assert_eq!((refused, broken), (0, 0), "{language}");
    }
}

/// An address that somebody has is told with who has it, nothing is left half done, and the
/// process comes up once it is free.
#[test]
fn a_taken_address_is_told_with_who_has_it() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let rig = Rig::new().config(&format!(
        "[process.web]\ncommand = \"sleep 600\"\nlisten = [\"unix://web.sock\", \"tcp://127.0.0.1:{port}\"]\n\
         max_restart_delay = \"200ms\"\n"
    ));
    let said = rig.fails(1, &["start"]);
    let own = format!(
        "cannot listen on tcp://127.0.0.1:{port}: address already in use: pid {} (",
        std::process::id()
    );
    assert!(said.contains(&own), "{said}");
    assert!(!rig.path("web.sock").exists());
    drop(holder);
    rig.until("web", "online");
    assert!(rig.path("web.sock").exists());

    // What mhost itself has for another process is told by the name of that.
    let said = rig.json(&["list"]);
    assert_eq!(
        said["processes"][0]["listen"][1]["bound"],
        format!("tcp://127.0.0.1:{port}")
    );
    rig.write(
        "other.toml",
        &format!("[process.other]\ncommand = \"sleep 600\"\nlisten = [\"tcp://0.0.0.0:{port}\"]\n"),
    );
    let said = rig.fails(1, &["start", "other.toml"]);
    assert!(said.contains("mhost listens on it for `web`"), "{said}");
}

/// Another `listen` closes what it no longer names and keeps what stays.
#[test]
fn a_changed_definition_keeps_what_stays() {
    let config = |addresses: &str| {
        format!("[process.web]\ncommand = \"sleep 600\"\nlisten = [{addresses}]\n")
    };
    let rig = Rig::new()
        .config(&config("\"tcp://127.0.0.1:0\", \"unix://old.sock\""))
        .start();
    let port = port(&rig, "web");
    assert!(rig.path("old.sock").exists());
    rig.write(
        "mhost.toml",
        &config("\"tcp://127.0.0.1:0\", \"unix://new.sock\""),
    );
    rig.ok(&["start"]);
    assert_eq!(self::port(&rig, "web"), port);
    assert!(rig.path("new.sock").exists() && !rig.path("old.sock").exists());
    // A daemon that was away while it was stopped on purpose has none either.
    rig.ok(&["stop", "web"]);
    assert!(!rig.path("new.sock").exists());
    rig.kill_daemon();
    assert!(connect(port).is_err());
}
