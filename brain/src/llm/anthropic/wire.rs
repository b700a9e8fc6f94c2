//! A question in the form of Anthropic's messages.

use serde_json::{Value, json};

use super::super::compatible::arguments;
use super::super::{Message, Request};

/// The body of a request.
pub(super) fn body(model: &str, request: &Request) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": request.limits.max_tokens,
        "temperature": request.limits.temperature.clamp(0.0, 1.0),
        "messages": messages(request),
        "stream": true,
    });
    if !request.system.is_empty() {
        body["system"] = request.system.clone().into();
    }
    let mut tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.parameters,
            })
        })
        .collect();
    if let Some(schema) = &request.schema {
        // With look-ups beside it the model may choose, but not answer in prose.
        body["tool_choice"] = if tools.is_empty() {
            json!({ "type": "tool", "name": schema.name })
        } else {
            json!({ "type": "any" })
        };
        tools.push(json!({
            "name": schema.name,
            "description": "Gives the answer. Call it once, when you know enough.",
            "input_schema": schema.schema,
        }));
    }
    if !tools.is_empty() {
        body["tools"] = tools.into();
    }
    body
}

/// The conversation. Two messages of one side in a row become one: answers to all calls of
/// a message must come together.
fn messages(request: &Request) -> Vec<Value> {
    let mut all: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let (role, blocks) = blocks(message);
        match all.last_mut() {
            Some((last, before)) if *last == role => before.extend(blocks),
            _ => all.push((role, blocks)),
        }
    }
    let all = all.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    all.map(|(role, content)| json!({ "role": role, "content": content }))
        .collect()
}

fn blocks(message: &Message) -> (&'static str, Vec<Value>) {
    // An empty text is refused.
    let text = |text: &String| {
        let filled = !text.trim().is_empty();
        filled.then(|| json!({ "type": "text", "text": text }))
    };
    match message {
        Message::User { text: said } => ("user", text(said).into_iter().collect()),
        Message::Tool { call, text } => (
            "user",
            vec![json!({ "type": "tool_result", "tool_use_id": call, "content": text })],
        ),
        Message::Assistant { text: said, calls } => {
            let mut blocks: Vec<Value> = text(said).into_iter().collect();
            blocks.extend(calls.iter().map(|call| {
                let input: Value =
                    serde_json::from_str(&arguments(&call.arguments)).unwrap_or_default();
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
            }));
            ("assistant", blocks)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{AnswerSchema, ToolCall, ToolSpec};
    use super::*;

    #[test]
    fn answers_of_tools_come_together_and_the_form_is_a_tool() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: "search_logs".into(),
            arguments: arguments.into(),
        };
        let tool = |call: &str| Message::Tool {
            call: call.into(),
            text: "found".into(),
        };
        let mut request = Request {
            system: "Be brief.".into(),
            messages: vec![
                Message::User {
                    text: "why?".into(),
                },
                Message::Assistant {
                    text: String::new(),
                    calls: vec![call("a", "{\"q\":1}"), call("b", "no json")],
                },
                tool("a"),
                tool("b"),
                Message::User {
                    text: "and?".into(),
                },
            ],
            schema: Some(AnswerSchema {
                name: "finding".into(),
                schema: json!({ "type": "object" }),
            }),
            ..Request::default()
        };
        let said = body("claude", &request);
        let messages = said["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert_eq!(messages[1]["content"][0]["input"], json!({ "q": 1 }));
        assert_eq!(messages[1]["content"][1]["input"], json!({}));
        let together = messages[2]["content"].as_array().unwrap();
        let kinds: Vec<&str> = together.iter().filter_map(|b| b["type"].as_str()).collect();
        assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
        assert_eq!(said["system"], "Be brief.");
        assert_eq!(
            said["tool_choice"],
            json!({ "type": "tool", "name": "finding" })
        );
        request.tools.push(ToolSpec {
            name: "search_logs".into(),
            description: "Searches.".into(),
            parameters: json!({ "type": "object" }),
        });
        let said = body("claude", &request);
        assert_eq!(said["tool_choice"], json!({ "type": "any" }));
        assert_eq!(said["tools"].as_array().unwrap().len(), 2);
    }
}
