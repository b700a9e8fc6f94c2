//! The moves: what happens to the state, the counters and the outside when a pair of state
//! and input has been decided in [`super::step`].

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Effect, KILL_WAIT, MOST_EXTENDED, Machine};
use crate::backoff;
use crate::clock::{after, until};
use crate::event::EventKind;
use crate::ids::Generation;
use crate::launch::SpawnError;
use crate::spec::{Autorestart, Signal};
use crate::state::{AfterStop, ExitStatus, Hold, ProcessRef, Reason, Run, State};

impl Machine<'_> {
    /// A run that somebody asked for: counters start anew.
    pub(super) fn fresh_start(&mut self) {
        self.forgive();
        self.saved.counters.restarts = 0;
        self.spawn(None);
    }

    /// A run that follows an earlier one.
    pub(super) fn start_again(&mut self, reason: Reason) {
        self.spawn(Some(reason));
    }

    pub(super) fn spawn(&mut self, cause: Option<Reason>) {
        if self.rules.unwanted {
            // It waits until it is wanted again, or stopped.
            let attempt = self.saved.counters.backoff;
            return self.retry(attempt, cause.unwrap_or(Reason::Crash));
        }
        let generation = self.rules.newest.max(self.saved.counters.generation) + 1;
        self.saved.counters.generation = generation;
        self.saved.state = State::Spawning {
            generation,
            since: self.now,
            cause,
        };
        self.effects.push(Effect::Spawn { generation });
    }

    pub(super) fn spawned(
        &mut self,
        generation: Generation,
        cause: Option<Reason>,
        process: ProcessRef,
    ) {
        let pid = process.pid;
        let run = Run {
            generation,
            process,
            started_at: self.now,
        };
        if let Some(reason) = cause {
            self.saved.counters.restarts += 1;
            self.saved.counters.restarts_total += 1;
            let mut data =
                json!({ "reason": reason.as_str(), "pid": pid, "generation": generation });
            if let Some(path) = self.saved.changed_file.take() {
                data["path"] = json!(path);
            }
            self.event(EventKind::Restart, data);
        }
        self.event(
            EventKind::Start,
            json!({ "pid": pid, "generation": generation }),
        );
        self.saved.state = State::Starting {
            run,
            said: false,
            extended: None,
        };
    }

    pub(super) fn spawn_failed(&mut self, cause: Option<Reason>, error: &SpawnError) {
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

    pub(super) fn online(&mut self, run: Run) {
        self.event(EventKind::Online, json!({ "pid": run.process.pid }));
        self.saved.state = State::Online {
            run,
            since: self.now,
            leaving: false,
        };
    }

    /// The sign of `ready` has come. Written down, since it does not come again.
    pub(super) fn said_ready(&mut self, run: Run, extended: Option<Timestamp>) {
        if self.rules.probed {
            self.saved.state = State::Starting {
                run,
                said: true,
                extended,
            };
        } else {
            self.online(run);
        }
    }

    /// It needs more time to come up, from now. Not without end: one that asks for ever is one
    /// that hangs.
    pub(super) fn extend(&mut self, run: Run, said: bool, former: Option<Timestamp>, by: Duration) {
        let most = self.rules.start_timeout.saturating_mul(MOST_EXTENDED);
        let asked = after(self.now, by).min(after(run.started_at, most));
        self.saved.state = State::Starting {
            run,
            said,
            extended: former.max(Some(asked)),
        };
    }

    /// The leader ended without being asked.
    pub(super) fn exited(&mut self, run: Run, status: ExitStatus) {
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
    pub(super) fn fail(&mut self, uptime: Duration, cause: Reason) {
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
    pub(super) fn count_short_run(&mut self, uptime: Duration) -> u32 {
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

    fn was_short(&self, run: &Run) -> bool {
        until(run.started_at, self.now) < self.rules.stable_after
    }

    pub(super) fn breaker_opens(&self) -> bool {
        self.rules.max_restarts > 0 && self.saved.counters.breaker >= self.rules.max_restarts
    }

    pub(super) fn retry(&mut self, attempt: u32, cause: Reason) {
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

    pub(super) fn give_up(&mut self, hold: Hold, reason: &str) {
        self.event(EventKind::Errored, json!({ "reason": reason }));
        self.saved.state = State::Errored { hold };
    }

    pub(super) fn hold(&mut self, by: String, reason: String) {
        self.event(
            EventKind::Errored,
            json!({ "reason": "held", "by": by, "error": reason }),
        );
        self.saved.state = State::Errored {
            hold: Hold::Held { by, reason },
        };
    }

    /// A restart that somebody asked for closes the breaker. The backoff stays, so that
    /// restarts by hand do not turn a crash loop into a tight one.
    pub(super) fn close_breaker(&mut self, reason: Reason) {
        if reason == Reason::Manual {
            self.saved.counters.breaker = 0;
        }
    }

    /// Both counters start anew.
    pub(super) fn forgive(&mut self) {
        self.saved.counters.backoff = 0;
        self.saved.counters.breaker = 0;
    }

    pub(super) fn stop(
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
    pub(super) fn retarget(&mut self, stopping: State, then: AfterStop, reason: Reason) {
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
    pub(super) fn press(&mut self, force: bool, signal: Option<Signal>) {
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

    pub(super) fn grace_over(
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
                hold: Hold::Unkillable { run, then, reason },
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
    pub(super) fn gone(&mut self, run: Run, then: AfterStop, reason: Reason, status: ExitStatus) {
        let details = with_status(
            status,
            json!({ "pid": run.process.pid, "reason": reason.as_str() }),
        );
        self.event(EventKind::Stop, details);
        match then {
            AfterStop::Stay => self.saved.state = State::Stopped,
            // Not a crash, but a run that was as short: its delay grows as that of one would.
            AfterStop::Start if reason == Reason::Memory && self.was_short(&run) => {
                let attempt = self.saved.counters.backoff;
                self.saved.counters.backoff = attempt.saturating_add(1);
                self.retry(attempt, reason);
            }
            AfterStop::Start => self.start_again(reason),
            AfterStop::Hold { by, reason } => self.hold(by, reason),
            AfterStop::Fail => {
                let mut data = json!({ "reason": reason.as_str() });
                if reason == Reason::StartTimeout {
                    let awaited = self.rules.awaited().name();
                    data["error"] = json!(format!("it waited in vain for {awaited}"));
                }
                self.event(EventKind::Errored, data);
                self.fail(until(run.started_at, self.now), reason);
            }
        }
    }

    pub(super) fn signal(&mut self, run: &Run, signal: Signal) {
        self.effects.push(Effect::Signal {
            run: run.clone(),
            signal,
            scope: self.rules.scope(run.generation),
        });
    }

    pub(super) fn event(&mut self, kind: EventKind, data: Value) {
        self.effects.push(Effect::Event { kind, data });
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
