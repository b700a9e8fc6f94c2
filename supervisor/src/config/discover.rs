//! Which file is the project file.

use std::path::{Path, PathBuf};

use super::problem::{Problems, Source};
use super::tree::Format;

/// Names of a project file, in the order they are looked for.
pub const PROJECT_FILES: [&str; 4] = ["mhost.toml", "mhost.yaml", "mhost.yml", "mhost.json"];

/// Where [`discover`] looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// This file.
    Found(PathBuf),
    /// None; these folders were looked at.
    Nothing(Vec<PathBuf>),
}

/// Looks for a project file in `cwd`, then in its parents up to the root of the git
/// repository. Outside of a repository only `cwd` counts.
pub fn discover(cwd: &Path) -> Discovery {
    let root = cwd.ancestors().find(|folder| folder.join(".git").exists());
    let last = root.unwrap_or(cwd);
    let mut seen = Vec::new();
    for folder in cwd.ancestors() {
        let found = PROJECT_FILES
            .iter()
            .map(|name| folder.join(name))
            .find(|file| file.is_file());
        if let Some(file) = found {
            return Discovery::Found(file);
        }
        seen.push(folder.to_owned());
        if folder == last {
            break;
        }
    }
    Discovery::Nothing(seen)
}

/// Does the name end as a config file's, and does the file hold a table `process` or
/// `groups`? A file that cannot be parsed counts when it bears one of the usual names or
/// mentions such a table, so that its errors are shown.
pub fn is_project_file(path: &Path) -> bool {
    let Some(format) = Format::of(path) else {
        return false;
    };
    let usual = path
        .file_name()
        .is_some_and(|name| PROJECT_FILES.iter().any(|known| name == *known));
    let Ok(source) = Source::read(path) else {
        return usual && path.is_file();
    };
    let mut problems = Problems::new(source);
    match format.parse(&mut problems) {
        Some(root) => {
            usual
                || ["process", "groups"]
                    .iter()
                    .any(|key| root.entry(key).is_some())
        }
        None => {
            let mentions = |line: &str| {
                let line = line.trim_start_matches(['[', ' ', '\t', '"', '{']);
                line.starts_with("process") || line.starts_with("groups")
            };
            usual || problems.source.text.lines().any(mentions)
        }
    }
}
