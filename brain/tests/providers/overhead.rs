//! What mhost itself adds to a round: everything but the model's own time. `docs/benchmarks.md`
//! says how to have it printed for a release build.

use brain::BrainStore;
use brain::llm::{Models, Silent};
use supervisor::Clock;
use supervisor::config::AiProvider;
use tokio::time::Instant;

use crate::server::Server;
use crate::tape::Tape;
use crate::{config, guarded, question, with_tool};

/// Rounds that are measured.
const ROUNDS: usize = 100;

/// Twenty milliseconds are the goal. It is printed and not asserted: a machine may be busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_costs_little() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let opened = tokio::task::spawn_blocking(move || BrainStore::open(&path));
    let (store, _thread) = opened.await.unwrap().unwrap();
    let models = Models::open(store, Clock::system()).await;
    for provider in [AiProvider::Openai, AiProvider::Anthropic] {
        let server = Server::start(vec![Tape(provider).pieces(&["word "; 20], None)]);
        let mut config = config(provider, &server);
        config.requests_per_minute = 10_000;
        config.max_calls_per_hour = 10_000;
        models.configure_with(Some(&config), &|_| None);
        let model = guarded(models.current().unwrap());
        let request = with_tool(question(&"log:1 connection refused ".repeat(400)));
        let mut took = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            model.ask(&request, &Silent).await.unwrap();
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let at = |share: usize| took[ROUNDS * share / 100];
        let (median, late) = (at(50), at(95));
        let text =
            format!("{provider:?}: median {median:?}, 95 % within {late:?}, {ROUNDS} rounds\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
}
