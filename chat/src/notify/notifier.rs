//! The task that owns the rules, and a worker for each channel.
//!
//! ```text
//!   Notifier ──Order──► rules ──one transaction──► chat.sqlite ──► worker ──► sender
//!       ▲                 │ deadlines                  ▲             │
//!       └── done: it is on disk                        └── result ◄──┘
//! ```
//!
//! What comes in together is decided together and written once, so that a storm costs as many
//! writes as there are batches.

mod lanes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use supervisor::{Clock, Tasks, until};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::sender::{Bots, SendError, Sender, sender};
use super::worker::Tried;
use super::{
    ChannelSettings, Input, NoMute, Notice, OpenIncident, Outgoing, Overview, ProcessWish, Rules,
    Templates,
};
use crate::store::{Delivery, Store, StoreError};
use lanes::Lanes;

/// Orders that wait for the rules.
const QUEUE: usize = 256;
/// Longest sleep: a clock that was set back delays nothing for longer.
const LONGEST: Duration = Duration::from_secs(60);
/// After the disk has failed.
const BROKEN: Duration = Duration::from_secs(5);
/// Messages that wait for the disk.
const UNWRITTEN: usize = 1_000;
/// How long a test waits for its result: another message may be in the middle of its try.
const TEST: Duration = Duration::from_secs(30);

/// Takes secrets out of a text.
pub type Redact = Arc<dyn Fn(String) -> String + Send + Sync>;

/// Makes the sender of a channel.
type Make = Arc<dyn Fn(&ChannelSettings) -> Result<Arc<dyn Sender>, SendError> + Send + Sync>;

/// What a notifier works with.
pub struct Setup {
    /// The channels, checked.
    pub channels: Vec<ChannelSettings>,
    /// What messages say.
    pub templates: Templates,
    /// Where they wait.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Every text goes through this first.
    pub redact: Redact,
    /// The name of this machine.
    pub host: String,
    /// For channels that speak through a bot.
    pub bots: Arc<dyn Bots>,
}

/// A handle; clones are the same notifier.
#[derive(Clone)]
pub struct Notifier {
    orders: mpsc::Sender<Order>,
    redact: Redact,
    tried: broadcast::Sender<Tried>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// Why a notifier did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The daemon ends.
    #[error("notifications have ended")]
    Gone,
    /// There is no such channel, or it is off.
    #[error("there is no channel `{0}` that is on")]
    NoChannel(String),
    /// There is no open incident of that id, and none of a process of that name.
    #[error("there is no open incident `{0}`")]
    NoIncident(String),
    /// A process cannot be muted so.
    #[error(transparent)]
    NoMute(#[from] NoMute),
    /// The test did not arrive.
    #[error("{0}")]
    NotSent(String),
}

enum Order {
    /// All of them in one transaction.
    Inputs(Vec<Input>, oneshot::Sender<()>),
    Mute(
        String,
        Option<Timestamp>,
        oneshot::Sender<Result<(), NoMute>>,
    ),
    Test(String, oneshot::Sender<Option<String>>),
    Configure(Vec<ChannelSettings>, oneshot::Sender<()>),
    Look(oneshot::Sender<Overview>),
}

impl Notifier {
    /// Starts the rules and a worker per channel in `tasks`.
    ///
    /// # Errors
    /// When what was remembered cannot be read.
    pub async fn start(setup: Setup, tasks: &Tasks) -> Result<Self, StoreError> {
        let (templates, clock) = (setup.templates.clone(), setup.clock.clone());
        let bots = setup.bots.clone();
        let make: Make = Arc::new(move |one| sender(one, &templates, &clock, &bots));
        Self::start_with(setup, tasks, make).await
    }

    /// The same with senders of one's own.
    pub(crate) async fn start_with(
        setup: Setup,
        tasks: &Tasks,
        make: Make,
    ) -> Result<Self, StoreError> {
        let state = setup.store.rules().await?;
        let rules = Rules::new(setup.channels.clone(), &setup.host, state);
        let (tried, _) = broadcast::channel(QUEUE);
        let lanes = Lanes::new(
            &setup.host,
            make,
            setup.store.clone(),
            setup.clock.clone(),
            tasks.clone(),
            tried.clone(),
        );
        let (orders, queue) = mpsc::channel(QUEUE);
        let desk = Desk {
            rules,
            lanes,
            store: setup.store,
            clock: setup.clock,
            unwritten: Vec::new(),
            lost: BTreeMap::new(),
            dirty: false,
        };
        desk.configured(&setup.channels).await;
        tasks.spawn("notify", desk.run(queue, tasks.token()));
        Ok(Self {
            orders,
            redact: setup.redact,
            tried,
        })
    }

