//! The audit log: one row for every attempt to change something, written before it is done.
//!
//! `audit.jsonl` is append-only, 0600, one JSON object a line. A changing command has two
//! rows with the same id: `intent` before and `result` after; a refused one has a single
//! `denied` row. What cannot be recorded is not done. Values of an environment, parameters
//! and log text never stand here.
//!
//! Room for the next rows is taken from the file system ahead of them: a process that fills the
//! disk must be possible to stop, and to stop it takes a row.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
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
/// A subject longer than this is cut, so that a row stays a row.
const MAX_SUBJECT: usize = 1_000;

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

    /// Takes room ahead of the end, which stays where it is.
    fn reserve(&mut self) {
        if self.reserved >= self.length + RESERVE / 2 {
            return;
        }
        let mode = FallocateFlags::KEEP_SIZE;
        // A file system that cannot, or is full, takes rows for as long as it does.
        if rustix::fs::fallocate(&self.file, mode, self.length, RESERVE).is_ok() {
            self.reserved = self.length + RESERVE;
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
            error,
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
            error: Some(error),
            ..self.row(caller, attempt, Phase::Denied)
        };
        self.append(&row)
    }

    /// The newest rows, newest first, at most `limit` and none from before `since`. Blocks.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn query(&self, limit: usize, since: Option<Timestamp>) -> io::Result<Vec<AuditRow>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut rows = Vec::new();
        let mut lines = LinesBackwards::new(file)?;
        while rows.len() < limit
            && let Some(line) = lines.next_line()?
        {
            // A line that was cut by a crash is passed over.
            let Ok(row) = serde_json::from_slice::<AuditRow>(&line) else {
                continue;
            };
            if since.is_some_and(|since| row.ts < since) {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&self, caller: &Caller, attempt: Attempt, phase: Phase) -> AuditRow {
        let Attempt {
            command,
            mut subject,
            dry_run,
            incident,
        } = attempt;
        if subject.len() > MAX_SUBJECT {
            subject.truncate(subject.floor_char_boundary(MAX_SUBJECT));
            subject.push('…');
        }
        let ts = self.clock.now();
        AuditRow {
            id: self.next_id(ts),
            ts,
            who: caller.to_string(),
            via: caller.via.clone(),
            role: caller.role,
            command,
            subject,
            dry_run,
            incident,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(subject: &str) -> Attempt {
        Attempt {
            command: "process.stop".into(),
            subject: subject.into(),
            dry_run: false,
            incident: None,
        }
    }

    #[test]
    fn rows_come_back_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let audit = Audit::new(&paths, Clock::system());
        assert!(audit.query(10, None).unwrap().is_empty());
        let caller = Caller::local("ana", Via::Cli);
        for index in 0..500 {
            let open = audit
                .begin(&caller, attempt(&format!("{index}-{}", "x".repeat(300))))
                .unwrap();
            audit
                .end(open, (index == 499).then(|| "no process".into()))
                .unwrap();
        }
        audit.denied(&caller, attempt("db"), "role".into()).unwrap();
        let rows = audit.query(1_000_000, None).unwrap();
        assert_eq!(rows.len(), 1_001);
        assert_eq!(rows[0].phase, Phase::Denied);
        assert_eq!(rows[1].error.as_deref(), Some("no process"));
        assert_eq!(rows[1].id, rows[2].id);
        assert_eq!(rows[2].phase, Phase::Intent);
        assert!(rows.is_sorted_by(|newer, older| newer.id >= older.id));
        assert_eq!(audit.query(3, None).unwrap().len(), 3);
        assert!(audit.query(3, Some(Timestamp::MAX)).unwrap().is_empty());
    }

    #[test]
    fn a_cut_line_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        std::fs::write(paths.audit(), "{\"id\":\"cut\n").unwrap();
        let audit = Audit::new(&paths, Clock::system());
        let open = audit
            .begin(&Caller::system(), attempt(&"ü".repeat(2_000)))
            .unwrap();
        audit.end(open, None).unwrap();
        let rows = audit.query(10, None).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].subject.ends_with('…'));
    }

    #[test]
    fn room_is_held_for_rows_to_come() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let audit = Audit::new(&paths, Clock::system());
        audit.prepare().unwrap();
        let look = || std::fs::metadata(paths.audit()).unwrap();
        assert_eq!(look().len(), 0);
        let room = |found: &std::fs::Metadata| found.blocks() * 512 - found.len();
        if room(&look()) == 0 {
            let line = b"skipped: this file system takes no room ahead\n";
            let _ = std::io::stderr().write_all(line);
            return;
        }
        for _ in 0..2_000 {
            let open = audit.begin(&Caller::system(), attempt("api")).unwrap();
            audit.end(open, None).unwrap();
            let found = look();
            assert!(room(&found) >= RESERVE / 2, "{}", room(&found));
        }
        assert!(look().len() > 2 * RESERVE);
        assert_eq!(audit.query(10_000, None).unwrap().len(), 4_000);
    }

    #[test]
    fn a_row_after_a_cut_one_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let audit = Audit::new(&paths, Clock::system());
        std::fs::write(paths.audit(), "{\"id\":\"cu").unwrap();
        audit.prepare().unwrap();
        audit.last.lock().unwrap().open.as_mut().unwrap().cut = true;
        audit
            .denied(&Caller::system(), attempt("api"), "role".into())
            .unwrap();
        assert_eq!(audit.query(10, None).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("missing")).unwrap();
        let audit = Audit::new(&paths, Clock::system());
        assert!(audit.begin(&Caller::system(), attempt("api")).is_err());
    }
}
