//! What every provider must do with what its server answers.

use std::time::Duration;

use brain::llm::answer::ask as ask_typed;
use brain::llm::{AnswerSchema, Message, ModelError, Request, Silent, Stopped, ToolCall};
use serde::Deserialize;
use serde_json::json;
use supervisor::config::AiProvider;

use crate::server::{Answer, Asked, Server};
use crate::tape::{BILLED, Tape};
use crate::{KEY, Shown, ask, config, model, question, with_tool};

#[tokio::test]
async fn an_answer_is_heard_piece_by_piece_and_billed() {
    for provider in AiProvider::ALL {
        let pieces = ["The port ", "is ", "taken: \u{1f4a5}"];
        let server = Server::start(vec![Tape(provider).pieces(&pieces, None)]);
        let model = model(&config(provider, &server));
        let shown = Shown::default();
        let reply = model.ask(&question("Why?"), &shown).await.unwrap();
        assert_eq!(reply.text, pieces.concat(), "{provider:?}");
        assert_eq!(*shown.0.lock().unwrap(), pieces, "{provider:?}");
        let usage = reply.usage;
        assert_eq!(
            (usage.prompt_tokens, usage.answer_tokens),
            BILLED,
            "{provider:?}"
        );
        assert!(!usage.estimated);
        assert_eq!(reply.stopped, Stopped::Done);
        assert_eq!(reply.by.as_ref(), Some(model.id()));
        assert_eq!(model.id().provider, provider.as_str());

        let asked = &server.asked()[0];
        assert_eq!(asked.body["stream"], true, "{provider:?}");
        assert_eq!(asked.body["model"], model.id().model.as_str());
        speaks(provider, asked);
    }
}

/// The key is where the provider wants it, and nowhere else.
fn speaks(provider: AiProvider, asked: &Asked) {
    let path = if provider == AiProvider::Anthropic {
        assert_eq!(asked.header("x-api-key"), Some(KEY));
        assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(asked.header("authorization"), None);
        assert_eq!(asked.body["system"], "You are on call.");
        "POST /v1/messages "
    } else {
        let bearer = format!("Bearer {KEY}");
        assert_eq!(asked.header("authorization"), Some(bearer.as_str()));
        assert_eq!(asked.body["messages"][0]["content"], "You are on call.");
        assert_eq!(asked.body["stream_options"]["include_usage"], true);
        "POST /v1/chat/completions "
    };
    assert!(asked.head[0].starts_with(path), "{}", asked.head[0]);
    assert!(!asked.body.to_string().contains(KEY));
}

#[tokio::test]
async fn an_answer_that_comes_all_at_once_is_one_too() {
    for provider in AiProvider::ALL {
        let server = Server::start(vec![Tape(provider).whole("Disk full.")]);
        let shown = Shown::default();
        let model = model(&config(provider, &server));
        let reply = model.ask(&question("Why?"), &shown).await.unwrap();
        assert_eq!(reply.text, "Disk full.", "{provider:?}");
        assert_eq!(reply.usage.answer_tokens, BILLED.1);
        assert_eq!(*shown.0.lock().unwrap(), ["Disk full."]);
    }
}

