//! What the supervisor asks of the operating system, as one small trait.
//!
//! The instance actor knows nothing of forks, FIFOs or `/proc`: it hands over a
//! [`SpawnOrder`] and gets a [`ProcessRef`] back. The real one is `sys::OsLauncher`; tests
//! use `testing::FakeLauncher`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use crate::ids::{Generation, InstanceId, ProcessName};
use crate::notice::Notice;
use crate::os_text::OsText;
use crate::secret::EnvVars;
use crate::spec::{Argv, Limits, Listen, ListenAddress, Sandbox, Signal};
use crate::state::{ExitStatus, ProcessRef, Run};

/// Everything a spawn needs.
#[derive(Debug, Clone, PartialEq)]
pub struct SpawnOrder {
    /// Whose run it is.
    pub instance: InstanceId,
    /// Which run.
    pub generation: Generation,
    /// Program and arguments.
    pub argv: Argv,
    /// Absolute working folder.
    pub cwd: PathBuf,
    /// The complete environment.
    pub env: EnvVars<OsText>,
    /// Limits to set before exec.
    pub limits: Limits,
    /// User to become.
    pub user: Option<String>,
    /// Group to become.
    pub group: Option<String>,
    /// FIFO or file that becomes standard output; it is made here if it does not exist.
    pub stdout: PathBuf,
    /// FIFO or file that becomes standard error.
    pub stderr: PathBuf,
    /// What it is started without.
    pub sandbox: Sandbox,
    /// Sockets it gets as descriptors 3, 4, …; those of its process, opened now if they are
    /// not open yet.
    pub listen: Vec<Listen>,
    /// What it may say of itself, if it is listened to.
    pub voice: Option<Voice>,
}

/// What a run is told about speaking by the protocol of `sd_notify`. That it is listened to at
/// all is in its `NOTIFY_SOCKET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Voice {
    /// It has to say that it is alive within this time, again and again.
    pub watchdog: Option<Duration>,
}

/// Where one hears what the processes of a run say by the protocol of `sd_notify`.
#[async_trait]
pub trait Ear: Send + std::fmt::Debug {
    /// Waits until somebody has something to say. Cancel safe.
    async fn heard(&mut self);

    /// Takes what was said meanwhile, at most so many datagrams, and says how many there were.
    /// Those of processes of the run are taken into `notice`; what others say, and what is too
    /// long, is dropped. Not cancel safe: what was taken is gone.
    async fn take(&mut self, notice: Notice, most: usize) -> (Notice, usize);

    /// Makes the place anew where the run speaks to if somebody removed it, as with the whole
    /// home. True when it had to: then nobody could be heard.
    async fn mend(&mut self) -> bool;
}

/// A socket that is open for a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// As it is written in the definition.
    pub address: ListenAddress,
    /// Where it is in fact: the port that the system chose for port 0.
    pub bound: ListenAddress,
}

/// Why a run could not be started. The texts complete "could not start `api`: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The program is not there.
    #[error("program `{program}` not found{hint}")]
    NotFound {
        /// As it was looked up.
        program: String,
        /// ` on PATH`, or empty for a path.
        hint: String,
    },
    /// It has no execute right, or a folder on its path may not be entered.
    #[error("no permission to execute `{program}`")]
    NotExecutable {
        /// The program.
        program: String,
    },
    /// It is neither a binary nor a script that names its interpreter.
    #[error("`{program}` is neither a program for this machine nor a script with a `#!` line")]
    Format {
        /// The program.
        program: String,
    },
    /// The working folder is missing or may not be entered.
    #[error("cannot enter the working folder {path}: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// A user or group that does not exist, or that the daemon may not become.
    #[error("cannot run as `{who}`: {error}")]
    Identity {
        /// The user or group.
        who: String,
        /// What the system said.
        error: String,
    },
    /// A limit the system refuses.
    #[error("cannot set limit `{limit}`: {error}")]
    Limit {
        /// The key under `limits`.
        limit: String,
        /// What the system said.
        error: String,
    },
    /// It cannot be started without what it is to be started without.
    #[error("cannot set `{key}`: {error}")]
    Sandbox {
        /// The key.
        key: String,
        /// What the system said, or what is in the way.
        error: String,
    },
    /// A FIFO or file for its output could not be made or opened.
    #[error("cannot open {path} for its output: {error}")]
    Output {
        /// The FIFO or file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The socket that it would speak to cannot be made.
    #[error("cannot listen to it at {path}: {error}")]
    Voice {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// One of its addresses cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said, and who has it if that is known.
        error: String,
    },
    /// Anything else the system said at `stage`.
    #[error("{stage} failed: {error}")]
    System {
        /// `fork`, `setsid`, `exec`.
        stage: String,
        /// What the system said.
        error: String,
    },
}

