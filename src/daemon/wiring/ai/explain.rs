//! `ai.explain`: what a process or a file of settings is, in words. Nothing without a model.

use brain::Facts;
use brain::prompts::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::logs::LogQuery;
use supervisor::{ControlError, ProcessName};

use super::AiPort;
use super::tell::{Manner, Task};
use crate::daemon::port::invalid;
use crate::daemon::wiring::shown::{manifest_head, script_head};

/// Lines of the log that are shown to a model.
const LINES: usize = 50;
/// Most of a file that is shown to a model, in bytes.
const HEAD: usize = 4_096;
/// Largest file of settings that is explained.
const FILE: usize = 64 * 1024;
/// Files that say what a program is, by the names that they have everywhere.
const MANIFESTS: [&str; 5] = [
    "package.json",
    "pyproject.toml",
    "Cargo.toml",
    "go.mod",
    "Gemfile",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainParams {
    name: Option<String>,
    file: Option<File>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    text: String,
}

impl AiPort {
    /// In words.
    pub(super) async fn explain(
        &self,
        params: ExplainParams,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let (local, task) = match (params.name, params.file) {
            (Some(name), None) => {
                let name = self.known(&name)?;
                let facts = self.about(&name).await?;
                (
                    json!({ "process": name }),
                    Task::prose(Purpose::Explain, Some(name.to_string()), facts),
                )
            }
            (None, Some(file)) if file.text.len() <= FILE => {
                let local = json!({ "file": file.name });
                let facts = vec![("name of the file", file.name), ("config file", file.text)];
                (local, Task::prose(Purpose::Explain, None, facts))
            }
            (None, Some(file)) => {
                return Err(invalid(format!("{} is larger than 64 KB", file.name)));
            }
            _ => return Err(invalid("ai.explain: either `name` or `file`".into())),
        };
        self.must_tell(local, task, manner).await
    }

    /// What a model needs to know of a process to speak about it.
    pub(super) async fn about(
        &self,
        name: &ProcessName,
    ) -> Result<Vec<(&'static str, String)>, ControlError> {
        let (facts, of) = (self.facts.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let process = facts.process(&of)?;
            let manifests = MANIFESTS.iter().filter_map(|file| {
                let head = manifest_head(&facts, &of, file, HEAD)?;
                Some(((*file).to_owned(), head))
            });
            let heads = script_head(&facts, &of, HEAD).into_iter().chain(manifests);
            let heads: Vec<String> = heads
                .map(|(file, head)| format!("{file}:\n{head}"))
                .collect();
            Some((json!(process).to_string(), heads.join("\n\n")))
        });
        let Some((state, heads)) = read.await.ok().flatten() else {
            return Err(ControlError::NotFound {
                target: name.to_string(),
                near: Vec::new(),
            });
        };
        let query = LogQuery {
            lines: LINES,
            ..LogQuery::default()
        };
        let page = self.lines(name, query).await?;
        let lines: Vec<String> = page
            .lines
            .iter()
            .map(|line| format!("{} {}", line.ts, line.message))
            .collect();
        let mut all = vec![("process", state), ("log", lines.join("\n"))];
        if !heads.is_empty() {
            all.push(("files", heads));
        }
        Ok(all)
    }
}
