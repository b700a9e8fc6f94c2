//! The conversation of one command with the daemon.
//!
//! The only file of the command line that knows the client. Commands ask by method and get a
//! typed answer; what a person is told when that fails, and what to type next, is decided
//! here. One command keeps one connection.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use supervisor::Role;
use supervisor::command::view::VersionView;

use super::context::Context;
use super::error::CliError;
use crate::client::{Autostart, Client, ClientError, Speaker};
use crate::exit::Exit;

/// How long an answer may take where a command does not wait for processes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a model may think before its next word. The daemon ends it earlier, by `timeout`
/// under `[ai]`; a daemon that dies hangs up.
const WRITING: Duration = Duration::from_secs(3600);
/// How often an agent's request looks for a daemon that is started again, two seconds in all.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

impl Context {
    /// Asks the daemon, starting it first if need be.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        let patience = self.global.timeout.unwrap_or(PATIENCE);
        self.request(Autostart::Yes, Some(patience), method, params)
    }

    /// As [`Context::call`] for what may take as long as processes need to stop.
    pub(crate) fn call_unlimited<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        self.request(Autostart::Yes, self.global.timeout, method, params)
    }

    /// As [`Context::call`] for methods that are told themselves how long to wait.
    pub(crate) fn call_waiting<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        self.request(Autostart::Yes, None, method, params)
    }

    /// As [`Context::call`] for an answer that somebody writes bit by bit: passes on its parts.
    /// As long as parts come the patience begins anew.
    pub(crate) fn call_heard<T: DeserializeOwned>(
        &self,
        method: &str,
        mut params: Value,
        hear: impl FnMut(Value),
    ) -> Result<T, CliError> {
        params["stream"] = Value::Bool(true);
        let patience = self.global.timeout.unwrap_or(WRITING);
        self.with_client(Autostart::Yes, Some(patience), |client| {
            client.call_heard(method, params, hear)
        })
    }

    /// Starts the daemon where there is none, and compares versions.
    pub(crate) fn reach(&self) -> Result<(), CliError> {
        let client = self.connect(Autostart::Yes)?;
        self.client.replace(Some(client));
        Ok(())
    }

    /// For an agent that may do no more than this. Starts the daemon where there is none.
    pub(crate) fn proxy(&self, role: Role) -> Result<Proxy, CliError> {
        self.reach()?;
        Ok(Proxy {
            paths: self.paths()?,
            role,
            patience: self.global.timeout.unwrap_or(PATIENCE),
        })
    }

    /// Asks the daemon, but never starts it.
    pub(crate) fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        let patience = self.global.timeout.unwrap_or(PATIENCE);
        self.request(Autostart::No, Some(patience), method, params)
    }

    /// Asks a daemon of whatever version, on a connection of its own; never starts one.
    pub(crate) fn ask_any<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        let asked = || -> Result<T, ClientError> {
            let mut client = Client::connect_any(&self.checked_paths()?)?;
            client.set_timeout(self.global.timeout)?;
            client.call(method, params)
        };
        asked().map_err(told)
    }

    /// Listens to a stream of `key` until the daemon ends it, and passes on each item. Never
    /// starts a daemon.
    pub(crate) fn stream<T: DeserializeOwned>(
        &self,
        method: &str,
        key: &str,
        params: Value,
        mut each: impl FnMut(T) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let client = Client::connect(&self.paths()?, Autostart::No).map_err(told)?;
        for message in client.stream(method, params).map_err(told)? {
            let mut message = message.map_err(told)?;
            if let Some(item) = message.params.get_mut(key) {
                each(understood(method, item.take())?)?;
            } else if message.params["error"].is_object() {
                let error = ClientError::from_rpc(method, &message.params["error"]);
                return Err(told(error));
            }
        }
        Ok(())
    }

    fn request<T: DeserializeOwned>(
        &self,
        autostart: Autostart,
        patience: Option<Duration>,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        self.with_client(autostart, patience, |client| client.call(method, params))
    }

    fn with_client<T>(
        &self,
        autostart: Autostart,
        patience: Option<Duration>,
        ask: impl FnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, CliError> {
        let mut kept = self.client.borrow_mut();
        let mut client = match kept.take() {
            Some(client) => client,
            None => self.connect(autostart)?,
        };
        client.set_timeout(patience).map_err(told)?;
        let answer = ask(&mut client);
        // After anything but an answer the connection is in no known state.
        if matches!(answer, Ok(_) | Err(ClientError::Rpc { .. })) {
            *kept = Some(client);
        }
        answer.map_err(told)
    }

    /// Says so where the daemon's own settings are not in force: what they forbid, or whom to
    /// ask, counts for nothing then.
    pub(crate) fn warn_of_settings(&self) {
        // Whoever cannot be asked is told of by what was really wanted.
        let daemon = self.ask::<VersionView>("daemon.version", Value::Object(Default::default()));
        let degraded = daemon.map(|one| one.degraded).unwrap_or_default();
        for problem in degraded.iter().filter(|one| one.starts_with("config.toml")) {
            self.output.warn(problem);
        }
    }

    fn connect(&self, autostart: Autostart) -> Result<Client, CliError> {
        let autostart = if self.only_looks() {
            Autostart::No
        } else {
            autostart
        };
        let client = Client::connect(&self.paths()?, autostart).map_err(told)?;
        if let Some(skew) = client.skew() {
            self.output.warn(&format!(
                "this mhost is {} and the running daemon is {}; \
                 renew it with mhost daemon stop && mhost daemon start",
                skew.own, skew.daemon
            ));
        }
        Ok(client)
    }

    fn checked_paths(&self) -> Result<supervisor::Paths, ClientError> {
        Ok(match &self.global.home {
            Some(home) => supervisor::Paths::new(home)?,
            None => supervisor::Paths::from_env()?,
        })
    }
}

/// Asks for somebody else's agent, from any thread; each request has a connection of its own,
/// so that one that takes long holds up no other.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    paths: supervisor::Paths,
    role: Role,
    patience: Duration,
}

impl Proxy {
    /// Asks, and waits for the answer.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CliError> {
        let asked = |mut client: Client| -> Result<T, ClientError> {
            client.speak_for(Speaker::agent(self.role));
            client.set_timeout(Some(self.patience))?;
            client.call(method, params)
        };
        // A daemon that was killed may be on its way back.
        let mut looks = 0;
        let client = loop {
            match Client::connect(&self.paths, Autostart::No) {
                Err(ClientError::NotRunning { .. }) if looks < LOOKS => {
                    looks += 1;
                    pause();
                }
                reached => break reached,
            }
        };
        client.and_then(asked).map_err(told)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a blocking thread that asks the daemon has no runtime to wait on"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn understood<T: DeserializeOwned>(method: &str, answer: Value) -> Result<T, CliError> {
    serde_json::from_value(answer).map_err(|error| {
        CliError::new(
            Exit::Protocol,
            format!("the answer to {method} was not understood: {error}"),
        )
        .with_help("start the daemon again: mhost daemon stop && mhost daemon start")
    })
}

/// What a person is told.
fn told(error: ClientError) -> CliError {
    let mut failure = CliError::new(error.exit(), error.to_string()).with_details(error.details());
    if let Some(code) = error.code() {
        failure = failure.with_code(code);
    }
    let near = error.near();
    let help = match error.exit() {
        Exit::NotFound if near.is_empty() => Some("see what there is: mhost list".to_owned()),
        Exit::NotFound => Some(format!("did you mean {}?", near.join(" or "))),
        _ => error.help(),
    };
    match help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}
