//! What a program says of itself by the protocol of `sd_notify`. Pure.
//!
//! A datagram has lines `NAME=value`. It is text from outside: what is not understood is left
//! out, and of what is shown to people nothing is left but printable characters, of a bounded
//! number. Several datagrams come to one [`Notice`], in which the last word of each kind counts,
//! so that a flood costs no more than a message.

use std::time::Duration;

use crate::state::ProcessRef;

/// Most characters of a status.
const LONGEST_STATUS: usize = 256;

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `WATCHDOG=1`.
    pub alive: bool,
    /// `WATCHDOG=trigger`.
    pub broken: bool,
    /// `STATUS=…`; empty takes the last one back.
    pub status: Option<String>,
    /// `EXTEND_TIMEOUT_USEC=…`.
    pub more_time: Option<Duration>,
    /// `MAINPID=…`, a number from outside: nobody has looked yet whose it is.
    pub main_pid: Option<i32>,
    /// The same, of which it is proven that it is a process of the run.
    pub main: Option<ProcessRef>,
}

impl Notice {
    /// Takes in one datagram.
    pub fn hear(&mut self, datagram: &[u8]) {
        for line in datagram.split(|byte| *byte == b'\n') {
            let Some(equals) = memchr::memchr(b'=', line) else {
                continue;
            };
            match (&line[..equals], &line[equals + 1..]) {
                (b"READY", b"1") => self.ready = true,
                (b"STOPPING", b"1") => self.stopping = true,
                (b"WATCHDOG", b"1") => self.alive = true,
                (b"WATCHDOG", b"trigger") => self.broken = true,
                (b"STATUS", text) => self.status = Some(shown(text)),
                (b"MAINPID", number) => {
                    let pid = std::str::from_utf8(number).ok();
                    let pid = pid.and_then(|text| text.parse().ok());
                    self.main_pid = pid.filter(|pid| *pid > 0).or(self.main_pid);
                }
                (b"EXTEND_TIMEOUT_USEC", number) => {
                    let micros = std::str::from_utf8(number).ok();
                    let micros = micros.and_then(|text| text.parse().ok());
                    self.more_time = micros.map(Duration::from_micros).or(self.more_time);
                }
                _ => {}
            }
        }
    }

    /// Is there anything in it beyond a sign of life?
    pub fn says_something(&self) -> bool {
        let Self {
            ready,
            stopping,
            alive: _,
            broken: _,
            status,
            more_time,
            main_pid: _,
            main,
        } = self;
        *ready || *stopping || status.is_some() || more_time.is_some() || main.is_some()
    }
}

fn shown(text: &[u8]) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = String::from_utf8_lossy(text).chars().map(plain).collect();
    let text = text.trim();
    if text.chars().count() <= LONGEST_STATUS {
        return text.to_owned();
    }
    text.chars().take(LONGEST_STATUS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(datagrams: &[&[u8]]) -> Notice {
        let mut notice = Notice::default();
        datagrams.iter().for_each(|one| notice.hear(one));
        notice
    }

    #[test]
    fn lines_are_understood() {
        let all = notice(&[
            b"READY=1\nSTATUS=serving 3 clients\nWATCHDOG=1",
            b"STOPPING=1\n\nEXTEND_TIMEOUT_USEC=2500000\nWATCHDOG=trigger\nMAINPID=77\n",
        ]);
        let expected = Notice {
            ready: true,
            stopping: true,
            alive: true,
            broken: true,
            status: Some("serving 3 clients".to_owned()),
            more_time: Some(Duration::from_millis(2_500)),
            main_pid: Some(77),
            main: None,
        };
        assert_eq!(all, expected);
        assert!(all.says_something());
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        let garbage: &[&[u8]] = &[
            b"",
            b"\0\xff\xfe",
            b"READY",
            b"READY=yes",
            b"READY=10",
            b"ready=1",
            b" READY=1",
            b"X=READY=1",
            b"WATCHDOG_USEC=5",
            b"EXTEND_TIMEOUT_USEC=-1",
            b"EXTEND_TIMEOUT_USEC=99999999999999999999999",
            b"MAINPID=0",
            b"MAINPID=-1",
            b"MAINPID=99999999999",
            b"MAINPID=12 13",
            b"FDSTORE=1",
        ];
        assert_eq!(notice(garbage), Notice::default());
        for quiet in ["WATCHDOG=1", "MAINPID=77"] {
            assert!(!notice(&[quiet.as_bytes()]).says_something(), "{quiet}");
        }
    }

    #[test]
    fn a_status_is_plain_and_of_a_bounded_length() {
        let status = |text: &[u8]| notice(&[&[b"STATUS=", text].concat()]).status;
        assert_eq!(
            status(b"\x1b[31mred\x07\r\tand \xffmore\0"),
            Some("[31mred   and \u{fffd}more".to_owned())
        );
        let long = status(&"ä".repeat(5_000).into_bytes()).expect("is there");
        assert_eq!(long.chars().count(), LONGEST_STATUS);
        assert!(long.ends_with('…'));
        assert_eq!(status(b""), Some(String::new()));
        let last = notice(&[b"STATUS=one", b"STATUS=two"]).status;
        assert_eq!(last.as_deref(), Some("two"));
    }
}
