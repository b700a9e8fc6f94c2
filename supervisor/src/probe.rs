//! Asks processes whether they are well.
//!
//! One child task per probe and run. Each makes its attempts, one at a time, and tells the
//! owner of the instance what they mean:
//!
//!   task "http"  ──┐  record   ┌─ Tracker "http"   ┐ all pass?
//!   task "tcp"   ──┼─────────► ├─ Tracker "tcp"    ├──────────► ProbeEvent ──► instance
//!   task "script"──┘           └─ Tracker "script" ┘
//!
//! A probe of `startup` ends with its first pass, and one of `liveness` begins when the instance
//! is online: what comes up is not killed for being slow.
//!
//! What an attempt means (streaks, thresholds, history) is decided in `tracker`, which does
//! no I/O. A probe that hangs delays nobody but itself. What an unhealthy process gets is
//! not decided here.

mod check;
mod http;
mod own;
mod script;
mod tcp;
#[cfg(test)]
mod tests;
mod tracker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use check::Check;
pub(crate) use http::{describe as describe_http_error, io_text};
pub(crate) use own::{PortProbe, port_probes};
use tracker::{Outcome, Rules, Tracker, Turn};

use crate::clock::Clock;
use crate::command::view::HealthView;
use crate::ids::InstanceId;
use crate::metrics::count_probe;
use crate::os_text::OsText;
use crate::spec::{OnFail, ProbeRole, ProcessSpec};
use crate::state::ProcessRef;
use crate::tasks::Tasks;

/// How soon after the start a probe is first tried.
const FIRST_ATTEMPT: Duration = Duration::from_millis(100);

/// Until the first pass the pause between attempts doubles from [`FIRST_ATTEMPT`] to this,
/// so that a service counts as online soon after it is.
const EAGER_PAUSE: Duration = Duration::from_millis(500);

/// Shortest pause between the end of an attempt and the next one.
const BREATH: Duration = Duration::from_millis(50);

/// What the probes of one run have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeEvent {
    /// All probes pass now, for the first time or again.
    Ready,
    /// A probe has failed `retries` times in a row. Sent again after every further `retries`.
    Failed {
        /// `http`, `tcp` or `script`, behind its role if it has one: `liveness.http`.
        probe: String,
        /// Why the last attempt failed.
        error: String,
        /// Failures in a row.
        failures: u32,
        /// What the process gets.
        on_fail: OnFail,
    },
    /// A probe that had [failed](ProbeEvent::Failed) passes again.
    Recovered {
        /// `http`, `tcp` or `script`, behind its role if it has one: `liveness.http`.
        probe: String,
        /// Failures in a row before it.
        failures: u32,
        /// From the first of those failures to now.
        downtime: Duration,
    },
    /// The first sign that something may be wrong with what passed until now: an attempt that
    /// failed, or one that is far later than usual.
    Missed {
        /// `http`, `tcp` or `script`, behind its role if it has one: `liveness.http`.
        probe: String,
        /// Why it failed, or how late it is.
        error: String,
    },
    /// An attempt was made.
    Attempt {
        /// Did it pass?
        passed: bool,
    },
    /// An attempt was made because somebody asked for it: it is shown, and nothing follows.
    Asked,
}

/// Whoever asks for an attempt is told whether it passed.
type Ask = oneshot::Sender<bool>;

/// Asks that may wait for a probe: one attempt answers all of them.
const ASKS: usize = 16;

/// The probes of one run of one instance. Dropping it ends their tasks.
#[derive(Debug)]
pub struct Probes {
    board: Arc<Board>,
    asks: Vec<mpsc::Sender<Ask>>,
    instance: InstanceId,
    /// Cancelled when the instance is online.
    online: CancellationToken,
    _stop: DropGuard,
}

/// What the probes of a run know together.
#[derive(Debug)]
struct Board {
    state: Mutex<BoardState>,
    /// Held from the record of an attempt until its events are sent, so that they reach the
    /// owner in the order in which they were decided.
    order: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct BoardState {
    trackers: Vec<Tracker>,
    /// All that must pass before the instance is online.
    all_pass: bool,
}

/// One probe, as its task needs it.
struct Task {
    index: usize,
    instance: InstanceId,
    check: Check,
    board: Arc<Board>,
    clock: Clock,
    online: CancellationToken,
    events: mpsc::Sender<ProbeEvent>,
}

/// Which run is probed.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose it is.
    pub instance: &'a InstanceId,
    /// Its leader; a test may have none.
    pub process: Option<&'a ProcessRef>,
    /// Its environment.
    pub env: &'a BTreeMap<String, OsText>,
}

