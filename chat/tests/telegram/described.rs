//! The description of the Bot API, and whether a call is as it says: the method, its fields,
//! their types, and what must not be left out.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::between::Call;
use crate::skipped;

/// Holds all calls against the description, if it is there.
pub(crate) fn check(calls: &[Call]) {
    let Some(description) = load() else {
        return;
    };
    assert!(!calls.is_empty());
    for call in calls {
        let problems = problems(&description, call);
        assert_eq!(problems, [""; 0], "{}: {:#?}", call.method, call.fields);
    }
}

fn load() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("MHOST_OPENAPI").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| root.join("shared/openapi"));
    let Ok(text) = std::fs::read_to_string(folder.join("telegram-bot-api.json")) else {
        skipped("Telegram's description is not beside the repository, in shared/openapi");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn problems(description: &Value, call: &Call) -> Vec<String> {
    let method = &description["methods"][&call.method];
    if method.is_null() {
        return vec![format!("there is no method {}", call.method)];
    }
    let mut values = call.fields.clone();
    if call.is_form {
        for (name, value) in &mut values {
            let types = types(method, name);
            if !types.iter().any(|kind| kind == "String") {
                *value = serde_json::from_str(value.as_str().unwrap()).unwrap_or(Value::Null);
            }
        }
        for (name, _, _) in &call.files {
            values.insert(name.clone(), json!({ "a file": true }));
        }
    }
    object(description, method, &values, &call.method)
}

fn types(of: &Value, name: &str) -> Vec<String> {
    let fields = of["fields"].as_array().into_iter().flatten();
    let mut found = fields.filter(|field| field["name"] == name);
    let types = found.next().and_then(|field| field["types"].as_array());
    let text = |kind: &Value| kind.as_str().unwrap().to_owned();
    types.into_iter().flatten().map(text).collect()
}

fn object(description: &Value, of: &Value, values: &Map<String, Value>, at: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for field in of["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap();
        if field["required"] == true && !values.contains_key(name) {
            problems.push(format!("{at} has no {name}"));
        }
    }
    for (name, value) in values {
        let types = types(of, name);
        let at = format!("{at}.{name}");
        if types.is_empty() {
            problems.push(format!("{at} is unknown"));
        } else if !types
            .iter()
            .any(|kind| wrong(description, kind, value, &at).is_empty())
        {
            problems.extend(wrong(description, &types[0], value, &at));
        }
    }
    problems
}

/// What is wrong with a value that should be of this type.
fn wrong(description: &Value, kind: &str, value: &Value, at: &str) -> Vec<String> {
    let unless = |fits: bool| match fits {
        true => Vec::new(),
        false => vec![format!("{at} is no {kind}: {value}")],
    };
    if let Some(inner) = kind.strip_prefix("Array of ") {
        let Some(all) = value.as_array() else {
            return unless(false);
        };
        return all
            .iter()
            .flat_map(|one| wrong(description, inner, one, at))
            .collect();
    }
    match kind {
        "Integer" => return unless(value.is_i64()),
        "Float" => return unless(value.is_number()),
        "String" => return unless(value.is_string()),
        "Boolean" => return unless(value.is_boolean()),
        "InputFile" => return unless(value["a file"] == true),
        _ => {}
    }
    let of = &description["types"][kind];
    let Some(values) = value.as_object() else {
        return unless(false);
    };
    match of["subtypes"].as_array() {
        Some(subtypes) => {
            let fits =
                |one: &Value| wrong(description, one.as_str().unwrap(), value, at).is_empty();
            unless(subtypes.iter().any(fits))
        }
        None => object(description, of, values, at),
    }
}

#[test]
fn what_is_not_as_described_is_found() {
    let Some(description) = load() else {
        return;
    };
    let call = |method: &str, fields: Value| Call {
        method: method.into(),
        fields: fields.as_object().unwrap().clone(),
        files: Vec::new(),
        is_form: false,
        answer: Value::Null,
    };
    let button = |button: Value| {
        let markup = json!({ "inline_keyboard": [[button]] });
        json!({ "chat_id": 1, "text": "x", "reply_markup": markup })
    };
    let good = button(json!({ "text": "x", "callback_data": "y" }));
    assert_eq!(problems(&description, &call("sendMessage", good)), [""; 0]);
    for (method, fields) in [
        ("sendMesage", json!({})),
        ("sendMessage", json!({ "chat_id": 1 })),
        ("sendMessage", json!({ "chat_id": 1, "text": 2 })),
        (
            "sendMessage",
            json!({ "chat_id": 1, "text": "x", "colour": "red" }),
        ),
        ("sendMessage", button(json!({ "label": "x" }))),
        ("sendMessage", button(json!("x"))),
        ("getUpdates", json!({ "allowed_updates": [1] })),
    ] {
        let found = problems(&description, &call(method, fields.clone()));
        assert!(!found.is_empty(), "{method} {fields}");
    }
}
