//! The same against servers of other people: `aimock` of npm and `llmock` of PyPI, which also
//! judges how a client takes its faults; and OpenAI's own description of what may be asked.

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brain::llm::{AnswerSchema, Message, Model, ModelError, Request, Silent, ToolCall};
use serde_json::{Value, json};
use supervisor::config::{AiConfig, AiProvider};

use crate::server::Server;
use crate::tape::Tape;
use crate::{config, model, question, with_tool};
use counterparts::{folder, skipped};

/// A server that ends with the test.
struct Other {
    child: Child,
    url: String,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the server is a real one")]
fn command(program: &str) -> Command {
    Command::new(program)
}

/// `aimock` with these fixtures.
fn aimock(fixtures: &Value) -> Option<(Other, tempfile::TempDir)> {
    let script = folder("node_modules/@copilotkit/aimock/dist/cli.js")?;
    let kept = tempfile::tempdir().unwrap();
    std::fs::write(kept.path().join("f.json"), fixtures.to_string()).unwrap();
    let mut child = command("node")
        .arg(script)
        .args(["-p", "0", "--strict", "--validate-on-load", "-f"])
        .arg(kept.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.by_ref().map_while(Result::ok);
    let url = said
        .filter_map(|line| {
            line.split_once("listening on ")
                .map(|(_, url)| url.to_owned())
        })
        .next()
        .unwrap();
    // It may go on to say things.
    std::thread::spawn(move || lines.for_each(drop));
    Some((Other { child, url }, kept))
}

/// `llmock`, once it answers.
async fn llmock() -> Option<Other> {
    let packages = folder("models")?;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let child = command("python3")
        .arg(packages.join("bin/llmock"))
        .args(["serve", "-h", "127.0.0.1", "-p", &port.to_string()])
        .env("PYTHONPATH", &packages)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let other = Other {
        child,
        url: format!("http://127.0.0.1:{port}"),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    for _ in 0..600 {
        let asked = reqwest::get(format!("{}/_llmock/scenario", other.url)).await;
        if asked.is_ok() {
            return Some(other);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("llmock does not answer");
}

fn at(provider: AiProvider, url: &str) -> AiConfig {
    AiConfig {
        api_key: Some("sk-double".into()),
        base_url: Some(format!("{url}/v1")),
        tools: Some(true),
        ..AiConfig::new(provider)
    }
}

#[tokio::test]
async fn aimock_is_understood_in_both_protocols() {
    let fixtures = json!({ "fixtures": [
        { "match": { "userMessage": "Why?" }, "response": { "content": "The port is taken." } },
        { "match": { "userMessage": "Look." }, "response": { "toolCalls":
            [{ "name": "search_logs", "arguments": { "text": "EADDRINUSE" } }] } },
        { "match": { "userMessage": "Wait." }, "status": 429,
            "response": { "error": { "message": "slow down", "type": "rate_limit_error" }, "status": 429 } },
        { "match": { "userMessage": "Break." }, "response": { "content": "This breaks off in the middle." },
            "truncateAfterChunks": 2, "latency": 5, "chunkSize": 5 },
    ] });
    let Some((other, _kept)) = aimock(&fixtures) else {
        return;
    };
    for provider in AiProvider::ALL {
        let model = model(&at(provider, &other.url));
        let ask = |text| {
            let (model, request) = (model.clone(), with_tool(question(text)));
            async move { model.ask(&request, &Silent).await }
        };
        let reply = ask("Why?").await.unwrap();
        assert_eq!(reply.text, "The port is taken.", "{provider:?}");
        let reply = ask("Look.").await.unwrap();
        let call = &reply.calls[0];
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(arguments, json!({ "text": "EADDRINUSE" }), "{provider:?}");
        let error = ask("Break.").await.unwrap_err();
        assert!(
            matches!(error, ModelError::Unreachable(_)),
            "{provider:?}: {error:?}"
        );
        let error = ask("Wait.").await.unwrap_err();
        assert!(
            matches!(error, ModelError::RateLimited { .. }),
            "{provider:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn llmock_has_nothing_to_say_about_our_manners() {
    let Some(other) = llmock().await else {
        return;
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for provider in [AiProvider::Openai] {
        let mut config = at(provider, &other.url);
        config.requests_per_minute = 1_000;
        let model = model(&config);
        let faults = [
            json!({ "type": "fail", "status": 429, "retry_after": 2, "times": 1 }),
            json!({ "type": "fail", "status": 500, "times": 2 }),
            json!({ "type": "stream_fault", "kind": "disconnect", "after_chunks": 2, "times": 1 }),
            json!({ "type": "stream_fault", "kind": "truncate", "after_chunks": 2, "times": 1 }),
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let url = format!("{}/_llmock/scenario", other.url);
            let queued = client
                .post(url)
                .json(&json!({ "behaviors": [fault] }))
                .send()
                .await;
            assert_eq!(queued.unwrap().status(), 201, "{fault}");
            let asked = question(&format!("What is wrong, in sentences? ({number})"));
            let reply = model.ask(&asked, &Silent).await;
            assert!(reply.is_ok(), "{provider:?}, {fault}: {reply:?}");
        }
    }
    let verdict = client
        .get(format!("{}/_llmock/verdict", other.url))
        .send()
        .await;
    let verdict: Value = verdict.unwrap().json().await.unwrap();
    assert_eq!(verdict["passed"], true, "{verdict:#}");
    assert_eq!(verdict["findings"], json!([]), "{verdict:#}");
    assert_eq!(verdict["calls"], 4, "{verdict:#}");
}

/// What is asked of those who speak OpenAI's protocol.
async fn bodies() -> Vec<Value> {
    let call = ToolCall {
        id: "call_1".into(),
        name: "search_logs".into(),
        arguments: "not JSON".into(),
    };
    let mut talk = with_tool(question("Why?"));
    talk.messages.push(Message::Assistant {
        text: String::new(),
        calls: vec![call],
    });
    talk.messages.push(Message::Tool {
        call: "call_1".into(),
        text: "log:1".into(),
    });
    let formed = Request {
        schema: Some(AnswerSchema {
            name: "finding".into(),
            schema: json!({ "type": "object", "properties": { "cause": { "type": "string" } } }),
        }),
        ..question("Why?")
    };
    let mut both = talk.clone();
    both.schema.clone_from(&formed.schema);
    let mut all = Vec::new();
    for provider in [
        AiProvider::Openai,
        AiProvider::Groq,
        AiProvider::Gemini,
        AiProvider::Ollama,
    ] {
        let server = Server::start(vec![Tape(provider).whole("{\"cause\":\"x\"}")]);
        let mut config = config(provider, &server);
        config.tools = Some(true);
        let model: std::sync::Arc<dyn Model> = model(&config);
        for request in [&question("Why?"), &talk, &formed, &both] {
            model.ask(request, &Silent).await.unwrap();
        }
        all.extend(server.asked().into_iter().map(|asked| asked.body));
    }
    all
}

const CHECK: &str = r##"
import gzip, json, sys
from jsonschema import Draft202012Validator
document = json.load(gzip.open(sys.argv[1]))
schema = {"$ref": "#/components/schemas/CreateChatCompletionRequest", "components": document["components"]}
validator = Draft202012Validator(schema)
assert not validator.is_valid({"model": "x"}), "it refuses nothing"
for body in json.load(sys.stdin):
    for error in validator.iter_errors(body):
        print(error.json_path, error.message[:300])
"##;

#[tokio::test]
async fn every_request_is_as_openai_describes_it() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::env::var_os("MHOST_OPENAPI").map(PathBuf::from);
    let document = document.unwrap_or_else(|| root.join("shared/openapi"));
    let document = document.join("openai.json.gz");
    let Some(packages) = folder("models") else {
        return;
    };
    if !document.exists() {
        skipped("OpenAI's description is not beside the repository, in shared/openapi");
        return;
    }
    let bodies = bodies().await;
    assert_eq!(bodies.len(), 16);
    let mut child = command("python3")
        .args(["-c", CHECK])
        .arg(&document)
        .env("PYTHONPATH", &packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(json!(bodies).to_string().as_bytes())
        .unwrap();
    drop(input);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "the check itself failed");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "");
}
