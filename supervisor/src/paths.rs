//! Where everything lies: the one place that computes names under `MHOST_HOME`.

use std::path::{Path, PathBuf};

use crate::ids::{Generation, InstanceId};

/// Longest path of a Unix socket on Linux: `sun_path` is 108 bytes with its NUL.
pub const MAX_SOCKET_PATH: usize = 107;

/// How the name of an output file ends; a FIFO's has no such end.
const SPOOL: &str = ".spool";

/// How the name of a socket ends that a run speaks to.
pub(crate) const NOTIFY: &str = ".notify";

/// Is this the name of an output file, and not of a FIFO? The name says it, so that whoever
/// takes over a run needs to know nothing else.
pub(crate) fn is_spool(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .ends_with(SPOOL.as_bytes())
}

/// The state directory and all names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    home: PathBuf,
}

/// Which of a program's two output streams.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Both, in the order of their descriptors.
    pub const BOTH: [Stream; 2] = [Stream::Out, Stream::Err];

    /// `out` or `err`, as in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Out => "out",
            Stream::Err => "err",
        }
    }
}

/// Why a home folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `--home`, `MHOST_HOME` nor `HOME` says where it is.
    #[error("no home folder: neither MHOST_HOME nor HOME is set")]
    Unknown,
    /// The socket's path would not fit into a socket address.
    #[error("the socket path {path} has {length} bytes; the system allows {MAX_SOCKET_PATH}")]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// Something that is no folder has its name.
    #[error("the home folder {path} is not a folder")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// It could not be created or written.
    #[error("cannot write the home folder {path}")]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Paths {
    /// The paths of one home folder. Relative paths are taken from the current folder.
    ///
    /// # Errors
    /// [`HomeError::SocketPathTooLong`] when the socket would not fit.
    pub fn new(home: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let home = home.into();
        let home = std::path::absolute(&home).unwrap_or(home);
        let paths = Self { home };
        let length = paths.socket().as_os_str().len();
        if length > MAX_SOCKET_PATH {
            return Err(HomeError::SocketPathTooLong {
                path: paths.socket(),
                length,
            });
        }
        Ok(paths)
    }

    /// The home named by the environment: `MHOST_HOME`, else `~/.mhost`.
    ///
    /// # Errors
    /// As [`Paths::new`], and [`HomeError::Unknown`] when there is no `HOME` either.
    pub fn from_env() -> Result<Self, HomeError> {
        let set = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
        match (set("MHOST_HOME"), set("HOME")) {
            (Some(home), _) => Self::new(home),
            (None, Some(home)) => Self::new(Path::new(&home).join(".mhost")),
            (None, None) => Err(HomeError::Unknown),
        }
    }

    /// Creates the home (0700) and its folders.
    ///
    /// # Errors
    /// [`HomeError::NotWritable`] names the first folder that could not be made.
    pub fn create(&self) -> Result<(), HomeError> {
        use std::os::unix::fs::DirBuilderExt;
        if std::fs::metadata(&self.home).is_ok_and(|found| !found.is_dir()) {
            return Err(HomeError::NotAFolder {
                path: self.home.clone(),
            });
        }
        let folders = [
            self.home.clone(),
            self.run(),
            self.logs(),
            self.processes(),
            self.brain(),
            self.playbooks(),
        ];
        for path in folders {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|source| HomeError::NotWritable { path, source })?;
        }
        Ok(())
    }

    /// The folder itself, absolute.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The IPC socket, 0600.
    pub fn socket(&self) -> PathBuf {
        self.home.join("mhost.sock")
    }

    /// The daemon's pid; locked with flock while it lives.
    pub fn pid_file(&self) -> PathBuf {
        self.home.join("mhost.pid")
    }

    /// Held while somebody starts a daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.home.join("daemon.lock")
    }

    /// The state database.
    pub fn database(&self) -> PathBuf {
        self.home.join("db.sqlite")
    }

    /// What processes used.
    pub fn metrics(&self) -> PathBuf {
        self.home.join("metrics.sqlite")
    }

    /// Where the metrics endpoint was last asked to listen, or not to.
    pub fn metrics_switch(&self) -> PathBuf {
        self.home.join("metrics.json")
    }

    /// The daemon's own settings.
    pub fn config(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// The saved process list of `mhost save`.
    pub fn dump(&self) -> PathBuf {
        self.home.join("dump.toml")
    }

    /// One audit row per line.
    pub fn audit(&self) -> PathBuf {
        self.home.join("audit.jsonl")
    }

    /// FIFOs of running instances, 0700.
    pub fn run(&self) -> PathBuf {
        self.home.join("run")
    }

    /// The FIFO that a run writes one of its streams to.
    pub fn fifo(&self, instance: &InstanceId, generation: Generation, stream: Stream) -> PathBuf {
        let InstanceId { process, index } = instance;
        self.run().join(format!(
            "{process}-{index}.{generation}.{}",
            stream.as_str()
        ))
    }

    /// The file that a run writes one of its streams to when its output is a file.
    pub fn spool(&self, instance: &InstanceId, generation: Generation, stream: Stream) -> PathBuf {
        let mut name = self.fifo(instance, generation, stream).into_os_string();
        name.push(SPOOL);
        name.into()
    }

    /// The socket that a run speaks to by the protocol of `sd_notify`.
    pub fn notify(&self, instance: &InstanceId, generation: Generation) -> PathBuf {
        let InstanceId { process, index } = instance;
        self.run()
            .join(format!("{process}-{index}.{generation}{NOTIFY}"))
    }

    /// Where a run that has begun writes one of its streams, whatever its definition says now.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub fn output(
        &self,
        instance: &InstanceId,
        generation: Generation,
        stream: Stream,
    ) -> std::io::Result<PathBuf> {
        let spool = self.spool(instance, generation, stream);
        Ok(if spool.try_exists()? {
            spool
        } else {
            self.fifo(instance, generation, stream)
        })
    }

    /// Locked by the guard while it lives.
    pub fn guard_lock(&self) -> PathBuf {
        self.run().join("guard")
    }

    /// Names the guard whose daemon has started the saved processes.
    pub fn resurrected(&self) -> PathBuf {
        self.run().join("resurrected")
    }

    /// Log segments.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// The current segment of a stream: plain text that `tail -f` can follow.
    pub fn segment(&self, instance: &InstanceId, stream: Stream) -> PathBuf {
        let InstanceId { process, index } = instance;
        self.logs()
            .join(format!("{process}-{index}.{}.log", stream.as_str()))
    }

    /// What the daemon itself says.
    pub fn daemon_log(&self) -> PathBuf {
        self.logs().join("daemon.log")
    }

    /// What sinks keep: how far each got, and lines that its server refused.
    pub fn sinks(&self) -> PathBuf {
        self.home.join("sinks")
    }

    /// Snapshots of process state.
    pub fn processes(&self) -> PathBuf {
        self.home.join("processes")
    }

    /// The brain's folder.
    pub fn brain(&self) -> PathBuf {
        self.home.join("brain")
    }

    /// Custom playbooks.
    pub fn playbooks(&self) -> PathBuf {
        self.brain().join("playbooks")
    }

    /// Prompts of a person, in the place of built-in ones.
    pub fn prompts(&self) -> PathBuf {
        self.home.join("prompts")
    }

    /// What the chats remember: what came in, and which message shows what.
    pub fn chats(&self) -> PathBuf {
        self.home.join("chat.sqlite")
    }

    /// The brain's database.
    pub fn brain_history(&self) -> PathBuf {
        self.brain().join("history.db")
    }
}
