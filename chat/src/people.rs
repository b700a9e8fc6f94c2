//! Who may do what: the platform's ids, and the roles that `[bot.users]` gives them.
//!
//! An id says who somebody is; a name says nothing. Who is not listed may do nothing.

use std::collections::{BTreeMap, BTreeSet};

use supervisor::Role;

use crate::{Incoming, Platform};

/// Everybody that the settings speak of, by principal: `telegram:123`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    /// Roles of users.
    pub roles: BTreeMap<String, Role>,
    /// Users who may do nothing, whatever their role.
    pub blocked: BTreeSet<String>,
    /// The only chats where the bot answers, private ones aside; all of them when empty.
    pub chats: BTreeSet<String>,
}

/// What somebody is to mhost, at the place where they wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Has this role.
    Known(Role),
    /// Is not listed. They are told their id, once an hour.
    Stranger,
    /// Nothing is answered: blocked, a bot, or a chat that is not allowed.
    Mute(&'static str),
}

impl People {
    /// Who sent this?
    pub fn standing(&self, incoming: &Incoming) -> Standing {
        let platform = incoming.place.platform;
        let who = incoming.sender.principal(platform);
        if self.blocked.contains(&who) {
            return Standing::Mute("blocked");
        }
        if incoming.origin.bot {
            return Standing::Mute("a bot");
        }
        if !incoming.origin.private && !self.may_speak_in(platform, &incoming.place.chat) {
            return Standing::Mute("a chat that is not in allowed_chats");
        }
        // Whoever hides behind a group is nobody.
        if incoming.origin.anonymous {
            return Standing::Stranger;
        }
        match self.roles.get(&who) {
            Some(role) => Standing::Known(*role),
            None => Standing::Stranger,
        }
    }

    /// Is it a chat where the bot may answer?
    pub fn may_speak_in(&self, platform: Platform, chat: &str) -> bool {
        self.chats.is_empty() || self.chats.contains(&format!("{platform}:{chat}"))
    }

    /// Everybody with at least this role on a platform, by their ids there.
    pub fn with_role(&self, platform: Platform, least: Role) -> Vec<&str> {
        let ours = |who: &'_ str| {
            who.strip_prefix(platform.as_str())
                .is_some_and(|rest| rest.starts_with(':'))
        };
        self.roles
            .iter()
            .filter(|(who, role)| **role >= least && ours(who) && !self.blocked.contains(*who))
            .filter_map(|(who, _)| who.split_once(':').map(|(_, id)| id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{press, text};

    fn people() -> People {
        People {
            roles: BTreeMap::from([
                ("telegram:1".into(), Role::Admin),
                ("telegram:2".into(), Role::Viewer),
                ("telegram:3".into(), Role::Admin),
                ("slack:1".into(), Role::Admin),
            ]),
            blocked: BTreeSet::from(["telegram:3".into()]),
            chats: BTreeSet::from(["telegram:-100".into()]),
        }
    }

    #[test]
    fn the_id_on_its_platform_decides() {
        let people = people();
        let of = |change: &dyn Fn(&mut Incoming)| {
            let mut incoming = text("telegram:-100", "1", "/status");
            change(&mut incoming);
            people.standing(&incoming)
        };
        assert_eq!(of(&|_| {}), Standing::Known(Role::Admin));
        assert_eq!(
            of(&|one| one.sender.id = "2".into()),
            Standing::Known(Role::Viewer)
        );
        assert_eq!(of(&|one| one.sender.id = "9".into()), Standing::Stranger);
        // The same name, another id.
        assert_eq!(
            of(&|one| {
                one.sender.id = "11".into();
                one.sender.name = "1".into();
            }),
            Standing::Stranger
        );
        // The same id on a platform where it is somebody else.
        assert_eq!(
            of(&|one| one.place.platform = Platform::Discord),
            Standing::Mute("a chat that is not in allowed_chats")
        );
        assert_eq!(
            of(&|one| one.sender.id = "3".into()),
            Standing::Mute("blocked")
        );
        assert_eq!(of(&|one| one.origin.bot = true), Standing::Mute("a bot"));
        assert_eq!(of(&|one| one.origin.anonymous = true), Standing::Stranger);
        assert!(matches!(
            of(&|one| one.place.chat = "-200".into()),
            Standing::Mute(_)
        ));
        assert_eq!(
            of(&|one| {
                one.place.chat = "1".into();
                one.origin.private = true;
            }),
            Standing::Known(Role::Admin)
        );
        let pressed = press("telegram:-100", "2", "a:x:y");
        assert_eq!(people.standing(&pressed), Standing::Known(Role::Viewer));
    }

    #[test]
    fn those_with_a_role_are_found() {
        assert_eq!(
            people().with_role(Platform::Telegram, Role::Operator),
            ["1"]
        );
        assert_eq!(people().with_role(Platform::Slack, Role::Viewer), ["1"]);
        assert!(
            people()
                .with_role(Platform::Discord, Role::Viewer)
                .is_empty()
        );
    }
}
