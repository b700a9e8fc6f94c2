//! The loop, and the handle to it.
//!
//!   events ──► observe ──► open incidents ──► one worker per process ──► Control
//!   clock ───► quick and slow look, expiry ─────┘        ▲
//!   people ──► AgentHandle ── approve, deny ─────────────┤
//!   a model, asked beside it all ── its answer ──────────┘   (at most one question about all)
//!
//! The loop owns who works on what: a process has at most one worker, and what comes for it
//! meanwhile waits for the worker's end. It never acts itself. Events are hints: after a
//! lag the missed ones are read from the store.

mod handle;
mod pace;
mod resume;
mod round;
mod seen;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use brain::{Approval, BrainStoreError};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use supervisor::{Caller, ControlError, Event, EventId, ProcessName, Tasks};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use handle::AgentHandle;

use pace::Pace;
use round::Todo;
use seen::Seen;

use crate::always;
use crate::consult::{self, Answered};
use crate::group;
use crate::mind::{Diagnosis, Watch};
use crate::question;
use crate::shared::{Parts, Shared};
use crate::worker::{self, Put};

/// Between two quick looks for first signs, whatever the interval of the slow one.
const QUICK: std::time::Duration = std::time::Duration::from_millis(500);

/// Messages that may wait for the loop.
const QUEUE: usize = 64;

/// Why the agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The brain's history could not be read.
    #[error("the open incidents could not be read")]
    Store(#[from] BrainStoreError),
    /// Events may not be watched.
    #[error("the events could not be watched")]
    Watch(#[from] ControlError),
}

/// What people say to the loop.
#[derive(Debug)]
enum Message {
    /// A plan was approved by this caller.
    Approved(Box<Approval>, Caller),
    /// Somebody asked in words for what a model made a plan of, and waits for what becomes of
    /// it.
    Proposed(ProcessName, Box<Diagnosis>, oneshot::Sender<Put>),
    /// Something changed that may let an incident go on.
    Look,
}

/// The agent: brain, policy and hands, joined.
#[derive(Debug)]
pub struct Agent;

impl Agent {
    /// Takes up what a former daemon left, and starts the loop. Subscribe before processes
    /// are started, or their first events are missed.
    ///
    /// # Errors
    /// When the history cannot be read or events may not be watched.
    pub async fn start(parts: Parts, tasks: &Tasks) -> Result<AgentHandle, StartError> {
        Self::start_after(parts, tasks, None).await
    }

    /// The same, where processes were started before: what was recorded after the event
    /// `heard` is looked at first.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub async fn start_after(
        parts: Parts,
        tasks: &Tasks,
        heard: Option<EventId>,
    ) -> Result<AgentHandle, StartError> {
        let events = parts.control.watch(&Caller::system())?;
        let shared = Arc::new(Shared::new(parts));
        let resumed = resume::take_up(&shared).await?;
        let (sender, messages) = mpsc::channel(QUEUE);
        let mut agent = Loop {
            shared: shared.clone(),
            tasks: tasks.clone(),
            wanted: BTreeSet::new(),
            approved: BTreeMap::new(),
            busy: BTreeSet::new(),
            workers: FuturesUnordered::new(),
            inquiries: FuturesUnordered::new(),
            watches: FuturesUnordered::new(),
            answered: BTreeMap::new(),
            proposed: BTreeMap::new(),
            seen: Seen::up_to(heard.unwrap_or(0)),
            pace: Pace::default(),
            next_expiry: None,
        };
        for job in resumed {
            let process = job.process.clone();
            agent.launch(process, resume::go_on(shared.clone(), job));
        }
        let running = tasks.clone();
        tasks.spawn("agent", async move {
            if heard.is_some() {
                agent.catch_up().await;
            }
            agent.run(running, events, messages).await
        });
        Ok(AgentHandle::new(shared, sender))
    }
}

struct Loop {
    shared: Arc<Shared>,
    tasks: Tasks,
    /// Processes whose incident should be thought about.
    wanted: BTreeSet<ProcessName>,
    /// Approved plans that wait for their process.
    approved: BTreeMap<ProcessName, VecDeque<(Approval, Caller)>>,
    /// Processes with a worker.
    busy: BTreeSet<ProcessName>,
    /// The workers; each ends with its process's name, also by a panic.
    workers: FuturesUnordered<JoinHandleOf>,
    /// Questions to a model that are under way.
    inquiries: FuturesUnordered<futures::future::BoxFuture<'static, Option<Answered>>>,
    /// The question about all processes that is under way; one at most.
    watches: FuturesUnordered<futures::future::BoxFuture<'static, Option<Watch>>>,
    /// Plans that people asked for and that wait for their process; the newest of each.
    proposed: BTreeMap<ProcessName, (Diagnosis, oneshot::Sender<Put>)>,
    /// Answers that wait for their process.
    answered: BTreeMap<ProcessName, Answered>,
    seen: Seen,
    /// Of the quick looks.
    pace: Pace,
    next_expiry: Option<Timestamp>,
}

type JoinHandleOf = futures::future::BoxFuture<'static, ProcessName>;

