//! Whether a new copy itself answers, where old ones accept on the same socket.
//!
//! With `listen` the kernel gives a connection to whoever accepts it first, so a probe that asks
//! there passes also for a new copy that never accepts anything. Here such a probe is asked on
//! one connection after another, until the new run has accepted one and passes on that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Renewal;
use crate::instance::InstanceHandle;
use crate::launch::{Acceptance, Connection};
use crate::probe::{PortProbe, io_text, port_probes};
use crate::registry::RegistryHandle;
use crate::spec::ListenAddress;
use crate::state::Run;
use crate::units::format_duration;

/// Connections that are opened at a time. Any copy may accept any of them, and to see who did
/// takes as long for many as for one.
const AT_ONCE: usize = 8;

/// How often it is looked who has accepted them while some wait to be accepted; the pause before
/// a look doubles from [`LOOK`] on.
const LOOKS: u32 = 7;
const LOOK: Duration = Duration::from_millis(5);

/// Between two tries. Which copy is quicker is a matter of luck, so there must be many of them.
const PAUSE: Duration = Duration::from_millis(10);

/// What came of some connections.
enum Tried {
    Passed,
    /// The new copy has accepted none of them.
    ByOthers,
    Failed(String),
}

impl RegistryHandle {
    /// Waits until a new run itself has passed the probes that ask a socket of `listen`.
    pub(super) async fn answer_itself(
        &self,
        handle: &InstanceHandle,
        renewal: &Renewal<'_>,
        until: Instant,
    ) -> Result<(), String> {
        let snapshot = handle.snapshot();
        let Some(run) = snapshot.saved.state.run() else {
            // Whoever waits for it sees its end.
            return Ok(());
        };
        let context = self.context();
        let (spec, id) = (&renewal.spec, handle.id());
        let env = spec.environment(id, run.generation, &context.paths);
        let open = context.launcher.listening(renewal.name);
        let bound: Vec<SocketAddr> = open
            .iter()
            .filter_map(|one| match one.bound {
                ListenAddress::Tcp(address) => Some(address),
                ListenAddress::Unix(_) => None,
            })
            .collect();
        for probe in port_probes(spec, id, &env) {
            let Some(address) = bound.iter().copied().find(|address| probe.asks(*address)) else {
                continue;
            };
            let mut said = "it accepted no connection".to_owned();
            let passed = async {
                loop {
                    match self.try_connections(handle, run, &probe, address).await {
                        Tried::Passed => return,
                        Tried::ByOthers => {}
                        Tried::Failed(error) => said = error,
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            };
            if tokio::time::timeout_at(until, passed).await.is_err() {
                let limit = format_duration(renewal.timeout);
                return Err(format!(
                    "it did not answer by itself on tcp://{address} within {limit}: {said}"
                ));
            }
        }
        Ok(())
    }

    /// Opens connections, and asks on one that the run has accepted.
    async fn try_connections(
        &self,
        handle: &InstanceHandle,
        run: &Run,
        probe: &PortProbe,
        address: SocketAddr,
    ) -> Tried {
        let opens = (0..AT_ONCE).map(|_| opened(address));
        let (mut streams, connections): (Vec<_>, Vec<_>) = match try_join_all(opens).await {
            Ok(opened) => opened.into_iter().unzip(),
            Err(error) => return Tried::Failed(io_text(&error)),
        };
        let launcher = Arc::clone(&self.context().launcher);
        for look in 0..LOOKS {
            tokio::time::sleep(LOOK * 2_u32.pow(look)).await;
            let accepted = launcher
                .accepted(handle.id(), run, connections.clone())
                .await;
            let place = match accepted {
                Acceptance::Open => continue,
                Acceptance::Others => break,
                Acceptance::Of(place) => place,
                // The probe has passed for somebody, and more cannot be known.
                Acceptance::Unseen => return Tried::Passed,
            };
            return match probe.ask(streams.swap_remove(place)).await {
                Ok(()) => Tried::Passed,
                Err(error) => Tried::Failed(error),
            };
        }
        Tried::ByOthers
    }
}

async fn opened(address: SocketAddr) -> std::io::Result<(TcpStream, Connection)> {
    let stream = TcpStream::connect(reachable(address)).await?;
    let connection = Connection {
        ours: stream.local_addr()?,
        theirs: stream.peer_addr()?,
    };
    Ok((stream, connection))
}

/// Where a socket can be reached that is bound here.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}
