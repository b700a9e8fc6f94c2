//! JSON-RPC 2.0 on the Unix socket.
//!
//! Owns the socket file and the connections. It checks who connects, turns methods into
//! commands and replies into result objects; everything in between is the gate's.

mod connection;
mod daemon;
mod definition;
mod logs;
mod message;
mod method;
mod params;
mod process;
mod subscription;

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supervisor::sys::FolderWatch;
use supervisor::{Paths, Tasks};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::gate::Gate;
use message::RpcError;

/// Clients that are served at the same time.
const CONNECTIONS: usize = 256;
/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the socket's file is looked for. Someone who tidied it away waits no longer than
/// a command waits for a daemon that it has started, which is 5 s.
const SOCKET_CHECK: Duration = Duration::from_secs(2);
/// The same where the system tells of changes: some it does not tell of, such as those that
/// another machine makes on a shared disk, and the removal of a folder further up.
const SOCKET_CHECK_TOLD: Duration = Duration::from_secs(60);

/// Serves clients.
pub(crate) struct Server {
    gate: Arc<Gate>,
    tasks: Tasks,
    /// Bumped whenever a log segment grew.
    grew: watch::Receiver<u64>,
}

/// The socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    paths: Paths,
    /// Device and inode of our file.
    file: Option<(u64, u64)>,
    /// Those of the state database.
    database: Option<(u64, u64)>,
    home: Home,
}

/// What has happened to the home folder. Clones see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Home {
    lost: Arc<AtomicBool>,
}

impl Home {
    /// What is wrong with it, and what to do.
    pub(crate) fn problem(&self) -> Option<String> {
        self.lost.load(Ordering::Relaxed).then(|| {
            "the home folder was removed while the daemon ran: its processes go on, but their state is on no disk and would be lost with the daemon; keep it with: mhost save && mhost daemon stop && mhost daemon start && mhost resurrect".to_owned()
        })
    }
}

/// Device and inode of what is at `path`; `None` when nothing is. An error says neither.
fn file_at(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Socket {
    /// Opens the socket, 0600. A file that nobody answers on is removed first; one that
    /// somebody answers on is an error.
    pub(crate) async fn open(paths: Paths, home: Home) -> io::Result<Self> {
        let listener = Self::bind(&paths.socket()).await?;
        Ok(Self {
            listener,
            file: file_at(&paths.socket())?,
            database: file_at(&paths.database())?,
            paths,
            home,
        })
    }

    /// Opens it anew when its file is gone: without it nobody could ever ask again.
    async fn restore(&mut self) {
        let path = self.paths.socket();
        let (Ok(database), Ok(file)) = (file_at(&self.paths.database()), file_at(&path)) else {
            // Nobody knows; it is looked at again.
            return;
        };
        if database != self.database && !self.home.lost.swap(true, Ordering::Relaxed) {
            error!("The state database was removed; what happens from now on is on no disk.");
        }
        if file == self.file {
            return;
        }
        // Whoever removed the socket may have removed all of the home.
        if let Err(error) = self.paths.create() {
            debug!(%error, "The home folder is gone and cannot be made.");
        }
        match Self::bind(&path).await {
            Ok(listener) => {
                warn!("The socket's file was gone; it is there again.");
                self.listener = listener;
                self.file = file_at(&path).ok().flatten();
            }
            Err(error) => debug!(%error, "The socket's file is gone and cannot be made."),
        }
    }

    async fn bind(path: &Path) -> io::Result<UnixListener> {
        if path.symlink_metadata().is_ok() {
            match UnixStream::connect(path).await {
                Ok(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another daemon answers on it",
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may have been removed by hand, and be another daemon's now.
        let path = self.paths.socket();
        if file_at(&path).is_ok_and(|file| file == self.file) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Server {
    pub(crate) fn new(gate: Arc<Gate>, tasks: Tasks, grew: watch::Receiver<u64>) -> Arc<Self> {
        Arc::new(Self { gate, tasks, grew })
    }

    /// Accepts clients until the tasks are told to end; then the socket's file is gone.
    pub(crate) async fn serve(self: Arc<Self>, mut socket: Socket) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let users = Users::of(rustix::process::geteuid().as_raw());
        let mut watch = None;
        let mut check = Instant::now();
        loop {
            let accepted = tokio::select! {
                () = self.tasks.cancelled() => return,
                () = told(watch.as_ref(), check) => {
                    // First the watch, so that nothing falls between the two.
                    watch = watch_anew(watch, socket.paths.home());
                    socket.restore().await;
                    check = Instant::now() + match watch {
                        Some(_) => SOCKET_CHECK_TOLD,
                        None => SOCKET_CHECK,
                    };
                    continue;
                }
                accepted = socket.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "A connection could not be accepted.");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(principal) = users.name(&stream) else {
                debug!("A connection of another user was refused.");
                self.refuse(
                    stream,
                    RpcError::not_permitted("only the owner of this daemon, or root, may ask it"),
                );
                continue;
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                self.refuse(
                    stream,
                    RpcError::too_many(format!(
                        "{CONNECTIONS} connections are open already; close some and try again"
                    )),
                );
                continue;
            };
            let server = self.clone();
            self.tasks.spawn("rpc connection", async move {
                connection::serve(server, stream, principal).await;
                drop(slot);
            });
        }
    }

    fn refuse(&self, stream: UnixStream, error: RpcError) {
        self.tasks
            .spawn("rpc refusal", connection::refuse(stream, error));
    }
}

/// Waits until the home may have changed.
async fn told(watch: Option<&FolderWatch>, check: Instant) {
    match watch {
        // Without its reports it is looked at now, and then as without a watch.
        Some(watch) => drop(tokio::time::timeout_at(check, watch.changed()).await),
        None => tokio::time::sleep_until(check).await,
    }
}

/// The same watch, if what it watched is still there, or one that can be had instead.
fn watch_anew(former: Option<FolderWatch>, home: &Path) -> Option<FolderWatch> {
    former
        .filter(|watch| watch.renew(home).is_ok())
        .or_else(|| FolderWatch::open(home).ok())
}

/// The two users who may ask, by name.
struct Users {
    own: u32,
    own_name: String,
}

impl Users {
    fn of(own: u32) -> Self {
        Self {
            own,
            own_name: user_name(Path::new("/etc/passwd"), own),
        }
    }

    fn name(&self, stream: &UnixStream) -> Option<String> {
        match stream.peer_cred().ok()?.uid() {
            uid if uid == self.own => Some(self.own_name.clone()),
            0 => Some("root".into()),
            _ => None,
        }
    }
}

/// The name of a user, or `uid:<n>` where the system does not know one.
fn user_name(passwd: &Path, uid: u32) -> String {
    let text = std::fs::read_to_string(passwd).unwrap_or_default();
    text.lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("uid:{uid}"))
}

#[cfg(test)]
mod tests;
