//! Probes that ask a port, on a connection of which the caller knows who has accepted it.
//!
//! Several runs may accept on one socket. Whoever has to know how one of them is opens the
//! connection, sees to it that this one has accepted it, and asks here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::Subject;
use super::check::{Check, checks};
use super::http::HttpCheck;
use crate::ids::InstanceId;
use crate::os_text::OsText;
use crate::spec::ProcessSpec;

/// A probe that asks a port of this machine in the clear.
#[derive(Debug)]
pub(crate) struct PortProbe {
    host: String,
    port: u16,
    question: Question,
    timeout: Duration,
}

#[derive(Debug)]
enum Question {
    Http(Box<HttpCheck>),
    /// Whether a connection is accepted.
    Tcp,
}

/// Those of an instance; `env` is the environment of its run.
pub(crate) fn port_probes(
    spec: &ProcessSpec,
    instance: &InstanceId,
    env: &BTreeMap<String, OsText>,
) -> Vec<PortProbe> {
    let subject = Subject {
        instance,
        process: None,
        env,
    };
    let probes = checks(spec, subject).into_iter();
    let of = probes.filter_map(|(check, rules)| {
        let ((host, port), question) = match check {
            Check::Http(check) => (check.place()?, Question::Http(Box::new(check))),
            Check::Tcp(check) => (check.place()?, Question::Tcp),
            Check::Script(_) => return None,
        };
        Some(PortProbe {
            host,
            port,
            question,
            timeout: rules.timeout,
        })
    });
    of.collect()
}

impl PortProbe {
    /// Does it ask the socket that is open here?
    pub(crate) fn asks(&self, bound: SocketAddr) -> bool {
        let host = self.host.parse::<IpAddr>().ok();
        let is_here = self.host.eq_ignore_ascii_case("localhost")
            || host.is_some_and(|ip| ip.is_loopback() || ip == bound.ip());
        is_here && self.port == bound.port()
    }

    /// One attempt on a connection that is accepted.
    ///
    /// # Errors
    /// Why it did not pass.
    pub(crate) async fn ask(&self, stream: TcpStream) -> Result<(), String> {
        let Question::Http(check) = &self.question else {
            return Ok(());
        };
        match tokio::time::timeout(self.timeout, check.run_on(stream)).await {
            Ok(outcome) => outcome.error.map_or(Ok(()), Err),
            Err(_) => Err("timeout".to_owned()),
        }
    }
}
