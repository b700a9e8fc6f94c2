//! The operating system: processes that outlive every daemon.
//!
//! A leader may leave children that are in its group or have escaped from it; all carry the
//! mark of their run. Exits are noticed late and out of order, signals take their time, and
//! some programs do not listen to them.
//! It is one piece although it is long: one world, and one method for each thing done to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::disk::Disk;
use super::ear::Listening;
use super::life::Life;
use super::process::Process;
use super::promises::{Intention, Promises};
use crate::ids::{Generation, InstanceId, ProcessName};
use crate::launch::{Ear, Found, Launcher, Scope, SpawnError, SpawnOrder};
use crate::notice::Notice;
use crate::spec::Signal;
use crate::state::{ExitStatus, Hold, ProcessRef, Run, State};

/// What the processes that begin from now on are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// They run until they are told to end, and listen.
    Well,
    /// They crash, fork, escape and ignore signals.
    Wild,
    /// They can seldom be started.
    Broken,
}

/// All processes. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Os {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    disk: Disk,
    promises: Promises,
    /// Of these no leader may be left when the next run begins; of others nothing at all.
    loose: Arc<BTreeSet<ProcessName>>,
    /// Looks for what is left of a tree take longer than a killed process may.
    slow_looks: bool,
}

/// A leader that lives.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) instance: InstanceId,
    pub(super) process: ProcessRef,
    /// What it was started with.
    pub(super) args: Vec<String>,
}

/// Tells a program that it begins beside another copy: the sign of a reload.
const BESIDE: &str = "MHOST_REUSEPORT";

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    mood: Mood,
    last_pid: i32,
    processes: Vec<Process>,
    /// The leaders that are called unkillable.
    unkillable: Vec<i32>,
}

impl Os {
    pub(super) fn new(
        seed: u64,
        disk: Disk,
        promises: Promises,
        loose: BTreeSet<ProcessName>,
    ) -> Self {
        let inner = Inner {
            rng: fastrand::Rng::with_seed(seed),
            mood: Mood::Wild,
            last_pid: 100,
            processes: Vec::new(),
            unkillable: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            changed: Arc::default(),
            disk,
            promises,
            loose: Arc::new(loose),
            slow_looks: false,
        }
    }

    /// As in a crowd that ends at once, where each has to wait for its turn.
    pub(super) fn with_slow_looks(self, slow_looks: bool) -> Self {
        Self { slow_looks, ..self }
    }

    fn look_takes(&self) -> Duration {
        if !self.slow_looks {
            return Duration::ZERO;
        }
        Duration::from_millis(self.inner().rng.u64(0..8_000))
    }

