//! The key `listen`: the addresses that mhost listens on for a process.
//!
//! ```text
//!   listen = ["tcp://127.0.0.1:3000", { address = "unix:///run/x.sock", name = "admin", mode = "0660" }]
//!               └─ descriptor 3          └─ descriptor 4
//! ```
//!
//! It says what an address is and which descriptor the program gets for it. It opens nothing:
//! that is `sys::sockets`.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most addresses of one process.
pub const MAX_LISTEN: usize = 32;

/// The descriptor of the first one, as systemd has it.
pub const FIRST_DESCRIPTOR: i32 = 3;

/// What a socket file may be done with when nothing else is said: its own user and group may
/// connect.
pub const DEFAULT_MODE: SocketMode = SocketMode(0o660);

/// The longest path of a socket file: the kernel's 108 bytes hold a NUL, too.
pub const MAX_SOCKET_PATH: usize = 107;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: ListenAddress,
    /// What the program calls it, in `LISTEN_FDNAMES`.
    pub name: Option<String>,
    /// Who may connect to a socket file.
    pub mode: Option<SocketMode>,
}

/// `tcp://<ip>:<port>` or `unix://<path>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddress {
    /// An address and a port; port 0 is one that the system chooses.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// The rights of a socket file, such as `0660`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(pub u32);

/// Why a text is not an address to listen on, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ListenError {
    /// What is wrong.
    pub message: String,
    /// What to type.
    pub help: String,
}