#[tokio::test]
async fn calls_come_in_fragments_and_their_answers_go_back() {
    for provider in AiProvider::ALL {
        let tape = Tape(provider);
        let server = Server::start(vec![tape.calls(), tape.pieces(&["Port 80."], None)]);
        let mut config = config(provider, &server);
        config.tools = Some(true);
        let model = model(&config);
        let mut request = with_tool(question("Why?"));
        let reply = model.ask(&request, &Silent).await.unwrap();
        assert_eq!(
            (reply.stopped, reply.calls.len()),
            (Stopped::Calls, 2),
            "{provider:?}"
        );
        for call in &reply.calls {
            assert_eq!(call.name, "search_logs");
            assert_eq!(call.arguments, r#"{"text":"EADDRINUSE"}"#, "{provider:?}");
        }
        request.messages.push(Message::Assistant {
            text: reply.text.clone(),
            calls: reply.calls.clone(),
        });
        let found = |call: &ToolCall| Message::Tool {
            call: call.id.clone(),
            text: "log:1 EADDRINUSE".into(),
        };
        request.messages.extend(reply.calls.iter().map(found));
        let reply = model.ask(&request, &Silent).await.unwrap();
        assert_eq!(reply.text, "Port 80.");
        let asked = server.asked();
        assert!(asked[0].body["tools"].is_array(), "{provider:?}");
        let messages = asked[1].body["messages"].as_array().unwrap().len();
        let expected = if provider == AiProvider::Anthropic {
            3
        } else {
            5
        };
        assert_eq!(messages, expected, "{provider:?}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_look_things_up_is_not_offered_to() {
    let server = Server::start(vec![Tape(AiProvider::Ollama).whole("Disk full.")]);
    let model = model(&config(AiProvider::Ollama, &server));
    assert!(!model.abilities().tools);
    model
        .ask(&with_tool(question("Why?")), &Silent)
        .await
        .unwrap();
    assert!(server.asked()[0].body.get("tools").is_none());
}

#[derive(Debug, PartialEq, Deserialize)]
struct Finding {
    cause: String,
    confidence: f64,
}

fn formed() -> Request {
    Request {
        schema: Some(AnswerSchema {
            name: "finding".into(),
            schema: json!({
                "type": "object",
                "properties": {
                    "cause": { "type": "string" },
                    "confidence": { "type": "number", "maximum": 1 },
                },
                "required": ["cause", "confidence"],
            }),
        }),
        ..question("Why?")
    }
}

fn plausible(finding: &Finding) -> Result<(), String> {
    let is_share = (0.0..=1.0).contains(&finding.confidence);
    is_share
        .then_some(())
        .ok_or("confidence is not from 0 to 1".into())
}

#[tokio::test]
async fn an_answer_has_the_form_that_was_asked_for_after_a_repair_at_most() {
    for provider in AiProvider::ALL {
        let tape = Tape(provider);
        let wrong = tape.pieces(
            &[r#"{"cause":"disk","#, r#""confidence":100}"#],
            Some("finding"),
        );
        let right = tape.pieces(
            &[r#"{"cause":"disk","confi"#, r#"dence":0.9}"#],
            Some("finding"),
        );
        let server = Server::start(vec![wrong, right]);
        let model = model(&config(provider, &server));
        let answer = ask_typed(model.as_ref(), &formed(), &Silent, plausible).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.value.confidence, answer.repaired),
            (0.9, true),
            "{provider:?}"
        );
        // The schema in words is longer than what the tape bills for.
        assert!(answer.usage.prompt_tokens >= 2 * BILLED.0);
        let asked = server.asked();
        let body = &asked[0].body;
        match provider {
            AiProvider::Anthropic => assert_eq!(body["tool_choice"]["name"], "finding"),
            AiProvider::Groq => {
                assert!(body.get("response_format").is_none());
                let system = body["messages"][0]["content"].as_str().unwrap();
                assert!(system.contains("confidence"), "in words: {system}");
            }
            _ => assert_eq!(body["response_format"]["json_schema"]["name"], "finding"),
        }
    }
}

#[tokio::test]
async fn who_refuses_a_schema_is_asked_in_words() {
    let provider = AiProvider::Openai;
    let tape = Tape(provider);
    let server = Server::start(vec![
        tape.error(400, "Unknown parameter: response_format"),
        tape.whole(r#"{"cause":"disk","confidence":0.5}"#),
    ]);
    let model = model(&config(provider, &server));
    for _ in 0..2 {
        let answer = ask_typed(model.as_ref(), &formed(), &Silent, plausible).await;
        assert!(!answer.unwrap().repaired);
    }
    let asked = server.asked();
    let has_schema = |asked: &Asked| asked.body.get("response_format").is_some();
    let schemas: Vec<bool> = asked.iter().map(has_schema).collect();
    assert_eq!(schemas, [true, false, false], "it is not tried again");
}

#[tokio::test]
async fn a_wrong_key_is_told_once_and_never_shown() {
    for provider in AiProvider::ALL {
        for status in [401, 403] {
            let text = format!("Incorrect API key provided: {KEY}");
            let server = Server::start(vec![Tape(provider).error(status, &text)]);
            let error = ask(&model(&config(provider, &server))).await.unwrap_err();
            assert_eq!(error, ModelError::Unauthorised { status }, "{provider:?}");
            assert_eq!(server.asked().len(), 1);
        }
        let text = format!("no model for {KEY}\u{1b}[31m\n");
        let server = Server::start(vec![Tape(provider).error(404, &text)]);
        let error = ask(&model(&config(provider, &server))).await.unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("404") && told.contains("no model for ***"),
            "{told}"
        );
        assert!(!told.contains(char::is_control), "{told:?}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn too_many_requests_are_asked_again_when_the_provider_says() {
    let all = AiProvider::ALL.map(|provider| async move {
        let tape = Tape(provider);
        let limited = tape.error(429, "slow down").with("retry-after: 1");
        let server = Server::start(vec![limited, tape.whole("Disk full.")]);
        let reply = ask(&model(&config(provider, &server))).await.unwrap();
        assert_eq!(reply.text, "Disk full.");
        assert_eq!(server.asked().len(), 2, "{provider:?}");
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn an_error_of_the_server_is_tried_three_times() {
    let all = AiProvider::ALL.map(|provider| async move {
        let server = Server::start(vec![Tape(provider).error(500, "boom")]);
        let error = ask(&model(&config(provider, &server))).await.unwrap_err();
        assert!(
            matches!(&error, ModelError::Refused { status: 500, text } if text == "boom"),
            "{error}"
        );
        assert_eq!(server.asked().len(), 3, "{provider:?}");
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_unless_somebody_saw_it() {
    for provider in AiProvider::ALL {
        let tape = Tape(provider);
        let whole = tape.pieces(&["Disk ", "full."], None);
        let cut = |breaks| Answer {
            body: whole.body[..whole.body.len() - 4.min(whole.body.len() - 2)].to_vec(),
            breaks,
            ..whole.clone()
        };
        for breaks in [true, false] {
            let server = Server::start(vec![cut(breaks), whole.clone()]);
            let reply = ask(&model(&config(provider, &server))).await.unwrap();
            assert_eq!(reply.text, "Disk full.", "{provider:?}");
            assert_eq!(server.asked().len(), 2);

            let server = Server::start(vec![cut(breaks), whole.clone()]);
            let model = model(&config(provider, &server));
            let error = model.ask(&question("Why?"), &Shown::default()).await;
            assert!(
                matches!(error, Err(ModelError::Unreachable(_))),
                "{error:?}"
            );
            assert_eq!(server.asked().len(), 1, "{provider:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_nonsense() {
    for provider in AiProvider::ALL {
        let tape = Tape(provider);
        let large = "x".repeat(64 << 10);
        let pieces = vec![large.as_str(); 17];
        let answers = [
            ("no JSON", Answer::events(&["data: {\"choi\n\n".to_owned()])),
            ("no JSON at once", Answer::json(200, "<html>")),
            ("empty", tape.pieces(&[], None)),
            ("blank", tape.pieces(&["  ", "\n"], None)),
            ("empty at once", tape.whole("")),
            ("a megabyte and more", tape.pieces(&pieces, None)),
            (
                "one line without end",
                Answer::events(&vec![large.clone(); 40]),
            ),
        ];
        for (what, answer) in answers {
            let server = Server::start(vec![answer]);
            let error = ask(&model(&config(provider, &server))).await;
            assert!(
                matches!(error, Err(ModelError::Nonsense(_))),
                "{provider:?}, {what}: {error:?}"
            );
            assert_eq!(server.asked().len(), 1, "{provider:?}, {what}");
        }
    }
}

#[tokio::test]
async fn an_error_within_a_stream_is_one() {
    for provider in AiProvider::ALL {
        let error =
            r#"data: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
        let broken = Answer::events(&[format!("{error}\n\n")]);
        let server = Server::start(vec![broken, Tape(provider).whole("Disk full.")]);
        let reply = ask(&model(&config(provider, &server))).await.unwrap();
        assert_eq!(reply.text, "Disk full.", "{provider:?}");
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_slow_answer_is_late() {
    let all = AiProvider::ALL.map(|provider| async move {
        let mut slow = Tape(provider).pieces(&["a", "b", "c"], None);
        slow.pause = Duration::from_secs(1);
        let server = Server::start(vec![slow]);
        let mut config = config(provider, &server);
        config.timeout = Duration::from_millis(1_500);
        let error = ask(&model(&config)).await.unwrap_err();
        assert_eq!(error, ModelError::Late(config.timeout), "{provider:?}");
    });
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    for provider in AiProvider::ALL {
        let elsewhere = Server::start(vec![Tape(provider).whole("mine")]);
        let moved = Answer::json(307, "").with(&format!("location: {}", elsewhere.url));
        let server = Server::start(vec![moved]);
        let error = ask(&model(&config(provider, &server))).await.unwrap_err();
        assert!(
            matches!(error, ModelError::Refused { status: 307, .. }),
            "{error:?}"
        );
        assert!(elsewhere.asked().is_empty());
    }
}

#[tokio::test]
async fn nobody_at_home_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let all = AiProvider::ALL.map(|provider| {
        let url = url.clone();
        async move {
            let config = supervisor::config::AiConfig {
                base_url: Some(url),
                ..supervisor::config::AiConfig::new(provider)
            };
            let error = ask(&model(&config)).await.unwrap_err();
            assert!(
                matches!(error, ModelError::Unreachable(_)),
                "{provider:?}: {error}"
            );
        }
    });
    futures::future::join_all(all).await;
}
