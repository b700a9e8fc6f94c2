//! What lies on top of a screen, a file each.

pub(crate) mod approvals;
pub(crate) mod confirm;
pub(crate) mod help;
