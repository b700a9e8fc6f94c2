//! How long the calling thread has computed.

use std::time::Duration;

/// CPU time of the calling thread since it began: what it waited for, also for its turn on a
/// busy machine, is not in it.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes to `time`, which is ours and lives until the call is over. It
    // fails for clocks that it does not know only, and knows this one: then nothing is written.
    unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
    }
    let whole = Duration::from_secs(time.tv_sec.unsigned_abs());
    whole + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_with_what_the_thread_computes() {
        let before = thread_time();
        while thread_time() < before + Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let other = std::thread::spawn(thread_time).join().expect("a time");
        assert!(other < thread_time(), "another thread has its own");
    }
}
