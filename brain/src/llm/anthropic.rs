//! Anthropic, in its own protocol: `system` apart, content in blocks, named events.
//!
//! It has no parameter for the form of an answer. The answer is a tool instead, which the
//! model must call: its arguments then follow the schema.

mod wire;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::compatible::{secret, why_empty};
use super::heard::Heard;
use super::http::{Body, Wire, error_text};
use super::provider::{Form, Known, MaxTokens, Member, Provider};
use super::{Abilities, ModelError, Reply, Request, Stopped, ToolCall, Usage};

/// Its facts.
pub(super) static KNOWN: Known = Known {
    base_url: "https://api.anthropic.com/v1",
    key: Some("ANTHROPIC_API_KEY"),
    model: "claude-sonnet-4-5",
    abilities: Abilities {
        tools: true,
        context_tokens: 24_000,
    },
    form: Form::Schema,
    max_tokens: MaxTokens::Plain,
};

/// The version of the protocol that this file speaks.
const VERSION: &str = "2023-06-01";
/// Most blocks of an answer.
const BLOCKS: usize = 64;

/// Anthropic.
pub(super) struct Anthropic {
    wire: Wire,
    model: String,
}

impl Anthropic {
    pub(super) fn new(member: &Member) -> Result<Self, ModelError> {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
        if let Some(key) = &member.key {
            headers.insert("x-api-key", secret(key.expose())?);
        }
        Ok(Self {
            wire: Wire::new(member, "/messages", headers)?,
            model: member.id.model.clone(),
        })
    }
}

#[async_trait]
impl Provider for Anthropic {
    async fn once(&self, request: &Request, heard: &Heard<'_>) -> Result<Reply, ModelError> {
        let answer = request.schema.as_ref().map(|schema| schema.name.as_str());
        let mut story = Story::new(answer);
        let body = wire::body(&self.model, request);
        match self.wire.post(&body, heard).await? {
            Body::Whole(message) => story.whole(&message, heard)?,
            Body::Events(mut events) => {
                while !story.done
                    && let Some(data) = events.next().await?
                {
                    let event = serde_json::from_str(&data)
                        .map_err(|_| ModelError::Nonsense("a piece of it is not JSON".into()))?;
                    story.take(&event, &self.wire, heard)?;
                }
            }
        }
        story.finish()
    }
}

/// An answer as far as it has been told.
struct Story<'a> {
    /// The tool whose arguments are the answer.
    answer: Option<&'a str>,
    blocks: Vec<Block>,
    usage: Usage,
    stop: Option<String>,
    done: bool,
}

/// A block of the content, by its number in the stream.
struct Block {
    index: u64,
    kind: Kind,
    text: String,
}

enum Kind {
    Text,
    Answer,
    Call { id: String, name: String },
}

impl<'a> Story<'a> {
    fn new(answer: Option<&'a str>) -> Self {
        Self {
            answer,
            blocks: Vec::new(),
            usage: Usage::default(),
            stop: None,
            done: false,
        }
    }

    fn take(&mut self, event: &Value, wire: &Wire, heard: &Heard<'_>) -> Result<(), ModelError> {
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.bill(&event["message"]["usage"], heard),
            "content_block_start" => {
                let index = event["index"].as_u64().unwrap_or(0);
                self.begin(index, &event["content_block"], heard)?;
            }
            "content_block_delta" => {
                let index = event["index"].as_u64().unwrap_or(0);
                let delta = &event["delta"];
                let part = delta["text"].as_str().or(delta["partial_json"].as_str());
                self.extend(index, part.unwrap_or_default(), heard)?;
            }
            "message_delta" => {
                self.bill(&event["usage"], heard);
                if let Some(stop) = event["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop.to_owned());
                }
            }
            "message_stop" => self.done = true,
            "error" => {
                let status = match event["error"]["type"].as_str().unwrap_or_default() {
                    "overloaded_error" => 529,
                    "rate_limit_error" => 429,
                    "authentication_error" => 401,
                    "permission_error" => 403,
                    "invalid_request_error" => 400,
                    _ => 500,
                };
                let text = error_text(event).unwrap_or_default();
                return Err(wire.refused(status, &text, event, heard));
            }
            // `ping`, the end of a block, and what comes later.
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, message: &Value, heard: &Heard<'_>) -> Result<(), ModelError> {
        self.bill(&message["usage"], heard);
        let blocks = message["content"].as_array().into_iter().flatten();
        for (index, block) in (0..).zip(blocks) {
            self.begin(index, block, heard)?;
        }
        self.stop = message["stop_reason"].as_str().map(str::to_owned);
        self.done = true;
        Ok(())
    }

