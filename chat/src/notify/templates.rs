//! What messages say, per type of channel. A person may put files of their own in the place of
//! the built-in ones.
//!
//! Every value that a template prints is escaped for its target first, so that no name of a
//! process and no line of a log becomes markup, a mention or a link. One's own template that
//! does not render is told about, and the built-in one is used.

pub(super) mod escape;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Serialize;
use tera::{Context, Tera};

use super::Outgoing;

/// Largest file of a person that is read.
const FILE: u64 = 64 << 10;
/// Most lines of output that are shown.
const LINES: usize = 5;
/// Longest value in a message, in characters.
const VALUE: usize = 1_000;

/// One row each: the name of the file, the built-in text, the escape.
macro_rules! templates {
    ($($name:literal, $escape:ident;)*) => {
        const ALL: &[(&str, &str, tera::EscapeFn)] = &[$((
            $name,
            include_str!(concat!("../../templates/notify/", $name, ".tera")),
            |text, out| out.write_all(escape::$escape(text).as_bytes()),
        ),)*];
    };
}

templates! {
    "telegram", telegram;
    "slack", plain;
    "discord", markdown;
    "teams", plain;
    "ntfy", plain;
    "sms", line;
    "pagerduty", line;
    "opsgenie", plain;
    "email", plain;
    "email.subject", line;
    "email.html", entities;
}

static BUILTIN: LazyLock<Vec<(&str, Tera)>> = LazyLock::new(|| {
    let engine = |(name, text, escape): &(&'static str, &str, tera::EscapeFn)| {
        let mut tera = Tera::new();
        // Suffixes say what is escaped: everything.
        tera.autoescape_on([""]);
        tera.set_escape_fn(*escape);
        tera.add_raw_templates([(*name, *text)])
            .expect("built-in templates are valid");
        (*name, tera)
    };
    ALL.iter().map(engine).collect()
});

/// The templates, with those of a person. Clones read the same folder.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    folder: Option<PathBuf>,
}

/// What templates see.
#[derive(Serialize)]
struct Seen<'a> {
    title: String,
    text: String,
    event: &'a str,
    severity: &'a str,
    sign: &'a str,
    resolves: bool,
    process: String,
    host: &'a str,
    incident: &'a str,
    time: String,
    suppressed: u32,
    fields: Vec<Field>,
    last_lines: Vec<String>,
    lines: Vec<Field>,
    unnamed: u32,
    links: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: String,
}

impl Templates {
    /// With the files of this folder in the place of built-in ones.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
        }
    }

    /// Names of all templates: of files without `.tera`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|(name, ..)| *name)
    }

    /// What one of them says about a message. Reads the file of a person, if there is one.
    pub(super) async fn render(&self, name: &'static str, message: &Outgoing) -> String {
        let context = context(message);
        let own = self
            .folder
            .as_ref()
            .map(|one| one.join(format!("{name}.tera")));
        let rendered = tokio::task::spawn_blocking(move || {
            own.filter(|path| path.is_file())
                .and_then(|path| match own_text(&path, name, &context) {
                    Ok(text) => Some(text),
                    Err(error) => {
                        let path = path.display().to_string();
                        tracing::warn!(%error, path, "A template cannot be used.");
                        None
                    }
                })
                .unwrap_or_else(|| builtin(name, &context))
        });
        rendered.await.unwrap_or_default()
    }
}

fn engine(name: &str) -> &'static Tera {
    let found = BUILTIN.iter().find(|(one, _)| *one == name);
    &found.expect("every name has its engine").1
}

fn builtin(name: &str, context: &Context) -> String {
    let rendered = engine(name).render(name, context).unwrap_or_else(|error| {
        tracing::error!(%error, name, "A built-in template does not render.");
        String::new()
    });
    tidy(&rendered)
}

fn own_text(path: &Path, name: &str, context: &Context) -> Result<String, String> {
    let kind = path.metadata().map_err(|error| error.to_string())?;
    if kind.len() > FILE {
        return Err(format!(
            "it has {} bytes; at most {FILE} are read",
            kind.len()
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let rendered = engine(name)
        .render_str(&text, context, true)
        .map_err(|error| error.to_string())?;
    match tidy(&rendered) {
        text if text.is_empty() => Err("it renders to nothing".to_owned()),
        text => Ok(text),
    }
}

fn context(message: &Outgoing) -> Context {
    let notice = &message.notice;
    let field = |(name, value): (String, String)| Field {
        name: cut(&name, VALUE),
        value: cut(&value, VALUE),
    };
    let lines = notice.last_lines();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let seen = Seen {
        title: message.title(),
        text: message.text(),
        event: notice.event.as_str(),
        severity: notice.severity.as_str(),
        sign: match message.resolves {
            true => "✅",
            false => notice.severity.sign(),
        },
        resolves: message.resolves,
        process: notice.subject(),
        host: &notice.host,
        incident: notice.incident.as_deref().unwrap_or_default(),
        time: notice.ts.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        suppressed: message.suppressed,
        fields: notice.fields().into_iter().map(field).collect(),
        last_lines: last.iter().map(|line| cut(line, VALUE)).collect(),
        lines: message
            .lines
            .iter()
            .map(|line| field((line.process.clone(), line.words())))
            .collect(),
        unnamed: message.unnamed,
        links: notice
            .links
            .iter()
            .map(|link| field((link.label.clone(), link.url.clone())))
            .collect(),
    };
    Context::from_serialize(&seen).unwrap_or_default()
}

/// At most so many characters, with a sign where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(most.saturating_sub(1));
            format!("{}…", &text[..end.map_or(0, |(at, _)| at)])
        }
    }
}

/// No empty lines at the ends, and never two in a row.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines() {
        let blank = line.trim().is_empty();
        if !(blank && empty) {
            tidied.push_str(line.trim_end());
            tidied.push('\n');
        }
        empty = blank;
    }
    tidied.truncate(tidied.trim_end().len());
    tidied
}

#[cfg(test)]
pub(super) mod tests;
