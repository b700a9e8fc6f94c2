//! What a program says of itself: any bytes are understood or left out, and of a status nothing
//! is left that a terminal would act on.

#![no_main]

use libfuzzer_sys::fuzz_target;
use supervisor::notice::Notice;

fuzz_target!(|bytes: &[u8]| {
    let mut notice = Notice::default();
    notice.hear(bytes);
    let once = notice.clone();
    // The last word of each kind counts, so saying it again changes nothing.
    notice.hear(bytes);
    assert_eq!(notice, once);
    // Zero and less are whole groups to who sends signals.
    assert!(once.main_pid.is_none_or(|pid| pid > 0));
    if let Some(status) = once.status {
        assert!(status.chars().count() <= 256);
        assert!(!status.chars().any(char::is_control));
    }
});
