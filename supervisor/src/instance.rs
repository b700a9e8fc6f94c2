//! One task owns one instance.
//!
//! ```text
//!   InstanceHandle ──Order──► instance task ──Effect──► Launcher (spawn, signal)
//!                                  ▲  │
//!              exit, probe, memory ┘  └──Batch──► Journal ──► Bus
//!                                     └──Snapshot──► latest (registry, neighbours)
//! ```
//!
//! All decisions are in [`crate::machine::step`], which does no input or output; the task
//! only carries inputs to it and effects from it. It never touches another instance: it
//! reads its dependencies' snapshots from the [`Board`] and nothing more.

mod board;
mod hearing;
mod leftovers;
mod run;
mod task;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub(crate) use board::Board;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::command::view::{HealthStatus, HealthView};
use crate::ids::{Generation, InstanceId};
use crate::latest::{Teller, Viewer};
use crate::launch::Launcher;
use crate::machine::{Awaited, IllegalInput, Input, Rules};
use crate::paths::Paths;
use crate::sampler::Sampler;
use crate::seams::{Capture, Journal};
use crate::spec::ProcessSpec;
use crate::state::{Counters, Saved, State};
use crate::tasks::Tasks;

/// Orders that may wait for an instance. More than a person or a playbook ever queues.
const QUEUE: usize = 16;

/// What all instances share. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Context(Arc<Shared>);

impl Context {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The parts of a [`Context`].
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) capture: Arc<dyn Capture>,
    pub(crate) sampler: Sampler,
    pub(crate) bus: Bus,
    pub(crate) board: Board,
    pub(crate) paths: Paths,
    pub(crate) tasks: Tasks,
}

/// What anybody may know of an instance, at any moment and without asking it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// All that survives the daemon.
    pub(crate) saved: Saved,
    /// Remains of an earlier run are being ended.
    pub(crate) cleaning: bool,
    /// Why the last spawn failed, if it did.
    pub(crate) spawn_error: Option<String>,
    /// Its probes.
    pub(crate) health: HealthStatus,
    /// The probes in full.
    pub(crate) probes: Arc<Vec<HealthView>>,
    /// Since when a probe has been failing.
    pub(crate) failing_since: Option<Timestamp>,
    /// It is online, and nothing says that it is not ready.
    pub(crate) ready: bool,
    /// What must come before a run is up.
    pub(crate) awaited: Awaited,
    /// What it says of itself.
    pub(crate) status_text: Option<Arc<str>>,
}

impl Snapshot {
    /// Is there a live process, or the remains of one?
    pub(crate) fn is_down(&self) -> bool {
        !self.saved.state.has_process() && !self.cleaning
    }
}

/// What an instance is told.
enum Message {
    /// An input for the machine, in somebody's name.
    Order {
        input: Input,
        actor: String,
        done: oneshot::Sender<Result<(), OrderError>>,
    },
    /// It is not wanted for this reason: while it is not, nobody starts it.
    CallOff(Unwanted),
    /// It is wanted after all, as far as this reason goes.
    WantAgain(Unwanted),
    /// A new definition, for the next run.
    Define(Arc<ProcessSpec>),
    /// Make an attempt with every probe now, and say where its answers will come.
    Probe(oneshot::Sender<Vec<oneshot::Receiver<bool>>>),
    /// Another place in a reload, and the state of what it replaces, if it does.
    Stand(Standing, Option<Box<Saved>>, oneshot::Sender<()>),
}

/// Why an instance begins no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unwanted {
    /// There are to be fewer copies.
    Surplus,
    /// Its process is being deleted.
    Removal,
    /// The daemon ends, or another task has its place. That is never taken back.
    End,
}

impl std::fmt::Display for Unwanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Surplus => "there are to be fewer instances of it",
            Self::Removal => "it is being deleted",
            Self::End => "the daemon is ending",
        })
    }
}

/// The place of a task in a reload, while two generations of an instance live side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The instance itself: it is recorded and measured.
    Owner,
    /// A new generation that has to prove itself beside the owner. It is not recorded, and
    /// what it does must not reach the owner's tree.
    Shadow,
    /// An owner that was replaced and only has to go.
    Retired,
}

/// What a task begins with.
struct Beginning {
    standing: Standing,
    unwanted: BTreeSet<Unwanted>,
    /// What a former daemon recorded of the instance.
    saved: Option<Saved>,
    /// The newest run of the instance, whoever has it.
    newest: Arc<Mutex<Generation>>,
}

