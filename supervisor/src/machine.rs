//! The instance machine: what an instance does next, as one pure function.
//!
//! ```text
//!  stopped ─Start─► spawning ─Spawned─► starting ─Ready, said, lived─► online ─Stop─► stopping ─gone─► stopped
//!                      │                   └─Exited, timeout─┐  │Exited≠0, probe   │    └─will not die─► errored
//!                      └─SpawnFailed─────────────────────────▼  ▼                  ▼
//!                                           errored(retry | breaker | held) ─timer, Start─► spawning
//! ```
//!
//! [`step`] does no input or output and reads no clock: the same arguments give the same
//! answer. Effects are data that the actor performs in order. Timers are not effects: the
//! state says by itself when it wants to be woken ([`wake`]), so a timer survives the
//! daemon. Every pair of state and input is named: moved, ignored, or [`IllegalInput`].
//! That table is one function, and this file one piece although it is long; the moves it
//! chooses between are in `moves`.

mod moves;
mod rules;
mod wake;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::after;
use crate::event::EventKind;
use crate::ids::Generation;
use crate::launch::{Scope, SpawnError};
use crate::spec::Signal;
use crate::state::{AfterStop, ExitStatus, Hold, ProcessRef, Reason, Run, Saved, State};

pub use rules::{Awaited, Rules};
pub use wake::{Wake, wake};

/// How long a process may outlive SIGKILL before it is called unkillable.
pub const KILL_WAIT: Duration = Duration::from_secs(5);

/// A run without probes counts as online after this, or after `min_uptime` if that is less.
pub const ONLINE_AFTER: Duration = Duration::from_secs(1);

/// A program that asks for more time to come up gets at most so many times its `start_timeout`.
pub const MOST_EXTENDED: u32 = 10;

/// Something that happened to an instance, or is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Run, if it does not.
    Start,
    /// Stop.
    Stop {
        /// Why.
        reason: Reason,
        /// SIGKILL at once.
        force: bool,
        /// Instead of `stop_signal`.
        signal: Option<Signal>,
    },
    /// Stop if it runs, then run.
    Restart {
        /// Why.
        reason: Reason,
        /// SIGKILL at once.
        force: bool,
        /// The file whose change is the reason.
        path: Option<Box<str>>,
    },
    /// Stop if it runs, and stay down until somebody asks.
    Hold {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Leave the error, reset the counters.
    ClearError,
    /// The ordered spawn succeeded.
    Spawned(ProcessRef),
    /// The ordered spawn failed.
    SpawnFailed(SpawnError),
    /// An ordered spawn left no process: the daemon died before the fork.
    SpawnLost,
    /// The leader is gone.
    Exited(ExitStatus),
    /// Nothing of the tree is left.
    TreeGone,
    /// All probes pass.
    Ready,
    /// The sign of `ready` has come.
    SaidReady,
    /// It needs so much time from now to come up.
    Extended(Duration),
    /// It says that it ends by itself.
    SaidStopping,
    /// A probe failed as often as it may, and asks for a restart.
    ProbeFailed,
    /// The tree's memory is over its limit.
    MemoryExceeded {
        /// Resident bytes.
        rss: u64,
        /// The limit.
        limit: u64,
    },
    /// The time of [`wake`] has come.
    Woken,
}

/// Something to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a run of this generation.
    Spawn {
        /// Which.
        generation: Generation,
    },
    /// Send a signal.
    Signal {
        /// To which run.
        run: Run,
        /// Which.
        signal: Signal,
        /// To whom.
        scope: Scope,
    },
    /// Tell with [`Input::TreeGone`] when nothing of the run's tree is left.
    AwaitTree {
        /// Which run.
        run: Run,
    },
    /// The leader is gone on its own: end what it left behind, before anything is spawned.
    EndLeftovers {
        /// Which run.
        run: Run,
    },
    /// Record and publish.
    Event {
        /// What.
        kind: EventKind,
        /// Details.
        data: Value,
    },
}

/// The input means nothing in this state; it is a bug of the caller, refused and logged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{input} makes no sense while {state}")]
pub struct IllegalInput {
    /// The input's name.
    pub input: &'static str,
    /// The state's name.
    pub state: &'static str,
}

/// Moves one instance forward. Pure: same input, same answer.
///
/// # Errors
/// [`IllegalInput`] for a pair that cannot happen; the state is then unchanged.
pub fn step(
    saved: &Saved,
    input: Input,
    rules: &Rules,
    now: Timestamp,
) -> Result<(Saved, Vec<Effect>), IllegalInput> {
    let mut machine = Machine {
        saved: saved.clone(),
        effects: Vec::new(),
        rules,
        now,
    };
    machine.take(input)?;
    Ok((machine.saved, machine.effects))
}

