//! Answers as models give them, and what is made of them.

use std::sync::Mutex;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::super::{ModelId, Silent};
use super::*;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    cause: String,
    confidence: f64,
    #[serde(default)]
    actions: Vec<String>,
}

fn plausible(finding: &Finding) -> Result<(), String> {
    if (0.0..=1.0).contains(&finding.confidence) {
        return Ok(());
    }
    Err(format!(
        "confidence is {}, not from 0 to 1",
        finding.confidence
    ))
}

fn found(text: &str) -> Result<Finding, String> {
    read(text, plausible)
}

#[test]
fn a_value_is_found_however_it_is_wrapped() {
    let right = Finding {
        cause: "port \"80\" taken\n".into(),
        confidence: 0.75,
        actions: vec!["restart".into()],
    };
    let texts = [
        r#"{"cause":"port \"80\" taken\n","confidence":0.75,"actions":["restart"]}"#,
        "Here you are:\n```json\n{\"cause\": \"port \\\"80\\\" taken\\n\", \"confidence\": 0.75, \"actions\": [\"restart\"]}\n```\nHope {this} helps!",
        "{ 'cause': 'port \"80\" taken\\n', 'confidence': 0.75, 'actions': ['restart',], }",
        "{\"cause\": \"port \\\"80\\\" taken\n\", // it is\n \"confidence\": 0.75, /* quite */ \"actions\": [\"restart\"]}",
        "The form is {\"a\": 1}. {\"cause\":\"port \\u002280\\u0022 taken\\n\",\"confidence\":0.75,\"actions\":[\"restart\"]}",
        "{\"cause\":\"x\",\"confidence\":75} no: {\"cause\":\"port \\\"80\\\" taken\\n\",\"confidence\":0.75,\"actions\":[\"restart\"]}",
    ];
    for text in texts {
        assert_eq!(found(text).as_ref(), Ok(&right), "{text}");
    }
}

#[test]
fn what_was_cut_off_counts_as_far_as_it_is_whole() {
    let whole = r#"{"cause":"disk","confidence":0.5,"actions":["restart api","stop we"#;
    assert_eq!(
        found(whole).unwrap().actions,
        ["restart api"],
        "no half action"
    );
    let error = found(r#"{"cause":"disk","confidence":0.5"#).unwrap_err();
    assert!(
        error.contains("confidence"),
        "0.5 may have been 0.55: {error}"
    );
    assert!(found(r#"{"cause":"disk is fu"#).is_err());
    assert_eq!(objects("{\"a\": [tru"), [json!({ "a": [] })]);
}

/// A quote too many makes of all that follows one text without an end.
#[test]
fn a_whole_object_counts_before_one_that_seems_cut() {
    let text = "{'a': 'it's broken\", so: {\"cause\":\"disk\",\"confidence\":0.5}";
    let all = objects(text);
    assert_eq!(all[0]["cause"], "disk", "{all:?}");
    let cut = r#"{"cause": "a", "confidence": 0.5, "actions": [{"x": 1}, {"y"#;
    assert_eq!(objects(cut).last().unwrap()["cause"], "a");
}

#[test]
fn what_is_no_answer_is_refused_with_a_reason() {
    for (text, why) in [
        ("", "no JSON object"),
        ("I do not know.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        (r#"{"cause":"x","confidence":100}"#, "from 0 to 1"),
        (r#"{"cause":"x"}"#, "confidence"),
        (r#"{"cause":"x","confidence":0.1,"rm":1}"#, "rm"),
        ("{cause: x}", "no JSON object"),
    ] {
        let error = found(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn nothing_is_too_odd_to_be_read() {
    for text in [
        "{".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "[".repeat(100_000),
        format!("{{\"a\":{}", "[".repeat(100_000)),
        "{\"a\":\"\\ud83d\\ude00\",\"b\":\"\\ud83d\",\"c\":\"\\udfff\"}".to_owned(),
        "{\"a\":\"\\ud83d\\u0041\"}".to_owned(),
        "{\"a\":\"\\udbff\\uffff\"}".to_owned(),
        "{\"a\":\"\\u12".to_owned(),
        "{\"a\":1e999}".to_owned(),
        "{\"a\":-}".to_owned(),
        "{'ä': 'ö' /* ü".to_owned(),
        "\u{feff}{\"a\":1}".to_owned(),
    ] {
        let _ = objects(&text);
    }
    assert_eq!(
        objects("{\"a\":\"\\ud83d\\ude00\"}"),
        [json!({ "a": "😀" })]
    );
}

/// Gives its answers one after the other, and keeps what it was asked.
struct Script {
    id: ModelId,
    answers: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<Request>>,
}

#[async_trait]
impl Model for Script {
    fn id(&self) -> &ModelId {
        &self.id
    }

    async fn ask(&self, request: &Request, _sink: &dyn Sink) -> Result<Reply, ModelError> {
        self.asked.lock().unwrap().push(request.clone());
        Ok(Reply {
            text: self.answers.lock().unwrap().remove(0).to_owned(),
            usage: Usage {
                prompt_tokens: 10,
                answer_tokens: 5,
                estimated: false,
            },
            ..Reply::default()
        })
    }
}

fn script(answers: &[&'static str]) -> Script {
    Script {
        id: ModelId {
            provider: "double".into(),
            model: "script".into(),
        },
        answers: Mutex::new(answers.to_vec()),
        asked: Mutex::default(),
    }
}

#[tokio::test]
async fn a_useless_answer_is_repaired_once() {
    let right = r#"{"cause":"disk","confidence":0.5}"#;
    let model = script(&[r#"{"cause":"disk","confidence":50}"#, right]);
    let request = Request::default();
    let answer = ask(&model, &request, &Silent, plausible).await.unwrap();
    assert!(answer.repaired && answer.value.cause == "disk");
    assert_eq!(answer.usage.prompt_tokens, 20, "both are paid for");
    let asked = model.asked.lock().unwrap().clone();
    let Some(Message::User { text }) = asked[1].messages.last() else {
        panic!("{asked:?}");
    };
    assert!(text.contains("not from 0 to 1"), "{text}");

    let model = script(&["no", "no again", right]);
    let error = ask(&model, &request, &Silent, plausible).await.unwrap_err();
    assert!(matches!(error, ModelError::Nonsense(_)), "{error:?}");
    assert_eq!(model.asked.lock().unwrap().len(), 2);
}
