//! Fills in what differs per instance: `${PORT}`, `${PORT:-3000}` and `{instance}`.
//!
//! Values come from the environment of the run, where the number of `increment_var` is
//! already raised. A variable that is not set becomes nothing; `$$` becomes `$`.

use std::collections::BTreeMap;

use crate::ids::InstanceId;
use crate::os_text::OsText;

pub(super) struct Expander<'a> {
    index: String,
    env: &'a BTreeMap<String, OsText>,
}

impl<'a> Expander<'a> {
    pub(super) fn new(instance: &InstanceId, env: &'a BTreeMap<String, OsText>) -> Self {
        Self {
            index: instance.index.to_string(),
            env,
        }
    }

    /// Both kinds: for texts that nobody else looks at.
    pub(super) fn expand(&self, text: &str) -> String {
        let text = self.expand_index(text);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                out.push('$');
                rest = after;
            } else if let Some((body, after)) =
                rest.strip_prefix("${").and_then(|r| r.split_once('}'))
            {
                out.push_str(&self.variable(body));
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out + rest
    }

    /// `{instance}` only: for a text in which a shell expands the variables itself.
    pub(super) fn expand_index(&self, text: &str) -> String {
        text.replace("{instance}", &self.index)
    }

    fn variable(&self, body: &str) -> String {
        let (name, default) = body.split_once(":-").unwrap_or((body, ""));
        match self.env.get(name).and_then(OsText::to_str) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ => default.to_owned(),
        }
    }
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
        let instance = InstanceId::new("api".parse().expect("a name"), 1);
        let expander = Expander::new(&instance, &env);
        for (text, expected) in [
            ("http://localhost:${PORT}/h", "http://localhost:3001/h"),
            ("/i/{instance}/${PORT}", "/i/1/3001"),
            ("${EMPTY:-80}${NONE:-81}${NONE}", "8081"),
            ("ü$$x $y ${open", "ü$x $y ${open"),
        ] {
            assert_eq!(expander.expand(text), expected, "{text}");
        }
        assert_eq!(
            expander.expand_index("echo $PORT {instance}"),
            "echo $PORT 1"
        );
    }
}
