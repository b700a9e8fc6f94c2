//! Orders that come in the middle of another one. The launcher runs nothing, so that the test
//! decides what happens in between, and not luck.

mod end;
mod next;
mod record;
mod renewals;
mod sets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::TryRecvError;
use tokio::task::JoinHandle;

use super::{Foundation, RegistryHandle};
use crate::bus::Bus;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::command::{Apply, Command, Done, Reply, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::InstanceId;
use crate::logs::Ingest;
use crate::paths::Paths;
use crate::sampler::Sampler;
use crate::spec::{ProcessSpec, Signal};
use crate::state::{ExitStatus, State, Status};
use crate::store::{StoreHandle, StoreThread};
use crate::tasks::Tasks;
use crate::testing::{Call, FakeLauncher, FakeRun, spec_in};

/// Longest a test waits for something that takes milliseconds, or the seconds of a proof.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(3_600);
const TERM: Signal = Signal(15);
const KILL: Signal = Signal(9);

struct Rig {
    registry: RegistryHandle,
    launcher: FakeLauncher,
    foundation: Foundation,
    store_thread: StoreThread,
    home: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(home.path()).expect("paths");
        paths.create().expect("folders");
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let (store, store_thread) =
            StoreHandle::open(&paths.database(), clock.clone()).expect("a store");
        let loaded = store.load().await.expect("rows");
        let ingest = Ingest::start(&paths, &clock).expect("capture");
        let launcher = FakeLauncher::new();
        let foundation = Foundation {
            launcher: Arc::new(launcher.clone()),
            store,
            ingest,
            sampler: Sampler::start(&tasks, &clock),
            bus: Bus::new(),
            paths,
            tasks,
            version: "test".into(),
            clock,
        };
        Self {
            registry: RegistryHandle::open(foundation.clone(), loaded),
            launcher,
            foundation,
            store_thread,
            home,
        }
    }

    /// With a reload of `web` that proves its new set: it does so once the file `well` is there.
    async fn in_a_reload() -> (Self, JoinHandle<Result<Reply, ControlError>>) {
        let rig = Self::new().await;
        std::fs::write(rig.well(), "").expect("writes");
        let first = rig.apply(vec![rig.probed("web", "x")]);
        answer(first).await.expect("starts");
        std::fs::remove_file(rig.well()).expect("removes");
        let reloading = rig.begin(reload());
        until("a new set", || rig.alive(&web()).len() == 2).await;
        (rig, reloading)
    }

    /// A process with this argument, and a probe that succeeds while the file `well` is there.
    fn probed(&self, name: &str, argument: &str) -> ProcessSpec {
        let well = self.well();
        let table = format!(
            "start_timeout = \"1h\"\n[health.script]\ncommand = \"test -e {}\"\n\
             interval = \"1s\"\nretries = 1000\n",
            well.display()
        );
        self.spec(name, argument, &table)
    }

    fn spec(&self, name: &str, argument: &str, table: &str) -> ProcessSpec {
        let mut spec = spec_in(self.home.path(), table);
        spec.name = name.parse().expect("a name");
        spec.argv.args = vec![argument.to_owned()];
        let path = std::env::var_os("PATH").expect("a PATH");
        spec.env
            .os
            .insert("PATH".into(), crate::os_text::OsText(path));
        spec
    }

    fn well(&self) -> PathBuf {
        self.home.path().join("well")
    }

    /// Gives a command, and does not wait for its end.
    fn begin(&self, command: Command) -> JoinHandle<Result<Reply, ControlError>> {
        let registry = self.registry.clone();
        tokio::spawn(async move { registry.call(&Caller::system(), command).await })
    }

    fn apply(&self, specs: Vec<ProcessSpec>) -> JoinHandle<Result<Reply, ControlError>> {
        self.begin(Command::Apply(Apply {
            processes: specs,
            groups: Vec::new(),
            prune: false,
            force: false,
            reset_scale: false,
            others: Vec::new(),
            wait: Some(PATIENCE),
        }))
    }

    /// The arguments with which the living runs of an instance were started.
    fn alive(&self, instance: &InstanceId) -> Vec<Vec<String>> {
        let alive = self.launcher.alive(instance);
        let calls = self.launcher.calls().into_iter();
        let args = calls.filter_map(|call| match call {
            Call::Spawn(order)
                if order.instance == *instance && alive.contains(&order.generation) =>
            {
                Some(order.argv.args)
            }
            _ => None,
        });
        args.collect()
    }

    fn was_sent(&self, instance: &InstanceId, signal: Signal) -> bool {
        let sent = self.launcher.signals(instance);
        sent.iter().any(|(one, _)| *one == signal)
    }

    /// The daemon ends and leaves what runs to the next one.
    async fn next_daemon(&mut self) {
        self.foundation.tasks.shutdown(PATIENCE).await;
        self.foundation.tasks = Tasks::new();
        self.foundation.sampler = Sampler::start(&self.foundation.tasks, &self.foundation.clock);
        let loaded = self.foundation.store.load().await.expect("rows");
        self.registry = RegistryHandle::open(self.foundation.clone(), loaded);
    }

    async fn finish(self) {
        self.foundation.tasks.shutdown(PATIENCE).await;
        self.foundation.ingest.stop();
        self.store_thread.close();
    }
}

