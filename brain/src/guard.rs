//! The one way to a model: everything it is told goes through a [`Redactor`] first.
//!
//! ```text
//!   Request ──Guarded──► every text redacted ──► the provider
//! ```
//!
//! [`Models`](crate::llm::Models) hands out [`Unguarded`], which cannot be asked; only
//! [`Guarded`] can. So nothing can be sent by another way: prompts, conversations, answers of
//! tools, descriptions, schemas.
//! Whoever wants to show what would be sent asks [`Guarded::shown`] or [`shown`].

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;

use crate::llm::{Abilities, Message, Model, ModelError, ModelId, Reply, Request, Sink};
use crate::redact::Redactor;

/// A model that cannot be asked yet: first it needs a redactor.
#[derive(Clone)]
pub struct Unguarded(Arc<dyn Model>);

impl Unguarded {
    pub(crate) fn new(model: Arc<dyn Model>) -> Self {
        Self(model)
    }

    /// Who it is.
    pub fn id(&self) -> &ModelId {
        self.0.id()
    }

    /// What it can do, and how much it takes in.
    pub fn abilities(&self) -> Abilities {
        self.0.abilities()
    }

    /// The model, told no secret. One redactor serves one conversation, so that the same
    /// secret has the same number in all of it.
    pub fn guarded(self, redactor: Arc<Redactor>) -> Guarded {
        Guarded::new(self.0, redactor)
    }
}

/// A model that is told no secret.
#[derive(Clone)]
pub struct Guarded {
    inner: Arc<dyn Model>,
    redactor: Arc<Redactor>,
}

impl Guarded {
    /// Puts a redactor before a model.
    pub fn new(inner: Arc<dyn Model>, redactor: Arc<Redactor>) -> Self {
        Self { inner, redactor }
    }

    /// The request as it would be sent, for people.
    pub fn shown(&self, request: &Request) -> String {
        shown(&self.redactor, request)
    }
}

#[async_trait]
impl Model for Guarded {
    fn id(&self) -> &ModelId {
        self.inner.id()
    }

    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }

    async fn ask(&self, request: &Request, sink: &dyn Sink) -> Result<Reply, ModelError> {
        let (redactor, request) = (self.redactor.clone(), request.clone());
        // It takes milliseconds for a long conversation, in which nothing else would run here.
        let told = tokio::task::spawn_blocking(move || redacted(&redactor, &request));
        let told = told.await.map_err(|_| ModelError::NotRedacted)?;
        self.inner.ask(&told, sink).await
    }
}

/// The request without any secret.
pub fn redacted(redactor: &Redactor, request: &Request) -> Request {
    let mut told = request.clone();
    let clean = |text: &mut String| *text = redactor.redact(text);
    clean(&mut told.system);
    for message in &mut told.messages {
        match message {
            Message::User { text } => clean(text),
            Message::Tool { call, text } => {
                clean(call);
                clean(text);
            }
            Message::Assistant { text, calls } => {
                clean(text);
                for call in calls {
                    clean(&mut call.id);
                    clean(&mut call.name);
                    clean(&mut call.arguments);
                }
            }
        }
    }
    for tool in &mut told.tools {
        clean(&mut tool.description);
        redactor.redact_json(&mut tool.parameters);
    }
    if let Some(schema) = &mut told.schema {
        redactor.redact_json(&mut schema.schema);
    }
    told
}

/// The request as it would be sent, after redaction, for people to read.
pub fn shown(redactor: &Redactor, request: &Request) -> String {
    let told = redacted(redactor, request);
    let mut text = String::new();
    part(&mut text, "system", &told.system);
    for message in &told.messages {
        match message {
            Message::User { text: said } => part(&mut text, "user", said),
            Message::Tool { call, text: found } => {
                part(&mut text, &format!("answer to {call}"), found)
            }
            Message::Assistant { text: said, calls } => {
                let mut said = said.clone();
                for call in calls {
                    let _ = write!(said, "\n→ {} {} {}", call.id, call.name, call.arguments);
                }
                part(&mut text, "model", said.trim_start());
            }
        }
    }
    for tool in &told.tools {
        let form = serde_json::to_string(&tool.parameters).unwrap_or_default();
        part(
            &mut text,
            &format!("tool {}", tool.name),
            &format!("{}\n{form}", tool.description),
        );
    }
    if let Some(schema) = &told.schema {
        let form = serde_json::to_string_pretty(&schema.schema).unwrap_or_default();
        part(
            &mut text,
            &format!("form of the answer: {}", schema.name),
            &form,
        );
    }
    let limits = told.limits;
    let _ = writeln!(
        text,
        "── limits\nat most {} tokens, temperature {}, within {} s",
        limits.max_tokens,
        limits.temperature,
        limits.timeout.as_secs()
    );
    text
}

fn part(text: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = writeln!(text, "── {title}\n{}\n", body.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use supervisor::secret::Secret;

    use super::*;
    use crate::llm::{AnswerSchema, Limits, Silent, ToolCall, ToolSpec};
    use crate::redact::RedactOptions;

    /// Writes down what it is told.
    struct Spy(ModelId, Mutex<String>);

    #[async_trait]
    impl Model for Spy {
        fn id(&self) -> &ModelId {
            &self.0
        }

        async fn ask(&self, request: &Request, _: &dyn Sink) -> Result<Reply, ModelError> {
            *self.1.lock().unwrap() = serde_json::to_string(request).unwrap();
            Ok(Reply::default())
        }
    }

    #[tokio::test]
    async fn no_text_of_a_request_carries_a_secret() {
        const SECRET: &str = "hunter22-of-ana";
        let key = ["AKI", "AIOSFODNN7EXAMPLE"].concat();
        let both = format!("{SECRET} {key}");
        let request = Request {
            system: both.clone(),
            messages: vec![
                Message::User { text: both.clone() },
                Message::Assistant {
                    text: both.clone(),
                    calls: vec![ToolCall {
                        id: both.clone(),
                        name: "logs".to_owned(),
                        arguments: json!({ "text": both }).to_string(),
                    }],
                },
                Message::Tool {
                    call: both.clone(),
                    text: both.clone(),
                },
            ],
            tools: vec![ToolSpec {
                name: "logs".to_owned(),
                description: both.clone(),
                parameters: json!({ "properties": { "of": { "enum": [both] } } }),
            }],
            schema: Some(AnswerSchema {
                name: "answer".to_owned(),
                schema: json!({ "description": both }),
            }),
            limits: Limits::default(),
        };
        let spy = Arc::new(Spy(
            ModelId {
                provider: "double".to_owned(),
                model: "spy".to_owned(),
            },
            Mutex::default(),
        ));
        let redactor = Arc::new(Redactor::new(
            [Secret::from(SECRET)],
            RedactOptions::default(),
        ));
        let guarded = Unguarded::new(spy.clone()).guarded(redactor);
        guarded.ask(&request, &Silent).await.unwrap();
        let told = spy.1.lock().unwrap().clone();
        for text in [&told, &guarded.shown(&request)] {
            assert!(!text.contains(SECRET) && !text.contains(&key), "{text}");
            assert!(text.contains("«redacted:aws-key#"), "{text}");
        }
        for part in [
            "── system",
            "── user",
            "── answer to",
            "── tool logs",
            "── limits",
        ] {
            assert!(guarded.shown(&request).contains(part), "{part}");
        }
    }
}
