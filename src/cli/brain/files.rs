//! Finding the file that a person means by a name or a path.

use std::path::{Path, PathBuf};

use brain::Format;

use super::folder;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;

/// A playbook's text, and where it lies.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The file at a path, or one of the person's own by its name. None when there is no such
/// file: a built-in playbook has none.
pub(super) fn find(ctx: &Context, what: &str) -> Result<Option<Found>, CliError> {
    let direct = Path::new(what);
    let is_path = what.contains('/') || Format::of(direct).is_some();
    let folder = folder(ctx)?;
    let paths = if is_path {
        vec![direct.to_owned()]
    } else {
        let named =
            |folder: &Path| ["rhai", "toml"].map(|end| folder.join(format!("{what}.{end}")));
        let mut all = named(&folder).to_vec();
        all.extend(named(&folder.join("learned")));
        all
    };
    let Some(path) = paths.into_iter().find(|path| path.is_file()) else {
        if is_path {
            return Err(
                CliError::new(Exit::NotFound, format!("there is no file {what}"))
                    .with_help("write one: mhost brain playbook new <name>"),
            );
        }
        return Ok(None);
    };
    read(&path).map(Some)
}

/// All files of a person's folder, learned ones excepted.
pub(super) fn all(ctx: &Context) -> Result<Vec<Found>, CliError> {
    let Ok(entries) = std::fs::read_dir(folder(ctx)?) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| Format::of(path).is_some() && path.is_file())
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Found, CliError> {
    let wrong = |why: String| CliError::config(format!("{}: {why}", path.display()));
    let format =
        Format::of(path).ok_or_else(|| wrong("a playbook ends in .rhai or .toml".to_owned()))?;
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or_else(|| wrong("its name is no text".to_owned()))?;
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Ok(Found {
        name: name.to_owned(),
        format,
        path: path.to_owned(),
        text,
    })
}

/// Where the scenario of a playbook lies.
pub(super) fn scenario(playbook: &Path, name: &str) -> PathBuf {
    let folder = playbook.parent().unwrap_or(Path::new("."));
    folder.join("scenarios").join(format!("{name}.toml"))
}
