//! The audit log: one row for every attempt to change something, written before it is done.
//!
//! `audit.jsonl` is append-only, 0600, one JSON object a line. A changing command has two
//! rows with the same id: `intent` before and `result` after; a refused one has a single
//! `denied` row. What cannot be recorded is not done. Values of an environment, parameters
//! and log text never stand here.
//!
//! Room for the next rows is taken from the file system ahead of them: a process that fills the
//! disk must be possible to stop, and to stop it takes a row.
//!
//! A file that is full (8 MiB, some 16,000 attempts) becomes `audit.jsonl.1`, that one `.2`, and
//! so on to `.4`; the oldest is dropped then. Whole files are moved and no row is rewritten, so
//! whoever copies them away keeps the whole story. Where no room can be had for a new file,
//! rows go on in the old one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role, Via};
use crate::clock::Clock;
use crate::paths::Paths;

/// Bytes read at a time while looking backwards.
const CHUNK: u64 = 64 * 1024;
/// Room that is held for rows to come: some hundreds of attempts.
const RESERVE: u64 = 256 * 1024;
/// A file of this length is full.
const FULL: u64 = 8 << 20;
/// Full files that are kept.
const KEPT: u32 = 4;
/// A text longer than this is cut, so that a row stays a row: whoever is refused would otherwise
/// push the rows before out of the log with the words that were refused.
const MAX_TEXT: usize = 1_000;

/// Which of an attempt's rows it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is about to be done.
    Intent,
    /// It was done, or failed.
    Result,
    /// The caller may not do it.
    Denied,
}

/// What somebody tries to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The command's name.
    pub command: String,
    /// Whom it is about.
    pub subject: String,
    /// Only a question what would happen.
    pub dry_run: bool,
    /// The incident it belongs to.
    pub incident: Option<String>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The same for the rows of one attempt; rises with time.
    pub id: String,
    /// When it was written.
    pub ts: Timestamp,
    /// Who: `cli:ana`, `brain:rapid-crash`.
    pub who: String,
    /// By which way.
    pub via: Via,
    /// With which role.
    pub role: Role,
    /// The command's name.
    pub command: String,
    /// Whom it is about.
    pub subject: String,
    /// Only a question what would happen.
    pub dry_run: bool,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// Which row of the attempt this is.
    pub phase: Phase,
    /// Did it succeed? Absent in an intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A clonable handle of the log. Its calls do short blocking writes.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
    /// A file of this length is full.
    full: u64,
    clock: Clock,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    millis: i64,
    count: u32,
    /// Kept open between rows.
    open: Option<Open>,
}

/// The file while rows are appended.
#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Up to here the file system has given room.
    reserved: u64,
    /// The last row was cut and its line has not been ended.
    cut: bool,
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        let mut open = Self {
            file,
            length,
            reserved: length,
            cut: false,
        };
        open.reserve();
        Ok(open)
    }

    /// Takes room ahead of the end, which stays where it is. False when there is none.
    fn reserve(&mut self) -> bool {
        if self.reserved >= self.length + RESERVE / 2 {
            return true;
        }
        let mode = FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, mode, self.length, RESERVE) {
            Ok(()) => {
                self.reserved = self.length + RESERVE;
                true
            }
            // Full: it takes rows for as long as it does.
            Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => false,
            // One that cannot do it is not full.
            Err(_) => true,
        }
    }

    /// One `write` of a whole line at the end of the file.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.cut {
            self.write(b"\n")?;
            self.cut = false;
        }
        let written = self.write(line)?;
        if written < line.len() {
            // Ended now or before the next row, so that that is a line of its own.
            self.cut = self.write(b"\n").is_err();
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.reserve();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }
}

/// An attempt whose intention is on record and whose result is not.
#[derive(Debug)]
#[must_use = "the result of an attempt belongs on record"]
pub struct OpenAttempt {
    row: AuditRow,
}

impl Audit {
    /// The log of a home folder. The file is made with the first row.
    pub fn new(paths: &Paths, clock: Clock) -> Self {
        Self {
            path: paths.audit(),
            full: FULL,
            clock,
            last: Arc::default(),
        }
    }

    /// Records what is about to be done.
    ///
    /// # Errors
    /// When the row could not be written: then it must not be done.
    pub fn begin(&self, caller: &Caller, attempt: Attempt) -> io::Result<OpenAttempt> {
        let row = self.row(caller, attempt, Phase::Intent);
        self.append(&row)?;
        Ok(OpenAttempt { row })
    }

    /// Records how it went.
    ///
    /// # Errors
    /// When the row could not be written. The intention is on record all the same.
    pub fn end(&self, attempt: OpenAttempt, error: Option<String>) -> io::Result<()> {
        let row = AuditRow {
            ts: self.clock.now(),
            phase: Phase::Result,
            ok: Some(error.is_none()),
            error: error.map(cut),
            ..attempt.row
        };
        self.append(&row)
    }

