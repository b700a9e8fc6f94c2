//! What the exit code of `mhost` says: the one table.
//!
//! Scripts depend on these numbers, so they never change their meaning.

use std::process::ExitCode;

/// How a command ended. The order is that of the numbers: of several targets the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The whole request was done.
    Success = 0,
    /// Anything that has no number of its own, also a request that was done in part.
    Failure = 1,
    /// A config file, a flag or a value is wrong.
    Config = 2,
    /// No process, instance or group of that name.
    NotFound = 3,
    /// The daemon cannot be reached or started.
    NotRunning = 4,
    /// The daemon answered, but not as agreed: broken frame, time limit, other version.
    Protocol = 5,
    /// A reload failed; what it had not renewed yet was kept.
    Deployment = 6,
}

impl Exit {
    /// The exit code for the code of a JSON-RPC error.
    pub(crate) fn from_rpc(code: i32) -> Self {
        match code {
            -32000 => Exit::NotFound,
            -32002 => Exit::Config,
            -32005 => Exit::Deployment,
            -32700 | -32600 | -32601 | -32602 => Exit::Protocol,
            _ => Exit::Failure,
        }
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpc_errors_have_the_documented_exit_codes() {
        let table = [
            (-32000, 3),
            (-32001, 1),
            (-32002, 2),
            (-32003, 1),
            (-32005, 6),
            (-32006, 1),
            (-32601, 5),
            (-32603, 1),
            (-32700, 5),
        ];
        for (rpc, exit) in table {
            assert_eq!(Exit::from_rpc(rpc).code(), exit, "{rpc}");
        }
    }

    #[test]
    fn the_worst_of_several_counts() {
        assert_eq!(
            [Exit::Success, Exit::NotFound, Exit::Failure]
                .into_iter()
                .max(),
            Some(Exit::NotFound)
        );
    }
}
