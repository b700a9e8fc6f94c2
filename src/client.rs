//! The command line's end of the socket.
//!
//! Blocking, without a runtime: a short command costs a connection and two lines. It starts
//! the daemon where that is wanted ([`start`]), and knows whether its version fits. What a
//! person is told is the command line's business.

mod error;
mod start;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use supervisor::command::view::VersionView;
use supervisor::{Paths, Role};

pub(crate) use error::ClientError;
pub(crate) use start::wait as pause;

/// Longest answer, in bytes. Far more than the daemon sends; stops a peer that is no daemon.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;
/// What is read at once.
const BUFFER: usize = 64 * 1024;
/// How long a daemon may take to say its version, whatever else may take long.
const GREETING: Duration = Duration::from_secs(10);
/// How often a daemon that hangs up instead of saying its version is called again.
const GREETINGS: u32 = 10;

/// May the daemon be started when it is not there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Autostart {
    /// Yes, unless `MHOST_NO_AUTOSTART` is set.
    Yes,
    /// No.
    No,
}

/// A connection to the daemon.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    daemon: Option<VersionView>,
    next_id: u64,
    speaker: Speaker,
}

/// For whom requests are made: a label, and how much they may do at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker {
    via: &'static str,
    role: Option<Role>,
}

impl Speaker {
    /// The person who types.
    const PERSON: Self = Self {
        via: "cli",
        role: None,
    };

    /// Somebody else's agent, which may do no more than this.
    pub(crate) fn agent(role: Role) -> Self {
        Self {
            via: "mcp",
            role: Some(role),
        }
    }
}

/// Both versions, where they differ and can still talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skew {
    /// That of this program.
    pub(crate) own: &'static str,
    /// That of the daemon.
    pub(crate) daemon: String,
}

/// A message as far as [`Client::call`] looks at it.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Answer<T> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    result: Option<T>,
    /// Of a notification: a part of an answer.
    #[serde(default)]
    params: Option<Value>,
}

/// A result that is there, also when it is null.
fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    /// `logs.line`, `logs.end`, `events.event`, `events.gap`.
    pub(crate) method: String,
    /// What it says.
    pub(crate) params: Value,
}

/// Messages as they come. Ends with the daemon's end of the connection.
#[derive(Debug)]
pub(crate) struct Notifications {
    client: Client,
}

impl Client {
    /// Connects, starts the daemon first if that is wanted and needed, and compares versions.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], [`ClientError::NotStarted`], or
    /// [`ClientError::OtherVersion`] when the major versions differ.
    pub(crate) fn connect(paths: &Paths, autostart: Autostart) -> Result<Self, ClientError> {
        for _ in 0..GREETINGS {
            match Self::connect_once(paths, autostart) {
                // It died before it said its version. Nothing was asked of it yet.
                Err(error) if error.is_hang_up() => start::wait(start::POLL),
                answered => return answered,
            }
        }
        Self::connect_once(paths, autostart)
    }

    fn connect_once(paths: &Paths, autostart: Autostart) -> Result<Self, ClientError> {
        let mut client = match Self::connect_any(paths) {
            Err(ClientError::NotRunning { .. }) if autostart == Autostart::Yes => {
                start::daemon(paths)?
            }
            connected => connected?,
        };
        if client.daemon.is_none() {
            client.greet()?;
        }
        client.check_version()?;
        Ok(client)
    }

