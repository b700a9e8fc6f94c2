//! The loop: choose one input, ask the machine, record, perform, publish.
//!
//! ```text
//!   takeover ─once─► turn ─input─► machine ─► record ─► runs (spawn, leftovers) ─► show
//!                        ├─probe─► health ─────┤
//!                        └─said──► heard ──────┘
//! ```
//! It is one piece although it is long: one loop, and one method for each thing that it waits for.

mod alarm;
mod health;
mod heard;
mod record;
mod runs;
mod takeover;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error};

use super::hearing::Heard;
use super::run::{LiveRun, Pending};
use super::{Beginning, Context, Message, OrderError, Snapshot, Standing, Unwanted};
use crate::command::view::HealthStatus;
use crate::event::{Event, EventKind};
use crate::ids::{Generation, InstanceId};
use crate::latest::Teller;
use crate::launch::Scope;
use crate::machine::{self, Effect, IllegalInput, Input, KILL_WAIT, Rules};
use crate::probe::{ProbeEvent, Probes};
use crate::spec::{Autorestart, ProcessSpec, Signal};
use crate::state::{Counters, ExitStatus, Hold, Reason, Run, Saved, State};

/// The actor of an event that follows from the rules.
const SYSTEM: &str = "system";

pub(super) struct InstanceTask {
    standing: Standing,
    id: InstanceId,
    spec: Arc<ProcessSpec>,
    rules: Rules,
    saved: Saved,
    /// The counters when this task began.
    begun_with: Counters,
    /// Nobody had this instance before, so nobody left anything behind.
    is_new: bool,
    /// The newest run of the instance, whoever has it.
    newest: Arc<Mutex<Generation>>,
    live: Option<LiveRun>,
    /// Resolves when the tree of a stopping run is gone.
    tree: Option<Pending<()>>,
    /// Says whether somebody of a killed tree is there after its time.
    last_look: Option<Pending<bool>>,
    /// When the run was sent SIGKILL, which may be long after that was decided.
    killed_at: Option<Instant>,
    /// Resolves when the remains of an ended run are gone.
    cleanup: Option<Pending<()>>,
    spawn_error: Option<String>,
    failing_since: Option<Timestamp>,
    /// What the machine wants to be woken for.
    alarm: alarm::Alarm,
    /// Its probe has failed; it is restarted at this time if that is still its own fault.
    suspect_until: Option<Instant>,
    /// When its probe last failed for the first time, and why.
    missed: Option<(Timestamp, String)>,
    /// What was prepared for the next run while the last one was recorded.
    attached: Option<runs::Attached>,
    /// Recorded, and published as soon as the snapshot is right.
    recorded: Vec<Event>,
    /// Recorded, and published when the next run has begun.
    untold: Option<record::Untold>,
    /// Why it begins nothing.
    unwanted: BTreeSet<Unwanted>,
    context: Context,
    publish: Teller<Arc<Snapshot>>,
}

/// What the loop woke up for.
enum Turn {
    Message(Box<Message>),
    Input(Input),
    Probe(ProbeEvent),
    Heard(Heard),
    LastLook(bool),
    CleanedUp,
    Suspicion,
    End,
}

impl InstanceTask {
    pub(super) fn new(
        beginning: Beginning,
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        context: Context,
        publish: Teller<Arc<Snapshot>>,
    ) -> Self {
        let Beginning {
            standing,
            unwanted,
            saved,
            newest,
        } = beginning;
        let mut rules = Rules::of(&spec, id.index);
        rules.unwanted = !unwanted.is_empty();
        Self {
            standing,
            id,
            spec,
            rules,
            is_new: saved.is_none(),
            begun_with: saved
                .as_ref()
                .map(|saved| saved.counters)
                .unwrap_or_default(),
            saved: saved.unwrap_or_default(),
            newest,
            live: None,
            tree: None,
            last_look: None,
            killed_at: None,
            cleanup: None,
            spawn_error: None,
            failing_since: None,
            alarm: alarm::Alarm::default(),
            suspect_until: None,
            missed: None,
            attached: None,
            recorded: Vec::new(),
            untold: None,
            unwanted,
            context,
            publish,
        }
    }

