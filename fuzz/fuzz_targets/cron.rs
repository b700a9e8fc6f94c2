//! A schedule: any text is one or an error, and what one names lies ahead, each time later.
//! The first line is the time zone, the rest the expression.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use supervisor::Schedule;

fuzz_target!(|text: &str| {
    let (zone, expression) = text.split_once('\n').unwrap_or(("UTC", text));
    if let Ok(schedule) = Schedule::parse(expression, zone) {
        // A day on which half of Europe set its clocks back.
        let mut now: Timestamp = "2026-10-25T00:30:00Z".parse().expect("an instant");
        for _ in 0..5 {
            match schedule.next_after(now) {
                Some(next) => {
                    assert!(next > now, "{expression} in {zone}: {next} after {now}");
                    now = next;
                }
                None => break,
            }
        }
    }
});
