//! A close look at what runs, for a diagnosis: threads, descriptors, limits, sockets, disks.
//!
//! All of it is read from `/proc` and from the file systems; nothing is signalled, opened for
//! writing, or attached to. What it says was true a moment ago and proves nothing to anybody
//! who wants to act: those open a pidfd first and read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::proc_scan::{self, Stat};

/// Threads that are looked at one by one; the rest is only counted.
const THREADS: usize = 64;
/// Members of a tree whose descriptors are looked at.
const MEMBERS: usize = 16;
/// Descriptors of one process that are looked at.
const DESCRIPTORS: usize = 4096;

/// A process tree, close up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloseLook {
    /// The leader.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Live processes of the tree, with the leader.
    pub members: u64,
    /// Command lines of the other members, and how many have the same.
    pub children: BTreeMap<String, u64>,
    /// Children that ended and that nobody waited for.
    pub zombies: u64,
    /// Threads of the leader.
    pub threads: u64,
    /// How many threads of the leader are in which place: `S futex_do_wait`, `R`.
    pub places: BTreeMap<String, u64>,
    /// Percent of one core over the moment of the look: the leader, its busiest thread.
    pub cpu_percent: f64,
    /// The busiest thread's share of that.
    pub busiest_percent: f64,
    /// Its name.
    pub busiest: String,
    /// How much of the moment a thread of the leader was ready to run and was not let, in
    /// percent: the one that waited most.
    pub waited_percent: f64,
    /// Open descriptors of the leader.
    pub fds: u64,
    /// What they are: `file`, `socket`, `pipe`, `other`.
    pub fd_kinds: BTreeMap<String, u64>,
    /// The file that is open most often, and how often.
    pub most_opened: Option<(String, u64)>,
    /// Soft limits by name: `open files`, `file size`, `processes`, `address space`.
    pub limits: BTreeMap<String, u64>,
    /// TCP ports that the tree listens on, with the connections nobody has accepted yet.
    pub listens: BTreeMap<u16, u64>,
    /// Connections that the peer has closed and the program has not.
    pub close_wait: u64,
    /// Milliseconds since it was started.
    pub age_ms: u64,
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PortOwner {
    /// The port.
    pub port: u16,
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// The process of ours whose run started it, by the mark in its environment.
    pub ours: Option<String>,
    /// Which run of it.
    pub generation: u64,
    /// Does it stand alone: its starter is gone and it now belongs to the daemon or to init?
    pub orphan: bool,
    /// Since when it runs, in milliseconds.
    pub age_ms: u64,
}

/// Room on the file system of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskRoom {
    /// The folder.
    pub path: String,
    /// Bytes there are.
    pub total: u64,
    /// Bytes anybody may still use.
    pub free: u64,
    /// Share of inodes that are free, in percent.
    pub inodes_free_percent: u64,
    /// Can nothing be written at all?
    pub read_only: bool,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostLook {
    /// Cores.
    pub cpus: u64,
    /// Load of the last minute.
    pub load1: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that could be given to a program.
    pub memory_available: u64,
    /// Share of the last 10 s in which something waited for memory, in percent.
    pub memory_pressure: f64,
}

/// Looks at the trees of these leaders. Takes about `moment`, in which the use of the
/// processor is measured, and some milliseconds.
pub fn close_look(leaders: &[i32], moment: Duration) -> Vec<CloseLook> {
    let before: HashMap<i32, Vec<(i32, Spent)>> = leaders
        .iter()
        .map(|pid| (*pid, spent_by_threads(*pid)))
        .collect();
    if leaders.iter().any(|pid| !before[pid].is_empty()) && !moment.is_zero() {
        let moment = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(moment.min(Duration::from_millis(900)).subsec_nanos()),
        };
        let _ = rustix::event::poll(&mut [], Some(&moment));
    }
    let all = proc_scan::all();
    let sockets = sockets();
    leaders
        .iter()
        .filter_map(|pid| {
            let stat = all.get(pid)?;
            Some(one(*stat, &all, &sockets, &before[pid], moment))
        })
        .collect()
}

