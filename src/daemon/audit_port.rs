//! `audit.query`: the newest rows of the audit log.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::audit::Audit;
use supervisor::{Caller, ControlError, Role};

use super::port::{self, Port, PortMethod};

const METHODS: [PortMethod; 1] = [PortMethod {
    name: "audit.query",
    role: Role::Admin,
    changes: false,
    streams: false,
}];

/// Answers questions about the audit log.
pub(crate) struct AuditPort {
    audit: Audit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    #[serde(default = "default_limit")]
    limit: usize,
    since: Option<Timestamp>,
}

fn default_limit() -> usize {
    50
}

impl AuditPort {
    pub(crate) fn new(audit: Audit) -> Self {
        Self { audit }
    }
}

#[async_trait]
impl Port for AuditPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        _caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        let query: Query = port::read(method, params)?;
        let audit = self.audit.clone();
        let rows = tokio::task::spawn_blocking(move || audit.query(query.limit, query.since))
            .await
            .map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })?
            .map_err(|error| ControlError::Unavailable {
                what: "the audit log".into(),
                remedy: error.to_string(),
            })?;
        Ok(json!({ "rows": rows }))
    }
}
