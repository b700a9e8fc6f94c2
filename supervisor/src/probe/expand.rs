//! Fills in what differs per instance: `${PORT}`, `${PORT:-3000}` and `{instance}`.
//!
//! Values come from the environment of the run, where the number of `increment_var` is
//! already raised. A variable that is not set becomes nothing; `$$` becomes `$`.

use std::collections::BTreeMap;

use crate::os_text::OsText;

/// Fills in a probe's text for one instance.
pub(super) fn expand_for_instance(
    text: &str,
    env: &BTreeMap<String, OsText>,
    index: u16,
) -> String {
    let text = text.replace("{instance}", &index.to_string());
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some((body, after)) = reference(rest) {
            let (name, default) = body.split_once(":-").unwrap_or((body, ""));
            match env.get(name).filter(|value| !value.0.is_empty()) {
                Some(value) => out.push_str(&value.0.to_string_lossy()),
                None => out.push_str(&expand_for_instance(default, env, index)),
            }
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out + rest
}

/// What stands in the braces of the `${…}` that a text starts with, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix("${")?;
    let mut depth = 1;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&body[..at], &body[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_variables_and_the_index() {
        let env = BTreeMap::from([
            ("PORT".to_owned(), OsText::from("3001")),
            ("EMPTY".to_owned(), OsText::from("")),
        ]);
        for (text, expected) in [
            ("http://localhost:${PORT}/h", "http://localhost:3001/h"),
            ("/i/{instance}/${PORT}", "/i/1/3001"),
            ("${EMPTY:-80}${NONE:-81}${NONE}", "8081"),
            ("${NONE:-${PORT}}:${NONE:-${EMPTY:-82}}", "3001:82"),
            ("ü$$x $y $$$$ ${open", "ü$x $y $$ ${open"),
        ] {
            assert_eq!(expand_for_instance(text, &env, 1), expected, "{text}");
        }
    }
}
