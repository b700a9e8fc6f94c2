//! The other kind of story: a project of some processes, the registry, the real one, and several
//! clients who order at once.
//!
//! ```text
//!   story (seed) ──orders──► clients ──Command──► registry ──Input──► instance tasks
//!        │                      └──answers──► ledger ──wishes──► promises
//!        └── deaths, faults, clock jumps ──► os and disk, as of an instance
//! ```
//!
//! What is to be so is known of a process only where orders to it did not overlap: the newest
//! answer then says whether it is to run, in how many copies, or not to be at all. That holds
//! until the next order, over any number of deaths. The same holds for a copy that was stopped by
//! itself, which is not up again for an order about another copy, or for one more copy.

mod alone;
mod clients;
mod end;
mod project;

use std::time::Duration;

use jiff::Timestamp;

use self::clients::{Clients, Order};
use self::project::Project;
use super::disk::{Disk, copies};
use super::ground::Ground;
use super::life::{Fate, Life};
use super::os::{Mood, Os};
use super::promises::{Promises, Wish};
use crate::clock::Clock;
use crate::command::{Command, Reply, ScaleChange};
use crate::ids::{InstanceId, ProcessName};
use crate::registry::RegistryHandle;
use crate::store::{Desired, ProcessRow};
use std::sync::Arc;

/// Things that happen in a story.
const HAPPENINGS: usize = 40;

/// Longest that a commit takes on a slow disk, in milliseconds. They come one after another.
const SLOW: u64 = 400;

/// What clients order about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Processes, hardly ever one of their copies.
    Whole,
    /// Single copies as often.
    Copies,
}

/// Tells the story of a number.
pub(super) async fn tell(number: u64, subject: Subject) -> Promises {
    let mut fleet = Fleet::new(number, subject);
    fleet.run().await;
    fleet.promises
}

struct Fleet {
    rng: fastrand::Rng,
    promises: Promises,
    disk: Disk,
    os: Os,
    project: Project,
    clients: Clients,
    daemon: Daemon,
}

/// A daemon with a registry.
struct Daemon {
    life: Arc<Life>,
    clock: Clock,
    registry: RegistryHandle,
}

impl Daemon {
    fn begin(os: &Os, disk: &Disk, wall: Timestamp) -> Self {
        let Ground {
            life,
            clock,
            book,
            context,
        } = Ground::new(os, disk, wall);
        let archive = Arc::new(super::disk::Silence {
            life: Arc::clone(&life),
        });
        let registry = RegistryHandle::begin(context, archive, "simulated".to_owned(), disk.load());
        let alive = Arc::clone(&life);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = alive.over() => {}
                () = book.retry() => {}
            }
        });
        Self {
            life,
            clock,
            registry,
        }
    }

    /// Is there such a copy, as far as the daemon knows?
    fn knows(&self, instance: &InstanceId) -> bool {
        let entries = self.registry.entries();
        let mut all = entries.iter().flat_map(|(_, handles)| handles);
        all.any(|handle| handle.id() == instance)
    }
}

impl Fleet {
    fn new(number: u64, subject: Subject) -> Self {
        // Other stories than those of another kind with the same number.
        let mut rng = fastrand::Rng::with_seed(match subject {
            Subject::Whole => number ^ 0x5eed_f1ee_7000_0000,
            Subject::Copies => number ^ 0x5eed_c091_e500_0000,
        });
        let promises = Promises::new();
        let disk = Disk::new(rng.u64(..), promises.clone());
        let project = Project::new(subject, &mut rng, &promises);
        let os = Os::new(rng.u64(..), disk.clone(), promises.clone(), project.loose());
        let wall = Timestamp::from_second(1_800_000_000).expect("a time");
        let daemon = Daemon::begin(&os, &disk, wall);
        let clients = Clients::new(&promises, &disk);
        Self {
            rng,
            promises,
            disk,
            os,
            project,
            clients,
            daemon,
        }
    }

    async fn run(&mut self) {
        let all = self.project.apply(&mut self.rng, &self.promises);
        self.order_and_wait(all).await;
        for _ in 0..HAPPENINGS {
            if self.promises.is_broken() {
                return;
            }
            self.something_happens().await;
            if self.daemon.life.is_over() {
                self.next_daemon().await;
            }
            self.look_for_lost();
        }
        self.calm_down().await;
    }

