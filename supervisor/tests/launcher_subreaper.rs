//! The tests of `launcher.rs` once more, as in the daemon: orphans come to this process, so
//! the launcher takes its short way when it looks for what a run has left.

#[path = "launcher.rs"]
mod launcher;
