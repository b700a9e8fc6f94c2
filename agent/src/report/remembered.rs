//! What was found out about a process while it was ill, for whoever asks later.

use brain::{Case, Evidence, IncidentId};
use jiff::Timestamp;
use supervisor::ProcessName;

use super::Result;
use crate::shared::{Shared, stored};

/// A diagnosis of an incident of the last half hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The incident.
    pub incident: String,
    /// The process it is about.
    pub process: ProcessName,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// The diagnosis; none when only a playbook has said something.
    pub case: Option<Case>,
    /// The process was a victim of the one that it is about.
    pub victim: bool,
    /// What the playbook said, how sure it was, and on what grounds.
    pub said: Option<(String, f64, Vec<Evidence>)>,
}

/// Incidents that are looked through for one that explains a process.
const LATEST: u32 = 40;
/// How old they may be.
const LATELY: std::time::Duration = std::time::Duration::from_secs(1800);

pub(crate) async fn remembered(
    shared: &Shared,
    process: &ProcessName,
) -> Result<Option<Remembered>> {
    let now = shared.clock.now();
    let mut own: Option<Remembered> = None;
    let mut foreign: Option<Remembered> = None;
    for row in stored(shared.store.latest_incidents(None, LATEST)).await? {
        let last = row.incident.closed.unwrap_or(now);
        if supervisor::until(last, now) > LATELY {
            continue;
        }
        let about = row.incident.process == *process;
        let mut case = best_case(shared, row.incident.id).await?;
        // What ails a victim is what ails its cause.
        let victim = about && row.incident.cause.is_some();
        let mut cause_row = None;
        if about && let Some(cause) = row.incident.cause {
            match best_case(shared, cause).await? {
                Some(of_cause) => case = Some(as_victim(of_cause, process, case)),
                None => cause_row = stored(shared.store.incident(cause)).await?,
            }
        }
        // What a playbook said of the cause is more than what its victim was taken for.
        let row = match cause_row {
            Some(cause) if cause.cause.is_some() => {
                case = None;
                cause
            }
            _ => row,
        };
        let said = row
            .cause
            .clone()
            .map(|cause| (cause, row.confidence.unwrap_or(0.5), row.evidence.clone()));
        let named = case.as_ref().is_some_and(|case| {
            case.process == process.as_str() || case.chain.iter().any(|one| one == process.as_str())
        });
        if case.is_none() && said.is_none() || !about && !named {
            continue;
        }
        let found = Remembered {
            incident: row.incident.id.to_string(),
            process: row.incident.process,
            opened: row.incident.opened,
            closed: row.incident.closed,
            case,
            victim,
            said,
        };
        let place = if about { &mut own } else { &mut foreign };
        let better = match place {
            None => true,
            // The newest one counts, unless it has nothing to say.
            Some(old) => old.case.is_none() && found.case.is_some(),
        };
        if better {
            *place = Some(found);
        }
    }
    Ok(own.or(foreign))
}

/// The surest diagnosis of an incident; of equally sure ones the newest.
async fn best_case(shared: &Shared, incident: IncidentId) -> Result<Option<Case>> {
    let mut best: Option<Case> = None;
    for step in stored(shared.store.steps(incident)).await? {
        if step.kind != crate::worker::CAUSE {
            continue;
        }
        let Ok(found) = serde_json::from_value::<Case>(step.data) else {
            continue;
        };
        if best
            .as_ref()
            .is_none_or(|old| found.confidence >= old.confidence)
        {
            best = Some(found);
        }
    }
    Ok(best)
}

/// The diagnosis of a cause as one of its victims tells it, with what that one showed itself.
fn as_victim(of_cause: Case, victim: &ProcessName, own: Option<Case>) -> Case {
    let culprit = of_cause.process.clone();
    let root_cause = format!(
        "`{victim}` suffered from `{culprit}`. {}",
        of_cause.root_cause
    );
    let mut case = Case {
        asked: victim.clone(),
        root_cause,
        ..of_cause
    };
    if let Some(own) = own {
        let between = std::iter::once(own.process).chain(own.chain);
        case.chain = between
            .filter(|one| *one != culprit && one != victim.as_str())
            .collect();
        for evidence in own.evidence {
            if !case.evidence.contains(&evidence) {
                case.evidence.push(evidence);
            }
        }
    }
    case
}
