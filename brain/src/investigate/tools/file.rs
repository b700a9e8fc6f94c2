//! The first lines of a file in the working folder of a process.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, number, object, process, read};
use super::{Found, Tool};
use crate::words::cut;

pub(super) const TOOL: Tool = Tool {
    name: "file_head",
    about: "First lines of a source, configuration or text file in the working folder of a \
            process. No hidden files, no files that hold secrets, no folders.",
    parameters: || {
        object(
            json!({
                "process": process(),
                "path": {"type": "string", "maxLength": PATH, "description": "below the working folder"},
                "lines": {"type": "integer", "minimum": 1, "maximum": 60, "description": "default 30"},
            }),
            &["path"],
        )
    },
    run,
};

/// Longest path.
const PATH: usize = 200;
/// Most that is read of a file.
const BYTES: usize = 8 * 1024;
/// Longest line that is shown, in characters.
const LINE: usize = 160;
/// Endings of files that may be read: what programs are written in and configured with.
const ENDINGS: [&str; 36] = [
    "c",
    "cc",
    "cfg",
    "clj",
    "conf",
    "cpp",
    "cs",
    "ex",
    "exs",
    "go",
    "h",
    "hpp",
    "html",
    "ini",
    "java",
    "js",
    "json",
    "jsx",
    "kt",
    "lua",
    "md",
    "mjs",
    "php",
    "pl",
    "properties",
    "py",
    "rb",
    "rs",
    "scala",
    "sh",
    "sql",
    "toml",
    "ts",
    "tsx",
    "txt",
    "yaml",
];
/// Words in names of files and folders that hold secrets.
const SECRET: [&str; 12] = [
    "secret",
    "passw",
    "credential",
    "token",
    "private",
    "key",
    "cert",
    "auth",
    "wallet",
    "vault",
    "htaccess",
    "shadow",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    path: String,
    lines: Option<i64>,
}

/// May a model be shown this file, by its name below the working folder?
///
/// # Errors
/// Why not, in words for the model.
pub fn allowed(path: &str) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/ @+".contains(letter);
    if path.is_empty() || path.len() > PATH || !path.chars().all(plain) {
        return Err(format!(
            "`path` has 1 to {PATH} letters, digits and . _ - / @ +"
        ));
    }
    if path.starts_with('/') {
        return Err("`path` begins below the working folder, without a slash".into());
    }
    for part in path.split('/') {
        if part.is_empty() || part.starts_with('.') {
            return Err("`path` has no hidden parts, no `.` and no `..`".into());
        }
        let lower = part.to_ascii_lowercase();
        if let Some(word) = SECRET.iter().find(|word| lower.contains(**word)) {
            return Err(format!(
                "a name with `{word}` in it may hold secrets and is not shown"
            ));
        }
    }
    let ending = path
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let known = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()) || ending == "yml");
    if known {
        Ok(())
    } else {
        Err(format!(
            "only files that end in one of {} are shown",
            ENDINGS.join(", ")
        ))
    }
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    allowed(&args.path)?;
    let lines = number("lines", args.lines, 30, 1..=60)?;
    let text = desk.facts.file_head(&found.name, &args.path, BYTES)?;
    let mut answer = Found::new(format!(
        "file_head process={} path={} lines={lines}",
        found.name,
        json!(args.path)
    ));
    for (place, line) in text.lines().take(lines).enumerate() {
        answer.fact(
            format!("file:{}:{}:{}", found.name, args.path, place + 1),
            cut(line, LINE),
        );
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn only_plain_files_of_a_program_are_shown() {
        for fine in [
            "server.js",
            "src/main.rs",
            "conf/app.yml",
            "README.md",
            "a b.txt",
        ] {
            assert_eq!(allowed(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "",
            "/etc/passwd",
            "../x.js",
            "a/../b.js",
            "./a.js",
            ".env",
            "src/.git/config.toml",
            "id_rsa",
            "server.pem",
            "config/secrets.toml",
            "api-token.txt",
            "Passwords.txt",
            "keys.json",
            "a\n.js",
            "x.js\0",
            "data.db",
            "a//b.js",
            "~/x.js",
            "$(id).sh",
            "credentials.json",
            "auth.py",
            "é.js",
        ] {
            assert!(allowed(wrong).is_err(), "{wrong}");
        }
    }
}
