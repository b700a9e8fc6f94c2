//! Talks with a model whose part is written down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::facts::Facts;
use crate::llm::{
    Message, Model, ModelError, ModelId, Reply, Request, Silent, Sink, Stopped, ToolCall,
};
use crate::observation::Observation;
use crate::scenario::Scenario;

struct Scripted {
    id: ModelId,
    part: Mutex<VecDeque<Reply>>,
    heard: Mutex<Vec<Request>>,
    slow: Duration,
}

impl Scripted {
    fn of(part: Vec<Reply>) -> Self {
        Self {
            id: ModelId {
                provider: "double".into(),
                model: "scripted".into(),
            },
            part: Mutex::new(part.into()),
            heard: Mutex::default(),
            slow: Duration::ZERO,
        }
    }

    fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Model for Scripted {
    fn id(&self) -> &ModelId {
        &self.id
    }

    async fn ask(&self, request: &Request, _: &dyn Sink) -> Result<Reply, ModelError> {
        self.heard.lock().unwrap().push(request.clone());
        tokio::time::sleep(self.slow).await;
        let next = self.part.lock().unwrap().pop_front();
        next.ok_or_else(|| ModelError::Unreachable("the script is over".into()))
    }
}

fn says(text: &str) -> Reply {
    Reply {
        text: text.into(),
        ..Reply::default()
    }
}

fn wants(calls: &[(&str, Value)]) -> Reply {
    let calls = calls
        .iter()
        .enumerate()
        .map(|(place, (name, arguments))| ToolCall {
            // As long and as random as those of the providers.
            id: format!("toolu_01A09q90qw90lq917835lq{place}"),
            name: (*name).to_owned(),
            arguments: arguments.to_string(),
        });
    Reply {
        calls: calls.collect(),
        stopped: Stopped::Calls,
        ..Reply::default()
    }
}

fn plan(evidence: &str) -> Reply {
    says(
        &json!({
            "diagnosis": "the pool is drained", "confidence": 0.8, "evidence": [evidence],
            "actions": [{"action": "restart", "target": "api"}],
        })
        .to_string(),
    )
}

fn world() -> Arc<dyn Facts> {
    let text = r#"
playbook = "x"
[[case]]
name = "a world"
on = "tick"
process = { copies = 1, config = { command = "node x.js" } }
log = [{ text = "worker {n}: pool is drained", times = 3, every = "1s", from = 1, step = 1 }]
sample = [{ ago = "10s", cpu = 3.0, rss = 50000000 }]
"#;
    Scenario::parse(text).unwrap().case[0].facts()
}

async fn talk(model: &dyn Model, tools: bool) -> (Result<Checked, Stop>, Ended) {
    talk_within(model, tools, Bounds::default()).await
}

async fn talk_within(
    model: &dyn Model,
    tools: bool,
    bounds: Bounds,
) -> (Result<Checked, Stop>, Ended) {
    let facts = world();
    let process: supervisor::ProcessName = "api".parse().unwrap();
    let mut shown = Shown::default();
    let known = crate::observation::Known::default();
    let view = Observation::of(facts.as_ref(), &process, known)
        .unwrap()
        .render(2_000);
    let text = opening("What is wrong?", None, &view, &[], &mut shown, 1_000);
    let talk = Talk {
        model,
        desk: tools.then(|| Desk::of(facts.clone(), Some(process.clone()))),
        system: "rules, and the sentence of an example".into(),
        messages: vec![Message::User { text }],
        shown,
        sink: &Silent,
        looked: &|_| (),
        bounds,
    };
    ask_for_a_plan(talk, &process, facts).await
}

/// It looks something up, cites what it was shown, and what it says becomes a plan.
#[tokio::test]
async fn a_look_up_leads_to_a_plan_with_evidence() {
    let model = Scripted::of(vec![
        wants(&[
            ("search_logs", json!({"pattern": "pool"})),
            ("metrics", json!({"metric": "rss"})),
        ]),
        plan("log:2"),
    ]);
    let (result, ended) = talk(&model, true).await;
    let checked = result.unwrap();
    assert_eq!(checked.proposal.plan.steps.len(), 1);
    assert_eq!(checked.proposal.evidence[0].id, "log:2");
    assert!(
        checked.proposal.evidence[0]
            .text
            .contains("pool is drained")
    );
    assert_eq!((ended.rounds, ended.lookups.len()), (2, 2));
    let second = &model.heard()[1];
    let Message::Tool { text, .. } = &second.messages[2] else {
        panic!("{:?}", second.messages)
    };
    assert!(
        text.contains("query: search_logs process=api pattern=\"pool\" window=10m"),
        "{text}"
    );
    assert!(
        text.contains("3 lines match") && text.contains("[log:2]"),
        "{text}"
    );
    assert!(text.contains("untrusted"), "{text}");
}

/// The guard before a model takes what looks like a secret out of a request, also out of the
/// names of calls; an answer to a call that is not there is refused by the provider.
#[tokio::test]
async fn calls_keep_their_names_behind_the_guard() {
    let model = Arc::new(Scripted::of(vec![
        wants(&[("events", json!({})), ("config", json!({}))]),
        wants(&[("processes", json!({}))]),
        plan("state:api"),
    ]));
    let redactor = crate::redact::Redactor::new([], crate::redact::RedactOptions::default());
    let guarded = crate::guard::Guarded::new(model.clone(), Arc::new(redactor));
    talk(&guarded, true).await.0.unwrap();
    let last = model.heard().pop().unwrap();
    let mut called = Vec::new();
    let mut answered = Vec::new();
    for message in &last.messages {
        match message {
            Message::Assistant { calls, .. } => {
                called.extend(calls.iter().map(|call| call.id.clone()));
            }
            Message::Tool { call, .. } => answered.push(call.clone()),
            Message::User { .. } => {}
        }
    }
    assert_eq!(called, ["call_0_0", "call_0_1", "call_1_0"]);
    assert_eq!(answered, called);
}

/// A look-up that was one too many in its round is answered when it is asked for again.
#[tokio::test]
async fn what_was_not_looked_up_may_be_asked_for_again() {
    let five: Vec<_> = (0..5)
        .map(|n| ("search_logs", json!({"pattern": format!("x{n}")})))
        .collect();
    let fifth = [five[4].clone()];
    let model = Scripted::of(vec![wants(&five), wants(&fifth), plan("state:api")]);
    let (result, ended) = talk(&model, true).await;
    result.unwrap();
    assert_eq!(ended.lookups.len(), 5);
    let last = model.heard().pop().unwrap();
    let Some(Message::Tool { text, .. }) = last.messages.last() else {
        panic!("{:?}", last.messages)
    };
    assert!(text.contains("query: search_logs"), "{text}");
}

/// What is wrong with a question is said, so that it can be put right.
#[tokio::test]
async fn wrong_questions_are_answered_with_what_is_wrong() {
    let wrong = [
        (
            "search_logs",
            json!({"pattern": "("}),
            "no regular expression",
        ),
        (
            "search_logs",
            json!({"pattern": "x", "limit": 5000}),
            "`limit` is from 1 to 40",
        ),
        (
            "search_logs",
            json!({"pattern": "x", "window": "9d"}),
            "from 1s to 24h",
        ),
        (
            "search_logs",
            json!({"pattern": "x", "also": 1}),
            "unknown field",
        ),
        (
            "search_logs",
            json!({"process": "db", "pattern": "x"}),
            "there is no process `db`",
        ),
        (
            "metrics",
            json!({"metric": "joy"}),
            "cpu, rss, fds or threads",
        ),
        ("events", json!({"kind": "party"}), "no kind of event"),
        (
            "file_head",
            json!({"path": "../../etc/passwd"}),
            "no hidden parts",
        ),
        (
            "check_http",
            json!({"url": "http://169.254.169.254/"}),
            "names no such URL",
        ),
        (
            "check_dns",
            json!({"host": "evil.example"}),
            "names no such host",
        ),
        (
            "check_port",
            json!({"port": 99999}),
            "`port` is from 1 to 65535",
        ),
        (
            "run_shell",
            json!({"command": "id"}),
            "there is no such tool",
        ),
        ("config", json!("api"), "invalid type"),
    ];
    for (name, arguments, expected) in wrong {
        let model = Scripted::of(vec![wants(&[(name, arguments)]), plan("x")]);
        let (result, _) = talk(&model, true).await;
        assert!(result.is_ok(), "{name}: it goes on");
        let heard = model.heard();
        let Message::Tool { text, .. } = &heard[1].messages[2] else {
            panic!()
        };
        assert!(
            text.contains("error: ") && text.contains(expected),
            "{name}: {text}"
        );
    }
}

/// Two answers of one tool are two facts: each can be cited.
#[tokio::test]
async fn facts_of_different_questions_have_different_ids() {
    let windows = ["10m", "1h"].map(|window| json!({"metric": "rss", "window": window}));
    let calls = windows.map(|arguments| ("metrics", arguments));
    let model = Scripted::of(vec![wants(&calls), plan("x")]);
    let (_, ended) = talk(&model, true).await;
    for id in ["metric:api:rss:10m", "metric:api:rss:1h"] {
        assert!(
            ended.shown.evidence(id).is_some(),
            "{id}: {:?}",
            ended.shown
        );
    }
}

/// Each tool answers something about a plain world, within its bounds.
#[tokio::test]
async fn every_tool_answers() {
    let model = Scripted::of(vec![says("{}")]);
    let _ = talk(&model, true).await;
    let specs = model.heard()[0].tools.clone();
    assert_eq!(specs.len(), 15);
    for spec in specs {
        let arguments = match spec.name.as_str() {
            "search_logs" => json!({"pattern": "."}),
            "metrics" => json!({"metric": "cpu"}),
            "check_port" => json!({"port": 80}),
            "file_head" => json!({"path": "x.js"}),
            "check_http" => json!({"url": "http://x/"}),
            "check_dns" => json!({"host": "x"}),
            _ => json!({}),
        };
        let model = Scripted::of(vec![wants(&[(&spec.name, arguments)]), plan("x")]);
        let (_, ended) = talk(&model, true).await;
        assert_eq!(ended.lookups.len(), 1, "{}", spec.name);
        let heard = model.heard();
        let Message::Tool { text, .. } = &heard[1].messages[2] else {
            panic!()
        };
        assert!(
            text.len() < 5_000 && text.starts_with("⟦data"),
            "{}: {text}",
            spec.name
        );
        assert_eq!(spec.parameters["additionalProperties"], false);
    }
}

/// Asking the same is told, and asking it a third time ends the look-ups.
#[tokio::test]
async fn going_round_in_circles_is_ended() {
    let same = || wants(&[("events", json!({}))]);
    let model = Scripted::of(vec![same(), same(), same(), plan("state:api")]);
    let (result, ended) = talk(&model, true).await;
    assert!(result.is_ok());
    assert_eq!((ended.rounds, ended.lookups.len()), (4, 1));
    let last = model.heard().pop().unwrap();
    let Some(Message::User { text }) = last.messages.last() else {
        panic!()
    };
    assert!(text.contains("again and again"), "{text}");
    assert!(last.schema.is_some(), "now it is held to the form");
}

/// It never asks more often than it may, whatever the model wants.
#[tokio::test]
async fn a_model_that_only_looks_is_stopped() {
    let part = (0..50).map(|n| wants(&[("search_logs", json!({"pattern": format!("x{n}")}))]));
    let model = Scripted::of(part.collect());
    let (result, ended) = talk(&model, true).await;
    assert!(matches!(result, Err(Stop::Useless { .. })), "{result:?}");
    assert!(ended.rounds <= Bounds::default().rounds);
    assert_eq!(model.heard().len(), ended.rounds);
}

/// One repair; then what can be used of it: a report without a plan.
#[tokio::test]
async fn an_unusable_answer_gets_one_more_try() {
    let model = Scripted::of(vec![says("hm"), plan("state:api")]);
    let (result, ended) = talk(&model, false).await;
    assert_eq!(result.unwrap().proposal.plan.steps.len(), 1);
    assert_eq!(ended.rounds, 2);
    assert!(model.heard()[0].tools.is_empty() && model.heard()[0].schema.is_some());
    let foreign = || {
        says(
            r#"{"diagnosis": "x", "confidence": 1, "actions": [{"action": "exec", "target": "api"}]}"#,
        )
    };
    let model = Scripted::of(vec![foreign(), foreign()]);
    let (result, ended) = talk(&model, false).await;
    let checked = result.unwrap();
    assert!(checked.proposal.plan.steps.is_empty());
    assert_eq!(ended.rounds, 2);
    let model = Scripted::of(vec![says(""), says("")]);
    assert!(matches!(
        talk(&model, true).await.0,
        Err(Stop::Useless { rounds: 2, .. })
    ));
}

/// A small model may say what its rules gave as an example: that is no finding.
#[tokio::test]
async fn the_sentence_of_an_example_is_no_answer() {
    let says_so = |diagnosis: &str| {
        says(
            &json!({"diagnosis": diagnosis, "confidence": 0.9, "evidence": [], "actions": []})
                .to_string(),
        )
    };
    let echo = || says_so("the sentence of an example");
    let (result, ended) = talk(&Scripted::of(vec![says_so("rules")]), false).await;
    assert!(result.is_ok(), "a short answer may stand there by chance");
    assert_eq!(ended.rounds, 1);
    let model = Scripted::of(vec![echo(), plan("event:1")]);
    let (result, ended) = talk(&model, false).await;
    assert!(
        result
            .unwrap()
            .proposal
            .cause
            .contains("the pool is drained")
    );
    assert_eq!(ended.rounds, 2, "it was told, and thought again");
    let model = Scripted::of(vec![echo(), echo()]);
    let (result, _) = talk(&model, false).await;
    assert!(matches!(result, Err(Stop::Useless { .. })), "{result:?}");
}

/// A model that does not answer in time, or not at all, is the end of it.
#[tokio::test(start_paused = true)]
async fn time_and_errors_end_it() {
    let model = Scripted {
        slow: Duration::from_secs(61),
        ..Scripted::of(vec![plan("x")])
    };
    let (result, _) = talk(&model, false).await;
    assert_eq!(
        result.unwrap_err(),
        Stop::Model(ModelError::Late(Duration::from_secs(60)))
    );
    // Whoever waits longer for an answer by the settings waits longer here, too.
    let model = Scripted {
        slow: Duration::from_secs(500),
        ..Scripted::of(vec![plan("x")])
    };
    let patient = Bounds::default().patient(Duration::from_secs(540));
    assert!(talk_within(&model, false, patient).await.0.is_ok());
    let looks = (0..9).map(|n| wants(&[("search_logs", json!({"pattern": format!("x{n}")}))]));
    let model = Scripted {
        slow: Duration::from_secs(50),
        ..Scripted::of(looks.collect())
    };
    let (result, ended) = talk(&model, true).await;
    assert_eq!(result.unwrap_err(), Stop::Late(Duration::from_secs(240)));
    assert!(ended.rounds >= 4, "what was done until then is told");
    let (result, _) = talk(&Scripted::of(vec![]), true).await;
    assert!(matches!(
        result,
        Err(Stop::Model(ModelError::Unreachable(_)))
    ));
}
