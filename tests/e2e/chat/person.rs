//! Somebody who runs the fleet from a chat, whichever it is.

use std::collections::HashSet;
use std::time::Duration;

use crate::rig::{PATIENCE, pause, wait_until};

/// Where something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The person's private chat with the bot.
    Private,
    /// The channel that is told of incidents.
    Channel,
}

/// A message as it stands now.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    /// Its text, without what the platform wants escaped.
    pub(super) text: String,
    /// Labels of its buttons.
    pub(super) buttons: Vec<String>,
}

impl Message {
    fn has(&self, label: &str) -> bool {
        self.buttons.iter().any(|one| one == label)
    }
}

/// An admin on one platform.
pub(super) trait Person {
    /// The settings of the daemon by which they are the admin.
    fn settings(&self) -> String;

    /// Writes a command in private: `/status api`.
    fn writes(&self, words: &str);

    /// What they see there, oldest first.
    fn sees(&self, at: At) -> Vec<Message>;

    /// Presses a button of a message.
    fn presses(&self, at: At, message: &Message, label: &str);

    /// What the bot did that the platform does not allow.
    fn faults(&self) -> Vec<String>;
}

/// The newest message with this button.
pub(super) fn with_button(person: &dyn Person, at: At, label: &str) -> Option<Message> {
    person.sees(at).into_iter().rfind(|one| one.has(label))
}

/// Writes a command, and waits until something new shows this. Gives that.
pub(super) fn says(person: &dyn Person, words: &str, shows: &str) -> String {
    let old: HashSet<String> = person
        .sees(At::Private)
        .into_iter()
        .map(|one| one.id)
        .collect();
    person.writes(words);
    let (mut new, mut found) = (Vec::new(), None);
    wait_until(PATIENCE, || {
        new = person.sees(At::Private);
        new.retain(|one| !old.contains(&one.id));
        found = new.iter().find(|one| one.text.contains(shows)).cloned();
        found.is_some() || new.iter().any(|one| one.text.contains("too fast"))
    });
    match found {
        Some(answer) => {
            assert!(!answer.text.contains("hunter22"), "{words}: {answer:?}");
            answer.text
        }
        // They listen again in a moment.
        None if new.iter().any(|one| one.text.contains("too fast")) => {
            pause(Duration::from_secs(2));
            says(person, words, shows)
        }
        None => panic!("{words} does not show `{shows}`: {new:#?}"),
    }
}
