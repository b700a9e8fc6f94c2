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

mod backwards;
mod chain;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Role, Via};
use crate::clock::Clock;
use crate::paths::Paths;
use backwards::LinesBackwards;
use chain::Chain;

pub use chain::Verified;

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

/// What else is on record of an attempt that came by a message: whom the gate let through is
/// recorded by the gate, and this is the row of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Where it was written: `<platform>:<chat>`.
    pub place: String,
    /// What the sender calls themselves. It proves nothing.
    pub name: String,
    /// What was decided about it: `done`, `denied`, `asked to confirm`, `too fast`, …
    pub verdict: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
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
    /// Of an attempt that came by a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Circumstances>,
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
    /// What the next row goes on from. None before the first one, and after one that was cut.
    chain: Option<Chain>,
    /// Holds the newest hash.
    head: Option<File>,
}

/// The file while rows are appended.
#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Up to here the file system has given room.
    reserved: u64,
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
        };
        open.reserve();
        Ok(open)
    }

    /// Does the path still lead to it?
    fn is_at(&self, path: &Path) -> bool {
        let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let own = self.file.metadata().map(identity);
        matches!((own, std::fs::metadata(path).map(identity)), (Ok(own), Ok(there)) if own == there)
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

    /// One `write` of whole lines at the end of the file.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.write(lines)?;
        if written < lines.len() {
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

    /// Records a message that asked for something, whatever became of it. What it changed has
    /// rows of its own, written by the gate.
    ///
    /// # Errors
    /// When the row could not be written.
    pub fn message(
        &self,
        caller: &Caller,
        attempt: Attempt,
        circumstances: Circumstances,
        error: Option<String>,
        denied: bool,
    ) -> io::Result<()> {
        let phase = if denied { Phase::Denied } else { Phase::Result };
        let row = AuditRow {
            ok: Some(error.is_none()),
            error: error.map(cut),
            message: Some(Circumstances {
                place: cut(circumstances.place),
                name: cut(circumstances.name),
                ..circumstances
            }),
            ..self.row(caller, attempt, phase)
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
            message: None,
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

    /// Does all that is kept vouch for itself? Reads everything; needs no daemon. Blocks.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn verify(&self) -> io::Result<Verified> {
        let files: Vec<PathBuf> = (0..=KEPT).rev().map(|ago| self.place(ago)).collect();
        chain::verify(&files, &self.head())
    }

    /// Where the newest hash is.
    fn head(&self) -> PathBuf {
        self.path.with_file_name("audit.head")
    }

    fn append(&self, row: &AuditRow) -> io::Result<()> {
        let row = serde_json::to_vec(row)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Last {
            open, chain, head, ..
        } = &mut *last;
        let open = match open {
            Some(open) if open.is_at(&self.path) => open,
            // Somebody has moved, removed or replaced it.
            slot => {
                let open = slot.insert(Open::at(&self.path)?);
                if let Some(chain) = chain {
                    chain.replaced(&self.path)?;
                }
                open
            }
        };
        if open.length >= self.full
            && let Ok(next) = self.next_file()
        {
            *open = next;
            if let Some(chain) = chain {
                chain.next_file();
            }
        }
        let now = match chain.take() {
            Some(chain) => chain,
            None => Chain::resume(&self.path, &self.place(1), &self.head())?,
        };
        let (lines, then) = now.seal(&row)?;
        // What was cut is read from the file before the next row.
        open.append(&lines)?;
        self.keep_head(head, then.last());
        *chain = Some(then);
        Ok(())
    }

    /// Notes the newest hash. Without it the row counts all the same; a look at the log says
    /// that the note is old only if rows are missing.
    fn keep_head(&self, head: &mut Option<File>, hash: &str) {
        use std::os::unix::fs::FileExt;
        if head.is_none() {
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(self.head());
            *head = opened.ok();
        }
        if let Some(file) = head
            && file
                .write_all_at(format!("{hash}\n").as_bytes(), 0)
                .is_err()
        {
            *head = None;
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
