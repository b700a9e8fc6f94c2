//! The protocol of OpenAI's chat completions, which most providers speak.
//!
//! ```text
//!   Request ──form──► body ──POST──► events ──Story──► Reply
//!                                       └──► heard: pieces, bytes, the bill
//! ```
//!
//! The body is made of the types of `async-openai`. Answers are read loosely: servers differ
//! in what they leave out, and none of that is worth losing an answer for.

use std::sync::atomic::{AtomicBool, Ordering};

use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls,
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestMessage,
    ChatCompletionRequestSystemMessage, ChatCompletionRequestToolMessage,
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, ChatCompletionTool,
    ChatCompletionTools, CreateChatCompletionRequest, FunctionCall, FunctionObject, ResponseFormat,
    ResponseFormatJsonSchema,
};
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use super::heard::Heard;
use super::http::{Body, Wire, error_text};
use super::openai;
use super::provider::{Form, MaxTokens, Member, Provider};
use super::{AnswerSchema, Message, ModelError, Reply, Request, Stopped, ToolCall, Usage};

/// Most look-ups in one answer.
const CALLS: usize = 32;

/// A provider that speaks it.
pub(super) struct Compatible {
    wire: Wire,
    model: String,
    form: Form,
    max_tokens: MaxTokens,
    /// It refused a schema once; from then on the form is asked for in words.
    only_words: AtomicBool,
}

impl Compatible {
    pub(super) fn new(member: &Member) -> Result<Self, ModelError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &member.key {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()))?);
        }
        Ok(Self {
            wire: Wire::new(member, "/chat/completions", headers)?,
            model: member.id.model.clone(),
            form: member.known.form,
            max_tokens: member.known.max_tokens,
            only_words: AtomicBool::new(false),
        })
    }

    /// Does the answer get its form from the protocol?
    fn has_schema(&self, request: &Request) -> bool {
        let can = match self.form {
            Form::Schema => true,
            Form::SchemaAlone => request.tools.is_empty(),
            Form::Words => false,
        };
        can && !self.only_words.load(Ordering::Relaxed)
    }

    fn body(&self, request: &Request, by_protocol: bool) -> CreateChatCompletionRequest {
        let schema = request.schema.as_ref();
        let by_schema = schema.filter(|_| by_protocol);
        let system = match schema {
            Some(schema) if by_schema.is_none() => with_words(&request.system, schema),
            _ => request.system.clone(),
        };
        let mut messages = Vec::with_capacity(request.messages.len() + 1);
        if !system.is_empty() {
            let system = ChatCompletionRequestSystemMessage {
                content: system.into(),
                name: None,
            };
            messages.push(ChatCompletionRequestMessage::System(system));
        }
        messages.extend(request.messages.iter().map(message));
        let limit = Some(request.limits.max_tokens);
        let (max_tokens, max_completion_tokens) = match self.max_tokens {
            MaxTokens::Completion => (None, limit),
            MaxTokens::Plain => (limit, None),
        };
        let temperature = request.limits.temperature.clamp(0.0, 2.0);
        #[expect(deprecated, reason = "the servers of most people know no other name")]
        CreateChatCompletionRequest {
            messages,
            model: self.model.clone(),
            temperature: openai::takes_temperature(&self.model).then_some(temperature),
            max_tokens,
            max_completion_tokens,
            tools: (!request.tools.is_empty()).then(|| tools(request)),
            response_format: by_schema.map(response_format),
            stream: Some(true),
            stream_options: Some(ChatCompletionStreamOptions {
                include_usage: Some(true),
                include_obfuscation: None,
            }),
            ..CreateChatCompletionRequest::default()
        }
    }

    async fn ask(
        &self,
        request: &Request,
        by_protocol: bool,
        heard: &Heard<'_>,
    ) -> Result<Reply, ModelError> {
        let mut story = Story::default();
        match self
            .wire
            .post(&self.body(request, by_protocol), heard)
            .await?
        {
            Body::Whole(answer) => story.take(&answer, &self.wire, heard)?,
            Body::Events(mut events) => {
                while let Some(data) = events.next().await? {
                    if data.trim() == "[DONE]" {
                        story.done = true;
                        break;
                    }
                    let chunk = serde_json::from_str(&data)
                        .map_err(|_| ModelError::Nonsense("a piece of it is not JSON".into()))?;
                    story.take(&chunk, &self.wire, heard)?;
                }
            }
        }
        story.finish()
    }
}

