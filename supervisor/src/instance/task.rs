//! The loop: choose one input, ask the machine, record, perform, publish.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use super::run::{LiveRun, Pending};
use super::{Context, Message, Snapshot, Standing, leftovers};
use crate::clock::after;
use crate::command::view::HealthStatus;
use crate::event::{Event, EventKind, NewEvent};
use crate::ids::{Generation, InstanceId};
use crate::launch::{Found, Scope, SpawnError, SpawnOrder};
use crate::machine::{self, Effect, IllegalInput, Input, Rules};
use crate::paths::Stream;
use crate::probe::ProbeEvent;
use crate::secret::masked;
use crate::spec::{OnFail, Output, ProcessSpec, Signal};
use crate::state::{ExitStatus, Hold, Run, Saved, State};
use crate::store::Batch;

/// How long a process that depends on others is left alone after its probe has failed. Most
/// often the fault is in a dependency whose own probe is green, and whoever looks for causes
/// needs this long to find it; restarting the victim would only add noise.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// The actor of an event that follows from the rules.
const SYSTEM: &str = "system";

pub(super) struct InstanceTask {
    standing: Standing,
    id: InstanceId,
    spec: Arc<ProcessSpec>,
    rules: Rules,
    saved: Saved,
    /// The newest run of the instance, whoever has it.
    newest: Arc<Mutex<Generation>>,
    live: Option<LiveRun>,
    /// Resolves when the tree of a stopping run is gone.
    tree: Option<Pending<()>>,
    /// Resolves when the remains of an ended run are gone.
    cleanup: Option<Pending<()>>,
    spawn_error: Option<String>,
    failing_since: Option<Timestamp>,
    /// Its probe has failed; it is restarted at this time if that is still its own fault.
    suspect_until: Option<Timestamp>,
    context: Context,
    publish: watch::Sender<Arc<Snapshot>>,
}

/// What the loop woke up for.
enum Turn {
    Message(Box<Message>),
    Input(Input),
    Probe(ProbeEvent),
    CleanedUp,
    Suspicion,
    End,
}

impl InstanceTask {
    pub(super) fn new(
        standing: Standing,
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        saved: Saved,
        newest: Arc<Mutex<Generation>>,
        context: Context,
        publish: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let rules = Rules::of(&spec, id.index);
        Self {
            standing,
            id,
            spec,
            rules,
            saved,
            newest,
            live: None,
            tree: None,
            cleanup: None,
            spawn_error: None,
            failing_since: None,
            suspect_until: None,
            context,
            publish,
        }
    }

