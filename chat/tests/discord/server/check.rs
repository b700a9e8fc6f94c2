//! What Discord takes: the fields of messages, commands and answers, and their limits. All
//! figures are those of its documentation.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

/// How long an interaction waits to be acknowledged.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(3);

type Problems = Vec<String>;

/// A message that is sent or changed. `silent`: it must say that it mentions nobody.
pub(super) fn message(body: &Value, files: usize, is_new: bool, silent: bool) -> Problems {
    let mut problems = fields(
        body,
        &[
            "content",
            "embeds",
            "components",
            "allowed_mentions",
            "attachments",
            "flags",
            "tts",
            "nonce",
            "enforce_nonce",
            "message_reference",
            "sticker_ids",
            "poll",
            "username",
            "avatar_url",
            "thread_name",
            "applied_tags",
        ],
        "message",
    );
    let content = body["content"].as_str().unwrap_or_default();
    let embeds = list(&body["embeds"]);
    if is_new && content.is_empty() && embeds.is_empty() && files == 0 {
        problems.push("Cannot send an empty message".into());
    }
    most(content, 2_000, "content", &mut problems);
    if embeds.len() > 10 {
        problems.push("more than 10 embeds".into());
    }
    let total: usize = embeds.iter().map(|one| embed(one, &mut problems)).sum();
    if total > 6_000 {
        problems.push(format!("embeds have {total} characters"));
    }
    components(list(&body["components"]), &mut problems);
    if silent && body["allowed_mentions"] != serde_json::json!({ "parse": [] }) {
        problems.push(format!("it may mention: {}", body["allowed_mentions"]));
    }
    let flags = body["flags"].as_u64().unwrap_or_default();
    if flags & !(4 | 64 | 4_096) != 0 {
        problems.push(format!("flags {flags}"));
    }
    let named = list(&body["attachments"]);
    if files > 0 && !named.is_empty() && named.len() != files {
        problems.push("files and attachments do not agree".into());
    }
    problems
}

