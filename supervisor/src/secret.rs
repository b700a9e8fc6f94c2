//! What must not be printed: the values of variables with secret-looking names, and passwords
//! in addresses (`postgres://user:pw@host`), wherever they stand in a definition.
//!
//! Environments are carried as [`EnvVars`], which shows a mask wherever it is printed or
//! written as JSON, whoever does it. The few places that need the values (the child's own
//! environment, the state database, `dump.toml`, a request of the command line) say so with
//! [`exposed`] or [`Secret::expose`], which can be searched for.

mod places;
mod settings;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os_text::OsText;

/// What is shown in the place of a secret.
pub const MASK: &str = "***";

/// Shorter values are not looked for in texts: `1` and `yes` stand everywhere.
pub(crate) const SHORTEST: usize = 4;

/// Parts of a variable's name that make its value a secret.
const SECRET_WORDS: [&str; 6] = ["secret", "token", "passw", "key", "credential", "dsn"];

/// Should the value of this variable be masked?
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Should the value of this header be masked?
fn is_secret_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_secret_name(name) || lower.contains("auth") || lower.contains("cookie")
}

/// Shorter ones are names of people.
const TOKEN: usize = 16;

/// A user that is nobody's name: a token that stands in its place.
fn is_token(user: &str) -> bool {
    let has = |kind: fn(&char) -> bool| user.chars().any(|c| kind(&c));
    user.len() >= TOKEN && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
}

/// Where the passwords of addresses stand in a text, and tokens in the place of a user.
fn passwords(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text.as_bytes()[from..], b"://") {
        let start = from + at + 3;
        let quoted = |c: char| matches!(c, '"' | '\'' | '<' | '>') || c.is_whitespace();
        let until = |ends: &dyn Fn(char) -> bool| {
            let end = text[start..].find(ends);
            end.map_or(text.len(), |end| start + end)
        };
        let mut end = until(&|c| quoted(c) || matches!(c, '/' | '?' | '#'));
        // Nobody may have escaped a `/` in a password; after a port there may be an `@`, too.
        if !text[start..end].contains('@')
            && let Some((_, port)) = text[start..end].split_once(':')
            && !port.bytes().all(|byte| byte.is_ascii_digit())
        {
            let whole = until(&quoted);
            end = text[start..whole]
                .rfind('@')
                .map_or(end, |at| start + at + 1);
        }
        // Nor an `@`.
        if let Some((who, _)) = text[start..end].rsplit_once('@') {
            let (user, password) = who.split_once(':').unwrap_or((who, ""));
            if is_token(user) {
                found.push(start..start + user.len());
            }
            if !password.is_empty() {
                let start = start + user.len() + 1;
                found.push(start..start + password.len());
            }
        }
        from = end;
    }
    found
}

/// A text with a mask in the place of the passwords of its addresses.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let found = passwords(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = text.to_owned();
    for place in found.into_iter().rev() {
        shown.replace_range(place, MASK);
    }
    Cow::Owned(shown)
}

/// The passwords of the addresses in a text, where they are long enough to be recognised.
pub(crate) fn passwords_of(text: &str) -> impl Iterator<Item = Secret> {
    let found = passwords(text).into_iter().map(|place| &text[place]);
    found
        .filter(|password| password.len() >= SHORTEST)
        .map(Secret::from)
}

/// The values of headers that must not be printed, also without the word for their scheme
/// (`Bearer`) in front.
pub(crate) fn secrets_of_headers(headers: &BTreeMap<String, String>) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (name, value) in headers {
        if is_secret_header(name) {
            let bare = value.split_once(' ').map(|(_, bare)| bare.trim());
            let all = std::iter::once(value.as_str()).chain(bare);
            secrets.extend(all.filter(|one| one.len() >= SHORTEST).map(Secret::from));
        }
        secrets.extend(passwords_of(value));
    }
    secrets
}

/// Writes a text without the passwords of its addresses, unless [`exposed`].
pub(crate) fn shown<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if EXPOSED.get() {
        return serializer.serialize_str(text);
    }
    serializer.serialize_str(&without_passwords(text))
}

