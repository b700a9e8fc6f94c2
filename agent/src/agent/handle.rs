//! What people can ask of the agent.

use std::sync::Arc;
use std::time::Duration;

use brain::{Approval, ApprovalState, Grant, HistoryFilter, Incident, IncidentId};
use supervisor::units::short::span;
use supervisor::{Caller, ControlError, ProcessName, after};
use tokio::sync::{mpsc, oneshot};

use super::Message;
use crate::approval::lapse;
use crate::budget::WINDOW;
use crate::grant::{self, Granted, Wish};
use crate::mind::Diagnosis;
use crate::question::{self, unrecorded};
use crate::report::{self, Budget, Entry, Explanation, Remembered, Status};
use crate::settings::Settings;
use crate::shared::{Shared, before, stored};
use crate::switch::LONGEST_PAUSE;
use crate::worker::Put;

/// How long whoever proposes something waits for what becomes of it.
const BUSY: Duration = Duration::from_secs(3);

/// Questions that a list holds, beside those that are open.
const LISTED: u32 = 50;

/// A clonable handle to the loop. Reading goes past the loop; what makes it act goes through.
#[derive(Clone)]
pub struct AgentHandle {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Message>,
}

impl std::fmt::Debug for AgentHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentHandle").finish_non_exhaustive()
    }
}

type Result<T> = std::result::Result<T, ControlError>;

impl AgentHandle {
    pub(super) fn new(shared: Arc<Shared>, messages: mpsc::Sender<Message>) -> Self {
        Self { shared, messages }
    }

    /// Uses other settings from now on. What people said to the switch stays.
    pub fn reconfigure(&self, settings: Settings) {
        self.shared.set_settings(settings);
    }

    /// What the agent is told now.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings()
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn status(&self) -> Result<Status> {
        let shared = &self.shared;
        let (now, settings, switch) = (shared.clock.now(), shared.settings(), shared.switch());
        // The budget of all processes stands in the answer for any of them.
        let nobody: ProcessName = "none".parse().map_err(|_| ControlError::Internal {
            message: "a constant process name is refused".into(),
        })?;
        let used = stored(shared.store.budget(nobody, before(now, WINDOW)))
            .await
            .map_err(unrecorded)?;
        let pending = stored(shared.store.approvals(Some(ApprovalState::Pending), 50))
            .await
            .map_err(unrecorded)?;
        let enabled = switch.enabled(settings.enabled);
        let pause = switch.pause(now);
        Ok(Status {
            enabled,
            stopped: switch.stopped(),
            level: settings.level("", enabled),
            agent_level: settings.autonomy,
            brain_level: settings.brain_autonomy,
            poll_interval_ms: u64::try_from(settings.poll_interval.as_millis()).unwrap_or(u64::MAX),
            last_round: shared.last_round(),
            thinking: shared.watched.told(settings.think_when),
            budget: Budget {
                used: used.all,
                max: settings.limits.per_hour,
                max_per_process: settings.limits.per_process,
                failed_in_a_row: used.failed_in_a_row,
            },
            open_incidents: shared.all_open().len(),
            pending: pending
                .into_iter()
                .map(|one| report::question(lapse(one, &settings)))
                .collect(),
            paused_until: pause.as_ref().map(|(end, _)| *end),
            paused_why: pause.map(|(_, why)| why),
            approvers: settings.approvers.clone(),
            approvals: settings.approvals,
        })
    }