fn embed(embed: &Value, problems: &mut Problems) -> usize {
    let known = [
        "title",
        "type",
        "description",
        "url",
        "timestamp",
        "color",
        "footer",
        "image",
        "thumbnail",
        "video",
        "provider",
        "author",
        "fields",
    ];
    problems.extend(fields(embed, &known, "embed"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (title, description) = (text(&embed["title"]), text(&embed["description"]));
    let footer = text(&embed["footer"]["text"]);
    most(&title, 256, "title", problems);
    most(&description, 4_096, "description", problems);
    most(&footer, 2_048, "footer", problems);
    let parts = list(&embed["fields"]);
    if parts.len() > 25 {
        problems.push("more than 25 fields".into());
    }
    let mut total = count(&title) + count(&description) + count(&footer);
    for part in parts {
        let (name, value) = (text(&part["name"]), text(&part["value"]));
        most(&name, 256, "name of a field", problems);
        most(&value, 1_024, "value of a field", problems);
        if name.trim().is_empty() || value.trim().is_empty() {
            problems.push("a field is empty".into());
        }
        total += count(&name) + count(&value);
    }
    if title.trim().is_empty() && description.trim().is_empty() && parts.is_empty() {
        problems.push("an embed is empty".into());
    }
    if embed["color"]
        .as_u64()
        .is_some_and(|color| color > 0xff_ff_ff)
    {
        problems.push("color is none".into());
    }
    total
}

fn components(rows: &[Value], problems: &mut Problems) {
    if rows.len() > 5 {
        problems.push("more than 5 rows".into());
    }
    let mut seen = HashSet::new();
    for row in rows {
        problems.extend(fields(row, &["type", "components", "id"], "row"));
        let buttons = list(&row["components"]);
        if row["type"] != 1 || buttons.is_empty() || buttons.len() > 5 {
            problems.push(format!(
                "a row of type {} with {} parts",
                row["type"],
                buttons.len()
            ));
        }
        for button in buttons {
            let known = [
                "type",
                "style",
                "label",
                "custom_id",
                "disabled",
                "emoji",
                "url",
                "sku_id",
                "id",
            ];
            problems.extend(fields(button, &known, "button"));
            let (label, id) = (&button["label"], &button["custom_id"]);
            let (label, id) = (label.as_str().unwrap_or(""), id.as_str().unwrap_or(""));
            most(label, 80, "label", problems);
            most(id, 100, "custom_id", problems);
            let style = button["style"].as_u64().unwrap_or_default();
            if button["type"] != 2 || !(1..=4).contains(&style) || label.trim().is_empty() {
                problems.push(format!("a button: {button}"));
            }
            if id.is_empty() || !seen.insert(id.to_owned()) {
                problems.push(format!("Component custom id cannot be duplicated: {id}"));
            }
        }
    }
}

/// Commands that are listed. `global`: they may say where they can be used.
pub(super) fn commands(body: &Value, global: bool) -> Problems {
    let Some(all) = body.as_array() else {
        return vec!["commands are no list".into()];
    };
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    if all.len() > 100 {
        problems.push("more than 100 commands".into());
    }
    for one in all {
        let mut known = vec![
            "name",
            "type",
            "description",
            "options",
            "default_member_permissions",
            "nsfw",
        ];
        if global {
            known.extend(["contexts", "integration_types"]);
        }
        problems.extend(fields(one, &known, "command"));
        named(one, &mut problems);
        if !seen.insert(one["name"].clone()) {
            problems.push(format!("{} is there twice", one["name"]));
        }
        let options = list(&one["options"]);
        if options.len() > 25 {
            problems.push("more than 25 options".into());
        }
        let needed = options.iter().map(|option| option["required"] == true);
        if !needed.is_sorted_by(|a, b| a >= b) {
            problems.push(format!("{}: required options come first", one["name"]));
        }
        for option in options {
            let known = [
                "name",
                "type",
                "description",
                "required",
                "autocomplete",
                "choices",
                "min_value",
                "max_value",
                "min_length",
                "max_length",
            ];
            problems.extend(fields(option, &known, "option"));
            named(option, &mut problems);
            let kind = option["type"].as_u64().unwrap_or_default();
            let number = |name: &str| option.get(name).is_some();
            if !(3..=10).contains(&kind)
                || (kind != 4 && kind != 10) && (number("min_value") || number("max_value"))
                || kind != 3 && (number("min_length") || number("max_length"))
            {
                problems.push(format!("an option: {option}"));
            }
        }
    }
    problems
}

fn named(one: &Value, problems: &mut Problems) {
    let name = one["name"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        problems.push(format!("a name: {name}"));
    }
    let about = one["description"].as_str().unwrap_or_default();
    if !(1..=100).contains(&count(about)) {
        problems.push(format!("a description of {} characters", count(about)));
    }
}

/// The answer to an interaction of this kind.
pub(super) fn acknowledgement(kind: u8, body: &Value) -> Problems {
    let mut problems = fields(body, &["type", "data"], "answer");
    let said = body["type"].as_u64().unwrap_or_default();
    let allowed: &[u64] = match kind {
        2 => &[4, 5, 9],
        3 => &[4, 5, 6, 7, 9],
        4 => &[8],
        _ => &[1],
    };
    if !allowed.contains(&said) {
        problems.push(format!("an answer of type {said} to one of kind {kind}"));
    }
    let data = &body["data"];
    match said {
        5 | 6 => {
            problems.extend(fields(data, &["flags"], "data"));
            let flags = data["flags"].as_u64().unwrap_or_default();
            if flags & !64 != 0 || said == 6 && flags != 0 {
                problems.push(format!("flags {flags}"));
            }
        }
        8 => {
            problems.extend(fields(data, &["choices"], "data"));
            let choices = list(&data["choices"]);
            if choices.len() > 25 || !data["choices"].is_array() {
                problems.push(format!("{} choices", choices.len()));
            }
            for one in choices {
                problems.extend(fields(one, &["name", "value"], "choice"));
                let name = one["name"].as_str().unwrap_or_default();
                if !(1..=100).contains(&count(name)) || one["value"].is_null() {
                    problems.push(format!("a choice: {one}"));
                }
            }
        }
        _ => {}
    }
    problems
}

/// Which fields nobody knows.
pub(super) fn fields(value: &Value, known: &[&str], what: &str) -> Problems {
    let Some(given) = value.as_object() else {
        return match value {
            Value::Null => Vec::new(),
            other => vec![format!("{what} is {other}")],
        };
    };
    let unknown = given.keys().filter(|name| !known.contains(&name.as_str()));
    unknown
        .map(|name| format!("{what}.{name} is unknown"))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(text: &str) -> usize {
    text.chars().count()
}

fn most(text: &str, most: usize, what: &str, problems: &mut Problems) {
    if count(text) > most {
        problems.push(format!("{what} has {} characters", count(text)));
    }
}