/// How far a run is when its probes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It comes up.
    Starting,
    /// It is online: it was taken over.
    Online,
}

impl Probes {
    /// Starts the probes of a run that has just been spawned or taken over. None when no probe
    /// is configured.
    pub fn start(
        spec: &ProcessSpec,
        subject: Subject<'_>,
        phase: Phase,
        clock: &Clock,
        tasks: &Tasks,
        events: mpsc::Sender<ProbeEvent>,
    ) -> Option<Probes> {
        let instance = subject.instance;
        let mut checks = check::checks(spec, subject);
        if phase == Phase::Online {
            checks.retain(|(_, rules)| rules.role != ProbeRole::Startup);
        }
        if checks.is_empty() {
            return None;
        }
        let trackers = checks.iter().map(|(_, rules)| Tracker::new(*rules));
        let trackers: Vec<Tracker> = trackers.collect();
        // Nothing is waited for where nothing gates.
        let all_pass = !checks.iter().any(|(_, rules)| rules.role.gates());
        let board = Arc::new(Board {
            state: Mutex::new(BoardState { trackers, all_pass }),
            order: tokio::sync::Mutex::default(),
        });
        let stop = tasks.token().child_token();
        let online = CancellationToken::new();
        if phase == Phase::Online {
            online.cancel();
        }
        let mut asks = Vec::new();
        for (index, (check, rules)) in checks.into_iter().enumerate() {
            let task = Task {
                index,
                instance: instance.clone(),
                check,
                board: board.clone(),
                clock: clock.clone(),
                online: online.clone(),
                events: events.clone(),
            };
            let (ask, asked) = mpsc::channel(ASKS);
            asks.push(ask);
            let stop = stop.clone();
            tasks.spawn(format!("probe {instance} {}", rules.name), async move {
                stop.run_until_cancelled(task.run(rules, asked)).await;
            });
        }
        Some(Probes {
            board,
            asks,
            instance: instance.clone(),
            online,
            _stop: CancellationToken::drop_guard(stop),
        })
    }

    /// Lets every probe make an attempt now, or after the one that is under way. The answers
    /// never come when the run ends before.
    pub fn try_now(&self) -> Vec<oneshot::Receiver<bool>> {
        let asks = self.asks.iter().map(|probe| {
            let (ask, answer) = oneshot::channel();
            // With so many waiting, this one is told that there is no answer.
            let _ = probe.try_send(ask);
            answer
        });
        asks.collect()
    }

    /// The instance is online: it has to be alive from now on.
    pub fn came_up(&self) {
        self.online.cancel();
    }

    /// Has the last attempt of any failed?
    pub fn any_fails(&self) -> bool {
        self.board.lock().trackers.iter().any(Tracker::is_failing)
    }

    /// Do those of `readiness` pass now?
    pub fn are_ready(&self) -> bool {
        let state = self.board.lock();
        let of_it = |tracker: &&Tracker| tracker.rules().role == ProbeRole::Readiness;
        state.trackers.iter().filter(of_it).all(Tracker::passes)
    }

    /// Do all pass now that must before it is online?
    pub fn all_pass(&self) -> bool {
        self.board.lock().all_pass
    }

    /// How each probe is doing.
    pub fn views(&self) -> Vec<HealthView> {
        let state = self.board.lock();
        state
            .trackers
            .iter()
            .map(|tracker| tracker.view(&self.instance))
            .collect()
    }
}

