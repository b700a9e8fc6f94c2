//! What a stream printed while its segment could not be written.
//!
//! The child must not wait for the disk: its pipe is emptied into memory up to a bound, what
//! comes after that is dropped and counted. When the disk takes bytes again, they are written
//! with their own times, and one line says how many are missing and between which times.

use jiff::Timestamp;

use super::segment::{Limits, Sequence, Writer};

/// Chunks closer together than this share a time, so that the list of times stays short.
const SAME_CHUNK_MS: i64 = 100;

/// Bytes that wait for the disk.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Why.
    pub(super) reason: String,
    since_ms: i64,
    kept: Vec<u8>,
    /// How many of `kept` were written already.
    written: usize,
    chunks: Vec<Chunk>,
    lost: u64,
    lost_from_ms: i64,
    lost_to_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// Where it begins in `kept`.
    at: usize,
    ts_ms: i64,
    generation: u32,
}

impl Backlog {
    pub(super) fn new(reason: String, now_ms: i64) -> Self {
        Self {
            reason,
            since_ms: now_ms,
            kept: Vec::new(),
            written: 0,
            chunks: Vec::new(),
            lost: 0,
            lost_from_ms: 0,
            lost_to_ms: 0,
        }
    }

    /// Keeps what fits, counts the rest. Returns how many lines were lost.
    pub(super) fn push(&mut self, bytes: &[u8], now_ms: i64, generation: u32, room: usize) -> u64 {
        // Once something was lost nothing more is kept: the gap is one, and at the end.
        let keep = if self.lost > 0 {
            0
        } else {
            bytes.len().min(room)
        };
        if keep > 0 {
            let fresh = self.chunks.last().is_none_or(|chunk| {
                chunk.generation != generation || now_ms - chunk.ts_ms >= SAME_CHUNK_MS
            });
            if fresh {
                self.chunks.push(Chunk {
                    at: self.kept.len(),
                    ts_ms: now_ms,
                    generation,
                });
            }
            self.kept.extend_from_slice(&bytes[..keep]);
        }
        if keep < bytes.len() {
            if self.lost == 0 {
                self.lost_from_ms = now_ms;
            }
            self.lost += (bytes.len() - keep) as u64;
            self.lost_to_ms = now_ms;
        }
        memchr::memchr_iter(b'\n', &bytes[keep..]).count() as u64
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        self.kept.len()
    }

    /// Writes what is kept. `Ok` when all is in the segment, also the line about a loss.
    pub(super) fn write_to(
        &mut self,
        writer: &mut Writer,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> std::io::Result<()> {
        while self.written < self.kept.len() {
            let chunk = self
                .chunks
                .partition_point(|chunk| chunk.at <= self.written);
            let end = self.chunks.get(chunk).map_or(self.kept.len(), |c| c.at);
            if let Some(Chunk {
                ts_ms, generation, ..
            }) = chunk.checked_sub(1).map(|place| self.chunks[place])
            {
                writer.prepare(ts_ms, generation, sequence, limits)?;
            }
            let written = writer.write(&self.kept[self.written..end], limits)?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.written += written;
        }
        if self.lost > 0 {
            let line = self.marker(writer.at_line_end()?);
            writer.prepare(self.lost_to_ms, self.generation(), sequence, limits)?;
            let written = writer.write(line.as_bytes(), limits)?;
            if written < line.len() {
                // A rest of the line would only confuse: the next try writes it whole.
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.lost = 0;
        }
        Ok(())
    }

    fn generation(&self) -> u32 {
        self.chunks.last().map_or(0, |chunk| chunk.generation)
    }

    fn marker(&self, at_line_end: bool) -> String {
        format!(
            "{}[mhost] {} bytes lost between {} and {}: {}\n",
            if at_line_end { "" } else { "\n" },
            self.lost,
            time(self.lost_from_ms),
            time(self.lost_to_ms),
            self.reason
        )
    }

    /// One sentence for `status`.
    pub(super) fn describe(&self, stream: &str) -> String {
        let mut text = format!(
            "output of {stream} cannot be written since {}: {}; {} bytes wait in memory",
            time(self.since_ms),
            self.reason,
            self.kept.len() - self.written,
        );
        if self.lost > 0 {
            text.push_str(&format!(
                ", {} bytes were lost between {} and {}",
                self.lost,
                time(self.lost_from_ms),
                time(self.lost_to_ms)
            ));
        }
        text
    }
}

/// RFC 3339 with whole seconds or milliseconds, as far as the time has them.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// The reason as a person would say it.
pub(super) fn reason(error: &std::io::Error) -> String {
    use rustix::io::Errno;
    let full = [Errno::NOSPC, Errno::DQUOT];
    let code = error.raw_os_error();
    if full.iter().any(|errno| code == Some(errno.raw_os_error())) {
        "disk full".to_owned()
    } else {
        error.to_string()
    }
}
