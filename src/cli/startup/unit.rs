//! The text of the systemd unit.

use std::path::{Path, PathBuf};

use super::user_units;
use crate::cli::error::CliError;

/// For whom the unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// One user, by the user's own systemd.
    User,
    /// The machine.
    System,
}

/// A unit before it is written.
#[derive(Debug)]
pub(super) struct Unit {
    /// For whom.
    pub(super) scope: Scope,
    /// Who mhost runs as.
    pub(super) user: String,
    /// The mhost binary.
    pub(super) binary: PathBuf,
    /// The state directory.
    pub(super) home: PathBuf,
    /// The search path for programs.
    pub(super) path: String,
}

impl Unit {
    /// The file's name.
    pub(super) fn name(&self) -> String {
        match self.scope {
            Scope::User => "mhost.service".to_owned(),
            Scope::System => format!("mhost-{}.service", self.user),
        }
    }

    /// Where it belongs.
    pub(super) fn path(&self) -> Result<PathBuf, CliError> {
        let folder = match self.scope {
            Scope::System => PathBuf::from("/etc/systemd/system"),
            Scope::User => user_units().ok_or_else(|| {
                CliError::config("no place for the unit: neither XDG_CONFIG_HOME nor HOME is set")
            })?,
        };
        Ok(folder.join(self.name()))
    }

    /// The whole file.
    ///
    /// `KillMode=process`: with the default, systemd would clear the whole control group and
    /// take the fleet with a daemon that only restarts. The daemon proper is a child of the
    /// main process, hence `NotifyAccess=all`.
    pub(super) fn text(&self) -> String {
        // `$` starts a variable in command lines, though not in `Environment=`.
        let binary = quoted(&shown(&self.binary)).replace('$', "$$");
        let home = quoted(&format!("MHOST_HOME={}", shown(&self.home)));
        let path = quoted(&format!("PATH={}", self.path));
        let (user, target) = match self.scope {
            Scope::User => (String::new(), "default.target"),
            Scope::System => (format!("User={}\n", self.user), "multi-user.target"),
        };
        format!(
            "# Written by `mhost startup`. Remove it with `mhost unstartup`.\n\
             [Unit]\n\
             Description=mhost process supervisor\n\
             After=network.target\n\
             \n\
             [Service]\n\
             Type=notify\n\
             NotifyAccess=all\n\
             {user}\
             Environment={home}\n\
             Environment={path}\n\
             ExecStart={binary} daemon run --resurrect\n\
             ExecStop={binary} daemon stop\n\
             Restart=on-failure\n\
             KillMode=process\n\
             WatchdogSec=30\n\
             TimeoutStopSec=90\n\
             LimitNOFILE=65536\n\
             \n\
             [Install]\n\
             WantedBy={target}\n"
        )
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A word as systemd reads it: `%` means something, quotes and backslashes end words.
fn quoted(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_keeps_the_fleet_when_the_daemon_restarts() {
        let unit = Unit {
            scope: Scope::System,
            user: "ana".into(),
            binary: "/opt/my tools/mhost".into(),
            home: "/srv/100%/m".into(),
            path: "/usr/bin:/bin".into(),
        };
        insta::assert_snapshot!(unit.text(), @r#"
        # Written by `mhost startup`. Remove it with `mhost unstartup`.
        [Unit]
        Description=mhost process supervisor
        After=network.target

        [Service]
        Type=notify
        NotifyAccess=all
        User=ana
        Environment="MHOST_HOME=/srv/100%%/m"
        Environment="PATH=/usr/bin:/bin"
        ExecStart="/opt/my tools/mhost" daemon run --resurrect
        ExecStop="/opt/my tools/mhost" daemon stop
        Restart=on-failure
        KillMode=process
        WatchdogSec=30
        TimeoutStopSec=90
        LimitNOFILE=65536

        [Install]
        WantedBy=multi-user.target
        "#);
        assert_eq!(unit.name(), "mhost-ana.service");
    }
}
