//! Listens to one run: for what it says by the protocol of `sd_notify`, for how long it says
//! nothing, and for the line of `ready.log`.
//!
//! ```text
//!   Ear ──datagrams──► task ──Notice, one a turn──┐
//!                                                  ├──► Heard ──► instance
//!   Capture ──the line that matches──► task ───────┘
//! ```
//!
//! The tasks end with the run. They take in and hand on; what follows from what was said is
//! decided by the machine. Where nobody has to be listened to there is no task.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::Context;
use crate::ids::InstanceId;
use crate::launch::{Ear, Voice};
use crate::notice::Notice;
use crate::spec::{ProcessSpec, Ready, line_pattern};
use crate::state::{Run, State};
use crate::units::format_duration;

/// What is said within this time is one message to the instance.
const TURN: Duration = Duration::from_millis(20);

/// Datagrams of one turn. What is more waits in the kernel, and so does who sends it: 11,500 in a
/// second, all that a Python program could send, took 19 % of a processor in a debug build.
const AT_ONCE: usize = 256;

/// So often it is written down at once that a run calls another process its main one.
const CHANGES: u32 = 10;

/// After that it is written down once in this time, and else with the next change of its state.
const PACE: Duration = Duration::from_secs(1);

/// When a socket that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was heard of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Its processes said this.
    Said(Notice),
    /// It printed the line of `ready.log`.
    Printed,
    /// It did not say in time that it is alive, or said that it is broken.
    Silent {
        /// Which of the two, for people.
        error: String,
    },
    /// It says again that it is alive.
    Alive,
}

/// A run that is listened to.
pub(super) struct Hearing {
    /// What is heard.
    pub(super) events: mpsc::Receiver<Heard>,
    /// What it last said of itself, fit to be shown.
    pub(super) status: Option<Arc<str>>,
    /// It was told that it does not say that it is alive.
    pub(super) is_silent: bool,
    /// How often it is written down that it calls another process its main one.
    pub(super) pace: Pace,
    /// From now on it has to say that it is alive.
    watch: Arc<Notify>,
    _stop: DropGuard,
}

impl Hearing {
    /// Listens to a run of this definition, in this state of its instance; none when there is
    /// nothing to listen for.
    pub(super) fn start(
        run: &Run,
        instance: &InstanceId,
        spec: &ProcessSpec,
        state: &State,
        context: &Context,
    ) -> Option<Box<Self>> {
        let is_up = matches!(
            state,
            State::Online { .. } | State::Starting { said: true, .. }
        );
        let line = match &spec.config.ready {
            Some(Ready::Log(pattern)) if !is_up => Some(pattern),
            Some(Ready::Log(_) | Ready::Notify) | None => None,
        };
        let voice = spec.config.voice();
        if line.is_none() && voice.is_none() {
            return None;
        }
        let (sender, events) = mpsc::channel(4);
        let watch = Arc::new(Notify::new());
        if matches!(state, State::Online { .. }) {
            watch.notify_one();
        }
        let stop = context.tasks.token().child_token();
        if let Some(Voice { watchdog }) = voice {
            let listener = Listener {
                run: run.clone(),
                instance: instance.clone(),
                user: spec.config.user.clone(),
                context: context.clone(),
                sender: sender.clone(),
                watch: Arc::clone(&watch),
            };
            let stop = stop.clone();
            let name = format!("voice of {instance}");
            context.tasks.spawn(name, async move {
                stop.run_until_cancelled(listener.listen(watchdog)).await;
            });
        }
        // What is not a pattern was refused when it was read.
        if let Some(pattern) = line.and_then(|text| line_pattern(text).ok()) {
            let (run, instance, context) = (run.clone(), instance.clone(), context.clone());
            let stop = stop.clone();
            let name = format!("line of {instance}");
            context.tasks.clone().spawn(name, async move {
                let printed =
                    context
                        .capture
                        .printed(&instance, run.generation, run.started_at, pattern);
                if stop.run_until_cancelled(printed).await.is_some() {
                    // The run may have ended meanwhile.
                    let _ = sender.send(Heard::Printed).await;
                }
            });
        }
        Some(Box::new(Self {
            events,
            status: None,
            is_silent: false,
            pace: Pace::default(),
            watch,
            _stop: CancellationToken::drop_guard(stop),
        }))
    }

    /// From now on it has to say that it is alive.
    pub(super) fn watch(&self) {
        self.watch.notify_one();
    }
}

/// Bounds how often something may be done: [`CHANGES`] times at once, then each [`PACE`].
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all of that is free again.
    free_at: Option<Instant>,
}

impl Pace {
    /// May it be done now?
    pub(super) fn allows(&mut self) -> bool {
        let now = Instant::now();
        let next = self.free_at.map_or(now, |at| at.max(now)) + PACE;
        let allowed = next - now <= PACE * CHANGES;
        if allowed {
            self.free_at = Some(next);
        }
        allowed
    }
}

/// The time in which a run has to say that it is alive.
#[derive(Debug)]
struct Pulse {
    /// None, when it need not.
    period: Option<Duration>,
    /// None, while it is not up.
    deadline: Option<Instant>,
    /// It was told that it does not.
    missed: bool,
}

impl Pulse {
    fn new(period: Option<Duration>) -> Self {
        Self {
            period,
            deadline: None,
            missed: false,
        }
    }

    /// The whole time from now.
    fn begin(&mut self) {
        self.deadline = self.period.map(|period| Instant::now() + period);
    }

