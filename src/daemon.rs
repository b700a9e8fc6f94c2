//! The daemon: everything that runs when nobody is looking.

pub(crate) mod audit_port;
pub(crate) mod dispatch;
pub(crate) mod gate;
pub(crate) mod port;
pub(crate) mod rpc;
