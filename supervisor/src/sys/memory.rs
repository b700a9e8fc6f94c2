//! Memory that only the start, or a burst of work, needed.
//!
//! The daemon lives for months and mostly waits. glibc gives each thread its own heap and
//! keeps what was freed, and every page of the program that was ever touched stays mapped: its
//! code, its constants, and the table of relocations that only the loader has read. All of it
//! is given back from time to time.

/// Makes threads share heaps: ours allocate little at the same time. Call it before there
/// are threads.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator; there are no other threads yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Lets databases take memory as they need it. SQLite prepares 135 KB for each connection, and
/// the daemon has several that are hardly used. Call it before the first one is opened; later
/// it changes nothing.
pub fn small_databases() {
    // Places for small allocations: so many of so many bytes. The rest comes from the heap.
    const PLACES: (libc::c_int, libc::c_int) = (512, 8);
    // SAFETY: both options are documented to take two numbers, and a pointer, which may be
    // null, and two numbers; no other thread uses SQLite yet.
    unsafe {
        rusqlite::ffi::sqlite3_config(rusqlite::ffi::SQLITE_CONFIG_LOOKASIDE, PLACES.0, PLACES.1);
        let (nowhere, none): (*mut libc::c_void, libc::c_int) = (std::ptr::null_mut(), 0);
        rusqlite::ffi::sqlite3_config(rusqlite::ffi::SQLITE_CONFIG_PAGECACHE, nowhere, none, none);
    }
}

/// Gives back freed memory, and the pages of the program that are not in use. Costs a few
/// milliseconds: call it where blocking is fine.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
    unmap_program();
}

/// Drops the pages of our own program from this process; the next use maps them again from
/// the file, which costs microseconds.
fn unmap_program() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let Some(program) = program.to_str() else {
        return;
    };
    for (start, length) in maps.lines().filter_map(|line| unchanged(line, program)) {
        // SAFETY: this is mapped from a file, private, and was written to by nobody, so what
        // is dropped comes back unchanged.
        unsafe {
            libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED);
        }
    }
}

/// Where a line of `maps` is a part of this program as it is in its file: its address and
/// length. That is code, and the read-only part at the beginning of the file. What is read-only
/// further on was written to by the loader before it was made so.
fn unchanged(line: &str, program: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let unchanged = rest.starts_with("r-xp ") || rest.starts_with("r--p 00000000 ");
    if !unchanged || !rest.ends_with(&format!(" {program}")) {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_wrote_to_is_dropped() {
        let line = |rights: &str, offset: &str, path: &str| {
            format!("1000-3000 {rights} {offset} fe:00 42                  {path}")
        };
        let of = |rights, offset, path| unchanged(&line(rights, offset, path), "/bin/m");
        let whole = Some((0x1000, 0x2000));
        assert_eq!(of("r-xp", "00008000", "/bin/m"), whole);
        assert_eq!(of("r--p", "00000000", "/bin/m"), whole);
        // Relocated at the start: the file has other content.
        assert_eq!(of("r--p", "02181000", "/bin/m"), None);
        assert_eq!(of("rw-p", "00000000", "/bin/m"), None);
        assert_eq!(of("rwxp", "00008000", "/bin/m"), None);
        assert_eq!(of("r-xp", "00008000", "/lib/m"), None);
        assert_eq!(unchanged("1000-3000 r-xp 0 0:0 0", "/bin/m"), None);
    }

    /// A table of addresses, which the loader fills in, and constants, which it does not.
    #[test]
    fn everything_still_works_afterwards() {
        static NAMES: [&str; 3] = ["one", "two", "three"];
        give_back();
        assert_eq!(std::hint::black_box(&NAMES).concat(), "onetwothree");
    }
}
