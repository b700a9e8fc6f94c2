//! What breaks off a plan that has begun.
//!
//! A plan is let run as a whole, and may take minutes: it waits, a reload takes its time. Before
//! each step that changes something the gate is asked once more whether it *refuses* it: somebody
//! stopped the agent, blocked the action, or took the process from the machine's hands. What it
//! would only ask about was answered when the plan began, and is not asked again between two
//! steps.

use std::sync::Arc;

use brain::{Action, ProcessFacts};
use supervisor::{ProcessName, Role};

use crate::budget::Standing;
use crate::policy::{Case, Decision, Target, decide};
use crate::shared::Shared;

/// How a process stood after the last step.
#[derive(Debug, Default)]
pub(crate) struct Course(Option<Stood>);

#[derive(Debug, Clone, Copy)]
struct Stood {
    wanted: bool,
    held: bool,
}

impl Stood {
    fn of(facts: &ProcessFacts) -> Self {
        Self {
            wanted: facts.wanted,
            held: facts.held,
        }
    }
}

impl Course {
    /// A plan that goes on in another daemon: what was wished when it began counts, if its steps
    /// have not changed that themselves.
    pub(crate) fn since(wish: Option<(bool, bool)>) -> Self {
        Self(wish.map(|(wanted, held)| Stood { wanted, held }))
    }

    /// Why this step is not to be done any more, if so.
    pub(crate) async fn barred(
        &mut self,
        shared: &Arc<Shared>,
        process: &ProcessName,
        playbook: &str,
        action: &Action,
    ) -> Option<String> {
        let looked = shared.look(process).await;
        let now = looked.as_ref().map(|(facts, _)| Stood::of(facts));
        let before = self.0.or(now);
        self.0 = before;
        if !action.changes_state() {
            return None;
        }
        if let Some(why) = refusal(shared, playbook, action, looked) {
            return Some(why);
        }
        let (before, now) = (before?, now?);
        if before.wanted && !now.wanted {
            return Some("it is not meant to run any more".into());
        }
        (!before.held && now.held).then(|| "somebody holds it".into())
    }

    /// What a step did itself is not taken for somebody's word.
    pub(crate) async fn passed(
        &mut self,
        shared: &Arc<Shared>,
        process: &ProcessName,
        action: &Action,
    ) {
        if action.changes_state() {
            let looked = shared.look(process).await;
            self.0 = looked.map(|(facts, _)| Stood::of(&facts));
        }
    }
}

/// Why the gate refuses an action now, whoever gave leave for it.
pub(crate) fn refusal(
    shared: &Shared,
    playbook: &str,
    action: &Action,
    looked: Option<(ProcessFacts, u32)>,
) -> Option<String> {
    let (settings, switch) = (shared.settings(), shared.switch());
    if switch.stopped() {
        return Some("somebody stopped the agent".into());
    }
    let (facts, crashes) = looked?;
    let case = Case {
        level: settings.level(playbook, switch.enabled(settings.enabled)),
        target: &Target::of(&facts, crashes),
        bounds: &settings.bounds,
        standing: &Standing::fresh(),
        quiet: false,
        blocked: &settings.blocked,
        role: Role::SuperAdmin,
        confidence: 1.0,
        leave: None,
    };
    match decide(&case, action) {
        Decision::Refuse(why) => Some(why),
        Decision::Run | Decision::RunAndReport | Decision::Ask(_) => None,
    }
}
