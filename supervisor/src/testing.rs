//! Fakes for tests with paused time.
//!
//! [`FakeLauncher`] is an operating system on a string: every run does what its [`FakeRun`]
//! says, and every call is written down.
//! It is one piece although it is long: one fake, and one method for each of the launcher's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ids::{Generation, InstanceId};
use crate::launch::{Found, Launcher, Scope, SpawnError, SpawnOrder};
use crate::secret::EnvVars;
use crate::spec::Signal;
use crate::state::{ExitStatus, ProcessRef};

/// A process `api` in this folder, with these lines in its table.
#[cfg(test)]
pub(crate) fn spec_in(cwd: &std::path::Path, table: &str) -> crate::spec::ProcessSpec {
    use crate::spec::{Argv, EnvLayers};
    crate::spec::ProcessSpec {
        name: "api".parse().expect("a name"),
        config: toml::from_str(&format!("command = \"true\"\n{table}")).expect("a good table"),
        instances: 1,
        project: None,
        cwd: cwd.to_owned(),
        argv: Argv {
            program: "true".into(),
            args: Vec::new(),
            interpreter: None,
        },
        env: EnvLayers::default(),
    }
}

/// How a fake run behaves. The default runs until it is told to end, and obeys SIGTERM.
#[derive(Debug, Clone, PartialEq)]
pub struct FakeRun {
    /// The spawn fails with this.
    pub fails: Option<SpawnError>,
    /// It takes this long until the spawn answers.
    pub spawn_takes: Duration,
    /// It ends by itself after this time, with this.
    pub ends: Option<(Duration, ExitStatus)>,
    /// SIGTERM, SIGINT and the like have no effect.
    pub ignores_term: bool,
    /// It takes this long to end after SIGTERM.
    pub term_takes: Duration,
    /// What it returns after SIGTERM; absent: the signal itself ends it.
    pub term_exit: Option<ExitStatus>,
    /// Not even SIGKILL ends it.
    pub unkillable: bool,
    /// So many processes of its tree outlive it, until SIGKILL to the tree or group.
    pub leaves: usize,
}

impl Default for FakeRun {
    fn default() -> Self {
        Self {
            fails: None,
            spawn_takes: Duration::ZERO,
            ends: None,
            ignores_term: false,
            term_takes: Duration::ZERO,
            term_exit: None,
            unkillable: false,
            leaves: 0,
        }
    }
}

impl FakeRun {
    /// Ends by itself after `wait`.
    pub fn ends_after(wait: Duration, exit: ExitStatus) -> Self {
        Self {
            ends: Some((wait, exit)),
            ..Self::default()
        }
    }

    /// Cannot be started.
    pub fn fails_with(error: SpawnError) -> Self {
        Self {
            fails: Some(error),
            ..Self::default()
        }
    }

    /// Does not listen to SIGTERM.
    pub fn stubborn() -> Self {
        Self {
            ignores_term: true,
            ..Self::default()
        }
    }
}

/// What was asked of the fake.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the launcher's methods"
)]
pub enum Call {
    Spawn(Box<SpawnOrder>),
    Signal {
        instance: InstanceId,
        process: ProcessRef,
        signal: Signal,
        scope: Scope,
    },
    Adopt(ProcessRef),
    FindUnrecorded {
        instance: InstanceId,
        generation: Generation,
    },
    Forget(ProcessRef),
}

/// A launcher without an operating system. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct FakeLauncher {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    next_pid: i32,
    coming: VecDeque<FakeRun>,
    coming_for: BTreeMap<InstanceId, VecDeque<FakeRun>>,
    always: FakeRun,
    processes: Vec<FakeProcess>,
    unrecorded: Vec<(InstanceId, Generation, ProcessRef)>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct FakeProcess {
    instance: Option<InstanceId>,
    generation: Generation,
    process: ProcessRef,
    behaviour: FakeRun,
    /// When it ends, and how; the time may have passed.
    ends: Option<(Instant, ExitStatus)>,
    left: usize,
    changed: Arc<Notify>,
}

impl FakeProcess {
    fn exit(&self) -> Option<ExitStatus> {
        self.ends
            .filter(|(at, _)| *at <= Instant::now())
            .map(|(_, exit)| exit)
    }

    fn end_at(&mut self, at: Instant, exit: ExitStatus) {
        if self.ends.is_none_or(|(sooner, _)| at < sooner) {
            self.ends = Some((at, exit));
            self.changed.notify_waiters();
        }
    }
}

impl FakeLauncher {
    /// Nothing runs and nothing is scripted: every spawn gives the default [`FakeRun`].
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the next spawn of anybody behaves that has nothing of its own; in order of calls.
    pub fn next(&self, run: FakeRun) {
        self.inner().coming.push_back(run);
    }

    /// How the next spawn of this instance behaves; in order of calls.
    pub fn next_for(&self, instance: &InstanceId, run: FakeRun) {
        let mut inner = self.inner();
        inner
            .coming_for
            .entry(instance.clone())
            .or_default()
            .push_back(run);
    }

