//! The instance machine: what an instance does next, as one pure function.
//!
//! ```text
//!  stopped ─Start─► spawning ─Spawned─► starting ─Ready, lived─► online ─Stop─► stopping ─gone─► stopped
//!                      │                   └─Exited, timeout─┐  │Exited≠0, probe   │    └─will not die─► errored
//!                      └─SpawnFailed─────────────────────────▼  ▼                  ▼
//!                                           errored(retry | breaker | held) ─timer, Start─► spawning
//! ```
//!
//! [`step`] does no input or output and reads no clock: the same arguments give the same
//! answer. Effects are data that the actor performs in order. Timers are not effects: the
//! state says by itself when it wants to be woken ([`wake_at`]), so a timer survives the
//! daemon. Every pair of state and input is named: moved, ignored, or [`IllegalInput`].

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::backoff;
use crate::clock::{after, until};
use crate::event::EventKind;
use crate::ids::Generation;
use crate::launch::{Scope, SpawnError};
use crate::spec::{Autorestart, ProcessSpec, Signal};
use crate::state::{AfterStop, ExitStatus, Hold, ProcessRef, Reason, Run, Saved, State};

/// How long a process may outlive SIGKILL before it is called unkillable.
pub const KILL_WAIT: Duration = Duration::from_secs(5);

/// A run without probes counts as online after this, or after `min_uptime` if that is less.
pub const ONLINE_AFTER: Duration = Duration::from_secs(1);

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
    /// Probes must pass within this time.
    pub start_timeout: Duration,
    /// Are there probes?
    pub probed: bool,
    /// End the whole tree, or the leader alone.
    pub kill_tree: bool,
    /// Seed of the ±10 % jitter; none leaves the delay exact.
    pub jitter: Option<u64>,
}

impl Rules {
    /// The rules of a definition, for the instance of this index.
    pub fn of(spec: &ProcessSpec, index: u16) -> Self {
        let config = &spec.config;
        let health = &config.health;
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
            probed: health.http.is_some() || health.tcp.is_some() || health.script.is_some(),
            kill_tree: config.kill_tree,
            jitter: (spec.instances > 1).then(|| u64::from(index) + 1),
        }
    }

    /// Who gets the stop signal.
    fn scope(&self) -> Scope {
        if self.kill_tree {
            Scope::Tree
        } else {
            Scope::Leader
        }
    }
}

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
    /// A probe failed as often as it may, and asks for a restart.
    ProbeFailed,
    /// The tree's memory is over its limit.
    MemoryExceeded {
        /// Resident bytes.
        rss: u64,
        /// The limit.
        limit: u64,
    },
    /// The time of [`wake_at`] has come.
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