fn web() -> InstanceId {
    InstanceId::new("web".parse().expect("a name"), 0)
}

fn reload() -> Command {
    Command::Reload {
        target: Target("web".into()),
        timeout: Some(NEVER),
        wait: true,
    }
}

fn stop() -> Command {
    Command::Stop {
        target: Target("web".into()),
        force: false,
        signal: None,
    }
}

fn hold(target: &str) -> Command {
    Command::Hold {
        target: Target(target.into()),
        reason: "it loops".into(),
    }
}

fn copy(index: u16) -> InstanceId {
    InstanceId::new("web".parse().expect("a name"), index)
}

fn stop_second() -> Command {
    Command::Stop {
        target: Target("web:1".into()),
        force: false,
        signal: None,
    }
}

fn with_copies(count: u16, mut spec: ProcessSpec) -> ProcessSpec {
    spec.instances = count;
    spec
}

/// What was ordered gets every chance to be done too early.
async fn a_while(rig: &Rig) {
    for _ in 0..100 {
        let status = Command::Status {
            target: Target("web".into()),
        };
        answer(rig.begin(status)).await.expect("answers");
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answer(work: JoinHandle<Result<Reply, ControlError>>) -> Result<Reply, ControlError> {
    let answer = tokio::time::timeout(PATIENCE, work).await;
    answer.expect("it hangs").expect("no panic")
}

async fn done(work: JoinHandle<Result<Reply, ControlError>>) -> Done {
    match answer(work).await {
        Ok(Reply::Done(mut done)) => done.remove(0),
        other => panic!("{other:?}"),
    }
}

/// A definition that is changed while a new set proves itself waits for the end of the reload,
/// and is what runs then: neither the reload nor the start after it goes by the former one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_came_during_a_reload_is_what_runs_after_it() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    let first = rig.apply(vec![rig.probed("web", "former")]);
    answer(first).await.expect("starts");
    std::fs::remove_file(rig.well()).expect("removes");
    let reloading = rig.begin(reload());
    until("a new set", || rig.launcher.spawns(&web()) == 2).await;
    let applying = rig.apply(vec![rig.probed("web", "newer")]);
    let name = web().process;
    let is_defined = || {
        let inner = rig.registry.inner();
        let spec = inner.entry(&name).map(|entry| Arc::clone(&entry.spec));
        spec.is_some_and(|spec| spec.argv.args == ["newer"])
    };
    until("the new definition", is_defined).await;
    std::fs::write(rig.well(), "").expect("writes");
    answer(reloading).await.expect("reloads");
    answer(applying).await.expect("starts");
    assert_eq!(rig.alive(&web()), [["newer"]]);
    rig.finish().await;
}

/// As above where nothing is restarted: the set that a reload brought up obeys a limit that was
/// changed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_came_during_a_reload_holds_for_the_new_set() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    rig.launcher.always(FakeRun::stubborn());
    let mut patient = rig.probed("web", "x");
    patient.config.grace_period = NEVER;
    answer(rig.apply(vec![patient])).await.expect("starts");
    std::fs::remove_file(rig.well()).expect("removes");
    let reloading = rig.begin(reload());
    until("a new set", || rig.launcher.spawns(&web()) == 2).await;
    let limit = Command::SetLimit {
        target: Target("web".into()),
        limit: crate::command::Limit::GracePeriodMs(1),
    };
    answer(rig.begin(limit)).await.expect("is changed");
    std::fs::write(rig.well(), "").expect("writes");
    answer(reloading).await.expect("reloads");
    assert_eq!(done(rig.begin(stop())).await.error, None);
    assert!(rig.alive(&web()).is_empty());
    rig.finish().await;
}

