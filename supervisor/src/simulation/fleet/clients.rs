//! Clients who order at once, and what their answers promise.
//!
//! The ledger knows which orders are under way and whom they touch. The answer of an order that
//! had a process for itself says what is wished of it; where two overlapped, nobody can know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::alone::{copy_of, leaves_down, others_of};
use crate::caller::Caller;
use crate::command::{Command, Done, Reply};
use crate::control::ControlError;
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::registry::RegistryHandle;
use crate::simulation::disk::{Disk, copies};
use crate::simulation::life::Life;
use crate::simulation::promises::{Promises, Wish};
use crate::spec::{Autorestart, ProcessConfig};

/// Longest a client waits, by the clock of the story. An order may wait for many before it, and
/// each of those for runs that take their time.
const ANSWER: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
pub(super) struct Clients {
    ledger: Arc<Mutex<Ledger>>,
    promises: Promises,
    disk: Disk,
}

#[derive(Default)]
struct Ledger {
    last: u64,
    open: BTreeMap<u64, Vec<ProcessName>>,
    /// The newest order that touched a process.
    newest: BTreeMap<ProcessName, u64>,
}

/// An order that was sent.
pub(super) struct Order {
    answer: oneshot::Receiver<Reply>,
}

impl Order {
    /// Waits for the answer; none, when it was refused or the daemon died.
    pub(super) async fn answer(self) -> Option<Reply> {
        self.answer.await.ok()
    }
}

