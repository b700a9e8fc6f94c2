//! Reading `/proc`: one process, its children, all processes, and the mark in an environment.
//!
//! It owns the parsing. It proves nothing: whoever acts on what is read here opens a pidfd
//! first and reads again.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::ids::{Generation, InstanceId};

/// What `/proc/<pid>/stat` says, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// User and system time, in clock ticks.
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u64,
    pub(crate) start_time: u64,
    pub(crate) rss_pages: u64,
    /// Wait status; only of meaning for a zombie.
    pub(crate) exit_code: i32,
}

impl Stat {
    /// Exited, and not waited for yet.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// What names the process for ever, within one boot.
    pub(crate) fn key(&self) -> (i32, u64) {
        (self.pid, self.start_time)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // The name in parentheses may hold anything, so count from the last one.
        let open = memchr::memchr(b'(', text)?;
        let close = memchr::memrchr(b')', text)?;
        let pid = number(text.get(..open)?.trim_ascii())?;
        let mut fields = text.get(close + 2..)?.split(|b| *b == b' ');
        let state = *fields.next()?.first()?;
        let mut next = |skip: usize| fields.nth(skip);
        let parent = number(next(0)?)?;
        let group = number(next(0)?)?;
        let session = number(next(0)?)?;
        let user: u64 = number(next(7)?)?; // field 14
        let system: u64 = number(next(0)?)?;
        let threads = number(next(4)?)?; // field 20
        let start_time = number(next(1)?)?; // field 22
        let rss_pages = number::<i64>(next(1)?)?.max(0).unsigned_abs(); // field 24
        let exit_code = number(next(27)?.trim_ascii_end())?; // field 52
        Some(Self {
            pid,
            state,
            parent,
            group,
            session,
            cpu_ticks: user + system,
            threads,
            start_time,
            rss_pages,
            exit_code,
        })
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `/proc`, kept open. Without a descriptor for it now there may be one the next time.
fn proc_folder() -> rustix::io::Result<&'static OwnedFd> {
    static PROC: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(folder) = PROC.get() {
        return Ok(folder);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open("/proc", flags, Mode::empty())?;
    Ok(PROC.get_or_init(|| folder))
}

/// Reads a small file below `/proc` into `buffer`; what fits.
pub(super) fn read_into<'b>(path: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    try_read_into(path, buffer).ok()
}

fn try_read_into<'b>(path: &str, buffer: &'b mut [u8]) -> rustix::io::Result<&'b [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(proc_folder()?, path, flags, Mode::empty())?;
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(&file, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        // `stat` comes in one piece, and so saves the read that would say "end".
        if path.ends_with("/stat") {
            break;
        }
    }
    Ok(&buffer[..filled])
}

/// One process, if there is one with this pid now. `None` also when it cannot be read.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    try_stat(pid).ok().flatten()
}

/// One process, if there is one with this pid now.
///
/// # Errors
/// When that cannot be known, such as without a descriptor to look with.
pub(super) fn try_stat(pid: i32) -> io::Result<Option<Stat>> {
    let mut buffer = [0; 1024];
    match try_read_into(&format!("{pid}/stat"), &mut buffer) {
        Ok(text) => Ok(Stat::parse(text)),
        Err(error) => nobody(error.into()),
    }
}

/// What an error of a process's file says: there is no such process, or it is not ours to read.
fn nobody<T>(error: io::Error) -> io::Result<Option<T>> {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => Ok(None),
        _ => Err(error),
    }
}

/// A file of `/proc/<pid>` that is read again and again, which costs half of opening it each
/// time. It stays with its process, also when the pid is used again.
#[derive(Debug)]
pub(crate) struct KeptFile(OwnedFd);

impl KeptFile {
    fn open(pid: i32, name: &str) -> Option<Self> {
        rustix::fs::openat(
            proc_folder().ok()?,
            format!("{pid}/{name}"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()
        .map(Self)
    }

    /// `None` once the process has been collected.
    fn read<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let count = rustix::io::pread(&self.0, &mut *buffer, 0).ok()?;
        buffer.get(..count)
    }
}

/// `stat` of one process, kept open.
#[derive(Debug)]
pub(crate) struct StatFile(KeptFile);

impl StatFile {
    /// Of the process that has this pid now.
    pub(crate) fn open(pid: i32) -> Option<Self> {
        KeptFile::open(pid, "stat").map(Self)
    }

