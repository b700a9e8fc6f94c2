//! The process above the daemon: it starts it, and starts it again when it dies.
//!
//! ```text
//!   guard ──starts, watches by pidfd──► daemon
//!     ▲ └──SIGTERM, SIGINT, SIGHUP, …────►  │
//!     └─reap, exec, up, bye, later, hold, drop, keep, free─┘
//! ```
//!
//! It opens no socket, runs no async runtime, and keeps nothing open but the FIFOs of running
//! programs, so that what they print outlives the daemon, and the sockets that the daemon has
//! opened for programs: it never accepts a connection, and hands them to the next daemon. What the daemon leaves when
//! it dies moves up to the guard, so that exits can still be read by the next daemon: the
//! guard collects only what the daemon names. See [`super::GuardLink`] for the messages.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::guard_link::{EXIT_FOR_UPGRADE, GUARD_FD, REAP_FD};
use super::{daemonize, fifo, kernel, limits, memory, process, reap, socket_keep};
use crate::state::ExitStatus;

/// A daemon that lives shorter than this died at its start.
const QUICK: Duration = Duration::from_secs(1);
/// So many deaths at the start in a row, and it is given up, if none has ever come up.
const MOST_QUICK: u32 = 10;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Within this time an upgraded daemon must say that it is up.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(5);

/// Starts `exe args…` as the daemon and keeps it running until it ends of its own will.
/// Returns the exit code for this process.
pub fn run(exe: &Path, args: &[OsString]) -> u8 {
    Guard::new(exe, args).map_or(1, |guard| guard.keep_running(None))
}

/// As [`run`], for a daemon that is running already and has started this process after its
/// first guard had died.
pub fn watch(exe: &Path, args: &[OsString], daemon: i32) -> u8 {
    let Some(mut guard) = Guard::new(exe, args) else {
        return 1;
    };
    guard.served = true;
    let Some(messages) = from_daemon() else {
        say("A guard for a running daemon is started by that daemon only.");
        return 1;
    };
    let is_parent =
        || rustix::process::getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == daemon);
    // Still our parent after the pidfd was opened: so that is what it means.
    if let Some(pidfd) = process::open_patiently(daemon).ok().filter(|_| is_parent()) {
        return guard.keep_running(Some(Watched::new(daemon, pidfd, messages)));
    }
    if is_parent() {
        // It lives and cannot be watched: it starts another guard when this one is gone.
        return 1;
    }
    // It has died meanwhile; perhaps it had said that it would.
    let mut last_words = Vec::new();
    let _ = std::fs::File::from(messages).read_to_end(&mut last_words);
    if memchr::memmem::find(&last_words, b"bye ").is_some() {
        return 0;
    }
    guard.keep_running(None)
}

/// The link from the daemon that has started this guard.
fn from_daemon() -> Option<OwnedFd> {
    let number: i32 = std::env::var(GUARD_FD).ok()?.parse().ok()?;
    if number < 3 || std::fs::metadata(format!("/proc/self/fd/{number}")).is_err() {
        return None;
    }
    // SAFETY: the descriptor is open (checked above), was made by the daemon for this
    // process, and is taken only here.
    let messages = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&messages, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(messages)
}

struct Guard {
    exe: PathBuf,
    args: Vec<OsString>,
    signals: OwnedFd,
    /// The binary to go back to while an upgraded daemon is not up yet.
    former: Option<PathBuf>,
    quick_deaths: u32,
    /// A daemon was up: what it left runs, and somebody must come for it.
    served: bool,
    held: Held,
}

/// What is kept open and never touched.
#[derive(Default)]
struct Held {
    /// FIFOs, open for reading.
    fifos: BTreeMap<PathBuf, OwnedFd>,
    /// Sockets of programs, by process and address.
    sockets: BTreeMap<Vec<u8>, OwnedFd>,
}

/// A daemon, and what it has said.
struct Watched {
    pid: i32,
    pidfd: OwnedFd,
    /// `None` once nobody can write any more.
    messages: Option<OwnedFd>,
    unread: Vec<u8>,
    /// Descriptors whose lines have not been read yet.
    descriptors: VecDeque<Option<OwnedFd>>,
    since: Instant,
    next: Option<PathBuf>,
    up: bool,
    bye: Option<i32>,
    /// It could not start, and the next one may.
    later: Option<i32>,
    told_to_end: bool,
}

enum After {
    Exit(u8),
    StartAgain(Duration),
}

impl Guard {
    fn new(exe: &Path, args: &[OsString]) -> Option<Self> {
        // Two descriptors for each running instance.
        limits::raise_nofile();
        let ready = reap::set_subreaper().and_then(|()| kernel::take_signals());
        match ready {
            Ok(signals) => Some(Self {
                exe: exe.to_owned(),
                args: args.to_vec(),
                signals,
                former: None,
                quick_deaths: 0,
                served: false,
                held: Held::default(),
            }),
            Err(error) => {
                say(&format!("The guard cannot start: {error}"));
                None
            }
        }
    }