    /// Runs until its handles are gone or the set of tasks ends. Children are left alone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Box<Message>>) {
        self.resume().await;
        loop {
            match self.turn(&mut inbox).await {
                Turn::Message(message) => self.message(*message).await,
                Turn::Input(input) => {
                    let _ = self.take(input, SYSTEM).await;
                }
                Turn::Probe(event) => self.probe(event).await,
                Turn::CleanedUp => self.show(),
                Turn::Suspicion => self.suspicion_over().await,
                Turn::End => break,
            }
        }
        self.unwatch();
    }

    /// Chooses one input. Orders come first, so that a stop overtakes everything else.
    async fn turn(&mut self, inbox: &mut mpsc::Receiver<Box<Message>>) -> Turn {
        let wake = self.sleep_until(self.wake_at());
        let suspicion = self.sleep_until(self.suspect_until);
        let token = self.context.tasks.token();
        let Self {
            live,
            tree,
            cleanup,
            ..
        } = self;
        let (mut nothing, mut probe, mut memory) = (None, None, None);
        let mut exit: &mut Option<Pending<ExitStatus>> = &mut nothing;
        if let Some(live) = live {
            (exit, probe, memory) = (
                &mut live.exit,
                Some(&mut live.probe_events),
                Some(&mut live.memory),
            );
        }
        tokio::select! {
            biased;
            () = token.cancelled() => Turn::End,
            message = inbox.recv() => message.map_or(Turn::End, Turn::Message),
            status = resolved(exit) => Turn::Input(Input::Exited(status)),
            () = resolved(tree) => Turn::Input(Input::TreeGone),
            () = resolved(cleanup) => Turn::CleanedUp,
            Some(breach) = received(&mut memory) => {
                Turn::Input(Input::MemoryExceeded { rss: breach.rss_bytes, limit: breach.limit_bytes })
            }
            Some(event) = received(&mut probe) => Turn::Probe(event),
            () = wake => Turn::Input(Input::Woken),
            () = suspicion => Turn::Suspicion,
        }
    }

    /// Sleeps until a wall time; for ever, when there is none.
    fn sleep_until(&self, at: Option<Timestamp>) -> impl Future<Output = ()> + Send + use<> {
        let instant = at.map(|at| self.context.clock.instant_of(at));
        async move {
            match instant {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
        }
    }

    /// A retry waits until the remains of the last run are gone.
    fn wake_at(&self) -> Option<Timestamp> {
        if self.cleanup.is_some() && matches!(self.saved.state, State::Errored { .. }) {
            return None;
        }
        machine::wake_at(&self.saved, &self.rules)
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Order { input, actor, done } => {
                let result = self.take(input, &actor).await;
                let _ = done.send(result);
            }
            Message::Define(spec) => {
                self.rules = Rules::of(&spec, self.id.index);
                self.spec = spec;
                self.watch_memory();
                self.show();
            }
            Message::Stand(standing, done) => {
                self.standing = standing;
                self.watch_memory();
                self.record(Vec::new(), SYSTEM).await;
                let _ = done.send(());
            }
        }
    }

    /// The sampler knows one run of an instance: the owner's.
    fn watch_memory(&self) {
        if let (Standing::Owner, Some(live)) = (self.standing, &self.live) {
            live.watch_memory(&self.id, &self.spec, &self.context);
        }
    }

    fn unwatch(&self) {
        if self.standing == Standing::Owner {
            self.context.sampler.unwatch(&self.id);
        }
    }

    /// Takes over what a former daemon left behind.
    async fn resume(&mut self) {
        // First of all what it prints is read again: a full FIFO would block it.
        if let State::Starting { run } | State::Online { run, .. } | State::Stopping { run, .. } =
            &self.saved.state
        {
            self.attach(run.generation).await;
        }
        if self.standing == Standing::Owner {
            self.end_strays().await;
        }
        match self.saved.state.clone() {
            State::Stopped
            | State::Errored {
                hold:
                    Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart,
            } => {}
            State::Spawning { generation, .. } => {
                self.attach(generation).await;
                let found = self
                    .context
                    .launcher
                    .find_unrecorded(&self.id, generation)
                    .await;
                let _ = self
                    .take(found.map_or(Input::SpawnLost, Input::Spawned), SYSTEM)
                    .await;
            }
            State::Starting { run }
            | State::Online { run, .. }
            | State::Stopping { run, .. }
            | State::Errored {
                hold: Hold::Unkillable { run },
            } => self.adopt(run).await,
        }
        self.show();
    }

    /// A daemon that died in the middle of a reload leaves two generations, and one that died
    /// while it ended the remains of a run leaves those. The recorded run is the one that
    /// counts. A newer one has not proven itself and goes at once; an older one was about to
    /// go and has its grace period.
    async fn end_strays(&mut self) {
        let newest = self.saved.counters.generation;
        if newest == 0 {
            return;
        }
        let counted = match &self.saved.state {
            State::Spawning { generation, .. } => Some(*generation),
            state => state.run().map(|run| run.generation),
        };
        let launcher = Arc::clone(&self.context.launcher);
        let mut old = Vec::new();
        for (generation, stray) in launcher.strays(&self.id, counted).await {
            if generation > newest {
                warn!(process = %self.id.process, instance = self.id.index, pid = stray.pid, "Ending the new generation of an unfinished reload.");
                launcher
                    .signal(&self.id, &stray, Signal::KILL, Scope::Group)
                    .await;
                launcher.forget(&stray);
            } else if self.rules.kill_tree {
                warn!(process = %self.id.process, instance = self.id.index, pid = stray.pid, "Ending what an earlier run left behind.");
                // It may have more to say while it ends.
                self.attach(generation).await;
                old.push(stray);
            } else {
                launcher.forget(&stray);
            }
        }
        if !old.is_empty() {
            let (id, signal, grace) = (
                self.id.clone(),
                self.rules.stop_signal,
                self.rules.grace_period,
            );
            self.cleanup = Some(Box::pin(leftovers::end_strays(
                launcher, id, old, signal, grace,
            )));
        }
    }

    async fn adopt(&mut self, run: Run) {
        self.attach(run.generation).await;
        match self.context.launcher.adopt(&run.process).await {
            Found::Alive(_) => {
                info!(process = %self.id.process, instance = self.id.index, pid = run.process.pid, "Adopted a running instance.");
                let data = json!({ "pid": run.process.pid, "generation": run.generation });
                self.enter_run(run.clone());
                self.record(vec![(EventKind::Adopted, data)], SYSTEM).await;
                if let State::Stopping { killed, exit, .. } = self.saved.state.clone() {
                    // The intention was written; whether the signal went out is not known.
                    let signal = if killed {
                        Signal::KILL
                    } else {
                        self.rules.stop_signal
                    };
                    let scope = Scope::Tree;
                    self.context
                        .launcher
                        .signal(&self.id, &run.process, signal, scope)
                        .await;
                    if exit.is_some() {
                        self.await_tree(run);
                    }
                }
            }
            Found::Ended(status) => {
                if let State::Stopping { exit: Some(_), .. } = self.saved.state {
                    self.await_tree(run);
                } else {
                    self.live = None;
                    let _ = self.take(Input::Exited(status), SYSTEM).await;
                }
            }
        }
    }

    /// One input, all the way: machine, journal, effects. Spawns answer in the same call.
    async fn take(&mut self, input: Input, actor: &str) -> Result<(), IllegalInput> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let (saved, effects) = self.step(input)?;
            let ended = self
                .saved
                .state
                .run()
                .filter(|run| saved.state.run() != Some(*run))
                .cloned();
            self.saved = saved;
            let (events, acts) = split(effects);
            self.record(events, actor).await;
            if let Some(run) = ended {
                let remains = acts
                    .iter()
                    .any(|act| matches!(act, Effect::EndLeftovers { .. }));
                self.leave_run(&run, remains);
            }
            for act in acts {
                // A spawn is always the last effect, so its answer is the next input.
                next = self.perform(act).await;
            }
            self.show();
        }
        Ok(())
    }

    /// Asks the machine. Runs are counted together with the other task of a reload, so that no
    /// two have the same number.
    fn step(&mut self, input: Input) -> Result<(Saved, Vec<Effect>), IllegalInput> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        self.rules.newest = *newest;
        let now = self.context.clock.now();
        let stepped = machine::step(&self.saved, input, &self.rules, now);
        match &stepped {
            Ok((saved, _)) => *newest = saved.counters.generation.max(*newest),
            Err(refused) => {
                error!(process = %self.id.process, instance = self.id.index, error = %refused, "An input was refused.");
            }
        }
        stepped
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
                let reached = self
                    .context
                    .launcher
                    .signal(&self.id, &run.process, signal, scope)
                    .await;
                debug!(instance = %self.id, pid = run.process.pid, signal = %signal, reached, "Sent a signal.");
            }
            Effect::AwaitTree { run } => self.await_tree(run),
            Effect::EndLeftovers { run } => self.end_leftovers(run).await,
            Effect::Event { .. } => {}
        }
        None
    }

    fn await_tree(&mut self, run: Run) {
        let (launcher, id) = (Arc::clone(&self.context.launcher), self.id.clone());
        self.tree = Some(Box::pin(async move {
            leftovers::gone(&*launcher, &id, &run).await
        }));
    }

    async fn end_leftovers(&mut self, run: Run) {
        let launcher = Arc::clone(&self.context.launcher);
        if self.standing == Standing::Shadow {
            launcher
                .signal(&self.id, &run.process, Signal::KILL, Scope::Group)
                .await;
        }
        if launcher
            .remaining(&self.id, &run.process, run.generation)
            .await
            == 0
            || self.standing == Standing::Shadow
        {
            launcher.forget(&run.process);
            return;
        }
        let (id, signal, grace) = (
            self.id.clone(),
            self.rules.stop_signal,
            self.rules.grace_period,
        );
        let before = self.cleanup.take();
        self.cleanup = Some(Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            let process = run.process.clone();
            leftovers::end(Arc::clone(&launcher), id, run, signal, grace).await;
            launcher.forget(&process);
        }));
    }

    /// Starts a run and says how that went.
    async fn spawn(&mut self, generation: Generation) -> Input {
        if let Some(cleanup) = self.cleanup.take() {
            // Never two copies: the remains of the last run go first.
            cleanup.await;
        }
        let env = self
            .spec
            .environment(&self.id, generation, &self.context.paths);
        let order = SpawnOrder {
            instance: self.id.clone(),
            generation,
            argv: self.spec.argv.clone(),
            cwd: self.spec.cwd.clone(),
            env,
            limits: self.spec.config.limits,
            user: self.spec.config.user.clone(),
            group: self.spec.config.group.clone(),
            stdout: self.new_output(generation, Stream::Out),
            stderr: self.new_output(generation, Stream::Err),
        };
        let outputs = [order.stdout.clone(), order.stderr.clone()];
        if let Some(error) = self.attach_to(generation, outputs).await {
            return self.spawn_failed(error);
        }
        match self.context.launcher.spawn(order).await {
            Ok(process) => {
                self.spawn_error = None;
                let run = Run {
                    generation,
                    process: process.clone(),
                    started_at: self.context.clock.now(),
                };
                self.enter_run(run);
                Input::Spawned(process)
            }
            Err(error) => self.spawn_failed(error),
        }
    }

    fn spawn_failed(&mut self, error: SpawnError) -> Input {
        warn!(process = %self.id.process, instance = self.id.index, error = %error, "Could not start an instance.");
        self.spawn_error = Some(error.to_string());
        Input::SpawnFailed(error)
    }

    /// Where a run that is about to begin writes a stream.
    fn new_output(&self, generation: Generation, stream: Stream) -> PathBuf {
        let paths = &self.context.paths;
        match self.spec.config.output {
            Output::Pipe => paths.fifo(&self.id, generation, stream),
            Output::File => paths.spool(&self.id, generation, stream),
        }
    }

    /// Reads again what a run that has begun prints.
    async fn attach(&mut self, generation: Generation) -> Option<SpawnError> {
        let paths = &self.context.paths;
        let outputs = Stream::BOTH.map(|stream| paths.output(&self.id, generation, stream));
        self.attach_to(generation, outputs).await
    }

    async fn attach_to(
        &mut self,
        generation: Generation,
        [out, err]: [PathBuf; 2],
    ) -> Option<SpawnError> {
        let (capture, id) = (&self.context.capture, &self.id);
        let one = async |stream, path: PathBuf| {
            let attached = capture.attach(id, generation, stream, &path).await;
            attached.err().map(|error| SpawnError::Output {
                path,
                error: error.to_string(),
            })
        };
        let (out, err) = tokio::join!(one(Stream::Out, out), one(Stream::Err, err));
        out.or(err)
    }

    /// Begins to watch and probe a run.
    fn enter_run(&mut self, run: Run) {
        self.failing_since = None;
        let generation = run.generation;
        let mut live = LiveRun::watch(run, &self.context);
        let env = self
            .spec
            .environment(&self.id, generation, &self.context.paths);
        live.probe(&self.id, &self.spec, &env, &self.context);
        self.live = Some(live);
        self.watch_memory();
    }

    /// Ends what belonged to a run. When its remains are still to be ended, that forgets it.
    fn leave_run(&mut self, run: &Run, remains: bool) {
        self.live = None;
        self.tree = None;
        self.failing_since = None;
        self.suspect_until = None;
        self.unwatch();
        if !remains {
            self.context.launcher.forget(&run.process);
        }
    }

    /// Time to decide whose fault a failed probe was.
    async fn suspicion_over(&mut self) {
        self.suspect_until = None;
        let shielded = self
            .context
            .board
            .ailing_dependency(&self.id.process)
            .is_some();
        if self.failing_since.is_some() && !shielded {
            let _ = self.take(Input::ProbeFailed, SYSTEM).await;
        }
    }

    async fn probe(&mut self, event: ProbeEvent) {
        match event {
            ProbeEvent::Attempt { passed } => {
                if passed {
                    self.failing_since = None;
                    self.suspect_until = None;
                } else if self.failing_since.is_none() {
                    self.failing_since = Some(self.context.clock.now());
                }
                self.show();
            }
            ProbeEvent::Ready => {
                self.failing_since = None;
                let _ = self.take(Input::Ready, SYSTEM).await;
            }
            ProbeEvent::Failed {
                probe,
                error,
                failures,
                on_fail,
            } => {
                if !matches!(self.saved.state, State::Online { .. }) {
                    return;
                }
                let shield = self.context.board.ailing_dependency(&self.id.process);
                let mut data = json!({ "probe": probe, "error": error, "failures": failures });
                if let Some(dependency) = &shield {
                    data["dependency"] = json!(dependency);
                }
                self.record(vec![(EventKind::HealthFail, data)], SYSTEM)
                    .await;
                // A restart would not cure what a dependency ails from.
                if on_fail == OnFail::Restart && shield.is_none() {
                    if !self.context.board.has_dependencies(&self.id.process) {
                        let _ = self.take(Input::ProbeFailed, SYSTEM).await;
                    } else if self.suspect_until.is_none() {
                        self.suspect_until = Some(after(self.context.clock.now(), LOOK_AROUND));
                    }
                }
            }
            ProbeEvent::Recovered {
                probe,
                failures,
                downtime,
            } => {
                let data = json!({ "probe": probe, "failures": failures, "downtime_ms": downtime.as_millis() as u64 });
                self.record(vec![(EventKind::HealthRecover, data)], SYSTEM)
                    .await;
            }
        }
    }

    /// Writes the state and these events in one transaction, then publishes the events.
    /// When the journal cannot write, supervision goes on from memory.
    async fn record(&mut self, events: Vec<(EventKind, serde_json::Value)>, actor: &str) {
        let at = self.context.clock.now();
        let mut rows = Vec::with_capacity(events.len());
        for (kind, mut data) in events {
            if kind == EventKind::Crash {
                let generation = self.saved.counters.generation;
                let lines = self.context.capture.last_words(&self.id, generation).await;
                let secrets = self.spec.secrets();
                let lines = lines.into_iter().map(|line| masked(line, &secrets));
                data["last_lines"] = json!(lines.collect::<Vec<_>>());
            }
            let (process, instance) = (self.id.process.clone(), Some(self.id.index));
            rows.push(NewEvent {
                at,
                process,
                instance,
                kind,
                data,
                actor: actor.to_owned(),
            });
        }
        let instances = match self.standing {
            Standing::Owner => vec![(self.id.clone(), self.saved.clone())],
            Standing::Shadow | Standing::Retired => Vec::new(),
        };
        let batch = Batch {
            instances,
            events: rows.clone(),
            ..Batch::default()
        };
        let recorded: Vec<Event> = match self.context.journal.commit(batch).await {
            Ok(events) => events,
            Err(error) => {
                error!(process = %self.id.process, instance = self.id.index, %error, "A state change could not be recorded.");
                rows.into_iter().map(|row| row.with_id(0)).collect()
            }
        };
        for event in recorded {
            self.context.bus.publish(event);
        }
    }

    fn show(&mut self) {
        let probes = self
            .live
            .as_ref()
            .and_then(|live| live.probes.as_ref())
            .map(|p| p.views())
            .unwrap_or_default();
        let health = if probes.is_empty() && self.rules.probed {
            HealthStatus::Pending
        } else {
            overall(probes.iter().map(|view| view.status))
        };
        let snapshot = Snapshot {
            saved: self.saved.clone(),
            cleaning: self.cleanup.is_some(),
            spawn_error: self.spawn_error.clone(),
            health,
            probes: Arc::new(probes),
            failing_since: self.failing_since,
        };
        self.publish.send_if_modified(|shown| {
            let changed = **shown != snapshot;
            if changed {
                *shown = Arc::new(snapshot);
            }
            changed
        });
    }
}

/// The worst of several probes; off when there are none.
fn overall(statuses: impl Iterator<Item = HealthStatus>) -> HealthStatus {
    statuses.fold(HealthStatus::Off, |worst, status| match (worst, status) {
        (HealthStatus::Fail, _) | (_, HealthStatus::Fail) => HealthStatus::Fail,
        (HealthStatus::Pending, _) | (_, HealthStatus::Pending) => HealthStatus::Pending,
        (_, status) => status,
    })
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
