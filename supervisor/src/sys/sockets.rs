//! The sockets that mhost listens on for programs: one table, by process.
//!
//! ```text
//!   spawn ──open──► table ──descriptors──► the program (3, 4, …)
//!                    │ ▲
//!                keep│ │kept         the same sockets, with the guard
//!                    ▼ │
//!                  socket_keep ──► guard
//! ```
//!
//! A socket is opened when its process is first started, and is then the same one for all
//! instances and runs of it, so that connections wait while no program accepts them. It is
//! closed when the process is stopped, or when its definition no longer names the address. What
//! a former daemon had comes back from the guard, or else from a program that still holds it.
//! It never accepts a connection, and does not know what runs.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    sockopt,
};

use super::kept::Kept;
use super::{notify_socket, ports, socket_keep, spawn};
use crate::ids::ProcessName;
use crate::launch::{Listening, SpawnError};
use crate::secret::without_passwords;
use crate::spec::{DEFAULT_MODE, FIRST_DESCRIPTOR, Listen, ListenAddress, MAX_LISTEN, SocketMode};

/// Connections that may wait to be accepted, as far as `net.core.somaxconn` allows.
const BACKLOG: i32 = 4096;

/// Characters of a command line that a message names.
const SHOWN: usize = 80;

/// The sockets of all processes.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<ProcessName, Vec<Open>>,
    /// What a new daemon means to go on with.
    wanted: BTreeMap<ProcessName, Vec<Listen>>,
}

#[derive(Debug)]
struct Open {
    key: String,
    address: ListenAddress,
    bound: ListenAddress,
    mode: Option<SocketMode>,
    socket: Arc<OwnedFd>,
}