    fn keep_running(mut self, mut watched: Option<Watched>) -> u8 {
        loop {
            let after = match watched.take().map_or_else(|| self.start(), Ok) {
                Ok(mut daemon) => {
                    self.follow(&mut daemon);
                    self.after(&mut daemon)
                }
                Err(error) => {
                    say(&format!(
                        "{} cannot be started: {error}",
                        self.exe.display()
                    ));
                    self.died_at_start(126)
                }
            };
            match after {
                After::Exit(code) => return code,
                After::StartAgain(delay) => {
                    // A signal that comes while nothing runs ends the guard.
                    if wait_for(&[&self.signals], Some(delay))
                        && kernel::read_signal(&self.signals).is_some_and(ends)
                    {
                        return 0;
                    }
                }
            }
        }
    }

    fn start(&self) -> std::io::Result<Watched> {
        let (messages, daemons) = socket_keep::link()?;
        // It finds them when it looks: before it opens anything of its own.
        socket_keep::hand_over(messages.as_fd(), &self.held.sockets);
        let (pid, pidfd) = daemonize::spawn_with(&self.exe, &self.args, REAP_FD, daemons.as_fd())?;
        Ok(Watched::new(pid, pidfd, messages))
    }

    /// Until the daemon has ended: does what it asks for and passes signals on.
    fn follow(&mut self, daemon: &mut Watched) {
        while !kernel::has_exited(&daemon.pidfd) {
            let patience = (self.former.is_some() && !daemon.up)
                .then(|| UPGRADE_PATIENCE.saturating_sub(passed(daemon.since)));
            if patience == Some(Duration::ZERO) {
                let _ = kernel::signal(daemon.pidfd.as_fd(), libc::SIGKILL);
                wait_for(&[&daemon.pidfd], None);
                break;
            }
            let mut awaited = vec![&daemon.pidfd, &self.signals];
            awaited.extend(&daemon.messages);
            wait_for(&awaited, patience);
            daemon.listen(&mut self.held);
            while let Some(signal) = kernel::read_signal(&self.signals) {
                daemon.told_to_end |= ends(signal);
                let _ = kernel::signal(daemon.pidfd.as_fd(), signal);
            }
        }
        daemon.listen(&mut self.held);
        self.served |= daemon.up;
        if self.former.is_some() && !daemon.up {
            // It is no daemon of ours, and may have started others. It has not been collected
            // yet, so the number is its group for sure; that may be empty.
            let _ = kernel::signal_group_number(daemon.pid, libc::SIGKILL);
        }
    }

    /// What to do now that the daemon has ended.
    fn after(&mut self, daemon: &mut Watched) -> After {
        let exit = daemon.exit();
        let former = self.former.take();
        match (exit, former) {
            (ExitStatus::Code(EXIT_FOR_UPGRADE), _) => {
                if let Some(next) = daemon.next.take() {
                    self.former = Some(std::mem::replace(&mut self.exe, next));
                }
                After::StartAgain(Duration::ZERO)
            }
            (ExitStatus::Code(0), _) => After::Exit(0),
            // Told to end before it could listen.
            (ExitStatus::Signal(signal), _) if daemon.told_to_end && ends(signal) => After::Exit(0),
            (ExitStatus::Code(code), None)
                if daemon.bye == Some(code) || (daemon.later == Some(code) && !self.served) =>
            {
                After::Exit(u8::try_from(code).unwrap_or(1))
            }
            (_, Some(former)) if !daemon.up => {
                say(&format!(
                    "{} did not come up; {} is started again.",
                    self.exe.display(),
                    former.display()
                ));
                self.exe = former;
                After::StartAgain(Duration::ZERO)
            }
            (exit, _) => {
                say(&format!(
                    "The daemon ended ({exit:?}) and is started again."
                ));
                // Killed by somebody else, it did not fail; and who is up has not died at its start.
                let killed = daemon.up && exit == ExitStatus::Signal(libc::SIGKILL);
                let lived = daemon.later.is_none() && passed(daemon.since) >= QUICK;
                if killed || lived {
                    self.quick_deaths = 0;
                    return After::StartAgain(Duration::ZERO);
                }
                self.died_at_start(match exit {
                    ExitStatus::Code(code) => u8::try_from(code).unwrap_or(1),
                    ExitStatus::Signal(_) | ExitStatus::Unknown => 1,
                })
            }
        }
    }

    fn died_at_start(&mut self, code: u8) -> After {
        self.quick_deaths = self.quick_deaths.saturating_add(1);
        if self.quick_deaths >= MOST_QUICK && !self.served {
            say("The daemon died at its start ten times in a row; the guard gives up.");
            return After::Exit(code);
        }
        // Three times at once, then after 0.1, 0.2, 0.4 … seconds.
        let doublings = self.quick_deaths.checked_sub(4);
        let pause = |n: u32| Duration::from_millis(100 << n.min(10)).min(LONGEST_PAUSE);
        After::StartAgain(doublings.map_or(Duration::ZERO, pause))
    }
}

