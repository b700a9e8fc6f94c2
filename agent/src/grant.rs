//! Leave in advance: this playbook may do this to this process until then.
//!
//! ```text
//!   given ──► in force ──time──────► ended
//!                 ├─────somebody──► revoked
//!                 └─────edited────► of no use: another text needs another grant
//! ```
//!
//! A grant answers one question of the gate ahead of time, and nothing else: what is refused
//! stays refused, and every limit of the gate still holds. It belongs to one text of one
//! playbook, one process and a risk; it says who gave it and when it ends, and a plan that
//! runs by it is counted at the moment it begins, so that none runs by one that was taken back.
//! Where more than one person must say yes, nobody can say it alone in advance.

use std::sync::Arc;
use std::time::Duration;

use brain::{Approval, Grant, PlaybookId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{Caller, ControlError, ProcessName, Role, Via, after};

use crate::approval::{caller_of, is_listed, must_be_listed, new_id};
use crate::policy::{Leave, Risk};
use crate::question::{decidable, unrecorded};
use crate::settings::{Approvals, Settings};
use crate::shared::{Shared, stored};

/// Grants that may be in force at once. More would be a policy, which belongs in the settings.
const MOST: u32 = 100;

/// The shortest and the longest time that one lasts.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Rows of a list.
const LISTED: u32 = 200;

type Result<T> = std::result::Result<T, ControlError>;

/// What somebody wants to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The playbook.
    pub playbook: String,
    /// The process.
    pub process: ProcessName,
    /// Up to which risk: low or high.
    pub risk: Risk,
    /// For how long.
    pub time: Duration,
}

/// A grant and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The grant.
    #[serde(flatten)]
    pub grant: Grant,
    /// `in force`; `edited` where its playbook has another text now; `ended`, `revoked`.
    pub state: String,
}

/// Gives leave: for the text that was `shown`, or for the one there is.
pub(crate) async fn give(
    shared: &Arc<Shared>,
    caller: &Caller,
    wish: Wish,
    shown: Option<String>,
) -> Result<Grant> {
    check(&shared.settings(), caller, &wish)?;
    let now = version(shared, &wish.playbook).await;
    let Some(version) = shown.filter(|_| now.is_some()).or(now) else {
        return Err(invalid(format!(
            "there is no playbook `{}` that is in use; see `mhost brain playbooks`",
            wish.playbook
        )));
    };
    let now = shared.clock.now();
    let grant = Grant {
        id: new_id(),
        playbook: PlaybookId(wish.playbook),
        version,
        process: wish.process,
        risk: wish.risk.as_str().to_owned(),
        by: caller.to_string(),
        role: caller.role,
        created: now,
        ends: after(now, wish.time),
        revoked: None,
        revoked_by: None,
        uses: 0,
        last_used: None,
    };
    let added = stored(shared.store.add_grant(grant.clone(), MOST)).await;
    if !added.map_err(unrecorded)? {
        return Err(ControlError::Conflict {
            message: format!("{MOST} grants are in force already; see `mhost agent grants`"),
        });
    }
    Ok(grant)
}

/// What leave for the playbook of an open question would be.
pub(crate) async fn wish_for(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
    time: Duration,
) -> Result<(Approval, Wish)> {
    let approval = decidable(shared, caller, id).await?;
    let wish = Wish {
        playbook: approval.playbook.0.clone(),
        process: approval.process.clone(),
        risk: risk_of(&approval.risk),
        time,
    };
    check(&shared.settings(), caller, &wish)?;
    let Some(shown) = &approval.version else {
        return Err(invalid(format!(
            "the plan is of {}, which is no playbook: it is asked about each time",
            approval.playbook
        )));
    };
    if version(shared, &wish.playbook).await.as_ref() != Some(shown) {
        return Err(ControlError::Conflict {
            message: format!(
                "playbook `{}` was edited since the question was asked",
                wish.playbook
            ),
        });
    }
    Ok((approval, wish))
}

/// May this caller give this leave?
fn check(settings: &Settings, caller: &Caller, wish: &Wish) -> Result<()> {
    let what = format!("to allow {} on {} in advance", wish.playbook, wish.process);
    if caller.role < Role::Admin {
        return Err(ControlError::Forbidden {
            what,
            who: caller.to_string(),
            needed: Role::Admin,
            has: caller.role,
        });
    }
    if !matches!(caller.via, Via::Cli | Via::Rpc | Via::Chat) {
        return Err(ControlError::Conflict {
            message: "leave in advance is given by a person".into(),
        });
    }
    must_be_listed(caller, what, &settings.approvers)?;
    if wish.time < SHORTEST || wish.time > LONGEST {
        return Err(invalid("a grant lasts 1m to 90d".into()));
    }
    let wanted = settings.approvals.of(wish.risk);
    if wanted > 1 {
        return Err(ControlError::Conflict {
            message: format!(
                "{} risk needs a yes of {wanted} people each time, so nobody can give it in advance",
                wish.risk.as_str()
            ),
        });
    }
    Ok(())
}