impl Sockets {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sockets of a process in the order of its definition: those that are open, and the
    /// rest opened now. `living` are its runs, which may hold what was lost. When one cannot be
    /// opened, those that were opened for this call are closed again.
    pub(super) fn open(
        &self,
        process: &ProcessName,
        wanted: &[Listen],
        living: &[Arc<Kept>],
    ) -> Result<Vec<Arc<OwnedFd>>, SpawnError> {
        let mut table = self.table();
        let mut had = table.open.remove(process).unwrap_or_default();
        if wanted.is_empty() && had.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys(process, wanted);
        // First, since a new address may take the place of one that goes.
        had.retain(|open| (keys.contains(&open.key) && open.is_reachable()) || close(open));
        let (mut now, mut new, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = None;
        for (one, key) in wanted.iter().zip(keys) {
            let known = had.iter().position(|open| open.key == key);
            let open = match known {
                Some(place) => Ok(had.remove(place)),
                None => {
                    fresh.push(key.clone());
                    match recovered(one, &key, living) {
                        Some(open) => Ok(open),
                        None => opened(one, &key).inspect(|_| new.push(key)),
                    }
                }
            };
            let open = open.and_then(|mut open| open.change_mode(one.mode).map(|()| open));
            match open {
                Ok(open) => now.push(open),
                Err(error) => {
                    failed = Some((&one.address, error));
                    break;
                }
            }
        }
        if failed.is_some() {
            now.retain(|open| !new.contains(&open.key) || close(open));
        }
        let sockets = now.iter().map(|open| Arc::clone(&open.socket)).collect();
        now.extend(had);
        for open in now.iter().filter(|open| fresh.contains(&open.key)) {
            socket_keep::keep(&open.key, &open.socket);
        }
        if !now.is_empty() {
            table.open.insert(process.clone(), now);
        }
        let Some((address, error)) = failed else {
            return Ok(sockets);
        };
        let other = table.holder(process, address);
        drop(table);
        Err(SpawnError::Listen {
            address: address.to_string(),
            error: match other {
                Some(other) => format!("mhost listens on it for `{other}`"),
                None => explain(address, &error),
            },
        })
    }

    /// Takes over what a former daemon left with the guard for these, and closes the rest.
    pub(super) fn inherit(&self, wanted: Vec<(ProcessName, Vec<Listen>)>) {
        let mut table = self.table();
        for (process, wanted) in &wanted {
            let found = wanted.iter().zip(keys(process, wanted));
            let found: Vec<Open> = found
                .filter_map(|(one, key)| {
                    let socket = socket_keep::take(&key)?;
                    Open::of(one, key, socket)
                })
                .collect();
            for open in &found {
                socket_keep::keep(&open.key, &open.socket);
            }
            if !found.is_empty() {
                table.open.insert(process.clone(), found);
            }
        }
        for key in socket_keep::untaken(|key| !notify_socket::is_key(key)) {
            drop(socket_keep::take(&key));
            socket_keep::free(&key);
            let address = key.splitn(3, ' ').nth(2);
            if let Some(Ok(ListenAddress::Unix(path))) = address.map(str::parse) {
                remove_file(&path);
            }
        }
        table.wanted = wanted.into_iter().collect();
    }

    /// What a run that was adopted holds and nobody else has kept.
    pub(super) fn recover(&self, process: &ProcessName, run: &Arc<Kept>) {
        let mut table = self.table();
        let Some(wanted) = table.wanted.get(process).cloned() else {
            return;
        };
        let open = table.open.entry(process.clone()).or_default();
        for (one, key) in wanted.iter().zip(keys(process, &wanted)) {
            if !open.iter().any(|open| open.key == key)
                && let Some(found) = recovered(one, &key, std::slice::from_ref(run))
            {
                socket_keep::keep(&found.key, &found.socket);
                open.push(found);
            }
        }
        if open.is_empty() {
            table.open.remove(process);
        }
    }

    /// What is open for a process.
    pub(super) fn listening(&self, process: &ProcessName) -> Vec<Listening> {
        let table = self.table();
        let open = table.open.get(process).into_iter().flatten();
        open.map(|open| Listening {
            address: open.address.clone(),
            bound: open.bound.clone(),
        })
        .collect()
    }

    /// Closes what is open for a process.
    pub(super) fn close(&self, process: &ProcessName) {
        let mut table = self.table();
        table.wanted.remove(process);
        for open in table.open.remove(process).into_iter().flatten() {
            close(&open);
        }
    }
}

impl Table {
    /// The other process that has this address.
    fn holder(&self, process: &ProcessName, address: &ListenAddress) -> Option<ProcessName> {
        let others = self.open.iter().filter(|(name, _)| *name != process);
        let mut holders = others.filter(|(_, open)| {
            let clashes = |open: &Open| open.bound.clashes(address);
            open.iter().any(clashes)
        });
        holders.next().map(|(name, _)| name.clone())
    }
}

impl Open {
    /// A socket that is open, if it is the one that is meant.
    fn of(listen: &Listen, key: String, socket: OwnedFd) -> Option<Self> {
        let bound = bound(&socket).ok()?;
        let is_it = match (&listen.address, &bound) {
            (ListenAddress::Tcp(meant), ListenAddress::Tcp(bound)) => {
                meant.ip() == bound.ip() && (meant.port() == 0 || meant.port() == bound.port())
            }
            (ListenAddress::Unix(meant), ListenAddress::Unix(bound)) => meant == bound,
            (ListenAddress::Tcp(_), ListenAddress::Unix(_))
            | (ListenAddress::Unix(_), ListenAddress::Tcp(_)) => false,
        };
        is_it.then(|| Self {
            key,
            address: listen.address.clone(),
            bound,
            mode: None,
            socket: Arc::new(socket),
        })
    }

    /// Somebody may have removed the file: then nobody finds the socket any longer.
    fn is_reachable(&self) -> bool {
        match &self.bound {
            ListenAddress::Unix(path) => path.symlink_metadata().is_ok(),
            ListenAddress::Tcp(_) => true,
        }
    }

