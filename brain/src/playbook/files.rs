//! The files of a folder of playbooks.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::PlaybookSource;

/// Files that are read; more is a mistake.
const FILES: usize = 128;
/// Longest text that is read; the built-in ones have a few KiB.
const BYTES: u64 = 1 << 20;

/// When a file was changed, and its size.
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// How a playbook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A script.
    Rhai,
    /// Declared; it is translated to a script.
    Toml,
}

impl Format {
    /// By the end of a file's name.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()? {
            "rhai" => Some(Format::Rhai),
            "toml" => Some(Format::Toml),
            _ => None,
        }
    }
}

/// A file that holds a playbook.
pub(super) struct File {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) path: Option<PathBuf>,
    pub(super) source: PlaybookSource,
    pub(super) stamp: Stamp,
}

impl File {
    /// A text without a file.
    pub(super) fn of_text(name: &str, format: Format, source: PlaybookSource) -> File {
        File {
            name: name.to_owned(),
            format,
            path: None,
            source,
            stamp: None,
        }
    }
}

/// Reads a text. A pipe would keep the daemon waiting for somebody to write into it.
pub(super) fn read(path: &Path) -> std::io::Result<String> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    if found.len() > BYTES {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    std::fs::read_to_string(path)
}

/// Those of a person and those that were learned.
pub(super) fn all(folder: &Path) -> Vec<File> {
    let mut files = of(folder, PlaybookSource::Custom);
    files.extend(of(&folder.join("learned"), PlaybookSource::Learned));
    files.truncate(FILES);
    files
}

/// The playbooks of a folder, by name. A folder that is not there has none.
fn of(folder: &Path, source: PlaybookSource) -> Vec<File> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<File> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let path = entry.path();
            let format = Format::of(&path)?;
            let stamp = entry
                .metadata()
                .ok()
                .and_then(|meta| Some((meta.modified().ok()?, meta.len())));
            Some(File {
                name: path.file_stem()?.to_str()?.to_owned(),
                format,
                path: Some(path),
                source,
                stamp,
            })
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    // Two forms of one name would take turns: the script counts.
    files.dedup_by(|b, a| {
        a.name == b.name && (a.format == Format::Rhai || b.format == Format::Toml)
    });
    files
}
