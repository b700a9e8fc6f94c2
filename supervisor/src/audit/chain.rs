//! Each row vouches for all that stands before it.
//!
//! ```text
//!   {"chain":"000…","hash":"h0"}        the head of a file: what it goes on from
//!   {…row 1…,"hash":"h1"}               h1 = SHA-256(h0, row 1)
//!   {…row 2…,"hash":"h2"}               h2 = SHA-256(h1, row 2)
//! ```
//!
//! Bytes between two rows that are no row (one that was cut by a crash, rows of a version
//! without hashes) are hashed with the next one, so that nothing can be changed unseen.
//! `audit.head` holds the newest hash: without it rows could be cut off at the end. All this
//! shows that something was changed and stops nobody: who may write the files can make them
//! anew as a whole, so they are copied to where others cannot write.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::backwards::LinesBackwards;

/// Before a hash, at the end of a row.
const BEFORE: &[u8] = br#","hash":""#;
/// Behind it.
const BEHIND: &[u8] = br#""}"#;
/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;
/// What the first row of all goes on from.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Problems that are told; behind the first few more say nothing new.
const MOST: usize = 20;

/// Where the chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The hash of the last row.
    last: String,
    /// What stands behind it that is no row.
    loose: Vec<u8>,
    /// The file has a head already.
    headed: bool,
}

#[derive(Serialize, Deserialize)]
struct Head {
    chain: String,
}

impl Chain {
    /// As it stands at the end of a file, or of the one before it. Where both are gone the note
    /// of the newest hash is gone on from, so that this does not look like a beginning.
    pub(super) fn resume(file: &Path, before: &Path, head: &Path) -> io::Result<Self> {
        let (own, loose) = last_of(file)?;
        let headed = own.is_some();
        let noted = noted(head)?;
        let last = match (own, noted) {
            // The note is a row behind where a kill came in between. Ahead it never is: then
            // rows are gone that were there, and the next one shows it.
            (Some(own), Some(noted)) if own != noted && !holds(file, &noted)? => noted,
            (Some(own), _) => own,
            (None, noted) => match last_of(before)?.0 {
                Some(last) => last,
                None => noted.unwrap_or_else(|| GENESIS.to_owned()),
            },
        };
        Ok(Self {
            last,
            loose,
            headed,
        })
    }

    /// Goes on in a file that somebody put in the place of the one before: what is not in it is
    /// missed from now on.
    pub(super) fn replaced(&mut self, file: &Path) -> io::Result<()> {
        let (own, loose) = last_of(file)?;
        self.headed = own.is_some();
        self.loose = loose;
        Ok(())
    }

    /// A new file goes on from here.
    pub(super) fn next_file(&mut self) {
        self.headed = false;
    }

    /// The lines of a row, with a head before it where there is none yet, and the chain behind
    /// them.
    pub(super) fn seal(&self, row: &[u8]) -> io::Result<(Vec<u8>, Self)> {
        let mut lines = Vec::with_capacity(row.len() + 100);
        let mut chain = self.clone();
        // What was cut becomes a line of its own, so that it hides no row.
        if !chain.loose.is_empty() && !chain.loose.ends_with(b"\n") {
            chain.loose.push(b'\n');
            lines.push(b'\n');
        }
        if !chain.headed {
            let head = serde_json::to_vec(&Head {
                chain: chain.last.clone(),
            })?;
            chain.add(&head, &mut lines);
            chain.headed = true;
        }
        chain.add(row, &mut lines);
        Ok((lines, chain))
    }

    fn add(&mut self, row: &[u8], lines: &mut Vec<u8>) {
        self.last = hash(&self.last, &self.loose, row);
        self.loose.clear();
        lines.extend_from_slice(&row[..row.len() - 1]);
        lines.extend_from_slice(BEFORE);
        lines.extend_from_slice(self.last.as_bytes());
        lines.extend_from_slice(BEHIND);
        lines.push(b'\n');
    }

    /// The newest hash.
    pub(super) fn last(&self) -> &str {
        &self.last
    }
}

/// Is there a row with this hash?
fn holds(file: &Path, hash: &str) -> io::Result<bool> {
    let bytes = std::fs::read(file)?;
    Ok(memchr::memmem::find(&bytes, hash.as_bytes()).is_some())
}