    /// Records that the caller was not allowed to.
    ///
    /// # Errors
    /// When the row could not be written.
    pub fn denied(&self, caller: &Caller, attempt: Attempt, error: String) -> io::Result<()> {
        let row = AuditRow {
            ok: Some(false),
            error: Some(cut(error)),
            ..self.row(caller, attempt, Phase::Denied)
        };
        self.append(&row)
    }

    /// The newest rows, newest first, at most `limit` and none from before `since`. Blocks.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn query(&self, limit: usize, since: Option<Timestamp>) -> io::Result<Vec<AuditRow>> {
        let mut rows = Vec::new();
        let mut seen = Vec::new();
        for place in 0..=KEPT {
            let file = match File::open(self.place(place)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            // One that has become full meanwhile is met again under its next name.
            let inode = file.metadata()?.ino();
            if seen.contains(&inode) {
                continue;
            }
            seen.push(inode);
            let mut lines = LinesBackwards::new(file)?;
            while rows.len() < limit
                && let Some(line) = lines.next_line()?
            {
                // A line that was cut by a crash is passed over.
                let Ok(row) = serde_json::from_slice::<AuditRow>(&line) else {
                    continue;
                };
                if since.is_some_and(|since| row.ts < since) {
                    return Ok(rows);
                }
                rows.push(row);
            }
            if rows.len() >= limit {
                break;
            }
        }
        Ok(rows)
    }

    /// The file that rows go to, or the one that became full so many times ago.
    fn place(&self, ago: u32) -> PathBuf {
        if ago == 0 {
            return self.path.clone();
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{ago}"));
        path.into()
    }

    /// Begins a new file in the place of a full one, if there is room for it.
    fn next_file(&self) -> io::Result<Open> {
        let mut path = self.path.clone().into_os_string();
        path.push(".new");
        let path = PathBuf::from(path);
        let begun = Open::at(&path).and_then(|mut open| {
            if !open.reserve() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            for ago in (0..KEPT).rev() {
                match std::fs::rename(self.place(ago), self.place(ago + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            std::fs::rename(&path, &self.path)?;
            Ok(open)
        });
        if begun.is_err() {
            let _ = std::fs::remove_file(&path);
        }
        begun
    }

    fn row(&self, caller: &Caller, attempt: Attempt, phase: Phase) -> AuditRow {
        let Attempt {
            command,
            subject,
            dry_run,
            incident,
        } = attempt;
        let ts = self.clock.now();
        AuditRow {
            id: self.next_id(ts),
            ts,
            who: caller.to_string(),
            via: caller.via.clone(),
            role: caller.role,
            command: cut(command),
            subject: cut(subject),
            dry_run,
            incident: incident.map(cut),
            phase,
            ok: None,
            error: None,
        }
    }

    fn next_id(&self, now: Timestamp) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = now.as_millisecond();
        if millis > last.millis {
            last.millis = millis;
            last.count = 0;
        } else {
            last.count += 1;
        }
        format!("{:012x}-{:04x}", last.millis, last.count)
    }

    /// Opens the file and takes room for rows to come. The daemon does it when it starts, since
    /// it may be too late when the first row is due.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn prepare(&self) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.open = Some(Open::at(&self.path)?);
        Ok(())
    }

    fn append(&self, row: &AuditRow) -> io::Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut last.open {
            // Somebody may have moved or removed it meanwhile.
            Some(open) if self.path.exists() => open,
            slot => slot.insert(Open::at(&self.path)?),
        };
        if open.length >= self.full
            && let Ok(next) = self.next_file()
        {
            *open = next;
        }
        open.append(&line)
    }
}

/// Lines of a file, last one first.
struct LinesBackwards {
    file: File,
    /// Everything before this offset is unread.
    position: u64,
    /// Read and not handed out yet.
    rest: Vec<u8>,
}

impl LinesBackwards {
    fn new(mut file: File) -> io::Result<Self> {
        let position = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            position,
            rest: Vec::new(),
        })
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.rest.last() == Some(&b'\n') {
                self.rest.pop();
                continue;
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.rest) {
                let line = self.rest.split_off(end + 1);
                return Ok(Some(line));
            }
            if self.position == 0 {
                let line = std::mem::take(&mut self.rest);
                return Ok((!line.is_empty()).then_some(line));
            }
            let size = CHUNK.min(self.position);
            self.position -= size;
            self.file.seek(SeekFrom::Start(self.position))?;
            let mut chunk = vec![0; size as usize];
            self.file.read_exact(&mut chunk)?;
            chunk.append(&mut self.rest);
            self.rest = chunk;
        }
    }
}

/// At most [`MAX_TEXT`] bytes, and a mark where more were.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
