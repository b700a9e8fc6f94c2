//! Hearing what the processes of a run say: the socket before the spawn, and whose word counts.
//!
//! The kernel says who has sent a datagram, and only a process of the run is listened to: its
//! leader, who is in its control group, session or process group, or below such a one. A mark in
//! an environment is no proof here, since whoever writes to the socket can write that, too.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::super::notify_socket::{self, NotifySocket};
use super::super::{kernel, proc_scan, process, spawn, tree, users};
use super::OsLauncher;
use crate::ids::{Generation, InstanceId};
use crate::launch::{Ear, SpawnError, Voice};
use crate::notice::Notice;
use crate::os_text::OsText;
use crate::state::ProcessRef;

/// Longest datagram: what one is is known from its first line.
const LONGEST: usize = 4096;

/// What a program is told of being listened to, or was told by somebody else.
const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", WATCHDOG_PID];

/// The variable by which a program knows that the watchdog is meant for it.
pub(super) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Tells a program where it is listened to, as systemd does. What the caller's own environment
/// says of that was meant for the caller.
pub(super) fn announce(env: &mut BTreeMap<String, OsText>, voice: Option<(Voice, &NotifySocket)>) {
    for key in VARIABLES {
        env.remove(key);
    }
    let Some((voice, socket)) = voice else { return };
    let path = OsText::from(socket.path().as_os_str());
    env.insert("NOTIFY_SOCKET".to_owned(), path);
    if let Some(watchdog) = voice.watchdog {
        let micros = OsText::from(&*watchdog.as_micros().to_string());
        env.insert("WATCHDOG_USEC".to_owned(), micros);
    }
}

impl OsLauncher {
    /// The socket of a run that is about to begin.
    pub(super) fn open_voice(
        &self,
        instance: &InstanceId,
        generation: Generation,
        owner: Option<u32>,
    ) -> Result<NotifySocket, SpawnError> {
        let path = self.paths.notify(instance, generation);
        let path = notify_socket::place(path, self.paths.home(), owner);
        NotifySocket::open(path.clone(), owner).map_err(|error| SpawnError::Voice {
            path,
            error: spawn::plain(&error),
        })
    }

    /// Keeps it for whoever listens, until the run is forgotten.
    pub(super) fn keep_voice(&self, process: &ProcessRef, socket: NotifySocket) {
        socket.keep(process);
        let key = (process.pid, process.start_time);
        self.voices().insert(key, Arc::new(socket));
    }

    pub(super) fn forget_voice(&self, process: &ProcessRef) {
        let gone = self.voices().remove(&(process.pid, process.start_time));
        match gone {
            Some(socket) => socket.close(),
            None => notify_socket::forget(process),
        }
    }

    pub(super) fn ear_of(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
        user: Option<&str>,
    ) -> io::Result<Box<dyn Ear>> {
        let key = (process.pid, process.start_time);
        let known = self.voices().get(&key).cloned();
        let socket = match known {
            Some(socket) => socket,
            None => {
                let identity = users::identity(user, None).map_err(io::Error::other)?;
                let owner = identity.and_then(|identity| identity.uid);
                let socket = match NotifySocket::handed(process, owner) {
                    Some(socket) => socket,
                    None => {
                        let opened = self.open_voice(instance, generation, owner);
                        let opened = opened.map_err(io::Error::other)?;
                        opened.keep(process);
                        opened
                    }
                };
                let mut voices = self.voices();
                Arc::clone(voices.entry(key).or_insert_with(|| Arc::new(socket)))
            }
        };
        let hearer = Hearer {
            launcher: self.clone(),
            instance: instance.clone(),
            process: process.clone(),
            generation,
        };
        Ok(Box::new(RunEar {
            hearer: Arc::new(hearer),
            watched: kernel::watch_socket(socket.socket())?,
            socket,
        }))
    }
}

/// Knows whose word counts.
#[derive(Debug)]
struct Hearer {
    launcher: OsLauncher,
    instance: InstanceId,
    process: ProcessRef,
    generation: Generation,
}

impl Hearer {
    fn take(&self, socket: &OwnedFd, mut notice: Notice, most: usize) -> (Notice, usize) {
        // For so short a time a pid stays what it is: a flood costs one look.
        let mut known: BTreeMap<i32, bool> = BTreeMap::new();
        let (mut buffer, mut count) = ([0; LONGEST], 0);
        while count < most {
            let datagram = match kernel::receive_from(socket.as_fd(), &mut buffer) {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // There is no more.
                Err(_) => break,
            };
            count += 1;
            let sender = datagram.sender;
            if datagram.cut || sender <= 0 {
                continue;
            }
            if *known
                .entry(sender)
                .or_insert_with(|| self.may_speak(sender))
            {
                notice.hear(&buffer[..datagram.length]);
            }
        }
        if let Some(pid) = notice.main_pid.take() {
            notice.main = self.named(pid).or(notice.main);
        }
        (notice, count)
    }

    /// The process of the run that has this pid. Nobody else is to get its signals.
    fn named(&self, pid: i32) -> Option<ProcessRef> {
        let pidfd = process::open_patiently(pid).ok()?;
        let process = process::reference(pid, &pidfd).ok()?;
        // Proven afterwards, too: else the number was used again while we looked.
        let is_it = self.may_speak(pid) && process::prove_alive(&process).is_some();
        is_it.then_some(process)
    }

    /// Is it the leader of the run, or certainly below it?
    fn may_speak(&self, pid: i32) -> bool {
        let Some(before) = proc_scan::stat(pid) else {
            return false;
        };
        let (instance, generation) = (&self.instance, self.generation);
        let run = self.launcher.run_of(instance, &self.process, generation);
        let is_it = tree::includes(&run, pid).unwrap_or(false);
        // Else the number was used again while we looked.
        is_it && proc_scan::stat(pid).is_some_and(|now| now.key() == before.key())
    }
}

/// Where one run is heard.
#[derive(Debug)]
struct RunEar {
    hearer: Arc<Hearer>,
    socket: Arc<NotifySocket>,
    watched: AsyncFd<Arc<OwnedFd>>,
}

#[async_trait]
impl Ear for RunEar {
    async fn heard(&mut self) {
        if kernel::until_readable(&self.watched).await.is_err() {
            // The runtime is going down and nobody can wait for the answer.
            std::future::pending().await
        }
    }

    async fn take(&mut self, notice: Notice, most: usize) -> (Notice, usize) {
        let (hearer, socket) = (Arc::clone(&self.hearer), Arc::clone(self.watched.get_ref()));
        // Whose word it is takes a look at `/proc`.
        let taken = super::blocking(move || hearer.take(&socket, notice, most)).await;
        taken.unwrap_or_default()
    }

    async fn mend(&mut self) -> bool {
        let socket = Arc::clone(&self.socket);
        let mended = super::blocking(move || {
            (!socket.is_in_place()).then(|| socket.mend().and_then(kernel::watch_socket))
        });
        match mended.await.flatten() {
            None => return false,
            Some(Ok(watched)) => self.watched = watched,
            Some(Err(error)) => {
                let (instance, path) = (&self.hearer.instance, self.socket.path().display());
                warn!(%instance, %path, %error, "A socket that was removed cannot be made again.");
            }
        }
        true
    }
}