impl Board {
    fn lock(&self) -> std::sync::MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Attempts until the task is cancelled or nobody listens any more.
    async fn run(self, rules: Rules, mut asked: mpsc::Receiver<Ask>) {
        let mut started = Instant::now();
        let mut eager = FIRST_ATTEMPT.min(rules.interval);
        let mut next = started + eager;
        let mut waits = rules.role == ProbeRole::Liveness;
        loop {
            let is_over = rules.role == ProbeRole::Startup && self.passes();
            tokio::select! {
                () = tokio::time::sleep_until(next), if !waits && !is_over => {}
                () = self.online.cancelled(), if waits => {
                    waits = false;
                    started = Instant::now();
                    next = started + eager;
                    continue;
                }
                Some(ask) = asked.recv() => {
                    if self.answer(rules, ask, &mut asked).await.is_none() {
                        return;
                    }
                    continue;
                }
                // The run is over.
                else => return,
            }
            let began = Instant::now();
            let at = self.clock.now();
            // Boxed, so that its state is only there while it runs.
            let mut attempt = Box::pin(self.check.run(rules.timeout));
            let late = self.board.lock().trackers[self.index].late_after();
            let in_time = match late {
                Some(late) => tokio::time::timeout(late, &mut attempt).await.ok(),
                None => None,
            };
            let outcome = match (in_time, late) {
                (Some(outcome), _) => outcome,
                (None, Some(late)) if self.is_late(rules.name, late).await.is_none() => return,
                (None, _) => attempt.await,
            };
            let (since, took) = (began - started, began.elapsed());
            count_probe(&self.instance, rules.name, took, outcome.passed());
            let Some(settled) = self.report(at, since, took, outcome).await else {
                return;
            };
            let pause = if settled {
                rules.interval
            } else {
                let pause = eager;
                eager = (eager * 2).min(EAGER_PAUSE).min(rules.interval);
                pause
            };
            next = (began + pause).max(Instant::now() + BREATH);
        }
    }

    fn passes(&self) -> bool {
        self.board.lock().trackers[self.index].passes()
    }

    /// Makes an attempt for those who ask. It counts for no streak: who asks often must not
    /// bring about what many failures do. None when the owner is gone.
    async fn answer(&self, rules: Rules, ask: Ask, more: &mut mpsc::Receiver<Ask>) -> Option<()> {
        let mut asks = vec![ask];
        while let Ok(ask) = more.try_recv() {
            asks.push(ask);
        }
        let (began, at) = (Instant::now(), self.clock.now());
        let outcome = Box::pin(self.check.run(rules.timeout)).await;
        let (took, passed) = (began.elapsed(), outcome.passed());
        count_probe(&self.instance, rules.name, took, passed);
        self.board.lock().trackers[self.index].note(at, took, &outcome);
        self.events.send(ProbeEvent::Asked).await.ok()?;
        for ask in asks {
            // Whoever asked may have gone.
            let _ = ask.send(passed);
        }
        Some(())
    }

    /// Tells that an attempt takes far longer than usual. None when the owner is gone.
    async fn is_late(&self, probe: &str, late: Duration) -> Option<()> {
        let error = format!("no answer within {} ms", late.as_millis());
        let event = ProbeEvent::Missed {
            probe: probe.to_owned(),
            error,
        };
        self.events.send(event).await.ok()
    }

    /// Records an attempt and sends what follows from it. Says whether the probe has ever
    /// had a verdict; None when the owner is gone.
    async fn report(
        &self,
        at: Timestamp,
        since: Duration,
        took: Duration,
        outcome: Outcome,
    ) -> Option<bool> {
        let _order = self.board.order.lock().await;
        let mut news = Vec::new();
        if !outcome.unmade {
            news.push(ProbeEvent::Attempt {
                passed: outcome.passed(),
            });
        }
        let settled = {
            let mut state = self.board.lock();
            let tracker = &mut state.trackers[self.index];
            match tracker.record(at, since, took, outcome) {
                Turn::Same => {}
                Turn::Missed { error } => news.push(ProbeEvent::Missed {
                    probe: tracker.rules().name.to_owned(),
                    error,
                }),
                Turn::Failed { error, failures } => news.push(ProbeEvent::Failed {
                    probe: tracker.rules().name.to_owned(),
                    error,
                    failures,
                    on_fail: tracker.rules().on_fail,
                }),
                Turn::Recovered { failures, downtime } => news.push(ProbeEvent::Recovered {
                    probe: tracker.rules().name.to_owned(),
                    failures,
                    downtime,
                }),
            }
            let settled = tracker.settled();
            let mut gating = state.trackers.iter().filter(|one| one.rules().role.gates());
            let all_pass = gating.all(Tracker::passes);
            if all_pass && !state.all_pass {
                news.push(ProbeEvent::Ready);
            }
            state.all_pass = all_pass;
            settled
        };
        for event in news {
            self.events.send(event).await.ok()?;
        }
        Some(settled)
    }
}
