//! What is spent is counted, also by those that are gone, and caps hold.

use std::time::Duration;

use brain::llm::{ModelError, Models, Silent};
use brain::{BrainStore, BrainStoreThread, IncidentId};
use supervisor::Clock;
use supervisor::config::{AiConfig, AiPrice, AiProvider};

use crate::server::Server;
use crate::tape::{BILLED, Tape};
use crate::{ask, config, guarded, question};

/// A dollar for each thousand tokens.
fn dear(server: &Server) -> AiConfig {
    let mut dear = config(AiProvider::Openai, server);
    let price = AiPrice {
        prompt: 1_000.0,
        answer: 1_000.0,
    };
    dear.prices.insert("gpt-4o".into(), price);
    dear
}

/// What a recorded answer costs then.
const COST: f64 = (BILLED.0 + BILLED.1) as f64 / 1_000.0;

async fn open(path: &std::path::Path, config: &AiConfig) -> (Models, BrainStoreThread) {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || BrainStore::open(&path));
    let (store, thread) = opened.await.unwrap().unwrap();
    let models = Models::open(store, Clock::system()).await;
    models.configure_with(Some(config), &|_| None);
    (models, thread)
}

#[tokio::test]
async fn the_next_daemon_knows_what_was_spent_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let server = Server::start(vec![Tape(AiProvider::Openai).whole("Disk full.")]);
    let mut config = dear(&server);
    config.max_cost_per_day = Some(2.5 * COST);
    config.max_calls_per_incident = 2;
    let incident = IncidentId(4);
    let thread = {
        let (models, thread) = open(&path, &config).await;
        for _ in 0..2 {
            let model = guarded(models.for_incident(incident).unwrap());
            ask(&model).await.unwrap();
        }
        let figures = &models.figures()["openai"];
        assert_eq!(figures.prompt_tokens, 2 * BILLED.0);
        assert!((figures.cost_usd.total() - 2.0 * COST).abs() < 1e-9);
        thread
    };
    tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
    let (models, _thread) = open(&path, &config).await;
    let today = models.report().today;
    assert_eq!(
        (today.requests, today.tokens),
        (2, 2 * (BILLED.0 + BILLED.1))
    );
    let told = ask(&guarded(models.for_incident(incident).unwrap()))
        .await
        .unwrap_err();
    assert!(
        told.to_string().contains("max_calls_per_incident"),
        "{told}"
    );
    ask(&guarded(models.current().unwrap()))
        .await
        .expect("one more may pass the cap");
    let told = ask(&guarded(models.current().unwrap())).await.unwrap_err();
    assert!(matches!(told, ModelError::OverBudget(_)), "{told}");
    assert!(told.to_string().contains("max_cost_per_day"), "{told}");
    assert_eq!(server.asked().len(), 3);
    let counted = &models.figures()["openai"].requests;
    assert_eq!((counted["ok"], counted["over_budget"]), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_pass_the_cap_by_one_request_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let mut answer = Tape(AiProvider::Openai).whole("Disk full.");
    answer.pause = Duration::from_millis(20);
    let server = Server::start(vec![answer]);
    let mut config = dear(&server);
    let cap = 10.0 * COST;
    config.max_cost_per_day = Some(cap);
    config.requests_per_minute = 10_000;
    let (models, _thread) = open(&folder.path().join("history.db"), &config).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let models = models.clone();
        tasks.spawn(async move {
            let model = guarded(models.current().unwrap());
            // Those that are refused while others are under way come again.
            let mut answered = 0;
            for _ in 0..20 {
                match ask(&model).await {
                    Ok(_) => answered += 1,
                    Err(ModelError::OverBudget(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            answered
        });
    }
    let answered: u32 = tasks.join_all().await.into_iter().sum();
    let spent = models.report().today.cost_usd;
    assert!(answered > 0, "nobody was let in");
    assert!(spent <= cap + COST + 1e-9, "{spent} of {cap}");
    assert_eq!(answered as usize, server.asked().len());
}

#[tokio::test]
async fn who_goes_away_has_paid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut slow = Tape(AiProvider::Openai).pieces(&["Disk ", "full."], None);
    slow.pause = Duration::from_millis(300);
    let server = Server::start(vec![slow]);
    let (models, thread) = open(&path, &config(AiProvider::Openai, &server)).await;
    let model = guarded(models.current().unwrap());
    let long = question(&"word ".repeat(400));
    let gone = tokio::time::timeout(Duration::from_millis(450), model.ask(&long, &Silent));
    assert!(gone.await.is_err());
    let tokens = models.report().today.tokens;
    assert!((500..1_000).contains(&tokens), "{tokens} for 2,000 bytes");
    assert_eq!(models.figures()["openai"].requests["dropped"], 1);
    drop((models, model));
    tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
    let (models, _thread) = open(&path, &config(AiProvider::Openai, &server)).await;
    assert_eq!(models.report().today.tokens, tokens, "it is on record");
}

#[tokio::test]
async fn a_refusal_costs_nothing_and_a_free_model_goes_on() {
    let first = Server::start(vec![Tape(AiProvider::Openai).error(400, "no")]);
    let mut config = dear(&first);
    config.max_cost_per_day = Some(COST);
    let models = Models::none();
    models.configure_with(Some(&config), &|_| None);
    ask(&guarded(models.current().unwrap())).await.unwrap_err();
    assert_eq!(models.report().today.cost_usd, 0.0);
    let tape = Tape(AiProvider::Openai);
    first.then(vec![tape.whole("Disk full.")]);
    let second = Server::start(vec![Tape(AiProvider::Ollama).whole("for free")]);
    config.fallback = vec![AiProvider::Ollama];
    let own = supervisor::config::AiProviderConfig {
        base_url: Some(second.url.clone()),
        ..Default::default()
    };
    config.providers.insert("ollama".into(), own);
    models.configure_with(Some(&config), &|_| None);
    let model = guarded(models.current().unwrap());
    assert_eq!(ask(&model).await.unwrap().text, "Disk full.");
    assert_eq!(ask(&model).await.unwrap().text, "for free");
    assert_eq!(first.asked().len(), 2);
}