/// The leave there is for what a playbook plans, if there is any.
pub(crate) async fn find(
    shared: &Arc<Shared>,
    playbook: &PlaybookId,
    version: &str,
    process: &ProcessName,
) -> std::result::Result<Option<(Grant, Leave)>, brain::BrainStoreError> {
    let now = shared.clock.now();
    let grants = stored(
        shared
            .store
            .grants_for(playbook.clone(), process.clone(), now),
    )
    .await?;
    let settings = shared.settings();
    Ok(best(grants, version, &settings))
}

/// The one that covers most of those that are of this text and of somebody who may still decide.
fn best(grants: Vec<Grant>, version: &str, settings: &Settings) -> Option<(Grant, Leave)> {
    let usable = grants.into_iter().filter_map(|grant| {
        let giver = caller_of(&grant.by, grant.role);
        let role = settings.role_now(&giver);
        let may = role >= Role::Admin && is_listed(&giver, &settings.approvers);
        let holds = grant.version == version && may;
        let risk = covered(risk_of(&grant.risk), settings.approvals)?;
        holds.then_some((grant, Leave { risk, role }))
    });
    usable.max_by_key(|(_, leave)| leave.risk)
}

/// What of a granted risk one person may allow alone, by what is set now.
fn covered(granted: Risk, approvals: Approvals) -> Option<Risk> {
    let alone = |risk| risk <= granted && approvals.of(risk) == 1;
    [Risk::High, Risk::Low]
        .into_iter()
        .find(|risk| alone(*risk))
}

/// Counts a plan that is about to run by a grant. False when it has ended meanwhile.
pub(crate) async fn spend(
    shared: &Shared,
    grant: &Grant,
) -> std::result::Result<bool, brain::BrainStoreError> {
    stored(shared.store.use_grant(grant.id.clone(), shared.clock.now())).await
}

/// Takes one back. That is the safe direction: every operator may, on whatever list they are not.
pub(crate) async fn revoke(shared: &Shared, caller: &Caller, id: &str) -> Result<Grant> {
    let id = id.trim().to_ascii_lowercase();
    if caller.role < Role::Operator {
        return Err(ControlError::Forbidden {
            what: format!("to take back grant {id}"),
            who: caller.to_string(),
            needed: Role::Operator,
            has: caller.role,
        });
    }
    let now = shared.clock.now();
    let ended = shared.store.revoke(id.clone(), caller.to_string(), now);
    match stored(ended).await.map_err(unrecorded)? {
        Some((grant, true)) => Ok(grant),
        Some((grant, false)) => Err(ControlError::Conflict {
            message: match &grant.revoked_by {
                Some(by) => format!("grant `{id}` was revoked by {by} already"),
                None => format!("grant `{id}` has ended already"),
            },
        }),
        None => Err(invalid(format!(
            "there is no grant `{id}`; see `mhost agent grants`"
        ))),
    }
}

/// All of them, with how each stands.
pub(crate) async fn all(shared: &Arc<Shared>) -> Result<Vec<Granted>> {
    let now = shared.clock.now();
    let grants = stored(shared.store.grants(now, LISTED))
        .await
        .map_err(unrecorded)?;
    let told = shared.blocking(move |shared| {
        let told = grants.into_iter().map(|grant| {
            let same = || shared.mind.version(&grant.playbook.0).as_ref() == Some(&grant.version);
            let state = match &grant {
                one if one.revoked.is_some() => "revoked",
                one if !one.in_force(now) => "ended",
                _ if same() => "in force",
                _ => "edited",
            };
            let state = state.to_owned();
            Granted { grant, state }
        });
        told.collect::<Vec<_>>()
    });
    Ok(told.await.unwrap_or_default())
}

/// Which text of a playbook is asked now.
pub(crate) async fn version(shared: &Arc<Shared>, playbook: &str) -> Option<String> {
    let name = playbook.to_owned();
    shared
        .blocking(move |shared| shared.mind.version(&name))
        .await
        .flatten()
}

