//! The memory of the brain: `brain/history.db`.
//!
//!   BrainStore (Clone) ──job──► writer thread ──► SQLite (WAL)
//!        └──◄── Answer: await it, or `wait()` for it from a blocking thread
//!
//! One thread owns the only connection, so that there is one writer and no lock to wait for.
//! A job is done even if its [`Answer`] is dropped. All SQL of this crate is in this module.

mod approvals;
mod calls;
mod grants;
mod recorded;
mod rows;
mod schema;
mod scores;
mod sql;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use supervisor::ProcessName;
use tokio::sync::{mpsc, oneshot};

use crate::context::Recording;
use crate::incident::{Incident, IncidentId};
use crate::llm::Usage;
use crate::playbook::Switch;
use crate::proposal::{PlaybookId, Proposal};
use crate::replay::Moment;
use crate::score::Score;

pub use calls::ModelCall;
pub use rows::{
    ActionCount, ActionId, Approval, ApprovalState, BudgetUse, Decision, Grant, HistoryFilter,
    HistoryRow, IncidentStep, NewAction, NewIncident, PlaybookRun, PlaybookStats, StoredAction,
    StoredIncident, Victim, Vote, Voted,
};

/// Jobs that may wait. More means that the disk is far too slow; the caller is told.
const QUEUE: usize = 4096;

/// Why the memory of the brain could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BrainStoreError {
    /// The file could not be opened or its tables made.
    #[error("could not open the history of the brain, {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A statement failed: disk full, locked, damaged.
    #[error("the history of the brain could not be read or written")]
    Sql(#[from] rusqlite::Error),
    /// A column does not hold what was written there.
    #[error("a row of the history of the brain is damaged: {0}")]
    Damaged(String),
    /// The writer thread has ended.
    #[error("the history of the brain is closed")]
    Closed,
    /// Too many jobs wait.
    #[error("the history of the brain is too slow: {QUEUE} writes are waiting")]
    Busy,
}

impl BrainStoreError {
    /// Stable, for RPC.
    pub fn code(&self) -> &'static str {
        match self {
            BrainStoreError::Open { .. } => "brain_store_open",
            BrainStoreError::Sql(_) => "brain_store_sql",
            BrainStoreError::Damaged(_) => "brain_store_damaged",
            BrainStoreError::Closed => "brain_store_closed",
            BrainStoreError::Busy => "brain_store_busy",
        }
    }

    /// Does it help to try again?
    pub fn retryable(&self) -> bool {
        matches!(self, BrainStoreError::Sql(_) | BrainStoreError::Busy)
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the memory. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct BrainStore {
    jobs: mpsc::Sender<Job>,
}

/// The thread behind it. Join it after the last handle was dropped.
#[derive(Debug)]
pub struct BrainStoreThread(JoinHandle<()>);

impl BrainStoreThread {
    /// Waits until everything handed over is written and the file is closed.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("The thread of the brain's history ended by a panic.");
        }
    }
}

/// The answer to a job that is already queued.
///
/// In a task: `.await` it. On a blocking thread: [`Answer::wait`].
#[must_use = "await it or call wait(); the job runs either way, but its error would be lost"]
#[derive(Debug)]
pub struct Answer<T>(
    Result<oneshot::Receiver<Result<T, BrainStoreError>>, Option<BrainStoreError>>,
);

impl<T> Answer<T> {
    /// Blocks until the job is done.
    ///
    /// # Panics
    /// On a runtime worker: await the answer there.
    ///
    /// # Errors
    /// What the job failed with.
    pub fn wait(self) -> Result<T, BrainStoreError> {
        match self.0 {
            Ok(receiver) => receiver
                .blocking_recv()
                .unwrap_or(Err(BrainStoreError::Closed)),
            Err(error) => Err(error.unwrap_or(BrainStoreError::Closed)),
        }
    }
}

impl<T> Unpin for Answer<T> {}

