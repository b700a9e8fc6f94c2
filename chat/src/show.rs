//! Answers as cards: what the gate replied, laid out for the width of a phone.

mod daemon;
mod done;
mod fleet;
mod help;
mod incident;
mod lines;
mod process;
mod question;
mod rows;
mod table;

pub use daemon::{environment, index, version};
pub use done::{failed, outcome};
pub use fleet::{PAGE, fleet};
pub(crate) use help::allows;
pub use help::{help, menu, whoami};
pub use incident::{answered, digest, digest_answered, digest_reminder, incident, reminder};
pub use lines::{history, logs};
pub use process::process;
pub use question::{
    QUESTIONS, all_answered, confirm, details, granted, grants, incidents, question, questions,
    revoked,
};
pub use rows::{cron, health, limits, links, metrics, playbooks, scores};

use supervisor::Status;

/// What stands where there is no value.
const NONE: &str = "–";

/// The sign of a state.
fn sign(state: Status) -> &'static str {
    match state {
        Status::Online => "🟢",
        Status::Starting | Status::Stopping => "🟡",
        Status::Errored => "🔴",
        Status::Stopped => "⚪",
    }
}

/// At most so many letters, with a sign where more were.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