impl Loop {
    async fn run(
        mut self,
        tasks: Tasks,
        mut events: broadcast::Receiver<Arc<Event>>,
        mut messages: mpsc::Receiver<Message>,
    ) {
        let mut interval = self.shared.settings().poll_interval;
        let mut tick = ticker(interval);
        let mut quick = Instant::now() + QUICK;
        let mut stirred = self.shared.facts.stirred();
        self.expire().await;
        self.take_up_answers().await;
        loop {
            // The interval may have been configured anew.
            if self.shared.settings().poll_interval != interval {
                interval = self.shared.settings().poll_interval;
                tick = ticker(interval);
            }
            tokio::select! {
                biased;
                () = tasks.cancelled() => return,
                message = messages.recv() => match message {
                    Some(Message::Approved(approval, caller)) => {
                        let process = approval.process.clone();
                        self.approved
                            .entry(process.clone())
                            .or_default()
                            .push_back((*approval, caller));
                        self.next(&process);
                    }
                    Some(Message::Proposed(process, diagnosis, tell)) => {
                        let new = (*diagnosis, tell);
                        if let Some((_, former)) = self.proposed.insert(process.clone(), new) {
                            let why = "something else was asked for meanwhile";
                            let _ = former.send(Put::Dropped(why.into()));
                        }
                        self.next(&process);
                    }
                    Some(Message::Look) => self.look().await,
                    None => return,
                },
                Some(process) = self.workers.next() => {
                    self.busy.remove(&process);
                    self.regroup().await;
                    self.next(&process);
                    for process in self.shared.take_again() {
                        self.wanted.insert(process.clone());
                        self.next(&process);
                    }
                    self.inquire();
                    self.expire().await;
                }
                Some(answer) = self.inquiries.next() => if let Some(answer) = answer {
                    let process = answer.process.clone();
                    self.answered.insert(process.clone(), answer);
                    self.next(&process);
                },
                Some(watch) = self.watches.next() => if let Some(watch) = watch {
                    self.watched(watch);
                },
                event = events.recv() => match event {
                    Ok(event) => self.event(&event).await,
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "The agent lags and reads the events it missed.");
                        self.catch_up().await;
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = at(&self.shared, self.next_expiry) => self.expire().await,
                _ = tick.tick() => self.look().await,
                () = tokio::time::sleep_until(quick) => {
                    // Before the look, so that nothing falls between the two.
                    stirred = self.shared.facts.stirred();
                    self.quick_look().await;
                    quick = self.pace.next(Instant::now(), QUICK);
                }
                // At rest, who begins to do something is looked at at once.
                () = &mut stirred, if quick > Instant::now() + QUICK => {
                    stirred = Box::pin(std::future::pending());
                    quick = Instant::now();
                }
            }
        }
    }

    /// Starts what waits for a process, if nobody works on it.
    fn next(&mut self, process: &ProcessName) {
        if self.busy.contains(process) {
            return;
        }
        if let Some(queue) = self.approved.get_mut(process)
            && let Some((approval, caller)) = queue.pop_front()
        {
            let work = question::run_approved(self.shared.clone(), approval, caller);
            self.launch(process.clone(), work);
        } else if let Some((diagnosis, tell)) = self.proposed.remove(process) {
            let work = worker::found(self.shared.clone(), process.clone(), diagnosis);
            self.launch(process.clone(), async {
                // Whoever asked may have stopped waiting.
                let _ = tell.send(work.await);
            });
        } else if let Some(answer) = self.answered.remove(process) {
            let work = consult::answered(self.shared.clone(), answer);
            self.launch(process.clone(), work);
        } else if self.wanted.remove(process) {
            let work = worker::consider(self.shared.clone(), process.clone());
            self.launch(process.clone(), work);
        }
    }

    /// Sends the questions to a model that workers left. They run beside everything else.
    fn inquire(&mut self) {
        for pending in self.shared.take_inquiries() {
            let (token, process) = (self.tasks.token(), pending.process.clone());
            let failed = Answered::failed(&pending, "asking it went wrong within mhost");
            let work = consult::wait(self.shared.clone(), pending);
            let handle = self.tasks.spawn(format!("model: {process}"), async move {
                tokio::select! {
                    () = token.cancelled() => None,
                    answer = work => Some(answer),
                }
            });
            self.inquiries.push(Box::pin(async move {
                match handle.await {
                    Ok(answer) => answer,
                    Err(error) => {
                        tracing::error!(process = %process, %error, "A question to a model panicked.");
                        Some(failed)
                    }
                }
            }));
        }
    }

