//! What the loop needs of the brain.
//!
//! Every question may read logs and run scripts, so they are asked from a blocking thread.
//! The binary answers with the real playbooks, tests with scripted ones.

use std::sync::Arc;
use std::time::Duration;

use brain::memory::Cure;
use brain::{
    Case, Facts, Fingerprint, Incident, Plan, PlaybookId, PlaybookRun, Proposal, Recording,
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use supervisor::ProcessName;

use crate::policy::Autonomy;

/// What a question comes with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asking {
    /// May machines act on this process without asking?
    pub autonomous: bool,
    /// When playbooks last ran on this process.
    pub runs: Vec<PlaybookRun>,
}

/// What the brain makes of an incident.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnosis {
    /// Which illness it is.
    pub fingerprint: Option<Fingerprint>,
    /// What to do; nothing when no playbook matches.
    pub proposal: Option<Proposal>,
    /// Which playbooks were asked, and why they did or did not win, as JSON.
    pub trail: Value,
    /// What was asked and answered, for replay.
    pub recording: Option<Recording>,
    /// The root cause, as the knowledge base sees it.
    pub case: Option<Case>,
    /// Why a person should be asked although the level would allow it.
    pub caution: Option<String>,
    /// The most that whoever proposed it may do by itself.
    pub ceiling: Option<Autonomy>,
    /// How long the thinking took.
    pub took: Duration,
}

/// What became of asking a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inquiry {
    /// What it makes of the incident; none when there is no usable answer.
    pub diagnosis: Option<Diagnosis>,
    /// The line of the incident's story: who was asked, what was looked up, what was said.
    pub story: Value,
    /// Why there is no answer, for people.
    pub failed: Option<String>,
}

/// An answer that takes its time.
pub type Inquiring = BoxFuture<'static, Inquiry>;

/// What a model says about all processes together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watch {
    /// What it would do about one of them; none when it finds nothing to do.
    pub found: Option<(ProcessName, Diagnosis)>,
    /// The line of the incident's story, where one comes of it.
    pub story: Value,
    /// Why there is no answer, for people.
    pub failed: Option<String>,
}

/// The same, which takes its time.
pub type Watching = BoxFuture<'static, Watch>;

/// What a playbook's own check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It has none: the default check decides.
    None,
    /// Not yet.
    Wait,
    /// The trouble is gone.
    Passed,
    /// It is not.
    Failed,
}

/// Thinks. Nothing it does changes anything.
pub trait Mind: Send + Sync {
    /// What to do about an incident, by its newest symptom.
    fn diagnose(&self, incident: &Incident, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis;

    /// Asks somebody who takes longer about an incident for which nobody has a plan: a model.
    /// None when there is nobody to ask. `tried` names what did not help. The answer is waited
    /// for beside the loop, and nothing else waits for it.
    fn inquire(
        &self,
        incident: &Incident,
        found: &Diagnosis,
        tried: &[String],
        facts: &Arc<dyn Facts>,
    ) -> Option<Inquiring> {
        let _ = (incident, found, tried, facts);
        None
    }

    /// Asks a model about all processes, although nothing is wrong with any. None when there is
    /// nobody to ask.
    fn watch(&self) -> Option<Watching> {
        None
    }

    /// What looks suspicious about a process, in words. Asked twice a second: cheap.
    fn suspect(&self, process: &ProcessName, facts: &Arc<dyn Facts>) -> Option<String> {
        let _ = (process, facts);
        None
    }

    /// Those of `processes` that a slow look may find something about.
    fn worth_a_look(
        &self,
        processes: Vec<ProcessName>,
        facts: &Arc<dyn Facts>,
    ) -> Vec<ProcessName> {
        let _ = facts;
        processes
    }

    /// What to do about a process of which no event tells.
    fn look(&self, process: &ProcessName, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis;

    /// The check of the playbook that acted at `acted`.
    fn verify(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Check;

    /// What the playbook wants when its plan did not help.
    fn on_failure(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Option<Plan>;

    /// An incident was cured, and that was measured: perhaps there is something to learn.
    fn cured(&self, cure: Cure) {
        let _ = cure;
    }

    /// The plan of a playbook was measured.
    fn outcome(&self, playbook: &PlaybookId, helped: bool) {
        let _ = (playbook, helped);
    }

    /// Which text of the playbook is asked now; none for what is no playbook.
    fn version(&self, playbook: &str) -> Option<String> {
        let _ = playbook;
        None
    }

    /// How long the playbook rests between two runs on a process, if it says so.
    fn cooldown(&self, playbook: &str) -> Option<Duration>;
}