    /// `None` once the process has been collected.
    pub(crate) fn read(&self) -> Option<Stat> {
        Stat::parse(self.0.read(&mut [0; 1024])?)
    }
}

/// How often and how long the main thread of a process has run, kept open. Reading it costs a
/// fifth of [`StatFile`].
#[derive(Debug)]
pub(crate) struct ActivityFile(KeptFile);

/// What an [`ActivityFile`] said: a thread that has not run since says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activity {
    nanoseconds: u64,
    times: u64,
}

impl ActivityFile {
    /// Of the process that has this pid now.
    pub(crate) fn open(pid: i32) -> Option<Self> {
        KeptFile::open(pid, "schedstat").map(Self)
    }

    /// `None` once the process has been collected, and where the kernel does not count.
    pub(crate) fn read(&self) -> Option<Activity> {
        Activity::parse(self.0.read(&mut [0; 128])?)
    }
}

impl Activity {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = text.trim_ascii_end().split(|b| *b == b' ');
        let nanoseconds = number(fields.next()?)?;
        let times = number(fields.nth(1)?)?;
        // Every process has run; zeros stand where nothing is counted.
        (nanoseconds > 0).then_some(Self { nanoseconds, times })
    }
}

/// All processes there are, by pid; those that can be read.
pub(crate) fn all() -> HashMap<i32, Stat> {
    pids()
        .filter_map(|(pid, _)| Some((pid, stat(pid)?)))
        .collect()
}

/// All processes there are, by pid.
///
/// # Errors
/// When one of them cannot be read: what is missing may be what is looked for.
pub(super) fn try_all() -> io::Result<HashMap<i32, Stat>> {
    let mut all = HashMap::new();
    for entry in Dir::read_from(proc_folder()?)? {
        if let Some(pid) = number(entry?.file_name().to_bytes())
            && let Some(stat) = try_stat(pid)?
        {
            all.insert(pid, stat);
        }
    }
    Ok(all)
}

/// The pids there are, each with the inode of its folder.
pub(super) fn pids() -> impl Iterator<Item = (i32, u64)> {
    let folder = proc_folder().and_then(Dir::read_from).ok();
    folder
        .into_iter()
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| Some((number(entry.file_name().to_bytes())?, entry.ino())))
}

