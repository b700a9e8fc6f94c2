//! The methods `metrics.history`, `metrics.start` and `metrics.stop`.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::metrics::{History, Metric, Metrics};
use supervisor::{Caller, Clock, ControlError, RegistryHandle, Role, Target};

use super::endpoint::Endpoint;
use crate::daemon::port::{Nothing, Port, PortMethod, invalid, read};

const METHODS: [PortMethod; 3] = [
    PortMethod {
        name: "metrics.history",
        role: Role::Viewer,
        changes: false,
        streams: false,
    },
    PortMethod {
        name: "metrics.start",
        role: Role::Admin,
        changes: true,
        streams: false,
    },
    PortMethod {
        name: "metrics.stop",
        role: Role::Admin,
        changes: true,
        streams: false,
    },
];

/// How far back when nobody says.
const SINCE: Duration = Duration::from_secs(24 * 3_600);
/// Steps when nobody says how many: a day by the minute.
const STEPS: usize = 1_440;
/// Most steps: a day by the sample.
const MOST_STEPS: usize = 17_280;

/// Answers questions about the past, and turns the endpoint on and off.
pub(crate) struct MetricsPort {
    pub(crate) registry: RegistryHandle,
    pub(crate) metrics: Metrics,
    pub(crate) endpoint: Endpoint,
    pub(crate) clock: Clock,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryParams {
    name: String,
    #[serde(default)]
    metrics: Vec<Metric>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    steps: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartParams {
    listen: Option<SocketAddr>,
}

impl MetricsPort {
    async fn history(&self, params: HistoryParams) -> Result<Value, ControlError> {
        let now = self.clock.now();
        let back = SignedDuration::try_from(SINCE).unwrap_or(SignedDuration::ZERO);
        let until = params.until.unwrap_or(now);
        let since = params
            .since
            .unwrap_or_else(|| until.checked_sub(back).unwrap_or(Timestamp::MIN));
        if since > until {
            return Err(invalid(
                "metrics.history: it ends before it begins".to_owned(),
            ));
        }
        let metrics = if params.metrics.is_empty() {
            vec![Metric::Cpu, Metric::Memory]
        } else {
            params.metrics
        };
        let steps = params.steps.unwrap_or(STEPS).clamp(1, MOST_STEPS);
        let mut all = Vec::new();
        for instance in self.registry.resolve(&Target(params.name))? {
            for metric in &metrics {
                let question = History {
                    metric: *metric,
                    since,
                    until,
                    steps,
                };
                let series = self.metrics.history(&instance, question).await;
                all.push(series.map_err(|error| ControlError::Unavailable {
                    what: "the history of metrics".into(),
                    remedy: error.to_string(),
                })?);
            }
        }
        Ok(json!({ "series": all }))
    }
}

#[async_trait]
impl Port for MetricsPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        _caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        match method {
            "metrics.history" => self.history(read(method, params)?).await,
            "metrics.start" => {
                let StartParams { listen } = read(method, params)?;
                match self.endpoint.switch_on(listen).await {
                    Ok(url) => Ok(json!({ "url": url })),
                    Err(error) => Err(ControlError::Unavailable {
                        what: "this address for metrics".into(),
                        remedy: format!(
                            "{error}; try another: mhost metrics start --listen 127.0.0.1:9162"
                        ),
                    }),
                }
            }
            _ => {
                let Nothing {} = read(method, params)?;
                Ok(json!({ "was_served": self.endpoint.switch_off().await }))
            }
        }
    }
}
