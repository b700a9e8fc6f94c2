//! Commands as Discord lists them, and back from there to the text of all platforms.
//!
//! `logs <app> [lines]` becomes `/logs app:<text> lines:<number>`, and what somebody fills in
//! there becomes `/logs api 20`.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use twilight_model::application::command::{CommandOption, CommandOptionType, CommandOptionValue};

use super::wire::Argument;
use crate::MenuEntry;

/// Most commands of an application, by Discord's documentation.
const MOST: usize = 100;
/// Most characters of a description.
const ABOUT: usize = 100;
/// Most characters of an argument in a line; those of a question.
const WORD: u16 = 100;
const QUESTION: u16 = 2_000;
/// Most lines of a log, as the commands take them.
const LINES: i64 = 200;
/// The argument that names of processes are suggested for.
pub(super) const APP: &str = "app";

/// A command as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Command {
    /// 1: one that is typed.
    #[serde(rename = "type")]
    kind: u8,
    name: &'static str,
    description: String,
    options: Vec<CommandOption>,
    /// Where it can be used: 0 in servers, 1 in private chats with the bot. Only commands that
    /// are listed everywhere may say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<[u8; 2]>,
    /// To whom it comes: 0 to servers that have the bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_types: Option<[u8; 1]>,
}

/// The arguments of each listed command, in order.
pub(super) type Listed = HashMap<String, Vec<String>>;

/// The commands of a menu. What Discord would not take is left out: it refuses the whole list
/// for one name that it does not like.
pub(super) fn of(entries: &[MenuEntry], everywhere: bool) -> Vec<Command> {
    let fits = |name: &str| {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        (1..=32).contains(&name.len()) && name.bytes().all(plain)
    };
    entries
        .iter()
        .filter(|entry| fits(entry.name))
        .take(MOST)
        .map(|entry| Command {
            kind: 1,
            name: entry.name,
            description: short(entry.about, ABOUT),
            options: arguments(entry.arguments).map(option).collect(),
            contexts: everywhere.then_some([0, 1]),
            integration_types: everywhere.then_some([0]),
        })
        .collect()
}

/// The arguments of each command.
pub(super) fn listed(commands: &[Command]) -> Listed {
    let names = |one: &Command| {
        one.options
            .iter()
            .map(|option| option.name.clone())
            .collect()
    };
    commands
        .iter()
        .map(|one| (one.name.to_owned(), names(one)))
        .collect()
}

/// A command with what was filled in, as it would be written.
pub(super) fn text(name: &str, given: &[Argument], listed: &Listed) -> String {
    let mut given: Vec<&Argument> = given.iter().collect();
    if let Some(order) = listed.get(name) {
        // Optional ones come in the order in which they were chosen.
        given.sort_by_key(|one| order.iter().position(|name| *name == one.name));
    }
    let words = given.iter().map(|one| word(&one.value));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    format!("/{name} {}", words.join(" ")).trim_end().to_owned()
}

/// A value as it would be written.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// `<app> [lines]` as names, and whether each has to be there.
fn arguments(usage: &'static str) -> impl Iterator<Item = (&'static str, bool)> {
    usage.split_whitespace().map(|word| {
        let name = word.trim_matches(['<', '>', '[', ']']);
        (name, word.starts_with('<'))
    })
}

fn option((name, required): (&'static str, bool)) -> CommandOption {
    let (name, about) = match name {
        APP => (APP, "A process, or a group as group:<name>"),
        "lines" => ("lines", "How many, up to 200"),
        "N|+N|-N" => ("copies", "How many, or how many more: 3, +1, -1"),
        "time|off" => (
            "time",
            "How long: 1h, 30m; off ends it; nothing: until it is well",
        ),
        "time" => ("time", "How long: 7d, 12h"),
        "playbook" => ("playbook", "Its name, as /playbooks shows it"),
        "id" => ("id", "The id that the message shows"),
        "signal" => ("signal", "Its name: hup, usr1, term"),
        "question" => ("question", "In your own words"),
        other => (other, "See /help"),
    };
    let number = name == "lines";
    let kind = if number {
        CommandOptionType::Integer
    } else {
        CommandOptionType::String
    };
    let bound = |value| number.then_some(CommandOptionValue::Integer(value));
    let most = if name == "question" { QUESTION } else { WORD };
    CommandOption {
        autocomplete: (name == APP).then_some(true),
        channel_types: None,
        choices: None,
        description: about.to_owned(),
        description_localizations: None,
        kind,
        max_length: (!number).then_some(most),
        max_value: bound(LINES),
        min_length: None,
        min_value: bound(1),
        name: name.to_owned(),
        name_localizations: None,
        options: None,
        file_types: None,
        required: required.then_some(true),
    }
}

fn short(text: &str, most: usize) -> String {
    match text {
        "" => "See /help".to_owned(),
        text => text.chars().take(most).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &'static str, arguments: &'static str) -> MenuEntry {
        MenuEntry {
            name,
            arguments,
            about: "does it",
        }
    }

    fn given(name: &str, value: Value) -> Argument {
        let (name, focused) = (name.to_owned(), false);
        Argument {
            name,
            value,
            focused,
        }
    }

    #[test]
    fn usages_become_arguments_with_types() {
        let commands = of(&[entry("logs", "<app> [lines]")], false);
        let expected = json!([{ "type": 1, "name": "logs", "description": "does it", "options": [
            { "type": 3, "name": "app", "description": "A process, or a group as group:<name>",
              "required": true, "autocomplete": true, "max_length": 100 },
            { "type": 4, "name": "lines", "description": "How many, up to 200",
              "min_value": 1, "max_value": 200 },
        ] }]);
        assert_eq!(serde_json::to_value(&commands).unwrap(), expected);
        let everywhere = serde_json::to_value(of(&[entry("help", "")], true)).unwrap();
        assert_eq!(everywhere[0]["contexts"], json!([0, 1]));
        assert_eq!(of(&[entry("Status", ""), entry("a b", "")], true), []);
    }

    /// All that mhost has fits, and what is filled in is understood as what is written.
    #[test]
    fn every_command_can_be_listed_and_read_back() {
        let entries = crate::show::menu();
        let commands = of(&entries, true);
        assert_eq!(commands.len(), entries.len());
        let listed = listed(&commands);
        for command in &commands {
            let needed = command.options.iter().map(|one| one.required == Some(true));
            assert!(
                needed.is_sorted_by(|a, b| a >= b),
                "{}: required first",
                command.name
            );
            let plain = |c: char| c.is_ascii_lowercase();
            assert!(
                command
                    .options
                    .iter()
                    .all(|one| one.name.chars().all(plain))
            );
            let value = |option: &CommandOption| match option.name.as_str() {
                "lines" => json!(50),
                "copies" => json!("+1"),
                "signal" => json!("winch"),
                "time" => json!("1h"),
                _ => json!("api"),
            };
            let mut filled: Vec<Argument> = command
                .options
                .iter()
                .map(|option| given(&option.name, value(option)))
                .collect();
            filled.reverse();
            let text = text(command.name, &filled, &listed);
            assert!(crate::order::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_filled_in_is_put_in_order() {
        let listed = listed(&of(&[entry("logs", "<app> [lines]")], false));
        let filled = [given("lines", json!(20)), given("app", json!(" api "))];
        assert_eq!(text("logs", &filled, &listed), "/logs api 20");
        assert_eq!(text("logs", &[], &listed), "/logs");
        let forged = [given("app", json!({ "x": 1 })), given("y", json!(true))];
        assert_eq!(text("unknown", &forged, &listed), "/unknown true");
    }
}
