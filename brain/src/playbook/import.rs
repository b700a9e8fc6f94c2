//! Rules of another tool as declared playbooks: `trigger`, `action`, `wait_ms` in JSON.
//!
//! What is imported is written in the declarative form and disabled, so a person reads and
//! tries it before it is asked. A trigger that is no regular expression is taken as plain text.

use regex::Regex;
use serde::Deserialize;
use toml::{Table, Value};

/// Steps that a rule may name.
const ACTIONS: [&str; 6] = [
    "restart",
    "reload",
    "start",
    "stop",
    "kill_restart",
    "notify",
];

/// A rule as a declared playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name: the file's.
    pub name: String,
    /// Its text.
    pub toml: String,
}

/// Why rules cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON, or other keys.
    #[error("it holds no rules: {0}")]
    Json(#[from] serde_json::Error),
    /// An action that no declared playbook has.
    #[error("rule `{rule}`: there is no action `{action}`; there are: {}", ACTIONS.join(", "))]
    Action {
        /// The rule.
        rule: String,
        /// What it wants.
        action: String,
    },
    /// It could not be written down.
    #[error("rule `{rule}` cannot be written: {why}")]
    Write {
        /// The rule.
        rule: String,
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: Option<String>,
    description: Option<String>,
    process: Option<String>,
    trigger: String,
    action: String,
    wait_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

/// The rules in a text: one, or a list.
///
/// # Errors
/// [`ImportError`]: nothing is imported unless all can be.
pub fn imported(json: &str) -> Result<Vec<Imported>, ImportError> {
    let rules = match serde_json::from_str(json)? {
        Rules::Many(rules) => rules,
        Rules::One(rule) => vec![*rule],
    };
    rules.into_iter().map(translate).collect()
}

fn translate(rule: Rule) -> Result<Imported, ImportError> {
    let name = slug(rule.name.as_deref().unwrap_or(&rule.trigger));
    if !ACTIONS.contains(&rule.action.as_str()) {
        return Err(ImportError::Action {
            rule: name,
            action: rule.action,
        });
    }
    let description = rule
        .description
        .unwrap_or_else(|| format!("{} when it ends saying {}", rule.action, rule.trigger));
    let pattern = match Regex::new(&rule.trigger) {
        Ok(_) => rule.trigger,
        Err(_) => regex::escape(&rule.trigger),
    };
    let table = |pairs: &[(&str, &str)]| -> Value {
        let pairs = pairs.iter();
        let table: Table = pairs
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect();
        Value::Table(table)
    };
    let mut trigger = Table::new();
    trigger.insert("on".to_owned(), Value::from(vec!["crash"]));
    trigger.insert("pattern".to_owned(), Value::from(pattern));
    if let Some(process) = rule.process {
        trigger.insert("process".to_owned(), Value::from(process));
    }
    let mut actions = Vec::new();
    if let Some(ms) = rule.wait_ms.filter(|ms| *ms > 0) {
        let time = format!("{ms}ms");
        actions.push(table(&[("type", "wait"), ("for", &time)]));
    }
    actions.push(match rule.action.as_str() {
        "notify" => table(&[("type", "notify"), ("severity", "warning")]),
        action => table(&[("type", action)]),
    });
    let mut all = Table::new();
    all.insert("name".to_owned(), Value::from(name.clone()));
    all.insert("description".to_owned(), Value::from(description));
    all.insert("enabled".to_owned(), Value::from(false));
    all.insert("trigger".to_owned(), Value::Table(trigger));
    all.insert("action".to_owned(), Value::Array(actions));
    all.insert("limits".to_owned(), table(&[("cooldown", "5m")]));
    all.insert(
        "verify".to_owned(),
        table(&[("condition", "uptime > 30s"), ("within", "60s")]),
    );
    match toml::to_string(&all) {
        Ok(toml) => Ok(Imported { name, toml }),
        Err(error) => Err(ImportError::Write {
            rule: name,
            why: error.to_string(),
        }),
    }
}

/// A name for a file: letters and digits of the text, joined by dashes.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let name: String = words.join("-").chars().take(48).collect();
    if name.is_empty() {
        "imported".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::lint::{Weight, lint};
    use crate::playbook::{Format, PlaybookState, Playbooks};

    #[test]
    fn rules_become_playbooks_that_load() {
        let json = r#"[
            {"name": "Port conflict", "trigger": "EADDRINUSE", "action": "restart", "wait_ms": 5000},
            {"trigger": "cannot [open", "action": "notify", "process": "api-*"}
        ]"#;
        let all = imported(json).unwrap();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["port-conflict", "cannot-open"]);
        for one in &all {
            let errors: Vec<_> = lint(&one.name, Format::Toml, &one.toml)
                .into_iter()
                .filter(|finding| finding.weight == Weight::Error)
                .collect();
            assert!(errors.is_empty(), "{errors:?}\n{}", one.toml);
            let info = Playbooks::only(&one.name, Format::Toml, &one.toml).list();
            assert!(
                info.iter()
                    .all(|info| !matches!(info.state, PlaybookState::Broken { .. })),
                "{info:?}\n{}",
                one.toml
            );
        }
        assert!(all[0].toml.contains("5000ms"), "{}", all[0].toml);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let exec = r#"{"trigger": "x", "action": "exec"}"#;
        let error = imported(exec).unwrap_err().to_string();
        assert!(error.contains("no action `exec`"), "{error}");
        assert!(imported(r#"{"trigger": "x"}"#).is_err());
        assert!(imported("yes").is_err());
    }
}
