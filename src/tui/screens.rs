//! The screens, a file each. Each draws its part of the state into its area.

pub(crate) mod brain;
pub(crate) mod events;
pub(crate) mod logs;
pub(crate) mod processes;
