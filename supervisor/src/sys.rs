//! All of the operating system: the only place that forks, signals and reads `/proc`.
//!
//! ```text
//!   instance actor ──Launcher──► OsLauncher ──► spawn, reap, tree, cgroup ──► kernel
//!   probes ───────run_script───────────────────► spawn, reap
//!   sampler ──────proc_scan, census, usage, tree, reap::collect_strays
//!                                              └─► sockets ──► socket_keep
//!   runs ──sd_notify──► notify_socket ──────────────────────────┤
//!   helper (a process of its own) ◄──socket── whoever has work that may go wrong
//!   guard (a process of its own) ◄──link── GuardLink in the daemon ◄──┘
//! ```
//!
//! Rules that hold everywhere below: a pid is signalled through a pidfd that was opened
//! first and proven afterwards; what was read from `/proc` alone proves nothing; a leader is
//! not collected before everybody is done with the number of its group.
//!
//! It decides nothing about restarts, and keeps no log.

mod accepted;
pub(crate) mod census;
mod cgroup;
mod child;
#[cfg(test)]
mod comes_true;
mod confine;
mod daemonize;
mod fifo;
mod folder_watch;
mod fork;
pub mod guard;
mod guard_link;
pub mod helper;
mod home_name;
mod image;
pub mod inspect;
mod kept;
mod kernel;
mod latest;
mod launcher;
mod limits;
mod lock;
mod memory;
mod notify_socket;
mod pass;
mod ports;
pub(crate) mod proc_scan;
mod process;
mod reap;
mod script;
mod socket_keep;
mod sockets;
mod spawn;
mod spool;
mod thread_time;
pub(crate) mod tree;
pub(crate) mod usage;
mod users;

pub use daemonize::daemonize_spawn;
pub use folder_watch::FolderWatch;
pub(crate) use guard_link::release_output;
pub use guard_link::{EXIT_FOR_UPGRADE, GUARD_FD, GuardLink, REAP_FD};
pub use home_name::{Held, HomeName, Part};
pub use launcher::OsLauncher;
pub use limits::raise_nofile;
pub use lock::{FileLock, Peer, peer};
pub use memory::{give_back, share_heaps, small_databases};
pub use ports::port_holder;
pub use process::{boot_id, kernel_release};
pub(crate) use reap::collect_strays;
pub use reap::set_subreaper;
pub use script::{Script, ScriptOutcome, run_script};
pub(crate) use spool::{
    give_back as give_back_spool, has_writer as spool_has_writer, open_to_read as open_spool,
};
pub use thread_time::thread_time;

/// Makes the FIFO of a stream (0600) if it is not there.
///
/// # Errors
/// What the system said.
pub fn make_fifo(path: &std::path::Path) -> std::io::Result<()> {
    fifo::make(path)
}
