//! A read-only view of the world.
//!
//! The brain asks; the binary answers from the registry, the store and the logs. Answers are
//! recorded while they are read, so that an incident can be replayed. Calls may block: they
//! are made from a blocking thread, never from a runtime worker.

mod looks;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
pub use looks::{
    AttemptLook, BrokenFile, CertificateLook, ChangeLook, EnvFileLook, FileLook, LockLook,
    NeighbourLook, OrderLook, ReachLook, seconds,
};
use serde::{Deserialize, Serialize};
use supervisor::sys::inspect::{CloseLook, DiskRoom, HostLook, PortOwner};
use supervisor::{AutonomyLimit, Event, EventKind, HealthStatus, ProcessName, Status, Vitals};

/// What is known of a process now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// Its name.
    pub name: ProcessName,
    /// The worst state of its copies.
    pub state: Status,
    /// State with its flags.
    pub detail: String,
    /// Is it held?
    pub held: bool,
    /// Will the supervisor try a copy again by itself?
    #[serde(default)]
    pub retries: bool,
    /// What the user last asked for: should it run?
    pub wanted: bool,
    /// Copies wanted.
    pub desired: u16,
    /// Its copies.
    pub instances: Vec<InstanceFacts>,
    /// Restarts since the last manual start.
    pub restarts: u64,
    /// Tags.
    pub tags: Vec<String>,
    /// Its upper bound of autonomy.
    pub autonomy: Option<AutonomyLimit>,
    /// Its limit, in bytes.
    pub max_memory: Option<u64>,
    /// Its breaker; 0 is none.
    pub max_restarts: u32,
    /// Copies written in its config file.
    pub configured_instances: u16,
    /// What it depends on.
    pub depends_on: Vec<ProcessName>,
    /// When its definition last changed, and is there one to go back to?
    pub changed_at: Option<Timestamp>,
    /// Is there a definition to go back to?
    pub has_previous: bool,
    /// The whole definition, as JSON, with environment values masked.
    pub config: serde_json::Value,
}

impl ProcessFacts {
    /// How it does, by these facts; what they do not tell has to be looked up.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            state: self.state,
            wanted: self.wanted,
            held: self.held,
            failing: self
                .instances
                .iter()
                .any(|one| one.health == HealthStatus::Fail && one.state == Status::Online),
            probed: true,
            max_memory: self.max_memory,
            unbroken: Duration::ZERO,
        }
    }
}

/// What is known of one copy now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceFacts {
    /// Its place.
    pub index: u16,
    /// Its pid.
    pub pid: Option<i32>,
    /// Is there a live process?
    pub alive: bool,
    /// Its state.
    pub state: Status,
    /// Resident bytes of the tree.
    pub rss_bytes: Option<u64>,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Milliseconds since the run started.
    pub uptime_ms: Option<u64>,
    /// Probes.
    pub health: HealthStatus,
    /// Failures in a row of the worst probe.
    pub probe_failures: u32,
    /// For how long its probe has been failing, in milliseconds.
    pub probe_down_ms: Option<u64>,
    /// Why the probe fails.
    pub probe_error: Option<String>,
    /// Which life this is.
    pub generation: u64,
}

/// One sample of a process's trees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// The copy.
    pub instance: u16,
    /// Percent of one core.
    pub cpu_percent: f64,
    /// Resident bytes.
    pub rss_bytes: u64,
    /// Open descriptors of the leader.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
    /// Living processes of the tree.
    #[serde(default)]
    pub processes: u64,
    /// Processes that ended and that nobody collected.
    #[serde(default)]
    pub zombies: u64,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHit {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// One try of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// When.
    pub at: Timestamp,
    /// Did it pass?
    pub passed: bool,
    /// How long it took.
    pub latency_ms: u64,
}

/// What is known of the machine now.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// Cores.
    pub cpus: u32,
    /// Runnable tasks, averaged over a minute.
    pub load1: f64,
    /// Bytes of memory.
    pub mem_total: u64,
    /// Bytes that programs could still get.
    pub mem_free: u64,
    /// Free bytes where mhost keeps its data.
    pub disk_free: u64,
}

