//! The knowledge base: a file for each cause, and here the list of them.
//!
//! Of two causes that are equally likely the one that stands first wins, so the particular
//! ones stand before the general ones. To add one: a file with a `CAUSE` whose examples prove
//! it, a `mod` line, and its place in the list.

mod prelude;

mod backlog;
mod bad_config;
mod bad_revision;
mod bad_usage;
mod child_leak;
mod clock;
mod code_bug;
mod config_drift;
mod corrupt_cache;
mod cpu_spin;
mod dependency_down;
mod dependency_slow;
mod disk_full;
mod dns;
mod exception_storm;
mod exits_at_once;
mod fd_leak;
mod flapping_probe;
mod hang;
mod killed;
mod log_flood;
mod memory;
mod missing_env;
mod missing_file;
mod missing_module;
mod native_crash;
mod noisy_neighbour;
mod permission;
mod poison_input;
mod pool_exhausted;
mod port_in_use;
mod slow_start;
mod stale_lock;
mod tls_expired;
mod zombies;

use super::Cause;

/// Every cause that is known.
pub(super) static CAUSES: &[&Cause] = &[
    &stale_lock::CAUSE,
    &config_drift::CAUSE,
    &bad_revision::CAUSE,
    &port_in_use::CAUSE,
    &missing_module::CAUSE,
    &missing_env::CAUSE,
    &corrupt_cache::CAUSE,
    &bad_config::CAUSE,
    &bad_usage::CAUSE,
    &permission::CAUSE,
    &tls_expired::CAUSE,
    &dns::CAUSE,
    &noisy_neighbour::CAUSE,
    &dependency_slow::CAUSE,
    &dependency_down::CAUSE,
    &disk_full::CAUSE,
    &fd_leak::CAUSE,
    &zombies::CAUSE,
    &child_leak::CAUSE,
    &pool_exhausted::CAUSE,
    &memory::CAUSE,
    &poison_input::CAUSE,
    &native_crash::CAUSE,
    &missing_file::CAUSE,
    &clock::CAUSE,
    &backlog::CAUSE,
    &log_flood::CAUSE,
    &exception_storm::CAUSE,
    &code_bug::CAUSE,
    &killed::CAUSE,
    &slow_start::CAUSE,
    &cpu_spin::CAUSE,
    &hang::CAUSE,
    &flapping_probe::CAUSE,
    &exits_at_once::CAUSE,
];
