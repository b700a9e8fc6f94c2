//! Brains of other people: a program, or an HTTP endpoint.
//!
//! ```text
//!   incident + snapshot ──one line of JSON──► program (stdin) · endpoint (POST)
//!        typed proposal ◄── checked ◄──one line of JSON── (stdout) · body
//! ```
//!
//! What comes back is untrusted: only known actions pass, evidence must have been in the
//! question, texts are cut, and the proposal goes through the same gate with a ceiling of its
//! own. A program is started for each question and killed when its time is over, so that
//! nothing of it stays behind. The schema is `docs/external-brain.schema.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent::policy::Autonomy;
use brain::{Evidence, Facts, Incident, PlaybookId, Proposal, Snapshot, plan_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::config::ExternalBrainConfig;

use supervisor::OsText;
use supervisor::spec::Sandbox;
use supervisor::sys::{Script, run_script};
use tracing::warn;

/// The version of the question.
const SCHEMA: u32 = 1;
/// Longest answer that is read.
const ANSWER: usize = 64 * 1024;
/// Longest cause and evidence, in characters.
const TEXT: usize = 600;
/// Steps of a plan that are taken.
const STEPS: usize = 5;
/// After so many failures in a row it is not asked for a while.
const FAILURES: u32 = 3;
/// How long.
const REST: Duration = Duration::from_secs(300);

/// How a brain did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Statistics {
    asked: u64,
    proposed: u64,
    silent: u64,
    failed: u64,
    failed_in_a_row: u32,
    average_ms: f64,
    last_error: Option<String>,
    #[serde(skip)]
    rests_until: Option<jiff::Timestamp>,
}

/// One brain of somebody else.
#[derive(Debug)]
pub(super) struct External {
    name: String,
    config: ExternalBrainConfig,
    folder: PathBuf,
    client: Option<reqwest::Client>,
    statistics: Mutex<Statistics>,
}

/// Why there is no proposal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it took longer than {0:?}")]
    Late(Duration),
    #[error("its answer is larger than 64 KiB")]
    Large,
    #[error("its answer is no proposal: {0}")]
    Nonsense(String),
    #[error("it ended with {0}")]
    Exit(String),
    #[error("it could not be asked: {0}")]
    Unreachable(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default)]
    cause: String,
    #[serde(default)]
    confidence: f64,
    #[serde(default)]
    actions: Vec<Value>,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

impl External {
    pub(super) fn new(name: &str, config: ExternalBrainConfig, folder: PathBuf) -> Self {
        let client = config.url.as_ref().and_then(|_| {
            reqwest::Client::builder()
                .timeout(config.timeout)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .ok()
        });
        Self {
            name: name.to_owned(),
            config,
            folder,
            client,
            statistics: Mutex::default(),
        }
    }

    /// The most it may do by itself.
    pub(super) fn ceiling(&self) -> Autonomy {
        self.config.autonomy
    }

