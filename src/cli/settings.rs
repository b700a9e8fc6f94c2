//! Changes some keys of `config.toml`, and nothing else of it.
//!
//! The new text is checked as a whole before it takes the place of the old one, by a rename;
//! others may not read it, since it may hold a key.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use supervisor::config::{DaemonConfig, LoadContext};
use toml_edit::{DocumentMut, Item, Table, Value};

use super::ai::draft::Draft;
use super::error::CliError;

/// The file as it will be. It has been read as the daemon would read it, and is not written.
#[derive(Debug)]
pub(super) struct Checked {
    shown: String,
    target: PathBuf,
    text: String,
    /// What it says.
    pub(super) config: DaemonConfig,
    /// What in it will not work as it was meant.
    pub(super) doubts: Vec<String>,
}

/// The file with what `change` makes of it.
pub(super) fn check(
    path: &Path,
    change: impl FnOnce(&mut DocumentMut),
) -> Result<Checked, CliError> {
    let shown = path.display();
    // A link stays one.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match std::fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(CliError::config(format!("could not read {shown}: {error}")));
        }
    };
    let mut document: DocumentMut = old.parse().map_err(|why| {
        CliError::config(format!("{shown} is no TOML: {why}")).with_help("mend it first")
    })?;
    change(&mut document);
    let text = document.to_string();
    let not_written = |error| CliError::failure(format!("could not write {shown}: {error}"));
    let draft = draft(&target, &text).map_err(not_written)?;
    let context = LoadContext::within(folder(&target).to_owned());
    let read = DaemonConfig::load_with(draft.path(), &context.env);
    let (config, warnings) = read.map_err(|error| {
        let problems = error.problems().iter();
        let details = problems.map(|one| format!("line {}: {}", one.line, one.message));
        CliError::config(format!(
            "{shown} would be wrong with this; it was not written"
        ))
        .with_details(details.collect())
    })?;
    Ok(Checked {
        shown: shown.to_string(),
        target,
        text,
        config,
        doubts: warnings.into_iter().map(|one| one.message).collect(),
    })
}

impl Checked {
    /// Puts it in the place of the old one.
    pub(super) fn write(self) -> Result<(), CliError> {
        let written = draft(&self.target, &self.text).and_then(|draft| draft.put(&self.target));
        written
            .map_err(|error| CliError::failure(format!("could not write {}: {error}", self.shown)))
    }
}

/// The table of this name, made if it is not there. None where something else has its name: the
/// check of the whole says so.
pub(super) fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut Table> {
    // A table on one line becomes one of its own; the space behind its name was the line's.
    if let Some(inline) = document.get(name).and_then(Item::as_inline_table).cloned() {
        document[name] = Item::Table(inline.into_table());
        if let Some(mut key) = document.key_mut(name) {
            key.fmt();
        }
    }
    let table = document
        .entry(name)
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_mut()?;
    table.set_implicit(false);
    Some(table)
}

/// Sets a key. The comment behind the old value is about the key, and stays.
pub(super) fn set(table: &mut Table, key: &str, new: impl Into<Value>) {
    let mut new: Value = new.into();
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table[key] = Item::Value(new);
}

/// Beside the target, whose folder may not be there yet.
fn draft(target: &Path, text: &str) -> std::io::Result<Draft> {
    std::fs::create_dir_all(folder(target))?;
    Draft::beside(target, text)
}

fn folder(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn change(document: &mut DocumentMut) {
        if let Some(brain) = table(document, "brain") {
            set(brain, "cooldown", "2m");
        }
    }

    #[test]
    fn a_file_is_private_and_a_wrong_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        check(&path, change).unwrap().write().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "[brain]\ncooldown = \"2m\"\n");
        for wrong in ["[brain\n", "[agent]\nautonmy = \"semi\"\n", "brain = 1\n"] {
            std::fs::write(&path, wrong).unwrap();
            check(&path, change).unwrap_err();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
        }
        assert_eq!(
            folder.path().read_dir().unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn comments_stay_and_a_table_on_one_line_becomes_one_of_its_own() {
        let of = |old: &str| {
            let mut document = old.parse().unwrap();
            change(&mut document);
            document.to_string()
        };
        assert_eq!(
            of("# mine\n[brain] # short\ncooldown = \"1m\" # too short\n"),
            "# mine\n[brain] # short\ncooldown = \"2m\" # too short\n"
        );
        assert_eq!(
            of("brain = { learn = true }\n").trim(),
            "[brain]\nlearn = true\ncooldown = \"2m\""
        );
    }
}
