//! The registry with real processes, a real store and real logs.

mod reload;
mod removal;
mod restarts;
mod rig;
mod start;
mod takeover;
