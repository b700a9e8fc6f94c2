//! What a run is started without, as the kernel shows it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use supervisor::OsText;
use supervisor::launch::{Found, Launcher, Scope, SpawnError, SpawnOrder};
use supervisor::spec::{Capabilities, Capability, Sandbox};
use supervisor::state::{ExitStatus, ProcessRef};
use supervisor::sys::{Script, run_script};

use super::bench::{Bench, KILL, new_launcher, skipped, wait_until};

const NOBODY: &str = "65534";

fn kept(names: &[&str]) -> Option<Capabilities> {
    let read = |name: &&str| name.parse::<Capability>().expect("is one");
    Some(names.iter().map(read).collect())
}

fn own_tmp() -> Sandbox {
    Sandbox {
        private_tmp: true,
        ..Sandbox::default()
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped("only root can give up what only root has");
    }
    is_root
}

impl Bench {
    fn confined(&self, generation: u64, script: &str, sandbox: Sandbox) -> SpawnOrder {
        SpawnOrder {
            cwd: "/".into(),
            sandbox,
            ..self.shell(generation, script)
        }
    }
}

/// A line of `/proc/<pid>/status`.
fn status(process: &ProcessRef, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).expect("reads");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.expect("is there")
        .trim_start_matches(':')
        .trim()
        .to_owned()
}

/// A path as a run sees it.
fn inside(process: &ProcessRef, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", process.pid))
}

#[tokio::test]
async fn a_run_has_the_capabilities_that_are_kept_and_no_others() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let mut generation = 0;
    for user in [None, Some(NOBODY.to_owned())] {
        for names in [&[][..], &["net_bind_service", "CAP_CHOWN"][..]] {
            generation += 1;
            let sandbox = Sandbox {
                capabilities: kept(names),
                no_new_privs: generation % 2 == 0,
                ..Sandbox::default()
            };
            let mut order = bench.confined(generation, "exec sleep 100", sandbox);
            order.user = user.clone();
            let process = bench.launcher.spawn(order).await.expect("starts");
            let bits = sandbox.capabilities.map(Capabilities::bits);
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                let has = u64::from_str_radix(&status(&process, set), 16).ok();
                assert_eq!(has, bits, "{set} of {user:?} with {names:?}");
            }
            let gains_nothing = status(&process, "NoNewPrivs") == "1";
            assert_eq!(gains_nothing, sandbox.no_new_privs);
            bench.end(&process).await;
        }
    }
}

/// A shell without `CAP_CHOWN` is root by name only.
#[tokio::test]
async fn what_is_dropped_cannot_be_done() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let file = bench.write("file", "", 0o600);
    let sandbox = |names| Sandbox {
        capabilities: kept(names),
        ..Sandbox::default()
    };
    let script = format!("chown 1234 {file}");
    for (generation, names, code) in [(1, &["chown"][..], 0), (2, &[], 1)] {
        let order = bench.confined(generation, &script, sandbox(names));
        let process = bench.launcher.spawn(order).await.expect("starts");
        let exit = bench.launcher.exited(&process).await;
        assert_eq!(exit, ExitStatus::Code(code), "{names:?}");
        bench.launcher.forget(&process);
    }
}

#[tokio::test]
async fn a_setuid_program_gives_nothing_to_who_gave_up_to_gain() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.paths.home(), open).expect("sets");
    let program = bench.file("setuid");
    std::fs::copy("/bin/sleep", &program).expect("copies");
    let setuid = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(&program, setuid).expect("sets");
    let nothing = Sandbox::default();
    let no_new_privs = Sandbox {
        no_new_privs: true,
        ..nothing
    };
    let no_capabilities = Sandbox {
        capabilities: kept(&[]),
        ..nothing
    };
    for (generation, sandbox, uid) in [
        (1, nothing, "0"),
        (2, no_new_privs, NOBODY),
        (3, no_capabilities, "0"),
    ] {
        let mut order = bench.order(generation, &program.display().to_string(), &["100"]);
        order.cwd = "/".into();
        order.user = Some(NOBODY.to_owned());
        order.sandbox = sandbox;
        let process = bench.launcher.spawn(order).await.expect("starts");
        let uids = status(&process, "Uid");
        if generation == 1 && !uids.contains("\t0") {
            skipped("setuid programs are switched off here");
            bench.end(&process).await;
            return;
        }
        assert_eq!(uids.split('\t').nth(1), Some(uid), "run {generation}");
        if sandbox != nothing {
            assert_eq!(u64::from_str_radix(&status(&process, "CapEff"), 16), Ok(0));
        }
        bench.end(&process).await;
    }
}

