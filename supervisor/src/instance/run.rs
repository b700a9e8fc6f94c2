//! What belongs to one run and ends with it: the wait for its exit, its probes, its place in
//! the sampler.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::Context;
use super::hearing::Hearing;
use crate::ids::InstanceId;
use crate::os_text::OsText;
use crate::probe::{Phase, ProbeEvent, Probes, Subject};
use crate::sampler::MemoryBreach;
use crate::spec::ProcessSpec;
use crate::state::{ExitStatus, Run};

/// A future that is kept between turns of the loop.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Resources of a live run.
pub(super) struct LiveRun {
    /// Which.
    pub(super) run: Run,
    /// Resolves when the leader is gone; taken when it has.
    pub(super) exit: Option<Pending<ExitStatus>>,
    /// Its probes, if there are any.
    pub(super) probes: Option<Probes>,
    /// What they say. A channel weighs more than all the rest here: most runs have none.
    pub(super) probe_events: Option<mpsc::Receiver<ProbeEvent>>,
    /// What it says of itself, if somebody listens to that.
    pub(super) hearing: Option<Box<Hearing>>,
    /// When it is over its limit, if it has one.
    pub(super) memory: Option<mpsc::Receiver<MemoryBreach>>,
    /// Its streams could not be read yet; that is tried until this is dropped.
    pub(super) unread: Option<DropGuard>,
}

impl LiveRun {
    /// Waits for a run's exit. Probes and the sampler are told apart.
    pub(super) fn watch(run: Run, context: &Context) -> Self {
        let (launcher, process) = (Arc::clone(&context.launcher), run.process.clone());
        let exit: Pending<ExitStatus> = Box::pin(async move { launcher.exited(&process).await });
        Self {
            run,
            exit: Some(exit),
            probes: None,
            probe_events: None,
            hearing: None,
            memory: None,
            unread: None,
        }
    }

    /// Tells the sampler, with the limit of this definition.
    pub(super) fn watch_memory(
        &mut self,
        instance: &InstanceId,
        spec: &ProcessSpec,
        context: &Context,
    ) {
        let limit = spec.config.max_memory;
        let (breach, memory) = limit.map(|_| mpsc::channel(1)).unzip();
        self.memory = memory;
        let process = &self.run.process;
        context.sampler.watch(instance, process, limit, breach);
    }

    /// Starts the probes of this definition.
    pub(super) fn probe(
        &mut self,
        instance: &InstanceId,
        spec: &ProcessSpec,
        env: &BTreeMap<String, OsText>,
        phase: Phase,
        context: &Context,
    ) {
        let (sender, events) = mpsc::channel(4);
        let (clock, tasks) = (&context.clock, &context.tasks);
        let subject = Subject {
            instance,
            process: Some(&self.run.process),
            env,
        };
        self.probes = Probes::start(spec, subject, phase, clock, tasks, sender);
        self.probe_events = self.probes.is_some().then_some(events);
    }
}