    /// How spawns behave when nothing else was scripted.
    pub fn always(&self, run: FakeRun) {
        self.inner().always = run;
    }

    /// Ends the newest living run of an instance now. False when there is none.
    pub fn exit(&self, instance: &InstanceId, exit: ExitStatus) -> bool {
        let mut inner = self.inner();
        let newest = inner
            .processes
            .iter_mut()
            .rev()
            .find(|run| run.instance.as_ref() == Some(instance) && run.exit().is_none());
        newest.is_some_and(|run| {
            run.end_at(Instant::now(), exit);
            true
        })
    }

    /// A process of a former daemon, to be adopted: alive, or ended with `exit`.
    pub fn adoptable(
        &self,
        instance: &InstanceId,
        generation: Generation,
        exit: Option<ExitStatus>,
    ) -> ProcessRef {
        let mut inner = self.inner();
        let process = inner.new_ref();
        inner.processes.push(FakeProcess {
            instance: Some(instance.clone()),
            generation,
            process: process.clone(),
            behaviour: FakeRun::default(),
            ends: exit.map(|exit| (Instant::now(), exit)),
            left: 0,
            changed: Arc::default(),
        });
        process
    }

    /// As [`FakeLauncher::adoptable`], living, and found only by its mark.
    pub fn unrecorded(&self, instance: &InstanceId, generation: Generation) -> ProcessRef {
        let process = self.adoptable(instance, generation, None);
        self.inner()
            .unrecorded
            .push((instance.clone(), generation, process.clone()));
        process
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    /// The generations of an instance that are alive now.
    pub fn alive(&self, instance: &InstanceId) -> Vec<Generation> {
        let inner = self.inner();
        let of_instance = |run: &&FakeProcess| run.instance.as_ref() == Some(instance);
        inner
            .processes
            .iter()
            .filter(of_instance)
            .filter(|run| run.exit().is_none())
            .map(|run| run.generation)
            .collect()
    }

    /// How often an instance was spawned, failed spawns included.
    pub fn spawns(&self, instance: &InstanceId) -> usize {
        let is_spawn =
            |call: &&Call| matches!(call, Call::Spawn(order) if order.instance == *instance);
        self.inner().calls.iter().filter(is_spawn).count()
    }

    /// The signals an instance was sent, in order.
    pub fn signals(&self, instance: &InstanceId) -> Vec<(Signal, Scope)> {
        let of_instance = |call: &Call| match call {
            Call::Signal {
                instance: whose,
                signal,
                scope,
                ..
            } if whose == instance => Some((*signal, *scope)),
            _ => None,
        };
        self.inner().calls.iter().filter_map(of_instance).collect()
    }
}

impl Inner {
    fn new_ref(&mut self) -> ProcessRef {
        self.next_pid += 1;
        ProcessRef {
            pid: 100_000 + self.next_pid,
            start_time: u64::from(self.next_pid.unsigned_abs()),
            boot_id: "fake".to_owned(),
        }
    }

    fn find(&mut self, process: &ProcessRef) -> Option<&mut FakeProcess> {
        self.processes
            .iter_mut()
            .find(|run| run.process == *process)
    }
}

const KILL: Signal = Signal(9);
/// SIGHUP, SIGINT, SIGQUIT, SIGTERM: what asks a program to end.
const ENDING: [i32; 4] = [1, 2, 3, 15];

#[async_trait]
impl Launcher for FakeLauncher {
    async fn spawn(&self, order: SpawnOrder) -> Result<ProcessRef, SpawnError> {
        let (run, process) = {
            let mut inner = self.inner();
            let own = inner
                .coming_for
                .get_mut(&order.instance)
                .and_then(VecDeque::pop_front);
            let run = own
                .or_else(|| inner.coming.pop_front())
                .unwrap_or_else(|| inner.always.clone());
            inner.calls.push(Call::Spawn(Box::new(order.clone())));
            (run, inner.new_ref())
        };
        if !run.spawn_takes.is_zero() {
            tokio::time::sleep(run.spawn_takes).await;
        }
        if let Some(error) = run.fails {
            return Err(error);
        }
        self.inner().processes.push(FakeProcess {
            instance: Some(order.instance),
            generation: order.generation,
            process: process.clone(),
            ends: run.ends.map(|(wait, exit)| (Instant::now() + wait, exit)),
            left: run.leaves,
            behaviour: run,
            changed: Arc::default(),
        });
        Ok(process)
    }

    async fn exited(&self, process: &ProcessRef) -> ExitStatus {
        loop {
            let (ends, changed) = match self.inner().find(process) {
                Some(run) => (run.ends, run.changed.clone()),
                None => return ExitStatus::Unknown,
            };
            // Registered before the second look, so that no change is missed.
            let mut change = std::pin::pin!(changed.notified());
            change.as_mut().enable();
            match ends {
                Some((at, exit)) if at <= Instant::now() => return exit,
                Some((at, _)) => {
                    let _ = tokio::time::timeout_at(at, change).await;
                }
                None => {
                    let still = self.inner().find(process).map(|run| run.ends);
                    if still == Some(None) {
                        change.await;
                    }
                }
            }
        }
    }

