//! What every provider must do, with answers as their servers give them, and what the chain,
//! the breaker and the account make of it. Then the same against servers of other people.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to clippy"
)]

mod account;
mod chain;
mod doubles;
mod overhead;
mod recorded;
mod server;
mod tape;

use std::sync::{Arc, Mutex};

use brain::guard::Unguarded;
use brain::llm::{Message, Model, ModelError, Models, Reply, Request, Silent, Sink, ToolSpec};
use brain::redact::{RedactOptions, Redactor};
use serde_json::json;
use server::Server;
use supervisor::config::{AiConfig, AiProvider};

/// The key that no message may repeat.
const KEY: &str = "sk-hunter22-hunter22";

/// A provider that is asked at this server.
fn config(provider: AiProvider, server: &Server) -> AiConfig {
    AiConfig {
        api_key: Some(KEY.into()),
        base_url: Some(server.url.clone()),
        ..AiConfig::new(provider)
    }
}

fn model(config: &AiConfig) -> Arc<dyn Model> {
    let models = Models::none();
    models.configure_with(Some(config), &|_| None);
    guarded(models.current().expect("it is set up"))
}

/// With a redactor that knows of no secret.
fn guarded(model: Unguarded) -> Arc<dyn Model> {
    let redactor = Redactor::new([], RedactOptions::default());
    Arc::new(model.guarded(Arc::new(redactor)))
}

fn question(text: &str) -> Request {
    Request {
        system: "You are on call.".into(),
        messages: vec![Message::User { text: text.into() }],
        ..Request::default()
    }
}

fn with_tool(mut request: Request) -> Request {
    request.tools.push(ToolSpec {
        name: "search_logs".into(),
        description: "Searches the logs.".into(),
        parameters: json!({
            "type": "object",
            "properties": { "text": { "type": "string" } },
            "required": ["text"],
        }),
    });
    request
}

async fn ask(model: &Arc<dyn Model>) -> Result<Reply, ModelError> {
    model.ask(&question("What is wrong?"), &Silent).await
}

/// Shows what it hears to somebody.
#[derive(Default)]
struct Shown(Mutex<Vec<String>>);

impl Sink for Shown {
    fn piece(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}