    /// How it is asked.
    pub(super) fn kind(&self) -> &'static str {
        if self.config.url.is_some() {
            "http"
        } else {
            "program"
        }
    }

    /// The name its proposals carry.
    pub(super) fn playbook(&self) -> String {
        format!("external:{}", self.name)
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Statistics> {
        self.statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it about an incident. Blocking, at most its time limit.
    pub(super) fn propose(
        &self,
        incident: &Incident,
        seen: Option<&Snapshot>,
        facts: &dyn Facts,
    ) -> Option<Proposal> {
        let begun = facts.now();
        if self.lock().rests_until.is_some_and(|end| begun < end) {
            return None;
        }
        let question = json!({
            "schema": SCHEMA,
            "incident": {
                "id": incident.id.to_string(),
                "process": incident.process,
                "title": incident.title,
                "opened": incident.opened,
                "symptoms": incident.symptoms,
            },
            "facts": seen,
        });
        let answered = self.ask(&question);
        let took = supervisor::until(begun, facts.now()).as_secs_f64() * 1000.0;
        let result = answered.and_then(|text| self.read(&text, incident, &question));
        let mut statistics = self.lock();
        statistics.asked += 1;
        statistics.average_ms += (took - statistics.average_ms) / statistics.asked as f64;
        match result {
            Ok(proposal) => {
                statistics.failed_in_a_row = 0;
                match &proposal {
                    Some(_) => statistics.proposed += 1,
                    None => statistics.silent += 1,
                }
                proposal
            }
            Err(error) => {
                warn!(brain = self.name, %error, "An external brain failed.");
                statistics.failed += 1;
                statistics.failed_in_a_row += 1;
                statistics.last_error = Some(error.to_string());
                if statistics.failed_in_a_row >= FAILURES {
                    statistics.failed_in_a_row = 0;
                    statistics.rests_until = Some(supervisor::after(facts.now(), REST));
                }
                None
            }
        }
    }

    fn ask(&self, question: &Value) -> Result<String, Failure> {
        let runtime = tokio::runtime::Handle::current();
        match (&self.client, &self.config.url) {
            (Some(client), Some(url)) => runtime.block_on(self.post(client, url, question)),
            _ => runtime.block_on(self.run(question)),
        }
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        url: &str,
        question: &Value,
    ) -> Result<String, Failure> {
        let unreachable = |error: reqwest::Error| {
            if error.is_timeout() {
                Failure::Late(self.config.timeout)
            } else {
                Failure::Unreachable(error.without_url().to_string())
            }
        };
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .body(question.to_string());
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(Failure::Exit(format!(
                "status {}",
                response.status().as_u16()
            )));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER {
                return Err(Failure::Large);
            }
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The question and the answer go through two files: what a probe may print is too short.
    async fn run(&self, question: &Value) -> Result<String, Failure> {
        let written = |error: std::io::Error| Failure::Unreachable(error.to_string());
        let folder = self.folder.join(format!("ask-{}", self.name));
        tokio::fs::create_dir_all(&folder).await.map_err(written)?;
        let (asked, answered) = (folder.join("question"), folder.join("answer"));
        tokio::fs::write(&asked, format!("{question}\n"))
            .await
            .map_err(written)?;
        let quoted = |path: &PathBuf| shell_words::quote(&path.to_string_lossy()).into_owned();
        let command = format!(
            "{{ {}; }} < {} 2>/dev/null | head -c {} > {}",
            shell_words::join(&self.config.command),
            quoted(&asked),
            ANSWER + 1,
            quoted(&answered)
        );
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let script = Script {
            command,
            cwd: self.folder.clone(),
            // Not the daemon's environment: it may hold secrets.
            env: BTreeMap::from([("PATH".to_owned(), OsText(path))]).into(),
            user: None,
            group: None,
            sandbox: Sandbox::default(),
            beside: None,
        };
        let outcome = run_script(&script, self.config.timeout)
            .await
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let text = tokio::fs::read(&answered).await.unwrap_or_default();
        let _ = tokio::fs::remove_dir_all(&folder).await;
        if outcome.timed_out {
            return Err(Failure::Late(self.config.timeout));
        }
        if text.len() > ANSWER {
            return Err(Failure::Large);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The proposal in an answer; an empty one and `null` are silence.
    fn read(
        &self,
        text: &str,
        incident: &Incident,
        question: &Value,
    ) -> Result<Option<Proposal>, Failure> {
        let line = text.lines().find(|line| !line.trim().is_empty());
        let Some(line) = line else {
            return Ok(None);
        };
        // An endpoint may answer over several lines.
        let value: Value = serde_json::from_str(line)
            .or_else(|_| serde_json::from_str(text))
            .map_err(|error| Failure::Nonsense(error.to_string()))?;
        if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(None);
        }
        let reply: Reply =
            serde_json::from_value(value).map_err(|error| Failure::Nonsense(error.to_string()))?;
        if reply.actions.is_empty() {
            return Ok(None);
        }
        if reply.actions.len() > STEPS {
            return Err(Failure::Nonsense(format!("{STEPS} actions are allowed")));
        }
        let process = incident.process.as_str();
        let said = clean(&reply.cause);
        let cause = if said.contains(process) {
            said
        } else {
            format!("`{process}`: {said}")
        };
        let plan = plan_of(&reply.actions, &cause).map_err(Failure::Nonsense)?;
        let known = ids(question);
        Ok(Some(Proposal {
            cause,
            confidence: if reply.confidence.is_finite() {
                reply.confidence.clamp(0.0, 1.0)
            } else {
                0.0
            },
            evidence: reply
                .evidence
                .into_iter()
                .filter(|one| known.contains(&one.id))
                .take(12)
                .map(|one| Evidence {
                    id: one.id,
                    text: clean(&one.text),
                })
                .collect(),
            plan,
            playbook: PlaybookId(self.playbook()),
            version: None,
        }))
    }
}

/// Ids that the question showed: evidence must be one of them.
fn ids(question: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let facts = &question["facts"];
    for (list, prefix) in [("events", "event"), ("lines", "log")] {
        for one in facts[list].as_array().into_iter().flatten() {
            match &one["id"] {
                Value::String(id) => all.push(format!("{prefix}:{id}")),
                Value::Number(id) => all.push(format!("{prefix}:{id}")),
                _ => {}
            }
        }
    }
    for symptom in question["incident"]["symptoms"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(id) = symptom["event"].as_i64() {
            all.push(format!("event:{id}"));
        }
    }
    all.extend(["metric:cpu", "metric:rss", "probe:health"].map(str::to_owned));
    all
}

/// A text from outside, short and without controls.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident() -> Incident {
        serde_json::from_value(json!({
            "id": 7, "process": "api", "opened": "2026-01-01T00:00:00Z", "closed": null,
            "state": "open", "symptoms": [], "fingerprint": null, "title": "t",
        }))
        .unwrap()
    }

    fn external() -> External {
        let config = ExternalBrainConfig {
            command: vec!["true".into()],
            ..ExternalBrainConfig::default()
        };
        External::new("mine", config, PathBuf::from("/tmp"))
    }

    fn read(text: &str) -> Result<Option<Proposal>, String> {
        let question = json!({"facts": {"events": [{"id": 12}], "lines": []}});
        external()
            .read(text, &incident(), &question)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_becomes_a_typed_proposal_or_nothing() {
        let found = read(
            r#"{"cause":"it \u001b[31mleaks","confidence":7,"actions":[{"action":"restart","instance":null}],
                "evidence":[{"id":"event:12","text":"x"},{"id":"event:13","text":"invented"}]}"#,
        )
        .unwrap()
        .unwrap();
        assert_eq!(found.cause, "`api`: it [31mleaks");
        assert_eq!(found.confidence, 1.0);
        assert_eq!(found.evidence.len(), 1, "only what the question showed");
        assert_eq!(found.playbook.0, "external:mine");
        for silent in ["", "\n", "null", "{}", r#"{"cause":"all is well"}"#] {
            assert_eq!(read(silent), Ok(None), "{silent}");
        }
        for nonsense in [
            "yes",
            r#"{"actions":[{"action":"exec","command":"rm -rf /"}]}"#,
            r#"{"actions":[{"action":"restart","instance":null,"also":1}]}"#,
            r#"{"actions":["restart"]}"#,
            r#"{"order":"restart"}"#,
        ] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }
}
