//! What one process has used, from the files of `/proc` that cost more than `stat`.
//!
//! Both may be read of processes of the same user only, and by root of all.

use super::proc_scan::read_into;

/// Bytes that went to and came from storage, since the process began. Those of children that
/// it has waited for are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Io {
    /// Read from storage: what was in the cache already does not count.
    pub(crate) read: u64,
    /// Written, or still to be written by the kernel.
    pub(crate) written: u64,
}

/// What a process has read and written. `None` when it is gone or not ours to ask.
pub(crate) fn io(pid: i32) -> Option<Io> {
    let mut buffer = [0; 512];
    let text = read_into(&format!("{pid}/io"), &mut buffer)?;
    Some(Io {
        read: field(text, b"read_bytes:")?,
        written: field(text, b"write_bytes:")?,
    })
}

/// Resident bytes of a process, with shared pages divided among those that share them. The
/// kernel walks all its pages for it: 1 ms for 100 MB. `None` as for [`io`].
pub(crate) fn pss(pid: i32) -> Option<u64> {
    let mut buffer = [0; 2048];
    let text = read_into(&format!("{pid}/smaps_rollup"), &mut buffer)?;
    Some(field(text, b"Pss:")? << 10)
}

/// The number behind a name that begins a line.
fn field(text: &[u8], name: &[u8]) -> Option<u64> {
    let lines = text.split(|byte| *byte == b'\n');
    let value = lines.filter_map(|line| line.strip_prefix(name)).next()?;
    let digits = value.trim_ascii().split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_at_the_beginning_of_a_line() {
        let text = b"rchar: 1\nread_bytes: 4096\nwrite_bytes: 512\ncancelled_write_bytes: 9\n";
        assert_eq!(field(text, b"read_bytes:"), Some(4096));
        assert_eq!(field(text, b"write_bytes:"), Some(512));
        assert_eq!(field(b"Pss:               1234 kB\n", b"Pss:"), Some(1234));
        assert_eq!(field(b"Pss: much\n", b"Pss:"), None);
        assert_eq!(field(text, b"Rss:"), None);
    }

    #[test]
    fn the_own_process_can_be_asked() {
        let own = std::process::id().cast_signed();
        // Other tests take and give back memory between the two looks.
        let fits = || {
            let shared = pss(own).expect("is ours");
            let stat = crate::sys::proc_scan::stat(own).expect("lives");
            shared > 0 && shared <= (stat.rss_pages + 4096) * rustix::param::page_size() as u64
        };
        assert!(super::super::comes_true::comes_true(fits));
        assert!(io(own).is_some());
        assert_eq!((io(-1), pss(-1)), (None, None));
    }
}