/// The children of a process, over all its threads. `None` where the kernel was built
/// without these files or the process is not ours to read.
pub(crate) fn children(pid: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let Ok(thread) = thread else { continue };
        match std::fs::read(thread.path().join("children")) {
            Ok(text) => found.extend(text.split(|b| *b == b' ').filter_map(number::<i32>)),
            // The thread ended meanwhile: its children went to another one, so look again.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !thread.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

/// The children that a process's main thread has, without a look at its other threads.
/// `None` as for [`children`].
pub(crate) fn children_of_main_thread(pid: i32) -> Option<Vec<i32>> {
    let text = std::fs::read(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Some(text.split(|b| *b == b' ').filter_map(number).collect())
}

/// How many descriptors a process has open.
pub(crate) fn open_descriptors(pid: i32) -> u64 {
    let path = format!("{pid}/fd");
    // Since Linux 6.2 the size of the folder is the count.
    let size = proc_folder()
        .and_then(|folder| rustix::fs::statat(folder, &path, rustix::fs::AtFlags::empty()))
        .map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
    if size > 0 {
        return size;
    }
    std::fs::read_dir(format!("/proc/{path}")).map_or(0, |entries| entries.count() as u64)
}

/// Whose run a process belongs to, by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The process's name.
    pub(crate) name: String,
    /// Which copy.
    pub(crate) index: u16,
    /// Which run.
    pub(crate) generation: Generation,
}

impl Mark {
    pub(crate) fn is_of(&self, instance: &InstanceId) -> bool {
        self.name == instance.process.as_str() && self.index == instance.index
    }

    fn parse(environ: &[u8], home: &Path) -> Option<Self> {
        let (mut ours, mut name, mut index, mut generation) = (false, None, None, None);
        for entry in environ.split(|b| *b == 0) {
            let Some(rest) = entry.strip_prefix(b"MHOST_") else {
                continue;
            };
            if let Some(value) = rest.strip_prefix(b"HOME=") {
                ours = Path::new(OsStr::from_bytes(value)) == home;
            } else if let Some(value) = rest.strip_prefix(b"NAME=") {
                name = std::str::from_utf8(value).ok();
            } else if let Some(value) = rest.strip_prefix(b"INSTANCE=") {
                index = number(value);
            } else if let Some(value) = rest.strip_prefix(b"GENERATION=") {
                generation = number(value);
            }
        }
        ours.then_some(())?;
        Some(Self {
            name: name?.to_owned(),
            index: index?,
            generation: generation?,
        })
    }
}

/// The mark in the environment that a process was started with. `None` also when that cannot
/// be read.
pub(crate) fn mark(pid: i32, home: &Path) -> Option<Mark> {
    try_mark(pid, home).ok().flatten()
}

/// The mark in the environment that a process was started with.
///
/// # Errors
/// When that cannot be known, such as without a descriptor to look with.
pub(super) fn try_mark(pid: i32, home: &Path) -> io::Result<Option<Mark>> {
    // In the middle of an exec the environment looks empty for a moment; 20 ms are far more
    // than that takes.
    for _ in 0..100 {
        match std::fs::read(format!("/proc/{pid}/environ")) {
            Ok(environ) if !environ.is_empty() => return Ok(Mark::parse(&environ, home)),
            Ok(_) if !is_in_exec(pid)? => return Ok(None),
            Ok(_) => {}
            Err(error) => return nobody(error),
        }
        let moment = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 200_000,
        };
        let _ = rustix::event::poll(&mut [], Some(&moment));
    }
    Ok(None)
}

/// It has memory, but the new program's environment is not laid out in it yet.
fn is_in_exec(pid: i32) -> io::Result<bool> {
    let mut buffer = [0; 1024];
    let text = match try_read_into(&format!("{pid}/stat"), &mut buffer) {
        Ok(text) => Some(text),
        Err(error) => nobody(error.into())?,
    };
    let ends = |text: &[u8]| {
        let close = memchr::memrchr(b')', text)?;
        let mut fields = text.get(close + 2..)?.split(|b| *b == b' ');
        let memory: u64 = number(fields.nth(20)?)?; // field 23
        let environment_end: u64 = number(fields.nth(27)?)?; // field 51
        Some(memory > 0 && environment_end == 0)
    };
    Ok(text.and_then(ends).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_an_odd_name() {
        let mut line =
            b"42 (a) (b ) R 7 42 42 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 3 0 9999 1000 77".to_vec();
        for field in 25..=51 {
            line.extend(format!(" {field}").into_bytes());
        }
        line.extend(b" 256\n");
        let stat = Stat::parse(&line).expect("parses");
        assert_eq!((stat.pid, stat.parent, stat.session), (42, 7, 42));
        assert_eq!((stat.cpu_ticks, stat.threads), (110, 3));
        assert_eq!((stat.start_time, stat.rss_pages), (9999, 77));
        assert_eq!(stat.exit_code, 256);
    }

    #[test]
    fn sees_itself() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let stat = stat(own).expect("is there");
        assert_eq!(stat.pid, own);
        assert!(stat.start_time > 0 && stat.rss_pages > 0 && stat.threads > 0);
        assert!(all().contains_key(&own));
        assert!(open_descriptors(own) >= 3);
    }

    #[test]
    fn whoever_runs_is_active() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let file = StatFile::open(own).expect("opens");
        assert_eq!(file.read().map(|stat| stat.pid), Some(own));
        assert_eq!(
            Activity::parse(b"510173 10006772 2\n"),
            Some(Activity {
                nanoseconds: 510_173,
                times: 2
            })
        );
        assert_eq!(Activity::parse(b"0 0 0\n"), None);
        assert_eq!(Activity::parse(b""), None);
    }

    #[test]
    fn marks_are_bound_to_a_home() {
        let environ = b"A=1\0MHOST_HOME=/h\0MHOST_NAME=api\0MHOST_INSTANCE=2\0MHOST_GENERATION=7\0";
        let mark = Mark::parse(environ, Path::new("/h")).expect("is marked");
        assert_eq!(
            (mark.name.as_str(), mark.index, mark.generation),
            ("api", 2, 7)
        );
        assert_eq!(Mark::parse(environ, Path::new("/other")), None);
        assert_eq!(Mark::parse(b"MHOST_HOME=/h\0", Path::new("/h")), None);
    }
}