    /// What was found out about a process lately: the surest diagnosis of its newest incident
    /// that has one, or of one that it was a victim of. With when it ended, if it did.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn remembered(&self, process: &ProcessName) -> Result<Option<Remembered>> {
        report::remembered(&self.shared, process)
            .await
            .map_err(unrecorded)
    }

    /// Enables it and lets it act.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub async fn start(&self) -> Result<Status> {
        self.turn(|switch| switch.started = Some(true)).await?;
        self.nudge();
        self.status().await
    }

    /// The global brake: incidents are seen and recorded, nothing is done about them.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub async fn stop(&self) -> Result<Status> {
        self.turn(|switch| switch.started = Some(false)).await?;
        self.status().await
    }

    /// Asks instead of acting for a while.
    ///
    /// # Errors
    /// When it is no time, or longer than [`LONGEST_PAUSE`]; when that cannot be written down.
    pub async fn pause(&self, caller: &Caller, time: Duration) -> Result<Status> {
        if time.is_zero() || time > LONGEST_PAUSE {
            let message = format!(
                "a pause lasts at most {}, and more than no time",
                span(LONGEST_PAUSE)
            );
            return Err(ControlError::Invalid {
                details: vec![message.clone()],
                message,
            });
        }
        let end = after(self.shared.clock.now(), time);
        let why = format!("by {caller}");
        self.turn(|switch| {
            switch.paused_until = Some(end);
            switch.paused_why = Some(why);
        })
        .await?;
        self.status().await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub async fn resume(&self) -> Result<Status> {
        self.turn(|switch| {
            switch.paused_until = None;
            switch.paused_why = None;
        })
        .await?;
        self.nudge();
        self.status().await
    }

    async fn turn(&self, change: impl FnOnce(&mut crate::switch::Switch)) -> Result<()> {
        match self.shared.turn(change).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ControlError::Store {
                message: format!("it holds until the daemon ends: {error}"),
            }),
        }
    }

    /// Has the loop take its slow look now. A full queue means that it is about to anyway.
    pub fn nudge(&self) {
        let _ = self.messages.try_send(Message::Look);
    }

    /// What the policy would say to a proposal now. Nothing is done and nothing is counted.
    /// None when the process does not exist.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn weigh(
        &self,
        process: &ProcessName,
        proposal: &brain::Proposal,
    ) -> Result<Option<(crate::policy::Risk, crate::policy::Decision)>> {
        crate::worker::weigh(&self.shared, process, proposal)
            .await
            .map_err(unrecorded)
    }

    /// Puts a plan to the gate that a model made of what somebody asked for in words. It is
    /// asked about at every level that does not refuse it: words are easily misunderstood.
    /// Answers with what becomes of it; it is put after a while all the same when the agent
    /// is busy with the process.
    ///
    /// # Errors
    /// When the caller could not do the same by hand.
    pub async fn propose(
        &self,
        caller: &Caller,
        process: &ProcessName,
        proposal: brain::Proposal,
    ) -> Result<Put> {
        let needed = crate::approval::approver_role(&proposal.plan);
        if caller.role < needed {
            return Err(ControlError::Forbidden {
                what: format!("to propose this for {process}"),
                who: caller.to_string(),
                needed,
                has: caller.role,
            });
        }
        let diagnosis = Diagnosis {
            proposal: Some(proposal),
            trail: serde_json::json!([]),
            ceiling: Some(crate::policy::Autonomy::Supervised),
            ..Diagnosis::default()
        };
        let (tell, told) = oneshot::channel();
        self.messages
            .send(Message::Proposed(
                process.clone(),
                Box::new(diagnosis),
                tell,
            ))
            .await
            .map_err(|_| ControlError::ShuttingDown)?;
        match tokio::time::timeout(BUSY, told).await {
            Ok(Ok(put)) => Ok(put),
            Ok(Err(_)) => Err(ControlError::Internal {
                message: format!("nobody knows what became of the plan for {process}"),
            }),
            Err(_) => Ok(Put::Dropped(format!(
                "the agent is still busy with {process}, and may ask about it later; \
                 see: mhost agent actions"
            ))),
        }
    }

    /// Incidents that are not over.
    pub fn open_incidents(&self) -> Vec<Incident> {
        self.shared.all_open()
    }

    /// Questions to people: every open one, then what became of the newest others. Each newest
    /// first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn actions(&self) -> Result<Vec<Approval>> {
        // Read by themselves, so that none is hidden behind newer ones.
        let mut all = self.open_questions().await?;
        let newest = stored(self.shared.store.approvals(None, LISTED));
        for one in newest.await.map_err(unrecorded)? {
            if !all.iter().any(|known| known.id == one.id) {
                all.push(one);
            }
        }
        Ok(all)
    }

    /// Questions that wait for an answer, newest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn open_questions(&self) -> Result<Vec<Approval>> {
        let open = Some(ApprovalState::Pending);
        let all = stored(self.shared.store.approvals(open, LISTED));
        let all = all.await.map_err(unrecorded)?.into_iter();
        Ok(all.map(|one| self.as_of_now(one)).collect())
    }

    /// What somebody said who could not say it any more does not count, and is shown so.
    fn as_of_now(&self, approval: Approval) -> Approval {
        match approval.state {
            ApprovalState::Pending => lapse(approval, &self.shared.settings()),
            _ => approval,
        }
    }

    /// One question, whatever became of it.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn question(&self, id: &str) -> Result<Option<Approval>> {
        let id = id.trim().to_ascii_lowercase();
        let found = stored(self.shared.store.approval(id));
        let found = found.await.map_err(unrecorded)?;
        Ok(found.map(|one| self.as_of_now(one)))
    }

    /// The questions of an incident, newest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn questions_of(&self, incident: IncidentId) -> Result<Vec<Approval>> {
        let all = stored(self.shared.store.approvals_of(incident));
        let all = all.await.map_err(unrecorded)?.into_iter();
        Ok(all.map(|one| self.as_of_now(one)).collect())
    }

    /// Says yes. The plan runs with the caller's role, once so many different people said it as
    /// the settings want.
    ///
    /// # Errors
    /// When there is no such question, the caller may not decide it, or it is too late.
    pub async fn approve(&self, caller: &Caller, id: &str) -> Result<Approval> {
        let approval = match question::approve(&self.shared, caller, id).await {
            Ok(approval) => approval,
            Err(error) => {
                self.nudge();
                return Err(error);
            }
        };
        if approval.state != ApprovalState::Approved {
            return Ok(approval);
        }
        let message = Message::Approved(Box::new(approval.clone()), caller.clone());
        self.messages
            .send(message)
            .await
            .map_err(|_| ControlError::ShuttingDown)?;
        Ok(approval)
    }

    /// Says no.
    ///
    /// # Errors
    /// As [`AgentHandle::approve`].
    pub async fn deny(&self, caller: &Caller, id: &str) -> Result<Approval> {
        question::deny(&self.shared, caller, id).await
    }

    /// Keeps a question open for so much longer, and puts it again then.
    ///
    /// # Errors
    /// When there is no such question, the caller may not decide it, or it was put off for a
    /// day already.
    pub async fn snooze(&self, caller: &Caller, id: &str, time: Duration) -> Result<Approval> {
        let put_off = question::snooze(&self.shared, caller, id, time).await?;
        self.nudge();
        Ok(put_off)
    }

    /// Gives leave in advance: the playbook, as it is now, may act on the process without asking.
    ///
    /// # Errors
    /// When the caller may not give it, or there is no such playbook.
    pub async fn allow(&self, caller: &Caller, wish: Wish) -> Result<Grant> {
        grant::give(&self.shared, caller, wish, None).await
    }

    /// Says yes to a question, and gives leave in advance for the playbook that asks.
    ///
    /// # Errors
    /// As [`AgentHandle::approve`] and [`AgentHandle::allow`]; without the yes there is no leave.
    pub async fn allow_for(&self, caller: &Caller, id: &str, time: Duration) -> Result<Grant> {
        let (approval, wish) = grant::wish_for(&self.shared, caller, id, time).await?;
        self.approve(caller, &approval.id).await?;
        grant::give(&self.shared, caller, wish, approval.version).await
    }

    /// Leave that was given in advance: what is in force, then what has ended.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn grants(&self) -> Result<Vec<Granted>> {
        grant::all(&self.shared).await
    }

    /// Takes leave back.
    ///
    /// # Errors
    /// When there is no such grant, or it has ended.
    pub async fn revoke(&self, caller: &Caller, id: &str) -> Result<Grant> {
        grant::revoke(&self.shared, caller, id).await
    }

    /// Incidents and what was done about them, newest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn history(&self, filter: HistoryFilter) -> Result<Vec<Entry>> {
        report::history(&self.shared, filter)
            .await
            .map_err(unrecorded)
    }

    /// All that is known of an incident: `inc-7`, `7`, a process's newest, or `crash` for
    /// the newest that a crash began.
    ///
    /// # Errors
    /// When there is none.
    pub async fn explain(&self, what: &str) -> Result<Explanation> {
        let digits = what.strip_prefix("inc-").unwrap_or(what);
        let found = if let Ok(id) = digits.parse() {
            report::explain_incident(&self.shared, IncidentId(id)).await
        } else if what == "crash" {
            report::explain_crash(&self.shared).await
        } else {
            match what.parse::<ProcessName>() {
                Ok(process) => report::explain_process(&self.shared, process).await,
                Err(_) => Ok(None),
            }
        };
        found
            .map_err(unrecorded)?
            .ok_or_else(|| ControlError::NotFound {
                target: brain::investigate::clean(what, 100),
                near: Vec::new(),
            })
    }
}
