//! What Discord and Telegram are sent, against their own descriptions of it.

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;

use chat::notify::{Discord, Target, Telegram};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::server::Server;
use crate::{all, command, folder, send, skipped};

/// The folder of descriptions beside the repository, or `MHOST_OPENAPI`.
fn document(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("MHOST_OPENAPI").map(PathBuf::from);
    let path = folder
        .unwrap_or_else(|| root.join("shared/openapi"))
        .join(name);
    if !path.exists() {
        skipped(&format!(
            "{name} is not beside the repository, in shared/openapi"
        ));
        return None;
    }
    Some(path)
}

const CHECK: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
schemas = given["document"]["components"]["schemas"]
for schema in schemas.values():
    if "properties" in schema:
        schema["additionalProperties"] = False
schema = {"$ref": "#/components/schemas/IncomingWebhookRequestPartial",
          "components": given["document"]["components"]}
validator = Draft202012Validator(schema)
assert not validator.is_valid({"embeds": [{"colour": 1}]}), "it refuses nothing"
for body in given["bodies"]:
    for error in validator.iter_errors(body):
        print(error.json_path, error.message[:300])
"##;

#[tokio::test]
async fn discord_gets_what_its_description_allows() {
    let Some(path) = document("discord.json.gz") else {
        return;
    };
    let server = Server::start().await;
    let mut bodies = Vec::new();
    for message in all() {
        let target = Target::Discord(Discord {
            webhook_url: "https://discord.example/api/webhooks/1/secretsecretsecret".into(),
            base_url: Some(server.url.clone()),
        });
        send(target, &message).await.unwrap();
        let seen = server.one();
        assert_eq!(seen.path, "/api/webhooks/1/secretsecretsecret?wait=true");
        let body = seen.json();
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let embed = &body["embeds"][0];
        let fields = embed["fields"].as_array().unwrap();
        // All of an embed together, which the description does not say.
        let texts = [
            &embed["title"],
            &embed["description"],
            &embed["footer"]["text"],
        ];
        let texts = texts
            .into_iter()
            .chain(fields.iter().flat_map(|one| [&one["name"], &one["value"]]));
        let sum: usize = texts
            .map(|text| text.as_str().unwrap().encode_utf16().count())
            .sum();
        assert!(sum <= 6_000, "{sum}");
        let description = embed["description"].as_str().unwrap();
        assert!(
            matches!(description.matches("```").count(), 0 | 2),
            "{description}"
        );
        bodies.push(body);
    }
    let why = &bodies[0]["embeds"][0]["fields"];
    let why = why
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "why")
        .unwrap();
    let escaped = r"\*bold\* \<!channel\> \@everyone \[x\](https\://evil.example)";
    assert_eq!(why["value"], escaped);

    let Some(packages) = folder("models") else {
        return;
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let input = json!({"document": document, "bodies": bodies});
    let mut child = command("python3")
        .args(["-c", CHECK])
        .env("PYTHONPATH", &packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &input).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "the check itself failed");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "");
}

/// A value against a type of Telegram's description.
fn telegram_value(types: &Value, wanted: &Value, value: &Value) -> bool {
    let one = |name: &str| match name {
        "Integer" => value.is_i64(),
        "String" => value.is_string(),
        "Boolean" => value.is_boolean(),
        other => match other.strip_prefix("Array of ") {
            Some(inner) => value.as_array().is_some_and(|all| {
                all.iter()
                    .all(|one| telegram_value(types, &json!([inner]), one))
            }),
            None => {
                let fields = &types[other]["fields"];
                fields.is_array() && telegram_fields(types, fields, value)
            }
        },
    };
    wanted
        .as_array()
        .unwrap()
        .iter()
        .any(|name| one(name.as_str().unwrap()))
}

/// Every key is known and fits, and no required one is missing.
fn telegram_fields(types: &Value, fields: &Value, value: &Value) -> bool {
    let fields = fields.as_array().unwrap();
    let Some(map) = value.as_object() else {
        return false;
    };
    let known = map.iter().all(|(name, value)| {
        let field = fields.iter().find(|field| field["name"] == **name);
        field.is_some_and(|field| telegram_value(types, &field["types"], value))
    });
    let required = fields.iter().filter(|field| field["required"] == true);
    known
        && required
            .clone()
            .all(|field| map.contains_key(field["name"].as_str().unwrap()))
}

#[tokio::test]
async fn telegram_gets_what_its_description_allows() {
    let Some(path) = document("telegram-bot-api.json") else {
        return;
    };
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (types, method) = (&document["types"], &document["methods"]["sendMessage"]);
    let wrong = json!({"chat_id": "1", "text": "x", "colour": 1});
    assert!(
        !telegram_fields(types, &method["fields"], &wrong),
        "it refuses nothing"
    );
    let server = Server::start().await;
    for message in all() {
        let target = Target::Telegram(Telegram {
            bot_token: "123:abc-DEF_0123456789".into(),
            chat_id: "-100".into(),
            thread_id: Some(7),
            silent: true,
            base_url: Some(server.url.clone()),
        });
        send(target, &message).await.unwrap();
        let seen = server.one();
        assert_eq!(seen.path, "/bot123:abc-DEF_0123456789/sendMessage");
        let body = seen.json();
        assert!(telegram_fields(types, &method["fields"], &body), "{body:#}");
        let text = body["text"].as_str().unwrap();
        assert!(text.encode_utf16().count() <= 4_096);
        let rest = [
            "<b>", "</b>", "<code>", "</code>", "<pre>", "</pre>", "<i>", "</i>",
        ]
        .iter()
        .fold(text.to_owned(), |text, tag| text.replace(tag, ""));
        assert!(!rest.contains(['<', '>']), "{rest}");
        assert!(
            !text.contains("@everyone") && !text.contains("https://"),
            "{text}"
        );
    }
}