/// Reaches an instance. Clones reach the same one.
#[derive(Debug, Clone)]
pub(crate) struct InstanceHandle {
    id: InstanceId,
    sender: mpsc::Sender<Box<Message>>,
    snapshot: Viewer<Arc<Snapshot>>,
    /// The newest run, shared with the other task of a reload.
    newest: Arc<Mutex<Generation>>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum OrderError {
    /// The task has ended.
    #[error("the instance is gone")]
    Gone,
    /// Its queue is full.
    #[error("the instance has too many orders waiting")]
    Busy,
    /// It is not wanted for this reason.
    #[error("{0}")]
    Unwanted(Unwanted),
    /// It makes no sense now.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
}

impl InstanceHandle {
    /// Starts the task. `saved` is what a former daemon recorded, if there was one; the task
    /// then takes over what it left behind before it listens to anybody. Absent, the instance is
    /// new, and nothing of it can be there.
    pub(crate) fn start(
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        saved: Option<Saved>,
        context: Context,
    ) -> Self {
        Self::start_owner(id, spec, saved, context, BTreeSet::new())
    }

    /// The same of one that is too much: it goes on with what runs and begins nothing, until
    /// [`Self::want_again`].
    pub(crate) fn start_surplus(
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        saved: Option<Saved>,
        context: Context,
    ) -> Self {
        let unwanted = BTreeSet::from([Unwanted::Surplus]);
        Self::start_owner(id, spec, saved, context, unwanted)
    }

    fn start_owner(
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        saved: Option<Saved>,
        context: Context,
        unwanted: BTreeSet<Unwanted>,
    ) -> Self {
        let generation = saved.as_ref().map_or(0, Saved::newest);
        let beginning = Beginning {
            standing: Standing::Owner,
            unwanted,
            saved,
            newest: Arc::new(Mutex::new(generation)),
        };
        let board = context.board.clone();
        let handle = Self::start_as(beginning, id, spec, context);
        handle.show_on(&board);
        handle
    }

    /// Starts the task of a new generation beside this one, unknown to the board.
    pub(crate) fn start_shadow(&self, spec: Arc<ProcessSpec>, context: Context) -> Self {
        let counters = Counters {
            backoff: 0,
            breaker: 0,
            ..self.snapshot().saved.counters
        };
        let saved = Saved {
            counters,
            ..Saved::default()
        };
        let beginning = Beginning {
            standing: Standing::Shadow,
            unwanted: BTreeSet::new(),
            saved: Some(saved),
            newest: Arc::clone(&self.newest),
        };
        Self::start_as(beginning, self.id.clone(), spec, context)
    }

    fn start_as(
        beginning: Beginning,
        id: InstanceId,
        spec: Arc<ProcessSpec>,
        context: Context,
    ) -> Self {
        let (sender, inbox) = mpsc::channel(QUEUE);
        let snapshot = Snapshot {
            saved: beginning.saved.clone().unwrap_or_default(),
            // Until it has looked what a former daemon left behind.
            cleaning: beginning.standing == Standing::Owner && beginning.saved.is_some(),
            spawn_error: None,
            health: HealthStatus::Off,
            probes: Arc::default(),
            failing_since: None,
            ready: false,
            awaited: Rules::of(&spec, id.index).awaited(),
            status_text: None,
        };
        let publish = Teller::new(Arc::new(snapshot));
        let tasks = context.tasks.clone();
        let handle = Self {
            id: id.clone(),
            sender,
            snapshot: publish.viewer(),
            newest: Arc::clone(&beginning.newest),
        };
        let task = task::InstanceTask::new(beginning, id.clone(), spec, context, publish);
        tasks.spawn(format!("instance {id}"), Box::new(task).run(inbox));
        handle
    }

    /// Which instance this is.
    pub(crate) fn id(&self) -> &InstanceId {
        &self.id
    }

    /// Do both reach the same task?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sender.same_channel(&other.sender)
    }