/// As [`shown`], for several texts.
pub(crate) fn all_shown<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if EXPOSED.get() {
        return serializer.collect_seq(texts);
    }
    serializer.collect_seq(texts.iter().map(|text| without_passwords(text)))
}

/// As [`shown`], for headers: values of those that carry secrets are a mask.
pub(crate) fn headers_shown<S: Serializer>(
    headers: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if EXPOSED.get() {
        return serializer.collect_map(headers);
    }
    serializer.collect_map(headers.iter().map(|(name, value)| {
        let shown = match is_secret_header(name) {
            true => Cow::Borrowed(MASK),
            false => without_passwords(value),
        };
        (name, shown)
    }))
}

/// Was a mask taken for a value: in an address, or as the value of a secret name?
pub(crate) fn is_mask(name: &str, value: &str) -> bool {
    let is_whole = value == MASK && (is_secret_name(name) || is_secret_header(name));
    let mut passwords = passwords(value).into_iter();
    is_whole || passwords.any(|place| &value[place] == MASK)
}

/// A text that cannot be printed. What holds one may derive `Debug` and `Serialize`: they show
/// the mask. There is no `Display`, so that none gets into a message by mistake.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

thread_local! {
    static EXPOSED: Cell<bool> = const { Cell::new(false) };
}

/// What is written as JSON or TOML while `work` runs has its secrets.
pub fn exposed<R>(work: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            EXPOSED.set(self.0);
        }
    }
    let _back = Back(EXPOSED.replace(true));
    work()
}

/// Variables of an environment. Values of secret names are printed as a mask. Clones share
/// the variables until one of them is changed: they are the largest part of most definitions.
#[derive(PartialEq, Eq)]
pub struct EnvVars<T>(Arc<BTreeMap<String, T>>);

impl<T> Clone for EnvVars<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> EnvVars<T> {
    /// None at all.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl EnvVars<OsText> {
    /// The values that must not be printed, where they are long enough to be recognised.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for (name, value) in self.0.iter() {
            let value = value.0.to_string_lossy();
            if !is_secret_name(name) {
                secrets.extend(passwords_of(&value));
            } else if value.len() >= SHORTEST {
                secrets.push(Secret::from(value));
            }
        }
        secrets
    }
}

/// The value of a variable with a plain name, if it is somebody's own and not what everybody
/// has.
pub(crate) fn own_value(name: &str, value: &str) -> Option<Secret> {
    let own = !is_secret_name(name) && settings::is_own(name, value);
    own.then(|| Secret::from(value))
}

/// A text with a mask in the place of each of these values: as they are, in large letters, with
/// a colour in them, and of what the pattern of a line shows of them.
pub fn masked(text: String, secrets: &[Secret]) -> String {
    places::masked(text, secrets)
}

impl<T> Default for EnvVars<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<BTreeMap<String, T>> for EnvVars<T> {
    fn from(vars: BTreeMap<String, T>) -> Self {
        Self(Arc::new(vars))
    }
}

impl<T> FromIterator<(String, T)> for EnvVars<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(vars: I) -> Self {
        Self(Arc::new(vars.into_iter().collect()))
    }
}

impl<T: Clone> IntoIterator for EnvVars<T> {
    type Item = (String, T);
    type IntoIter = std::collections::btree_map::IntoIter<String, T>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<T> Deref for EnvVars<T> {
    type Target = BTreeMap<String, T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Clone> DerefMut for EnvVars<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: fmt::Debug> fmt::Debug for EnvVars<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.0.iter() {
            if is_secret_name(name) {
                map.entry(name, &format_args!("{MASK}"));
            } else {
                let value = format!("{value:?}");
                map.entry(name, &format_args!("{}", without_passwords(&value)));
            }
        }
        map.finish()
    }
}