impl SpawnError {
    /// Does it count for the breaker? A missing or forbidden program does not heal by trying.
    pub fn counts_for_breaker(&self) -> bool {
        matches!(
            self,
            SpawnError::NotFound { .. }
                | SpawnError::NotExecutable { .. }
                | SpawnError::Format { .. }
        )
    }
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The leader alone.
    Leader,
    /// Its process group.
    Group,
    /// The group and everything that carries the instance's mark up to this generation, also
    /// after `setsid` and a double fork. The mark is what is left to go by once the leader
    /// is gone and collected.
    Tree(Generation),
}

/// What is left of a run that a former daemon had started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It lives; it is watched from now on.
    Alive(ProcessRef),
    /// It ended meanwhile.
    Ended(ExitStatus),
}

/// A TCP connection that this daemon has opened to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Our end.
    pub ours: SocketAddr,
    /// Its end.
    pub theirs: SocketAddr,
}

/// Which of some [`Connection`]s a run has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// None yet, and some wait to be accepted.
    Open,
    /// The one at this place, at least.
    Of(usize),
    /// None: others have accepted all of them.
    Others,
    /// The run does not let itself be looked at.
    Unseen,
}

/// The operating system as the supervisor needs it.
#[async_trait]
pub trait Launcher: Send + Sync + std::fmt::Debug {
    /// Starts a run. Answers when `execve` has succeeded or failed, with the exact reason.
    async fn spawn(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError>;

    /// Waits until the process has exited and says how. Asking again gives the same answer
    /// until [`Launcher::forget`]. Cancel safe.
    async fn exited(&self, process: &ProcessRef) -> ExitStatus;

    /// Sends a signal, after proof that it reaches the same process. False when nobody was
    /// left to get it.
    async fn signal(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        signal: Signal,
        scope: Scope,
    ) -> bool;

    /// Sends a signal to this process alone, which is one of a run and not its leader, after
    /// proof that it is the same and lives. False when it does not. A launcher without ears is
    /// told of no such process, and need not reach it.
    async fn signal_one(&self, _process: &ProcessRef, _signal: Signal) -> bool {
        false
    }

    /// Does this process live, which is one of a run and not its leader?
    async fn has_one(&self, _process: &ProcessRef) -> bool {
        false
    }

    /// How many processes of the run's tree are alive, without the leader. `generation`
    /// bounds it: a newer run's processes do not count. `None`: that cannot be known now, such
    /// as without a descriptor to look with, and so somebody may be there.
    async fn remaining(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
    ) -> Option<usize>;

    /// True when it is certain that nothing of the ended run's tree is left, and this could
    /// be seen with a few system calls. Does not block; false says nothing.
    fn left_nothing(&self, process: &ProcessRef) -> bool;

    /// Takes over a run that a former daemon recorded: opens a pidfd first and then proves
    /// the identity. While it runs and cannot be watched, there is no answer.
    async fn adopt(&self, process: &ProcessRef) -> Found;

    /// Looks for a run that was ordered but never recorded, by the marks in its environment.
    async fn find_unrecorded(
        &self,
        instance: &InstanceId,
        generation: Generation,
    ) -> Option<ProcessRef>;

    /// Every process that carries the instance's mark of another run than `counted`, with
    /// that run. They are kept until [`Launcher::forget`].
    async fn strays(
        &self,
        instance: &InstanceId,
        counted: Option<Generation>,
    ) -> Vec<(Generation, ProcessRef)>;

    /// Lets go of what is kept for a process that has been dealt with.
    fn forget(&self, process: &ProcessRef);

    /// Where a run is heard that was spawned with a [`Voice`], or taken over and had one. `user`
    /// is whom it runs as. A launcher may have no ears.
    ///
    /// # Errors
    /// When its socket cannot be opened, which may be otherwise a moment later.
    fn ear(
        &self,
        _instance: &InstanceId,
        _process: &ProcessRef,
        _generation: Generation,
        _user: Option<&str>,
    ) -> std::io::Result<Box<dyn Ear>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Says once, before anything is adopted, which sockets a new daemon goes on with. Those
    /// that a former daemon kept and that are not among them are closed. A launcher that opens
    /// no sockets has nothing to do.
    fn inherit_sockets(&self, _wanted: Vec<(ProcessName, Vec<Listen>)>) {}

    /// The sockets that are open for a process, in the order of its definition.
    fn listening(&self, _process: &ProcessName) -> Vec<Listening> {
        Vec::new()
    }

    /// Has the leader of a run, or one of its tree, accepted one of these connections to such a
    /// socket? A launcher that opens none is not asked.
    async fn accepted(&self, _: &InstanceId, _: &Run, _: Vec<Connection>) -> Acceptance {
        Acceptance::Unseen
    }

    /// Closes the sockets of a process that is not to run any longer.
    fn close_sockets(&self, _process: &ProcessName) {}
}