    /// Connects to a daemon of any version and never starts one: for stopping it.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when nobody answers on the socket.
    pub(crate) fn connect_any(paths: &Paths) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(paths.socket())
            .map_err(|error| ClientError::from_connect(paths.socket(), error))?;
        Ok(Self {
            stream: BufReader::with_capacity(BUFFER, stream),
            daemon: None,
            next_id: 0,
            speaker: Speaker::PERSON,
        })
    }

    /// Both versions, when the daemon's is another one than ours: worth a warning.
    pub(crate) fn skew(&self) -> Option<Skew> {
        let own = env!("CARGO_PKG_VERSION");
        let daemon = self.daemon.as_ref()?.version.clone();
        (daemon != own).then_some(Skew { own, daemon })
    }

    /// From now on somebody else asks.
    pub(crate) fn speak_for(&mut self, speaker: Speaker) {
        self.speaker = speaker;
    }

    /// Limits how long each answer may take; `None` waits for ever.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn set_timeout(&mut self, limit: Option<Duration>) -> Result<(), ClientError> {
        // Zero would mean "no limit" to the system.
        let limit = limit.map(|limit| limit.max(Duration::from_millis(1)));
        self.stream.get_ref().set_read_timeout(limit)?;
        self.stream.get_ref().set_write_timeout(limit)?;
        Ok(())
    }

    /// Asks and waits for the answer. `params` is an object, or null.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] with what the daemon said, or what went wrong on the way.
    pub(crate) fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<T, ClientError> {
        self.call_heard(method, params, |_| ())
    }

    /// As [`Client::call`], and passes on the parts of the answer that come before it.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn call_heard<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
        mut hear: impl FnMut(Value),
    ) -> Result<T, ClientError> {
        let id = self.send(method, params)?;
        loop {
            let answer: Answer<T> = self.read()?;
            if let Some(error) = answer.error {
                return Err(ClientError::from_rpc(method, &error));
            }
            // Notifications of a stream that was left have no id.
            if answer.id == Some(id) {
                return answer
                    .result
                    .ok_or_else(|| ClientError::Frame("an answer without a result".into()));
            }
            if let Some(part) = answer.params.filter(|part| part["request"] == id) {
                hear(part);
            }
        }
    }

    /// Opens a stream, such as `logs.stream`. There is no time limit on its messages.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn stream(
        mut self,
        method: &str,
        params: Value,
    ) -> Result<Notifications, ClientError> {
        self.call::<Value>(method, params)?;
        self.set_timeout(None)?;
        Ok(Notifications { client: self })
    }

    fn send(&mut self, method: &str, params: Value) -> Result<u64, ClientError> {
        self.next_id += 1;
        let mut request = json!({
            "jsonrpc": "2.0",
            "id": self.next_id,
            "method": method,
            "via": self.speaker.via,
        });
        if let Some(role) = self.speaker.role {
            request["role"] = json!(role);
        }
        if !params.is_null() {
            request["params"] = params;
        }
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        Ok(self.next_id)
    }

    /// Reads what is wanted of a message straight from its line: a list of many processes is
    /// long, and most of it is skipped.
    fn read<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_ANSWER)
            .read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(if line.is_empty() {
                ClientError::Closed
            } else {
                ClientError::Frame("an answer that breaks off".into())
            });
        }
        serde_json::from_slice(&line).map_err(|error| ClientError::Frame(error.to_string()))
    }

    fn greet(&mut self) -> Result<(), ClientError> {
        self.set_timeout(Some(GREETING))?;
        self.daemon = Some(self.call("daemon.version", json!({}))?);
        self.set_timeout(None)
    }

    fn check_version(&self) -> Result<(), ClientError> {
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        match self.skew() {
            Some(skew) if major(skew.own) != major(&skew.daemon) => {
                Err(ClientError::OtherVersion(skew))
            }
            _ => Ok(()),
        }
    }
}