/// A grant in a few words: `grant k3v9qa of cli:ana, until 2026-12-06 14:32 UTC`.
pub fn words(id: &str, by: &str, ends: Timestamp) -> String {
    let ends = ends.strftime("%Y-%m-%d %H:%M UTC");
    format!("grant {id} of {by}, until {ends}")
}

/// The class of a word in the history.
pub(crate) fn risk_of(word: &str) -> Risk {
    match word {
        "none" => Risk::None,
        "low" => Risk::Low,
        _ => Risk::High,
    }
}

fn invalid(message: String) -> ControlError {
    ControlError::Invalid {
        message,
        details: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn grant(id: &str, risk: &str, by: &str) -> Grant {
        Grant {
            id: id.into(),
            playbook: PlaybookId("drained".into()),
            version: "1".into(),
            process: "api".parse().unwrap(),
            risk: risk.into(),
            by: by.into(),
            role: Role::Admin,
            created: at(0),
            ends: at(100),
            revoked: None,
            revoked_by: None,
            uses: 0,
            last_used: None,
        }
    }

    #[test]
    fn what_one_person_may_not_say_alone_is_not_covered() {
        let of = |low, high, granted| covered(granted, Approvals { low, high });
        assert_eq!(of(1, 1, Risk::High), Some(Risk::High));
        assert_eq!(of(1, 1, Risk::Low), Some(Risk::Low));
        assert_eq!(of(1, 2, Risk::High), Some(Risk::Low));
        assert_eq!(of(2, 2, Risk::High), None);
        assert_eq!(of(2, 1, Risk::Low), None);
    }

    #[test]
    fn the_one_that_covers_most_holds_if_it_is_of_this_text_and_a_person_who_may() {
        let settings = Settings::default();
        let two = || vec![grant("a", "low", "cli:ana"), grant("b", "high", "cli:ben")];
        let found = |grants, version: &str, settings: &Settings| {
            best(grants, version, settings).map(|(grant, leave)| (grant.id, leave.risk))
        };
        assert_eq!(
            found(two(), "1", &settings),
            Some(("b".to_owned(), Risk::High))
        );
        assert_eq!(
            found(two(), "2", &settings),
            None,
            "the playbook was edited"
        );
        let only_ana = Settings {
            approvers: vec!["cli:ana".into()],
            ..Settings::default()
        };
        assert_eq!(
            found(two(), "1", &only_ana),
            Some(("a".to_owned(), Risk::Low))
        );
        let of = |role| Settings {
            chats: Some([("pager:7".to_owned(), role)].into()),
            ..Settings::default()
        };
        let given = || vec![grant("c", "low", "chat:pager:7")];
        let held = Some(("c".to_owned(), Risk::Low));
        assert_eq!(found(given(), "1", &of(Role::Admin)), held);
        assert_eq!(found(given(), "1", &of(Role::Operator)), None);
    }

    #[test]
    fn an_admin_gives_it_for_a_while() {
        let wish = |risk, seconds| Wish {
            playbook: "drained".into(),
            process: "api".parse().unwrap(),
            risk,
            time: Duration::from_secs(seconds),
        };
        let ask = |role, via, settings: &Settings, wish| {
            let caller = Caller {
                principal: "ana".into(),
                role,
                via,
            };
            check(settings, &caller, &wish).map_err(|error| error.to_string())
        };
        let plain = Settings::default();
        let day = || wish(Risk::Low, 86_400);
        assert_eq!(ask(Role::Admin, Via::Cli, &plain, day()), Ok(()));
        let refused = |role, via, settings: &Settings, wish, why: &str| {
            let said = ask(role, via, settings, wish).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        refused(Role::Operator, Via::Chat, &plain, day(), "Admin");
        refused(Role::Admin, Via::Mcp, &plain, day(), "a person");
        refused(
            Role::Admin,
            Via::Cli,
            &plain,
            wish(Risk::Low, 1),
            "lasts 1m",
        );
        refused(
            Role::Admin,
            Via::Cli,
            &plain,
            wish(Risk::Low, 91 * 86_400),
            "to 90d",
        );
        let listed = Settings {
            approvers: vec!["pager:7".into()],
            ..Settings::default()
        };
        refused(Role::Admin, Via::Cli, &listed, day(), "pager:7");
        let four_eyes = Settings {
            approvals: Approvals { low: 1, high: 2 },
            ..Settings::default()
        };
        let high = wish(Risk::High, 86_400);
        refused(Role::Admin, Via::Cli, &four_eyes, high, "2 people");
        assert_eq!(ask(Role::Admin, Via::Cli, &four_eyes, day()), Ok(()));
    }
}
