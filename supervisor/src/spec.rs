//! What the user wants to run: validated and immutable.
//!
//! [`ProcessConfig`] is the table as written; [`ProcessSpec`] adds what the loader decided
//! once and for all (absolute folder, argument vector, environment layers), so that nobody
//! looks at the caller's surroundings again. A changed definition is a new spec.

mod config;
mod forms;
mod health;
mod listen;
mod ready;
mod reload;
mod sandbox;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use config::{
    AutonomyLimit, Autorestart, EnvFile, EnvPriority, EnvValue, Instances, Limits, Notify, Output,
    ProcessConfig, Signal, Watch, defaults,
};
pub use forms::{MAX_INSTANCES, SignalError};
pub use health::{
    CodePattern, ExpectedCode, Health, HttpProbe, OnFail, PortText, ProbeKind, ProbeRole, ProbeSet,
    Probes, ScriptProbe, TcpProbe,
};
pub use listen::{
    DEFAULT_MODE, FIRST_DESCRIPTOR, Listen, ListenAddress, ListenError, MAX_LISTEN,
    MAX_SOCKET_PATH, SocketMode, descriptor, is_socket_name,
};
pub use ready::{Ready, Sign, line_pattern};
pub use reload::{Reload, ReloadMode};
pub(crate) use sandbox::{CAPABILITIES, full_name as full_capability_name};
pub use sandbox::{Capabilities, Capability, CapabilityError, Sandbox};

use crate::ids::{Generation, InstanceId, ProcessName};
use crate::os_text::OsText;
use crate::paths::Paths;
use crate::secret::{EnvVars, Secret, own_value, passwords_of, secrets_of_headers};

/// A process as the user wants it, complete and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Its name.
    pub name: ProcessName,
    /// The table, expanded.
    pub config: ProcessConfig,
    /// How many copies, with `"max"` resolved.
    pub instances: u16,
    /// The config file it came from.
    pub project: Option<Project>,
    /// Absolute working folder.
    pub cwd: PathBuf,
    /// Program and arguments.
    pub argv: Argv,
    /// The layers its environment is made of.
    pub env: EnvLayers,
}

/// The config file a process came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Canonical path of the file.
    pub file: PathBuf,
    /// Groups of the file this process belongs to.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A program and its arguments, ready for `execve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argv {
    /// A path, or a name to look up on the process's own PATH.
    #[serde(serialize_with = "crate::secret::shown")]
    pub program: String,
    /// The rest.
    #[serde(serialize_with = "crate::secret::all_shown")]
    pub args: Vec<String>,
    /// The interpreter that was put in front, if one was.
    pub interpreter: Option<String>,
}

/// Environment variables by where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnvLayers {
    /// From env files, later files already applied over earlier ones.
    #[serde(default)]
    pub files: EnvVars<String>,
    /// From the environment that ran `mhost start`, without `MHOST_*`.
    #[serde(default)]
    pub os: EnvVars<OsText>,
    /// From `--env` flags: these win over everything.
    #[serde(default)]
    pub flags: EnvVars<String>,
}

/// A group of processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// Members in start order.
    pub members: Vec<ProcessName>,
    /// Groups or processes that come first.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// The file it came from.
    pub project: Option<PathBuf>,
}

impl ProcessSpec {
    /// The environment of one run, complete: lowest first are env files, then `[env]` and the
    /// caller's environment in the order `env_priority` says, then `--env` flags, then
    /// `increment_var`, then `MHOST_*`.
    pub fn environment(
        &self,
        instance: &InstanceId,
        generation: Generation,
        paths: &Paths,
    ) -> EnvVars<OsText> {
        let mut merged = self.variables();
        if let Some(key) = &self.config.increment_var
            && let Some(base) = merged
                .get(key)
                .and_then(|value| value.to_str()?.parse::<u64>().ok())
        {
            merged.insert(
                key.clone(),
                OsText::from((base + u64::from(instance.index)).to_string().as_str()),
            );
        }
        let own = [
            ("MHOST_NAME", self.name.to_string()),
            ("MHOST_INSTANCE", instance.index.to_string()),
            ("MHOST_INSTANCES", self.instances.to_string()),
            ("MHOST_GENERATION", generation.to_string()),
        ];
        merged.extend(own.map(|(key, value)| (key.to_owned(), OsText::from(value.as_str()))));
        merged.insert("MHOST_HOME".into(), OsText::from(paths.home().as_os_str()));
        merged
    }

