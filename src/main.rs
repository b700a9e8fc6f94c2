//! mhost: a process supervisor whose on-call engineer is built in.

#![forbid(unsafe_code)]

fn main() {}
