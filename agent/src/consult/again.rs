//! Whether a model is asked about an incident, and whether once more.
//!
//! ```text
//!   up, or tried by the supervisor ──► breaker, hold, no autorestart ──► down
//!      asked once                                                        asked anew, unless an
//!                                                                        earlier answer stands
//! ```
//!
//! What a model says while the supervisor still tries is often overtaken by the next try. Once
//! nothing tries any more it is worth another question, if nothing came of the first. These are
//! rules; who asks is elsewhere.

use brain::investigate::is_model;
use brain::{Action, IncidentStep, ProcessFacts, StoredAction};
use serde::{Deserialize, Serialize};
use supervisor::Status;

/// How often a model is asked about one incident.
const MOST: usize = 3;
/// How often until the next question is not for another plan after one that did not help.
const MOST_PLANS: usize = 2;

/// How a process ails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ailing {
    /// It is up and does not do well, or the supervisor starts it again.
    Tried,
    /// Nothing starts it again.
    Down,
}

impl Ailing {
    pub(crate) fn of(process: &ProcessFacts) -> Self {
        match process.state {
            Status::Stopped | Status::Errored if !process.retries => Self::Down,
            Status::Stopped
            | Status::Errored
            | Status::Starting
            | Status::Online
            | Status::Stopping => Self::Tried,
        }
    }
}

/// May a model be asked about a process that ails like this? `asked` are the answers so far,
/// `rows` what was done or wanted within the incident.
pub(super) fn may_ask(
    asked: &[&IncidentStep],
    rows: &[StoredAction],
    now: Ailing,
    seeking: bool,
) -> bool {
    let then = |line: &IncidentStep| {
        let word = line.data.get("ailing").cloned().unwrap_or_default();
        serde_json::from_value(word).unwrap_or(Ailing::Tried)
    };
    let anew = || {
        now == Ailing::Down
            && asked.len() < MOST
            && asked.iter().all(|line| then(line) != Ailing::Down)
            && !rows.iter().any(stands)
    };
    asked.is_empty() || seeking && asked.len() < MOST_PLANS || anew()
}

/// Did something come of a plan of a model: was it done, or did somebody say no to it? What was
/// withdrawn or could not be done says nothing.
pub(super) fn stands(row: &StoredAction) -> bool {
    let playbook = row.action.playbook.as_ref();
    let void = |result: &str| result.starts_with("failed") || result.starts_with("skipped");
    playbook.is_some_and(|name| is_model(&name.0))
        && row.action.action.changes_state()
        && !row.result.as_deref().is_some_and(void)
}

/// Is it held, and not by a plan of this incident? Then a person wants it down.
pub(super) fn held_by_a_person(process: &ProcessFacts, rows: &[StoredAction]) -> bool {
    let ours = |row: &StoredAction| {
        matches!(row.action.action, Action::Halt { .. }) && row.result.as_deref() == Some("done")
    };
    process.held && !rows.iter().any(ours)
}

#[cfg(test)]
mod tests {
    use brain::{ActionId, IncidentId, NewAction, PlaybookId};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn line(data: Value) -> IncidentStep {
        IncidentStep {
            incident: IncidentId(1),
            at: Timestamp::UNIX_EPOCH,
            kind: "model".into(),
            data,
        }
    }

    fn row(playbook: &str, result: Option<&str>) -> StoredAction {
        StoredAction {
            id: ActionId(1),
            action: NewAction {
                incident: Some(IncidentId(1)),
                process: "api".parse().unwrap(),
                at: Timestamp::UNIX_EPOCH,
                actor: "agent".into(),
                playbook: Some(PlaybookId(playbook.into())),
                action: Action::Restart { instance: None },
                risk: "low".into(),
                gate: "run".into(),
                approval: None,
            },
            result: result.map(str::to_owned),
            outcome: None,
        }
    }

    #[test]
    fn an_answer_that_came_to_nothing_is_asked_for_again_once_it_is_down() {
        let (tried, down) = (
            line(json!({"ailing": "tried"})),
            line(json!({"ailing": "down"})),
        );
        let ask = |asked: &[&IncidentStep], result: Option<Option<&str>>, now| {
            let rows: Vec<_> = result
                .iter()
                .map(|result| row("model:double/x", *result))
                .collect();
            may_ask(asked, &rows, now, false)
        };
        use Ailing::{Down, Tried};
        assert!(ask(&[], None, Tried) && ask(&[], None, Down));
        assert!(!ask(&[&tried], None, Tried), "once while it is tried");
        assert!(ask(&[&tried], None, Down), "nothing came of it");
        assert!(ask(&[&tried], Some(Some("skipped: it changed")), Down));
        assert!(ask(&[&tried], Some(Some("failed: it exited")), Down));
        for stands in [Some("done"), Some("denied: by ana"), Some("proposed"), None] {
            assert!(!ask(&[&tried], Some(stands), Down), "{stands:?}");
        }
        assert!(!ask(&[&tried, &down], None, Down), "once while it is down");
        assert!(!ask(&[&down], None, Down));
        assert!(ask(&[&line(json!({}))], None, Down), "of a former version");
        assert!(!ask(&[&tried, &tried, &tried], None, Down), "never more");
        let playbook = [row("gave-up", Some("done"))];
        assert!(may_ask(&[&tried], &playbook, Down, false));
        assert!(may_ask(&[&down], &[], Down, true), "for another plan");
        assert!(!may_ask(&[&down, &down], &[], Down, true));
    }
}
