//! What the machine needs to know of a definition.

use std::time::Duration;

use crate::ids::Generation;
use crate::launch::Scope;
use crate::spec::{Autorestart, ProcessConfig, ProcessSpec, Ready, Sign, Signal};

/// What must come before a run is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Awaited {
    /// This sign.
    pub sign: Option<Sign>,
    /// A pass of each probe.
    pub probes: bool,
}

impl Awaited {
    /// What this definition waits for.
    pub fn of(config: &ProcessConfig) -> Self {
        Self {
            sign: config.ready.as_ref().map(Ready::sign),
            probes: config.health.gates(),
        }
    }

    /// Is it up after a short life, whatever else comes?
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// What a run waits for, as in "it waits for …".
    pub fn name(self) -> &'static str {
        match (self.sign, self.probes) {
            (Some(Sign::Notify), true) => "READY=1 and its probes",
            (Some(Sign::Notify), false) => "READY=1",
            (Some(Sign::Line), true) => "the line of `ready` and its probes",
            (Some(Sign::Line), false) => "the line of `ready`",
            (None, _) => "its probes",
        }
    }
}

/// What the machine needs to know of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Crashes in a row that open the breaker; 0 is never.
    pub max_restarts: u32,
    /// A shorter run counts for the breaker.
    pub min_uptime: Duration,
    /// A longer run resets the backoff.
    pub stable_after: Duration,
    /// First delay.
    pub restart_delay: Duration,
    /// Longest delay.
    pub max_restart_delay: Duration,
    /// Between `stop_signal` and SIGKILL.
    pub grace_period: Duration,
    /// Asks it to stop.
    pub stop_signal: Signal,
    /// When to start again.
    pub autorestart: Autorestart,
    /// Probes must pass within this time, and the sign must have come.
    pub start_timeout: Duration,
    /// Are there probes that must pass before it is up?
    pub probed: bool,
    /// By which sign it tells that it is up, if by one.
    pub sign: Option<Sign>,
    /// End the whole tree, or the leader alone.
    pub kill_tree: bool,
    /// The newest run of the instance, whoever has it: in a reload two tasks start runs.
    pub newest: Generation,
    /// Seed of the ±10 % jitter; none leaves the delay exact.
    pub jitter: Option<u64>,
    /// It is too much, or about to go: it begins no run, and retries wait.
    pub unwanted: bool,
}

impl Rules {
    /// The rules of a definition, for the instance of this index.
    pub fn of(spec: &ProcessSpec, index: u16) -> Self {
        let config = &spec.config;
        let awaited = Awaited::of(config);
        Self {
            max_restarts: config.max_restarts,
            min_uptime: config.min_uptime,
            stable_after: config.stable_after,
            restart_delay: config.restart_delay,
            max_restart_delay: config.max_restart_delay,
            grace_period: config.grace_period,
            stop_signal: config.stop_signal,
            autorestart: config.autorestart,
            start_timeout: config.start_timeout,
            probed: awaited.probes,
            sign: awaited.sign,
            kill_tree: config.kill_tree,
            newest: 0,
            jitter: (spec.instances > 1).then(|| u64::from(index) + 1),
            unwanted: false,
        }
    }

    /// What must come before it is up, beside a short life.
    pub fn awaited(&self) -> Awaited {
        Awaited {
            sign: self.sign,
            probes: self.probed,
        }
    }

    /// Who of a run of this generation gets the stop signal.
    pub(crate) fn scope(&self, generation: Generation) -> Scope {
        if self.kill_tree {
            Scope::Tree(generation)
        } else {
            Scope::Leader
        }
    }
}
