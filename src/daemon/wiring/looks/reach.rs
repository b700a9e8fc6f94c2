//! Addresses of a process: do they answer, who should, and with which certificate.

use std::sync::mpsc;
use std::time::Duration;

use brain::{CertificateLook, ReachLook};
use supervisor::{ProcessName, ProcessSpec, until};

use super::port_owner;
use crate::daemon::wiring::certificate;
use crate::daemon::wiring::facts::LiveFacts;

/// How long all addresses together may take.
const REACH: Duration = Duration::from_millis(500);

pub(in crate::daemon::wiring) fn reach(
    facts: &LiveFacts,
    addresses: &[(String, u16)],
) -> Vec<ReachLook> {
    let begun = facts.clock.now();
    let (sender, answers) = mpsc::channel();
    for (place, (host, port)) in addresses.iter().enumerate().take(8) {
        let (sender, host, port) = (sender.clone(), host.clone(), *port);
        // A resolver may take long and cannot be stopped: its thread ends when it answers.
        let _ = std::thread::Builder::new()
            .name("reach".into())
            .spawn(move || sender.send((place, attempt(&host, port))));
    }
    drop(sender);
    let mut looks: Vec<ReachLook> = addresses
        .iter()
        .map(|(host, port)| ReachLook {
            host: host.clone(),
            port: *port,
            answer: "timeout".to_owned(),
            took_ms: REACH.as_millis() as u64,
            process: owner(facts, host, *port),
        })
        .collect();
    loop {
        let left = REACH.saturating_sub(until(begun, facts.clock.now()));
        let Ok((place, answer)) = answers.recv_timeout(left) else {
            break;
        };
        if let Some(look) = looks.get_mut(place) {
            look.answer = answer;
            look.took_ms = until(begun, facts.clock.now()).as_millis() as u64;
        }
    }
    looks
}

pub(in crate::daemon::wiring) fn certificates(
    facts: &LiveFacts,
    name: &ProcessName,
    addresses: &[(String, u16)],
    files: &[String],
) -> Vec<CertificateLook> {
    const EACH: Duration = Duration::from_millis(200);
    const SERVERS: usize = 2;
    let cwd = facts.registry.glance(name).map(|glance| glance.spec.cwd);
    let of_files = files
        .iter()
        .filter_map(|file| certificate::of_file(file, &cwd.as_ref()?.join(file)));
    addresses
        .iter()
        .take(SERVERS)
        .filter_map(|(host, port)| certificate::of_server(host, *port, EACH))
        .chain(of_files)
        .collect()
}

fn attempt(host: &str, port: u16) -> String {
    use std::io::ErrorKind;
    use std::net::{TcpStream, ToSocketAddrs};
    let Some(address) = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next())
    else {
        return "unresolved".to_owned();
    };
    if port == 0 {
        return "resolved".to_owned();
    }
    match TcpStream::connect_timeout(&address, REACH) {
        Ok(_) => "open",
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => "refused",
        Err(error) if error.kind() == ErrorKind::TimedOut => "timeout",
        Err(_) => "unreachable",
    }
    .to_owned()
}

/// The process that should listen at an address here: by its definition, else by its socket.
fn owner(facts: &LiveFacts, host: &str, port: u16) -> Option<String> {
    let here = matches!(host, "localhost" | "0.0.0.0" | "::" | "::1") || host.starts_with("127.");
    if !here || port == 0 {
        return None;
    }
    let defined = facts.registry.names().into_iter().find(|name| {
        facts
            .registry
            .glance(name)
            .is_some_and(|glance| ports(&glance.spec).contains(&port))
    });
    match defined {
        Some(name) => Some(name.to_string()),
        None => port_owner(facts, port)?.ours,
    }
}

/// Ports that a definition gives to its process: in its probes, or as the usual variable.
pub(super) fn ports(spec: &ProcessSpec) -> Vec<u16> {
    let config = serde_json::to_value(&spec.config).unwrap_or_default();
    let mut all = brain::ports_of(&config);
    for key in ["PORT", "LISTEN_PORT", "HTTP_PORT", "SERVER_PORT"] {
        let value: Option<u16> = config["env"][key]
            .as_str()
            .and_then(|port| port.parse().ok());
        all.extend(value);
    }
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tried() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(attempt("127.0.0.1", port), "open");
        drop(listener);
        assert_ne!(attempt("127.0.0.1", 1), "open");
    }
}
