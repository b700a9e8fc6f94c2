//! One story: a few minutes to a day in the life of an instance, from a seed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::Disk;
use super::ground::Ground;
use super::life::{Fate, Life};
use super::os::{Mood, Os};
use super::promises::{Promises, Wish};
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::instance::InstanceHandle;
use crate::machine::Input;
use crate::spec::{ProcessSpec, Signal};
use crate::state::{Reason, State};
use crate::testing::spec_in;

/// Things that happen in a story.
const HAPPENINGS: usize = 30;

/// Longest that a commit takes on a slow disk, in milliseconds.
const SLOW: u64 = 3_000;

/// Longest a client waits for an answer, by the clock of the story: a slow disk takes 3 s for a
/// commit, and an order waits for those before it.
const ANSWER: Duration = Duration::from_secs(120);

/// Tells the story of a number.
pub(super) async fn tell(number: u64) -> Promises {
    let mut story = Story::new(number);
    story.run().await;
    story.promises
}

struct Story {
    rng: fastrand::Rng,
    promises: Promises,
    disk: Disk,
    os: Os,
    spec: Arc<ProcessSpec>,
    id: InstanceId,
    wall: Timestamp,
    daemon: Daemon,
    /// Orders are numbered: only the answer to the newest says what is wished.
    orders: u64,
}