fn one(
    leader: Stat,
    all: &HashMap<i32, Stat>,
    sockets: &HashMap<u64, Socket>,
    before: &[(i32, Spent)],
    moment: Duration,
) -> CloseLook {
    let mut look = CloseLook {
        pid: leader.pid,
        command: super::ports::command_line(leader.pid),
        threads: leader.threads,
        age_ms: age_ms(leader.start_time),
        limits: limits(leader.pid),
        ..CloseLook::default()
    };
    let members = descendants(leader.pid, all);
    let live: Vec<i32> = members
        .iter()
        .filter(|stat| !stat.is_zombie())
        .map(|stat| stat.pid)
        .collect();
    look.members = live.len() as u64 + 1;
    look.zombies = members.iter().filter(|stat| stat.is_zombie()).count() as u64;
    for pid in live.iter().take(256) {
        *look
            .children
            .entry(cut(super::ports::command_line(*pid)))
            .or_default() += 1;
    }
    let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
    let seconds = moment.as_secs_f64().max(0.001);
    let after = spent_by_threads(leader.pid);
    for (thread, now) in &after {
        let then = before
            .iter()
            .find(|(old, _)| old == thread)
            .map_or(*now, |(_, spent)| *spent);
        let percent = now.ticks.saturating_sub(then.ticks) as f64 / ticks / seconds * 100.0;
        let waited = now.waited_ns.saturating_sub(then.waited_ns) as f64 / 1e9 / seconds * 100.0;
        look.waited_percent = look.waited_percent.max(waited.min(100.0));
        look.cpu_percent += percent;
        if percent > look.busiest_percent {
            look.busiest_percent = percent;
            look.busiest = read(&format!("/proc/{}/task/{thread}/comm", leader.pid));
        }
    }
    for (thread, _) in after.iter().take(THREADS) {
        let folder = format!("/proc/{}/task/{thread}", leader.pid);
        let stat = std::fs::read(format!("{folder}/stat")).unwrap_or_default();
        let state = stat
            .iter()
            .rposition(|b| *b == b')')
            .and_then(|close| stat.get(close + 2))
            .map_or('?', |state| char::from(*state));
        let place = read(&format!("{folder}/wchan"));
        let place = match place.as_str() {
            "" | "0" => state.to_string(),
            place => format!("{state} {place}"),
        };
        *look.places.entry(place).or_default() += 1;
    }
    look.fds = proc_scan::open_descriptors(leader.pid);
    let mut opened: BTreeMap<String, u64> = BTreeMap::new();
    for (place, pid) in std::iter::once(leader.pid)
        .chain(live)
        .take(MEMBERS)
        .enumerate()
    {
        for target in descriptors(pid) {
            let kind = match target.split(':').next() {
                Some("socket") => "socket",
                Some("pipe") => "pipe",
                _ if target.starts_with('/') && !target.starts_with("/dev/") => "file",
                _ => "other",
            };
            if place == 0 {
                *look.fd_kinds.entry(kind.to_owned()).or_default() += 1;
                if kind == "file" {
                    *opened.entry(target.clone()).or_default() += 1;
                }
            }
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|inode| inode.parse::<u64>().ok());
            match inode.and_then(|inode| sockets.get(&inode)) {
                Some(Socket::Listens { port, waiting }) => {
                    look.listens.insert(*port, *waiting);
                }
                Some(Socket::CloseWait) if place == 0 => look.close_wait += 1,
                _ => {}
            }
        }
    }
    look.most_opened = opened
        .into_iter()
        .max_by_key(|(_, times)| *times)
        .filter(|(_, times)| *times > 1);
    look
}

/// Who listens on `port`, and whether it is one of ours.
pub fn port_owner(port: u16, home: &Path) -> Option<PortOwner> {
    let (pid, command) = super::ports::port_holder(port)?;
    let mark = proc_scan::mark(pid, home);
    let stat = proc_scan::stat(pid);
    // Whoever lost its starter hangs below init, or below a process that collects orphans.
    let orphan = stat.is_some_and(|stat| {
        let parent = stat.parent;
        let leads = mark
            .as_ref()
            .is_some_and(|mark| proc_scan::mark(parent, home).is_some_and(|above| above == *mark));
        !leads && stat.session != stat.pid
    });
    Some(PortOwner {
        port,
        pid,
        command: cut(command),
        generation: mark.as_ref().map_or(0, |mark| mark.generation),
        ours: mark.map(|mark| mark.name),
        orphan,
        age_ms: stat.map_or(0, |stat| age_ms(stat.start_time)),
    })
}

/// The command line of a live process; `None` when there is no such process or it is a zombie.
pub fn command_of(pid: i32) -> Option<String> {
    let stat = proc_scan::stat(pid)?;
    (!stat.is_zombie()).then(|| cut(super::ports::command_line(pid)))
}

/// The name of the process of this home whose run a live process belongs to.
pub fn run_of(pid: i32, home: &Path) -> Option<String> {
    proc_scan::mark(pid, home).map(|mark| mark.name)
}

