//! How far a sink got, on disk, so that a new daemon goes on there.
//!
//! Written at most once a second, by rename. A kill in between means that the lines of the
//! last second are sent twice: at least once, never not at all.

use std::io;
use std::path::{Path, PathBuf};

use crate::logs::feed::Places;

/// The file of one sink.
#[derive(Debug, Clone)]
pub(super) struct PlaceFile {
    path: PathBuf,
}

impl PlaceFile {
    pub(super) fn new(folder: &Path, sink: &str) -> Self {
        Self {
            path: folder.join(format!("{sink}.place.json")),
        }
    }

    /// What was saved; `None` for a new sink, or when the file cannot be understood.
    pub(super) fn load(&self) -> Option<Places> {
        let text = std::fs::read(&self.path).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Saves it. Blocks.
    pub(super) fn save(&self, places: &Places) -> io::Result<()> {
        super::dead::make_folder(self.path.parent())?;
        let new = self.path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(places)?)?;
        std::fs::rename(&new, &self.path)
    }

    /// Forgets it: the sink was taken out of the settings.
    pub(super) fn remove(&self) {
        // It is fine if there was none.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = PlaceFile::new(&folder.path().join("sinks"), "a.b");
        assert_eq!(file.load(), None);
        let places = Places {
            since_ms: 7,
            streams: [("api-0.out".into(), (5, 100))].into(),
        };
        file.save(&places).unwrap();
        assert_eq!(file.load(), Some(places));
        std::fs::write(&file.path, "{").unwrap();
        assert_eq!(file.load(), None);
        file.remove();
        file.remove();
    }
}
