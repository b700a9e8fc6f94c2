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
        let names = Self::of_stem(folder, file.strip_suffix(".idx")?);
        // Not `api-01.out` either, which is nobody's.
        let (instance, stream) = names.owner()?;
        (Self::new(folder, &instance, stream) == names).then_some(names)
    }

    /// The stream a current index or a current segment belongs to.
    pub(super) fn of_file(folder: &Path, file: &str) -> Option<Self> {
        let Some(stem) = file.strip_suffix(".log") else {
            return Self::of_index(folder, file);
        };
        Self::of_index(folder, &format!("{stem}.idx"))
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

    /// The number of the oldest segment that has to be there, where that was written down.
    pub(super) fn first(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.first_file()).ok()?;
        text.trim().parse().ok()
    }

    fn first_file(&self) -> PathBuf {
        self.folder.join(format!("{}.first", self.stem))
    }

    /// Writes down that no segment before this one has to be there any more.
    pub(super) fn begins_with(&self, number: u64) -> io::Result<()> {
        if self.first().is_some_and(|first| first >= number) {
            return Ok(());
        }
        let fresh = self.first_file().with_extension("first.new");
        std::fs::write(&fresh, format!("{number}\n"))?;
        std::fs::rename(fresh, self.first_file())
    }

    /// Deletes a sealed segment that is let go, and with it what is missing after it.
    pub(super) fn let_go(&self, number: u64) -> io::Result<()> {
        let next = self.sealed()?.into_iter().find(|next| *next > number);
        let first = next.unwrap_or(number + 1);
        let noted = self.begins_with(first);
        self.delete_sealed(number)?;
        // On a full disk there is room only now.
        noted.or_else(|_| self.begins_with(first))
    }

    /// Deletes a sealed segment.
    fn delete_sealed(&self, number: u64) -> io::Result<()> {
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
        gone(std::fs::remove_file(self.first_file()))?;
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
        let log = name.to_str().filter(|name| name.ends_with(".log"));
        let names = log.and_then(|name| Names::of_file(folder, name));
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