    /// Runs until its handles are gone or the set of tasks ends. Children are left alone.
    ///
    /// Boxed, since a future holds what it is given twice: as it came, and as it is used.
    pub(super) async fn run(mut self: Box<Self>, mut inbox: mpsc::Receiver<Box<Message>>) {
        // Boxed, all that is not waiting: a task that waits then weighs a tenth.
        Box::pin(self.resume()).await;
        loop {
            match self.turn(&mut inbox).await {
                Turn::Message(message) => Box::pin(self.message(*message)).await,
                Turn::Input(Input::Woken) if self.is_over_when_its_tree_is() => self.look_again(),
                Turn::Input(input) => {
                    let _ = Box::pin(self.take(input, SYSTEM)).await;
                }
                Turn::LastLook(somebody) => {
                    let input = if somebody {
                        Input::Woken
                    } else {
                        Input::TreeGone
                    };
                    let _ = Box::pin(self.take(input, SYSTEM)).await;
                }
                Turn::Probe(event) => Box::pin(self.probe(event)).await,
                Turn::Heard(heard) => Box::pin(self.heard(heard)).await,
                Turn::CleanedUp => self.show(),
                Turn::Suspicion => Box::pin(self.suspicion_over()).await,
                Turn::End => break,
            }
        }
        self.unwatch();
    }

    /// Chooses one input. Orders come first, so that a stop overtakes everything else.
    async fn turn(&mut self, inbox: &mut mpsc::Receiver<Box<Message>>) -> Turn {
        let wake = sleep_until(self.wake_at());
        let suspicion = sleep_until(self.suspect_until);
        let token = self.context.tasks.token();
        let Self {
            live,
            tree,
            last_look,
            cleanup,
            ..
        } = self;
        let (mut nothing, mut probe, mut heard, mut memory) = (None, None, None, None);
        let mut exit: &mut Option<Pending<ExitStatus>> = &mut nothing;
        if let Some(live) = live {
            (exit, probe, heard, memory) = (
                &mut live.exit,
                live.probe_events.as_mut(),
                live.hearing.as_mut().map(|hearing| &mut hearing.events),
                live.memory.as_mut(),
            );
        }
        tokio::select! {
            biased;
            () = token.cancelled() => Turn::End,
            message = inbox.recv() => message.map_or(Turn::End, Turn::Message),
            status = resolved(exit) => Turn::Input(Input::Exited(status)),
            () = resolved(tree) => Turn::Input(Input::TreeGone),
            somebody = resolved(last_look) => Turn::LastLook(somebody),
            () = resolved(cleanup) => Turn::CleanedUp,
            Some(breach) = received(&mut memory) => {
                Turn::Input(Input::MemoryExceeded { rss: breach.rss_bytes, limit: breach.limit_bytes })
            }
            Some(event) = received(&mut probe) => Turn::Probe(event),
            Some(said) = received(&mut heard) => Turn::Heard(said),
            () = wake => Turn::Input(Input::Woken),
            () = suspicion => Turn::Suspicion,
        }
    }

    /// A retry waits until the remains of the last run are gone.
    fn wake_at(&mut self) -> Option<Instant> {
        let cleans = self.cleanup.is_some() && matches!(self.saved.state, State::Errored { .. });
        let waits = cleans || self.last_look.is_some();
        let wake = machine::wake(&self.saved, &self.rules).filter(|_| !waits);
        let at = self.alarm.at(wake, &self.context.clock)?;
        let is_killed = matches!(self.saved.state, State::Stopping { killed: true, .. });
        // In a crowd it takes a while until the signal is out.
        let killed_at = self.killed_at.filter(|_| is_killed);
        Some(killed_at.map_or(at, |killed_at| at.max(killed_at + KILL_WAIT)))
    }