/// When the instance wants [`Input::Woken`].
pub fn wake_at(saved: &Saved, rules: &Rules) -> Option<Timestamp> {
    match &saved.state {
        State::Starting { run } if rules.probed => Some(after(run.started_at, rules.start_timeout)),
        State::Starting { run } => Some(after(run.started_at, rules.min_uptime.min(ONLINE_AFTER))),
        State::Stopping { deadline, .. } => Some(*deadline),
        State::Errored {
            hold: Hold::Retrying { next_at, .. },
        } => Some(*next_at),
        State::Stopped | State::Spawning { .. } | State::Online { .. } | State::Errored { .. } => {
            None
        }
    }
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
                State::Starting { run } | State::Online { run, .. },
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
            (State::Errored { hold }, Input::Stop { force, .. }) => match hold {
                // Nothing but another SIGKILL can help, and it stays what it is.
                Hold::Unkillable { run } => {
                    if force {
                        self.signal(&run, Signal::KILL);
                    }
                }
                Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    self.saved.state = State::Stopped;
                    self.event(EventKind::Stop, json!({ "reason": "manual" }));
                }
            },

            // Stop, then run.
            (State::Stopped, Input::Restart { reason, .. }) => self.start_again(reason),
            (
                State::Starting { run } | State::Online { run, .. },
                Input::Restart { reason, force },
            ) => {
                if reason == Reason::Manual {
                    self.forgive();
                }
                self.stop(run, AfterStop::Start, reason, force, None);
            }
            (stopping @ State::Stopping { .. }, Input::Restart { reason, force }) => {
                // A shutdown is not turned into a restart by a schedule that fires meanwhile.
                if !matches!(
                    stopping,
                    State::Stopping {
                        reason: Reason::Shutdown,
                        ..
                    }
                ) {
                    self.retarget(stopping, AfterStop::Start, reason);
                    self.press(force, None);
                }
            }
            (State::Errored { hold }, Input::Restart { reason, .. }) => match hold {
                Hold::Unkillable { .. } => return Err(illegal),
                // A schedule or a changed file does not lift a hold: a person or a playbook does.
                Hold::Held { .. } | Hold::Breaker | Hold::NoAutorestart if !lifts_hold(reason) => {}
                Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => {
                    if lifts_hold(reason) {
                        self.forgive();
                    }
                    self.start_again(reason);
                }
            },

            // Hold.
            (State::Stopped, Input::Hold { .. }) => {}
            (State::Starting { run } | State::Online { run, .. }, Input::Hold { by, reason }) => {
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
            (State::Starting { run } | State::Online { run, .. }, Input::Exited(status)) => {
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
                    hold: Hold::Unkillable { run },
                },
                Input::Exited(status),
            ) => {
                self.saved.last_exit = Some(status);
                self.saved.last_exit_at = Some(self.now);
                self.gone(run, AfterStop::Stay, Reason::Manual, status);
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
                    hold: Hold::Unkillable { run },
                },
                Input::TreeGone,
            ) => {
                let status = self.saved.last_exit.unwrap_or(ExitStatus::Unknown);
                self.gone(run, AfterStop::Stay, Reason::Manual, status);
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
            (State::Starting { run }, Input::Ready) => self.online(run),
            (
                State::Online { .. }
                | State::Stopping { .. }
                | State::Stopped
                | State::Errored { .. },
                Input::Ready,
            ) => {}
            (State::Online { run, .. }, Input::ProbeFailed) => {
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

            // Memory.
            (
                State::Starting { run } | State::Online { run, .. },
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
            (State::Starting { run }, Input::Woken) => {
                if self.rules.probed {
                    self.stop(run, AfterStop::Fail, Reason::StartTimeout, false, None);
                } else {
                    self.online(run);
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

    /// A run that somebody asked for: counters start anew.
    fn fresh_start(&mut self) {
        self.forgive();
        self.saved.counters.restarts = 0;
        self.spawn(None);
    }

    /// A run that follows an earlier one.
    fn start_again(&mut self, reason: Reason) {
        self.spawn(Some(reason));
    }

    fn spawn(&mut self, cause: Option<Reason>) {
        self.saved.counters.generation += 1;
        let generation = self.saved.counters.generation;
        self.saved.state = State::Spawning {
            generation,
            since: self.now,
            cause,
        };
        self.effects.push(Effect::Spawn { generation });
    }

    fn spawned(&mut self, generation: Generation, cause: Option<Reason>, process: ProcessRef) {
        let pid = process.pid;
        let run = Run {
            generation,
            process,
            started_at: self.now,
        };
        if let Some(reason) = cause {
            self.saved.counters.restarts += 1;
            self.saved.counters.restarts_total += 1;
            self.event(
                EventKind::Restart,
                json!({ "reason": reason.as_str(), "pid": pid, "generation": generation }),
            );
        }
        self.event(
            EventKind::Start,
            json!({ "pid": pid, "generation": generation }),
        );
        self.saved.state = State::Starting { run };
    }

    fn spawn_failed(&mut self, cause: Option<Reason>, error: &SpawnError) {
        self.event(
            EventKind::SpawnFailed,
            json!({ "error": error.to_string() }),
        );
        self.saved.last_exit = None;
        let attempt = self.saved.counters.backoff;
        self.saved.counters.backoff = attempt.saturating_add(1);
        if error.counts_for_breaker() {
            self.saved.counters.breaker = self.saved.counters.breaker.saturating_add(1);
        }
        if self.rules.autorestart == Autorestart::Never {
            self.give_up(Hold::NoAutorestart, "spawn_failed");
        } else if self.breaker_opens() {
            self.give_up(Hold::Breaker, "max_restarts");
        } else {
            self.retry(attempt, cause.unwrap_or(Reason::Crash));
        }
    }

    fn online(&mut self, run: Run) {
        self.event(EventKind::Online, json!({ "pid": run.process.pid }));
        self.saved.state = State::Online {
            run,
            since: self.now,
        };
    }

    /// The leader ended without being asked.
    fn exited(&mut self, run: Run, status: ExitStatus) {
        self.saved.last_exit = Some(status);
        self.saved.last_exit_at = Some(self.now);
        let uptime = until(run.started_at, self.now);
        if self.rules.kill_tree {
            self.effects.push(Effect::EndLeftovers { run });
        }
        let details = with_status(status, json!({ "uptime_ms": uptime.as_millis() as u64 }));
        if status.is_success() {
            self.event(EventKind::Exited, details);
            if self.rules.autorestart == Autorestart::Always {
                let attempt = self.count_short_run(uptime);
                self.saved.counters.breaker = 0;
                self.retry(attempt, Reason::Crash);
            } else {
                self.saved.counters.backoff = 0;
                self.saved.counters.breaker = 0;
                self.saved.state = State::Stopped;
            }
            return;
        }
        self.event(EventKind::Crash, details);
        self.fail(uptime, Reason::Crash);
    }

    /// The restart rule after a failed run.
    fn fail(&mut self, uptime: Duration, cause: Reason) {
        let attempt = self.count_short_run(uptime);
        if self.rules.autorestart == Autorestart::Never {
            self.give_up(Hold::NoAutorestart, "no_autorestart");
        } else if self.breaker_opens() {
            self.give_up(Hold::Breaker, "max_restarts");
        } else {
            self.retry(attempt, cause);
        }
    }

    /// Keeps both counters and returns the exponent of this delay.
    fn count_short_run(&mut self, uptime: Duration) -> u32 {
        let counters = &mut self.saved.counters;
        if uptime < self.rules.min_uptime {
            counters.breaker = counters.breaker.saturating_add(1);
        } else {
            counters.breaker = 0;
        }
        if uptime < self.rules.stable_after {
            let attempt = counters.backoff;
            counters.backoff = attempt.saturating_add(1);
            attempt
        } else {
            counters.backoff = 0;
            0
        }
    }

    fn breaker_opens(&self) -> bool {
        self.rules.max_restarts > 0 && self.saved.counters.breaker >= self.rules.max_restarts
    }

    fn retry(&mut self, attempt: u32, cause: Reason) {
        let mut delay = backoff::delay(
            self.rules.restart_delay,
            self.rules.max_restart_delay,
            attempt,
        );
        if let Some(seed) = self.rules.jitter {
            delay = backoff::jitter(delay, seed.wrapping_add(self.saved.counters.generation));
        }
        self.saved.state = State::Errored {
            hold: Hold::Retrying {
                next_at: after(self.now, delay),
                attempt: attempt.saturating_add(1),
                cause,
            },
        };
    }

    fn give_up(&mut self, hold: Hold, reason: &str) {
        self.event(EventKind::Errored, json!({ "reason": reason }));
        self.saved.state = State::Errored { hold };
    }

    fn hold(&mut self, by: String, reason: String) {
        self.event(
            EventKind::Errored,
            json!({ "reason": "held", "by": by, "error": reason }),
        );
        self.saved.state = State::Errored {
            hold: Hold::Held { by, reason },
        };
    }

    fn forgive(&mut self) {
        self.saved.counters.backoff = 0;
        self.saved.counters.breaker = 0;
    }

    fn stop(
        &mut self,
        run: Run,
        then: AfterStop,
        reason: Reason,
        force: bool,
        signal: Option<Signal>,
    ) {
        let at_once = force || (self.rules.grace_period.is_zero() && signal.is_none());
        let (signal, wait) = if at_once {
            (Signal::KILL, KILL_WAIT)
        } else {
            (
                signal.unwrap_or(self.rules.stop_signal),
                self.rules.grace_period,
            )
        };
        self.event(
            EventKind::Stopping,
            json!({ "pid": run.process.pid, "reason": reason.as_str() }),
        );
        self.signal(&run, signal);
        self.saved.state = State::Stopping {
            run,
            then,
            reason,
            deadline: after(self.now, wait),
            killed: at_once,
            exit: None,
        };
    }

    /// What comes after a stop that is under way is decided anew.
    fn retarget(&mut self, stopping: State, then: AfterStop, reason: Reason) {
        if let State::Stopping {
            run,
            deadline,
            killed,
            exit,
            ..
        } = stopping
        {
            self.saved.state = State::Stopping {
                run,
                then,
                reason,
                deadline,
                killed,
                exit,
            };
        }
    }

    /// A stop that is under way is pressed: SIGKILL now, or one more signal.
    fn press(&mut self, force: bool, signal: Option<Signal>) {
        let State::Stopping {
            run,
            deadline,
            killed,
            ..
        } = &mut self.saved.state
        else {
            return;
        };
        let run = run.clone();
        if force && !*killed {
            *killed = true;
            *deadline = after(self.now, KILL_WAIT);
            self.signal(&run, Signal::KILL);
        } else if let Some(signal) = signal {
            self.signal(&run, signal);
        }
    }

    fn grace_over(
        &mut self,
        run: Run,
        then: AfterStop,
        reason: Reason,
        killed: bool,
        exit: Option<ExitStatus>,
    ) {
        if killed {
            self.event(
                EventKind::Errored,
                json!({ "reason": "unkillable", "pid": run.process.pid }),
            );
            self.saved.state = State::Errored {
                hold: Hold::Unkillable { run },
            };
            return;
        }
        self.signal(&run, Signal::KILL);
        self.saved.state = State::Stopping {
            run,
            then,
            reason,
            deadline: after(self.now, KILL_WAIT),
            killed: true,
            exit,
        };
    }

    /// The run that was to stop is gone, with all of its tree.
    fn gone(&mut self, run: Run, then: AfterStop, reason: Reason, status: ExitStatus) {
        let details = with_status(
            status,
            json!({ "pid": run.process.pid, "reason": reason.as_str() }),
        );
        self.event(EventKind::Stop, details);
        match then {
            AfterStop::Stay => self.saved.state = State::Stopped,
            AfterStop::Start => self.start_again(reason),
            AfterStop::Hold { by, reason } => self.hold(by, reason),
            AfterStop::Fail => {
                self.event(EventKind::Errored, json!({ "reason": reason.as_str() }));
                self.fail(until(run.started_at, self.now), reason);
            }
        }
    }

    fn signal(&mut self, run: &Run, signal: Signal) {
        self.effects.push(Effect::Signal {
            run: run.clone(),
            signal,
            scope: self.rules.scope(),
        });
    }

    fn event(&mut self, kind: EventKind, data: Value) {
        self.effects.push(Effect::Event { kind, data });
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

fn with_status(status: ExitStatus, mut data: Value) -> Value {
    let (code, signal) = match status {
        ExitStatus::Code(code) => (Some(code), None),
        ExitStatus::Signal(signal) => (None, Some(signal)),
        ExitStatus::Unknown => (None, None),
    };
    data["code"] = json!(code);
    data["signal"] = json!(signal);
    if status == ExitStatus::Unknown {
        data["unknown"] = json!(true);
    }
    data
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
        Input::ProbeFailed => "probe failed",
        Input::MemoryExceeded { .. } => "memory exceeded",
        Input::Woken => "woken",
    }
}

#[cfg(test)]
mod tests;
