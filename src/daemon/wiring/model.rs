//! The language models behind the brain: they follow the table `[ai]`, are told no secret of
//! a process, and show on the page for Prometheus what they cost.

use std::sync::Arc;

use async_trait::async_trait;
use brain::BrainStore;
use brain::llm::{Figures, Models};
use brain::redact::{RedactOptions, Redactor};
use supervisor::config::DaemonConfig;
use supervisor::{Clock, RegistryHandle};
use tracing::error;

use crate::daemon::metrics::{Contributor, Exposition, Kind};

/// The models of these settings, on the account that this store keeps.
pub(super) async fn open(store: BrainStore, clock: Clock, config: &DaemonConfig) -> Models {
    let models = Models::open(store, clock).await;
    follow(&models, config).await;
    models
}

/// Other settings are in force.
pub(super) async fn follow(models: &Models, config: &DaemonConfig) {
    let (models, table) = (models.clone(), config.ai.clone());
    // A client reads the certificates of the system.
    let read = tokio::task::spawn_blocking(move || models.configure(table.as_ref()));
    if let Err(error) = read.await {
        error!(%error, "The language model could not be set up.");
    }
}

/// Knows the secrets of every process, for one conversation.
pub(super) fn redactor(models: &Models, registry: &RegistryHandle) -> Arc<Redactor> {
    let options = RedactOptions {
        shapes: models.redact(),
        ..RedactOptions::default()
    };
    let names = registry.names();
    let known = names
        .iter()
        .filter_map(|name| registry.glance(name))
        .flat_map(|glance| glance.spec.secrets());
    Arc::new(Redactor::new(known, options))
}

/// Figures of the models.
pub(super) struct ModelFigures(pub(super) Models);

#[async_trait]
impl Contributor for ModelFigures {
    async fn contribute(&self, page: &mut Exposition) {
        let all = self.0.figures();
        // Without a model there is nothing to tell.
        if all.is_empty() {
            return;
        }
        page.family(
            "mhost_llm_requests_total",
            Kind::Counter,
            "Requests to language models by how they ended, since the daemon started.",
        );
        for (provider, figures) in &all {
            for (result, count) in &figures.requests {
                let labels = [("provider", provider.as_str()), ("result", result)];
                page.figure(&labels, *count as f64);
            }
        }
        type Get = fn(&Figures) -> f64;
        type Family = (&'static str, &'static str, [(&'static str, Get); 2]);
        let families: [Family; 2] = [
            (
                "mhost_llm_tokens_total",
                "Tokens of questions to language models and of their answers.",
                [
                    ("prompt", |figures| figures.prompt_tokens as f64),
                    ("answer", |figures| figures.answer_tokens as f64),
                ],
            ),
            (
                "mhost_llm_cost_usd_total",
                "What they cost by the table of prices, in US dollars.",
                [
                    ("prompt", |figures| figures.cost_usd.prompt),
                    ("answer", |figures| figures.cost_usd.answer),
                ],
            ),
        ];
        for (name, help, kinds) in families {
            page.family(name, Kind::Counter, help);
            for (provider, figures) in &all {
                for (kind, get) in kinds {
                    let labels = [("provider", provider.as_str()), ("kind", kind)];
                    page.figure(&labels, get(figures));
                }
            }
        }
    }
}
