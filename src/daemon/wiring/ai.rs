//! The methods `ai.*` but for `ai.diagnose`: figures first, and then what a model makes of them.
//!
//! ```text
//!   ai.predict, ai.report … ──► figures (brain::numbers) ──► answer
//!                                     └── fenced, capped ──► model ──► words beside them
//! ```
//!
//! What can be computed is computed here and is the answer, with or without a model. A model
//! adds words or proposes values, never a figure. It is not asked when the caller may only
//! look, since asking costs money.

mod anomaly;
mod compare;
mod config;
mod explain;
mod fix;
mod logs;
mod optimize;
mod postmortem;
mod predict;
mod readings;
mod report;
mod suggest;
mod tell;

use std::sync::Arc;

use agent::AgentHandle;
use async_trait::async_trait;
use brain::BrainStore;
use brain::llm::{ModelId, Models, Usage};
use brain::prompts::{Prompts, Purpose};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::config::{AiProvider, DaemonConfig};
use supervisor::metrics::Metrics;
use supervisor::store::StoreHandle;
use supervisor::{Caller, Clock, ControlError, ProcessName, RegistryHandle, Role};

use super::facts::LiveFacts;
use super::model::{Redactors, follow};
use crate::daemon::hearer::Hearer;
use crate::daemon::port::{Nothing, Port, PortMethod, read};
use tell::Manner;
use tokio::sync::watch;

const fn method(name: &'static str) -> PortMethod {
    PortMethod {
        name,
        role: Role::Viewer,
        changes: false,
        streams: true,
    }
}

/// What is answered with settings, which a person may have written to a file, and with nothing
/// that a process printed.
const SETTINGS: [Purpose; 3] = [Purpose::Fix, Purpose::Optimize, Purpose::Config];

/// What this port answers.
pub(super) const METHODS: [PortMethod; 13] = [
    method("ai.predict"),
    method("ai.anomaly"),
    method("ai.compare"),
    method("ai.report"),
    method("ai.logs"),
    method("ai.optimize"),
    method("ai.suggest"),
    method("ai.explain"),
    method("ai.fix"),
    method("ai.config"),
    method("ai.postmortem"),
    method("ai.models"),
    PortMethod {
        name: "ai.tried",
        role: Role::Operator,
        changes: true,
        streams: false,
    },
];

/// Reads the past and the present, and asks a model about it.
pub(super) struct AiPort {
    pub(super) registry: RegistryHandle,
    pub(super) store: StoreHandle,
    pub(super) metrics: Metrics,
    pub(super) memory: BrainStore,
    pub(super) facts: Arc<LiveFacts>,
    pub(super) agent: AgentHandle,
    pub(super) models: Models,
    pub(super) redactors: Redactors,
    pub(super) settings: watch::Receiver<Arc<DaemonConfig>>,
    pub(super) prompts: Prompts,
    pub(super) clock: Clock,
}

/// A trial of settings: one small question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    provider: AiProvider,
    model: String,
    prompt_tokens: u16,
    answer_tokens: u16,
}

/// Longest name of a model, in characters.
const MODEL: usize = 200;

/// A process, or all of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Whose {
    name: Option<String>,
}

impl AiPort {
    /// A process that exists.
    fn known(&self, name: &str) -> Result<ProcessName, ControlError> {
        let not_found = || ControlError::NotFound {
            // Whatever was typed is told and recorded.
            target: brain::investigate::clean(name, 100),
            near: Vec::new(),
        };
        let name: ProcessName = name.parse().map_err(|_| not_found())?;
        if self.registry.names().contains(&name) {
            Ok(name)
        } else {
            Err(not_found())
        }
    }

    /// Counts what a trial of the settings cost: it was made by whoever wrote them.
    async fn tried(&self, params: Tried) -> Result<Value, ControlError> {
        let config = self.settings.borrow().clone();
        follow(&self.models, &config).await;
        let usage = Usage {
            prompt_tokens: params.prompt_tokens.into(),
            answer_tokens: params.answer_tokens.into(),
            estimated: false,
        };
        let model = ModelId {
            provider: params.provider.as_str().to_owned(),
            model: brain::investigate::clean(&params.model, MODEL),
        };
        let counted = self.models.count_trial(&model, usage).await;
        counted.map_err(|error| ControlError::Store {
            message: error.to_string(),
        })?;
        Ok(json!({ "counted": true }))
    }

    /// Who is set up and what was spent, with the settings that were in force when it was asked.
    async fn report_of_models(&self) -> Value {
        let config = self.settings.borrow().clone();
        follow(&self.models, &config).await;
        json!(self.models.report())
    }

    /// Tells whoever listens what was found here, without what nobody is shown.
    async fn tell_found(&self, hearer: &Hearer, local: &Value) -> Result<(), ControlError> {
        if !hearer.is_nobody() {
            hearer.local(&self.redactors.hidden(local.clone()).await?);
        }
        Ok(())
    }

    /// What was found here, without what nobody is shown.
    async fn looked_through<T: Serialize + DeserializeOwned>(
        &self,
        found: &T,
    ) -> Result<T, ControlError> {
        let hidden = self.redactors.hidden(json!(found)).await?;
        serde_json::from_value(hidden).map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })
    }

    /// The one that is meant, or all.
    fn meant(&self, whose: &Whose) -> Result<Vec<ProcessName>, ControlError> {
        match &whose.name {
            Some(name) => Ok(vec![self.known(name)?]),
            None => Ok(self.registry.names()),
        }
    }

    /// What a method answers, as it was found.
    async fn answered(
        &self,
        method: &str,
        params: Value,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let found = match method {
            "ai.predict" => self.predict(read(method, params)?).await?,
            "ai.anomaly" => self.anomaly(read(method, params)?).await?,
            "ai.compare" => self.compare(read(method, params)?).await?,
            "ai.report" => return self.report(read(method, params)?, manner).await,
            "ai.logs" => return self.logs(read(method, params)?, manner).await,
            "ai.optimize" => self.optimize(read(method, params)?).await?,
            "ai.suggest" => self.suggest(read(method, params)?).await?,
            "ai.explain" => return self.explain(read(method, params)?, manner).await,
            "ai.fix" => return self.fix(read(method, params)?, manner).await,
            "ai.config" => return self.config(read(method, params)?, manner).await,
            "ai.postmortem" => return self.postmortem(read(method, params)?, manner).await,
            other => {
                return Err(ControlError::Internal {
                    message: format!("`{other}` is not answered here"),
                });
            }
        };
        self.tell(found, manner).await
    }
}

#[async_trait]
impl Port for AiPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        caller: &Caller,
        method: &str,
        mut params: Value,
    ) -> Result<Value, ControlError> {
        if method == "ai.models" {
            let Nothing {} = read(method, params)?;
            return Ok(self.report_of_models().await);
        }
        if method == "ai.tried" {
            return self.tried(read(method, params)?).await;
        }
        let manner = Manner::take(&mut params, caller)?;
        let answer = self.answered(method, params, manner).await?;
        let purpose = method.trim_start_matches("ai.").parse();
        let is_settings = purpose.is_ok_and(|purpose| SETTINGS.contains(&purpose));
        // What would be sent is shown as it would be.
        if manner.show || is_settings {
            return Ok(answer);
        }
        self.redactors.hidden(answer).await
    }
}
