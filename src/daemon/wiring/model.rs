//! The language models behind the brain: they follow the table `[ai]`, are told no secret of
//! a process, and show on the page for Prometheus what they cost.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use brain::BrainStore;
use brain::guard::shown;
use brain::llm::{Figures, Models, Request};
use brain::redact::{Marks, RedactOptions, Redactor};
use serde_json::Value;
use supervisor::config::{AiProvider, DaemonConfig};
use supervisor::secret::Secret;
use supervisor::{Clock, ControlError, RegistryHandle};
use tokio::sync::watch;
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

/// Makes the redactor of each conversation. It knows the secrets of every process, and those
/// of the daemon's own settings: a program may print them, too.
#[derive(Clone)]
pub(crate) struct Redactors(Arc<Parts>);

struct Parts {
    registry: RegistryHandle,
    settings: watch::Receiver<Arc<DaemonConfig>>,
    /// The one before, of models and of guests: as long as the secrets are the same, the next
    /// one shares its rules.
    last: [Mutex<Option<Arc<Redactor>>>; 2],
}

impl Redactors {
    pub(crate) fn new(
        registry: RegistryHandle,
        settings: watch::Receiver<Arc<DaemonConfig>>,
    ) -> Self {
        Self(Arc::new(Parts {
            registry,
            settings,
            last: Default::default(),
        }))
    }

    /// For one conversation with a model of the settings.
    pub(super) async fn next(&self, marks: Marks) -> Arc<Redactor> {
        self.made(false, marks).await
    }

    /// For somebody else's agent. Where its model runs nobody knows: that the own one may see
    /// what looks like a secret does not hold for it.
    pub(crate) async fn for_guest(&self, marks: Marks) -> Arc<Redactor> {
        self.made(true, marks).await
    }

    /// For what is written to a file and kept. Blocks.
    pub(super) fn for_file(&self) -> Redactor {
        self.0.next(true).with(Marks::unnumbered())
    }

    /// An answer for people, without what somebody else's agent would not be told: lines of
    /// logs and causes were kept as they were printed. Equal secrets have equal marks, without
    /// a number: words of a model in it may have numbers of their own.
    pub(super) async fn hidden(&self, mut answer: Value) -> Result<Value, ControlError> {
        let redactor = self.for_guest(Marks::unnumbered()).await;
        let hidden = tokio::task::spawn_blocking(move || {
            redactor.redact_json(&mut answer);
            answer
        });
        // Rather nothing than what was not looked through.
        hidden.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })
    }

    async fn made(&self, guest: bool, marks: Marks) -> Arc<Redactor> {
        let parts = self.0.clone();
        // With many secrets its rules take a while to build.
        let made = tokio::task::spawn_blocking(move || parts.next(guest));
        let rules = made.await.unwrap_or_else(|_| self.0.next(guest));
        Arc::new(rules.with(marks))
    }

    /// A request as it would be sent, for people. Nothing is.
    pub(super) async fn shown(&self, request: Request, marks: Marks) -> String {
        let redactor = self.next(marks).await;
        let shown = tokio::task::spawn_blocking(move || shown(&redactor, &request));
        shown.await.unwrap_or_default()
    }
}

impl Parts {
    fn next(&self, guest: bool) -> Arc<Redactor> {
        let settings = self.settings.borrow().clone();
        let ai = settings.ai.as_ref();
        let options = RedactOptions {
            shapes: guest || ai.is_none_or(|ai| ai.redact),
            email: ai.is_some_and(|ai| ai.redact_email),
            ipv4: ai.is_some_and(|ai| ai.redact_ipv4),
        };
        let names = self.registry.names();
        let of_processes = names
            .iter()
            .filter_map(|name| self.registry.glance(name))
            .flat_map(|glance| glance.spec.known_values());
        // A key that is not in the settings is in a variable.
        let of_providers = AiProvider::ALL
            .into_iter()
            .filter_map(|provider| std::env::var(Models::key_variable(provider)?).ok());
        let known = of_processes
            .chain(settings.secrets())
            .chain(of_providers.map(Secret::from));
        let last = &self.last[usize::from(guest)];
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(match &*last {
            Some(last) => last.next(known, options),
            None => Redactor::new(known, options),
        });
        *last = Some(next.clone());
        next
    }
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
