//! One connection to the daemon: what the screens show, and what a person asks for.
//!
//! ```text
//!   state ── wants, asks ──► feed task ══ socket ══► daemon
//!         ◄── Fed ──────────┘   events push a refresh; samples come each second
//! ```
//!
//! A task of its own, so that a daemon that is slow or gone never holds up a key. Nothing is
//! asked twice at the same time. When the connection ends it says so once, and comes back by
//! itself; it never starts a daemon.

mod answer;
mod wire;

use std::time::Duration;

use serde_json::json;
use supervisor::Paths;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::data::{Ask, Fed, LogWish, Wants};
use answer::{Asked, LogBatch};
use wire::Wire;

/// Samples, and the rows while one of them is about to change by itself.
const QUICK: Duration = Duration::from_secs(1);
/// The agent's questions.
const SLOW: Duration = Duration::from_secs(3);
/// The rows while nothing happens: a change comes as an event and is asked for at once.
const QUIET: Duration = Duration::from_secs(10);
/// Whether the daemon is well, scores and incidents.
const CALM: Duration = Duration::from_secs(5);
/// Seconds of the past that a sparkline begins with.
const PAST: i64 = 180;
/// After an event the rows are asked for, together with those of the events that follow it.
const SETTLE: Duration = Duration::from_millis(60);
/// The log of a row that the selection only passes is not opened.
const PASSING: Duration = Duration::from_millis(120);
/// All that is not in the first frame is asked for after the rows came, or after this time.
const REST: Duration = Duration::from_millis(500);
/// Between two tries to reach a daemon.
const RETRY: Duration = Duration::from_millis(250);
/// Log lines in a time that are worth showing one by one; beyond it the log starts anew at
/// its end.
const FLOOD_LINES: usize = 4_000;
const FLOOD_TIME: Duration = Duration::from_millis(500);
/// Messages that wait for the screen.
const QUEUE: usize = 256;

/// The screen's end of the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    orders: mpsc::UnboundedSender<Order>,
    news: mpsc::Receiver<Fed>,
    task: tokio::task::JoinHandle<()>,
}

/// What the screen orders.
#[derive(Debug)]
enum Order {
    Want(Wants),
    Ask(Ask),
}

impl Feed {
    /// Starts the task on the current runtime.
    pub(crate) fn start(paths: &Paths) -> Self {
        // Orders come from a person's keys: a queue without a bound stays short.
        let (orders, ordered) = mpsc::unbounded_channel();
        let (out, news) = mpsc::channel(QUEUE);
        let socket = paths.socket();
        let task = tokio::spawn(async move {
            let mut worker = Worker {
                ordered,
                out,
                wants: Wants::default(),
            };
            worker.run(&socket).await;
        });
        Self { orders, news, task }
    }

    /// Keeps asking for this from now on.
    pub(crate) fn want(&self, wants: Wants) {
        // The task ends only with the screen.
        let _ = self.orders.send(Order::Want(wants));
    }

    /// Asks for something to be done.
    pub(crate) fn ask(&self, ask: Ask) {
        let _ = self.orders.send(Order::Ask(ask));
    }

    /// The next piece of news. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Fed> {
        self.news.recv().await
    }

    /// Another piece of news, if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Fed> {
        self.news.try_recv().ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The screen is gone.
#[derive(Debug)]
struct Gone;

/// Why a conversation ended.
#[derive(Debug)]
enum End {
    Gone,
    Lost(String),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        End::Gone
    }
}

struct Worker {
    ordered: mpsc::UnboundedReceiver<Order>,
    out: mpsc::Sender<Fed>,
    wants: Wants,
}

/// When what is asked for next.
struct Plan {
    rows: Instant,
    samples: Instant,
    agent: Instant,
    daemon: Instant,
    brain: Option<Instant>,
    log: Option<Instant>,
}

impl Plan {
    /// The rows and which daemon it is, and the rest once the rows are there.
    fn new(now: Instant, wants: &Wants) -> Self {
        Self {
            rows: now,
            samples: now + REST,
            agent: now + REST,
            daemon: now,
            brain: wants.brain.then_some(now + REST),
            log: wants.log.is_some().then_some(now),
        }
    }

    /// What was put off at the beginning is asked for at this time.
    fn rest_at(&mut self, time: Instant) {
        self.samples = self.samples.min(time);
        self.agent = self.agent.min(time);
        self.brain = self.brain.map(|brain| brain.min(time));
    }