/// A stop ends a reload that proves its new set, and returns only when that set is gone, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_reload_ends_both_sets() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    let first = rig.apply(vec![rig.probed("web", "x")]);
    answer(first).await.expect("starts");
    std::fs::remove_file(rig.well()).expect("removes");
    let unkillable = FakeRun {
        ignores_term: true,
        unkillable: true,
        ..FakeRun::default()
    };
    rig.launcher.next_for(&web(), unkillable);
    let reloading = rig.begin(reload());
    until("a new set", || rig.alive(&web()).len() == 2).await;
    let stopping = rig.begin(stop());
    until("the end of the new set", || rig.was_sent(&web(), KILL)).await;
    let name = web().process;
    let is_down = || {
        let inner = rig.registry.inner();
        let entry = inner.entry(&name).expect("registered");
        matches!(entry.handles[0].snapshot().saved.state, State::Stopped)
    };
    until("the end of the old set", is_down).await;
    // All that the stop waits for now is the new set; it gets every chance to forget that.
    for _ in 0..100 {
        let status = Command::Status {
            target: Target("web".into()),
        };
        answer(rig.begin(status)).await.expect("answers");
    }
    assert!(!stopping.is_finished(), "a set is left");
    assert!(rig.launcher.exit(&web(), ExitStatus::Signal(KILL.0)));
    assert_eq!(done(stopping).await.error, None);
    assert!(rig.alive(&web()).is_empty());
    let reloaded = answer(reloading).await;
    assert!(
        matches!(reloaded, Err(ControlError::ReloadFailed { .. })),
        "{reloaded:?}"
    );
    rig.finish().await;
}

/// Who hears of a stop and looks at once finds it stopped: a notification is told or not by
/// that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_of_is_what_is_shown() {
    const ROUNDS: usize = 60;
    let rig = Rig::new().await;
    let applying = rig.apply(vec![rig.spec("web", "x", "")]);
    answer(applying).await.expect("starts");
    let mut bus = rig.registry.context().bus.subscribe();
    let registry = rig.registry.clone();
    let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
    // Of its own and never asleep, so that it looks as early as anybody can.
    let listener = std::thread::spawn(move || {
        let (name, mut stops) = (web().process, Vec::new());
        while stops.len() < ROUNDS {
            match bus.try_recv() {
                Ok(event) if event.kind == EventKind::Stop => {
                    stops.push(registry.standing(&name, None).map(|one| one.state));
                    let _ = looked.send(());
                }
                Ok(_) => {}
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(error) => panic!("{error}"),
            }
        }
        stops
    });
    for _ in 0..ROUNDS {
        assert_eq!(done(rig.begin(stop())).await.error, None);
        // Until it is looked at nothing else may happen to it.
        let heard = tokio::time::timeout(PATIENCE, looks.recv()).await;
        heard.expect("it hangs").expect("it is heard of");
        let start = Command::Start {
            target: Target("web".into()),
            wait: None,
        };
        answer(rig.begin(start)).await.expect("starts");
    }
    let stops = listener.join().expect("no panic");
    let wrong = stops.iter().filter(|one| **one != Some(Status::Stopped));
    assert_eq!(wrong.count(), 0, "{stops:?}");
    rig.finish().await;
}

