//! What a model may look up: a file each.
//!
//! A tool has typed arguments with bounds. It answers with the exact question it understood
//! and with facts that have ids; what is wrong with a question is answered as plainly, so that
//! the model can put it right. Every tool reads only.

mod args;
mod changes;
mod config;
mod dns;
mod events;
mod file;
mod http;
mod incidents;
mod logs;
mod metrics;
mod playbooks;
mod port;
mod probes;
mod processes;
mod templates;
mod tree;

use serde_json::Value;

use super::desk::Desk;
use crate::llm::{ToolCall, ToolSpec};
use crate::words::fence;

/// Longest answer of one look-up, in bytes.
const ANSWER: usize = 4 * 1024;
/// Longest fact, in bytes: one alone must not take the room of all others.
const FACT: usize = 1_500;
/// Longest arguments that are read.
const ARGUMENTS: usize = 4 * 1024;

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// JSON Schema of the arguments.
    pub(super) parameters: fn() -> Value,
    pub(super) run: fn(&Desk, Value) -> Result<Found, String>,
}

/// What a look-up found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The question as it was understood.
    query: String,
    /// Facts: id and words.
    facts: Vec<(String, String)>,
    /// What is to be said beside them.
    note: String,
}

impl Found {
    fn new(query: String) -> Self {
        Self {
            query,
            ..Self::default()
        }
    }

    fn fact(&mut self, id: impl Into<String>, text: impl Into<String>) {
        self.facts.push((id.into(), text.into()));
    }

    /// A fact for each member of an object that says something.
    fn members(&mut self, id: &str, object: &Value) {
        for (key, value) in object.as_object().into_iter().flatten() {
            let silent = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !silent {
                self.fact(format!("{id}:{key}"), value.to_string());
            }
        }
    }

    /// Leaves out what does not fit, cuts what is long by itself, and says so. What was not
    /// shown is no evidence.
    fn fit(&mut self) {
        let mut room = ANSWER.saturating_sub(self.query.len() + self.note.len() + 100);
        let all = self.facts.len();
        self.facts.retain_mut(|(id, words)| {
            if words.len() > FACT {
                words.truncate(words.floor_char_boundary(FACT));
                words.push_str(" … (cut)");
            }
            let size = id.len() + words.len() + 4;
            let fits = size <= room;
            if fits {
                room -= size;
            }
            fits
        });
        let out = all - self.facts.len();
        if out > 0 {
            let said = std::mem::take(&mut self.note);
            let blank = if said.is_empty() { "" } else { "; " };
            self.note = format!("{said}{blank}{out} more facts do not fit: ask for less");
        }
    }

    fn note(mut self, text: impl Into<String>) -> Self {
        self.note = text.into();
        self
    }

    fn text(&self) -> String {
        let mut text = format!("query: {}\n", self.query);
        if !self.note.is_empty() {
            text.push_str(&self.note);
            text.push('\n');
        }
        if self.facts.is_empty() {
            text.push_str("nothing found\n");
        }
        for (id, words) in &self.facts {
            text.push_str(&format!("[{id}] {}\n", words.replace('\n', " ")));
        }
        text
    }
}

pub use file::allowed as may_show;

const TOOLS: [&Tool; 15] = [
    &logs::TOOL,
    &templates::TOOL,
    &metrics::TOOL,
    &events::TOOL,
    &config::TOOL,
    &tree::TOOL,
    &probes::TOOL,
    &changes::TOOL,
    &processes::TOOL,
    &incidents::TOOL,
    &playbooks::TOOL,
    &file::TOOL,
    &port::TOOL,
    &dns::TOOL,
    &http::TOOL,
];

/// All look-ups, as a model is told of them.
pub fn look_ups() -> Vec<ToolSpec> {
    let specs = TOOLS.iter().map(|tool| ToolSpec {
        name: tool.name.to_owned(),
        description: tool.about.to_owned(),
        parameters: (tool.parameters)(),
    });
    specs.collect()
}

/// A call with its arguments in one spelling: equal calls are equal texts.
pub(super) fn canonical(call: &ToolCall) -> String {
    let arguments = serde_json::from_str::<Value>(&call.arguments).map_or_else(
        |_| call.arguments.trim().to_owned(),
        |value| sorted(&value).to_string(),
    );
    format!("{} {arguments}", call.name)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let pairs = keys.into_iter().map(|key| (key.clone(), sorted(&map[key])));
            Value::Object(pairs.collect())
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// An answer for the model, and the facts in it.
#[derive(Debug)]
pub struct LookUp {
    /// The answer, fenced: what it holds is untrusted.
    pub text: String,
    /// The facts in it, by the ids that evidence cites.
    pub facts: Vec<(String, String)>,
    /// For the record: what was looked up, or why not.
    pub note: String,
    /// The question was wrong; the answer says how.
    pub failed: bool,
}

/// Answers a call; what is wrong with it is an answer, too. Blocking: reads logs, files,
/// sockets.
pub fn look_up(desk: &Desk, call: &ToolCall) -> LookUp {
    let found = run(desk, call);
    let name = TOOLS
        .iter()
        .find(|tool| tool.name == call.name)
        .map_or("unknown", |tool| tool.name);
    match found {
        Ok(mut found) => {
            found.fit();
            LookUp {
                text: fence(name, &found.text(), ANSWER),
                note: found.query,
                facts: found.facts,
                failed: false,
            }
        }
        Err(why) => LookUp {
            text: fence(name, &format!("error: {why}"), ANSWER),
            facts: Vec::new(),
            note: format!("{name}: {}", crate::words::clean(&why, 160)),
            failed: true,
        },
    }
}

fn run(desk: &Desk, call: &ToolCall) -> Result<Found, String> {
    let Some(tool) = TOOLS.iter().find(|tool| tool.name == call.name) else {
        let names: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
        return Err(format!(
            "there is no such tool; there are {}",
            names.join(", ")
        ));
    };
    if call.arguments.len() > ARGUMENTS {
        return Err(format!("the arguments are longer than {ARGUMENTS} bytes"));
    }
    let text = match call.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let arguments: Value = serde_json::from_str(text)
        .map_err(|error| format!("the arguments are no JSON object: {error}"))?;
    (tool.run)(desk, arguments)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A definition is told key by key, so that a long one hides nothing else.
    #[test]
    fn what_does_not_fit_is_counted_and_the_rest_is_shown() {
        let mut found = Found::new("x".into());
        found.fact("first", "short");
        found.members(
            "config:api",
            &json!({"command": "a", "ignore": "i".repeat(9_000), "args": [], "user": null}),
        );
        for place in 0..4 {
            found.fact(format!("long:{place}"), "é".repeat(2_000));
        }
        found.fact("last", "short");
        found.fit();
        let ids: Vec<&str> = found.facts.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "first",
                "config:api:command",
                "config:api:ignore",
                "long:0",
                "last"
            ]
        );
        assert!(found.text().len() <= 4 * 1024);
        assert!(
            found.text().contains("3 more facts do not fit"),
            "{}",
            found.text()
        );
    }
}
