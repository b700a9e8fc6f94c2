//! Memory that only the start, or a burst of work, needed.
//!
//! The daemon lives for months and mostly waits. glibc gives each thread its own heap and
//! keeps what was freed, and every page of code that was ever run stays mapped. Both are
//! given back from time to time.

/// Makes threads share heaps: ours allocate little at the same time. Call it before there
/// are threads.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator; there are no other threads yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back freed memory, and the pages of code that are not in use. Costs a few
/// milliseconds: call it where blocking is fine.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
    unmap_code();
}

/// Drops the pages of our own code from this process; the next use maps them again from the
/// file, which costs microseconds.
fn unmap_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let Some(program) = program.to_str() else {
        return;
    };
    for (start, length) in maps.lines().filter_map(|line| code_of(line, program)) {
        // SAFETY: this is code mapped from a file, private and never writable, so what is
        // dropped comes back unchanged.
        unsafe {
            libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED);
        }
    }
}

/// Where a line of `maps` is code of this program: its address and length.
fn code_of(line: &str, program: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    if !rest.starts_with("r-xp ") || !rest.ends_with(&format!(" {program}")) {
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
    fn only_own_code_is_dropped() {
        let line = |rights: &str, path: &str| {
            format!("1000-3000 {rights} 00000000 fe:00 42                  {path}")
        };
        assert_eq!(
            code_of(&line("r-xp", "/bin/m"), "/bin/m"),
            Some((0x1000, 0x2000))
        );
        assert_eq!(code_of(&line("r--p", "/bin/m"), "/bin/m"), None);
        assert_eq!(code_of(&line("rwxp", "/bin/m"), "/bin/m"), None);
        assert_eq!(code_of(&line("r-xp", "/lib/m"), "/bin/m"), None);
        assert_eq!(code_of("1000-3000 r-xp 0 0:0 0", "/bin/m"), None);
    }

    #[test]
    fn code_still_runs_afterwards() {
        give_back();
        assert_eq!(code_of("", ""), None);
    }
}
