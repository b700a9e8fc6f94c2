//! One provider after the other, rests, and the pace of a minute.

use std::time::Duration;

use brain::llm::{ModelError, Models, Silent};
use supervisor::config::{AiConfig, AiProvider, AiProviderConfig};

use crate::server::Server;
use crate::tape::Tape;
use crate::{Shown, ask, config, guarded, model, question};

/// OpenAI at one server, and behind it Ollama at another.
fn both(first: &Server, second: &Server) -> AiConfig {
    let mut both = config(AiProvider::Openai, first);
    both.fallback = vec![AiProvider::Ollama];
    let own = AiProviderConfig {
        base_url: Some(second.url.clone()),
        model: Some("qwen".into()),
        ..AiProviderConfig::default()
    };
    both.providers.insert("ollama".into(), own);
    both
}

#[tokio::test]
async fn the_next_one_answers_when_the_first_does_not() {
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("Disk full.")]);
    for (status, requests) in [(500, 3), (401, 1), (404, 1)] {
        let first = Server::start(vec![Tape(AiProvider::Openai).error(status, "no")]);
        let reply = ask(&model(&both(&first, &second))).await.unwrap();
        let by = reply.by.unwrap();
        assert_eq!(
            (by.provider.as_str(), by.model.as_str()),
            ("ollama", "qwen")
        );
        assert_eq!(first.asked().len(), requests);
    }
}

#[tokio::test]
async fn one_that_takes_in_less_is_asked_only_what_fits() {
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("Disk full.")]);
    let first = Server::start(vec![Tape(AiProvider::Openai).error(401, "no")]);
    let mut config = both(&first, &second);
    let long = question(&"a line of the log\n".repeat(800));
    let error = model(&config).ask(&long, &Silent).await.unwrap_err();
    assert_eq!(error, ModelError::Unauthorised { status: 401 });
    assert!(second.asked().is_empty(), "it would cut the rules off");
    let own = config.providers.get_mut("ollama").unwrap();
    own.context_tokens = Some(9_000);
    let reply = model(&config).ask(&long, &Silent).await.unwrap();
    assert_eq!(reply.text, "Disk full.");
}

#[tokio::test]
async fn one_without_a_key_does_not_keep_the_others_from_being_asked() {
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("Disk full.")]);
    let mut config = both(&second, &second);
    config.api_key = None;
    config.base_url = None;
    let models = Models::none();
    models.configure_with(Some(&config), &|_| None);
    let reply = ask(&guarded(models.current().unwrap())).await.unwrap();
    assert_eq!(reply.text, "Disk full.");
    let report = models.report();
    assert_eq!((report.why_nobody, report.members.len()), (None, 1));
    assert!(
        report.left_out[0].contains("OPENAI_API_KEY"),
        "{:?}",
        report.left_out
    );
}

#[tokio::test]
async fn a_slow_one_leaves_the_next_one_time() {
    let mut slow = Tape(AiProvider::Openai).pieces(&["a"], None);
    slow.pause = Duration::from_secs(30);
    let first = Server::start(vec![slow]);
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("Disk full.")]);
    let mut config = both(&first, &second);
    config.timeout = Duration::from_secs(4);
    assert_eq!(ask(&model(&config)).await.unwrap().text, "Disk full.");
}

#[tokio::test]
async fn nobody_else_goes_on_with_an_answer_that_somebody_sees() {
    let mut cut = Tape(AiProvider::Openai).pieces(&["Disk ", "full."], None);
    cut.body.truncate(1);
    let first = Server::start(vec![cut]);
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("Port taken.")]);
    let model = model(&both(&first, &second));
    let shown = Shown::default();
    let error = model.ask(&question("Why?"), &shown).await;
    assert!(
        matches!(error, Err(ModelError::Unreachable(_))),
        "{error:?}"
    );
    assert_eq!(*shown.0.lock().unwrap(), ["Disk "]);
    let reply = model.ask(&question("Why?"), &Silent).await.unwrap();
    assert_eq!(reply.text, "Port taken.");
}

