//! The words that models are asked with: a template per purpose.
//!
//! ```text
//!   prompts/<name>.tera ── system part %% user part ──┐
//!   $MHOST_HOME/prompts/<name>.txt (system part)  ────┼─► render ──► Prompt
//!   $MHOST_HOME/prompts/system.txt (before it)    ────┘
//! ```
//!
//! Text from outside enters through `_fence.tera` alone: whatever else a template prints is
//! made one harmless line. A fence cannot be closed from inside, since its marks are taken out
//! of what it holds. Files of a person are read at each call; one that does not render is told
//! about and the built-in one is used.

mod builtin;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tera::{Context, Kwargs, State, Tera, TeraResult};

pub use builtin::{Purpose, UnknownPurpose};

use crate::words::{clean, fenced};

/// What a prompt is about. Everything in it counts as text from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The process in question.
    pub app: Option<String>,
    /// What is known, in the order in which it is told.
    pub facts: Vec<Fact>,
    /// A question of a person. It is fenced as the last fact, under the name `question`.
    pub question: Option<String>,
    /// Bytes that one fact may take.
    pub room: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            app: None,
            facts: Vec::new(),
            question: None,
            room: 24 * 1024,
        }
    }
}

impl Input {
    /// About a process.
    pub fn about(app: impl Into<String>) -> Self {
        Self {
            app: Some(app.into()),
            ..Self::default()
        }
    }

    /// With one more thing that is known.
    pub fn fact(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.facts.push(Fact {
            name: name.into(),
            text: text.into(),
        });
        self
    }
}

/// Something that is known, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is: `finding of mhost`, `log lines`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A prompt ready to be sent, and where its system part is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// Who the model is and what the rules are.
    pub system: String,
    /// What is known, and then what is wanted.
    pub user: String,
    /// Files of a person that are part of it.
    pub files: Vec<PathBuf>,
    /// Files of a person that could not be used, and why.
    pub warnings: Vec<String>,
}

impl Prompt {
    /// Is its system part that of a person's file for this purpose?
    pub fn has_own(&self, purpose: Purpose) -> bool {
        let name = format!("{purpose}.txt");
        let mut names = self.files.iter().filter_map(|path| path.file_name());
        names.any(|one| one.to_str() == Some(&name))
    }
}

/// The prompts, with those of a person. Clones read the same folder.
#[derive(Debug, Clone, Default)]
pub struct Prompts {
    folder: Option<PathBuf>,
}

/// Stands before the system prompt of every command.
const EVERY: &str = "system.txt";
/// Largest file of a person that is read.
const FILE: u64 = 64 * 1024;
/// Longest value that stands in a sentence, in characters.
const VALUE: usize = 300;
/// Separates the system part of a template from the user part.
const CUT: &str = "\n%%\n";

static TEMPLATES: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::new();
    // Suffixes say what is escaped: everything.
    tera.autoescape_on([""]);
    tera.set_escape_fn(|text, out| out.write_all(clean(text, VALUE).as_bytes()));
    tera.register_filter(
        "fenced",
        |text: &str, kwargs: Kwargs, _: &State| -> TeraResult<String> {
            Ok(fenced(text, kwargs.must_get::<usize>("room")?))
        },
    );
    let mut all: Vec<(String, &str)> = Vec::new();
    for (name, text) in builtin::PARTIALS {
        all.push((format!("_{name}.tera"), text));
    }
    for purpose in Purpose::ALL {
        let (system, user) = purpose.parts();
        all.push((format!("{purpose}.system"), system));
        all.push((format!("{purpose}.user"), user));
    }
    tera.add_raw_templates(all)
        .expect("built-in templates are valid");
    tera
});

