//! Every call that the supervision makes to the kernel may fail: nobody panics, nothing is lost
//! or doubled, and all works again when the fault is over.
//!
//! `strace` lets calls of a living daemon fail. An ordinary run tries one error of each family of
//! calls; `MHOST_NTH=all` tries them all, and for each N the N-th call of each thread alone.
//! What a library answers by ending the program is left out where the kernel never says it: any
//! error but `EINTR` of `futex` and of the wait for events, and any of what wakes the runtime. So
//! is `fcntl`: SQLite never gets over a lock that could not be given back, which no kernel refuses.

mod bench;
mod strace;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bench::Bench;

/// Whose calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// The daemon's and its children's before they are programs.
    Daemon,
    /// The guard's, while it starts a daemon in the place of one that was killed.
    Guard,
    /// That, and those of the daemon that comes.
    Next,
}

/// Calls that stand for the same places in the program, and what they may say.
struct Family {
    whom: Whom,
    calls: &'static str,
    /// The first is the one of an ordinary run.
    errors: &'static [&'static str],
    /// Which calls fail then: `first+step` of each thread.
    when: &'static str,
    /// Only calls with this file; `~` is the home.
    path: Option<&'static str>,
    /// The program may end of it, as without memory, if the next one goes on.
    may_end: bool,
    /// In full the first so many calls are tried one by one.
    deep: u16,
    /// An ordinary run leaves it out: others pass through the same places.
    rare: bool,
}