/// Fewer copies that are not brought about, since the process is not enabled any more, leave
/// those that run as they are: they can be restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_apply_leaves_alone_can_be_started_again() {
    let rig = Rig::new().await;
    let with = |instances, table: &str| {
        let mut spec = rig.spec("web", "x", table);
        spec.instances = instances;
        vec![spec]
    };
    answer(rig.apply(with(3, ""))).await.expect("starts");
    for _ in 0..2 {
        let fewer = rig.apply(with(1, "enabled = false"));
        answer(fewer).await.expect("is registered");
    }
    let restart = rig.begin(Command::Restart {
        target: Target("web:2".into()),
        update_env: None,
        reason: crate::state::Reason::Manual,
        force: false,
    });
    assert_eq!(done(restart).await.error, None);
    rig.finish().await;
}

/// What is held, or stopped, while its start waits for what it depends on stays down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_off_while_its_start_waits_stays_down() {
    for order in [hold("web"), stop()] {
        let rig = Rig::new().await;
        let first = rig.probed("first", "x");
        let web_after = rig.spec("web", "x", "depends_on = [\"first\"]");
        let applying = rig.apply(vec![first, web_after]);
        let id = InstanceId::new("first".parse().expect("a name"), 0);
        until("the first", || rig.launcher.spawns(&id) == 1).await;
        assert_eq!(done(rig.begin(order)).await.error, None);
        std::fs::write(rig.well(), "").expect("writes");
        answer(applying).await.expect("answers");
        assert_eq!(rig.launcher.spawns(&web()), 0);
        rig.finish().await;
    }
}

/// Who stops a process while a change of its definition stops the former run finds it down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_change_is_the_last_word() {
    let rig = Rig::new().await;
    rig.launcher.next_for(&web(), FakeRun::stubborn());
    let with = |argument: &str| vec![rig.spec("web", argument, "grace_period = \"1h\"")];
    answer(rig.apply(with("former"))).await.expect("starts");
    let applying = rig.apply(with("newer"));
    until("the stop", || rig.was_sent(&web(), TERM)).await;
    let stopping = rig.begin(stop());
    let name = web().process;
    let is_ordered = || {
        let inner = rig.registry.inner();
        let row = inner.entry(&name).map(|entry| entry.row.desired);
        row == Some(crate::store::Desired::Stopped)
    };
    until("the other stop", is_ordered).await;
    assert!(rig.launcher.exit(&web(), ExitStatus::Signal(TERM.0)));
    assert_eq!(done(stopping).await.error, None);
    answer(applying).await.expect("answers");
    assert_eq!(rig.launcher.spawns(&web()), 1);
    rig.finish().await;
}

/// Who holds a process while a reload proves its new set finds it held, and the new set gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_in_the_middle_of_a_reload_ends_it() {
    let (rig, reloading) = Rig::in_a_reload().await;
    assert_eq!(done(rig.begin(hold("web"))).await.error, None);
    assert!(rig.alive(&web()).is_empty());
    std::fs::write(rig.well(), "").expect("writes");
    let reloaded = answer(reloading).await;
    assert!(
        matches!(reloaded, Err(ControlError::ReloadFailed { .. })),
        "{reloaded:?}"
    );
    assert_eq!(rig.launcher.spawns(&web()), 2);
    rig.finish().await;
}