#[async_trait]
impl Provider for Compatible {
    async fn once(&self, request: &Request, heard: &Heard<'_>) -> Result<Reply, ModelError> {
        // Looked up once: another request may learn meanwhile that this server takes none.
        let by_protocol = self.has_schema(request);
        let answer = self.ask(request, by_protocol, heard).await;
        let refused = matches!(
            &answer,
            Err(ModelError::Refused { status: 400 | 404 | 422 | 501, text })
                if text.contains("response_format") || text.contains("json_schema")
                    || text.contains("response format") || text.contains("structured output")
        );
        if refused && request.schema.is_some() && by_protocol {
            // Nobody is billed for a refusal, so this is still the same try.
            self.only_words.store(true, Ordering::Relaxed);
            return self.ask(request, false, heard).await;
        }
        answer
    }
}

/// A header that is not printed.
pub(super) fn secret(text: &str) -> Result<HeaderValue, ModelError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ModelError::NotSetUp(
            "the key cannot be sent: it holds line ends or control characters".into(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The form of an answer, said in words.
pub(super) fn with_words(system: &str, schema: &AnswerSchema) -> String {
    format!(
        "{system}\n\nAnswer with one JSON object and nothing else: no prose, no code fence. \
         It must follow this JSON Schema:\n{}",
        schema.schema
    )
}

fn message(message: &Message) -> ChatCompletionRequestMessage {
    match message {
        Message::User { text } => {
            ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage {
                content: text.as_str().into(),
                name: None,
            })
        }
        Message::Tool { call, text } => {
            ChatCompletionRequestMessage::Tool(ChatCompletionRequestToolMessage {
                content: text.as_str().into(),
                tool_call_id: call.clone(),
            })
        }
        Message::Assistant { text, calls } => {
            let called = calls.iter().map(|call| {
                ChatCompletionMessageToolCalls::Function(ChatCompletionMessageToolCall {
                    id: call.id.clone(),
                    function: FunctionCall {
                        name: call.name.clone(),
                        // Some servers read it back.
                        arguments: arguments(&call.arguments),
                    },
                })
            });
            let tool_calls: Vec<_> = called.collect();
            let is_silent = text.is_empty() && !tool_calls.is_empty();
            ChatCompletionRequestMessage::Assistant(ChatCompletionRequestAssistantMessage {
                content: (!is_silent).then(|| text.as_str().into()),
                tool_calls: (!tool_calls.is_empty()).then_some(tool_calls),
                ..ChatCompletionRequestAssistantMessage::default()
            })
        }
    }
}

/// Arguments that are an object, whatever the model wrote.
pub(super) fn arguments(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => text.to_owned(),
        _ => "{}".to_owned(),
    }
}

fn tools(request: &Request) -> Vec<ChatCompletionTools> {
    let tools = request.tools.iter().map(|tool| {
        ChatCompletionTools::Function(ChatCompletionTool {
            function: FunctionObject {
                name: tool.name.clone(),
                description: Some(tool.description.clone()),
                parameters: Some(tool.parameters.clone()),
                strict: None,
            },
        })
    });
    tools.collect()
}

fn response_format(schema: &AnswerSchema) -> ResponseFormat {
    ResponseFormat::JsonSchema {
        json_schema: ResponseFormatJsonSchema {
            description: None,
            name: schema.name.clone(),
            schema: schema.schema.clone(),
            // Strict schemas may not have optional members.
            strict: None,
        },
    }
}

/// An answer as far as it has been told.
#[derive(Debug, Default)]
struct Story {
    text: String,
    calls: Vec<ToolCall>,
    /// Which call of the stream is which of ours.
    places: Vec<i64>,
    usage: Option<Usage>,
    finish: Option<String>,
    done: bool,
}

