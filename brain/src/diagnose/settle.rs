//! Which of two proposals wins: that of a learned playbook on probation, or what mhost
//! would do anyway.

use super::{Asked, Diagnosis};
use crate::proposal::Proposal;

/// Lets a learned playbook on probation win where what it would do is what mhost would do
/// anyway, or where nobody else would do anything. Asked after all others have spoken.
pub fn settle(mut found: Diagnosis) -> Diagnosis {
    let Some(own) = found.beside.take() else {
        return found;
    };
    let other = found.proposal.as_ref();
    found.confirmed = other.is_some_and(|other| same_deeds(&own, other));
    if other.is_none_or(|other| found.confirmed || !acts(other)) {
        for entry in &mut found.trail {
            if entry.playbook == own.playbook {
                entry.asked = Asked::Won;
            } else if entry.asked == Asked::Won {
                entry.asked = Asked::Beside;
            }
        }
        found.proposal = Some(own);
    }
    found
}

/// As [`settle`], but only where a trusted playbook agrees: then nobody else need be asked.
pub fn settle_sure(found: Diagnosis) -> Diagnosis {
    let sure = match (&found.beside, &found.proposal) {
        (Some(own), Some(other)) => same_deeds(own, other),
        _ => false,
    };
    if sure { settle(found) } else { found }
}

/// Does it change anything?
fn acts(proposal: &Proposal) -> bool {
    let mut steps = proposal.plan.steps.iter();
    steps.any(|step| step.action.changes_state())
}

/// Do two proposals change the same things, in the same order?
fn same_deeds(a: &Proposal, b: &Proposal) -> bool {
    let deeds = |proposal: &Proposal| {
        let steps = proposal.plan.steps.iter();
        steps
            .filter(|step| step.action.changes_state())
            .map(|step| step.action.clone())
            .collect::<Vec<_>>()
    };
    acts(a) && deeds(a) == deeds(b)
}
