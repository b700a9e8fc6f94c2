//! Which values of plain variables are somebody's own: `MY_SETTING`, `WEBHOOK_PATH`.
//!
//! Their names tell nothing, and most of them are known to everybody: ports, regions, levels,
//! names of hosts. A value that stands in many texts must not be looked for in them, or nobody
//! could read what a program says. So only what is long and looks chosen counts.

/// Shorter values are words of everybody.
const SHORTEST: usize = 8;
/// Longer ones are no values but documents.
const LONGEST: usize = 512;
/// From here on words joined by marks are nobody's name by chance.
const PHRASE: usize = 20;
/// Shortest part of a value in which letters and digits are mixed.
const MIXED: usize = 6;

/// Last words of names whose values everybody may know.
const PUBLIC: [&str; 36] = [
    "ADDR",
    "ADDRESS",
    "BIN",
    "CHARSET",
    "CLASSPATH",
    "CONFIG",
    "DATABASE",
    "DIR",
    "DOMAIN",
    "ENV",
    "ENVIRONMENT",
    "FILE",
    "FORMAT",
    "HOME",
    "HOST",
    "HOSTS",
    "IMAGE",
    "LANG",
    "LEVEL",
    "LOCALE",
    "MODE",
    "NAME",
    "OPTIONS",
    "OPTS",
    "PATH",
    "PORT",
    "QUEUE",
    "REGION",
    "SERVICE",
    "TIMEZONE",
    "TOPIC",
    "TZ",
    "URI",
    "URL",
    "USER",
    "VERSION",
];

/// Is this a value that must not be found in what a program says?
pub(super) fn is_own(name: &str, value: &str) -> bool {
    let value = value.trim();
    let upper = name.to_ascii_uppercase();
    let last = upper.rsplit(['_', '.', '-']).next().unwrap_or_default();
    // The address of a hook is its password.
    let is_hook = upper.contains("HOOK");
    if !(SHORTEST..=LONGEST).contains(&value.len()) || value.starts_with('-') {
        return false;
    }
    if PUBLIC.contains(&last) && !is_hook || is_of_world(value) {
        return false;
    }
    let parts = value.split(|c: char| !c.is_alphanumeric());
    let joined = value.contains(['-', '_', ' ', '+', '!', '#', '%', '&', '$', '*', '~']);
    let phrase = value.len() >= PHRASE && joined && value.contains(char::is_alphabetic);
    phrase || is_hook || parts.into_iter().any(is_chosen)
}

/// Letters and digits mixed, or large letters within small ones.
fn is_chosen(part: &str) -> bool {
    let has = |kind: fn(char) -> bool| part.chars().any(kind);
    let mixed = has(|c| c.is_ascii_digit()) && has(char::is_alphabetic);
    let inner = part.chars().skip(1).any(char::is_uppercase) && has(char::is_lowercase);
    part.len() >= MIXED && mixed || part.len() >= SHORTEST && inner
}

/// An address of a host, a file or a network, a list, a time or a figure.
fn is_of_world(value: &str) -> bool {
    let host = value.contains('.')
        && value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:".contains(&b));
    let figure = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation() || byte == b' ');
    let has = |marks: &[char]| value.contains(marks);
    let file = value.starts_with(['/', '.', '~']) && std::path::Path::new(value).exists();
    host || figure || file || has(&[',', '{', '\n']) || value.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_told_from_what_everybody_has() {
        for (name, value) in [
            ("MY_SETTING", "SwordFishMelon"),
            ("MY_SETTING", "correct-horse-battery"),
            ("MY_SETTING", "hunter22-blue"),
            ("WEBHOOK_PATH", "/hooks/9f8a7b6c5d4e"),
            ("SALT", "k7Gf3sPzQx8Wn2"),
        ] {
            assert!(is_own(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("NODE_ENV", "production"),
            ("AWS_REGION", "eu-central-1"),
            ("ZONE", "eu-central-1"),
            ("DB_HOST", "db7primary.internal"),
            ("UPSTREAM", "db7primary.internal:5432"),
            ("NODE_OPTIONS", "--max-old-space-size=4096"),
            ("LIMIT", "123456789"),
            ("PEERS", "node1abc,node2abc"),
            ("MODE", "SwordFishMelon"),
            ("BASE", "/usr/bin"),
            ("LINK", "http://localhost:3000/api"),
            ("SHORT", "abc123"),
            ("GREETING", "welcome"),
        ] {
            assert!(!is_own(name, value), "{name}={value}");
        }
    }
}
