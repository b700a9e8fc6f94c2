//! Lines that a server will never take: kept in a file, with the reason.
//!
//! One JSON object per line, newest last. At 10 MB the file becomes `.1`, and what was there
//! before goes.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::logs::feed::FeedLine;

const MAX_SIZE: u64 = 10 << 20;

/// The dead letters of one sink.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    pub(super) fn new(folder: &Path, sink: &str) -> Self {
        Self {
            path: folder.join(format!("{sink}.dead.jsonl")),
        }
    }

    /// Adds lines. Blocks.
    pub(super) fn keep(
        &self,
        letters: &[(Arc<FeedLine>, String)],
        now: Timestamp,
    ) -> io::Result<()> {
        make_folder(self.path.parent())?;
        if std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() > MAX_SIZE) {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
        }
        let mut text = String::new();
        for (line, why) in letters {
            let letter = json!({
                "at": now, "why": why, "ts": line.ts, "process": line.process,
                "instance": line.instance, "stream": line.stream, "line": line.text,
            });
            text.push_str(&letter.to_string());
            text.push('\n');
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?
            .write_all(text.as_bytes())
    }
}

/// Makes the folder of sinks, for its owner only.
pub(super) fn make_folder(folder: Option<&Path>) -> io::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    #[test]
    fn letters_are_kept_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let dead = DeadLetters::new(&folder.path().join("sinks"), "loki");
        let letter = (Arc::new(line("bad")), "status 400".to_owned());
        for _ in 0..2 {
            dead.keep(std::slice::from_ref(&letter), letter.0.ts)
                .unwrap();
        }
        let text = std::fs::read_to_string(&dead.path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["line"], &first["why"]),
            (&json!("bad"), &json!("status 400"))
        );
        std::fs::write(&dead.path, vec![b' '; 11 << 20]).unwrap();
        dead.keep(std::slice::from_ref(&letter), letter.0.ts)
            .unwrap();
        assert!(std::fs::metadata(&dead.path).unwrap().len() < 1_000);
    }
}
