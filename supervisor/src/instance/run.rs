//! What belongs to one run and ends with it: the wait for its exit, its probes, its place in
//! the sampler.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Context;
use crate::ids::InstanceId;
use crate::os_text::OsText;
use crate::probe::{ProbeEvent, Probes};
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
    /// What they say.
    pub(super) probe_events: mpsc::Receiver<ProbeEvent>,
    probe_sender: mpsc::Sender<ProbeEvent>,
    /// When it is over its limit.
    pub(super) memory: mpsc::Receiver<MemoryBreach>,
    memory_sender: mpsc::Sender<MemoryBreach>,
}

impl LiveRun {
    /// Waits for a run's exit. Probes and the sampler are told apart.
    pub(super) fn watch(run: Run, context: &Context) -> Self {
        let (probe_sender, probe_events) = mpsc::channel(4);
        let (memory_sender, memory) = mpsc::channel(1);
        let (launcher, process) = (Arc::clone(&context.launcher), run.process.clone());
        let exit: Pending<ExitStatus> = Box::pin(async move { launcher.exited(&process).await });
        Self {
            run,
            exit: Some(exit),
            probes: None,
            probe_events,
            probe_sender,
            memory,
            memory_sender,
        }
    }

    /// Tells the sampler, with the limit of this definition.
    pub(super) fn watch_memory(
        &self,
        instance: &InstanceId,
        spec: &ProcessSpec,
        context: &Context,
    ) {
        let limit = spec.config.max_memory;
        context.sampler.watch(
            instance,
            &self.run.process,
            limit,
            self.memory_sender.clone(),
        );
    }

    /// Starts the probes of this definition.
    pub(super) fn probe(
        &mut self,
        instance: &InstanceId,
        spec: &ProcessSpec,
        env: &BTreeMap<String, OsText>,
        context: &Context,
    ) {
        let sender = self.probe_sender.clone();
        self.probes = Probes::start(spec, instance, env, &context.clock, &context.tasks, sender);
    }
}
