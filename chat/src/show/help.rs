//! What somebody may ask, and who they are to mhost.

use supervisor::Role;

use crate::order::{Needs, VERBS, Verb};
use crate::{Block, Card, Incoming, MenuEntry, Tone};

/// May somebody with this role use the word?
pub(crate) fn allows(verb: &Verb, role: Role, asking: Role) -> bool {
    match verb.needs {
        Needs::Nothing => true,
        Needs::Role(least) => role >= least,
        Needs::Asking => role >= asking,
    }
}

/// The commands that this role may use.
pub fn help(role: Role, asking: Role) -> Card {
    let fields = VERBS
        .iter()
        .filter(|verb| allows(verb, role, asking))
        .map(|verb| (verb.usage(), verb.about.to_owned()))
        .collect();
    let card = Card::titled(Tone::Plain, "What you can ask").block(Block::Fields(fields));
    if role == Role::None {
        card.footer("Send /whoami to an admin: they can give you a role.")
    } else {
        card.footer(
            "An app is a name, name:2, a number of the list, group:web or, for admins, all.",
        )
    }
}

/// Their id and role.
pub fn whoami(incoming: &Incoming, role: Role) -> Card {
    let who = incoming.sender.principal(incoming.place.platform);
    let role = match role {
        Role::None => "none",
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
        Role::SuperAdmin => "super_admin",
    };
    Card::titled(Tone::Plain, "You").block(Block::Fields(vec![
        ("id".into(), who),
        ("role".into(), role.into()),
        ("chat".into(), incoming.place.to_string()),
    ]))
}

/// The words for a platform's own list: all of them, since it shows the same to everybody.
pub fn menu() -> Vec<MenuEntry> {
    VERBS
        .iter()
        .map(|verb| MenuEntry {
            name: verb.name,
            arguments: verb.arguments,
            about: verb.about,
        })
        .collect()
}
