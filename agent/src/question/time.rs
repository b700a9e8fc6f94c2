//! Questions and time: a reminder halfway, putting off, and a no in the end.

use std::sync::Arc;
use std::time::Duration;

use brain::{Approval, ApprovalState};
use jiff::Timestamp;
use serde_json::json;
use supervisor::{Caller, ControlError, after};

use super::{MACHINE, decidable, decide, decided, names, turned_down, unrecorded};
use crate::approval::Input;
use crate::shared::{Shared, stored};
use crate::worker::Result;

/// A question may be put off for so long after it was asked, all in all.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Keeps a question open for so much longer, and reminds people of it then.
pub(crate) async fn snooze(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
    time: Duration,
) -> std::result::Result<Approval, ControlError> {
    let approval = decidable(shared, caller, id).await?;
    let again = after(shared.clock.now(), time);
    // As much time to answer as was left at the first reminder.
    let expires = after(again, shared.settings().approval_timeout / 2).max(approval.expires);
    if expires > after(approval.created, LONGEST) {
        return Err(ControlError::Conflict {
            message: format!(
                "question `{}` cannot be put off further; say yes or no",
                approval.id
            ),
        });
    }
    let (id, now) = (approval.id.clone(), shared.clock.now());
    let put_off = stored(shared.store.put_off(id, expires, again, now)).await;
    let Some(put_off) = put_off.map_err(unrecorded)? else {
        return Err(no_longer_open(shared, approval).await);
    };
    let story = json!({"approval": put_off.id, "by": caller.to_string(), "expires": expires});
    shared
        .tell(put_off.incident, "put_off", story)
        .await
        .map_err(unrecorded)?;
    Ok(put_off)
}

/// Silence is a no: ends what has run out of time, and reminds of what soon will. Answers with
/// the next deadline.
pub(crate) async fn expire(shared: &Arc<Shared>) -> Result<Option<Timestamp>> {
    let now = shared.clock.now();
    let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 50)).await?;
    let mut next = None;
    for approval in open {
        if approval.expires > now {
            let mut soon = approval.expires;
            match approval.remind {
                Some(at) if at <= now => {
                    let reminded = shared.store.reminded(approval.id.clone(), now);
                    if let Some(approval) = stored(reminded).await? {
                        shared.approver.remind(&approval).await;
                    }
                }
                Some(at) => soon = soon.min(at),
                None => {}
            }
            next = Some(next.map_or(soon, |soonest: Timestamp| soonest.min(soon)));
            continue;
        }
        if decide(
            shared,
            &approval,
            ApprovalState::Pending,
            Input::TimePassed,
            MACHINE,
        )
        .await?
        {
            let text = silence(&approval);
            turned_down(
                shared,
                &approval,
                match approval.votes.len() {
                    0 => "denied: nobody answered in time",
                    _ => "denied: too few said yes in time",
                },
                MACHINE,
                text,
            )
            .await?;
        }
    }
    Ok(next)
}

/// That nobody answered, or too few.
fn silence(approval: &Approval) -> String {
    let plan = names(&approval.plan);
    match approval.votes.len() {
        0 => format!("Nobody answered whether to {plan} within the time; it was not done."),
        some => format!(
            "Only {some} of {} said yes to {plan} within the time; it was not done.",
            approval.wanted
        ),
    }
}

/// What became of a question that could not be put off.
async fn no_longer_open(shared: &Arc<Shared>, approval: Approval) -> ControlError {
    match stored(shared.store.approval(approval.id.clone())).await {
        Ok(now) => decided(&now.unwrap_or(approval)),
        Err(error) => unrecorded(error),
    }
}