    fn launch(&mut self, process: ProcessName, work: impl Future<Output = ()> + Send + 'static) {
        self.busy.insert(process.clone());
        let token = self.tasks.token();
        let handle: JoinHandle<()> = self.tasks.spawn(format!("agent: {process}"), async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
        });
        self.workers.push(Box::pin(async move {
            if let Err(error) = handle.await {
                tracing::error!(process = %process, %error, "A worker of the agent panicked.");
            }
            process
        }));
    }

    async fn event(&mut self, event: &Event) {
        if !self.seen.is_new(event.id) {
            return;
        }
        if let Err(error) = question::recheck(&self.shared, &event.process).await {
            tracing::error!(process = %event.process, %error, "A question could not be withdrawn.");
        }
        match self.shared.sign(event).await {
            Ok(true) => {
                self.regroup().await;
                self.wanted.insert(event.process.clone());
                self.next(&event.process);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(
                process = %event.process,
                %error,
                "An incident could not be recorded, so nothing is done about it.",
            ),
        }
    }

    /// One incident per cause.
    async fn regroup(&mut self) {
        if let Err(error) = group::regroup(&self.shared, &self.busy).await {
            tracing::error!(%error, "Incidents could not be merged.");
        }
    }

    async fn catch_up(&mut self) {
        for event in round::missed(&self.shared, self.seen.floor()).await {
            self.event(&event).await;
        }
    }

    /// The slow look: what recovered, what is wrong without an event, what was forgotten.
    async fn look(&mut self) {
        self.free().await;
        match round::look(&self.shared, &self.busy).await {
            Ok(todo) => {
                for one in todo {
                    match one {
                        Todo::Think(process) => {
                            self.wanted.insert(process.clone());
                            self.next(&process);
                        }
                        Todo::Found(process, diagnosis) => {
                            let shared = self.shared.clone();
                            let work = worker::found(shared, process.clone(), *diagnosis);
                            self.launch(process, async {
                                work.await;
                            });
                        }
                    }
                }
            }
            Err(error) => tracing::error!(%error, "The agent could not take its slow look."),
        }
        self.watch();
        self.shared.round_ended();
    }

    /// Goes on with plans whose worker ended before they did: a full disk, or a panic.
    async fn free(&mut self) {
        let idle = |process: &ProcessName| !self.busy.contains(process);
        let open = self.shared.all_open().into_iter();
        let stuck: Vec<_> = open
            .filter(|incident| incident.state.is_busy())
            .map(|incident| incident.process)
            .filter(idle)
            .collect();
        match resume::stuck(&self.shared, &stuck).await {
            Ok(resumed) => {
                for job in resumed {
                    let process = job.process.clone();
                    self.launch(process, resume::go_on(self.shared.clone(), job));
                }
            }
            Err(error) => tracing::error!(%error, "What is left of plans could not be read."),
        }
    }

    /// Asks a model about all processes, if that is wanted and nothing is open.
    fn watch(&mut self) {
        if !self.watches.is_empty() || !self.busy.is_empty() || !always::is_due(&self.shared) {
            return;
        }
        let Some(asking) = self.shared.mind.watch() else {
            return;
        };
        let token = self.tasks.token();
        let handle = self.tasks.spawn("model: all processes", async move {
            token.run_until_cancelled(asking).await
        });
        self.watches.push(Box::pin(async move {
            match handle.await {
                Ok(watch) => watch,
                Err(error) => {
                    tracing::error!(%error, "A question to a model panicked.");
                    Some(always::failed("asking it went wrong within mhost"))
                }
            }
        }));
    }

    fn watched(&mut self, watch: Watch) {
        self.shared.watched.count(&watch, self.shared.clock.now());
        let Some((process, diagnosis)) = watch.found else {
            return;
        };
        if !self.busy.contains(&process) {
            let work = always::found(self.shared.clone(), process.clone(), diagnosis, watch.story);
            self.launch(process, work);
        }
    }

    /// The quick look: first signs that no event tells of.
    async fn quick_look(&mut self) {
        let begun = Instant::now();
        if !self.pace.is_due(self.shared.facts.pulse(), begun) {
            return;
        }
        let found = round::suspects(&self.shared).await;
        self.pace.looked(begun, Instant::now());
        match found {
            Ok(processes) if processes.is_empty() => {}
            Ok(processes) => {
                self.regroup().await;
                for process in processes {
                    self.wanted.insert(process.clone());
                    self.next(&process);
                }
            }
            Err(error) => tracing::error!(%error, "A suspicion could not be recorded."),
        }
    }

    /// Goes on with answers that a former daemon took and did not get to.
    async fn take_up_answers(&mut self) {
        match question::take_up(&self.shared).await {
            Ok(left) => {
                for (approval, caller) in left {
                    let process = approval.process.clone();
                    let queue = self.approved.entry(process.clone()).or_default();
                    queue.push_back((approval, caller));
                    self.next(&process);
                }
            }
            Err(error) => tracing::error!(%error, "Answers of before could not be read."),
        }
    }

    async fn expire(&mut self) {
        match question::expire(&self.shared).await {
            Ok(next) => self.next_expiry = next,
            Err(error) => {
                tracing::error!(%error, "Open questions could not be read.");
                self.next_expiry = None;
            }
        }
    }
}

fn ticker(interval: std::time::Duration) -> tokio::time::Interval {
    let interval = interval.max(std::time::Duration::from_millis(100));
    let mut tick = tokio::time::interval_at(Instant::now() + interval, interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick
}

async fn at(shared: &Shared, deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(shared.clock.instant_of(deadline)).await,
        None => std::future::pending().await,
    }
}
