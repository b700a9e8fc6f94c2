//! What the name beside a value says of it, where the word that tells of a secret does not end
//! the name.
//!
//! `DB_PASSWORD_PROD` is the name of a variable and `token_count` that of a figure: which it is
//! shows in the style of the name, in its other words, and in what the value looks like.

/// Last words of names that are about a secret and hold none.
const ABOUT: [&str; 66] = [
    "age",
    "attempts",
    "bucket",
    "budget",
    "cache",
    "checker",
    "count",
    "counts",
    "enabled",
    "endpoint",
    "error",
    "errors",
    "exp",
    "expire",
    "expired",
    "expires",
    "expiration",
    "expiry",
    "field",
    "file",
    "format",
    "handler",
    "header",
    "helper",
    "hint",
    "id",
    "ids",
    "in",
    "index",
    "kind",
    "len",
    "length",
    "limit",
    "limits",
    "manager",
    "max",
    "min",
    "name",
    "names",
    "param",
    "path",
    "policy",
    "position",
    "prefix",
    "provider",
    "rate",
    "ref",
    "required",
    "reset",
    "rotation",
    "scope",
    "scopes",
    "server",
    "service",
    "size",
    "state",
    "status",
    "store",
    "strength",
    "stream",
    "ttl",
    "type",
    "types",
    "url",
    "usage",
    "validator",
];

/// Last words that say which of several passwords it is.
const PLACES: [&str; 24] = [
    "admin",
    "api",
    "app",
    "backup",
    "base",
    "db",
    "default",
    "dev",
    "development",
    "live",
    "local",
    "main",
    "master",
    "new",
    "old",
    "prod",
    "production",
    "replica",
    "root",
    "stage",
    "staging",
    "test",
    "user",
    "web",
];

/// Words of names of errors, behind which a sentence stands.
const ERRORS: [&str; 15] = [
    "BAD",
    "DENIED",
    "ERR",
    "ERROR",
    "EXPIRED",
    "FAILED",
    "INCORRECT",
    "INVALID",
    "MISMATCH",
    "MISSING",
    "NOT",
    "REJECTED",
    "REQUIRED",
    "UNEXPECTED",
    "WRONG",
];

/// First words of names whose keys lead to data.
const OF_DATA: [&str; 30] = [
    "blob",
    "cache",
    "composite",
    "dedup",
    "foreign",
    "group",
    "hash",
    "idempotency",
    "index",
    "job",
    "lock",
    "log",
    "lookup",
    "map",
    "message",
    "metric",
    "object",
    "order",
    "partition",
    "primary",
    "public",
    "range",
    "redis",
    "routing",
    "row",
    "s3",
    "shard",
    "sort",
    "state",
    "unique",
];

/// The words of the name before a value.
fn words(named: &str) -> Vec<&str> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let start = named.find(in_name).unwrap_or(named.len());
    let name = &named[start..];
    let end = name.find(|c| !in_name(c)).unwrap_or(name.len());
    let parts = name[..end].split(['_', '.', '-']);
    parts.filter(|part| !part.is_empty()).collect()
}

/// The last word, in small letters: of `tokenExpires` it is `expires`.
fn last(named: &str) -> String {
    let word = words(named).pop().unwrap_or_default();
    let mixed = word.bytes().any(|byte| byte.is_ascii_lowercase());
    let from = word.rfind(|c: char| c.is_ascii_uppercase());
    let last = &word[from.filter(|_| mixed).unwrap_or(0)..];
    last.to_ascii_lowercase()
}

/// A figure, with its unit perhaps: `4096`, `15m`, `3600s`.
pub(super) fn is_amount(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = value.len() - digits.len();
    let is_figure = digits.bytes().all(|byte| byte.is_ascii_digit());
    !digits.is_empty() && digits.len() < 7 && unit <= 3 && is_figure
}

/// Is it the name of a variable for a password, and none of an error?
pub(super) fn is_setting(named: &str) -> bool {
    let words = words(named);
    let error = words.iter().any(|word| ERRORS.contains(word));
    words.len() > 1 && !error && words.iter().any(|word| word.contains("PASSW"))
}

/// Is it the name of one of several passwords?
pub(super) fn is_of_place(named: &str) -> bool {
    let last = last(named);
    let of_password = named.to_ascii_lowercase().contains("passw");
    of_password && PLACES.contains(&last.as_str())
}

/// Is it the name of something about a secret?
pub(super) fn is_about(named: &str) -> bool {
    ABOUT.contains(&last(named).as_str())
}

/// Does a value look like a key, and is its name not one of data?
pub(super) fn is_key(named: &str, value: &str) -> bool {
    let of_data = words(named).iter().any(|word| OF_DATA.contains(word));
    let has = |class: fn(&u8) -> bool| value.bytes().any(|byte| class(&byte));
    let changes = value.as_bytes().windows(2);
    let changes = changes.filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit());
    let is_id = value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && value.contains('-');
    !of_data
        && !is_id
        && !value.contains(['/', '.'])
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && changes.count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_name_are_told() {
        assert_eq!(
            words(" \"DB_PASSWORD_PROD\": \""),
            ["DB", "PASSWORD", "PROD"]
        );
        assert_eq!(last("tokenExpires="), "expires");
        assert_eq!(last("TOKEN_TYPE="), "type");
        assert!(is_about("tokenExpires=") && !is_about("token_signing="));
        assert!(is_setting("DB_PASSWORD_PROD: ") && !is_setting("INVALID_PASSWORD: "));
        assert!(is_of_place("password-prod: ") && !is_of_place("token-web: "));
        assert!(is_amount("15m") && is_amount("4096") && !is_amount("m") && !is_amount("1234567"));
        let key = "sword7fish8melon99x";
        assert!(is_key("stripe_key=", key) && !is_key("cache_key=", key));
    }
}