    /// Goes on with other channels. What waits for one that stays, or that is only switched
    /// off, is sent; what waits for one that is no more is given up.
    ///
    /// # Errors
    /// When the notifier has ended.
    pub async fn reconfigure(&self, channels: Vec<ChannelSettings>) -> Result<(), NotifyError> {
        self.ask(|done| Order::Configure(channels, done)).await
    }

    /// What is open and what is muted.
    ///
    /// # Errors
    /// When the notifier has ended.
    pub async fn overview(&self) -> Result<Overview, NotifyError> {
        self.ask(Order::Look).await
    }

    /// Somebody looks after an incident, named by its id or by its process: it is passed on to
    /// nobody else. Who came first stays on it.
    ///
    /// # Errors
    /// [`NotifyError::NoIncident`], or when the notifier has ended.
    pub async fn acknowledge(&self, what: &str, by: &str) -> Result<OpenIncident, NotifyError> {
        let found = async || -> Result<OpenIncident, NotifyError> {
            let mut open = self.overview().await?.incidents;
            let place = open.iter().position(|one| one.id == what);
            let place = place.or_else(|| open.iter().position(|one| one.process == what));
            let none = || NotifyError::NoIncident(what.chars().take(64).collect());
            place.map(|place| open.swap_remove(place)).ok_or_else(none)
        };
        let incident = found().await?.id;
        let by = by.to_owned();
        self.put(Input::Acknowledge { incident, by }).await?;
        found().await
    }

