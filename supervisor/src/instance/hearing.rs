//! Listens to one run: for what it says by the protocol of `sd_notify`, and for the line of
//! `ready.log`.
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

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::Context;
use crate::ids::InstanceId;
use crate::launch::Ear;
use crate::notice::Notice;
use crate::spec::{ProcessSpec, Ready, line_pattern};
use crate::state::{Run, State};

/// What is said within this time is one message to the instance.
const TURN: Duration = Duration::from_millis(20);

/// Datagrams of one turn. What is more waits in the kernel, and so does who sends it: a flood
/// takes some hundredths of a processor.
const AT_ONCE: usize = 256;

/// When a socket that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was heard of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Its processes said this.
    Said(Notice),
    /// It printed the line of `ready.log`.
    Printed,
}

/// A run that is listened to.
pub(super) struct Hearing {
    /// What is heard.
    pub(super) events: mpsc::Receiver<Heard>,
    /// What it last said of itself, fit to be shown.
    pub(super) status: Option<Arc<str>>,
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
        let speaks = spec.config.voice().is_some();
        if line.is_none() && !speaks {
            return None;
        }
        let (sender, events) = mpsc::channel(4);
        let stop = context.tasks.token().child_token();
        if speaks {
            let listener = Listener {
                run: run.clone(),
                instance: instance.clone(),
                user: spec.config.user.clone(),
                context: context.clone(),
                sender: sender.clone(),
            };
            let stop = stop.clone();
            let name = format!("voice of {instance}");
            context.tasks.spawn(name, async move {
                stop.run_until_cancelled(listener.listen()).await;
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
            _stop: CancellationToken::drop_guard(stop),
        }))
    }
}

/// Listens to one run.
struct Listener {
    run: Run,
    instance: InstanceId,
    user: Option<String>,
    context: Context,
    sender: mpsc::Sender<Heard>,
}

impl Listener {
    /// Until the instance does not want to know any more: then `None`.
    async fn listen(self) -> Option<()> {
        let mut ear = self.ear().await;
        loop {
            ear.heard().await;
            let (notice, count) = ear.take(Notice::default(), AT_ONCE).await;
            self.tell(notice).await?;
            let rest = rest_of_turn(&mut *ear, count).await;
            self.tell(rest).await?;
        }
    }

    async fn tell(&self, notice: Notice) -> Option<()> {
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