impl ListenAddress {
    /// Could not both be listened on at once?
    pub fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(two)) => one == two,
            (Self::Tcp(one), Self::Tcp(two)) => {
                let (any, other_any) = (one.ip().is_unspecified(), two.ip().is_unspecified());
                // `[::]` takes the IPv4 addresses, too.
                let same_kind = one.is_ipv4() == two.is_ipv4()
                    || (any && one.is_ipv6())
                    || (other_any && two.is_ipv6());
                one.port() != 0
                    && one.port() == two.port()
                    && (one.ip() == two.ip() || (same_kind && (any || other_any)))
            }
            (Self::Tcp(_), Self::Unix(_)) | (Self::Unix(_), Self::Tcp(_)) => false,
        }
    }

    /// With a relative path taken from `folder`.
    #[must_use]
    pub fn from_folder(self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            tcp @ Self::Tcp(_) => tcp,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let error = |message: String, help: &str| ListenError {
            message,
            help: help.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path {
                "" | "/" => Err(error(
                    format!("`{text}` names no file"),
                    "write the path of a socket file, such as `\"unix:///run/api.sock\"`",
                )),
                path if path.contains(['\n', '\0']) => Err(error(
                    "the path holds a line break".to_owned(),
                    "write a path in one line",
                )),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            let help = match text.split_once("://") {
                None if text.starts_with(['/', '.', '~']) => {
                    format!("write `\"unix://{text}\"`")
                }
                None if text.parse::<u16>().is_ok() => {
                    format!("write `\"tcp://127.0.0.1:{text}\"`")
                }
                None if text.contains(':') => format!("write `\"tcp://{text}\"`"),
                _ => "write `\"tcp://127.0.0.1:3000\"` or `\"unix:///run/api.sock\"`".to_owned(),
            };
            return Err(ListenError {
                message: format!("`{text}` is not an address to listen on"),
                help,
            });
        };
        let Some((host, port)) = address.rsplit_once(':').filter(|(host, _)| {
            // Else the colons are those of an IPv6 address.
            !host.contains(':') || (host.starts_with('[') && host.ends_with(']'))
        }) else {
            return Err(error(
                format!("`{text}` has no port"),
                "write address and port, such as `\"tcp://127.0.0.1:3000\"` or `\"tcp://[::1]:3000\"`; port 0 is one that the system chooses",
            ));
        };
        let port = port.parse::<u16>().map_err(|_| {
            error(
                format!("`{port}` is not a port"),
                "write a number from 0 to 65535; 0 is one that the system chooses",
            )
        })?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ip = match host {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.parse().map_err(|_| {
                error(
                    format!("`{host}` is not an IP address"),
                    "write `127.0.0.1` for this machine only; `0.0.0.0` is everybody, `[::]` also with IPv6",
                )
            })?,
        };
        Ok(Self::Tcp(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Listen {
    /// Its name, or what stands for one: the port, or the name of the file.
    pub fn name(&self) -> Cow<'_, str> {
        if let Some(name) = &self.name {
            return name.into();
        }
        match &self.address {
            ListenAddress::Tcp(address) => address.port().to_string().into(),
            ListenAddress::Unix(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy());
                let name = name.unwrap_or_default();
                // A colon would end it in `LISTEN_FDNAMES`.
                name.replace(|c| !is_in_name(c), "_").into()
            }
        }
    }

    /// The variable that stands for its descriptor: `FD_` and its name in capitals.
    pub fn variable(&self) -> String {
        let letter = |c: char| match c.to_ascii_uppercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        };
        format!("FD_{}", self.name().chars().map(letter).collect::<String>())
    }
}

/// May a socket be called so? Letters, digits, `.`, `_` and `-`.
pub fn is_socket_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(is_in_name)
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// The number that `${FD}` or `${FD_<NAME>}` stands for in a process that listens on these.
pub fn descriptor(listen: &[Listen], variable: &str) -> Option<i32> {
    let place = match variable {
        "FD" => (!listen.is_empty()).then_some(0),
        named => listen.iter().position(|one| one.variable() == named),
    };
    place.and_then(|place| Some(FIRST_DESCRIPTOR + i32::try_from(place).ok()?))
}

impl FromStr for SocketMode {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let digits = (3..=4).contains(&text.len());
        let number = u32::from_str_radix(text, 8).ok().filter(|_| digits);
        number
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| ListenError {
                message: format!("`{text}` are not the rights of a file"),
                help: "write three octal digits, such as `\"0660\"` for its user and group, or `\"0666\"` for everybody".to_owned(),
            })
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.name, self.mode) {
            (None, None) => serializer.collect_str(&self.address),
            (name, mode) => Table {
                address: self.address.to_string(),
                name: name.clone(),
                mode: mode.map(|mode| mode.to_string()),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as \"tcp://127.0.0.1:3000\", or a table with `address`, `name` and `mode`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
                Ok(Listen {
                    address: text.parse().map_err(E::custom)?,
                    name: None,
                    mode: None,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listen, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let mode = table.mode.map(|mode| mode.parse()).transpose();
                Ok(Listen {
                    address: table.address.parse().map_err(A::Error::custom)?,
                    name: table.name,
                    mode: mode.map_err(A::Error::custom)?,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Listen {
    fn schema_name() -> Cow<'static, str> {
        "Listen".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "string", "x-form": "listen" },
                {
                    "type": "object",
                    "properties": {
                        "address": {
                            "type": "string",
                            "x-form": "listen",
                            "description": "`tcp://<ip>:<port>` or `unix://<path>`."
                        },
                        "name": {
                            "type": "string",
                            "x-form": "socketname",
                            "description": "Its name in `LISTEN_FDNAMES`. Default: the port, or the name of the file."
                        },
                        "mode": {
                            "type": "string",
                            "x-form": "mode",
                            "description": "Rights of a socket file. Default `\"0660\"`."
                        }
                    },
                    "additionalProperties": false,
                    "required": ["address"]
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "tcp://127.0.0.1:3000",
            "tcp://[::1]:0",
            "unix:///run/a b.sock",
            "unix://relative.sock",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
        assert_eq!(
            address("tcp://localhost:80").to_string(),
            "tcp://127.0.0.1:80"
        );
        let wrong = |text: &str| {
            let error = text.parse::<ListenAddress>().expect_err(text);
            format!("{error}: {}", error.help)
        };
        assert!(wrong("http://127.0.0.1:80").contains("is not an address"));
        assert!(wrong("3000").contains("`\"tcp://127.0.0.1:3000\"`"));
        assert!(wrong("/run/x.sock").contains("`\"unix:///run/x.sock\"`"));
        assert!(wrong("tcp://127.0.0.1").contains("has no port"));
        assert!(wrong("tcp://::1").contains("has no port"));
        assert!(wrong("tcp://127.0.0.1:70000").contains("`70000` is not a port"));
        assert!(wrong("tcp://example.com:80").contains("is not an IP address"));
        assert!(wrong("unix://").contains("names no file"));
    }

    #[test]
    fn two_that_the_kernel_would_refuse_clash() {
        let clash = |one: &str, two: &str| {
            let (one, two) = (address(one), address(two));
            assert_eq!(one.clashes(&two), two.clashes(&one));
            one.clashes(&two)
        };
        assert!(clash("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"));
        assert!(clash("tcp://0.0.0.0:1", "tcp://127.0.0.1:1"));
        assert!(clash("tcp://[::]:1", "tcp://127.0.0.1:1"));
        assert!(clash("unix:///a", "unix:///a"));
        assert!(!clash("tcp://0.0.0.0:1", "tcp://[::1]:1"));
        assert!(!clash("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"));
        assert!(!clash("tcp://127.0.0.2:1", "tcp://127.0.0.1:1"));
        assert!(!clash("unix:///a", "unix:///b"));
    }

    #[test]
    fn descriptors_are_counted_from_three_and_found_by_name() {
        let listen: Vec<Listen> = serde_json::from_value(serde_json::json!([
            "tcp://127.0.0.1:3000",
            { "address": "unix:///run/my-app.sock", "mode": "0600" },
            { "address": "tcp://127.0.0.1:0", "name": "admin.http" },
        ]))
        .expect("reads");
        let number = |variable: &str| descriptor(&listen, variable);
        assert_eq!(number("FD"), Some(3));
        assert_eq!(number("FD_3000"), Some(3));
        assert_eq!(number("FD_MY_APP_SOCK"), Some(4));
        assert_eq!(number("FD_ADMIN_HTTP"), Some(5));
        assert_eq!(number("FD_OTHER"), None);
        assert_eq!(descriptor(&[], "FD"), None);
        let again = serde_json::to_value(&listen).expect("writes");
        assert_eq!(again[1]["mode"], "0600");
        assert_eq!(
            serde_json::from_value::<Vec<Listen>>(again).expect("reads"),
            listen
        );
    }

    #[test]
    fn rights_are_octal() {
        assert_eq!("0660".parse(), Ok(SocketMode(0o660)));
        assert_eq!("666".parse(), Ok(SocketMode(0o666)));
        for wrong in ["", "rw", "0888", "7777", "06600"] {
            assert!(wrong.parse::<SocketMode>().is_err(), "{wrong}");
        }
    }
}
