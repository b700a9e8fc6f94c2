//! First signs that no event tells of: the cheap look, taken twice a second.
//!
//! It reads what is at hand anyway (counters, samples, the newest lines of whoever prints) and
//! asks no script. What it finds is a suspicion: told and looked into at once, while playbooks
//! and causes still wait for their proofs before anything is done.

use std::time::Duration;

use supervisor::{ProcessName, Status};

use crate::context::errors::errors;
use crate::facts::Facts;
use crate::pile::pile;

/// Output that is looked at.
const RECENT: Duration = Duration::from_secs(3);
/// Lines in it that name the same error.
const STORM: i64 = 2;
/// Bytes a second that make a flood, if it is so many times what is usual.
const FLOOD: u64 = 100_000;
const FLOOD_TIMES: u64 = 10;
/// The share of its memory limit at which one begins to worry, in percent.
const NEAR: u64 = 95;
/// After this a start that is not through and says why is worth a word.
const STARTING: Duration = Duration::from_secs(1);

/// How far back it is looked for what piles up.
const PILE: Duration = Duration::from_secs(90);

/// What looks suspicious about a process, in words; nothing most of the time. Blocking, and
/// cheap for a process that prints nothing.
pub fn suspect(facts: &dyn Facts, name: &ProcessName) -> Option<String> {
    let second = Duration::from_secs(1);
    let process = facts.process(name)?;
    if !process.wanted || process.held {
        return None;
    }
    if let Some(limit) = process.max_memory
        && let Some(most) = process
            .instances
            .iter()
            .filter_map(|one| one.rss_bytes)
            .max()
        && process.state == Status::Online
        && most * 100 >= limit * NEAR
    {
        let share = most * 100 / limit.max(1);
        return Some(format!("it uses {share} % of its memory limit"));
    }
    if let Some(pile) = pile(facts, name, PILE) {
        return Some(pile.words());
    }
    let bytes = facts.log_bytes(name, second);
    if bytes == 0 {
        return None;
    }
    if bytes >= FLOOD {
        let minute = facts.log_bytes(name, Duration::from_secs(60));
        let usual = minute.saturating_sub(bytes) / 59;
        return (bytes >= usual.saturating_mul(FLOOD_TIMES)).then(|| {
            format!(
                "it prints {} KB a second, far more than usual",
                bytes / 1000
            )
        });
    }
    let starting = process.state == Status::Starting
        && process.instances.iter().any(|one| {
            one.uptime_ms
                .is_some_and(|up| u128::from(up) >= STARTING.as_millis())
        });
    if process.state != Status::Online && !starting {
        return None;
    }
    errors(facts, name, RECENT)
        .into_iter()
        .find(|group| {
            let repeats = group.count >= STORM && group.last_s <= 1.0;
            repeats && (group.named || starting) && !group.handled
        })
        .map(|group| format!("it says again and again: {}", group.text))
}
