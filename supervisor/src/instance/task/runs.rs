//! The beginning and the end of a run: spawn, watch, what it leaves behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::InstanceTask;
use crate::ids::{Generation, InstanceId};
use crate::instance::hearing::Hearing;
use crate::instance::run::LiveRun;
use crate::instance::{Context, Standing, leftovers};
use crate::launch::{Scope, SpawnError, SpawnOrder};
use crate::machine::{Input, KILL_WAIT};
use crate::paths::Stream;
use crate::probe::Phase;
use crate::spec::{Output, Signal};
use crate::state::{Run, State};

/// When streams that could not be read are tried again.
const ATTACH_AGAIN: Duration = Duration::from_millis(100);
/// How often, for a run that has ended.
const ATTACH_TIMES: u32 = 20;

/// The streams of a run that was not spawned yet.
pub(super) struct Attached {
    pub(super) generation: Generation,
    /// Why that failed.
    pub(super) error: Option<SpawnError>,
}

impl InstanceTask {
    /// Starts a run and says how that went.
    pub(super) async fn spawn(&mut self, generation: Generation) -> Input {
        if let Some(cleanup) = self.cleanup.take() {
            // Never two copies: the remains of the last run go first.
            cleanup.await;
        }
        let outputs = self.new_outputs(generation);
        let attached = match self.attached.take() {
            Some(attached) if attached.generation == generation => attached.error,
            _ => attach(&self.context, &self.id, generation, outputs.clone()).await,
        };
        if let Some(error) = attached {
            return self.spawn_failed(error);
        }
        let [stdout, stderr] = outputs;
        let paths = &self.context.paths;
        let order = SpawnOrder {
            instance: self.id.clone(),
            generation,
            argv: self.spec.argv.clone(),
            cwd: self.spec.cwd.clone(),
            env: self.spec.environment(&self.id, generation, paths),
            limits: self.spec.config.limits,
            sandbox: self.spec.config.sandbox(),
            user: self.spec.config.user.clone(),
            group: self.spec.config.group.clone(),
            stdout,
            stderr,
            listen: self.spec.config.listen.clone(),
            voice: self.spec.config.voice(),
        };
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

    pub(super) fn spawn_failed(&mut self, error: SpawnError) -> Input {
        warn!(process = %self.id.process, instance = self.id.index, error = %error, "Could not start an instance.");
        self.spawn_error = Some(error.to_string());
        Input::SpawnFailed(error)
    }

    /// Where a run that is about to begin writes its streams.
    pub(super) fn new_outputs(&self, generation: Generation) -> [PathBuf; 2] {
        let paths = &self.context.paths;
        Stream::BOTH.map(|stream| match self.spec.config.output {
            Output::Pipe => paths.fifo(&self.id, generation, stream),
            Output::File => paths.spool(&self.id, generation, stream),
        })
    }

    /// Reads again what a run that has begun prints.
    pub(super) async fn attach(&mut self, generation: Generation) -> Option<SpawnError> {
        attach_begun(&self.context, &self.id, generation).await
    }

    /// The same for a run that goes on and could not be read: again until it can. Its program
    /// would wait for ever in front of a full FIFO.
    pub(super) fn attach_later(&mut self, generation: Generation) {
        let Some(live) = &mut self.live else {
            return;
        };
        let (context, id) = (self.context.clone(), self.id.clone());
        let stop = context.tasks.token().child_token();
        live.unread = Some(stop.clone().drop_guard());
        let again = async move {
            loop {
                tokio::time::sleep(ATTACH_AGAIN).await;
                if attach_begun(&context, &id, generation).await.is_none() {
                    return;
                }
            }
        };
        let tasks = &self.context.tasks;
        tasks.spawn(format!("capture of {}", self.id), async move {
            stop.run_until_cancelled(again).await;
        });
    }

    /// The same for a run that has ended: what it left in its FIFO goes with the next attempt to
    /// start it, which is not kept waiting for long.
    pub(super) async fn attach_before_it_goes(&mut self, generation: Generation) {
        for _ in 0..ATTACH_TIMES {
            tokio::time::sleep(ATTACH_AGAIN).await;
            if self.attach(generation).await.is_none() {
                return;
            }
        }
    }

    /// Begins to watch and probe a run.
    pub(super) fn enter_run(&mut self, run: Run) {
        self.failing_since = None;
        let generation = run.generation;
        let mut live = LiveRun::watch(run, &self.context);
        if !self.spec.config.health.is_empty() {
            let env = self
                .spec
                .environment(&self.id, generation, &self.context.paths);
            let phase = match self.saved.state {
                State::Online { .. } => Phase::Online,
                _ => Phase::Starting,
            };
            live.probe(&self.id, &self.spec, &env, phase, &self.context);
        }
        live.hearing = Hearing::start(
            &live.run,
            &self.id,
            &self.spec,
            &self.saved.state,
            &self.context,
        );
        self.live = Some(live);
        self.watch_memory();
    }

    /// Ends what belonged to a run.
    pub(super) fn leave_run(&mut self) {
        self.live = None;
        self.tree = None;
        self.last_look = None;
        self.killed_at = None;
        self.failing_since = None;
        self.suspect_until = None;
        self.unwatch();
    }

    pub(super) fn await_tree(&mut self, run: Run) {
        let (launcher, id) = (Arc::clone(&self.context.launcher), self.id.clone());
        self.tree = Some(match self.standing {
            // What is older is the owner's.
            Standing::Shadow => Box::pin(leftovers::end_run(launcher, id, run.generation)),
            Standing::Owner | Standing::Retired => {
                Box::pin(async move { leftovers::gone(&*launcher, &id, &run).await })
            }
        });
    }

    /// The time of a killed tree is over. That somebody of it is left has to be seen now: the
    /// looks so far may have come late, as in a crowd that ends at once.
    pub(super) fn look_again(&mut self) {
        let Some(run) = self.saved.state.run().cloned() else {
            return;
        };
        let (launcher, id) = (Arc::clone(&self.context.launcher), self.id.clone());
        self.last_look = Some(match self.standing {
            // What is older is the owner's.
            Standing::Shadow => {
                Box::pin(
                    async move { leftovers::are_of_run(&*launcher, &id, run.generation).await },
                )
            }
            Standing::Owner | Standing::Retired => {
                Box::pin(async move { leftovers::are_there(&*launcher, &id, &run).await })
            }
        });
    }

    pub(super) async fn end_leftovers(&mut self, run: Run) {
        let launcher = Arc::clone(&self.context.launcher);
        if self.standing == Standing::Shadow {
            // What is older is the owner's.
            launcher
                .signal(&self.id, &run.process, Signal::KILL, Scope::Group)
                .await;
            let (id, generation) = (self.id.clone(), run.generation);
            self.cleanup = Some(Box::pin(async move {
                let end = leftovers::end_run(Arc::clone(&launcher), id, generation);
                let _ = tokio::time::timeout(KILL_WAIT, end).await;
                launcher.forget(&run.process);
            }));
            return;
        }
        if launcher
            .remaining(&self.id, &run.process, run.generation)
            .await
            == Some(0)
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
}

/// Has what a run prints captured that has begun.
async fn attach_begun(
    context: &Context,
    id: &InstanceId,
    generation: Generation,
) -> Option<SpawnError> {
    let path = |stream| context.paths.output(id, generation, stream);
    match (path(Stream::Out), path(Stream::Err)) {
        (Ok(out), Ok(err)) => attach(context, id, generation, [out, err]).await,
        (Err(error), _) | (_, Err(error)) => Some(SpawnError::Output {
            path: context.paths.spool(id, generation, Stream::Out),
            error: error.to_string(),
        }),
    }
}

/// Has what a run prints captured.
pub(super) async fn attach(
    context: &Context,
    id: &InstanceId,
    generation: Generation,
    [out, err]: [PathBuf; 2],
) -> Option<SpawnError> {
    let one = async |stream, path: PathBuf| {
        let attached = context.capture.attach(id, generation, stream, &path).await;
        attached.err().map(|error| SpawnError::Output {
            path,
            error: error.to_string(),
        })
    };
    let (out, err) = tokio::join!(one(Stream::Out, out), one(Stream::Err, err));
    out.or(err)
}