impl<T> Future for Answer<T> {
    type Output = Result<T, BrainStoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(receiver) => Pin::new(receiver)
                .poll(cx)
                .map(|answer| answer.unwrap_or(Err(BrainStoreError::Closed))),
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(BrainStoreError::Closed))),
        }
    }
}

impl BrainStore {
    /// Opens or makes the file and starts its thread. Blocking.
    ///
    /// # Errors
    /// When the file cannot be opened or its tables cannot be made.
    pub fn open(path: &Path) -> Result<(BrainStore, BrainStoreThread), BrainStoreError> {
        let mut connection = schema::open(path).map_err(|source| BrainStoreError::Open {
            path: path.to_owned(),
            source,
        })?;
        // Takes room only for what waits, unlike the bounded one of the standard library.
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("brain-store".to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(|_| BrainStoreError::Closed)?;
        Ok((BrainStore { jobs }, BrainStoreThread(thread)))
    }

    /// The same, but a damaged file is moved aside, and the answer says where to: that it is
    /// lost is no reason to do without a brain. Blocking.
    ///
    /// # Errors
    /// As [`BrainStore::open`], or when the file cannot be moved.
    pub fn open_or_begin_anew(
        path: &Path,
    ) -> Result<(BrainStore, BrainStoreThread, Option<PathBuf>), BrainStoreError> {
        let (store, thread, aside) = match Self::open(path) {
            Err(BrainStoreError::Open { path, source }) if schema::is_damaged(&source) => {
                let aside = schema::set_aside(&path).map_err(|_| BrainStoreError::Open {
                    path: path.clone(),
                    source,
                })?;
                let (store, thread) = Self::open(&path)?;
                (store, thread, Some(aside))
            }
            opened => {
                let (store, thread) = opened?;
                (store, thread, None)
            }
        };
        Ok((store, thread, aside))
    }

    /// Moves all that was written into the file itself, once what waits is done: the last job.
    pub fn checkpoint(&self) -> Answer<()> {
        self.ask(|db| Ok(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?))
    }

    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, BrainStoreError> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting for it any more; the work counts, not the answer.
            let _ = reply.send(job(connection));
        });
        Answer(match self.jobs.try_send(job) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Some(BrainStoreError::Busy)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Some(BrainStoreError::Closed)),
        })
    }

    /// Records a new incident in state `open` and gives it its id.
    pub fn open_incident(&self, new: NewIncident) -> Answer<Incident> {
        self.ask(move |db| sql::open_incident(db, new))
    }

    /// Records where an incident stands now: state, symptoms, fingerprint, title, end.
    pub fn save_incident(&self, incident: Incident) -> Answer<()> {
        self.ask(move |db| sql::save_incident(db, &incident))
    }

    /// Records that an incident that was over goes on. What was recorded of the same illness
    /// under another id becomes part of it.
    pub fn reopen(&self, incident: Incident, other: Option<IncidentId>) -> Answer<()> {
        self.ask(move |db| sql::reopen(db, &incident, other))
    }

    /// Records what the brain made of an incident.
    pub fn set_proposal(&self, incident: IncidentId, proposal: Proposal) -> Answer<()> {
        self.ask(move |db| sql::set_proposal(db, incident, &proposal))
    }

    /// Records that a person was told to look.
    pub fn set_escalated(&self, incident: IncidentId) -> Answer<()> {
        self.ask(move |db| sql::set_escalated(db, incident))
    }

    /// Records how an incident ended: `recovered`, `verified`, `failed`, `escalated`.
    pub fn set_outcome(&self, incident: IncidentId, outcome: impl Into<String>) -> Answer<()> {
        let outcome = outcome.into();
        self.ask(move |db| sql::set_outcome(db, incident, &outcome))
    }

    /// One incident.
    pub fn incident(&self, incident: IncidentId) -> Answer<Option<StoredIncident>> {
        self.ask(move |db| sql::incident(db, incident))
    }

    /// Incidents that are not over, oldest first: what to take up again at start-up.
    pub fn open_incidents(&self) -> Answer<Vec<StoredIncident>> {
        self.ask(move |db| sql::open_incidents(db))
    }

    /// Newest incidents of a process, or of all, newest first.
    pub fn latest_incidents(
        &self,
        process: Option<ProcessName>,
        limit: u32,
    ) -> Answer<Vec<StoredIncident>> {
        self.ask(move |db| sql::latest_incidents(db, process.as_ref(), limit))
    }

    /// Who suffered from the cause of an incident, in the order in which it was seen.
    pub fn victims(&self, incident: IncidentId) -> Answer<Vec<Victim>> {
        self.ask(move |db| sql::victims(db, incident))
    }

    /// How often this illness was seen since a time, and how its last incident ended.
    pub fn seen(&self, fingerprint: String, since: Timestamp) -> Answer<u32> {
        self.ask(move |db| sql::seen(db, &fingerprint, since))
    }

    /// Appends a line to an incident's story.
    pub fn add_step(
        &self,
        incident: IncidentId,
        at: Timestamp,
        kind: impl Into<String>,
        data: Value,
    ) -> Answer<()> {
        let step = IncidentStep {
            incident,
            at,
            kind: kind.into(),
            data,
        };
        self.ask(move |db| sql::add_step(db, &step))
    }

    /// An incident's story, oldest first.
    pub fn steps(&self, incident: IncidentId) -> Answer<Vec<IncidentStep>> {
        self.ask(move |db| sql::steps(db, incident))
    }

    /// Records the intention to act. Written before the action runs.
    pub fn begin_action(&self, action: NewAction) -> Answer<ActionId> {
        self.ask(move |db| sql::begin_action(db, &action))
    }

    /// Records what the call of an action answered.
    pub fn end_action(&self, action: ActionId, result: impl Into<String>) -> Answer<()> {
        let result = result.into();
        self.ask(move |db| sql::end_action(db, action, &result))
    }

    /// Records what the measurement said about all actions of an incident that have no
    /// outcome yet: `success`, `failed`, `partial`, `unknown`.
    pub fn set_action_outcome(
        &self,
        incident: IncidentId,
        outcome: impl Into<String>,
    ) -> Answer<()> {
        let outcome = outcome.into();
        self.ask(move |db| sql::set_action_outcome(db, incident, &outcome))
    }

    /// How often each action came to each outcome.
    pub fn action_counts(&self) -> Answer<Vec<ActionCount>> {
        self.ask(|db| sql::action_counts(db))
    }

    /// The actions of an incident, oldest first.
    pub fn actions(&self, incident: IncidentId) -> Answer<Vec<StoredAction>> {
        self.ask(move |db| sql::actions(db, incident))
    }

    /// State-changing actions that ran without a person since `since`.
    pub fn budget(&self, process: ProcessName, since: Timestamp) -> Answer<BudgetUse> {
        self.ask(move |db| sql::budget(db, &process, since))
    }

    /// Records that a playbook's plan began to run on a process.
    pub fn begin_run(
        &self,
        playbook: PlaybookId,
        process: ProcessName,
        incident: IncidentId,
        at: Timestamp,
    ) -> Answer<()> {
        self.ask(move |db| sql::begin_run(db, &playbook, &process, incident, at))
    }

    /// Forgets a playbook's last run for an incident, if it began after `since`: it came to
    /// nothing.
    pub fn withdraw_run(
        &self,
        playbook: PlaybookId,
        incident: IncidentId,
        since: Timestamp,
    ) -> Answer<()> {
        self.ask(move |db| sql::withdraw_run(db, &playbook, incident, since))
    }

    /// Records whether a playbook's last run for an incident helped.
    pub fn end_run(
        &self,
        playbook: PlaybookId,
        incident: IncidentId,
        helped: Option<bool>,
    ) -> Answer<()> {
        self.ask(move |db| sql::end_run(db, &playbook, incident, helped))
    }

    /// When each playbook last ran on a process: what cooldowns are measured against.
    pub fn runs(&self, process: ProcessName, now: Timestamp) -> Answer<Vec<PlaybookRun>> {
        self.ask(move |db| sql::runs(db, &process, now))
    }

    /// What became of the runs of all playbooks.
    pub fn playbook_stats(&self) -> Answer<Vec<PlaybookStats>> {
        self.ask(move |db| sql::playbook_stats(db))
    }

    /// Rows of `mhost brain history`, newest first.
    pub fn history(&self, filter: HistoryFilter) -> Answer<Vec<HistoryRow>> {
        self.ask(move |db| sql::history(db, &filter))
    }

    /// Keeps what was asked and answered while an incident was thought about, for replay.
    pub fn keep_recording(
        &self,
        incident: IncidentId,
        at: Timestamp,
        recording: Recording,
    ) -> Answer<()> {
        self.ask(move |db| recorded::keep_recording(db, incident, at, &recording))
    }

    /// The recordings of an incident, oldest first.
    pub fn recordings(&self, incident: IncidentId) -> Answer<Vec<Recording>> {
        self.ask(move |db| recorded::recordings(db, incident))
    }

    /// Every recorded moment since a time, oldest first, at most `limit` of each kind: what
    /// was seen in incidents, with what was done, and windows in which nothing was wrong.
    pub fn moments(&self, since: Timestamp, limit: u32) -> Answer<Vec<Moment>> {
        self.ask(move |db| recorded::moments(db, since, limit))
    }

    /// Keeps what a process looked like while nothing was wrong with it. Of all processes
    /// together the newest 300 are kept.
    pub fn keep_window(&self, process: ProcessName, recording: Recording) -> Answer<()> {
        self.ask(move |db| recorded::keep_window(db, &process, &recording))
    }

    /// Keeps scores of one moment.
    pub fn keep_scores(&self, at: Timestamp, scores: Vec<(ProcessName, Score)>) -> Answer<()> {
        self.ask(move |db| scores::keep(db, at, &scores))
    }

    /// Scores of a process since a time, oldest first.
    pub fn scores(&self, process: ProcessName, since: Timestamp) -> Answer<Vec<(Timestamp, f64)>> {
        self.ask(move |db| scores::of(db, &process, since))
    }

    /// How each process did between two times: its average score.
    pub fn average_scores(&self, from: Timestamp, to: Timestamp) -> Answer<BTreeMap<String, f64>> {
        self.ask(move |db| scores::averages(db, from, to))
    }

    /// Keeps how a playbook stands.
    pub fn set_switch(&self, switch: Switch) -> Answer<()> {
        self.ask(move |db| recorded::set_switch(db, &switch))
    }

    /// How all playbooks stand of which somebody said something.
    pub fn switches(&self) -> Answer<Vec<Switch>> {
        self.ask(move |db| recorded::switches(db))
    }

    /// Records that a model is about to be asked, and what that may cost at most.
    pub fn begin_call(&self, call: ModelCall) -> Answer<i64> {
        self.ask(move |db| calls::begin(db, &call))
    }

    /// Records what a request to a model came to.
    pub fn end_call(
        &self,
        row: i64,
        usage: Usage,
        cost_usd: f64,
        result: impl Into<String>,
    ) -> Answer<()> {
        let result = result.into();
        self.ask(move |db| calls::end(db, row, usage, cost_usd, &result))
    }

    /// Requests to models since a time, oldest first.
    pub fn calls(&self, since: Timestamp) -> Answer<Vec<ModelCall>> {
        self.ask(move |db| calls::since(db, since))
    }

    /// Removes what is older than `before`, open incidents excepted. Returns how many
    /// incidents went.
    pub fn forget(&self, before: Timestamp) -> Answer<u64> {
        self.ask(move |db| sql::forget(db, before))
    }
}
