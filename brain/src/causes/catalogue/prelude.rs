//! What every cause uses, and the phrases they share.

pub(super) use std::sync::LazyLock;

pub(super) use regex::Regex;

pub(super) use super::super::found::Found;
pub(super) use super::super::scene::{Dead, FRESH_S, Line, Said, Scene, megabytes, span};
pub(super) use super::super::{Cause, Example, text};
pub(super) use crate::action::Action;
pub(super) use crate::facts::NeighbourLook;
pub(super) use crate::knowledge::{self, quotable};

/// Deaths in a row after which another try is no use.
const LOOPS: usize = 4;

/// What it says, as a sentence.
pub(super) fn quote(said: &Said) -> String {
    format!("It says `{}`.", said.line.shown())
}

/// How often, as a sentence; nothing for once.
pub(super) fn again(said: &Said) -> String {
    match (said.times, said.deadly) {
        (0 | 1, _) => String::new(),
        (times, true) => format!(" It died of it {times} times in a row."),
        (times, false) => format!(" It says so {times} times in {}.", span(said.since_s)),
    }
}

/// Where the stack points, with what stands there.
pub(super) fn at(dead: &Dead) -> String {
    if dead.place.is_empty() {
        return String::new();
    }
    if dead.source.is_empty() {
        return format!(" (at {})", dead.place);
    }
    format!(
        " (at {}, which reads `{}`)",
        dead.place,
        quotable(&dead.source)
    )
}

/// Where the newest death can be looked up.
pub(super) fn death_id(scene: &Scene) -> String {
    scene
        .death()
        .map_or_else(String::new, |dead| dead.id.clone())
}

/// Does a text name a process, as a word of its own?
pub(super) fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let joined =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        !joined(text[..at].chars().next_back()) && !joined(text[at + name.len()..].chars().next())
    })
}

/// Does a file's place or name say that programs write it? Only its nearest folders count: the
/// whole program may live below `/var` or `/tmp`.
pub(super) fn is_state(path: &str) -> bool {
    static STATE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:^|/)\.?(?:[\w-]*cache[\w-]*|tmp|temp|var|state|spool|run|index(?:es)?|snapshots?|sessions?|queue|wal|checkpoints?|storage)/|(?:cache|index|state|snapshot|offsets?|checkpoint|session|store)[\w-]*\.\w+$|\.(?:db|sqlite3?|wal|idx|dat|cache|tmp|snap|bin|pkl|pickle|ser|npy|mmap|rdb|aof|journal)$")
            .expect("a constant")
    });
    static SOURCE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\.(?:py|js|mjs|cjs|ts|tsx|rb|go|rs|java|class|jar|kt|php|pl|pm|sh|lua|c|h|cc|cpp|cs|ex)$|(?:^|/)(?:node_modules|site-packages|dist-packages|usr/lib)/")
            .expect("a constant")
    });
    let parts: Vec<&str> = path.split('/').collect();
    let near = parts[parts.len().saturating_sub(3)..].join("/");
    STATE.is_match(&near) && !SOURCE.is_match(path)
}

/// Trying on is no use once it died of it several times: it is held, and a person is told.
pub(super) fn hold_if_looping(found: Found, scene: &Scene, said: &Said, why: &str) -> Found {
    if said.deadly && said.times >= LOOPS && scene.online == 0 && !scene.held {
        return found.auto(
            Action::Halt {
                reason: format!("{why}, {} times in a row", said.times),
            },
            "another try ends the same way",
        );
    }
    found
}

/// What lasts and no machine can cure is told to a person.
pub(super) fn tell_if_lasting(found: Found, scene: &Scene, said: &Said) -> Found {
    const LASTING_S: f64 = 6.0;
    if said.deadly || said.times < 3 || said.since_s < LASTING_S || scene.online == 0 {
        return found;
    }
    let text = found.words.clone();
    found.auto(Action::Escalate { text }, "only a person can end it")
}
