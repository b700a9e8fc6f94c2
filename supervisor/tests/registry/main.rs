//! The registry with real processes, a real store and real logs.

mod reload;
mod reload_batches;
mod reload_crash;
mod reload_sign;
mod reload_signal;
mod removal;
mod restarts;
mod rig;
mod start;
mod takeover;
