//! What can be said of the past and the next hour without a model: figures, and what follows
//! from them.
//!
//! Pure functions over what somebody else has read. Whoever wants words for the figures asks
//! a model; the figures do not change with it.

pub mod advice;
pub mod anomaly;
pub mod compare;
pub mod digest;
mod fit;
pub mod outlook;
pub mod sizing;
mod words;

pub use fit::Line;
pub use words::span;
