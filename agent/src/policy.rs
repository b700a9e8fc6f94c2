//! Who may do what, when nobody has been asked.
//!
//! One pure function: [`decide`] takes an action in its context and says run, run and report,
//! ask, or refuse. It reads no clock, no store and no setting; what it needs stands in
//! [`Case`]. Risk is computed here and never believed from a playbook or a model. The whole
//! matrix of level × risk × limits is walked by a test.
//!
//!   risk(action, target) ─► table level × risk ─► limits: blocked, budget, quiet hours,
//!                                                 bounds, role, confidence ─► Decision

mod level;
mod quiet;
mod risk;
#[cfg(test)]
mod tests;

use brain::{Action, Plan};
use serde::{Deserialize, Serialize};
use supervisor::Role;

pub use level::{Autonomy, Source, capped, effective};
pub use quiet::{QuietHours, QuietHoursError};
pub use risk::{Bounds, Risk, Target, limit_of, out_of_bounds, required_role, risk, worst_risk};

use crate::budget::Standing;

/// Below this confidence nothing that changes state is done without a person.
/// 0.5: of two equally likely causes one is wrong.
pub const LEAST_CONFIDENCE: f64 = 0.5;

/// What becomes of an action or a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", content = "why", rename_all = "snake_case")]
pub enum Decision {
    /// Do it.
    Run,
    /// Do it and tell people that it was done.
    RunAndReport,
    /// Ask a person, who is told why it was not simply done.
    Ask(String),
    /// Do not do it, and do not ask.
    Refuse(String),
}

impl Decision {
    /// May it be done without asking?
    pub fn runs(&self) -> bool {
        matches!(self, Decision::Run | Decision::RunAndReport)
    }

    /// The word in the history: `run`, `ask`, `refuse`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Decision::Run | Decision::RunAndReport => "run",
            Decision::Ask(_) => "ask",
            Decision::Refuse(_) => "refuse",
        }
    }

    /// How restrictive it is; the parts of a plan are joined by the greatest.
    fn strictness(&self) -> u8 {
        match self {
            Decision::Run => 0,
            Decision::RunAndReport => 1,
            Decision::Ask(_) => 2,
            Decision::Refuse(_) => 3,
        }
    }
}

/// An action in everything that matters for it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The level that holds for the playbook, before the process's own bound.
    pub level: Autonomy,
    /// The process it would be done to.
    pub target: &'a Target,
    /// How far an autonomous action may go.
    pub bounds: &'a Bounds,
    /// What has been done already.
    pub standing: &'a Standing,
    /// Are these quiet hours?
    pub quiet: bool,
    /// Names of actions that are refused at every level.
    pub blocked: &'a [String],
    /// The role the agent runs with.
    pub role: Role,
    /// How sure the proposal is, 0 to 1.
    pub confidence: f64,
    /// Leave that a person gave in advance for this playbook on this process.
    pub leave: Option<Leave>,
}

/// Leave that a person gave in advance. It answers the question that the level asks, and is
/// held to every limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// Up to which risk.
    pub risk: Risk,
    /// The role of whoever gave it, with which the plan runs.
    pub role: Role,
}

/// Decides one action by itself.
pub fn decide(case: &Case<'_>, action: &Action) -> Decision {
    decide_at(case, action, risk(action, case.target))
}

/// Decides a plan: its risk is the highest of its parts, and the strictest answer to a part
/// is the answer to the whole. Steps are never run apart from the plan they belong to.
pub fn decide_plan(case: &Case<'_>, plan: &Plan) -> (Risk, Decision) {
    let highest = plan_risk(plan, case.target);
    let mut decision = Decision::Run;
    for step in &plan.steps {
        // A part without risk stays free: telling people must not wait for permission.
        let own = risk(&step.action, case.target);
        let at = if own == Risk::None { own } else { highest };
        let part = decide_at(case, &step.action, at);
        if part.strictness() > decision.strictness() {
            decision = part;
        }
    }
    if let Some(why) = &plan.ask
        && decision.runs()
        && highest > Risk::None
        && case.leave.is_none_or(|leave| leave.risk < highest)
    {
        decision = Decision::Ask(why.clone());
    }
    (highest, decision)
}

/// The highest risk of the parts.
pub fn plan_risk(plan: &Plan, target: &Target) -> Risk {
    plan.steps
        .iter()
        .map(|step| risk(&step.action, target))
        .max()
        .unwrap_or(Risk::None)
}

fn decide_at(case: &Case<'_>, action: &Action, risk: Risk) -> Decision {
    let name = action.name();
    if case.blocked.iter().any(|blocked| blocked == name) {
        return Decision::Refuse(format!("`{name}` is in blocked_actions"));
    }
    let level = capped(case.level, case.target.autonomy);
    let own = table(level, risk, name);
    let leave = case
        .leave
        .filter(|leave| !matches!(own, Decision::Refuse(_)) && risk <= leave.risk);
    let allowed = leave.map_or(own, |_| Decision::RunAndReport);
    if !allowed.runs() || risk == Risk::None {
        return allowed;
    }
    // From here on the table or a person allows it; each limit can only turn it into a question.
    if let Some(why) = case.standing.over() {
        return Decision::Ask(why);
    }
    if case.confidence < LEAST_CONFIDENCE {
        return Decision::Ask(format!(
            "the diagnosis is only {:.0} % sure",
            case.confidence * 100.0
        ));
    }
    if risk == Risk::High && case.quiet {
        return Decision::Ask("it is high risk and these are quiet hours".into());
    }
    if let Some(why) = out_of_bounds(action, case.target, case.bounds) {
        return Decision::Ask(why);
    }
    let needed = risk::command_role(action);
    let role = leave.map_or(case.role, |leave| leave.role);
    if role < needed {
        return Decision::Ask(format!(
            "`{name}` needs the role {needed:?} and the agent has {role:?}"
        ));
    }
    allowed
}

/// The table of autonomy × risk, and nothing else.
fn table(level: Autonomy, risk: Risk, name: &str) -> Decision {
    match (risk, level) {
        (Risk::None, _) => Decision::Run,
        (Risk::Forbidden, _) => {
            Decision::Refuse(format!("`{name}` is never done by a machine here"))
        }
        (Risk::Low | Risk::High, Autonomy::Manual) => {
            Decision::Refuse("the level is manual: only a person acts".into())
        }
        (Risk::Low | Risk::High, Autonomy::Supervised) => {
            Decision::Ask("the level is supervised".into())
        }
        (Risk::Low, Autonomy::Semi | Autonomy::Autonomous) => Decision::RunAndReport,
        (Risk::High, Autonomy::Semi) => Decision::Ask("it is high risk".into()),
        (Risk::High, Autonomy::Autonomous) => Decision::RunAndReport,
    }
}
