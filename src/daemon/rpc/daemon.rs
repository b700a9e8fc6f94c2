//! `daemon.*`: parameters to commands.

use supervisor::Command;

use super::message::RpcError;
use super::params::Params;

/// The methods of this file.
pub(super) const METHODS: [&str; 4] = [
    "daemon.version",
    "daemon.ping",
    "daemon.stop",
    "daemon.reload_config",
];

/// The command that a method means. `None` when it is not one of this file's.
pub(super) fn command(params: Params<'_>) -> Option<Result<Command, RpcError>> {
    let command = match params.method {
        "daemon.version" | "daemon.ping" => Command::Version,
        "daemon.stop" => Command::Shutdown,
        "daemon.reload_config" => Command::ReloadConfig,
        _ => return None,
    };
    Some(params.none().map(|()| command))
}