    /// What is known of it now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.get()
    }

    /// Gives it an input, and returns when the machine has moved and its effects are done.
    /// What follows from that (an exit, a ready probe) is awaited with [`Self::until`].
    pub(crate) async fn order(&self, input: Input, actor: &str) -> Result<(), OrderError> {
        let (done, answer) = oneshot::channel();
        let message = Message::Order {
            input,
            actor: actor.to_owned(),
            done,
        };
        self.sender
            .try_send(Box::new(message))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => OrderError::Busy,
                mpsc::error::TrySendError::Closed(_) => OrderError::Gone,
            })?;
        answer.await.map_err(|_| OrderError::Gone)?
    }

    /// Says that it is not wanted. Whoever orders a start after this is refused, also one who has
    /// looked the handle up before, and a retry waits.
    pub(crate) async fn call_off(&self, why: Unwanted) {
        // A task that has ended starts nothing.
        let _ = self.sender.send(Box::new(Message::CallOff(why))).await;
    }

    /// Takes that back. Other reasons stay.
    pub(crate) async fn want_again(&self, why: Unwanted) {
        let _ = self.sender.send(Box::new(Message::WantAgain(why))).await;
    }

    /// Lets its probes make an attempt now: a place for the answer of each. A run without
    /// probes has none.
    pub(crate) async fn probe_now(&self) -> Result<Vec<oneshot::Receiver<bool>>, OrderError> {
        let (done, answers) = oneshot::channel();
        let sent = self.sender.send(Box::new(Message::Probe(done))).await;
        sent.map_err(|_| OrderError::Gone)?;
        answers.await.map_err(|_| OrderError::Gone)
    }

    /// Gives it a new definition.
    pub(crate) async fn define(&self, spec: Arc<ProcessSpec>) -> Result<(), OrderError> {
        self.sender
            .send(Box::new(Message::Define(spec)))
            .await
            .map_err(|_| OrderError::Gone)
    }

    /// Replaces another task in a reload, and returns when both have taken their places. The
    /// process of the other is recorded until it is gone.
    pub(crate) async fn replace(&self, other: &Self) -> Result<(), OrderError> {
        other.stand(Standing::Retired, None).await?;
        let former = Box::new(other.snapshot().saved.clone());
        self.stand(Standing::Owner, Some(former)).await
    }

    /// Has all done that it was told so far. From then on it is not recorded: its row is to go.
    pub(crate) async fn retire(&self) {
        // A task that has ended records nothing.
        let _ = self.stand(Standing::Retired, None).await;
    }

    async fn stand(
        &self,
        standing: Standing,
        former: Option<Box<Saved>>,
    ) -> Result<(), OrderError> {
        let (done, answer) = oneshot::channel();
        self.sender
            .send(Box::new(Message::Stand(standing, former, done)))
            .await
            .map_err(|_| OrderError::Gone)?;
        answer.await.map_err(|_| OrderError::Gone)
    }

    /// Makes it the one its neighbours look at.
    pub(crate) fn show_on(&self, board: &Board) {
        board.put(self.id.clone(), self.snapshot.clone());
    }

    /// Waits until its snapshot satisfies `condition`, at most `limit`; none waits for ever.
    /// False when the time is over or the task has ended.
    pub(crate) async fn until(
        &self,
        limit: Option<Duration>,
        condition: impl Fn(&Snapshot) -> bool,
    ) -> bool {
        let held = |snapshot: &Snapshot| condition(snapshot).then_some(());
        self.until_some(limit, held).await.is_some()
    }

    /// Waits until `look` finds something in its snapshot, and gives that: the snapshot may
    /// have moved on by the time the caller runs again.
    pub(crate) async fn until_some<T>(
        &self,
        limit: Option<Duration>,
        look: impl Fn(&Snapshot) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let wait = self.snapshot.until(|snapshot| {
            found = look(snapshot);
            found.is_some()
        });
        match limit {
            Some(limit) => drop(tokio::time::timeout(limit, wait).await),
            None => drop(wait.await),
        }
        found
    }
}

/// The state with its flags, for people: `errored (retry in 3.2s, 4)`.
pub(crate) fn detail(state: &State, now: Timestamp) -> String {
    use crate::state::Hold;
    let status = state.status().as_str();
    match state {
        State::Errored { hold } => match hold {
            Hold::Retrying {
                next_at, attempt, ..
            } => {
                let wait = crate::clock::until(now, *next_at).as_secs_f64();
                format!("{status} (retry in {wait:.1}s, {attempt})")
            }
            Hold::Breaker => format!("{status} (breaker)"),
            Hold::Held { by, .. } => {
                let by = by.strip_prefix("brain:").unwrap_or(by);
                format!("{status} (held: {by})")
            }
            Hold::NoAutorestart => format!("{status} (no autorestart)"),
            Hold::Unkillable { run, .. } => {
                format!("{status} (unkillable, pid {})", run.process.pid)
            }
        },
        State::Online { leaving: true, .. } => format!("{status} (says it is stopping)"),
        State::Stopped
        | State::Spawning { .. }
        | State::Starting { .. }
        | State::Online { leaving: false, .. }
        | State::Stopping { .. } => status.to_owned(),
    }
}
