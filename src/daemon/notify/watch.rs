//! What nobody else looks at: that the daemon came up, that the disk is nearly full, that a
//! sink does not answer. That it is over is seen in `ends`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chat::notify::{EventName, Notice};
use jiff::Timestamp;
use supervisor::sinks::{SinkState, Sinks};
use supervisor::units::short::memory;
use supervisor::{Clock, Paths};

use super::Voice;

/// How often the disk is looked at. It takes a microsecond.
const DISK: Duration = Duration::from_secs(60);
/// Less than a twentieth, and less than 10 GiB, is nearly full; so much of a large disk is not.
const LOW_PARTS: u64 = 20;
const LOW_BYTES: u64 = 10 << 30;
/// It has to have a quarter more than that before it can be told again.
const AGAIN: u64 = 4;
/// How often the sinks are looked at, and how many looks in a row have to find one down: a try
/// that the next one makes good is nobody's business.
const SINKS: Duration = Duration::from_secs(5);
const LOOKS: u32 = 3;

/// That the daemon came up.
pub(super) fn started(now: Timestamp) -> Notice {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let text = format!("mhost {version} is up (pid {pid})");
    let id = format!("d{}", now.as_millisecond());
    Notice::new(id, EventName::DaemonStarted, "", text, now)
        .detail("version", version)
        .detail("pid", pid)
}

/// What was told and is not over. Clones are the same: who tells the end says so here, since it
/// may see an end that is none any more at the next look of who tells the beginning.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    disk: bool,
    /// How often in a row each sink was found down.
    sinks: BTreeMap<String, u32>,
}

impl Seen {
    /// That the disk has room was told.
    pub(super) fn disk_is_over(&self) {
        self.open().disk = false;
    }

    /// That a sink answers was told.
    pub(super) fn sink_is_over(&self, name: Option<&str>) {
        self.open().sinks.remove(name.unwrap_or_default());
    }

    /// Takes a look at the disk. Is it to be told?
    fn looks_at_disk(&self, room: &Room) -> bool {
        let mut open = self.open();
        let before = open.disk;
        open.disk = match room {
            Room::Low => true,
            Room::Between => before,
            Room::Enough => false,
        };
        open.disk && !before
    }

    /// Takes a look at a sink. Is it to be told?
    fn looks_at_sink(&self, name: &str, state: SinkState) -> bool {
        let mut open = self.open();
        if state != SinkState::Down {
            open.sinks.remove(name);
            return false;
        }
        let looks = open.sinks.entry(name.to_owned()).or_default();
        *looks = looks.saturating_add(1);
        *looks == LOOKS
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells once that the disk of the home folder is nearly full, until it is not any more.
pub(super) async fn disk(voice: &Voice, seen: &Seen, paths: &Paths, clock: &Clock) {
    loop {
        if let Some((free, size)) = free(paths).await
            && seen.looks_at_disk(&room(free, size))
        {
            let now = clock.now();
            let text = format!(
                "{} of {} are free on the disk of {}",
                memory(free),
                memory(size),
                paths.home().display()
            );
            let id = format!("k{}", now.as_millisecond());
            let notice = Notice::new(id, EventName::DiskLow, "", text, now)
                .detail("free_bytes", free)
                .detail("size_bytes", size);
            voice.tell(notice).await;
        }
        tokio::time::sleep_until(clock.beat(DISK)).await;
    }
}

/// How many bytes of the disk of the home folder are free, and how many there are.
pub(super) async fn free(paths: &Paths) -> Option<(u64, u64)> {
    let home = paths.home().to_owned();
    let look = tokio::task::spawn_blocking(move || rustix::fs::statvfs(home));
    let disk = look.await.ok()?.ok()?;
    let size = disk.f_blocks.saturating_mul(disk.f_frsize);
    Some((disk.f_bavail.saturating_mul(disk.f_frsize), size))
}

#[derive(Debug, PartialEq)]
pub(super) enum Room {
    Low,
    Between,
    Enough,
}

pub(super) fn room(free: u64, size: u64) -> Room {
    let limit = (size / LOW_PARTS).min(LOW_BYTES);
    if free < limit {
        Room::Low
    } else if free < limit + limit / AGAIN {
        Room::Between
    } else {
        Room::Enough
    }
}

/// Tells once that a sink does not answer, until it does.
pub(super) async fn sinks(voice: &Voice, seen: &Seen, sinks: &Sinks, clock: &Clock) {
    loop {
        let all = sinks.status();
        (seen.open().sinks).retain(|name, _| all.iter().any(|one| one.name == *name));
        for sink in all {
            if !seen.looks_at_sink(&sink.name, sink.state) {
                continue;
            }
            let now = clock.now();
            let error = sink
                .last_error
                .unwrap_or_else(|| "it does not answer".into());
            let text = format!(
                "the sink {} is down: {error}; {} lines wait, {} are lost",
                sink.name, sink.queued, sink.dropped
            );
            let id = format!("s{}-{}", sink.name, now.as_millisecond());
            let notice = Notice::new(id, EventName::SinkDown, "", text, now)
                .topic(&sink.name)
                .detail("sink", sink.name)
                .detail("waiting", sink.queued);
            voice.tell(notice).await;
        }
        tokio::time::sleep_until(clock.beat(SINKS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end was seen between two looks: what comes again is told again.
    #[test]
    fn what_is_over_and_comes_again_is_told_again() {
        let seen = Seen::default();
        let looks = |rooms: &[Room]| -> Vec<bool> {
            rooms.iter().map(|one| seen.looks_at_disk(one)).collect()
        };
        let low = [Room::Low, Room::Low, Room::Between, Room::Low];
        assert_eq!(looks(&low), [true, false, false, false]);
        seen.disk_is_over();
        assert_eq!(looks(&low), [true, false, false, false]);
        assert_eq!(looks(&[Room::Enough, Room::Low]), [false, true]);
        let looks = |count| -> Vec<bool> {
            (0..count)
                .map(|_| seen.looks_at_sink("a", SinkState::Down))
                .collect()
        };
        assert_eq!(looks(4), [false, false, true, false]);
        seen.sink_is_over(Some("a"));
        assert_eq!(looks(4), [false, false, true, false]);
        seen.looks_at_sink("a", SinkState::Up);
        assert_eq!(looks(3), [false, false, true]);
    }

    #[test]
    fn a_disk_is_low_by_its_size_and_not_on_and_off() {
        const GB: u64 = 1 << 30;
        for (free, size, found) in [
            (4 * GB, 100 * GB, Room::Low),
            (5 * GB + 1, 100 * GB, Room::Between),
            (7 * GB, 100 * GB, Room::Enough),
            (9 * GB, 4_000 * GB, Room::Low),
            (11 * GB, 4_000 * GB, Room::Between),
            (100 * GB, 4_000 * GB, Room::Enough),
        ] {
            assert_eq!(room(free, size), found, "{free} of {size}");
        }
    }
}