#[tokio::test]
async fn who_wants_more_time_than_there_is_rests() {
    let tape = Tape(AiProvider::Openai);
    let limited = tape.error(429, "slow down").with("retry-after: 90");
    let server = Server::start(vec![limited]);
    let model = model(&config(AiProvider::Openai, &server));
    let wait = Some(Duration::from_secs(90));
    let error = ask(&model).await.unwrap_err();
    assert_eq!(error, ModelError::RateLimited { retry_after: wait });
    let error = ask(&model).await.unwrap_err();
    assert!(
        matches!(error, ModelError::Resting(rest) if rest > Duration::from_secs(60)),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1, "it is left alone");
}

#[tokio::test]
async fn who_wants_to_be_left_alone_for_ever_gets_a_day() {
    let tape = Tape(AiProvider::Openai);
    let limited = tape
        .error(429, "slow down")
        .with("retry-after: 18446744073709551615");
    let server = Server::start(vec![limited]);
    let model = model(&config(AiProvider::Openai, &server));
    ask(&model).await.unwrap_err();
    let error = ask(&model).await.unwrap_err();
    let day = Duration::from_secs(24 * 3_600);
    assert!(
        matches!(error, ModelError::Resting(rest) if rest <= day),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_account_is_not_asked_again() {
    let body = r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#;
    let server = Server::start(vec![crate::server::Answer::json(429, body)]);
    let error = ask(&model(&config(AiProvider::Openai, &server)))
        .await
        .unwrap_err();
    assert!(matches!(&error, ModelError::Refused { status: 429, text } if text.contains("quota")));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_minute_has_its_pace() {
    let server = Server::start(vec![Tape(AiProvider::Openai).whole("Disk full.")]);
    let mut config = config(AiProvider::Openai, &server);
    config.requests_per_minute = 2;
    config.timeout = Duration::from_secs(5);
    let model = model(&config);
    for _ in 0..2 {
        ask(&model).await.unwrap();
    }
    let error = ask(&model).await.unwrap_err();
    assert!(error.to_string().contains("requests_per_minute"), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn settings_change_while_the_handle_stays() {
    let server = Server::start(vec![Tape(AiProvider::Groq).whole("Disk full.")]);
    let models = Models::none();
    let error = models.current().err().unwrap().to_string();
    assert!(error.contains("mhost ai setup"), "{error}");
    let without_key = AiConfig::new(AiProvider::Groq);
    models.configure_with(Some(&without_key), &|_| None);
    let error = models.current().err().unwrap().to_string();
    assert!(error.contains("GROQ_API_KEY"), "{error}");
    let config = config(AiProvider::Groq, &server);
    models.configure_with(Some(&config), &|_| None);
    let handed_out = guarded(models.current().unwrap());
    ask(&handed_out).await.unwrap();
    models.configure_with(None, &|_| None);
    assert!(models.current().is_err());
    ask(&handed_out)
        .await
        .expect("a conversation is not cut short");
    let report = models.report();
    assert_eq!(report.today.requests, 2, "what was spent is not forgotten");
    assert!(report.why_nobody.is_some());
}

#[tokio::test]
async fn a_cap_on_cost_needs_to_know_the_price() {
    let mut config = AiConfig::new(AiProvider::Openai);
    config.api_key = Some("sk-1".into());
    config.model = Some("gpt-99".into());
    config.max_cost_per_day = Some(1.0);
    let models = Models::none();
    models.configure_with(Some(&config), &|_| None);
    let error = models.current().err().unwrap().to_string();
    assert!(error.contains("[ai.prices.\"gpt-99\"]"), "{error}");
    let price = supervisor::config::AiPrice {
        prompt: 1.0,
        answer: 2.0,
    };
    config.prices.insert("gpt-99".into(), price);
    models.configure_with(Some(&config), &|_| None);
    assert!(models.current().is_ok());
}