impl Iterator for Notifications {
    type Item = Result<Notification, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut message: Map<String, Value> = match self.client.read() {
                Ok(message) => message,
                Err(ClientError::Closed) => return None,
                Err(error) => return Some(Err(error)),
            };
            if let Some(Value::String(method)) = message.remove("method") {
                return Some(Ok(Notification {
                    method,
                    params: message.remove("params").unwrap_or_default(),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::exit::Exit;

    /// A daemon that answers each line with the next of `answers`.
    fn fake(paths: &Paths, answers: Vec<String>) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(paths.socket()).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut asked = Vec::new();
            for answer in answers {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                asked.push(line);
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            asked
        })
    }

    fn version(version: &str) -> String {
        let view = json!({
            "version": version, "os": "linux", "arch": "x", "pid": 7, "uptime_ms": 1,
            "protocol": 1, "home": "/", "degraded": [],
        });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "result": view }))
    }

    fn connect(answers: Vec<String>) -> (Result<Client, ClientError>, JoinHandle<Vec<String>>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let daemon = fake(&paths, answers);
        (Client::connect(&paths, Autostart::No), daemon)
    }

    #[test]
    fn answers_errors_and_notifications_are_told_apart() {
        let (client, daemon) = connect(vec![
            version(env!("CARGO_PKG_VERSION")),
            "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"a\":1}}\n".into(),
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32000,\"message\":\"no process `x`\",\"data\":{\"near\":[\"y\"]}}}\n".into(),
            "no json\n".into(),
            "half".into(),
        ]);
        let mut client = client.unwrap();
        assert_eq!(client.skew(), None);
        assert_eq!(client.daemon.as_ref().map(|view| view.pid), Some(7));
        assert_eq!(
            client.call::<Value>("a", json!({})).unwrap(),
            json!({ "a": 1 })
        );
        let error = client.call::<Value>("b", json!({})).unwrap_err();
        assert_eq!(error.exit(), Exit::NotFound);
        assert_eq!(error.code(), Some(-32000));
        assert_eq!(error.near(), ["y"]);
        assert_eq!(
            client.call::<Value>("c", json!({})).unwrap_err().exit(),
            Exit::Protocol
        );
        assert_eq!(
            client.call::<Value>("d", json!({})).unwrap_err().exit(),
            Exit::Protocol
        );
        let asked = daemon.join().unwrap();
        assert!(asked[1].contains("\"via\":\"cli\""));
    }

    #[test]
    fn versions_that_differ_are_told_or_refused() {
        let own = env!("CARGO_PKG_VERSION");
        let major = own.split('.').next().unwrap();
        let near = format!("{major}.999.0");
        let (client, daemon) = connect(vec![version(&near)]);
        assert_eq!(client.unwrap().skew().unwrap().daemon, near);
        daemon.join().unwrap();
        let (client, daemon) = connect(vec![version("99.0.0")]);
        let error = client.unwrap_err();
        assert_eq!(error.exit(), Exit::Protocol);
        assert!(error.help().unwrap().contains("mhost daemon stop"));
        daemon.join().unwrap();
    }

    /// The first call reaches a daemon that is dying, the second one its successor.
    #[test]
    fn a_daemon_that_hangs_up_before_it_greets_is_called_again() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let listener = UnixListener::bind(paths.socket()).unwrap();
        let daemon = std::thread::spawn(move || {
            drop(listener.accept().unwrap());
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            stream.read_line(&mut String::new()).unwrap();
            let own = version(env!("CARGO_PKG_VERSION"));
            stream.get_mut().write_all(own.as_bytes()).unwrap();
            listener
        });
        let client = Client::connect(&paths, Autostart::No).unwrap();
        assert_eq!(client.daemon.map(|view| view.pid), Some(7));
        // Nobody who always hangs up is called for ever.
        let listener = daemon.join().unwrap();
        let rude = std::thread::spawn(move || {
            for _ in 0..=GREETINGS {
                drop(listener.accept().unwrap());
            }
        });
        let error = Client::connect(&paths, Autostart::No).unwrap_err();
        assert!(error.is_hang_up(), "{error}");
        rude.join().unwrap();
    }

    #[test]
    fn nobody_there_and_no_answer_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let error = Client::connect(&paths, Autostart::No).unwrap_err();
        assert_eq!(error.exit(), Exit::NotRunning);

        let _listener = UnixListener::bind(paths.socket()).unwrap();
        let mut client = Client::connect_any(&paths).unwrap();
        client.set_timeout(Some(Duration::from_millis(20))).unwrap();
        let error = client.call::<Value>("process.list", json!({})).unwrap_err();
        assert!(matches!(error, ClientError::Timeout));
        assert_eq!(error.exit(), Exit::Protocol);
    }
}