struct Machine<'a> {
    saved: Saved,
    effects: Vec<Effect>,
    rules: &'a Rules,
    now: Timestamp,
}

impl Machine<'_> {
    fn take(&mut self, input: Input) -> Result<(), IllegalInput> {
        let illegal = IllegalInput {
            input: input_name(&input),
            state: state_name(&self.saved.state),
        };
        match (self.saved.state.clone(), input) {
            // Run.
            (State::Stopped, Input::Start) => self.fresh_start(),
            (State::Errored { hold }, Input::Start) => match hold {
                Hold::Unkillable { .. } => return Err(illegal),
                Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    self.fresh_start()
                }
            },
            // Already on its way.
            (State::Starting { .. } | State::Online { .. }, Input::Start) => {}
            (stopping @ State::Stopping { .. }, Input::Start) => {
                self.forgive();
                self.retarget(stopping, AfterStop::Start, Reason::Manual);
            }

            // Stop.
            (State::Stopped, Input::Stop { .. }) => {}
            (
                State::Starting { run, .. } | State::Online { run, .. },
                Input::Stop {
                    reason,
                    force,
                    signal,
                },
            ) => {
                self.stop(run, AfterStop::Stay, reason, force, signal);
            }
            (
                stopping @ State::Stopping { .. },
                Input::Stop {
                    reason,
                    force,
                    signal,
                },
            ) => {
                self.retarget(stopping, AfterStop::Stay, reason);
                self.press(force, signal);
            }
            (State::Errored { hold }, Input::Stop { reason, force, .. }) => match hold {
                // Nothing but another SIGKILL can help. When it goes, it stays down.
                Hold::Unkillable { run, .. } => {
                    if force {
                        self.signal(&run, Signal::KILL);
                    }
                    self.saved.state = State::Errored {
                        hold: Hold::Unkillable {
                            run,
                            then: AfterStop::Stay,
                            reason,
                        },
                    };
                }
                Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    self.saved.state = State::Stopped;
                    self.event(EventKind::Stop, json!({ "reason": reason.as_str() }));
                }
            },

            // Stop, then run.
            (State::Stopped, Input::Restart { reason, path, .. }) => {
                self.saved.changed_file = path;
                self.start_again(reason);
            }
            (
                State::Starting { run, .. } | State::Online { run, .. },
                Input::Restart {
                    reason,
                    force,
                    path,
                },
            ) => {
                self.saved.changed_file = path;
                self.close_breaker(reason);
                self.stop(run, AfterStop::Start, reason, force, None);
            }
            (
                stopping @ State::Stopping { .. },
                Input::Restart {
                    reason,
                    force,
                    path,
                },
            ) => {
                // A shutdown is not turned into a restart by a schedule that fires meanwhile.
                if !matches!(
                    stopping,
                    State::Stopping {
                        reason: Reason::Shutdown,
                        ..
                    }
                ) {
                    self.saved.changed_file = path;
                    self.retarget(stopping, AfterStop::Start, reason);
                    self.press(force, None);
                }
            }
            (State::Errored { hold }, Input::Restart { reason, path, .. }) => match hold {
                Hold::Unkillable { .. } => return Err(illegal),
                // A schedule or a changed file does not lift a hold: a person or a playbook does.
                Hold::Held { .. } | Hold::Breaker | Hold::NoAutorestart if !lifts_hold(reason) => {}
                Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    self.forgive();
                    self.start_again(reason);
                }
                // The delay goes on where it was: it starts anew after a run that was stable.
                Hold::Retrying { .. } => {
                    self.saved.changed_file = path;
                    self.close_breaker(reason);
                    self.start_again(reason);
                }
            },

            // Hold.
            (State::Stopped, Input::Hold { .. }) => {}
            (
                State::Starting { run, .. } | State::Online { run, .. },
                Input::Hold { by, reason },
            ) => {
                self.stop(
                    run,
                    AfterStop::Hold { by, reason },
                    Reason::Brain,
                    false,
                    None,
                );
            }
            (stopping @ State::Stopping { .. }, Input::Hold { by, reason }) => {
                self.retarget(stopping, AfterStop::Hold { by, reason }, Reason::Brain);
            }
            (State::Errored { hold }, Input::Hold { by, reason }) => match hold {
                Hold::Unkillable { .. } => return Err(illegal),
                Hold::Held { .. } => {}
                Hold::Retrying { .. } | Hold::Breaker | Hold::NoAutorestart => {
                    self.hold(by, reason)
                }
            },

            // Clear.
            (
                State::Stopped
                | State::Starting { .. }
                | State::Online { .. }
                | State::Stopping { .. },
                Input::ClearError,
            ) => {
                self.forgive();
                self.event(EventKind::Cleared, json!({}));
            }
            (State::Errored { hold }, Input::ClearError) => match hold {
                Hold::Unkillable { .. } => return Err(illegal),
                Hold::Retrying { next_at, cause, .. } => {
                    self.forgive();
                    self.saved.state = State::Errored {
                        hold: Hold::Retrying {
                            next_at,
                            attempt: 1,
                            cause,
                        },
                    };
                    self.event(EventKind::Cleared, json!({}));
                }
                Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    self.forgive();
                    self.saved.state = State::Stopped;
                    self.event(EventKind::Cleared, json!({}));
                }
            },

            // A spawn answers. It is awaited in the actor's loop, so nothing else arrives before it.
            (
                State::Spawning {
                    generation, cause, ..
                },
                Input::Spawned(process),
            ) => {
                self.spawned(generation, cause, process);
            }
            (State::Spawning { cause, .. }, Input::SpawnFailed(error)) => {
                self.spawn_failed(cause, &error);
            }
            (State::Spawning { cause, .. }, Input::SpawnLost) => self.spawn(cause),
            (
                State::Spawning { .. },
                Input::Start
                | Input::Stop { .. }
                | Input::Restart { .. }
                | Input::Hold { .. }
                | Input::ClearError
                | Input::Exited(_)
                | Input::TreeGone
                | Input::Ready
                | Input::SaidReady
                | Input::Extended(_)
                | Input::SaidStopping
                | Input::ProbeFailed
                | Input::MemoryExceeded { .. }
                | Input::Woken,
            ) => return Err(illegal),
            (
                State::Stopped
                | State::Starting { .. }
                | State::Online { .. }
                | State::Stopping { .. }
                | State::Errored { .. },
                Input::Spawned(_) | Input::SpawnFailed(_) | Input::SpawnLost,
            ) => return Err(illegal),

            // The leader is gone.
            (State::Starting { run, .. } | State::Online { run, .. }, Input::Exited(status)) => {
                self.exited(run, status);
            }
            (
                State::Stopping {
                    run,
                    then,
                    reason,
                    deadline,
                    killed,
                    exit: None,
                },
                Input::Exited(status),
            ) => {
                self.saved.last_exit = Some(status);
                self.saved.last_exit_at = Some(self.now);
                if self.rules.kill_tree {
                    self.effects.push(Effect::AwaitTree { run: run.clone() });
                    self.saved.state = State::Stopping {
                        run,
                        then,
                        reason,
                        deadline,
                        killed,
                        exit: Some(status),
                    };
                } else {
                    self.gone(run, then, reason, status);
                }
            }
            (State::Stopping { exit: Some(_), .. }, Input::Exited(_)) => return Err(illegal),
            (
                State::Errored {
                    hold: Hold::Unkillable { run, then, reason },
                },
                Input::Exited(status),
            ) => {
                self.saved.last_exit = Some(status);
                self.saved.last_exit_at = Some(self.now);
                if self.rules.kill_tree {
                    // The rest of its tree may go with it now; it has as long as ever.
                    self.effects.push(Effect::AwaitTree { run: run.clone() });
                    self.saved.state = State::Stopping {
                        run,
                        then,
                        reason,
                        deadline: after(self.now, KILL_WAIT),
                        killed: true,
                        exit: Some(status),
                    };
                } else {
                    self.gone(run, then, reason, status);
                }
            }
            (State::Stopped | State::Errored { .. }, Input::Exited(_)) => return Err(illegal),

            // The tree is gone.
            (
                State::Stopping {
                    run,
                    then,
                    reason,
                    exit: Some(status),
                    ..
                },
                Input::TreeGone,
            ) => {
                self.gone(run, then, reason, status);
            }
            (State::Stopping { exit: None, .. }, Input::TreeGone) => return Err(illegal),
            // The leader had gone before the deadline; now the rest of its tree has, too.
            (
                State::Errored {
                    hold: Hold::Unkillable { run, then, reason },
                },
                Input::TreeGone,
            ) => {
                let status = self.saved.last_exit.unwrap_or(ExitStatus::Unknown);
                self.gone(run, then, reason, status);
            }
            // A late answer of a wait that a deadline has overtaken.
            (
                State::Stopped
                | State::Starting { .. }
                | State::Online { .. }
                | State::Errored { .. },
                Input::TreeGone,
            ) => {}

            // Probes.
            (State::Starting { run, said, .. }, Input::Ready) => {
                // Else the sign decides, which has not come yet.
                if said || self.rules.sign.is_none() {
                    self.online(run);
                }
            }
            (
                State::Online { .. }
                | State::Stopping { .. }
                | State::Stopped
                | State::Errored { .. },
                Input::Ready,
            ) => {}
            // Who says that it ends is not restarted for failing meanwhile.
            (State::Online { leaving: true, .. }, Input::ProbeFailed) => {}
            (
                State::Online {
                    run,
                    leaving: false,
                    ..
                },
                Input::ProbeFailed,
            ) => {
                self.stop(run, AfterStop::Fail, Reason::Probe, false, None);
            }
            // While it starts, `start_timeout` decides.
            (
                State::Starting { .. }
                | State::Stopping { .. }
                | State::Stopped
                | State::Errored { .. },
                Input::ProbeFailed,
            ) => {}

            // What it says of itself.
            (
                State::Starting {
                    run,
                    said: false,
                    extended,
                },
                Input::SaidReady,
            ) => {
                if self.rules.sign.is_some() {
                    self.said_ready(run, extended);
                }
            }
            (State::Starting { said: true, .. }, Input::SaidReady) => {}
            (
                State::Starting {
                    run,
                    said,
                    extended,
                },
                Input::Extended(by),
            ) => {
                if !self.rules.awaited().is_nothing() {
                    self.extend(run, said, extended, by);
                }
            }
            (
                State::Online {
                    run,
                    since,
                    leaving: _,
                },
                Input::SaidStopping,
            ) => {
                self.saved.state = State::Online {
                    run,
                    since,
                    leaving: true,
                };
            }
            // While it starts, it may end as it likes.
            (State::Starting { .. }, Input::SaidStopping) => {}
            (State::Online { .. }, Input::SaidReady | Input::Extended(_)) => {}
            // What was said before the end of a run, and heard after it.
            (
                State::Stopping { .. } | State::Stopped | State::Errored { .. },
                Input::SaidReady | Input::Extended(_) | Input::SaidStopping,
            ) => {}

            // Memory.
            (
                State::Starting { run, .. } | State::Online { run, .. },
                Input::MemoryExceeded { rss, limit },
            ) => {
                self.event(
                    EventKind::MemoryExceeded,
                    json!({ "rss": rss, "limit": limit }),
                );
                self.stop(run, AfterStop::Start, Reason::Memory, false, None);
            }
            (
                State::Stopping { .. } | State::Stopped | State::Errored { .. },
                Input::MemoryExceeded { .. },
            ) => {}

            // Time.
            (State::Starting { run, .. }, Input::Woken) => {
                if self.rules.awaited().is_nothing() {
                    self.online(run);
                } else {
                    self.stop(run, AfterStop::Fail, Reason::StartTimeout, false, None);
                }
            }
            (
                State::Stopping {
                    run,
                    then,
                    reason,
                    killed,
                    exit,
                    ..
                },
                Input::Woken,
            ) => {
                self.grace_over(run, then, reason, killed, exit);
            }
            (
                State::Errored {
                    hold: Hold::Retrying { cause, .. },
                },
                Input::Woken,
            ) => {
                self.start_again(cause);
            }
            // A timer of a state that has been left.
            (State::Stopped | State::Online { .. } | State::Errored { .. }, Input::Woken) => {}
        }
        Ok(())
    }
}

/// Schedules and file changes do not lift a hold; people, playbooks and the agent do.
fn lifts_hold(reason: Reason) -> bool {
    match reason {
        Reason::Manual | Reason::Reload | Reason::Brain | Reason::Agent => true,
        Reason::Crash
        | Reason::Memory
        | Reason::Cron
        | Reason::Watch
        | Reason::Probe
        | Reason::StartTimeout
        | Reason::Scale
        | Reason::Shutdown => false,
    }
}

/// The name of a state in messages and logs.
pub fn state_name(state: &State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::Spawning { .. } => "spawning",
        State::Starting { .. } => "starting",
        State::Online { .. } => "online",
        State::Stopping { .. } => "stopping",
        State::Errored { .. } => "errored",
    }
}

fn input_name(input: &Input) -> &'static str {
    match input {
        Input::Start => "start",
        Input::Stop { .. } => "stop",
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

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