impl<T: Serialize> Serialize for EnvVars<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exposed = EXPOSED.get();
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            if exposed {
                map.serialize_entry(name, value)?;
            } else if is_secret_name(name) {
                map.serialize_entry(name, MASK)?;
            } else {
                match serde_json::to_value(value) {
                    Ok(serde_json::Value::String(text)) => {
                        map.serialize_entry(name, &without_passwords(&text))?;
                    }
                    _ => map.serialize_entry(name, value)?,
                }
            }
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for EnvVars<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> EnvVars<OsText> {
        [("API_KEY", "hunter22"), ("PORT", "80"), ("TOKEN", "abc")]
            .map(|(name, value)| (name.to_owned(), OsText::from(value)))
            .into_iter()
            .collect()
    }

    #[test]
    fn secrets_are_printed_nowhere_unless_asked_for() {
        let vars = vars();
        let printed = format!("{vars:?}");
        assert!(
            printed.contains("80") && !printed.contains("hunter22"),
            "{printed}"
        );
        let shown = serde_json::to_value(&vars).expect("writes");
        assert_eq!(shown["API_KEY"], MASK);
        assert_eq!(shown["PORT"], "80");
        let kept = exposed(|| serde_json::to_string(&vars)).expect("writes");
        let read: EnvVars<OsText> = serde_json::from_str(&kept).expect("reads");
        assert!(read == vars, "all is kept");
        assert_eq!(
            serde_json::to_value(&vars).expect("writes")["API_KEY"],
            MASK
        );
        let secret = Secret::from("hunter22");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).expect("writes"), "\"***\"");
    }

    #[test]
    fn passwords_of_addresses_are_masked() {
        for (text, expected) in [
            ("postgres://ana:hunter22@db/x", "postgres://ana:***@db/x"),
            ("--url=redis://:p%40ss@h:6379", "--url=redis://:***@h:6379"),
            ("a://u:p@ss@h b://v:q@i/@", "a://u:***@h b://v:***@i/@"),
            ("'amqp://u:pässwort@h'", "'amqp://u:***@h'"),
            ("http://ana@host:80/a:b@c", "http://ana@host:80/a:b@c"),
            ("http://host:80/", "http://host:80/"),
            ("http://user:@host", "http://user:@host"),
            ("postgres://u:pa/s?s#w@h/x", "postgres://u:***@h/x"),
            (
                "http://h:80/@a/b http://h/x:y@z",
                "http://h:80/@a/b http://h/x:y@z",
            ),
            (
                "git clone https://ghp_0123456789abcdef@git.example/x",
                "git clone https://***@git.example/x",
            ),
            (
                "https://0123456789abcdef0123:x@git.example",
                "https://***:***@git.example",
            ),
            ("://", "://"),
            ("mail ana:x@host", "mail ana:x@host"),
        ] {
            assert_eq!(without_passwords(text), expected);
        }
        let vars: EnvVars<OsText> = [("DATABASE_URL", "postgres://ana:hunter22@db/x")]
            .map(|(name, value)| (name.to_owned(), OsText::from(value)))
            .into_iter()
            .collect();
        let shown = serde_json::to_value(&vars).expect("writes");
        assert_eq!(shown["DATABASE_URL"], "postgres://ana:***@db/x");
        assert!(!format!("{vars:?}").contains("hunter22"), "{vars:?}");
        let kept = exposed(|| serde_json::to_string(&vars)).expect("writes");
        assert!(kept.contains("hunter22"), "{kept}");
        let line = "login as ana with hunter22".to_owned();
        assert_eq!(masked(line, &vars.secrets()), "login as ana with ***");
    }

    #[test]
    fn headers_that_carry_secrets_are_masked() {
        let probe: crate::spec::HttpProbe = toml::from_str(
            "url = \"http://h/\"\nheaders = { Authorization = \"Bearer hunter22\", Cookie = \"a=hunter22\", Accept = \"text/plain\" }",
        )
        .expect("reads");
        let shown = serde_json::to_value(&probe).expect("writes");
        let masked =
            serde_json::json!({ "Authorization": MASK, "Cookie": MASK, "Accept": "text/plain" });
        assert_eq!(shown["headers"], masked);
        let kept = exposed(|| serde_json::to_string(&probe)).expect("writes");
        assert_eq!(kept.matches("hunter22").count(), 2, "{kept}");
    }

    #[test]
    fn known_values_are_masked_in_texts() {
        let secrets = vars().secrets();
        assert_eq!(secrets.len(), 1, "a short value is everywhere");
        let line = "refused: key hunter22 (hunter22)".to_owned();
        assert_eq!(masked(line, &secrets), "refused: key *** (***)");
    }
}
