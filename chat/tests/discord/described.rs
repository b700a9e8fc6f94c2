//! Discord's own description of its API, and whether each request is as it says.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::server::Call;
use crate::{command, folder, skipped};

/// For each request: its path in the description, its method there, and its body. What is not
/// described is a problem, in objects, too.
const CHECK: &str = r##"
import json, re, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
document = given["document"]
def close(node):
    if isinstance(node, dict):
        if "properties" in node and "additionalProperties" not in node:
            node["additionalProperties"] = False
        for child in node.values(): close(child)
    elif isinstance(node, list):
        for child in node: close(child)
close(document["components"])
close(document["paths"])
paths = []
for path, item in document["paths"].items():
    pattern = re.sub(r"\{[^}]*\}", r"[^/]+", path)
    paths.append((len(re.findall(r"\{", path)), re.compile(pattern + "$"), item))
paths.sort(key=lambda one: one[0])
for call in given["calls"]:
    what = call["method"] + " " + call["path"]
    item = next((item for _, pattern, item in paths if pattern.match(call["path"])), None)
    if item is None or call["method"].lower() not in item:
        print(what, "is not described"); continue
    body = item[call["method"].lower()].get("requestBody")
    if call["body"] is None:
        if body and body.get("required"): print(what, "has no body")
        continue
    if not body:
        print(what, "has a body"); continue
    schema = dict(body["content"]["application/json"]["schema"])
    schema["components"] = document["components"]
    for error in Draft202012Validator(schema).iter_errors(call["body"]):
        deepest = error
        while deepest.context:
            deepest = max(deepest.context, key=lambda one: len(one.absolute_path))
        print(what, deepest.json_path, deepest.message[:300])
print("checked", len(given["calls"]))
"##;

fn document() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("MHOST_OPENAPI").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| root.join("shared/openapi"));
    let Ok(packed) = std::fs::read(folder.join("discord.json.gz")) else {
        skipped("Discord's description is not beside the repository, in shared/openapi");
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// What is wrong with the requests; nothing when they cannot be looked at.
fn problems(calls: &[Call]) -> Option<Vec<String>> {
    let document = document()?;
    let packages = folder("models")?;
    assert!(!calls.is_empty());
    let calls: Vec<Value> = calls
        .iter()
        .map(|one| {
            let path = one.path.split('?').next().unwrap();
            json!({ "method": one.method, "path": path, "body": one.body })
        })
        .collect();
    let count = calls.len();
    let mut child = command("python3")
        .args(["-c", CHECK])
        .env("PYTHONPATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let given = json!({ "document": document, "calls": calls }).to_string();
    let mut input = child.stdin.take().unwrap();
    input.write_all(given.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop(), Some(format!("checked {count}")));
    Some(lines)
}

/// Holds all requests against the description, if it is there.
pub(crate) fn check(calls: &[Call]) {
    if let Some(problems) = problems(calls) {
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn what_is_not_as_described_is_found() {
    let call = |method: &str, path: &str, body: Value| Call {
        method: method.into(),
        path: path.into(),
        body,
        files: Vec::new(),
        status: 200,
        answer: Value::Null,
    };
    let sent = "/channels/100000000000000011/messages";
    let good = json!({ "embeds": [{ "title": "x", "color": 1 }], "components": [] });
    let Some(none) = problems(&[call("POST", sent, good)]) else {
        return;
    };
    assert_eq!(none, [""; 0]);
    for (method, path, body) in [
        ("POST", "/chanels/1/messages", json!({})),
        ("PUT", sent, json!({})),
        ("GET", "/users/@me", json!({ "x": 1 })),
        ("POST", sent, json!({ "embeds": [{ "colour": 1 }] })),
        ("POST", sent, json!({ "text": "x" })),
        ("POST", sent, json!({ "content": 7 })),
    ] {
        let found = problems(&[call(method, path, body.clone())]).unwrap();
        assert!(!found.is_empty(), "{method} {path} {body}");
    }
}
