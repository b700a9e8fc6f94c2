//! Answers that were recorded and not acted on when the daemon was killed.
//!
//! The answer is what counts: a yes is carried out once, if its plan still fits, and a no
//! hands the incident to a person, as if there had been no kill in between.

use std::sync::Arc;

use brain::{Approval, ApprovalState, IncidentState};
use supervisor::{Caller, Role};

use super::{MACHINE, names, turned_down};
use crate::approval::{approver_role, caller_of};
use crate::shared::{Shared, stored};
use crate::worker::Result;

/// So many of the newest are looked at: there is one for each incident that waits.
const NEWEST: u32 = 200;

/// Ends what was denied, and gives what was approved and has not begun, with who approved it.
pub(crate) async fn take_up(shared: &Arc<Shared>) -> Result<Vec<(Approval, Caller)>> {
    let mut left = Vec::new();
    for approval in stored(shared.store.approvals(None, NEWEST)).await? {
        let waits = shared.open_of(&approval.process).is_some_and(|incident| {
            incident.id == approval.incident && incident.state == IncidentState::AwaitingApproval
        });
        if !waits {
            continue;
        }
        match approval.state {
            // Whether it still stands is looked at when its plan would begin.
            ApprovalState::Approved => {
                let caller = approver(&approval);
                left.push((approval, caller));
            }
            ApprovalState::Denied | ApprovalState::Expired => {
                let by = approval.decided_by.clone().unwrap_or(MACHINE.to_owned());
                let text = format!("{by} said no to {}.", names(&approval.plan));
                let result = format!("denied: by {by}");
                turned_down(shared, &approval, &result, &by, text).await?;
            }
            ApprovalState::Pending
            | ApprovalState::Superseded
            | ApprovalState::Done
            | ApprovalState::Failed => {}
        }
    }
    Ok(left)
}

/// Who approved it. Their role was looked at when they did; the plan needs no more than this.
pub(crate) fn approver(approval: &Approval) -> Caller {
    let by = approval.decided_by.as_deref().unwrap_or(MACHINE);
    caller_of(by, approver_role(&approval.plan).max(Role::Operator))
}