/// Room where a folder lies.
pub fn disk_room(path: &Path) -> Option<DiskRoom> {
    let room = rustix::fs::statvfs(path).ok()?;
    let block = room.f_frsize.max(1);
    Some(DiskRoom {
        path: path.display().to_string(),
        total: room.f_blocks.saturating_mul(block),
        free: room.f_bavail.saturating_mul(block),
        inodes_free_percent: room
            .f_favail
            .saturating_mul(100)
            .checked_div(room.f_files)
            .unwrap_or(100),
        read_only: room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// The machine now.
pub fn host_look() -> HostLook {
    let memory: BTreeMap<String, u64> = read("/proc/meminfo")
        .lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some((key.to_owned(), kib << 10))
        })
        .collect();
    let of = |key: &str| memory.get(key).copied().unwrap_or_default();
    let pressure = read("/proc/pressure/memory");
    HostLook {
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
        load1: read("/proc/loadavg")
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or_default(),
        memory: of("MemTotal"),
        memory_available: of("MemAvailable"),
        memory_pressure: pressure
            .split_whitespace()
            .find_map(|word| word.strip_prefix("avg10="))
            .and_then(|share| share.parse().ok())
            .unwrap_or_default(),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Command lines are shown, not run: what is longer says no more.
fn cut(text: String) -> String {
    if text.chars().count() <= 160 {
        return text;
    }
    text.chars().take(159).chain(['…']).collect()
}

fn descendants(leader: i32, all: &HashMap<i32, Stat>) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in all.values() {
        children.entry(stat.parent).or_default().push(*stat);
    }
    let (mut found, mut seen) = (Vec::new(), BTreeSet::from([leader]));
    let mut next = vec![leader];
    while let Some(pid) = next.pop() {
        for stat in children.get(&pid).into_iter().flatten() {
            if seen.insert(stat.pid) {
                found.push(*stat);
                next.push(stat.pid);
            }
        }
    }
    found
}

/// What a thread has used of the processor, and how long it waited for it.
#[derive(Debug, Clone, Copy)]
struct Spent {
    ticks: u64,
    waited_ns: u64,
}

fn spent_by_threads(pid: i32) -> Vec<(i32, Spent)> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found: Vec<(i32, Spent)> = threads
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|thread: i32| {
            let text = std::fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
            let close = text.iter().rposition(|b| *b == b')')?;
            let rest = std::str::from_utf8(text.get(close + 2..)?).ok()?;
            let mut fields = rest.split(' ');
            let user: u64 = fields.nth(11)?.parse().ok()?;
            let system: u64 = fields.next()?.parse().ok()?;
            // Kernels without scheduler statistics have no such file.
            let waits = read(&format!("/proc/{pid}/task/{thread}/schedstat"));
            let waited_ns = waits.split(' ').nth(1).and_then(|ns| ns.parse().ok());
            let spent = Spent {
                ticks: user + system,
                waited_ns: waited_ns.unwrap_or(0),
            };
            Some((thread, spent))
        })
        .collect();
    found.sort_unstable_by_key(|(thread, _)| *thread);
    found
}

fn descriptors(pid: i32) -> Vec<String> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .take(DESCRIPTORS)
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

fn limits(pid: i32) -> BTreeMap<String, u64> {
    let names = [
        ("Max open files", "open files"),
        ("Max file size", "file size"),
        ("Max processes", "processes"),
        ("Max address space", "address space"),
        ("Max cpu time", "cpu time"),
    ];
    read(&format!("/proc/{pid}/limits"))
        .lines()
        .filter_map(|line| {
            let (name, short) = names.iter().find(|(name, _)| line.starts_with(name))?;
            let soft = line[name.len()..].split_whitespace().next()?;
            // `unlimited` is no limit.
            Some(((*short).to_owned(), soft.parse().ok()?))
        })
        .collect()
}

fn age_ms(start_time: u64) -> u64 {
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let up = read("/proc/uptime")
        .split(' ')
        .next()
        .and_then(|seconds| seconds.parse::<f64>().ok())
        .unwrap_or_default();
    ((up * 1000.0) as u64).saturating_sub(start_time.saturating_mul(1000) / ticks)
}

enum Socket {
    Listens { port: u16, waiting: u64 },
    CloseWait,
}

/// TCP sockets worth a word, by inode.
fn sockets() -> HashMap<u64, Socket> {
    let mut found = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in read(table).lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, local, _, state, queues, _, _, _, _, inode, ..] = fields[..] else {
                continue;
            };
            let Ok(inode) = inode.parse() else { continue };
            let port = local
                .rsplit_once(':')
                .and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            let waiting = queues
                .split_once(':')
                .and_then(|(_, receive)| u64::from_str_radix(receive, 16).ok());
            match (state, port) {
                ("0A", Some(port)) => {
                    let waiting = waiting.unwrap_or(0);
                    found.insert(inode, Socket::Listens { port, waiting });
                }
                ("08", _) => {
                    found.insert(inode, Socket::CloseWait);
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_itself() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let looks = close_look(&[own, -1], Duration::from_millis(5));
        let [look] = &looks[..] else {
            panic!("one process: {looks:?}");
        };
        assert!(look.threads >= 1 && look.fds >= 3, "{look:?}");
        assert!(look.listens.contains_key(&port), "{look:?}");
        assert!(look.limits.contains_key("open files"), "{look:?}");
        assert!(!look.places.is_empty());
        let owner = port_owner(port, Path::new("/nowhere")).expect("somebody listens");
        assert_eq!((owner.pid, owner.ours), (own, None));
        assert!(command_of(own).is_some() && command_of(-1).is_none());
    }

    #[test]
    fn room_and_machine() {
        let room = disk_room(Path::new("/proc/self/..").parent().expect("a folder"));
        assert!(room.is_some());
        let host = host_look();
        assert!(host.memory > 0 && host.cpus > 0);
    }
}
