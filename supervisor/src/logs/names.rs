//! The names of a stream's files.

use std::io;
use std::path::{Path, PathBuf};

use crate::ids::InstanceId;
use crate::paths::Stream;

/// The file names of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Names {
    folder: PathBuf,
    stem: String,
}

impl Names {
    pub(super) fn new(folder: &Path, instance: &InstanceId, stream: Stream) -> Self {
        let InstanceId { process, index } = instance;
        Self {
            folder: folder.to_owned(),
            stem: format!("{process}-{index}.{}", stream.as_str()),
        }
    }

    /// The stream a current index belongs to; `None` for any other file.
    fn of_index(folder: &Path, file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".idx")?;
        let (label, stream) = stem.rsplit_once('.')?;
        let (_, index) = label.rsplit_once('-')?;
        let ours = matches!(stream, "out" | "err") && index.parse::<u16>().is_ok();
        ours.then(|| Self {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
        })
    }

    /// `api-0.out`: names the stream in cursors.
    pub(super) fn stem(&self) -> &str {
        &self.stem
    }

    /// Whose stream it is.
    pub(super) fn owner(&self) -> Option<(InstanceId, Stream)> {
        let (label, stream) = self.stem.rsplit_once('.')?;
        let (process, index) = label.rsplit_once('-')?;
        let stream = Stream::BOTH.into_iter().find(|s| s.as_str() == stream)?;
        let process = process.parse().ok()?;
        Some((InstanceId::new(process, index.parse().ok()?), stream))
    }

    /// The same stream, by its name in cursors.
    pub(super) fn of_stem(folder: &Path, stem: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.stem))
    }

    pub(super) fn index(&self) -> PathBuf {
        self.folder.join(format!("{}.idx", self.stem))
    }

    pub(super) fn sealed_log(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.{number}.log", self.stem))
    }

    /// The compressed form of [`Names::sealed_log`].
    pub(super) fn packed_log(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.{number}.log.zst", self.stem))
    }

    pub(super) fn sealed_index(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.{number}.idx", self.stem))
    }

    /// The numbers of all sealed segments, ascending. Reads the folder.
    pub(super) fn sealed(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix(&self.stem)?.strip_prefix('.'))
                .and_then(|rest| {
                    let ends = [".idx", ".log", ".log.zst"];
                    ends.iter().find_map(|end| rest.strip_suffix(end))
                })
                .and_then(|number| number.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// Deletes a sealed segment.
    pub(super) fn delete_sealed(&self, number: u64) -> io::Result<()> {
        gone(std::fs::remove_file(self.sealed_log(number)))?;
        gone(std::fs::remove_file(self.packed_log(number)))?;
        gone(std::fs::remove_file(self.sealed_index(number)))
    }

    /// Deletes every segment of the stream.
    pub(super) fn delete(&self) -> io::Result<()> {
        for number in self.sealed()? {
            self.delete_sealed(number)?;
        }
        gone(std::fs::remove_file(self.log()))?;
        gone(std::fs::remove_file(self.index()))
    }
}

/// Every stream that has a current index in the folder.
pub(super) fn streams_in(folder: &Path) -> io::Result<Vec<Names>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        all.extend(name.to_str().and_then(|name| Names::of_index(folder, name)));
    }
    Ok(all)
}

/// Bytes of the streams whose current side index is lost: they are read, but not indexed.
pub(super) fn bytes_apart(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
        let names = stem.and_then(|stem| Names::of_index(folder, &format!("{stem}.idx")));
        if names.is_some_and(|names| !names.index().exists()) {
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}

/// It is fine if the file was not there.
pub(super) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