impl Story {
    /// Takes a chunk of a stream, or a whole answer.
    fn take(&mut self, chunk: &Value, wire: &Wire, heard: &Heard<'_>) -> Result<(), ModelError> {
        if let Some(text) = error_text(chunk) {
            let error = &chunk["error"];
            let code = [&error["code"], &error["status_code"], &error["status"]];
            let status = code.into_iter().find_map(Value::as_u64);
            let status = status.and_then(|status| u16::try_from(status).ok());
            return Err(wire.refused(status.unwrap_or(500), &text, chunk, heard));
        }
        let bills = [&chunk["usage"], &chunk["x_groq"]["usage"]];
        if let Some(bill) = bills.into_iter().find(|bill| bill.is_object()) {
            let usage = Usage {
                prompt_tokens: bill["prompt_tokens"].as_u64().unwrap_or(0),
                answer_tokens: bill["completion_tokens"].as_u64().unwrap_or(0),
                estimated: false,
            };
            self.usage = Some(usage);
            heard.usage(usage);
        }
        let choice = &chunk["choices"][0];
        let is_part = choice["delta"].is_object();
        let said = if is_part {
            &choice["delta"]
        } else {
            &choice["message"]
        };
        for text in [&said["content"], &said["refusal"]] {
            if let Some(text) = text.as_str() {
                heard.piece(text)?;
                self.text.push_str(text);
            }
        }
        for call in said["tool_calls"].as_array().into_iter().flatten() {
            self.call(call, heard)?;
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        Ok(())
    }

    /// A call, or the next fragment of one.
    fn call(&mut self, call: &Value, heard: &Heard<'_>) -> Result<(), ModelError> {
        let id = call["id"].as_str().filter(|id| !id.is_empty());
        let name = call["function"]["name"].as_str().unwrap_or_default();
        let index = call["index"].as_i64();
        let known = match index {
            Some(index) => self.places.iter().position(|place| *place == index),
            // Without an index a new id begins a new call.
            None if id.is_none() => self.calls.len().checked_sub(1),
            None => self
                .calls
                .iter()
                .position(|one| Some(one.id.as_str()) == id),
        };
        let place = match known {
            Some(place) => place,
            None => {
                if self.calls.len() >= CALLS {
                    return Err(ModelError::Nonsense(format!(
                        "it wants more than {CALLS} look-ups at once"
                    )));
                }
                self.places.push(index.unwrap_or(-1));
                let number = self.calls.len() + 1;
                self.calls.push(ToolCall {
                    id: id.map_or_else(|| format!("call_{number}"), str::to_owned),
                    name: String::new(),
                    arguments: String::new(),
                });
                self.calls.len() - 1
            }
        };
        let ours = &mut self.calls[place];
        if ours.name.is_empty() {
            name.clone_into(&mut ours.name);
        }
        match &call["function"]["arguments"] {
            Value::String(part) => {
                heard.counted(part.len())?;
                ours.arguments.push_str(part);
            }
            // Some servers give the object itself.
            object @ Value::Object(_) => {
                let text = object.to_string();
                heard.counted(text.len())?;
                ours.arguments = text;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Reply, ModelError> {
        let finish = self.finish.as_deref();
        if finish.is_none() && !self.done {
            return Err(ModelError::Unreachable("the answer broke off".into()));
        }
        self.calls.retain(|call| !call.name.is_empty());
        let stopped = match finish {
            _ if !self.calls.is_empty() => Stopped::Calls,
            Some("length") => Stopped::Length,
            Some("content_filter") => Stopped::Filtered,
            _ => Stopped::Done,
        };
        if self.text.trim().is_empty() && self.calls.is_empty() {
            return Err(ModelError::Nonsense(why_empty(stopped).into()));
        }
        Ok(Reply {
            text: self.text,
            calls: self.calls,
            usage: self.usage.unwrap_or_default(),
            stopped,
            by: None,
        })
    }
}

/// Why there is nothing in an answer.
pub(super) fn why_empty(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Length => "it used all its tokens without saying anything",
        Stopped::Filtered => "the provider withheld it",
        Stopped::Done | Stopped::Calls => "it is empty",
    }
}
