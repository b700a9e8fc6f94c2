//! `mhost ai explain`: what a process or a file of settings is, in words.
//!
//! A file is read by whoever types, who may be root, and its text leaves the machine. So only
//! what a model could look up by itself is sent without a question: files in the working folder
//! of a process, by the same list of names.

use std::path::Path;

use brain::investigate::may_show;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::config::is_project_file;

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::text::clean_line;

/// Largest file that is read.
const LARGEST: u64 = 64 * 1024;

/// Explain a process, or a file of settings, in words
///
/// Needs a model. What is a file here is a file; a process of that name wins. A model is told a
/// config file of mhost, and a source, settings or text file in the working folder of a process;
/// before any other file is sent you are asked.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The process, or a file such as mhost.toml
    what: String,
    #[command(flatten)]
    manner: Manner,
}

impl Explain {
    /// Asks and shows the words.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let path = Path::new(&self.what);
        let is_file = path.is_file();
        let processes = if is_file { processes(ctx)? } else { Vec::new() };
        let params = if is_file && !processes.iter().any(|one| one.name == self.what) {
            let failed = |error: std::io::Error| {
                CliError::failure(format!("could not read {}: {error}", self.what))
            };
            if path.metadata().map_err(failed)?.len() > LARGEST {
                return Err(CliError::failure(format!(
                    "{} is larger than 64 KB",
                    self.what
                )));
            }
            let text = std::fs::read(path).map_err(failed)?;
            // What is only shown to whoever may read the file goes nowhere.
            if !self.manner.only_shows() {
                may_be_sent(ctx, path, &processes)?;
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            json!({ "file": { "name": self.what, "text": text } })
        } else {
            json!({ "name": self.what })
        };
        tell(ctx, "ai.explain", params, self.manner, |_| Ok(()))
    }
}

#[derive(Debug, Deserialize)]
struct Processes {
    processes: Vec<Row>,
}

/// A process, and where it works.
#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    cwd: String,
}

fn processes(ctx: &Context) -> Result<Vec<Row>, CliError> {
    let list: Processes = ctx.call("process.list", json!({}))?;
    Ok(list.processes)
}

/// Asks before the text of a file leaves that a model could not look up by itself: whoever
/// types may read more than a model should.
fn may_be_sent(ctx: &Context, path: &Path, processes: &[Row]) -> Result<(), CliError> {
    let why = match path.canonicalize() {
        Ok(path) if is_project_file(&path) => return Ok(()),
        Ok(path) => match why_not(&path, processes) {
            Some(why) => why,
            None => return Ok(()),
        },
        Err(error) => error.to_string(),
    };
    let file = path.to_string_lossy();
    let file = clean_line(&file);
    let asked = ctx.confirm(&format!(
        "Send {file} to a model? Of itself it may not read it: {why}"
    ));
    asked.map_err(|error| match error.exit() {
        Exit::Config => CliError::config(format!("{file} is not sent to a model unasked: {why}"))
            .with_help("add --yes to send it all the same, or --show-context to see what would be"),
        _ => error,
    })
}

/// Why a model may not look this file up; none if it may.
fn why_not(path: &Path, processes: &[Row]) -> Option<String> {
    let mut why = None;
    for process in processes {
        let folder = Path::new(&process.cwd).canonicalize();
        let Some(inside) = folder
            .ok()
            .and_then(|folder| path.strip_prefix(folder).ok())
        else {
            continue;
        };
        match may_show(&inside.to_string_lossy()) {
            Ok(()) => return None,
            Err(error) => why = Some(error),
        }
    }
    Some(why.unwrap_or_else(|| "it lies in the working folder of no process".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_told_what_it_could_look_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = folder
            .path()
            .canonicalize()
            .expect("it is there")
            .join("app");
        std::fs::create_dir(&app).expect("a folder");
        let row = |cwd: &Path| Row {
            name: "api".into(),
            cwd: cwd.to_string_lossy().into_owned(),
        };
        let all = [row(&app.join("gone")), row(&app)];
        let why = |name: &str| why_not(&app.join(name), &all);
        assert_eq!(why("server.js"), None);
        assert_eq!(why("conf/app.yml"), None);
        for (name, word) in [
            (".env", "hidden"),
            ("secrets.toml", "secret"),
            ("id_rsa", "only files that end in"),
        ] {
            let told = why(name).expect(name);
            assert!(told.contains(word), "{told}");
        }
        let outside = why_not(Path::new("/etc/shadow"), &all).expect("a reason");
        assert!(outside.contains("no process"), "{outside}");
        let inside_and_hidden = [row(folder.path()), row(&app)];
        assert_eq!(why_not(&app.join("a.js"), &inside_and_hidden), None);
    }
}