    /// What it holds that must not be printed: values of variables and of headers of probes,
    /// passwords in addresses.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets = self.variables().secrets();
        let words = std::iter::once(&self.argv.program).chain(&self.argv.args);
        secrets.extend(words.flat_map(|word| passwords_of(word)));
        for ProbeSet { http, script, .. } in self.config.health.sets() {
            if let Some(http) = http {
                secrets.extend(secrets_of_headers(&http.headers));
                secrets.extend(passwords_of(&http.url));
            }
            if let Some(script) = script {
                secrets.extend(passwords_of(&script.command));
            }
        }
        secrets
    }

    /// What leaves for a model, a chat or another agent without: its secrets, and the values
    /// that its definition gives to variables with plain names and that are somebody's own.
    /// Those are shown to whoever may look at the definition.
    pub fn known_values(&self) -> Vec<Secret> {
        let mut known = self.secrets();
        known.extend(self.own_values());
        known
    }

    fn own_values(&self) -> Vec<Secret> {
        let table = self.config.env.iter();
        let table = table.map(|(name, value)| (name, &value.0));
        let all = table
            .chain(self.env.files.iter())
            .chain(self.env.flags.iter());
        // Its own name stands everywhere.
        all.filter(|(_, value)| value.as_str() != self.name.as_str())
            .filter_map(|(name, value)| own_value(name, value))
            .collect()
    }

    /// What its layers come to, the same for all instances.
    fn variables(&self) -> EnvVars<OsText> {
        let mut merged: EnvVars<OsText> = EnvVars::new();
        let text = |map: &BTreeMap<String, String>| -> Vec<(String, OsText)> {
            map.iter()
                .map(|(key, value)| (key.clone(), OsText::from(value.as_str())))
                .collect()
        };
        let table: Vec<_> = self
            .config
            .env
            .iter()
            .map(|(key, value)| (key.clone(), OsText::from(value.0.as_str())))
            .collect();
        let os: Vec<_> = self
            .env
            .os
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        merged.extend(text(&self.env.files));
        match self.config.env_priority {
            EnvPriority::Os => {
                merged.extend(table);
                merged.extend(os);
            }
            EnvPriority::Config => {
                merged.extend(os);
                merged.extend(table);
            }
        }
        merged.extend(text(&self.env.flags));
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_plain_names_are_known_but_for_its_own_name() {
        let table = r#"
            [env]
            MY_SETTING = "Zq10-orange-umbrella-77"
            APP = "orders-worker-2-central"
            API_TOKEN = "hunter22"
            PORT = "8080"
        "#;
        let mut spec = crate::testing::spec_in(std::path::Path::new("/"), table);
        let of = |spec: &ProcessSpec| {
            let known = spec.known_values().into_iter();
            known.map(|one| one.expose().to_owned()).collect::<Vec<_>>()
        };
        spec.name = "orders-worker-2-central".parse().unwrap();
        assert_eq!(of(&spec), ["hunter22", "Zq10-orange-umbrella-77"]);
        spec.name = "other".parse().unwrap();
        assert!(of(&spec).contains(&"orders-worker-2-central".to_owned()));
    }

    #[test]
    fn secrets_of_probes_are_known() {
        let table = r#"
            [health.http]
            url = "http://ana:hunter22-url@localhost/"
            headers = { Authorization = "Bearer hunter22-head", Accept = "text/plain" }
            [health.liveness.script]
            command = "psql postgres://ana:hunter22-psql@db/x -c 'select 1'"
        "#;
        let spec = crate::testing::spec_in(std::path::Path::new("/"), table);
        let mut secrets = spec.secrets();
        secrets.sort_by(|a, b| a.expose().cmp(b.expose()));
        let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(
            secrets,
            [
                "Bearer hunter22-head",
                "hunter22-head",
                "hunter22-psql",
                "hunter22-url"
            ]
        );
    }
}
