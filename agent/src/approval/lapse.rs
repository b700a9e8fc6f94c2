//! Whose yes still counts.
//!
//! Between a yes and the moment when its plan would run somebody may leave `approvers`, get a
//! lesser role or be taken out of the chats. What they said then counts no longer: nobody lets
//! run what they could not say yes to now. Pure.

use brain::{Approval, Plan, Vote};
use supervisor::Role;

use super::{approver_role, caller_of, is_listed};
use crate::settings::Settings;

/// Could whoever is named so in the history not say yes to this plan now?
pub fn gone(by: &str, plan: &Plan, settings: &Settings) -> bool {
    let needed = approver_role(plan).max(Role::Operator);
    // The role they had was looked at when they spoke.
    let caller = caller_of(by, needed);
    settings.role_now(&caller) < needed || !is_listed(&caller, &settings.approvers)
}

/// A question as it stands by what is set now.
pub fn lapse(mut approval: Approval, settings: &Settings) -> Approval {
    let (gone, votes): (Vec<Vote>, Vec<Vote>) = approval
        .votes
        .into_iter()
        .partition(|vote| gone(&vote.by, &approval.plan, settings));
    approval.votes = votes;
    approval.lapsed.extend(gone);
    approval
}

#[cfg(test)]
mod tests {
    use brain::Action;

    use super::*;

    #[test]
    fn a_yes_counts_as_long_as_it_could_be_said() {
        let restart: Plan = [Action::Restart { instance: None }].into_iter().collect();
        let stop: Plan = [Action::Stop].into_iter().collect();
        let settings = |approvers: &[&str], roles: &[(&str, Role)]| Settings {
            approvers: approvers.iter().map(|&one| one.to_owned()).collect(),
            chats: Some(
                roles
                    .iter()
                    .map(|(id, role)| ((*id).to_owned(), *role))
                    .collect(),
            ),
            ..Settings::default()
        };
        let operator = [("pager:7", Role::Operator)];
        let seven = "chat:pager:7";
        assert!(!gone(seven, &restart, &settings(&[], &operator)));
        assert!(
            gone(seven, &stop, &settings(&[], &operator)),
            "a lesser role"
        );
        assert!(gone(seven, &restart, &settings(&[], &[])), "taken out");
        let viewer = [("pager:7", Role::Viewer)];
        assert!(gone(seven, &restart, &settings(&[], &viewer)));
        assert!(gone(seven, &restart, &settings(&["cli:ana"], &operator)));
        assert!(!gone(seven, &restart, &settings(&["pager:7"], &operator)));
        // Whoever is on this machine is its owner, and may be kept out by `approvers` only.
        assert!(!gone("cli:ana", &stop, &settings(&[], &[])));
        assert!(gone("cli:ana", &stop, &settings(&["cli:ben"], &[])));
        // Nobody knows what was said in chats that nobody told of.
        assert!(!gone(seven, &stop, &Settings::default()));
    }
}