impl Prompts {
    /// With the files of this folder in the place of built-in ones.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
        }
    }

    /// The file that takes the place of a purpose's system part, if it is there.
    pub fn file(&self, purpose: Purpose) -> Option<PathBuf> {
        self.present(&format!("{purpose}.txt"))
    }

    /// The file that stands before every system part, if it is there.
    pub fn file_of_all(&self) -> Option<PathBuf> {
        self.present(EVERY)
    }

    fn present(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.as_ref()?.join(name);
        path.is_file().then_some(path)
    }

    /// Files of the folder that look like prompts but have the name of none: nobody reads
    /// them. Reads the folder.
    pub fn unused(&self) -> Vec<PathBuf> {
        let entries = self.folder.as_ref().map(std::fs::read_dir);
        let entries = entries.into_iter().flatten().flatten().flatten();
        let mut all: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let is_used = name == EVERY
                    || name
                        .strip_suffix(".txt")
                        .is_some_and(|stem| stem.parse::<Purpose>().is_ok());
                !is_used && (name.ends_with(".txt") || name.ends_with(".tera"))
            })
            .collect();
        all.sort();
        all
    }

    /// A prompt. Reads the files of a person, if there are any: a blocking call.
    pub fn render(&self, purpose: Purpose, input: &Input) -> Prompt {
        let context = context(input);
        let mut prompt = Prompt {
            system: String::new(),
            user: String::new(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        let own = self
            .file(purpose)
            .and_then(|path| own(&path, &context, &mut prompt));
        let system = own.unwrap_or_else(|| builtin(&format!("{purpose}.system"), &context));
        let first = self
            .file_of_all()
            .and_then(|path| own_text(&path, &context, &mut prompt));
        prompt.system = match first {
            Some(first) => tidy(&format!("{first}\n\n{system}")),
            None => tidy(&system),
        };
        prompt.user = tidy(&builtin(&format!("{purpose}.user"), &context));
        prompt
    }

    /// Renders the files of a person for a purpose with an example, and says what is wrong.
    pub fn problems(&self, purpose: Purpose) -> Vec<String> {
        self.render(purpose, &purpose.example()).warnings
    }
}

fn context(input: &Input) -> Context {
    let mut input = input.clone();
    if let Some(question) = &input.question {
        let question = question.clone();
        input = input.fact("question", question);
    }
    Context::from_serialize(&input).unwrap_or_default()
}

/// A built-in part. Each is rendered by a test with every form of input.
fn builtin(name: &str, context: &Context) -> String {
    TEMPLATES.render(name, context).unwrap_or_else(|error| {
        tracing::error!(%error, name, "A built-in prompt does not render.");
        String::new()
    })
}

fn own(path: &Path, context: &Context, prompt: &mut Prompt) -> Option<String> {
    own_text(path, context, prompt)
}

fn own_text(path: &Path, context: &Context, prompt: &mut Prompt) -> Option<String> {
    let read = || -> Result<String, String> {
        let kind = path.metadata().map_err(|error| error.to_string())?;
        if kind.len() > FILE {
            return Err(format!(
                "it has {} bytes; at most {FILE} are read",
                kind.len()
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        TEMPLATES
            .render_str(&text, context, true)
            .map_err(|error| error.to_string())
    };
    match read() {
        Ok(text) => {
            prompt.files.push(path.to_owned());
            Some(text.trim().to_owned())
        }
        Err(error) => {
            prompt
                .warnings
                .push(format!("{} is not used: {}", path.display(), error.trim()));
            None
        }
    }
}

/// No empty lines at the ends, and never two in a row outside of fences.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let (mut empty, mut inside) = (true, false);
    for line in text.trim_end().lines() {
        if line.starts_with("⟦data ") {
            inside = true;
        } else if line.starts_with("⟦end of ") {
            inside = false;
        }
        let blank = line.trim().is_empty();
        if blank && empty && !inside {
            continue;
        }
        tidied.push_str(if inside { line } else { line.trim_end() });
        tidied.push('\n');
        empty = blank;
    }
    tidied.truncate(tidied.trim_end().len());
    tidied
}

#[cfg(test)]
mod tests;