    fn next(&self) -> Instant {
        [
            Some(self.rows),
            Some(self.samples),
            Some(self.agent),
            Some(self.daemon),
            self.brain,
            self.log,
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(self.rows)
    }
}

/// The log subscription.
#[derive(Default)]
struct Subscription {
    wish: Option<LogWish>,
    id: Option<String>,
    since: Option<Instant>,
    lines: usize,
}

impl Worker {
    async fn run(&mut self, socket: &std::path::Path) {
        loop {
            let end = match Wire::connect(socket).await {
                Ok(mut wire) => self.converse(&mut wire).await,
                Err(error) => Err(End::Lost(wire::reason(&error))),
            };
            if let Err(End::Lost(why)) = end {
                if self.tell(Fed::Lost(why)).await.is_err() {
                    return;
                }
            } else {
                return;
            }
            if self.wait(RETRY).await.is_err() {
                return;
            }
        }
    }

    async fn tell(&self, fed: Fed) -> Result<(), Gone> {
        self.out.send(fed).await.map_err(|_| Gone)
    }

    /// Waits, and answers at once that nothing can be done meanwhile.
    async fn wait(&mut self, time: Duration) -> Result<(), Gone> {
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                () = sleep_until(end) => return Ok(()),
                order = self.ordered.recv() => match order {
                    None => return Err(Gone),
                    Some(Order::Want(wants)) => self.wants = wants,
                    Some(Order::Ask(ask)) => {
                        let why = "the daemon is away".to_owned();
                        self.tell(Fed::Done(ask, Err(why))).await?;
                    }
                },
            }
        }
    }

    /// Speaks with the daemon until one of both is gone.
    async fn converse(&mut self, wire: &mut Wire) -> Result<(), End> {
        let mut log = Subscription::default();
        wire.ask(Asked::Opened, "events.stream", json!({})).await?;
        let mut plan = Plan::new(Instant::now(), &self.wants);
        let mut begins = true;
        loop {
            self.ask_what_is_due(wire, &mut plan, &mut log).await?;
            tokio::select! {
                biased;
                order = self.ordered.recv() => match order {
                    None => return Err(End::Gone),
                    Some(Order::Want(wants)) => self.want(wants, &mut plan),
                    Some(Order::Ask(ask)) => {
                        let (method, params) = answer::request(&ask);
                        wire.ask(Asked::Done(ask), method, params).await?;
                    }
                },
                message = wire.next() => {
                    let message = message?;
                    let batch = self.hear(wire, &message, &mut plan, &mut log).await?;
                    if let Some(batch) = batch {
                        self.lines(wire, batch, &mut plan, &mut log).await?;
                    }
                    // The first frame shows the rows, so nothing may hold them up.
                    if begins && !wire.waits_for(&Asked::Rows) {
                        begins = false;
                        plan.rest_at(Instant::now() + SETTLE);
                        wire.ask(Asked::Events, "process.events", json!({ "limit": 200 }))
                            .await?;
                    }
                }
                () = sleep_until(plan.next()) => {}
            }
        }
    }

    fn want(&mut self, wants: Wants, plan: &mut Plan) {
        let now = Instant::now();
        if wants.brain && !self.wants.brain {
            plan.brain = Some(now);
        }
        if !wants.brain {
            plan.brain = None;
        }
        if wants.log != self.wants.log {
            // From nothing to something there is nothing to pass by.
            let first = self.wants.log.is_none();
            plan.log = Some(if first { now } else { now + PASSING });
        }
        self.wants = wants;
    }

    async fn ask_what_is_due(
        &mut self,
        wire: &mut Wire,
        plan: &mut Plan,
        log: &mut Subscription,
    ) -> Result<(), End> {
        let now = Instant::now();
        if plan.rows <= now {
            plan.rows = now + QUIET;
            wire.ask_once(Asked::Rows, "process.list", json!({}))
                .await?;
        }
        if plan.samples <= now {
            plan.samples = now + QUICK;
            wire.ask_once(Asked::Samples, "metrics.snapshot", json!({}))
                .await?;
        }
        if plan.daemon <= now {
            plan.daemon = now + CALM;
            wire.ask_once(Asked::Daemon, "daemon.version", json!({}))
                .await?;
        }
        if plan.log.is_some_and(|due| due <= now) {
            plan.log = None;
            self.open_log(wire, log).await?;
            if let Some(target) = self.wants.past.clone() {
                let since =
                    supervisor::Clock::system().now() - jiff::SignedDuration::from_secs(PAST);
                let params = json!({
                    "name": target, "metrics": ["cpu", "memory"], "since": since, "steps": PAST,
                });
                wire.ask_once(Asked::Past, "metrics.history", params)
                    .await?;
            }
        }
        if plan.brain.is_some_and(|due| due <= now) {
            plan.brain = Some(now + CALM);
            plan.agent = now + SLOW;
            wire.ask_once(Asked::Scores, "brain.status", json!({}))
                .await?;
            wire.ask_once(Asked::Incidents, "brain.history", json!({ "limit": 50 }))
                .await?;
            wire.ask_once(Asked::Probes, "health.status", json!({}))
                .await?;
        }
        if plan.agent <= now {
            plan.agent = now + SLOW;
            wire.ask_once(Asked::Agent, "agent.status", json!({}))
                .await?;
        }
        Ok(())
    }

    /// Ends the log that is shown and opens the wanted one.
    async fn open_log(&mut self, wire: &mut Wire, log: &mut Subscription) -> Result<(), End> {
        if let Some(id) = log.id.take() {
            let params = json!({ "subscription": id });
            wire.ask(Asked::Nothing, "logs.unsubscribe", params).await?;
        }
        log.wish.clone_from(&self.wants.log);
        log.since = None;
        log.lines = 0;
        if let Some(wish) = log.wish.clone() {
            let params = answer::log_query(&wish);
            wire.ask(Asked::Log(wish), "logs.stream", params).await?;
        }
        Ok(())
    }

    /// One message of the daemon. Lines of the log are given back.
    async fn hear(
        &mut self,
        wire: &mut Wire,
        message: &[u8],
        plan: &mut Plan,
        log: &mut Subscription,
    ) -> Result<Option<LogBatch>, End> {
        let heard = wire.read(message).map_err(End::Lost)?;
        match heard {
            answer::Heard::Nothing => {}
            answer::Heard::Lines(batch) => return Ok(Some(batch)),
            answer::Heard::Subscribed(wish, id) => {
                if log.wish.as_ref() == Some(&wish) {
                    log.id = Some(id);
                    log.since = Some(Instant::now());
                    self.tell(Fed::LogOpened(wish)).await?;
                } else {
                    let params = json!({ "subscription": id });
                    wire.ask(Asked::Nothing, "logs.unsubscribe", params).await?;
                }
            }
            answer::Heard::Missed => {
                wire.ask_once(Asked::Events, "process.events", json!({ "limit": 200 }))
                    .await?;
                plan.rows = Instant::now();
            }
            answer::Heard::News(fed) => {
                let soon = Instant::now() + SETTLE;
                match &fed {
                    Fed::Event(_) => plan.rows = plan.rows.min(soon),
                    Fed::Rows(rows) if rows.iter().any(super::data::Row::is_moving) => {
                        plan.rows = plan.rows.min(Instant::now() + QUICK);
                    }
                    Fed::Done(..) => {
                        plan.rows = plan.rows.min(soon);
                        plan.agent = soon;
                        plan.brain = plan.brain.map(|_| soon);
                    }
                    _ => {}
                }
                self.tell(fed).await?;
            }
        }
        Ok(None)
    }

    /// Passes on lines of the log, and jumps to its end when they come faster than anybody
    /// reads: what is shown is what happens now.
    async fn lines(
        &mut self,
        wire: &mut Wire,
        first: LogBatch,
        plan: &mut Plan,
        log: &mut Subscription,
    ) -> Result<(), End> {
        if log.id.as_deref() != Some(first.subscription.as_str()) {
            return Ok(());
        }
        let mut lines = first.lines;
        // What has arrived already goes to the screen together.
        while lines.len() < FLOOD_LINES
            && let Some(message) = wire.ready()
        {
            match Box::pin(self.hear(wire, &message, plan, log)).await? {
                Some(batch) if log.id.as_deref() == Some(batch.subscription.as_str()) => {
                    lines.extend(batch.lines);
                }
                _ => {}
            }
        }
        log.lines += lines.len();
        self.tell(Fed::LogLines(lines)).await?;
        let now = Instant::now();
        let since = *log.since.get_or_insert(now);
        if log.lines > FLOOD_LINES {
            if let Some(id) = log.id.take() {
                let params = json!({ "subscription": id });
                wire.ask(Asked::Nothing, "logs.unsubscribe", params).await?;
            }
            self.tell(Fed::LogSkipped).await?;
            plan.log = Some(now.max(since + FLOOD_TIME));
        } else if now > since + FLOOD_TIME {
            log.since = Some(now);
            log.lines = 0;
        }
        Ok(())
    }
}