/// A daemon with one instance.
struct Daemon {
    life: Arc<Life>,
    clock: Clock,
    handle: InstanceHandle,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let promises = Promises::new();
        let disk = Disk::new(rng.u64(..), promises.clone());
        let mut table = table(&mut rng);
        // Of the number and not drawn, so that the other stories stay what they were.
        if seed % 4 == 3 {
            table.push_str("\nready = \"notify\"");
        }
        promises.tell(table.replace('\n', "; "));
        let spec = Arc::new(spec_in(std::path::Path::new("/"), &table));
        let id = InstanceId::new(spec.name.clone(), 0);
        let is_loose = !spec.config.kill_tree;
        let loose: BTreeSet<_> = is_loose.then(|| spec.name.clone()).into_iter().collect();
        let os = Os::new(rng.u64(..), disk.clone(), promises.clone(), loose)
            .with_slow_looks(seed % 8 == 6);
        let wall = Timestamp::from_second(1_800_000_000).expect("a time");
        let daemon = Daemon::begin(&os, &disk, &spec, &id, wall);
        Self {
            rng,
            promises,
            disk,
            os,
            spec,
            id,
            wall,
            daemon,
            orders: 0,
        }
    }

    async fn run(&mut self) {
        for _ in 0..HAPPENINGS {
            if self.promises.is_broken() {
                return;
            }
            self.something_happens().await;
            if self.daemon.life.is_over() {
                self.next_daemon().await;
            }
            self.look_at_sign();
        }
        self.calm_down().await;
        self.look_at_sign();
    }

    /// Who is to say that it is ready is not taken for ready before.
    fn look_at_sign(&self) {
        let snapshot = self.daemon.handle.snapshot();
        let state = &snapshot.saved.state;
        if let (State::Online { run, .. }, Some(_)) = (state, &self.spec.config.ready)
            && !self.os.heard_ready(&run.process)
        {
            self.promises
                .broke(format!("it is online and nobody heard so: {state:?}"));
        }
    }

    async fn something_happens(&mut self) {
        match self.rng.u8(..32) {
            0..=5 => self.order(Input::Start).await,
            6..=8 => {
                let force = self.rng.u8(..4) == 0;
                let signal = (self.rng.u8(..4) == 0).then_some(Signal(2));
                let reason = Reason::Manual;
                self.order(Input::Stop {
                    reason,
                    force,
                    signal,
                })
                .await;
            }
            9..=10 => {
                let force = self.rng.u8(..4) == 0;
                let reason = [Reason::Manual, Reason::Cron, Reason::Brain][self.rng.usize(..3)];
                self.order(Input::Restart {
                    reason,
                    force,
                    path: None,
                })
                .await;
            }
            11 => {
                let (by, reason) = ("playbook".to_owned(), "it loops".to_owned());
                self.order(Input::Hold { by, reason }).await;
            }
            12 => self.order(Input::ClearError).await,
            13..=14 => self.os.kill_newest(&self.id),
            15 => {
                let (full, slow) = (self.rng.bool(), self.rng.bool());
                self.promises
                    .tell(format!("the disk: full {full}, slow {slow}"));
                self.disk.set(full, slow.then_some(SLOW));
            }
            16..=17 => {
                self.disk.set(false, None);
                self.promises.tell("the disk is fine");
            }
            18..=19 => {
                let mood = [Mood::Well, Mood::Wild, Mood::Wild, Mood::Broken][self.rng.usize(..4)];
                self.promises.tell(format!("programs are {mood:?}"));
                self.os.set_mood(mood);
            }
            20 => self.jump(),
            21..=23 => {
                let more = self.rng.u64(1..12);
                let fate = if self.rng.bool() {
                    Fate::Before(more)
                } else {
                    Fate::After(more)
                };
                self.promises
                    .tell(format!("the daemon is doomed: {fate:?}"));
                self.daemon.life.doom(fate);
            }
            24 => {
                self.promises.tell("the daemon is killed");
                self.daemon.life.kill();
            }
            _ => {
                let most = [5, 200, 3_000, 20_000, 90_000][self.rng.usize(..5)];
                let wait = Duration::from_millis(self.rng.u64(0..most));
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// The wall clock is set to another time.
    fn jump(&mut self) {
        let seconds = [-86_400, -3_600, -1, 1, 3_600, 86_400][self.rng.usize(..6)];
        self.promises
            .tell(format!("the clock jumps by {seconds} s"));
        let now = self.daemon.clock.now();
        self.daemon
            .clock
            .set(now + jiff::SignedDuration::from_secs(seconds));
    }

    /// A client orders something. Sometimes it waits for the answer, sometimes the next comes
    /// first.
    async fn order(&mut self, input: Input) {
        self.orders += 1;
        let down = matches!(input, Input::Stop { .. } | Input::Hold { .. });
        self.promises.tell(format!("a client orders {input:?}"));
        self.promises.wish(&self.id.process, Wish::Open);
        let (handle, life) = (self.daemon.handle.clone(), Arc::clone(&self.daemon.life));
        let asking = async move {
            let answer = tokio::time::timeout(ANSWER, handle.order(input, "client"));
            tokio::select! {
                biased;
                () = life.over() => None,
                answer = answer => Some(answer),
            }
        };
        // It is sent now, whoever waits for the answer.
        let mut asking = Box::pin(futures::future::maybe_done(asking));
        let _ = futures::poll!(asking.as_mut());
        if self.rng.u8(..3) == 0 {
            let promises = self.promises.clone();
            tokio::spawn(async move {
                asking.as_mut().await;
                if let Some(Some(Err(_))) = asking.as_mut().take_output() {
                    promises.broke("a client was never answered");
                }
            });
            return;
        }
        asking.as_mut().await;
        match asking.as_mut().take_output().flatten() {
            None => {}
            Some(Err(_)) => self.promises.broke("a client was never answered"),
            Some(Ok(answer)) => {
                self.promises.tell(format!("the answer: {answer:?}"));
                // What the disk has no record of does not outlive the daemon.
                if down && answer.is_ok() && !self.disk.lacks(&self.id) {
                    self.promises.wish(&self.id.process, Wish::Down);
                }
            }
        }
    }

    async fn next_daemon(&mut self) {
        if self.disk.lacks(&self.id) {
            self.promises.wish(&self.id.process, Wish::Open);
        }
        let most = [5, 5_000][self.rng.usize(..2)];
        let wait = Duration::from_millis(self.rng.u64(0..most));
        tokio::time::sleep(wait).await;
        self.wall = self.daemon.clock.now();
        self.promises.daemon_died();
        self.daemon = Daemon::begin(&self.os, &self.disk, &self.spec, &self.id, self.wall);
    }

    /// All faults end: then the program is up again when somebody asks for it, and nobody is
    /// left who belongs to no record.
    async fn calm_down(&mut self) {
        self.promises.tell("all faults end");
        self.daemon.life.doom(Fate::Lives);
        self.disk.set(false, None);
        self.os.set_mood(Mood::Well);
        tokio::time::sleep(Duration::from_secs(200)).await;
        if self.daemon.life.is_over() {
            self.next_daemon().await;
            // A run whose time was over long before is given up first.
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        self.order(Input::Start).await;
        tokio::time::sleep(Duration::from_secs(150)).await;
        let snapshot = self.daemon.handle.snapshot();
        let state = &snapshot.saved.state;
        if !matches!(state, State::Online { .. }) {
            self.promises
                .broke(format!("it does not come up again: {state:?}"));
        }
        let known = state.run().map(|run| &run.process);
        let unknown: Vec<_> = self.os.leaders(&self.id);
        if let Some(lost) = unknown.iter().find(|leader| Some(*leader) != known) {
            self.promises
                .broke(format!("{lost:?} is lost: known is {known:?}"));
        }
        if let Some(known) = known.filter(|known| !self.os.lives(known)) {
            self.promises.broke(format!("{known:?} is long gone"));
        }
        if self.disk.saved(&self.id) != snapshot.saved {
            self.promises.broke("the record is not what is so");
        }
        self.daemon.life.kill();
    }
}

impl Daemon {
    fn begin(
        os: &Os,
        disk: &Disk,
        spec: &Arc<ProcessSpec>,
        id: &InstanceId,
        wall: Timestamp,
    ) -> Self {
        let Ground {
            life,
            clock,
            context,
            ..
        } = Ground::new(os, disk, wall);
        let handle =
            InstanceHandle::start(id.clone(), Arc::clone(spec), Some(disk.saved(id)), context);
        Self {
            life,
            clock,
            handle,
        }
    }
}

/// A definition.
pub(super) fn table(rng: &mut fastrand::Rng) -> String {
    let mut pick = |from: &[&str]| from[rng.usize(..from.len())].to_owned();
    let lines = [
        format!(
            "autorestart = {}",
            pick(&["true", "true", "\"always\"", "false"])
        ),
        format!("max_restarts = {}", pick(&["0", "0", "3"])),
        format!("min_uptime = {}", pick(&["\"1s\"", "\"0s\"", "\"5s\""])),
        format!("stable_after = {}", pick(&["\"60s\"", "\"2s\""])),
        format!(
            "restart_delay = {}",
            pick(&["\"100ms\"", "\"0ms\"", "\"2s\""])
        ),
        format!("max_restart_delay = {}", pick(&["\"30s\"", "\"1s\""])),
        format!(
            "grace_period = {}",
            pick(&["\"10s\"", "\"0s\"", "\"500ms\""])
        ),
        format!("kill_tree = {}", pick(&["true", "true", "true", "false"])),
    ];
    lines.join("\n")
}