/// The newest hash as it was noted.
fn noted(head: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(head) {
        Ok(text) => Ok(Some(text.trim_end().to_owned()).filter(|hash| hash.len() == DIGITS)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The hash of the last row of a file, and what stands behind it.
fn last_of(path: &Path) -> io::Result<(Option<String>, Vec<u8>)> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Vec::new())),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    let mut lines = LinesBackwards::new(file)?;
    let mut behind: u64 = 0;
    while let Some(line) = lines.next_line()? {
        if let Some((_, hash)) = sealed(&line) {
            let end = lines.end_of_last();
            behind = length.saturating_sub(end);
            let loose = read_tail(path, behind)?;
            return Ok((Some(hash.to_owned()), loose));
        }
        behind = length;
    }
    Ok((None, read_tail(path, behind)?))
}

fn read_tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut tail = Vec::new();
    if bytes > 0 {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-i64::try_from(bytes).unwrap_or(0)))?;
        file.read_to_end(&mut tail)?;
    }
    Ok(tail)
}

/// The row as it was hashed, and its hash, if the line is a sealed row.
fn sealed(line: &[u8]) -> Option<(Vec<u8>, &str)> {
    let rest = line.strip_suffix(BEHIND)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let body = rest.strip_suffix(BEFORE)?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if !hash.iter().all(hex) {
        return None;
    }
    let mut row = body.to_vec();
    row.push(b'}');
    Some((row, std::str::from_utf8(hash).ok()?))
}

fn hash(last: &str, loose: &[u8], row: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(last);
    digest.update(loose);
    digest.update(row);
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a look at the whole log found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Rows that vouch for each other.
    pub rows: u64,
    /// Lines of a version without hashes, before the first of these.
    pub before: u64,
    /// Rows that were cut by a crash or a full disk; what is left of them is vouched for.
    pub cut: u64,
    /// What was changed, and where. Empty: nothing was.
    pub problems: Vec<String>,
}

/// Looks at the files, oldest first, and at the newest hash.
pub(super) fn verify(files: &[PathBuf], head: &Path) -> io::Result<Verified> {
    let mut found = Verified::default();
    let mut last: Option<String> = None;
    let mut loose: Vec<u8> = Vec::new();
    let mut seen_head = false;
    let newest = noted(head)?;
    for path in files {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let mut reader = BufReader::new(file);
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            number += 1;
            let row = line.strip_suffix(b"\n").and_then(sealed);
            let Some((row, claimed)) = row else {
                match last {
                    None => found.before += 1,
                    Some(_) => found.cut += 1,
                }
                loose.extend_from_slice(&line);
                continue;
            };
            let mut told = |what: &str| {
                if found.problems.len() < MOST {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    found.problems.push(format!("{name} line {number}: {what}"));
                }
            };
            let goes_on = serde_json::from_slice::<Head>(&row)
                .ok()
                .map(|head| head.chain);
            let from = match (&last, goes_on) {
                (None, Some(chain)) => {
                    if chain != GENESIS && files.first() != Some(path) {
                        told("the rows before it are not there");
                    }
                    chain
                }
                (None, None) => {
                    told("the log does not begin here");
                    claimed.to_owned()
                }
                (Some(last), Some(chain)) if *last != chain => {
                    told("rows between this file and the one before it are not there");
                    chain
                }
                (Some(last), _) => last.clone(),
            };
            if hash(&from, &loose, &row) != claimed {
                told("it, or what stands before it, was changed");
            }
            loose.clear();
            found.rows += 1;
            seen_head |= newest.as_deref() == Some(claimed);
            last = Some(claimed.to_owned());
        }
    }
    if !loose.is_empty() && (last.is_none() || loose.ends_with(b"\n")) && last.is_some() {
        found
            .problems
            .push("the last lines are no rows of mhost, or were changed".into());
    }
    match (&newest, &last) {
        (Some(_), _) if !seen_head => {
            found
                .problems
                .push("rows at the end are missing, or were changed".into());
        }
        (None, Some(_)) => found
            .problems
            .push("audit.head is not there, so rows may be missing at the end".into()),
        _ => {}
    }
    Ok(found)
}
