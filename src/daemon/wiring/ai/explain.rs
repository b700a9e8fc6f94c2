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
        let (facts, registry, of) = (self.facts.clone(), self.registry.clone(), name.clone());
        let read = tokio::task::spawn_blocking(move || {
            let process = facts.process(&of)?;
            let folder = registry.glance(&of)?.spec.cwd.clone();
            let heads = MANIFESTS
                .iter()
                .filter_map(|file| Some(format!("{file}:\n{}", head(&folder, file)?)));
            Some((
                json!(process).to_string(),
                heads.collect::<Vec<_>>().join("\n\n"),
            ))
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

/// The head of a file that lies in the folder itself: no link leads out of it.
fn head(folder: &std::path::Path, file: &str) -> Option<String> {
    use std::io::Read;
    let folder = folder.canonicalize().ok()?;
    let path = folder.join(file).canonicalize().ok()?;
    if path.parent()? != folder || !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(HEAD as u64).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("app");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::fs::write(inside.join("go.mod"), "module x").unwrap();
        std::os::unix::fs::symlink("../secret", inside.join("package.json")).unwrap();
        assert_eq!(head(&inside, "go.mod").as_deref(), Some("module x"));
        assert_eq!(head(&inside, "package.json"), None);
        assert_eq!(head(&inside, "../secret"), None);
        assert_eq!(head(&inside, "Gemfile"), None);
    }
}
