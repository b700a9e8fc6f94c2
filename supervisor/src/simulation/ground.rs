//! What one life of the daemon stands on: our processes, disk and clock, and else what is real.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::{Book, Disk, Silence};
use super::life::Life;
use super::os::{Os, Reach};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::instance::{Board, Context, Shared};
use crate::paths::Paths;
use crate::sampler::Sampler;
use crate::tasks::Tasks;

/// The ground of one life.
pub(super) struct Ground {
    pub(super) life: Arc<Life>,
    pub(super) clock: Clock,
    pub(super) book: Arc<Book>,
    pub(super) context: Context,
}

impl Ground {
    /// A new life, which begins at this time.
    pub(super) fn new(os: &Os, disk: &Disk, wall: Timestamp) -> Self {
        let (life, clock, tasks) = (Arc::new(Life::new()), Clock::anchored(wall), Tasks::new());
        let sampler = Sampler::start(&tasks, &clock);
        // There is nothing to measure here.
        sampler.set_interval(Duration::from_secs(10_000_000));
        let book = Arc::new(Book::new(disk, os, &life));
        let context = Context::new(Shared {
            clock: clock.clone(),
            launcher: Arc::new(Reach {
                os: os.clone(),
                life: Arc::clone(&life),
            }),
            journal: Arc::clone(&book) as _,
            capture: Arc::new(Silence {
                life: Arc::clone(&life),
            }),
            sampler,
            bus: Bus::new(),
            board: Board::default(),
            paths: Paths::new("/nowhere").expect("paths"),
            tasks,
        });
        Self {
            life,
            clock,
            book,
            context,
        }
    }
}