#[tokio::test]
async fn each_run_has_a_tmp_that_nobody_else_sees() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("reads");
    let before = mounts().lines().count();
    let mark = format!("of-{}", bench.paths.home().file_name().unwrap().display());
    let script = format!(
        "ls -A /tmp /var/tmp > /tmp/found; touch /tmp/{mark} /var/tmp/{mark}; exec sleep 100"
    );
    let start = async |generation, user: Option<&str>| {
        let mut order = bench.confined(generation, &script, own_tmp());
        order.user = user.map(str::to_owned);
        order.cwd = "/tmp".into();
        let process = bench.launcher.spawn(order).await.expect("starts");
        let last = inside(&process, &format!("/var/tmp/{mark}"));
        wait_until(|| last.exists()).await;
        let found = std::fs::read_to_string(inside(&process, "/tmp/found")).expect("reads");
        assert_eq!(found, "/tmp:\nfound\n\n/var/tmp:\n", "it begins empty");
        process
    };
    let first = start(1, None).await;
    let second = start(2, Some(NOBODY)).await;
    for folder in ["/tmp", "/var/tmp"] {
        assert!(
            !Path::new(folder).join(&mark).exists(),
            "it is seen outside"
        );
        let mode = inside(&first, folder).metadata().expect("is there");
        let mode = std::os::unix::fs::MetadataExt::mode(&mode);
        assert_eq!(mode & 0o7777, 0o1777, "as /tmp is everywhere");
    }
    std::fs::write(inside(&first, "/tmp/only-first"), "").expect("writes");
    assert!(!inside(&second, "/tmp/only-first").exists());
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", first.pid)).expect("reads");
    assert_eq!(cwd, Path::new("/tmp"));

    // The next daemon finds it, and ends it with all of its tree.
    let next = new_launcher(&bench.paths);
    assert_eq!(next.adopt(&first).await, Found::Alive(first.clone()));
    let kill = bench
        .launcher
        .signal(&bench.instance, &second, KILL, Scope::Leader);
    assert!(kill.await);
    bench.launcher.exited(&second).await;
    bench.launcher.forget(&second);
    bench.end(&first).await;
    assert_eq!(mounts().lines().count(), before, "nothing is left mounted");
}

#[tokio::test]
async fn a_probe_sees_the_tmp_of_its_run() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let mark = format!("of-{}", bench.paths.home().file_name().unwrap().display());
    let script = format!("touch /tmp/{mark}; exec sleep 100");
    let order = bench.confined(1, &script, own_tmp());
    let process = bench.launcher.spawn(order).await.expect("starts");
    wait_until(|| inside(&process, &format!("/tmp/{mark}")).exists()).await;
    let probe = Script {
        command: format!("test -e /tmp/{mark}"),
        cwd: "/tmp".into(),
        env: [("PATH".to_owned(), OsText::from("/usr/bin:/bin"))]
            .into_iter()
            .collect(),
        user: None,
        group: None,
        sandbox: own_tmp(),
        beside: Some(process.clone()),
    };
    let long = Duration::from_secs(60);
    let outcome = run_script(&probe, long).await.expect("starts");
    assert_eq!(outcome.exit, ExitStatus::Code(0), "{outcome:?}");
    bench.end(&process).await;
    let outcome = run_script(&probe, long).await;
    assert!(
        matches!(outcome, Err(SpawnError::System { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn root_that_gave_up_its_rights_cannot_look_behind_its_tmp() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let sandbox = Sandbox {
        capabilities: kept(&["chown", "setuid"]),
        ..own_tmp()
    };
    let order = bench.confined(1, "umount /tmp || umount -l /tmp", sandbox);
    let process = bench.launcher.spawn(order).await.expect("starts");
    assert_ne!(bench.launcher.exited(&process).await, ExitStatus::Code(0));
    bench.launcher.forget(&process);
}

#[tokio::test]
async fn what_a_tmp_of_its_own_would_hide_is_refused_by_name() {
    let bench = Bench::new();
    if !bench.paths.home().starts_with("/tmp") {
        return skipped("temporary folders are not in /tmp here");
    }
    let mut order = bench.shell(1, "true");
    order.sandbox = own_tmp();
    let (_, text) = bench.failure(order).await;
    let home = bench.paths.home().display().to_string();
    let said = format!("cannot set `private_tmp`: it hides the working folder, {home}");
    assert_eq!(text, said);
    let program = bench.write("program", "#!/bin/sh\n", 0o755);
    let mut order = bench.order(2, &program, &[]);
    order.cwd = "/".into();
    order.sandbox = own_tmp();
    let (_, text) = bench.failure(order).await;
    let said = format!("cannot set `private_tmp`: it hides the program, {program}");
    assert_eq!(text, said);
}