    fn begin(&mut self, index: u64, block: &Value, heard: &Heard<'_>) -> Result<(), ModelError> {
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        let kind = match block["type"].as_str().unwrap_or_default() {
            "text" => Kind::Text,
            "tool_use" if self.answer == block["name"].as_str() => Kind::Answer,
            "tool_use" => Kind::Call {
                id: text("id"),
                name: text("name"),
            },
            // What it thought, and what it was told by tools of the provider.
            _ => return Ok(()),
        };
        if self.blocks.len() >= BLOCKS {
            return Err(ModelError::Nonsense(format!(
                "it has more than {BLOCKS} parts"
            )));
        }
        let input = &block["input"];
        let given = match kind {
            Kind::Text => text("text"),
            // Empty at the beginning of a stream, and whole in a whole answer.
            _ if input.as_object().is_none_or(serde_json::Map::is_empty) => String::new(),
            _ => input.to_string(),
        };
        self.blocks.push(Block {
            index,
            kind,
            text: String::new(),
        });
        self.extend(index, &given, heard)
    }

    fn extend(&mut self, index: u64, part: &str, heard: &Heard<'_>) -> Result<(), ModelError> {
        let mut blocks = self.blocks.iter_mut();
        let Some(block) = blocks.find(|block| block.index == index) else {
            return heard.counted(part.len());
        };
        match block.kind {
            Kind::Text | Kind::Answer => heard.piece(part)?,
            Kind::Call { .. } => heard.counted(part.len())?,
        }
        block.text.push_str(part);
        Ok(())
    }

    fn bill(&mut self, bill: &Value, heard: &Heard<'_>) {
        let number = |key: &str| bill[key].as_u64();
        let parts = [
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ];
        if number(parts[0]).is_some() {
            self.usage.prompt_tokens = parts.into_iter().filter_map(number).sum();
        }
        if let Some(tokens) = number("output_tokens") {
            self.usage.answer_tokens = tokens;
        }
        if bill.is_object() {
            heard.usage(self.usage);
        }
    }

    fn finish(self) -> Result<Reply, ModelError> {
        if !self.done {
            return Err(ModelError::Unreachable("the answer broke off".into()));
        }
        let (mut prose, mut formed, mut calls) = (String::new(), String::new(), Vec::new());
        for block in self.blocks {
            match block.kind {
                Kind::Text => prose.push_str(&block.text),
                Kind::Answer => formed.push_str(&block.text),
                Kind::Call { id, name } => {
                    let mut arguments = block.text;
                    if arguments.is_empty() {
                        arguments = json!({}).to_string();
                    }
                    calls.push(ToolCall {
                        id,
                        name,
                        arguments,
                    });
                }
            }
        }
        // What it says before it answers is no part of the answer.
        let text = if formed.is_empty() { prose } else { formed };
        let stopped = match self.stop.as_deref() {
            Some("max_tokens") => Stopped::Length,
            Some("refusal") => Stopped::Filtered,
            _ if !calls.is_empty() => Stopped::Calls,
            _ => Stopped::Done,
        };
        if text.trim().is_empty() && calls.is_empty() {
            return Err(ModelError::Nonsense(why_empty(stopped).into()));
        }
        Ok(Reply {
            text,
            calls,
            usage: self.usage,
            stopped,
            by: None,
        })
    }
}
