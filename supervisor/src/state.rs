//! Where an instance stands.
//!
//! A variant carries exactly the data that exists in that state: there is a process in
//! `Starting`, `Online` and `Stopping` and nowhere else, except for the one that would not
//! die. What must survive the daemon is the whole of [`Saved`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::Generation;

/// A process of the operating system, with the proof that it is still the same one.
///
/// A pid alone proves nothing, since pids are used again; together with the start time and
/// the boot it names one process for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its pid, which is also its process group and session.
    pub pid: i32,
    /// Start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// The kernel's id of this boot.
    pub boot_id: String,
}

/// One life of an instance, from spawn to exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which life it is, from 1.
    pub generation: Generation,
    /// The process.
    pub process: ProcessRef,
    /// When it was spawned.
    pub started_at: Timestamp,
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Not running: stopped on purpose, finished, or never started.
    Stopped,
    /// A spawn was ordered and has not answered yet. Written as intention before the fork.
    Spawning {
        /// The generation the new run will have.
        generation: Generation,
        /// When it was ordered.
        since: Timestamp,
        /// Why it follows an earlier run; none for a fresh start.
        cause: Option<Reason>,
    },
    /// Running; its probes have not all passed yet, it has not said that it is ready, or it has
    /// not lived long enough.
    Starting {
        /// The run.
        run: Run,
        /// The sign of `ready` has come. It comes once, and the daemon that heard it may die.
        #[serde(default, skip_serializing_if = "is_false")]
        said: bool,
        /// It asked for time until then, beyond `start_timeout`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extended: Option<Timestamp>,
    },
    /// Running and passing all probes.
    Online {
        /// The run.
        run: Run,
        /// Since when.
        since: Timestamp,
        /// It says that it ends by itself.
        #[serde(default, skip_serializing_if = "is_false")]
        leaving: bool,
    },
    /// The stop signal was sent; inside the grace period, or waiting for the rest of the tree.
    Stopping {
        /// The run.
        run: Run,
        /// What happens when it is gone.
        then: AfterStop,
        /// Why it is stopped.
        reason: Reason,
        /// When it gets SIGKILL, or when it is given up on, if it already got it.
        deadline: Timestamp,
        /// SIGKILL was sent.
        killed: bool,
        /// The leader has exited, with this; only the rest of its tree is waited for.
        exit: Option<ExitStatus>,
    },
    /// It failed. `hold` says what comes next.
    Errored {
        /// What comes next.
        hold: Hold,
    },
}

/// What follows an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// It is started again at this time.
    Retrying {
        /// When.
        next_at: Timestamp,
        /// The number of this attempt, from 1.
        attempt: u32,
        /// What made it fail.
        cause: Reason,
    },
    /// `max_restarts` crashes in a row: nobody tries again before somebody asks.
    Breaker,
    /// Held by a playbook, the agent or a person.
    Held {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// `autorestart = false` and it failed.
    NoAutorestart,
    /// It is still there 5 s after SIGKILL: uninterruptible.
    Unkillable {
        /// The run that will not die.
        run: Run,
        /// What happens when it is gone after all.
        #[serde(default)]
        then: AfterStop,
        /// Why it was stopped.
        #[serde(default)]
        reason: Reason,
    },
}

/// What happens when a stopping run is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterStop {
    /// It stays stopped.
    #[default]
    Stay,
    /// A new run starts at once.
    Start,
    /// It failed its probes, or ran into `start_timeout`: the restart rule decides.
    Fail,
    /// It is held.
    Hold {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Why a run is stopped or started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody asked.
    #[default]
    Manual,
    /// It crashed.
    Crash,
    /// It passed its memory limit.
    Memory,
    /// Its schedule said so.
    Cron,
    /// A watched file changed.
    Watch,
    /// A reload replaces it.
    Reload,
    /// Its probe failed.
    Probe,
    /// It did not come up in time.
    StartTimeout,
    /// The number of copies went down.
    Scale,
    /// A playbook.
    Brain,
    /// The agent.
    Agent,
    /// The daemon ends.
    Shutdown,
}

impl Reason {
    /// As in event data.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Manual => "manual",
            Reason::Crash => "crash",
            Reason::Memory => "memory",
            Reason::Cron => "cron",
            Reason::Watch => "watch",
            Reason::Reload => "reload",
            Reason::Probe => "probe",
            Reason::StartTimeout => "start_timeout",
            Reason::Scale => "scale",
            Reason::Brain => "brain",
            Reason::Agent => "agent",
            Reason::Shutdown => "shutdown",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It ended while nobody could look.
    Unknown,
}

impl ExitStatus {
    /// Exit code 0.
    pub fn is_success(self) -> bool {
        self == ExitStatus::Code(0)
    }
}

/// Counters of the restart rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Crashes in a row of runs shorter than `stable_after`: the exponent of the backoff.
    pub backoff: u32,
    /// Crashes in a row of runs shorter than `min_uptime`: what the breaker counts.
    pub breaker: u32,
    /// Restarts since the last manual start, for any reason.
    pub restarts: u64,
    /// Restarts ever.
    pub restarts_total: u64,
    /// The generation of the newest run.
    pub generation: Generation,
}

/// All of an instance that survives the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Where it stands.
    pub state: State,
    /// Its counters.
    pub counters: Counters,
    /// How the last run ended.
    pub last_exit: Option<ExitStatus>,
    /// When the last run ended.
    pub last_exit_at: Option<Timestamp>,
    /// The file whose change asked for the restart that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_file: Option<Box<str>>,
    /// What was replaced in the last reload. It may not be gone yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Box<Replaced>>,
    /// The last numbers below this run's that new copies had, in reloads that had not taken them
    /// yet when this one began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<Generation>,
    /// The process that a run calls its main one, if that is not the one it was started as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<Box<MainProcess>>,
}

