//! Which pairs of state and input the stories have met.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use crate::ids::InstanceId;
use crate::machine::Input;
use crate::state::{AfterStop, Hold, State};

/// So many different pairs are met by the stories of a plain `cargo test`, at least.
pub(super) const LEAST: usize = 98;

/// The same of those of a registry, in which no clocks are watched and nobody shouts.
pub(super) const LEAST_OF_REGISTRY: usize = 80;

thread_local! {
    static SEEN: RefCell<Coverage> = RefCell::default();
}

/// How often each pair was met.
#[derive(Debug, Clone, Default)]
pub(super) struct Coverage(BTreeMap<(&'static str, &'static str), u64>);

impl Coverage {
    /// What this thread has met since it was asked last.
    pub(super) fn take() -> Self {
        SEEN.with(RefCell::take)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (pair, times) in &other.0 {
            *self.0.entry(*pair).or_default() += times;
        }
    }

    pub(super) fn pairs(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} pairs of state and input:", self.0.len())?;
        for ((state, input), times) in &self.0 {
            writeln!(out, "  {state:<18} {input:<16} {times}")?;
        }
        Ok(())
    }
}

/// The machine of an instance is asked this.
pub(crate) fn note(instance: &InstanceId, state: &State, input: &Input) {
    let pair = (name_of(state), input_of(input));
    super::promises::aside(|| format!("    {instance}: {} ({})", pair.1, pair.0));
    SEEN.with_borrow_mut(|seen| *seen.0.entry(pair).or_default() += 1);
}

fn name_of(state: &State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::Spawning { .. } => "spawning",
        State::Starting { .. } => "starting",
        State::Online { .. } => "online",
        State::Stopping { exit: Some(_), .. } => "stopping, tree",
        State::Stopping { then, .. } => match then {
            AfterStop::Stay => "stopping",
            AfterStop::Start => "stopping to start",
            AfterStop::Fail => "stopping to fail",
            AfterStop::Hold { .. } => "stopping to hold",
        },
        State::Errored { hold } => match hold {
            Hold::Retrying { .. } => "retrying",
            Hold::Breaker => "breaker",
            Hold::Held { .. } => "held",
            Hold::NoAutorestart => "no autorestart",
            Hold::Unkillable { .. } => "unkillable",
        },
    }
}

fn input_of(input: &Input) -> &'static str {
    match input {
        Input::Start => "start",
        Input::Stop { force: true, .. } => "stop by force",
        Input::Stop { .. } => "stop",
        Input::Restart { force: true, .. } => "restart by force",
        Input::Restart { .. } => "restart",
        Input::Hold { .. } => "hold",
        Input::ClearError => "clear error",
        Input::Spawned(_) => "spawned",
        Input::SpawnFailed(_) => "spawn failed",
        Input::SpawnLost => "spawn lost",
        Input::Exited(_) => "exited",
        Input::TreeGone => "tree gone",
        Input::Ready => "ready",
        Input::SaidReady => "said ready",
        Input::Extended(_) => "extended",
        Input::SaidStopping => "said stopping",
        Input::ProbeFailed => "probe failed",
        Input::MemoryExceeded { .. } => "memory exceeded",
        Input::Woken => "woken",
    }
}