const fn daemon(calls: &'static str, errors: &'static [&'static str]) -> Family {
    Family {
        whom: Whom::Daemon,
        calls,
        errors,
        when: "1+3",
        path: None,
        may_end: false,
        deep: 3,
        rare: false,
    }
}

const fn guard(calls: &'static str, errors: &'static [&'static str]) -> Family {
    Family {
        whom: Whom::Guard,
        when: "1+2",
        ..daemon(calls, errors)
    }
}

const fn next(calls: &'static str, errors: &'static [&'static str], when: &'static str) -> Family {
    Family {
        whom: Whom::Next,
        when,
        deep: 6,
        ..daemon(calls, errors)
    }
}

impl Family {
    const fn with(self, path: &'static str) -> Self {
        Self {
            path: Some(path),
            ..self
        }
    }

    const fn may_end(self) -> Self {
        Self {
            may_end: true,
            ..self
        }
    }

    const fn deep(self, deep: u16) -> Self {
        Self { deep, ..self }
    }

    const fn rarely(self) -> Self {
        Self { rare: true, ..self }
    }

    const fn always(self) -> Self {
        Self { when: "1+", ..self }
    }
}

/// What a disk and its folders may say.
const FILES: &[Family] = &[
    daemon(
        "openat,open",
        &["EMFILE", "ENOMEM", "EACCES", "EIO", "ENOSPC", "EINTR"],
    )
    .deep(12),
    daemon("pwrite64", &["ENOSPC", "EIO", "EINTR"]),
    daemon("pread64", &["EIO", "EINTR", "ENOMEM"]).rarely(),
    daemon("write", &["ENOSPC", "EIO", "EINTR"]).with("~audit.jsonl"),
    daemon("write", &["ENOSPC", "EIO", "EINTR"])
        .with("~logs/daemon.log")
        .rarely(),
    daemon("read", &["EIO", "EINTR", "ENOMEM"]).rarely(),
    daemon("splice", &["ENOMEM", "EIO", "ENOSPC", "EINTR"]),
    daemon("fsync,fdatasync", &["EIO", "ENOSPC", "EINTR"]),
    daemon("ftruncate,fallocate", &["ENOSPC", "EIO", "EINTR"]),
    daemon(
        "rename,renameat,renameat2,link,linkat",
        &["ENOSPC", "EIO", "EACCES"],
    ),
    daemon("unlink,unlinkat,rmdir", &["EIO", "EACCES", "ENOMEM"]).rarely(),
    daemon("mkdir,mkdirat,mknod,mknodat", &["ENOSPC", "EACCES", "EIO"]),
    daemon(
        "stat,fstat,newfstatat,statx,lstat",
        &["EIO", "ENOMEM", "EACCES"],
    ),
    daemon("getdents64", &["EIO", "ENOMEM"]),
    daemon("ioctl", &["ENOMEM", "EIO", "EINTR"]).rarely(),
    daemon("flock", &["EINTR", "ENOMEM"]).rarely(),
    daemon("lseek", &["EIO"]).rarely(),
    daemon(
        "readlink,readlinkat,getcwd,access,faccessat,faccessat2",
        &["EACCES", "EIO"],
    )
    .rarely(),
    daemon("chmod,fchmod,fchmodat,chown,fchown", &["EACCES", "EIO"]).rarely(),
    daemon(
        "inotify_init1,inotify_add_watch",
        &["ENOSPC", "EMFILE", "ENOMEM"],
    ),
];

/// What making, watching and ending programs may say.
const PROCESSES: &[Family] = &[
    daemon("clone", &["EAGAIN", "ENOMEM", "EMFILE"]),
    daemon("clone3", &["EAGAIN", "ENOMEM"]),
    daemon("pidfd_open", &["EMFILE", "ENOMEM"]),
    daemon("pidfd_send_signal,kill", &["ENOMEM", "EACCES"]).rarely(),
    daemon("waitid,wait4", &["EINTR", "ENOMEM"]),
    daemon("execve", &["ENOMEM", "EACCES", "EIO", "EMFILE"]),
    daemon("setsid", &["EACCES", "ENOMEM"]).always().rarely(),
    daemon("dup,dup2,dup3", &["EMFILE", "EINTR"]),
    daemon("chdir", &["EACCES", "EIO", "ENOMEM"])
        .always()
        .rarely(),
    daemon("prlimit64,setpriority", &["ENOMEM", "EACCES"]),
    daemon(
        "setgroups,setresuid,setresgid",
        &["EAGAIN", "ENOMEM", "EACCES"],
    )
    .always(),
    daemon("close_range", &["EMFILE", "ENOMEM"])
        .always()
        .rarely(),
];

/// What connections, waits and memory may say.
const REST: &[Family] = &[
    daemon("socket", &["EMFILE", "ENOMEM", "EACCES"]).always(),
    daemon("connect", &["ENOMEM", "EACCES", "EINTR"]).rarely(),
    daemon("accept4", &["EMFILE", "ENOMEM", "EINTR", "EACCES"]),
    daemon("recvfrom,recvmsg", &["ENOMEM", "EINTR"]).rarely(),
    daemon("sendto,sendmsg", &["ENOMEM", "EINTR"]).rarely(),
    daemon("getsockopt,setsockopt,getsockname,getpeername", &["ENOMEM"]).rarely(),
    daemon("epoll_ctl", &["ENOSPC", "ENOMEM"]),
    daemon("epoll_wait,epoll_pwait,epoll_pwait2", &["EINTR"]),
    daemon("poll,ppoll", &["EINTR", "ENOMEM"]),
    daemon(
        "pipe2,eventfd2,socketpair,epoll_create1,timerfd_create",
        &["EMFILE", "ENOMEM"],
    )
    .rarely(),
    daemon("futex,clock_nanosleep,nanosleep", &["EINTR"]).rarely(),
    daemon("madvise,munmap", &["ENOMEM"]).may_end().rarely(),
    daemon("mmap,mremap,brk,mprotect", &["ENOMEM"]).may_end(),
];

/// What the guard and the daemon that it starts may be told.
const SUCCESSION: &[Family] = &[
    guard("clone,clone3,vfork,fork", &["EAGAIN", "ENOMEM"]).always(),
    guard("socketpair,sendmsg,recvmsg", &["EMFILE", "ENOMEM"]).rarely(),
    guard("pidfd_open", &["EMFILE", "ENOMEM"]),
    guard("poll,ppoll", &["EINTR", "ENOMEM"]).rarely(),
    guard("waitid,wait4", &["EINTR"]).rarely(),
    guard("openat", &["EMFILE", "ENOMEM"]).rarely(),
    guard("read", &["EINTR"]).rarely(),
    next("openat,open", &["EMFILE", "EIO"], "1")
        .with("/proc/sys/kernel/random/boot_id")
        .deep(1),
    next("openat,open", &["EMFILE", "EIO"], "1")
        .with("/proc")
        .deep(1),
    next(
        "openat,open",
        &["EMFILE", "EIO", "ENOMEM", "EACCES"],
        "20+7",
    )
    .deep(60),
    next("execve", &["ENOMEM", "EAGAIN", "EIO", "EMFILE"], "1..2"),
    next("pidfd_open", &["EMFILE", "ENOMEM"], "1+2").rarely(),
    next("pread64", &["EIO", "ENOMEM"], "2+5").rarely(),
    next("pwrite64", &["ENOSPC", "EIO"], "1+4").rarely(),
    next("write", &["ENOSPC", "EIO"], "1")
        .with("~mhost.pid")
        .rarely(),
    next("flock", &["ENOMEM", "EINTR"], "1+2").rarely(),
    next(
        "ftruncate,fallocate,fsync,fdatasync",
        &["ENOSPC", "EIO"],
        "1+2",
    ),
    next("socket,bind,listen", &["EMFILE", "EACCES", "ENOMEM"], "1+2").rarely(),
    next(
        "epoll_create1,eventfd2,socketpair,inotify_init1",
        &["EMFILE", "ENOMEM"],
        "1+2",
    )
    .may_end()
    .rarely(),
    next("epoll_ctl", &["ENOSPC", "ENOMEM"], "2+2")
        .may_end()
        .rarely(),
    next("clone3", &["EAGAIN", "ENOMEM"], "2+3").may_end(),
    next("mmap,mprotect,brk", &["ENOMEM"], "12+9")
        .may_end()
        .deep(40),
];

/// One thing to try.
#[derive(Debug)]
struct Pair {
    whom: Whom,
    calls: String,
    error: &'static str,
    when: String,
    path: Option<&'static str>,
    may_end: bool,
    /// The calls fail for a long time.
    lasts: bool,
}

impl Pair {
    fn of(family: &Family, error: &'static str, when: String) -> Self {
        // Not every machine has every call.
        let calls: Vec<String> = family
            .calls
            .split(',')
            .map(|call| format!("?{call}"))
            .collect();
        Self {
            whom: family.whom,
            calls: calls.join(","),
            error,
            lasts: when == "1+",
            when,
            path: family.path,
            may_end: family.may_end,
        }
    }

    /// The calls are those of an HTTP probe.
    fn probes(&self) -> bool {
        self.calls == "?socket" || self.calls == "?connect"
    }

    fn name(&self) -> String {
        let (whom, path) = (self.whom, self.path.unwrap_or_default());
        let calls = self.calls.replace('?', "");
        format!("{whom:?} {calls} {} {} {path}", self.error, self.when)
    }
}

/// What is tried of these, in an ordinary run or in full.
fn pairs(families: &[Family], full: bool) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for family in families.iter().filter(|family| full || !family.rare) {
        let errors = if full {
            family.errors
        } else {
            &family.errors[..1]
        };
        for error in errors {
            pairs.push(Pair::of(family, error, family.when.to_owned()));
        }
        for n in 1..=if full { family.deep } else { 0 } {
            let error = family.errors[usize::from(n) % family.errors.len()];
            pairs.push(Pair::of(family, error, n.to_string()));
        }
    }
    pairs
}

fn try_all(what: &str, families: &[Family]) {
    let say = |text: String| std::io::stderr().write_all(text.as_bytes()).unwrap();
    if !strace::works() {
        say("skipped: strace is not here or may not trace (apt-get install strace)\n".to_owned());
        return;
    }
    let full = std::env::var("MHOST_NTH").is_ok_and(|what| what == "all");
    // One family alone, or whatever has this in its name.
    let only = std::env::var("MHOST_NTH_ONLY").unwrap_or_default();
    let pairs: Vec<Pair> = pairs(families, full)
        .into_iter()
        .filter(|pair| pair.name().contains(&only))
        .collect();
    let (mut failed, mut wrong) = (0, Vec::new());
    let mut bench = None;
    for pair in &pairs {
        if full {
            say(format!("nth: {} …\n", pair.name()));
        }
        // A bench on which something went wrong tells of it when it is dropped.
        let mut here = bench.take().unwrap_or_else(Bench::new);
        let tried = catch_unwind(AssertUnwindSafe(move || {
            let calls = here.try_out(pair);
            (here, calls)
        }));
        match tried {
            Ok((here, calls)) => {
                if full {
                    say(format!("nth: … {calls} failed\n"));
                }
                failed += calls;
                bench = Some(here);
            }
            Err(_) => {
                say(format!("nth: {}: WRONG\n", pair.name()));
                wrong.push(pair.name());
            }
        }
    }
    say(format!(
        "nth: {what}: {} pairs of call and error tried, {failed} calls failed, {} went wrong\n",
        pairs.len(),
        wrong.len()
    ));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Full disks, lost folders, no descriptors left.
#[test]
#[ignore = "takes minutes, and a quiet machine"]
fn calls_for_files_may_fail() {
    try_all("files", FILES);
}

/// No process, no thread, no descriptor for one; a child that fails before it is a program.
#[test]
#[ignore = "takes minutes, and a quiet machine"]
fn calls_for_processes_may_fail() {
    try_all("processes", PROCESSES);
}

/// No socket, no memory, waits that are cut short.
#[test]
#[ignore = "takes minutes, and a quiet machine"]
fn calls_for_connections_and_memory_may_fail() {
    try_all("connections and memory", REST);
}

/// The guard starts a daemon in the place of a dead one as soon as it can.
#[test]
#[ignore = "takes minutes, and a quiet machine"]
fn calls_of_the_succession_may_fail() {
    try_all("succession", SUCCESSION);
}