impl Watched {
    fn new(pid: i32, pidfd: OwnedFd, messages: OwnedFd) -> Self {
        Self {
            pid,
            pidfd,
            messages: Some(messages),
            unread: Vec::new(),
            descriptors: VecDeque::new(),
            since: now(),
            next: None,
            up: false,
            bye: None,
            later: None,
            told_to_end: false,
        }
    }

    fn listen(&mut self, held: &mut Held) {
        let mut chunk = [0; 4096];
        while let Some(messages) = &self.messages
            && let Ok(count) =
                socket_keep::receive(messages.as_fd(), &mut chunk, &mut self.descriptors)
        {
            if count == 0 {
                // A link at its end would keep us awake.
                self.messages = None;
            }
            self.unread.extend_from_slice(&chunk[..count]);
        }
        while let Some(end) = memchr::memchr(b'\n', &self.unread) {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.obey(&line[..end], held);
        }
    }

    fn obey(&mut self, line: &[u8], held: &mut Held) {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i32>().ok();
        if let Some(pid) = line.strip_prefix(b"reap ").and_then(number) {
            if let Some(pid) = Pid::from_raw(pid).filter(|_| pid != self.pid) {
                let _ = waitid(
                    WaitId::Pid(pid),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
        } else if let Some(path) = line.strip_prefix(b"hold ").map(path_of) {
            if let Ok(fifo) = fifo::open_to_hold(&path) {
                held.fifos.insert(path, fifo);
            }
        } else if let Some(path) = line.strip_prefix(b"drop ").map(path_of) {
            held.fifos.remove(&path);
        } else if let Some(key) = line.strip_prefix(b"keep ") {
            if let Some(Some(socket)) = self.descriptors.pop_front() {
                held.sockets.insert(key.to_owned(), socket);
            }
        } else if let Some(key) = line.strip_prefix(b"free ") {
            held.sockets.remove(key);
        } else if let Some(path) = line.strip_prefix(b"exec ") {
            self.next = Some(path_of(path));
        } else if line == b"up" {
            self.up = true;
            // From here on it only waits: what reading the command line took is not needed.
            memory::give_back();
        } else if let Some(code) = line.strip_prefix(b"bye ") {
            self.bye = number(code);
        } else if let Some(code) = line.strip_prefix(b"later ") {
            self.later = number(code);
        }
    }

    fn exit(&self) -> ExitStatus {
        let pidfd = self.pidfd.as_fd();
        reap::collect(pidfd)
            .or_else(|| self.bye.map(ExitStatus::Code))
            .or_else(|| kernel::exit_info(pidfd))
            .unwrap_or(ExitStatus::Unknown)
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

fn ends(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT)
}

/// Waits until one of them can be read. False when the time was over first.
fn wait_for(descriptors: &[&OwnedFd], limit: Option<Duration>) -> bool {
    let mut fds: Vec<PollFd<'_>> = descriptors
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    poll(&mut fds, limit.as_ref()).is_ok_and(|ready| ready > 0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the guard has no runtime and no clock"
)]
fn now() -> Instant {
    Instant::now()
}

fn passed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// The guard's standard error is the daemon's log.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "guard: {text}");
}

#[cfg(test)]
mod tests {
    use super::super::comes_true::comes_true;
    use super::*;

    #[test]
    fn messages_may_come_in_pieces() {
        let (reader, writer) = socket_keep::link().expect("opens");
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let mut daemon = Watched::new(own, process::open(own).expect("lives"), reader);
        let tell = |text: &[u8]| socket_keep::send(writer.as_fd(), text, &[]).expect("writes");
        let mut held = Held::default();
        tell(b"exec /opt/new bin");
        daemon.listen(&mut held);
        assert_eq!(daemon.next, None);
        tell(b"ary\nup\nwhat is this\nreap x\nbye 3");
        daemon.listen(&mut held);
        assert_eq!(daemon.next, Some(PathBuf::from("/opt/new binary")));
        assert_eq!((daemon.up, daemon.bye), (true, None));
        tell(b"\n");
        daemon.listen(&mut held);
        assert_eq!(daemon.bye, Some(3));
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("a b");
        fifo::make(&fifo).expect("a fifo");
        tell(format!("hold {}\n", fifo.display()).as_bytes());
        daemon.listen(&mut held);
        assert!(held.fifos.contains_key(&fifo));
        tell(format!("drop {}\n", fifo.display()).as_bytes());
        daemon.listen(&mut held);
        assert!(held.fifos.is_empty());
        let socket = std::fs::File::open("/dev/null").expect("opens");
        let keep = |text: &[u8]| {
            socket_keep::send(writer.as_fd(), text, &[socket.as_fd()]).expect("writes");
        };
        keep(b"keep api tcp://127.0.0.1:1\n");
        daemon.listen(&mut held);
        assert!(held.sockets.contains_key(&b"api tcp://127.0.0.1:1"[..]));
        tell(b"free api tcp://127.0.0.1:1\n");
        daemon.listen(&mut held);
        assert!(held.sockets.is_empty());
        drop(writer);
        // A child that another test is forking holds the end of the pipe until it executes.
        assert!(comes_true(|| {
            daemon.listen(&mut held);
            daemon.messages.is_none()
        }));
    }
}