impl Clients {
    pub(super) fn new(promises: &Promises, disk: &Disk) -> Self {
        Self {
            ledger: Arc::default(),
            promises: promises.clone(),
            disk: disk.clone(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic")
    }

    /// Is no order under way?
    pub(super) fn are_idle(&self) -> bool {
        self.ledger().open.is_empty()
    }

    /// Its orders are never answered. What is not on record does not outlive it either.
    pub(super) fn daemon_died(&self) {
        let open = std::mem::take(&mut self.ledger().open);
        let touched = open.into_values().flatten();
        let unknown: BTreeSet<ProcessName> = touched.collect();
        for name in &unknown {
            self.open(name);
        }
        let known = self.ledger().newest.keys().cloned().collect::<Vec<_>>();
        for name in &known {
            if self.disk.lacks_of(name) || self.disk.lacks_row_of(name) {
                self.promises.wish(name, Wish::Open);
                self.promises.open_copies(name, |_| true);
            }
        }
    }

    fn open(&self, name: &ProcessName) {
        self.promises.wish(name, Wish::Open);
        self.promises.wish_copies(name, None);
    }

    /// Sends an order that touches these processes.
    pub(super) fn order(
        &self,
        registry: &RegistryHandle,
        life: &Arc<Life>,
        command: Command,
        touched: Vec<ProcessName>,
    ) -> Order {
        self.disk.watch_order(Vec::new());
        let (number, alone) = {
            let mut ledger = self.ledger();
            ledger.last += 1;
            let number = ledger.last;
            let is_free =
                |name: &&ProcessName| !ledger.open.values().flatten().any(|one| one == *name);
            let alone: Vec<ProcessName> = touched.iter().filter(is_free).cloned().collect();
            for name in &touched {
                ledger.newest.insert(name.clone(), number);
            }
            ledger.open.insert(number, touched.clone());
            (number, alone)
        };
        let entries = registry.entries();
        for name in &touched {
            let mut rows = entries.iter().map(|(row, _)| row);
            let row = rows.find(|row| row.spec.name == *name);
            let row = row.filter(|_| alone.contains(name));
            let stays = |index| row.is_some_and(|row| leaves_down(&command, row, index));
            self.promises.open_copies(name, |index| !stays(index));
            if let Some(row) = row.filter(|_| self.promises.wished(name) == Wish::Down) {
                for index in others_of(&command, row) {
                    self.promises
                        .wish_down(InstanceId::new(name.clone(), index));
                }
            }
            self.open(name);
        }
        self.promises
            .tell(format!("order {number}: {}", described(&command)));
        let (tell, answer) = oneshot::channel();
        let (clients, registry, life) = (self.clone(), registry.clone(), Arc::clone(life));
        tokio::spawn(async move {
            let caller = Caller::system();
            let asking = registry.call(&caller, command.clone());
            let answer = tokio::select! {
                biased;
                () = life.over() => return,
                answer = tokio::time::timeout(ANSWER, asking) => answer,
            };
            let Ok(answer) = answer else {
                let text = format!("order {number} was never answered");
                return clients.promises.broke(text);
            };
            let known = {
                let mut ledger = clients.ledger();
                ledger.open.remove(&number);
                let mut alone = alone;
                alone.retain(|name| ledger.newest.get(name) == Some(&number));
                alone
            };
            clients.answered(number, &registry, &command, &answer, &known);
            if let Ok(answer) = answer {
                // The story may have gone on.
                let _ = tell.send(answer);
            }
        });
        Order { answer }
    }

    /// What is to be so now of those that were touched by nobody else.
    fn answered(
        &self,
        number: u64,
        registry: &RegistryHandle,
        command: &Command,
        answer: &Result<Reply, ControlError>,
        known: &[ProcessName],
    ) {
        self.promises
            .tell(format!("answer {number}: {}", told(answer)));
        let Ok(reply) = answer else {
            return;
        };
        let done = |name: &ProcessName| match reply {
            Reply::Done(all) => all.iter().any(|one| is_done(one, name)),
            _ => false,
        };
        let started = |name: &ProcessName| match reply {
            Reply::Started(outcome) => outcome
                .processes
                .iter()
                .any(|one| one.name == *name && one.online && one.error.is_none()),
            _ => false,
        };
        let entries = registry.entries();
        for name in known {
            let entry = entries.iter().find(|(row, _)| row.spec.name == *name);
            let config = entry.map(|(row, _)| &row.spec.config);
            let wish = match command {
                Command::Stop { .. } if done(name) => Wish::Down,
                Command::Hold { .. } if done(name) => {
                    let held = |handle: &InstanceHandle| handle.snapshot().saved.state.is_held();
                    let all = entry.is_some_and(|(_, handles)| handles.iter().all(held));
                    if all { Wish::Down } else { Wish::Open }
                }
                Command::Delete { .. } if done(name) => Wish::Gone,
                Command::Restart { .. } | Command::Reload { .. } if done(name) => up(config),
                // Of one copy, it says nothing of the others; and if nobody waited for it, what it
                // depends on may fail yet.
                Command::Start { target, wait }
                    if started(name)
                        && !target.0.contains(':')
                        && (wait.is_some() || config.is_some_and(has_no_dependency)) =>
                {
                    up(config)
                }
                Command::Apply(apply) if apply.wait.is_some() && started(name) => up(config),
                _ => Wish::Open,
            };
            self.promises.wish(name, wish);
            if let Command::Stop { target, .. } | Command::Hold { target, .. } = command
                && let Reply::Done(all) = reply
                && let Some(index) = copy_of(target, name)
                && all.iter().all(|one| is_done_to(one, &target.0))
                // One that is too many may make room for another.
                && entry.is_some_and(|(row, _)| index < copies(row))
            {
                self.promises
                    .wish_down(InstanceId::new(name.clone(), index));
            }
            if let Some((row, _)) = entry
                && !matches!(command, Command::Delete { .. })
            {
                self.promises.wish_copies(name, Some(copies(row)));
            }
        }
    }
}

fn has_no_dependency(config: &ProcessConfig) -> bool {
    config.depends_on.is_empty()
}

/// One that is brought up again however often it ends.
fn up(config: Option<&ProcessConfig>) -> Wish {
    let is_tireless = |config: &ProcessConfig| {
        config.autorestart == Autorestart::Always && config.max_restarts == 0
    };
    match config {
        Some(config) if is_tireless(config) => Wish::Up,
        _ => Wish::Open,
    }
}

fn is_done(done: &Done, name: &ProcessName) -> bool {
    is_done_to(done, name.as_str())
}

fn is_done_to(done: &Done, target: &str) -> bool {
    let started_again = |note: &String| note.contains("started again");
    done.target == target && done.error.is_none() && !done.note.as_ref().is_some_and(started_again)
}

fn described(command: &Command) -> String {
    let Command::Apply(apply) = command else {
        return format!("{command:?}");
    };
    let specs = apply.processes.iter();
    let specs = specs.map(|spec| format!("{} ({})", spec.name, spec.argv.args.join(" ")));
    format!(
        "apply {}; prune {}, force {}, reset scale {}, wait {:?}",
        specs.collect::<Vec<_>>().join(", "),
        apply.prune,
        apply.force,
        apply.reset_scale,
        apply.wait
    )
}

fn told(answer: &Result<Reply, ControlError>) -> String {
    match answer {
        Ok(Reply::Done(all)) => {
            let one = |done: &Done| {
                let rest = done.error.as_ref().or(done.note.as_ref());
                format!("{} ({})", done.target, rest.map_or("done", String::as_str))
            };
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Ok(Reply::Started(outcome)) => {
            let all = outcome.processes.iter();
            let all = all.map(|one| format!("{} {:?} ({:?})", one.name, one.change, one.error));
            all.collect::<Vec<_>>().join(", ")
        }
        Ok(reply) => format!("{reply:?}"),
        Err(error) => format!("refused: {error}"),
    }
}