/// Reads. Nothing here can change anything.
pub trait Facts: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;
    /// One process, if it exists.
    fn process(&self, name: &ProcessName) -> Option<ProcessFacts>;
    /// How it does: what a score needs, of which there are many a minute. Cheaper than all that
    /// is known of it, where somebody has it at hand.
    fn vitals(&self, name: &ProcessName) -> Option<Vitals> {
        self.process(name).map(|process| process.vitals())
    }
    /// Every process's name.
    fn processes(&self) -> Vec<ProcessName>;
    /// Events of a process in the last `window`, oldest first, at most 100; all kinds when
    /// `kind` is none.
    fn events(&self, name: &ProcessName, kind: Option<EventKind>, window: Duration) -> Vec<Event>;
    /// Samples of a process in the last `window`, oldest first.
    fn samples(&self, name: &ProcessName, window: Duration) -> Vec<Sample>;
    /// Lines of a process in the last `window` that match, newest last, at most `limit`.
    /// The regular expression has been checked.
    fn log_lines(
        &self,
        name: &ProcessName,
        pattern: &str,
        window: Duration,
        limit: usize,
    ) -> Vec<LogHit>;
    /// How many lines match, counting at most 100,000.
    fn log_count(&self, name: &ProcessName, pattern: &str, window: Duration) -> u64;
    /// Bytes the process printed in the last `window`.
    fn log_bytes(&self, name: &ProcessName, window: Duration) -> u64;
    /// The command line of whoever listens on a TCP port here, with its pid.
    fn port_holder(&self, port: u16) -> Option<(i32, String)>;
    /// Probe attempts of a process in the last `window`, or since its runs began if only
    /// that is known: how many passed, of how many. None when nobody counts.
    fn probe_attempts(&self, name: &ProcessName, window: Duration) -> Option<(u64, u64)> {
        let _ = (name, window);
        None
    }
    /// The newest tries of all probes of all copies, newest last, at most `limit`.
    fn probe_results(&self, name: &ProcessName, limit: usize) -> Vec<ProbeResult> {
        let _ = (name, limit);
        Vec::new()
    }
    /// The machine.
    fn machine(&self) -> HostFacts {
        HostFacts {
            cpus: std::thread::available_parallelism()
                .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
            ..HostFacts::default()
        }
    }
    /// The release of the machine's kernel, such as `6.8.0-31-generic`.
    fn kernel(&self) -> Option<String> {
        None
    }
    /// Line `line` (from 1) of a source file of the process, below its working folder, at
    /// most 200 characters. None when there is no such file or it lies elsewhere.
    fn source_line(&self, name: &ProcessName, file: &str, line: u32) -> Option<String> {
        let _ = (name, file, line);
        None
    }
    /// How many instances the machine and the bounds of the agent allow.
    fn max_instances(&self, name: &ProcessName) -> u16 {
        self.process(name)
            .map_or(1, |process| process.configured_instances.max(1))
    }
    /// Those of `processes` that cannot be ill in a way that a built-in playbook sees on a slow
    /// look: online, without a probe, silent for a minute, and nobody depends on them. None
    /// when that is not known cheaply.
    fn calm(&self, processes: &[ProcessName]) -> BTreeSet<ProcessName> {
        let _ = processes;
        BTreeSet::new()
    }
    /// A number that is another one when somebody printed something or a sample differs from the
    /// one before; `None` when nobody keeps it.
    fn pulse(&self) -> Option<u64> {
        None
    }
    /// Resolves when [`Facts::pulse`] is another one than when this was called; never, when
    /// nobody keeps it.
    fn stirred(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
    /// Those worth a quick look: who printed something in the last second, has a limit that it
    /// may come near, or so many threads, children or descriptors that they may pile up.
    /// Answered from counters.
    fn talking(&self) -> Vec<ProcessName> {
        Vec::new()
    }
    /// The live trees of a process, close up: threads, descriptors, children, sockets. Costs
    /// a tenth of a second.
    fn close_look(&self, name: &ProcessName) -> Vec<CloseLook> {
        let _ = name;
        Vec::new()
    }
    /// The newest close look at a run that was ill and is gone, if it was taken not long ago.
    fn last_look(&self, name: &ProcessName) -> Vec<CloseLook> {
        let _ = name;
        Vec::new()
    }
    /// Who listens on a TCP port here, and whether it is one of ours.
    fn port_owner(&self, port: u16) -> Option<PortOwner> {
        let (pid, command) = self.port_holder(port)?;
        Some(PortOwner {
            port,
            pid,
            command,
            ..PortOwner::default()
        })
    }
    /// Room where the process works, where its output goes, and for temporary files.
    fn disks(&self, name: &ProcessName) -> Vec<DiskRoom> {
        let _ = name;
        Vec::new()
    }
    /// A file that a process speaks of; relative to its working folder. Its content is not read.
    fn file(&self, name: &ProcessName, path: &str) -> Option<FileLook> {
        let _ = (name, path);
        None
    }
    /// Files in the process's working folder that are no valid JSON or TOML although their
    /// names say so; few, shallow, and none of what was installed.
    fn broken_files(&self, name: &ProcessName) -> Vec<BrokenFile> {
        let _ = name;
        Vec::new()
    }
    /// A lock or pid file that a process speaks of.
    fn lock_file(&self, name: &ProcessName, path: &str) -> Option<LockLook> {
        let _ = (name, path);
        None
    }
    /// What the last change of the definition changed.
    fn last_change(&self, name: &ProcessName) -> Option<ChangeLook> {
        let _ = name;
        None
    }
    /// The environment files of a process.
    fn env_files(&self, name: &ProcessName) -> Vec<EnvFileLook> {
        let _ = name;
        Vec::new()
    }
    /// Tries addresses; port 0 only asks for the name. Half a second for all.
    fn reach(&self, addresses: &[(String, u16)]) -> Vec<ReachLook> {
        let _ = addresses;
        Vec::new()
    }
    /// How long the certificates are valid that these servers show, and that lie in these
    /// files of a process. Half a second for all.
    fn certificates(
        &self,
        name: &ProcessName,
        addresses: &[(String, u16)],
        files: &[String],
    ) -> Vec<CertificateLook> {
        let _ = (name, addresses, files);
        Vec::new()
    }
    /// What anybody told mhost to do with a process in the last `window`, oldest first; from
    /// the audit log.
    fn orders(&self, name: &ProcessName, window: Duration) -> Vec<OrderLook> {
        let _ = (name, window);
        Vec::new()
    }
    /// The machine.
    fn host(&self) -> HostLook {
        HostLook::default()
    }
    /// The newest tries of the probes of a process, oldest first.
    fn attempts(&self, name: &ProcessName) -> Vec<AttemptLook> {
        let _ = name;
        Vec::new()
    }
    /// The other processes, in a line each; those it depends on first, at most 30.
    fn neighbours(&self, name: &ProcessName) -> Vec<NeighbourLook> {
        let _ = name;
        Vec::new()
    }
    /// The first bytes of a text file below the working folder of a process. The path has been
    /// checked by its name; whoever answers sees to it that no link leads out of the folder.
    ///
    /// # Errors
    /// Why it is not shown, in words.
    fn file_head(&self, name: &ProcessName, path: &str, bytes: usize) -> Result<String, String> {
        let _ = (name, path, bytes);
        Err("there are no files here".into())
    }
    /// Hosts and ports that the definition of a process names; port 0 where it names none.
    fn addresses(&self, name: &ProcessName) -> Vec<(String, u16)> {
        let _ = name;
        Vec::new()
    }
    /// URLs that the probes of a process name, without any password in them.
    fn urls(&self, name: &ProcessName) -> Vec<String> {
        let _ = name;
        Vec::new()
    }
    /// What a URL answers: status and first bytes, in words. Two seconds at most.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    fn http_get(&self, name: &ProcessName, url: &str) -> Result<String, String> {
        let _ = (name, url);
        Err("nothing is asked over HTTP here".into())
    }
    /// The processes that depend on this one. Worth answering from an index: it is asked for
    /// every process on each slow look.
    fn dependents(&self, name: &ProcessName) -> Vec<ProcessName> {
        let mut all = self.processes();
        all.retain(|other| {
            other != name
                && self
                    .process(other)
                    .is_some_and(|process| process.depends_on.contains(name))
        });
        all
    }
}
