//! What a script may know: the object `c`.

mod recording;

pub use recording::Recording;