    async fn signal(
        &self,
        instance: &InstanceId,
        process: &ProcessRef,
        signal: Signal,
        scope: Scope,
    ) -> bool {
        let mut inner = self.inner();
        inner.calls.push(Call::Signal {
            instance: instance.clone(),
            process: process.clone(),
            signal,
            scope,
        });
        let Some(run) = inner.find(process) else {
            return false;
        };
        let (alive, left) = (run.exit().is_none(), run.left);
        let now = Instant::now();
        if alive && signal == KILL && !run.behaviour.unkillable {
            run.end_at(now, ExitStatus::Signal(KILL.0));
        } else if alive && ENDING.contains(&signal.0) && !run.behaviour.ignores_term {
            let exit = run.behaviour.term_exit;
            let takes = run.behaviour.term_takes;
            run.end_at(now + takes, exit.unwrap_or(ExitStatus::Signal(signal.0)));
        }
        if signal == KILL && scope != Scope::Leader {
            run.left = 0;
        }
        alive || (left > 0 && scope != Scope::Leader)
    }

    async fn remaining(
        &self,
        _instance: &InstanceId,
        process: &ProcessRef,
        _generation: Generation,
    ) -> Option<usize> {
        Some(self.inner().find(process).map_or(0, |run| run.left))
    }

    fn left_nothing(&self, process: &ProcessRef) -> bool {
        self.inner().find(process).is_none_or(|run| run.left == 0)
    }

    async fn adopt(&self, process: &ProcessRef) -> Found {
        let mut inner = self.inner();
        inner.calls.push(Call::Adopt(process.clone()));
        match inner.find(process).map(|run| run.exit()) {
            Some(None) => Found::Alive(process.clone()),
            Some(Some(exit)) => Found::Ended(exit),
            None => Found::Ended(ExitStatus::Unknown),
        }
    }

    async fn find_unrecorded(
        &self,
        instance: &InstanceId,
        generation: Generation,
    ) -> Option<ProcessRef> {
        let mut inner = self.inner();
        inner.calls.push(Call::FindUnrecorded {
            instance: instance.clone(),
            generation,
        });
        let mut found = inner.unrecorded.iter();
        found
            .find(|(whose, run, _)| whose == instance && *run == generation)
            .map(|(_, _, process)| process.clone())
    }

    async fn strays(
        &self,
        instance: &InstanceId,
        counted: Option<Generation>,
    ) -> Vec<(Generation, ProcessRef)> {
        let inner = self.inner();
        let strays = inner
            .unrecorded
            .iter()
            .filter(|(whose, generation, _)| whose == instance && Some(*generation) != counted);
        strays
            .map(|(_, generation, process)| (*generation, process.clone()))
            .collect()
    }

    fn forget(&self, process: &ProcessRef) {
        self.inner().calls.push(Call::Forget(process.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Argv, Limits, Sandbox};

    fn order(instance: &InstanceId) -> SpawnOrder {
        SpawnOrder {
            instance: instance.clone(),
            generation: 1,
            argv: Argv {
                program: "x".to_owned(),
                args: Vec::new(),
                interpreter: None,
            },
            cwd: "/".into(),
            env: EnvVars::new(),
            limits: Limits::default(),
            sandbox: Sandbox::default(),
            user: None,
            group: None,
            stdout: "/o".into(),
            stderr: "/e".into(),
            listen: Vec::new(),
            voice: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn does_as_scripted() {
        let fake = FakeLauncher::new();
        let api = InstanceId::new("api".parse().expect("valid"), 0);
        fake.next(FakeRun::ends_after(
            Duration::from_secs(60),
            ExitStatus::Code(3),
        ));
        let first = fake.spawn(order(&api)).await.expect("starts");
        assert_eq!(fake.alive(&api), [1]);
        assert_eq!(fake.exited(&first).await, ExitStatus::Code(3));
        assert_eq!(fake.exited(&first).await, ExitStatus::Code(3));
        assert!(fake.alive(&api).is_empty());

        fake.next(FakeRun::stubborn());
        let second = fake.spawn(order(&api)).await.expect("starts");
        let signal = |signal| fake.signal(&api, &second, signal, Scope::Group);
        assert!(signal(Signal(15)).await);
        assert_eq!(fake.alive(&api), [1]);
        let waiting = fake.exited(&second);
        let (exit, reached) = tokio::join!(waiting, signal(KILL));
        assert_eq!((exit, reached), (ExitStatus::Signal(9), true));
        assert!(!signal(KILL).await);
        assert_eq!(fake.signals(&api).len(), 3);
        assert_eq!(fake.spawns(&api), 2);
    }
}