/// What a run calls its main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainProcess {
    /// Which run. For those after it there is none again.
    pub generation: Generation,
    /// The process. It may be gone.
    pub process: ProcessRef,
}

/// So many numbers of new copies are remembered: one is there at a time.
const SHADOWS: u64 = 8;

impl Saved {
    /// Takes the place of another instance. Until now both have counted restarts, this one from
    /// `since` on.
    pub(crate) fn replace(&mut self, former: &Self, since: &Counters) {
        let counted = |now: u64, since: u64, former: u64| former + now.saturating_sub(since);
        let (now, then) = (&mut self.counters, &former.counters);
        now.restarts = counted(now.restarts, since.restarts, then.restarts);
        now.restarts_total = counted(
            now.restarts_total,
            since.restarts_total,
            then.restarts_total,
        );
        self.replaced = Some(Box::new(Replaced::by(former)));
    }

    /// Remembers, once a run has begun after `before`, whose numbers lie between the two.
    pub(crate) fn remember_shadows(&mut self, before: &Self) {
        let this = self.counters.generation;
        let first = this.saturating_sub(SHADOWS).max(before.newest() + 1);
        if first < this {
            self.shadows.retain(|old| this - old <= SHADOWS);
            self.shadows.extend(first..this);
        }
    }

    /// What this run calls its main process, if that is not the one it was started as.
    pub fn main_of(&self, run: &Run) -> Option<&ProcessRef> {
        let main = self.main.as_ref()?;
        (main.generation == run.generation).then_some(&main.process)
    }

    /// The newest run that there was: the one that was replaced may be newer.
    pub fn newest(&self) -> Generation {
        let replaced = self.replaced.as_ref().map_or(0, |one| one.newest);
        self.counters.generation.max(replaced)
    }
}

/// So many that were replaced in earlier reloads are remembered.
const EARLIER: usize = 3;

/// An instance that was replaced by another one in a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its newest run.
    pub newest: Generation,
    /// The process of that, if it was there.
    pub process: Option<ProcessRef>,
    /// Those that were replaced before it, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<ProcessRef>,
}

impl Replaced {
    /// What is left of `other` once another run takes its place.
    pub(crate) fn by(other: &Saved) -> Self {
        let before = other.replaced.as_deref();
        let earlier = before.into_iter().flat_map(Self::processes);
        Self {
            newest: other.newest(),
            process: other.state.run().map(|run| run.process.clone()),
            earlier: earlier.take(EARLIER).cloned().collect(),
        }
    }

    /// All that may not be gone yet.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &ProcessRef> {
        self.process.iter().chain(&self.earlier)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde wants"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            state: State::Stopped,
            counters: Counters::default(),
            last_exit: None,
            last_exit_at: None,
            changed_file: None,
            replaced: None,
            shadows: Vec::new(),
            main: None,
        }
    }
}

/// The five states a person sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not running.
    Stopped,
    /// Coming up.
    Starting,
    /// Running and healthy.
    Online,
    /// Going down.
    Stopping,
    /// Failed.
    Errored,
}

impl Status {
    /// The word a person sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Stopped => "stopped",
            Status::Starting => "starting",
            Status::Online => "online",
            Status::Stopping => "stopping",
            Status::Errored => "errored",
        }
    }

    /// How bad it is: a process shows the worst of its instances, in the order errored,
    /// stopping, starting, stopped, online.
    pub fn severity(self) -> u8 {
        match self {
            Status::Online => 0,
            Status::Stopped => 1,
            Status::Starting => 2,
            Status::Stopping => 3,
            Status::Errored => 4,
        }
    }
}

impl State {
    /// The word a person sees.
    pub fn status(&self) -> Status {
        match self {
            State::Stopped => Status::Stopped,
            State::Spawning { .. } | State::Starting { .. } => Status::Starting,
            State::Online { .. } => Status::Online,
            State::Stopping { .. } => Status::Stopping,
            State::Errored { .. } => Status::Errored,
        }
    }

    /// The run, where there is one.
    pub fn run(&self) -> Option<&Run> {
        match self {
            State::Starting { run, .. }
            | State::Online { run, .. }
            | State::Stopping { run, .. }
            | State::Errored {
                hold: Hold::Unkillable { run, .. },
            } => Some(run),
            State::Stopped | State::Spawning { .. } | State::Errored { .. } => None,
        }
    }

    /// Is a run on its way up, or about to be once the former one is gone?
    pub fn is_coming_up(&self) -> bool {
        match self {
            State::Spawning { .. } | State::Starting { .. } => true,
            State::Stopping { then, .. } => *then == AfterStop::Start,
            State::Stopped | State::Online { .. } | State::Errored { .. } => false,
        }
    }

    /// Is a run on its way down, to stay there until somebody starts it?
    pub fn is_going_down(&self) -> bool {
        match self {
            State::Stopping { then, .. } => {
                matches!(then, AfterStop::Stay | AfterStop::Hold { .. })
            }
            State::Stopped
            | State::Spawning { .. }
            | State::Starting { .. }
            | State::Online { .. }
            | State::Errored { .. } => false,
        }
    }

    /// Is it held, so that nothing but an order starts it?
    pub fn is_held(&self) -> bool {
        matches!(
            self,
            State::Errored {
                hold: Hold::Held { .. }
            }
        )
    }

    /// Is there, or may there be, a live process?
    pub fn has_process(&self) -> bool {
        self.run().is_some() || matches!(self, State::Spawning { .. })
    }
}
