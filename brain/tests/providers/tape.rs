//! Answers in the form in which the servers of each provider give them.

use serde_json::{Value, json};
use supervisor::config::AiProvider;

use crate::server::Answer;

/// Tokens that every recorded answer is billed: question, answer.
pub(crate) const BILLED: (u64, u64) = (120, 7);

/// The answers of one provider.
pub(crate) struct Tape(pub(crate) AiProvider);

impl Tape {
    fn is_anthropic(&self) -> bool {
        self.0 == AiProvider::Anthropic
    }

    /// A text, all at once.
    pub(crate) fn whole(&self, text: &str) -> Answer {
        let body = if self.is_anthropic() {
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
                "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn",
                "usage": { "input_tokens": BILLED.0, "output_tokens": BILLED.1 },
            })
        } else {
            json!({
                "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{ "index": 0, "finish_reason": "stop",
                    "message": { "role": "assistant", "content": text } }],
                "usage": { "prompt_tokens": BILLED.0, "completion_tokens": BILLED.1, "total_tokens": 127 },
            })
        };
        Answer::json(200, &body.to_string())
    }

    /// A text in pieces. Of Anthropic's form under a schema: the arguments of a tool.
    pub(crate) fn pieces(&self, pieces: &[&str], formed: Option<&str>) -> Answer {
        if !self.is_anthropic() {
            let said = pieces.iter().map(|piece| json!({ "content": piece }));
            return Answer::events(&self.compatible(said.collect(), "stop"));
        }
        let (block, kind, key) = match formed {
            None => (json!({ "type": "text", "text": "" }), "text_delta", "text"),
            Some(name) => (
                json!({ "type": "tool_use", "id": "t", "name": name, "input": {} }),
                "input_json_delta",
                "partial_json",
            ),
        };
        let mut events = vec![json!({
            "type": "content_block_start", "index": 0, "content_block": block
        })];
        events.extend(pieces.iter().map(|piece| {
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": kind, key: piece } })
        }));
        events.push(json!({ "type": "content_block_stop", "index": 0 }));
        Answer::events(&self.anthropic(events, "end_turn"))
    }

    /// Two look-ups whose arguments come in fragments, after a word.
    pub(crate) fn calls(&self) -> Answer {
        let fragments = [r#"{"te"#, r#"xt":"#, r#""EADDRINUSE"}"#];
        if self.is_anthropic() {
            let mut events = vec![
                json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "I look." } }),
                json!({ "type": "ping" }),
            ];
            for (index, id) in [
                (1, "toolu_01A09q90qw90lq917835lq9"),
                (2, "toolu_01D7FLrfh4GYq7yT1ULFeyMV"),
            ] {
                let block =
                    json!({ "type": "tool_use", "id": id, "name": "search_logs", "input": {} });
                events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
                events.extend(fragments.iter().map(|part| {
                    json!({ "type": "content_block_delta", "index": index,
                        "delta": { "type": "input_json_delta", "partial_json": part } })
                }));
                events.push(json!({ "type": "content_block_stop", "index": index }));
            }
            return Answer::events(&self.anthropic(events, "tool_use"));
        }
        let mut said = vec![json!({ "role": "assistant", "content": "I look." })];
        for (index, id) in [
            (0, "call_abc123DeF456GhI789JkL012"),
            (1, "call_9pw1qnYScqvGrCH58HWCvFH6"),
        ] {
            if self.0 == AiProvider::Gemini {
                // The whole call at once, and without its place.
                let function = json!({ "name": "search_logs", "arguments": fragments.concat() });
                said.push(json!({ "tool_calls": [{ "id": id, "type": "function", "function": function }] }));
                continue;
            }
            let function = json!({ "name": "search_logs", "arguments": "" });
            said.push(json!({ "content": null, "tool_calls":
                [{ "index": index, "id": id, "type": "function", "function": function }] }));
            said.extend(fragments.iter().map(|part| {
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] })
            }));
        }
        Answer::events(&self.compatible(said, "tool_calls"))
    }

    /// An error with the body that the provider gives it.
    pub(crate) fn error(&self, status: u16, text: &str) -> Answer {
        let body = match self.0.canonical() {
            AiProvider::Anthropic | AiProvider::Claude => {
                json!({ "type": "error", "error": { "type": "api_error", "message": text } })
            }
            AiProvider::Gemini => {
                json!([{ "error": { "code": status, "message": text, "status": "X" } }])
            }
            AiProvider::Openai | AiProvider::Groq | AiProvider::Ollama => {
                json!({ "error": { "message": text, "type": "x", "param": null, "code": null } })
            }
        };
        Answer::json(status, &body.to_string())
    }

    fn compatible(&self, said: Vec<Value>, finish: &str) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": choices,
            });
            if !usage.is_null() {
                chunk["usage"] = usage;
            }
            format!("data: {chunk}\n\n")
        };
        let mut events: Vec<String> = said
            .into_iter()
            .map(|delta| {
                let choice = json!([{ "index": 0, "delta": delta, "finish_reason": null }]);
                chunk(choice, Value::Null)
            })
            .collect();
        let usage = json!({ "prompt_tokens": BILLED.0, "completion_tokens": BILLED.1, "total_tokens": 127 });
        let end = json!([{ "index": 0, "delta": {}, "finish_reason": finish }]);
        match self.0 {
            // The bill comes in a field of its own.
            AiProvider::Groq => {
                let last = json!({ "choices": end, "x_groq": { "id": "r", "usage": usage } });
                events.push(format!("data: {last}\n\n"));
            }
            // The bill comes with the end.
            AiProvider::Gemini => events.push(chunk(end, usage)),
            // The bill comes after the end, without a choice.
            _ => {
                events.push(chunk(end, Value::Null));
                events.push(chunk(json!([]), usage));
            }
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn anthropic(&self, middle: Vec<Value>, stop: &str) -> Vec<String> {
        let start = json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message",
            "role": "assistant", "content": [], "model": "claude", "stop_reason": null,
            "usage": { "input_tokens": BILLED.0 - 20, "cache_read_input_tokens": 20, "output_tokens": 1 } } });
        let end = json!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null },
            "usage": { "output_tokens": BILLED.1 } });
        let mut events = vec![start];
        events.extend(middle);
        events.extend([end, json!({ "type": "message_stop" })]);
        let named = events.into_iter().map(|event| {
            let name = event["type"].as_str().unwrap_or_default();
            format!("event: {name}\ndata: {event}\n\n")
        });
        named.collect()
    }
}