    /// Waits until the time is over; for ever, while there is none.
    async fn over(&self) {
        match self.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// What follows from what was said, or was not.
    fn takes(&mut self, notice: &Notice, over: bool) -> Option<Heard> {
        let period = self.period.filter(|_| self.deadline.is_some())?;
        if notice.broken {
            self.begin();
            self.missed = true;
            let error = "it said WATCHDOG=trigger".to_owned();
            return Some(Heard::Silent { error });
        }
        if notice.alive {
            self.begin();
            return std::mem::take(&mut self.missed).then_some(Heard::Alive);
        }
        over.then(|| {
            self.begin();
            self.missed = true;
            let error = format!("no WATCHDOG=1 within {}", format_duration(period));
            Heard::Silent { error }
        })
    }
}

/// Listens to one run.
struct Listener {
    run: Run,
    instance: InstanceId,
    user: Option<String>,
    context: Context,
    sender: mpsc::Sender<Heard>,
    watch: Arc<Notify>,
}

impl Listener {
    /// Until the instance does not want to know any more: then `None`.
    async fn listen(self, watchdog: Option<Duration>) -> Option<()> {
        let mut ear = self.ear().await;
        let mut pulse = Pulse::new(watchdog);
        loop {
            let over = tokio::select! {
                biased;
                () = ear.heard() => false,
                () = self.watch.notified() => {
                    pulse.begin();
                    continue;
                }
                () = pulse.over() => true,
            };
            let (notice, count) = ear.take(Notice::default(), AT_ONCE).await;
            // What nobody could say is not missed.
            let excused = over && !notice.alive && ear.mend().await;
            if excused {
                pulse.begin();
            }
            self.tell(&mut pulse, notice, over && !excused).await?;
            let rest = rest_of_turn(&mut *ear, count).await;
            self.tell(&mut pulse, rest, false).await?;
        }
    }

    async fn tell(&self, pulse: &mut Pulse, notice: Notice, over: bool) -> Option<()> {
        if let Some(heard) = pulse.takes(&notice, over) {
            self.sender.send(heard).await.ok()?;
        }
        if notice.says_something() {
            self.sender.send(Heard::Said(notice)).await.ok()?;
        }
        Some(())
    }

    /// Where it is heard, as soon as that can be had.
    async fn ear(&self) -> Box<dyn Ear> {
        let mut told = false;
        loop {
            let (launcher, user) = (&self.context.launcher, self.user.as_deref());
            let Run {
                process,
                generation,
                ..
            } = &self.run;
            match launcher.ear(&self.instance, process, *generation, user) {
                Ok(ear) => return ear,
                Err(error) if !told => {
                    told = true;
                    warn!(instance = %self.instance, %error, "What an instance says cannot be heard yet.");
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// What is said until the turn is over. It is taken as it comes, so that who says much need not
/// wait, and told in one piece.
async fn rest_of_turn(ear: &mut dyn Ear, mut count: usize) -> Notice {
    let over = Instant::now() + TURN;
    let mut rest = Notice::default();
    while count < AT_ONCE && timeout_at(over, ear.heard()).await.is_ok() {
        let (more, taken) = ear.take(rest, AT_ONCE - count).await;
        rest = more;
        count += taken.max(1);
    }
    sleep_until(over).await;
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse that is waited for from now on.
    fn pulse() -> Pulse {
        let mut pulse = Pulse::new(Some(Duration::from_secs(30)));
        pulse.begin();
        pulse
    }

    fn said(datagram: &str) -> Notice {
        let mut notice = Notice::default();
        notice.hear(datagram.as_bytes());
        notice
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_after_each_period_until_there_is_a_sign_of_life() {
        let mut pulse = pulse();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(pulse.takes(&said("WATCHDOG=1"), false), None);
        for second in [50, 80] {
            pulse.over().await;
            assert_eq!(begun.elapsed(), Duration::from_secs(second));
            let error = "no WATCHDOG=1 within 30s".to_owned();
            let told = pulse.takes(&Notice::default(), true);
            assert_eq!(told, Some(Heard::Silent { error }));
        }
        assert_eq!(pulse.takes(&said("WATCHDOG=1"), false), Some(Heard::Alive));
        assert_eq!(pulse.takes(&said("WATCHDOG=1"), false), None);
        // What came in the last moment counts.
        pulse.over().await;
        assert_eq!(pulse.takes(&said("WATCHDOG=1"), true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_too_often_is_done_once_in_a_second() {
        let mut pace = Pace::default();
        let allowed = |pace: &mut Pace| (0..100).filter(|_| pace.allows()).count();
        assert_eq!(allowed(&mut pace), 10);
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(allowed(&mut pace), 1);
        }
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(allowed(&mut pace), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trigger_is_told_at_once_and_silence_before_it_is_up_is_not() {
        let mut idle = Pulse::new(Some(Duration::from_secs(30)));
        assert_eq!(idle.takes(&said("WATCHDOG=trigger"), false), None);
        assert_eq!(idle.takes(&Notice::default(), true), None);
        let mut none = Pulse::new(None);
        none.begin();
        assert_eq!(none.takes(&said("WATCHDOG=trigger"), false), None);
        let error = "it said WATCHDOG=trigger".to_owned();
        let told = pulse().takes(&said("WATCHDOG=trigger"), false);
        assert_eq!(told, Some(Heard::Silent { error }));
    }
}
