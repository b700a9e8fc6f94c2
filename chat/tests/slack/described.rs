//! Slack's own description of its Web API, and whether a call is as it says: the method, its
//! fields, their types, and what must not be left out.
//!
//! It is of 2021. What has come since is described here, by Slack's reference.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::platform::Call;
use crate::skipped;

/// Methods that are newer than the description: their fields, and whether each must be there.
const NEWER: [(&str, &[(&str, bool)]); 3] = [
    ("apps.connections.open", &[]),
    (
        "files.getUploadURLExternal",
        &[("filename", true), ("length", true)],
    ),
    (
        "files.completeUploadExternal",
        &[("files", true), ("channel_id", false), ("thread_ts", false)],
    ),
];

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

/// Holds events that the server has made against Slack's description of them, if it is there.
pub(crate) fn check_events(events: &[Value]) {
    let Some(bytes) = file("slack-events.json") else {
        return;
    };
    let description: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(!events.is_empty());
    for event in events {
        let kind = event["event"]["type"].as_str().unwrap();
        let topic = match event["event"]["channel_type"].as_str() {
            Some(place) => format!("{kind}.{place}"),
            None => kind.replacen('_', ".", 1),
        };
        let payload = &description["topics"][&topic]["subscribe"]["payload"];
        assert!(!payload.is_null(), "there is no {topic}");
        let pointer = payload["$ref"].as_str().unwrap();
        let schema = description.pointer(&pointer[1..]).unwrap();
        assert_eq!(wrong(schema, event, "event"), [""; 0], "{event:#}");
    }
}

/// What is wrong with a value, by what of JSON Schema the description uses.
fn wrong(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let is = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    let mut problems = Vec::new();
    if !is {
        problems.push(format!("{at} is no {}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        // Slack has sent `authorizations` in its place since the description was written.
        if name != "authed_users" && value[name.as_str().unwrap()].is_null() {
            problems.push(format!("{at} has no {name}"));
        }
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            problems.extend(wrong(schema, value, &format!("{at}.{name}")));
        }
    }
    problems
}

#[test]
fn an_event_that_is_none_is_found() {
    let known = json!({
        "type": "object", "required": ["id"],
        "properties": { "id": { "type": "string" }, "more": { "type": "array" } },
    });
    assert_eq!(
        wrong(&known, &json!({ "id": "x", "else": 1 }), "it"),
        [""; 0]
    );
    for value in [
        json!({}),
        json!({ "id": 1 }),
        json!({ "id": "x", "more": {} }),
    ] {
        assert_eq!(wrong(&known, &value, "it").len(), 1, "{value}");
    }
}

fn file(name: &str) -> Option<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("MHOST_OPENAPI").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| root.join("shared/openapi"));
    let found = std::fs::read(folder.join(name)).ok();
    if found.is_none() {
        skipped(&format!(
            "Slack's {name} is not beside the repository, in shared/openapi"
        ));
    }
    found
}

fn load() -> Option<Value> {
    let bytes = file("slack-web-api.json.gz")?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn problems(description: &Value, call: &Call) -> Vec<String> {
    if let Some((_, fields)) = NEWER.iter().find(|(name, _)| *name == call.method) {
        return newer(fields, &call.fields);
    }
    let path = &description["paths"][format!("/{}", call.method)];
    // Some are described as GET; Slack takes POST for all of them.
    let method = path.get("post").or_else(|| path.get("get"));
    let Some(method) = method else {
        return vec![format!("there is no method {}", call.method)];
    };
    let parameters = method["parameters"].as_array().unwrap();
    let named = |name: &str| parameters.iter().find(|one| one["name"] == name);
    let mut problems = Vec::new();
    for one in parameters.iter().filter(|one| one["in"] == "formData") {
        let name = one["name"].as_str().unwrap();
        if one["required"] == true && !call.fields.contains_key(name) {
            problems.push(format!("{name} is missing"));
        }
    }
    for (name, value) in &call.fields {
        match named(name) {
            None => problems.push(format!("{name} is unknown")),
            Some(one) if !fits(name, one["type"].as_str().unwrap(), value, call.is_form) => {
                problems.push(format!("{name} is no {}: {value}", one["type"]));
            }
            Some(_) => {}
        }
    }
    problems
}

fn newer(known: &[(&str, bool)], fields: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, must) in known {
        if *must && !fields.contains_key(*name) {
            problems.push(format!("{name} is missing"));
        }
    }
    for name in fields
        .keys()
        .filter(|name| known.iter().all(|one| one.0 != **name))
    {
        problems.push(format!("{name} is unknown"));
    }
    problems
}

fn fits(name: &str, kind: &str, value: &Value, is_form: bool) -> bool {
    match (name, kind) {
        // Described as it stands in a form; in JSON it is the array itself.
        ("blocks", _) => value.is_array(),
        // A time that names a message is a text everywhere else.
        ("ts", "number") => value.as_str().is_some_and(|ts| ts.parse::<f64>().is_ok()),
        // Described with two types, of which the other one is this.
        ("link_names", _) => value.is_boolean(),
        _ if is_form => value.is_string(),
        (_, "boolean") => value.is_boolean(),
        (_, "number" | "integer") => value.is_number(),
        _ => value.is_string(),
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
        is_form: false,
        answer: Value::Null,
    };
    let found = |method: &str, fields: Value| problems(&description, &call(method, fields));
    let good = json!({ "channel": "C1", "text": "x", "mrkdwn": false, "thread_ts": "1.0" });
    assert_eq!(found("chat.postMessage", good), [""; 0]);
    for (method, fields) in [
        ("chat.postMesage", json!({})),
        ("chat.postMessage", json!({ "text": "x" })),
        ("chat.postMessage", json!({ "channel": 1 })),
        (
            "chat.postMessage",
            json!({ "channel": "C1", "colour": "red" }),
        ),
        (
            "chat.postMessage",
            json!({ "channel": "C1", "mrkdwn": "no" }),
        ),
        (
            "chat.postMessage",
            json!({ "channel": "C1", "blocks": "x" }),
        ),
        (
            "chat.update",
            json!({ "channel": "C1", "mrkdwn": false, "ts": "1.0" }),
        ),
        ("files.getUploadURLExternal", json!({ "filename": "x" })),
        (
            "files.completeUploadExternal",
            json!({ "files": [], "channel": "C1" }),
        ),
    ] {
        let problems = found(method, fields.clone());
        assert!(!problems.is_empty(), "{method} {fields}");
    }
}