    /// A state is about to be written down. Whose tree is gone must not be called unkillable.
    pub(super) fn is_written(&self, instance: &InstanceId, state: &State) {
        let State::Errored {
            hold: Hold::Unkillable { run, .. },
        } = state
        else {
            if let Some(run) = state.run() {
                let mut inner = self.inner();
                inner.unkillable.retain(|pid| *pid != run.process.pid);
            }
            return;
        };
        let mut inner = self.inner();
        let pid = run.process.pid;
        if inner.unkillable.contains(&pid) {
            return;
        }
        inner.unkillable.push(pid);
        // That a leader has ended is heard a moment later.
        let moment = Duration::from_millis(100);
        let lived = |one: &Process| one.ends.is_none_or(|(at, _)| at + moment > Instant::now());
        let of_run = |one: &&Process| one.instance == *instance && one.generation <= run.generation;
        if !inner.processes.iter().filter(of_run).any(lived) {
            drop(inner);
            self.promises.broke(format!(
                "{instance}: {pid} is called unkillable, and it is gone"
            ));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.inner().mood = mood;
    }

    /// Somebody else kills the newest run of an instance.
    pub(super) fn kill_newest(&self, instance: &InstanceId) {
        let mut inner = self.inner();
        let mut living = inner.processes.iter_mut().rev();
        if let Some(process) =
            living.find(|one| one.instance == *instance && one.leader.is_none() && one.lives())
        {
            process.take(Signal::KILL, Duration::ZERO);
            let pid = process.process.pid;
            self.promises
                .tell(format!("somebody kills {pid} of {instance}"));
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// The living leaders of an instance.
    pub(super) fn leaders(&self, instance: &InstanceId) -> Vec<ProcessRef> {
        let all = self.all_leaders().into_iter();
        let its = all.filter(|one| one.instance == *instance);
        its.map(|one| one.process).collect()
    }

    /// All leaders that live.
    pub(super) fn all_leaders(&self) -> Vec<Leader> {
        let inner = self.inner();
        let leaders = inner
            .processes
            .iter()
            .filter(|one| one.leader.is_none() && one.lives());
        let leader = |one: &Process| Leader {
            instance: one.instance.clone(),
            process: one.process.clone(),
            args: one.args.clone(),
        };
        leaders.map(leader).collect()
    }

    /// All living children that are not of the run that is known, and should have gone with their
    /// leader.
    pub(super) fn orphans(&self, known: impl Fn(&InstanceId) -> Option<Run>) -> Vec<InstanceId> {
        let inner = self.inner();
        let is_orphan = |one: &&Process| {
            let is_whole = !self.loose.contains(&one.instance.process);
            let run = known(&one.instance);
            let its = run.is_some_and(|run| run.generation == one.generation);
            let strange = one.leader.is_some() && !its;
            is_whole && strange && one.lives()
        };
        let orphans = inner.processes.iter().filter(is_orphan);
        orphans.map(|one| one.instance.clone()).collect()
    }

    pub(super) fn lives(&self, process: &ProcessRef) -> bool {
        self.inner().find(process).is_some_and(Process::lives)
    }

    fn begin(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError> {
        let (instance, generation) = (order.instance, order.generation);
        let process = &instance.process;
        let renews = self.disk.renews(process);
        let intention = if renews && order.env.contains_key(BESIDE) {
            Intention::Reload
        } else {
            self.disk.intention(&instance, generation)
        };
        if let Some(first) = self.disk.did_not_wait_for(process) {
            self.promises
                .broke(format!("{instance} did not wait for {first}"));
        }
        let mut inner = self.inner();
        let is_whole = !self.loose.contains(process);
        let others = inner
            .marked(&instance)
            .filter(|one| is_whole || one.leader.is_none());
        let mut beside: BTreeSet<_> = others.map(|one| one.generation).collect();
        if renews && beside.len() == 1 {
            // The old one and the new one.
            beside.clear();
        }
        self.promises
            .spawned(&instance, generation, &beside, intention);
        if inner.mood == Mood::Broken && inner.rng.u8(..4) > 0 {
            return Err(SpawnError::NotFound {
                program: "api".to_owned(),
                hint: String::new(),
            });
        }
        let wild = inner.mood == Mood::Wild;
        let leader = inner.add(&instance, generation, None, wild);
        let Inner { rng, processes, .. } = &mut *inner;
        if let Some(newest) = processes.last_mut() {
            newest.args = order.argv.args;
            if order.voice.is_some() {
                newest.get_speech(rng, wild);
            }
        }
        if wild && inner.rng.u8(..4) == 0 {
            for _ in 0..inner.rng.u8(1..=2) {
                inner.add(&instance, generation, Some(leader.pid), wild);
            }
        }
        Ok(leader)
    }

    fn send(&self, process: &ProcessRef, signal: Signal, scope: Scope) -> bool {
        let mut inner = self.inner();
        let Some(target) = inner.find(process) else {
            return false;
        };
        let (instance, leader) = (target.instance.clone(), target.process.pid);
        let mut reached = false;
        let others = inner.led_by_others(&instance, process);
        let Inner { rng, processes, .. } = &mut *inner;
        for one in processes.iter_mut().filter(|one| one.lives()) {
            let is_it = one.process == *process;
            let in_group = one.leader == Some(leader) && !one.escaped;
            let within = match scope {
                Scope::Leader => is_it,
                Scope::Group => is_it || in_group,
                Scope::Tree(newest) => {
                    is_it
                        || in_group
                        || one.instance == instance
                            && one.generation <= newest
                            && !others.contains(&one.generation)
                }
            };
            if within {
                reached = true;
                one.take(signal, Duration::from_millis(rng.u64(0..2_000)));
            }
        }
        drop(inner);
        self.changed.notify_waiters();
        reached
    }

    /// Was it heard of this process that it is ready?
    pub(super) fn heard_ready(&self, process: &ProcessRef) -> bool {
        self.inner()
            .find(process)
            .is_some_and(|one| one.heard_ready)
    }

    /// Waits until a process has said something.
    pub(super) async fn speech_of(&self, process: &ProcessRef) {
        loop {
            let next = self.inner().find(process).and_then(|one| {
                let (at, _) = one.speech.front()?;
                // The dead say nothing.
                one.ends.is_none_or(|(end, _)| *at < end).then_some(*at)
            });
            match next {
                Some(at) if at <= Instant::now() => return,
                // It may end before.
                Some(at) => drop(tokio::time::timeout_at(at, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Takes what a process has said.
    pub(super) fn hear(&self, process: &ProcessRef, mut notice: Notice) -> Notice {
        let mut inner = self.inner();
        let mut all = inner.processes.iter_mut();
        if let Some(one) = all.find(|one| one.process == *process) {
            while one
                .speech
                .front()
                .is_some_and(|(at, _)| *at <= Instant::now())
            {
                if let Some((_, words)) = one.speech.pop_front() {
                    notice.hear(words.as_bytes());
                }
            }
            one.heard_ready |= notice.ready;
        }
        notice
    }

    /// Waits for an exit and for the news of it.
    async fn end_of(&self, process: &ProcessRef) -> ExitStatus {
        loop {
            let mut change = std::pin::pin!(self.changed.notified());
            change.as_mut().enable();
            let known = self.inner().find(process).map(|one| (one.ends, one.lag));
            match known {
                None => return ExitStatus::Unknown,
                Some((Some((at, exit)), lag)) if at + lag <= Instant::now() => return exit,
                Some((Some((at, _)), lag)) => {
                    let _ = tokio::time::timeout_at(at + lag, change).await;
                }
                Some((None, _)) => change.await,
            }
        }
    }
}

impl Inner {
    fn find(&self, process: &ProcessRef) -> Option<&Process> {
        self.processes.iter().find(|one| one.process == *process)
    }

    fn add(
        &mut self,
        instance: &InstanceId,
        generation: Generation,
        leader: Option<i32>,
        wild: bool,
    ) -> ProcessRef {
        self.last_pid += 1;
        let process = ProcessRef {
            pid: self.last_pid,
            start_time: u64::from(self.last_pid.unsigned_abs()),
            boot_id: "simulated".to_owned(),
        };
        let mut one = Process::begin(&mut self.rng, instance, generation, &process, wild);
        one.leader = leader;
        self.processes.push(one);
        process
    }

    /// The generations that have a living leader other than this one: what is theirs is known not
    /// to be of its tree.
    fn led_by_others(&self, instance: &InstanceId, process: &ProcessRef) -> BTreeSet<Generation> {
        let leaders = self.marked(instance).filter(|one| one.leader.is_none());
        let others = leaders.filter(|one| one.process != *process);
        others.map(|one| one.generation).collect()
    }

    /// What is left of the tree of a run, and of those before it.
    fn rest_of(&self, instance: &InstanceId, process: &ProcessRef, newest: Generation) -> usize {
        let others = self.led_by_others(instance, process);
        let rest = self.marked(instance).filter(|one| {
            one.process != *process && one.generation <= newest && !others.contains(&one.generation)
        });
        rest.count()
    }

    /// The living processes that carry the mark of an instance.
    fn marked<'a>(&'a self, instance: &'a InstanceId) -> impl Iterator<Item = &'a Process> {
        self.processes
            .iter()
            .filter(move |one| one.instance == *instance && one.lives())
    }
}

/// The operating system, as one life of the daemon reaches it.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) os: Os,
    pub(super) life: Arc<Life>,
}

#[async_trait]
impl Launcher for Reach {
    async fn spawn(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError> {
        let wait = Duration::from_millis(self.os.inner().rng.u64(0..5));
        self.life
            .call(async {
                tokio::time::sleep(wait).await;
                let begun = self.os.begin(order);
                self.os.changed.notify_waiters();
                begun
            })
            .await
    }

    async fn exited(&self, process: &ProcessRef) -> ExitStatus {
        let exit = self.os.end_of(process).await;
        self.life.call(async { exit }).await
    }

    async fn signal(
        &self,
        _: &InstanceId,
        process: &ProcessRef,
        signal: Signal,
        scope: Scope,
    ) -> bool {
        self.life
            .call(async { self.os.send(process, signal, scope) })
            .await
    }

    async fn remaining(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        generation: Generation,
    ) -> Option<usize> {
        let slow = self.os.look_takes();
        let count = async {
            if !slow.is_zero() {
                tokio::time::sleep(slow).await;
            }
            self.os.inner().rest_of(instance, process, generation)
        };
        Some(self.life.call(count).await)
    }

    fn left_nothing(&self, process: &ProcessRef) -> bool {
        let look = || {
            let inner = self.os.inner();
            let Some(run) = inner.find(process) else {
                return true;
            };
            inner.rest_of(&run.instance, process, run.generation) == 0
        };
        self.life.now(look).unwrap_or(false)
    }

    async fn adopt(&self, process: &ProcessRef) -> Found {
        let look = async {
            let inner = self.os.inner();
            match inner.find(process) {
                Some(one) if one.lives() => Found::Alive(process.clone()),
                Some(one) => Found::Ended(one.ends.map_or(ExitStatus::Unknown, |(_, exit)| exit)),
                None => Found::Ended(ExitStatus::Unknown),
            }
        };
        self.life.call(look).await
    }

    async fn find_unrecorded(
        &self,
        instance: &InstanceId,
        generation: Generation,
    ) -> Option<ProcessRef> {
        let look = async {
            let inner = self.os.inner();
            let run = inner
                .marked(instance)
                .filter(|one| one.generation == generation);
            // The leader, or who is left of its tree.
            run.min_by_key(|one| (one.leader.is_some(), one.process.pid))
                .map(|one| one.process.clone())
        };
        self.life.call(look).await
    }

    async fn strays(
        &self,
        instance: &InstanceId,
        counted: Option<Generation>,
    ) -> Vec<(Generation, ProcessRef)> {
        let look = async {
            let inner = self.os.inner();
            let strays = inner
                .marked(instance)
                .filter(|one| Some(one.generation) != counted);
            strays
                .map(|one| (one.generation, one.process.clone()))
                .collect()
        };
        self.life.call(look).await
    }

    fn forget(&self, _: &ProcessRef) {}

    fn ear(
        &self,
        _: &InstanceId,
        process: &ProcessRef,
        _: Generation,
        _: Option<&str>,
    ) -> std::io::Result<Box<dyn Ear>> {
        let (os, life) = (self.os.clone(), Arc::clone(&self.life));
        Ok(Box::new(Listening::new(os, life, process.clone())))
    }
}
