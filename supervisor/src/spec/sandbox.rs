//! What is taken from a process before its program begins: rights, and the common `/tmp`.
//!
//! It holds the words and their meaning; `sys::confine` does it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::config::ProcessConfig;

/// What a process is started without. The default takes nothing away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sandbox {
    /// Neither it nor what it starts gains rights by executing a file.
    pub no_new_privs: bool,
    /// All that is left of root's rights; `None` leaves what there is.
    pub capabilities: Option<Capabilities>,
    /// It has an empty `/tmp` and `/var/tmp` of its own.
    pub private_tmp: bool,
}

impl ProcessConfig {
    /// What its runs are started without.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox {
            no_new_privs: self.no_new_privs,
            capabilities: self.capabilities,
            private_tmp: self.private_tmp,
        }
    }
}

/// The names of capabilities(7), each at the place of its number.
pub(crate) const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// One of the rights that root is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability(u8);

/// A name that is none of capabilities(7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a capability; write a name of capabilities(7), such as `CAP_NET_BIND_SERVICE`"
)]
pub struct CapabilityError(String);

/// `net_admin`, `Net_Admin` and `cap_net_admin` are `CAP_NET_ADMIN`.
pub(crate) fn full_name(text: &str) -> String {
    let upper = text.trim().to_ascii_uppercase();
    match upper.starts_with("CAP_") {
        true => upper,
        false => format!("CAP_{upper}"),
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let name = full_name(text);
        (0..)
            .zip(CAPABILITIES)
            .find(|(_, known)| *known == name)
            .map(|(number, _)| Self(number))
            .ok_or_else(|| CapabilityError(text.to_owned()))
    }
}

/// A set of capabilities, with a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

impl Capabilities {
    /// As the kernel counts them.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Those of this set, in the order of their numbers.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..)
            .zip(CAPABILITIES)
            .filter(move |(number, _): &(u32, _)| self.0 & (1 << number) != 0)
            .map(|(_, name)| name)
    }

    /// Those that are not in `others`.
    #[must_use]
    pub fn without(self, others: u64) -> Self {
        Self(self.0 & !others)
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        let add = |set, capability: Capability| set | 1 << capability.0;
        Self(all.into_iter().fold(0, add))
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            let between = if place == 0 { "" } else { ", " };
            write!(f, "{between}{name}")?;
        }
        Ok(())
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<Cow<'de, str>>::deserialize(deserializer)?;
        let read = names.iter().map(|name| name.parse::<Capability>());
        read.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

impl JsonSchema for Capabilities {
    fn schema_name() -> Cow<'static, str> {
        "Capabilities".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string", "x-form": "capability" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them_and_shown_as_the_manual_does() {
        let read = |text: &str| serde_json::from_str::<Capabilities>(text);
        let set = read(r#"["net_bind_service", "Cap_Chown", " KILL "]"#).expect("is read");
        assert_eq!(set.bits(), 1 << 10 | 1 | 1 << 5);
        let shown = serde_json::to_string(&set).expect("is shown");
        assert_eq!(shown, r#"["CAP_CHOWN","CAP_KILL","CAP_NET_BIND_SERVICE"]"#);
        assert_eq!(read(&shown).expect("is read"), set);
        assert_eq!(read("[]").expect("is read"), Capabilities::default());
        assert_eq!(set.without(1).to_string(), "CAP_KILL, CAP_NET_BIND_SERVICE");
        let error = read(r#"["net_bnid"]"#).expect_err("there is none");
        assert!(error.to_string().contains("`net_bnid` is not a capability"));
    }

    /// The last of Linux 5.9 and later.
    #[test]
    fn every_name_stands_at_its_number() {
        let all: Capabilities = CAPABILITIES
            .iter()
            .map(|name| name.parse::<Capability>().expect("is one"))
            .collect();
        assert_eq!(all.bits(), (1 << 41) - 1);
        assert_eq!("checkpoint_restore".parse(), Ok(Capability(40)));
        assert_eq!("sys_admin".parse(), Ok(Capability(21)));
        assert_eq!("syslog".parse(), Ok(Capability(34)));
    }
}