    /// Tells nothing of a process until then, or until it is well again.
    ///
    /// # Errors
    /// [`NotifyError::NoMute`], or when the notifier has ended.
    pub async fn mute(&self, process: &str, until: Option<Timestamp>) -> Result<(), NotifyError> {
        let process = process.to_owned();
        let muted = self.ask(|done| Order::Mute(process, until, done)).await?;
        Ok(muted?)
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, NotifyError> {
        let (done, answer) = oneshot::channel();
        let sent = self.orders.send(order(done)).await;
        sent.map_err(|_| NotifyError::Gone)?;
        answer.await.map_err(|_| NotifyError::Gone)
    }

    /// Tells of something that happened. It is on disk once this returns, or kept in memory
    /// while the disk takes nothing.
    ///
    /// # Errors
    /// When the notifier has ended.
    pub async fn tell(&self, notice: Notice, wish: ProcessWish) -> Result<(), NotifyError> {
        let notice = notice.tidied(&*self.redact);
        self.put(Input::Notice(Box::new(notice), wish)).await
    }

    /// Hands something else to the rules: an acknowledgement, a mute, that a process is up.
    ///
    /// # Errors
    /// When the notifier has ended.
    pub async fn put(&self, input: Input) -> Result<(), NotifyError> {
        self.put_all(vec![input]).await
    }

    /// Hands several things to the rules at once: either all that comes of them is on disk, or
    /// nothing.
    ///
    /// # Errors
    /// When the notifier has ended.
    pub async fn put_all(&self, inputs: Vec<Input>) -> Result<(), NotifyError> {
        self.ask(|done| Order::Inputs(inputs, done)).await
    }

    /// Sends a test through the same outbox and the same sender, once, and says what was
    /// answered.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn test(&self, channel: &str) -> Result<String, NotifyError> {
        let mut tried = self.tried.subscribe();
        let id = self
            .ask(|done| Order::Test(channel.to_owned(), done))
            .await?;
        let id = id.ok_or_else(|| NotifyError::NoChannel(channel.to_owned()))?;
        let result = async {
            loop {
                match tried.recv().await {
                    Ok(one) if one.id == id => return Ok(one),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(NotifyError::Gone),
                }
            }
        };
        let late = |_| NotifyError::NotSent("other messages are before it; see the history".into());
        let one = tokio::time::timeout(TEST, result).await.map_err(late)??;
        match one.delivery {
            Delivery::Sent | Delivery::LeftOut => Ok(one.result),
            Delivery::Failed | Delivery::Waiting => Err(NotifyError::NotSent(one.result)),
        }
    }
}

/// The task that owns the rules.
struct Desk {
    rules: Rules,
    lanes: Lanes,
    store: Store,
    clock: Clock,
    /// Decided, and not on disk yet.
    unwritten: Vec<Outgoing>,
    /// How many of a channel found no room there.
    lost: BTreeMap<String, u32>,
    /// The rules remember what is not on disk yet.
    dirty: bool,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<Order>, cancel: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let wait = self.wait(self.clock.now());
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                count = queue.recv_many(&mut batch, QUEUE) => if count == 0 { return },
                () = tokio::time::sleep(wait) => {}
            }
            let now = self.clock.now();
            let (mut done, mut muted) = (Vec::new(), Vec::new());
            for order in batch.drain(..) {
                match order {
                    Order::Inputs(inputs, answer) => {
                        for input in inputs {
                            self.take(input, now);
                        }
                        done.push(answer);
                    }
                    Order::Mute(process, until, answer) => {
                        let may = self.rules.may_mute(&process, until);
                        if may.is_ok() {
                            self.take(Input::Mute { process, until }, now);
                        }
                        muted.push((answer, may));
                    }
                    Order::Test(channel, answer) => {
                        let message = self.rules.test(&channel, now);
                        // Nobody waits for the answer any more: it is sent all the same.
                        let _ = answer.send(message.as_ref().map(|one| one.id.clone()));
                        self.dirty |= message.is_some();
                        self.unwritten.extend(message);
                    }
                    Order::Configure(channels, answer) => {
                        self.rules.reconfigure(channels.clone());
                        self.dirty = true;
                        self.configured(&channels).await;
                        done.push(answer);
                    }
                    Order::Look(answer) => {
                        // Nobody may wait for it any more.
                        let _ = answer.send(self.rules.overview());
                    }
                }
            }
            self.take(Input::Tick, now);
            self.write().await;
            for answer in done {
                let _ = answer.send(());
            }
            for (answer, may) in muted {
                let _ = answer.send(may);
            }
        }
    }

    /// The workers follow. Nothing waits for a channel that is no more, and nothing longer for
    /// one that leads elsewhere now: what the old place asked for does not count for the new.
    async fn configured(&self, channels: &[ChannelSettings]) {
        let moved = self.lanes.follow(channels);
        let names = channels.iter().map(|one| one.name.clone()).collect();
        let written = async {
            self.store.abandon(names).await?;
            self.store.hasten(moved.clone()).await
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "What waits in the outbox could not follow the settings.");
        }
        for channel in moved {
            self.lanes.wake(&channel);
        }
    }

    fn wait(&self, now: Timestamp) -> Duration {
        if self.dirty {
            return BROKEN;
        }
        let due = self.rules.due().map(|due| until(now, due));
        // Not less than a moment: what is due is due at whole milliseconds.
        let due = due.map(|due| due.max(Duration::from_millis(1)));
        due.unwrap_or(LONGEST).min(LONGEST)
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        let ticked = input == Input::Tick;
        let due = self.rules.due().is_some_and(|due| due <= now);
        if ticked && !due {
            return;
        }
        let out = self.rules.step(input, now);
        self.dirty = true;
        self.unwritten.extend(out);
        let lost = crowded_out(&mut self.unwritten, UNWRITTEN);
        if !lost.is_empty() {
            tracing::warn!("Messages are lost: the disk takes none.");
        }
        for message in lost {
            *self.lost.entry(message.channel).or_default() += 1;
        }
    }

    async fn write(&mut self) {
        if !self.dirty {
            return;
        }
        let (state, messages) = (self.rules.state(), &self.unwritten);
        if let Err(error) = self.store.post(state, messages, &self.lost).await {
            tracing::warn!(%error, "Messages cannot be written; it is tried again.");
            return;
        }
        self.dirty = false;
        self.lost.clear();
        for message in self.unwritten.drain(..) {
            self.lanes.wake(&message.channel);
        }
    }
}

/// Takes out what there is no room for: the mildest, of these the oldest.
fn crowded_out(messages: &mut Vec<Outgoing>, most: usize) -> Vec<Outgoing> {
    let mut lost = Vec::new();
    while messages.len() > most {
        let mildest = (messages.iter().enumerate()).min_by_key(|(at, one)| (one.weight(), *at));
        let Some(at) = mildest.map(|(at, _)| at) else {
            break;
        };
        lost.push(messages.remove(at));
    }
    lost
}

#[cfg(test)]
mod tests;
