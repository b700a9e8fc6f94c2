//! Why the daemon could not be asked, or what it answered instead.

use std::io;
use std::path::PathBuf;

use serde_json::Value;
use supervisor::HomeError;

use super::Skew;
use crate::exit::Exit;

/// Why the daemon could not be asked, or what it answered instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody answers on the socket.
    #[error("the daemon is not running (no answer on {socket})")]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is there and may not be used.
    #[error("cannot connect to {socket}: {source}")]
    NotReachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The home folder cannot be used, so no daemon can run in it.
    #[error("{}", home_text(.0))]
    Home(#[from] HomeError),
    /// It was started and did not come up.
    #[error("the daemon could not be started: {reason}")]
    NotStarted {
        /// Why, as far as that is known.
        reason: String,
        /// The last lines it wrote.
        log: Vec<String>,
        /// Where the rest is.
        log_path: PathBuf,
    },
    /// The daemon is of another major version.
    #[error("this mhost is {} and the running daemon is {}; they cannot talk", .0.own, .0.daemon)]
    OtherVersion(Skew),
    /// It closed the connection.
    #[error("the daemon closed the connection before it answered")]
    Closed,
    /// It did not answer in time.
    #[error("the daemon did not answer in time")]
    Timeout,
    /// What came was not an answer.
    #[error("the daemon sent something that is not an answer: {0}")]
    Frame(String),
    /// The connection failed.
    #[error("the connection to the daemon failed: {0}")]
    Io(#[source] io::Error),
    /// The daemon answered with an error.
    #[error("{message}")]
    Rpc {
        /// Its JSON-RPC code.
        code: i32,
        /// What it says.
        message: String,
        /// `kind`, `name`, `near`, `details`.
        data: Value,
    },
}

fn home_text(error: &HomeError) -> String {
    match error {
        HomeError::NotWritable { source, .. } => format!("{error}: {source}"),
        other => other.to_string(),
    }
}

impl ClientError {
    /// Did the other end go away?
    pub(super) fn is_hang_up(&self) -> bool {
        match self {
            ClientError::Closed => true,
            ClientError::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }

    pub(super) fn from_connect(socket: PathBuf, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { socket }
            }
            io::ErrorKind::NotADirectory => match socket.parent() {
                Some(home) if home.symlink_metadata().is_ok() => {
                    ClientError::Home(HomeError::NotAFolder {
                        path: home.to_owned(),
                    })
                }
                // It does not exist either: making it says what is in the way.
                _ => ClientError::NotRunning { socket },
            },
            _ => ClientError::NotReachable {
                socket,
                source: error,
            },
        }
    }

    pub(crate) fn from_rpc(method: &str, error: &Value) -> Self {
        let code = error["code"].as_i64().and_then(|code| code.try_into().ok());
        ClientError::Rpc {
            code: code.unwrap_or(-32603),
            message: error["message"]
                .as_str()
                .map_or_else(|| format!("{method} failed"), str::to_owned),
            data: error["data"].clone(),
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            ClientError::NotRunning { .. }
            | ClientError::NotReachable { .. }
            | ClientError::NotStarted { .. }
            | ClientError::Home(HomeError::NotWritable { .. }) => Exit::NotRunning,
            ClientError::Home(_) => Exit::Config,
            ClientError::OtherVersion(_)
            | ClientError::Closed
            | ClientError::Timeout
            | ClientError::Frame(_)
            | ClientError::Io(_) => Exit::Protocol,
            ClientError::Rpc { code, .. } => Exit::from_rpc(*code),
        }
    }

    /// The JSON-RPC code, where the daemon answered.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            ClientError::Rpc { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Names that are close to the one that was not found.
    pub(crate) fn near(&self) -> Vec<String> {
        self.texts("near")
    }

    /// Lines that say more: all problems of a definition, or the end of the daemon's log.
    pub(crate) fn details(&self) -> Vec<String> {
        match self {
            ClientError::NotStarted { log, .. } => log.clone(),
            _ => self.texts("details"),
        }
    }

    /// What to type next.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            ClientError::NotRunning { .. } => Some("start it: mhost daemon start".into()),
            ClientError::NotStarted { log_path, .. } => {
                Some(format!("its log is {}", log_path.display()))
            }
            ClientError::NotReachable { socket, .. } => Some(format!(
                "only the owner of {} may ask it, or root; another home is chosen with --home <dir>",
                socket.display()
            )),
            ClientError::Home(HomeError::NotAFolder { .. }) => Some(
                "move that file away, or choose another folder: mhost --home <dir> …, or set MHOST_HOME".into(),
            ),
            ClientError::Home(_) => {
                Some("choose another folder: mhost --home <dir> …, or set MHOST_HOME".into())
            }
            ClientError::OtherVersion(_) => {
                Some("start it again: mhost daemon stop && mhost daemon start".into())
            }
            ClientError::Timeout => {
                Some("give it more time with --timeout, or look at: mhost daemon logs".into())
            }
            ClientError::Closed | ClientError::Io(_) | ClientError::Frame(_) => {
                Some("see what it says: mhost daemon logs".into())
            }
            ClientError::Rpc { .. } => None,
        }
    }

    fn texts(&self, key: &str) -> Vec<String> {
        let ClientError::Rpc { data, .. } = self else {
            return Vec::new();
        };
        let texts = data[key].as_array().into_iter().flatten();
        texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Timeout,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Closed,
            _ => ClientError::Io(error),
        }
    }
}
