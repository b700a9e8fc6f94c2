//! The lines of a file from its end on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes read at a time.
const CHUNK: u64 = 64 * 1024;

/// Lines of a file, last one first.
pub(super) struct LinesBackwards {
    file: File,
    /// Everything before this offset is unread.
    position: u64,
    /// Read and not handed out yet.
    rest: Vec<u8>,
    /// Where the line that was handed out last ends, its line end included.
    end: u64,
}

impl LinesBackwards {
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        let position = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            position,
            rest: Vec::new(),
            end: position,
        })
    }

    /// Where the line that was handed out last ends, its line end included.
    pub(super) fn end_of_last(&self) -> u64 {
        self.end
    }

    pub(super) fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut ended = false;
        loop {
            if self.rest.last() == Some(&b'\n') {
                self.rest.pop();
                ended = true;
                continue;
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.rest) {
                let line = self.rest.split_off(end + 1);
                self.end = self.position + (end + 1 + line.len()) as u64 + u64::from(ended);
                return Ok(Some(line));
            }
            if self.position == 0 {
                let line = std::mem::take(&mut self.rest);
                self.end = line.len() as u64 + u64::from(ended);
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