    fn change_mode(&mut self, mode: Option<SocketMode>) -> io::Result<()> {
        if let ListenAddress::Unix(path) = &self.address
            && self.mode != Some(mode.unwrap_or(DEFAULT_MODE))
        {
            let mode = mode.unwrap_or(DEFAULT_MODE);
            std::fs::set_permissions(path, Permissions::from_mode(mode.0))?;
            self.mode = Some(mode);
        }
        Ok(())
    }
}

/// What each address of a process is kept under. The number tells two ports apart that the
/// system chooses.
fn keys(process: &ProcessName, listen: &[Listen]) -> Vec<String> {
    let key = |(place, one): (usize, &Listen)| {
        let before = listen[..place].iter();
        let same = before.filter(|other| other.address == one.address).count();
        format!("{process} {same} {}", one.address)
    };
    listen.iter().enumerate().map(key).collect()
}

/// Takes out of the programs what nobody else has kept, or from the guard.
fn recovered(listen: &Listen, key: &str, living: &[Arc<Kept>]) -> Option<Open> {
    if let Some(socket) = socket_keep::take(key)
        && let Some(open) = Open::of(listen, key.to_owned(), socket)
    {
        return Some(open);
    }
    let numbers = FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_LISTEN as i32;
    living.iter().find_map(|run| {
        let mut held = numbers.clone().map_while(|number| run.descriptor(number));
        held.find_map(|socket| {
            let listens = sockopt::socket_acceptconn(&socket).unwrap_or(false);
            let open = listens.then(|| Open::of(listen, key.to_owned(), socket));
            open.flatten()
        })
    })
}

fn opened(one: &Listen, key: &str) -> io::Result<Open> {
    let socket = match &one.address {
        ListenAddress::Tcp(address) => OwnedFd::from(TcpListener::bind(address)?),
        ListenAddress::Unix(path) => {
            remove_stale(path)?;
            unix(path)?
        }
    };
    listen(&socket, BACKLOG)?;
    Open::of(one, key.to_owned(), socket).ok_or_else(|| {
        io::Error::other("the system gave another address than the one that was asked for")
    })
}

/// A socket file that only its owner can reach until it has its rights.
fn unix(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Removes a socket file that nobody listens on. What is not a socket stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::other(
            "a file of that name is there, and it is not a socket",
        ));
    }
    match try_connect(path) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        _ => Err(Errno::ADDRINUSE.into()),
    }
}

/// Is somebody there? Never waits.
fn try_connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Where a socket is bound, as the system has it.
fn bound(socket: &OwnedFd) -> io::Result<ListenAddress> {
    let copy = socket.try_clone()?;
    if let Ok(address) = TcpListener::from(copy).local_addr() {
        return Ok(ListenAddress::Tcp(address));
    }
    let address = UnixListener::from(socket.try_clone()?).local_addr()?;
    let path = address.as_pathname();
    path.map(|path| ListenAddress::Unix(path.to_owned()))
        .ok_or_else(|| io::Error::other("it has no path"))
}

/// Ends a socket that nobody wants any longer. Always false, for `retain`.
fn close(open: &Open) -> bool {
    socket_keep::free(&open.key);
    if let ListenAddress::Unix(path) = &open.bound {
        remove_file(path);
    }
    false
}

/// A program that still holds the socket has it until it ends; it gets no new connections.
fn remove_file(path: &Path) {
    if path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
    {
        // What cannot be removed is found to be stale the next time.
        let _ = std::fs::remove_file(path);
    }
}

/// Puts the sockets back as programs expect them: one that was told not to wait by its former
/// program, which is gone, would give the next one errors.
pub(super) fn make_blocking(sockets: &[Arc<OwnedFd>]) {
    for socket in sockets {
        if let Ok(flags) = rustix::fs::fcntl_getfl(socket)
            && flags.contains(OFlags::NONBLOCK)
        {
            let _ = rustix::fs::fcntl_setfl(socket, flags - OFlags::NONBLOCK);
        }
    }
}

fn explain(address: &ListenAddress, error: &io::Error) -> String {
    let text = spawn::plain(error);
    match (error.raw_os_error(), address) {
        (Some(libc::EADDRINUSE), address) => match holder(address) {
            Some(who) => format!("{text}: {who} has it"),
            None => text,
        },
        (Some(libc::EACCES), ListenAddress::Tcp(_)) => {
            format!("{text}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
        }
        (_, ListenAddress::Unix(_) | ListenAddress::Tcp(_)) => text,
    }
}

/// Who listens on an address that is in use.
fn holder(address: &ListenAddress) -> Option<String> {
    let (pid, command) = match address {
        ListenAddress::Tcp(address) => ports::port_holder(address.port())?,
        ListenAddress::Unix(path) => {
            let other = try_connect(path).ok()?;
            let pid = sockopt::socket_peercred(other.as_fd()).ok()?.pid;
            let pid = pid.as_raw_nonzero().get();
            (pid, ports::command_line(pid))
        }
    };
    let command = without_passwords(&command);
    let command: String = command
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    Some(format!("pid {pid} ({command})"))
}

#[cfg(test)]
mod tests;
