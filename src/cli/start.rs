//! Telling what a start came to.

pub(crate) mod report;