    /// Its leader has gone and all have been killed: only a look tells whether they have gone.
    fn is_over_when_its_tree_is(&self) -> bool {
        matches!(
            self.saved.state,
            State::Stopping {
                killed: true,
                exit: Some(_),
                ..
            }
        )
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Order { input, actor, done } => {
                let runs = matches!(input, Input::Start | Input::Restart { .. });
                let result = match self.unwanted.last() {
                    Some(why) if runs => Err(OrderError::Unwanted(*why)),
                    _ => self.take(input, &actor).await.map_err(OrderError::Illegal),
                };
                let _ = done.send(result);
            }
            Message::CallOff(why) => self.call_off(why),
            Message::WantAgain(why) => {
                self.unwanted.remove(&why);
                self.rules.unwanted = !self.unwanted.is_empty();
            }
            Message::Define(spec) => {
                self.rules = Rules::of(&spec, self.id.index);
                self.rules.unwanted = !self.unwanted.is_empty();
                self.spec = spec;
                self.watch_memory();
                self.show();
            }
            Message::Probe(done) => {
                let probes = self.live.as_ref().and_then(|live| live.probes.as_ref());
                let _ = done.send(probes.map(Probes::try_now).unwrap_or_default());
            }
            Message::Stand(standing, former, done) => {
                self.standing = standing;
                if let Some(former) = former {
                    self.saved.replace(&former, &self.begun_with);
                }
                if standing == Standing::Retired {
                    self.start_no_more().await;
                }
                self.watch_memory();
                self.record(Vec::new(), SYSTEM).await;
                let _ = done.send(());
            }
        }
    }

    fn call_off(&mut self, why: Unwanted) {
        self.unwanted.insert(why);
        self.rules.unwanted = true;
    }

    /// Whatever it was about to do, and whoever has still its handle: nothing that it began would
    /// be on record.
    async fn start_no_more(&mut self) {
        self.call_off(Unwanted::End);
        self.rules.autorestart = Autorestart::Never;
        if !matches!(
            self.saved.state,
            State::Starting { .. } | State::Online { .. }
        ) {
            let stop = Input::Stop {
                reason: Reason::Reload,
                force: false,
                signal: None,
            };
            let _ = self.take(stop, SYSTEM).await;
        }
    }

    /// The sampler knows one run of an instance: the owner's.
    fn watch_memory(&mut self) {
        if let (Standing::Owner, Some(live)) = (self.standing, &mut self.live) {
            live.watch_memory(&self.id, &self.spec, &self.context);
        }
    }

    fn unwatch(&self) {
        if self.standing == Standing::Owner {
            self.context.sampler.unwatch(&self.id);
        }
    }

    /// One input, all the way: machine, journal, effects. Spawns answer in the same call.
    async fn take(&mut self, input: Input, actor: &str) -> Result<(), IllegalInput> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let now = self.context.clock.now();
            let exited = matches!(input, Input::Exited(_));
            let before = self.saved.clone();
            let (mut saved, mut effects) = self.step(&before, input, now)?;
            let at_once = exited && self.goes_on_at_once(&saved, now);
            if at_once {
                let (again, more) = self.step(&saved, Input::Woken, now)?;
                saved = again;
                effects.retain(|effect| !matches!(effect, Effect::EndLeftovers { .. }));
                effects.extend(more);
            }
            let ended = before
                .state
                .run()
                .filter(|run| saved.state.run() != Some(*run))
                .cloned();
            self.saved = saved;
            self.came_up_from(&before.state);
            let (events, acts) = split(effects);
            let mut over = None;
            match ended {
                Some(run) if at_once => {
                    self.write_turnover(&run, events, actor).await;
                    self.leave_run();
                    over = Some(run);
                }
                Some(run) => {
                    self.write_down(events, actor).await;
                    self.leave_run();
                    let is_rest = |act: &Effect| matches!(act, Effect::EndLeftovers { .. });
                    // Its remains are found by what is kept of it.
                    if !acts.iter().any(is_rest) {
                        self.context.launcher.forget(&run.process);
                    }
                }
                None => self.write_down(events, actor).await,
            }
            for act in acts {
                // A spawn is always the last effect, so its answer is the next input. Only what
                // comes of it is shown, and what was before it is told now.
                if matches!(act, Effect::Spawn { .. }) {
                    self.tell();
                }
                next = self.perform(act).await;
            }
            if let Some(run) = over {
                // Nobody waits for this, unlike for the spawn.
                self.context.launcher.forget(&run.process);
            }
            if next.is_none() {
                self.show();
                self.tell();
            }
        }
        Ok(())
    }

    /// Asks the machine. Runs are counted together with the other task of a reload, so that no
    /// two have the same number.
    fn step(
        &mut self,
        saved: &Saved,
        input: Input,
        now: Timestamp,
    ) -> Result<(Saved, Vec<Effect>), IllegalInput> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        self.rules.newest = *newest;
        #[cfg(test)]
        crate::simulation::note(&self.id, &saved.state, &input);
        let before = saved;
        let mut stepped = machine::step(before, input, &self.rules, now);
        match &mut stepped {
            Ok((saved, _)) => {
                if self.standing == Standing::Owner {
                    saved.remember_shadows(before);
                }
                *newest = saved.counters.generation.max(*newest);
            }
            Err(refused) => {
                error!(process = %self.id.process, instance = self.id.index, error = %refused, "An input was refused.");
            }
        }
        stepped
    }

    /// A restart that is due in the moment of the exit is taken in the same step, and so in
    /// the same transaction: when nothing of the old tree is left to wait for.
    fn goes_on_at_once(&self, saved: &Saved, now: Timestamp) -> bool {
        let due = matches!(
            saved.state,
            State::Errored { hold: Hold::Retrying { next_at, .. } } if next_at <= now
        );
        let launcher = &self.context.launcher;
        due && self.standing == Standing::Owner
            && !self.rules.unwanted
            && self.cleanup.is_none()
            && self
                .saved
                .state
                .run()
                .is_some_and(|run| !self.rules.kill_tree || launcher.left_nothing(&run.process))
    }

    async fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Spawn { generation } => return Some(self.spawn(generation).await),
            Effect::Signal { run, signal, scope } => {
                // The tree of a shadow would include the owner's, which is older.
                let scope = if self.standing == Standing::Shadow {
                    Scope::Group
                } else {
                    scope
                };
                let reached = self.send(&run, signal, scope).await;
                debug!(instance = %self.id, pid = run.process.pid, signal = %signal, reached, "Sent a signal.");
            }
            Effect::AwaitTree { run } => self.await_tree(run),
            Effect::EndLeftovers { run } => self.end_leftovers(run).await,
            Effect::Event { .. } => {}
        }
        None
    }

    async fn send(&mut self, run: &Run, signal: Signal, scope: Scope) -> bool {
        let launcher = Arc::clone(&self.context.launcher);
        let main = self.saved.main_of(run).filter(|_| scope == Scope::Leader);
        let told = match main {
            Some(main) => launcher.signal_one(main, signal).await,
            None => false,
        };
        // Who started the main process waits for its end, and is not hurried before it is late.
        let is_enough = told && signal != Signal::KILL;
        let reached = is_enough || launcher.signal(&self.id, &run.process, signal, scope).await;
        if signal == Signal::KILL {
            self.killed_at = Some(Instant::now());
        }
        reached
    }

    fn is_ready(&self) -> bool {
        let live = self.live.as_ref();
        let probes = live.and_then(|live| live.probes.as_ref());
        matches!(self.saved.state, State::Online { leaving: false, .. })
            && probes.is_none_or(Probes::are_ready)
    }

    fn show(&mut self) {
        let probes = self
            .live
            .as_ref()
            .and_then(|live| live.probes.as_ref())
            .map(|p| p.views())
            .unwrap_or_default();
        let health = if probes.is_empty() && !self.spec.config.health.is_empty() {
            HealthStatus::Pending
        } else {
            HealthStatus::worst(probes.iter().map(|view| view.status))
        };
        let snapshot = Snapshot {
            saved: self.saved.clone(),
            cleaning: self.cleanup.is_some(),
            spawn_error: self.spawn_error.clone(),
            health,
            probes: Arc::new(probes),
            failing_since: self.failing_since,
            ready: self.is_ready(),
            awaited: self.rules.awaited(),
            status_text: self
                .live
                .as_ref()
                .and_then(|live| live.hearing.as_ref()?.status.clone()),
        };
        self.publish.say(|shown| {
            let changed = **shown != snapshot;
            if changed {
                *shown = Arc::new(snapshot);
            }
            changed
        });
    }
}

/// Events, which go to the journal, apart from what is done after they are written.
fn split(effects: Vec<Effect>) -> (Vec<(EventKind, serde_json::Value)>, Vec<Effect>) {
    let (mut events, mut acts) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Event { kind, data } => events.push((kind, data)),
            act @ (Effect::Spawn { .. }
            | Effect::Signal { .. }
            | Effect::AwaitTree { .. }
            | Effect::EndLeftovers { .. }) => {
                acts.push(act);
            }
        }
    }
    (events, acts)
}

/// Sleeps until then; for ever, when there is no such time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for a future that is kept between turns, and takes it away once it has resolved.
async fn resolved<T>(slot: &mut Option<Pending<T>>) -> T {
    let value = match slot {
        Some(future) => future.as_mut().await,
        None => std::future::pending().await,
    };
    *slot = None;
    value
}

async fn received<T>(receiver: &mut Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}