    async fn something_happens(&mut self) {
        match self.rng.u8(..34) {
            0..=13 => self.some_order().await,
            14 => self.start_in_order().await,
            15..=16 => {
                let living = self.os.all_leaders();
                if let Some(at) = self.rng.usize(..).checked_rem(living.len()) {
                    self.os.kill_newest(&living[at].instance);
                }
            }
            17 => {
                let (full, slow) = (self.rng.bool(), self.rng.bool());
                self.promises
                    .tell(format!("the disk: full {full}, slow {slow}"));
                self.disk.set(full, slow.then_some(SLOW));
            }
            18..=19 => {
                self.disk.set(false, None);
                self.promises.tell("the disk is fine");
            }
            20..=21 => {
                let moods = [Mood::Well, Mood::Well, Mood::Wild, Mood::Broken];
                let mood = moods[self.rng.usize(..moods.len())];
                self.promises.tell(format!("programs are {mood:?}"));
                self.os.set_mood(mood);
            }
            22 => self.jump(),
            23..=26 => self.doom(),
            27 => {
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

    /// The daemon dies in one of its next calls.
    fn doom(&mut self) {
        let more = self.rng.u64(1..40);
        let fate = if self.rng.bool() {
            Fate::Before(more)
        } else {
            Fate::After(more)
        };
        self.promises
            .tell(format!("the daemon is doomed: {fate:?}"));
        self.daemon.life.doom(fate);
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

    /// A client orders something. Half of them are waited for, so that not all orders overlap.
    async fn some_order(&mut self) {
        let name = self.project.some_name(&mut self.rng);
        let target = self.project.target(&mut self.rng, &name);
        let wait = self.rng.bool().then_some(Duration::from_secs(30));
        let force = self.rng.u8(..4) == 0;
        let command = match self.rng.u8(..20) {
            0..=3 => self.project.apply(&mut self.rng, &self.promises),
            4..=6 => Command::Start { target, wait },
            7..=9 => Command::Stop {
                target,
                force,
                signal: None,
            },
            10..=11 => Command::Restart {
                target,
                update_env: None,
                reason: crate::state::Reason::Manual,
                force,
            },
            12..=14 => Command::Reload {
                target,
                timeout: None,
                wait: wait.is_some(),
            },
            15..=16 => Command::Scale {
                target: crate::Target::process(&name),
                change: match self.rng.u8(..3) {
                    0 => ScaleChange::By(1),
                    1 => ScaleChange::By(-1),
                    _ => ScaleChange::To(self.rng.u16(..4)),
                },
            },
            17 => Command::Delete {
                target: crate::Target::process(&name),
                force,
                keep_logs: self.rng.bool(),
            },
            18 => Command::Hold {
                target,
                reason: "it loops".to_owned(),
            },
            _ => Command::ClearError { target },
        };
        if self.rng.bool() {
            self.order_and_wait(command).await;
        } else {
            self.order(command);
        }
    }

    /// Sends an order. Whoever gave it hears the answer.
    fn order(&mut self, command: Command) -> Order {
        let touched = self.project.touched_by(&command);
        self.clients
            .order(&self.daemon.registry, &self.daemon.life, command, touched)
    }

    async fn order_and_wait(&mut self, command: Command) -> Option<Reply> {
        self.order(command).answer().await
    }

    /// All is down, and one order starts it: then each waits for those it depends on.
    async fn start_in_order(&mut self) {
        if !self.clients.are_idle() {
            return;
        }
        self.disk.set(false, None);
        self.os.set_mood(Mood::Well);
        self.promises.tell("all is well, and started in order");
        let all = || crate::Target("all".into());
        let stop = Command::Stop {
            target: all(),
            force: false,
            signal: None,
        };
        self.order_and_wait(stop).await;
        let Some(Reply::Links(links)) = self.order_and_wait(Command::Links).await else {
            return;
        };
        let names = self.daemon.registry.names();
        let is_down = |name: &ProcessName| self.promises.wished(name) == Wish::Down;
        if names.is_empty() || !names.iter().all(is_down) {
            return;
        }
        let edges = links.edges.into_iter().map(|edge| (edge.from, edge.to));
        let edges: Vec<_> = edges.collect();
        let wait = self.rng.bool().then_some(Duration::from_secs(30));
        let start = self.order(Command::Start {
            target: all(),
            wait,
        });
        self.disk.watch_order(edges);
        match self.rng.u8(..3) {
            0 => drop(start),
            1 => {
                self.doom();
                start.answer().await;
            }
            _ => {
                start.answer().await;
            }
        }
    }

    async fn next_daemon(&mut self) {
        self.clients.daemon_died();
        let most = [5, 5_000][self.rng.usize(..2)];
        let wait = Duration::from_millis(self.rng.u64(0..most));
        tokio::time::sleep(wait).await;
        let wall = self.daemon.clock.now();
        self.promises.daemon_died();
        self.daemon = Daemon::begin(&self.os, &self.disk, wall);
        self.look_at_rows();
    }

    /// What a new daemon knows is what was answered.
    fn look_at_rows(&self) {
        let entries = self.daemon.registry.entries();
        for (row, _) in &entries {
            let name = &row.spec.name;
            if self.promises.wished(name) == Wish::Gone {
                self.promises
                    .broke(format!("{name} was deleted and is back"));
            }
            if let Some(wished) = self.promises.wished_copies(name)
                && wished != copies(row)
            {
                let has = copies(row);
                self.promises
                    .broke(format!("{name} was scaled to {wished} and has {has} now"));
            }
        }
        for copy in self.promises.wished_down() {
            let mut rows = entries.iter().map(|(row, _)| row);
            let row = rows.find(|row| row.spec.name == copy.process);
            let is_known = |row: &ProcessRow| {
                row.desired == Desired::Stopped
                    || row.down.contains(&copy.index)
                    || self.disk.saved(&copy).state.is_held()
            };
            // It may be gone for an order of before that this daemon has finished.
            if !row.is_none_or(is_known) {
                self.promises.broke(format!(
                    "{copy} was stopped by itself and is not so on record"
                ));
            }
        }
    }

    /// Whoever lives belongs to an instance.
    fn look_for_lost(&self) {
        let living = self.os.all_leaders();
        let lost = living
            .iter()
            .find(|leader| !self.daemon.knows(&leader.instance));
        if let Some(lost) = lost {
            self.promises
                .broke(format!("{lost:?} lives, and nobody knows it"));
        }
    }
}
