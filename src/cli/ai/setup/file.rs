//! Changes `[ai]` of config.toml, and nothing else of it.
//!
//! The new text is checked as a whole before it takes the place of the old one, by a rename;
//! others may not read it, since it may hold a key.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use supervisor::config::{AiConfig, AiProvider, DaemonConfig, LoadContext};
use supervisor::secret::Secret;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cli::ai::draft::Draft;
use crate::cli::error::CliError;

/// What is to be written. What is left out has the provider's default.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) provider: AiProvider,
    pub(super) key: Option<String>,
    pub(super) model: Option<String>,
    pub(super) base_url: Option<String>,
}

/// The file as it will be. It has been read as the daemon would read it, and is not written.
#[derive(Debug)]
pub(super) struct Checked {
    shown: String,
    target: PathBuf,
    text: String,
    /// Its table `[ai]`.
    pub(super) ai: AiConfig,
    /// All that must not be shown.
    pub(super) secrets: Vec<Secret>,
}

/// The file with what is wanted.
pub(super) fn check(path: &Path, wanted: &Wanted) -> Result<Checked, CliError> {
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
    let text = changed(&old, wanted).map_err(|why| {
        CliError::config(format!("{shown} is no TOML: {why}")).with_help("mend it first")
    })?;
    let not_written = |error| CliError::failure(format!("could not write {shown}: {error}"));
    let draft = draft(&target, &text).map_err(not_written)?;
    let context = LoadContext::within(folder(&target).to_owned());
    let read = DaemonConfig::load_with(draft.path(), &context.env);
    let (config, _) = read.map_err(|error| {
        let problems = error.problems().iter();
        let details = problems.map(|one| format!("line {}: {}", one.line, one.message));
        CliError::config(format!(
            "{shown} would be wrong with this; it was not written"
        ))
        .with_details(details.collect())
    })?;
    let secrets = config.secrets();
    let ai = config.ai.ok_or_else(|| {
        CliError::config(format!("`ai` of {shown} is no table")).with_help("mend it first")
    })?;
    Ok(Checked {
        shown: shown.to_string(),
        target,
        text,
        ai,
        secrets,
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

/// The text with the new settings.
fn changed(old: &str, wanted: &Wanted) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = old.parse()?;
    // A table on one line becomes one of its own; the space behind its name was the line's.
    if let Some(inline) = document.get("ai").and_then(Item::as_inline_table).cloned() {
        document["ai"] = Item::Table(inline.into_table());
        if let Some(mut key) = document.key_mut("ai") {
            key.fmt();
        }
    }
    let ai = document
        .entry("ai")
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(ai) = ai.as_table_mut() else {
        // Something else of that name: the check of the whole says so.
        return Ok(old.to_owned());
    };
    let before = ai.get("provider").and_then(Item::as_str);
    let before = before.and_then(|name| super::provider(name).ok());
    let is_other = before != Some(wanted.provider);
    ai.set_implicit(false);
    let mut set = |key: &str, new: Option<&str>| match new {
        Some(new) => {
            let mut new = value(new);
            // The comment behind a value is about the key.
            if let (Some(old), Some(new)) =
                (ai.get(key).and_then(Item::as_value), new.as_value_mut())
            {
                *new.decor_mut() = old.decor().clone();
            }
            ai[key] = new;
        }
        // What was said of another provider does not hold for this one.
        None if is_other => {
            ai.remove(key);
        }
        None => {}
    };
    set("provider", Some(wanted.provider.as_str()));
    set("api_key", wanted.key.as_deref());
    set("model", wanted.model.as_deref());
    set("base_url", wanted.base_url.as_deref());
    set("context_tokens", None);
    set("tools", None);
    Ok(document.to_string())
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

    fn write(path: &Path, wanted: &Wanted) -> Result<(), CliError> {
        check(path, wanted)?.write()
    }

    #[test]
    fn what_was_said_of_another_provider_goes_and_of_the_same_stays() {
        let old = "[ai]\nprovider = \"claude\"\napi_key = \"sk-old\"\nbase_url = \"https://proxy.example\"\n\
            context_tokens = 9000\nmax_tokens = 100\n";
        let only = |provider| Wanted {
            key: None,
            ..wanted(provider)
        };
        let new = changed(old, &only(AiProvider::Anthropic)).unwrap();
        assert_eq!(new, old.replace("claude", "anthropic"));
        let new = changed(old, &only(AiProvider::Ollama)).unwrap();
        assert_eq!(new, "[ai]\nprovider = \"ollama\"\nmax_tokens = 100\n");
    }

    fn wanted(provider: AiProvider) -> Wanted {
        Wanted {
            provider,
            key: Some("${MY_KEY}".into()),
            model: None,
            base_url: None,
        }
    }

    #[test]
    fn comments_and_other_tables_stay() {
        let old = "# mine\n[brain]\ncooldown = \"1m\" # short\n\n[ai] # who is asked\nprovider = \"openai\" # for now\nmodel = \"gpt-4o\"\nmax_tokens = 100\n";
        let new = changed(old, &wanted(AiProvider::Openai)).unwrap();
        let expected = old.replace(
            "max_tokens = 100\n",
            "max_tokens = 100\napi_key = \"${MY_KEY}\"\n",
        );
        assert_eq!(new, expected);
        let new = changed(old, &wanted(AiProvider::Groq)).unwrap();
        assert!(
            new.contains("provider = \"groq\" # for now\nmax_tokens = 100\n"),
            "{new}"
        );
        let new = changed(
            "ai = { provider = \"groq\", max_tokens = 9 }\n",
            &wanted(AiProvider::Groq),
        );
        assert_eq!(
            new.unwrap().trim(),
            "[ai]\nprovider = \"groq\"\nmax_tokens = 9\napi_key = \"${MY_KEY}\""
        );
    }

    #[test]
    fn a_file_is_private_and_a_wrong_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        write(&path, &wanted(AiProvider::Openai)).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "[ai]\nprovider = \"openai\"\napi_key = \"${MY_KEY}\"\n"
        );
        for wrong in ["[ai\n", "[brain]\ncoldown = \"1m\"\n", "ai = 1\n"] {
            std::fs::write(&path, wrong).unwrap();
            write(&path, &wanted(AiProvider::Openai)).unwrap_err();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
        }
        assert_eq!(
            folder.path().read_dir().unwrap().count(),
            1,
            "no draft is left"
        );
    }
}
