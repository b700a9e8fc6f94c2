//! The tests of `launcher.rs` once more, with a control group for each run where this host
//! gives us one. They take away what they make.

#[path = "launcher.rs"]
mod launcher;
