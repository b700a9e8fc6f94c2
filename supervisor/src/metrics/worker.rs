//! The task that writes what the sampler has seen, and answers questions about it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::block::{self, Point};
use super::series::{Metric, Series};
use super::store::{self, MetricsError, Writer};
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::paths::Paths;
use crate::sampler::Sampler;
use crate::tasks::Tasks;

/// Time between two writes: what a kill of the daemon takes at most.
const WRITE: Duration = Duration::from_secs(60);
/// Time between two rounds of averaging and forgetting.
const HOUSE: Duration = Duration::from_secs(3_600);
/// The first round, when the start is over.
const FIRST_HOUSE: Duration = Duration::from_secs(300);
/// Rounds between two looks for names without figures: a day.
const NAMES: u32 = 24;
/// So long the sampler's own points are kept.
const FINE: Duration = Duration::from_secs(24 * 3_600);
/// Time between two points that are kept, though a process with a limit has more.
const STEP_MS: i64 = 5_000;
/// A clock that is off by more has jumped: nothing is forgotten until it is believed again.
const JUMP_MS: i64 = 300_000;

/// Keeps and tells what processes used. Clones are the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

/// What is asked of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    /// Which figure.
    pub metric: Metric,
    /// From when on.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// At most so many steps.
    pub steps: usize,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: Clock,
    sampler: Sampler,
    writer: Mutex<Option<Writer>>,
    /// How long averages are kept.
    coarse: watch::Receiver<Duration>,
}

impl Metrics {
    /// Starts the task. `coarse` says how long averages are kept.
    pub fn start(
        paths: &Paths,
        clock: &Clock,
        sampler: &Sampler,
        tasks: &Tasks,
        coarse: watch::Receiver<Duration>,
    ) -> Self {
        let shared = Arc::new(Shared {
            path: paths.metrics(),
            clock: clock.clone(),
            sampler: sampler.clone(),
            writer: Mutex::default(),
            coarse,
        });
        let (task, cancel) = (shared.clone(), tasks.token());
        tasks.spawn("metrics", async move {
            cancel.run_until_cancelled(task.clone().keep()).await;
            // What came since the last write is kept, too.
            task.clone().write(false).await;
            task.close().await;
        });
        Self { shared }
    }

    /// One figure of one instance over time.
    ///
    /// # Errors
    /// When the stored figures cannot be read.
    pub async fn history(
        &self,
        instance: &InstanceId,
        question: History,
    ) -> Result<Series, MetricsError> {
        let (shared, instance) = (self.shared.clone(), instance.clone());
        tokio::task::spawn_blocking(move || shared.history(&instance, question))
            .await
            .unwrap_or(Err(MetricsError::Closed))
    }
}

impl Shared {
    async fn keep(self: Arc<Self>) {
        let mut tick = tokio::time::interval_at(Instant::now() + WRITE, WRITE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_house = Instant::now() + FIRST_HOUSE;
        let mut before = (Instant::now(), self.clock.now());
        let mut failing = false;
        let mut rounds = 0u32;
        loop {
            let now = tick.tick().await;
            let wall = self.clock.now();
            if jumped(before, (now, wall)) {
                tracing::warn!(
                    "The clock has jumped; no stored metrics are forgotten for an hour."
                );
                next_house = now + HOUSE;
            }
            before = (now, wall);
            let house = now >= next_house;
            if house {
                next_house = now + HOUSE;
                rounds = rounds.wrapping_add(1);
            }
            let names = house && rounds.is_multiple_of(NAMES);
            let failed = !self.clone().write_and(house, names).await;
            if !failed && failing {
                tracing::info!("Metrics are stored again.");
            }
            failing = failed;
        }
    }

    async fn write(self: Arc<Self>, house: bool) {
        self.write_and(house, false).await;
    }

    /// Leaves one file, with nothing beside it that still has to be moved there.
    async fn close(self: Arc<Self>) {
        let closed = tokio::task::spawn_blocking(move || {
            let writer = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            writer.map_or(Ok(()), Writer::close)
        });
        if let Ok(Err(error)) = closed.await {
            tracing::warn!(%error, "The stored metrics could not be closed.");
        }
    }

    /// Answers whether it could be written.
    async fn write_and(self: Arc<Self>, house: bool, names: bool) -> bool {
        let shared = self.clone();
        let done = tokio::task::spawn_blocking(move || shared.write_now(house, names)).await;
        match done {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "Metrics could not be stored.");
                false
            }
            Err(_) => false,
        }
    }

    fn write_now(&self, house: bool, names: bool) -> Result<(), MetricsError> {
        let news: Vec<(InstanceId, Vec<Point>)> = self
            .sampler
            .take_new()
            .into_iter()
            .map(|(instance, samples)| {
                let points: Vec<Point> = samples.iter().map(Point::from).collect();
                (instance, thinned(points))
            })
            .collect();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if news.is_empty() && !house {
            return Ok(());
        }
        let result = self.write_with(&mut writer, &news, house, names);
        if result.is_err() {
            // It is opened anew, and mended where that helps.
            *writer = None;
        }
        result
    }

    fn write_with(
        &self,
        writer: &mut Option<Writer>,
        news: &[(InstanceId, Vec<Point>)],
        house: bool,
        names: bool,
    ) -> Result<(), MetricsError> {
        let writer = match writer {
            // Somebody may have removed it.
            Some(writer) if self.path.exists() => writer,
            other => other.insert(Writer::open(&self.path)?),
        };
        writer.add(news)?;
        if house {
            let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4);
            let now = self.clock.now().as_millisecond();
            let coarse = *self.coarse.borrow();
            writer.keep_house(now, ms(FINE), ms(coarse))?;
        }
        if names {
            writer.forget_names()?;
        }
        Ok(())
    }

    fn history(&self, instance: &InstanceId, question: History) -> Result<Series, MetricsError> {
        let span = (
            question.since.as_millisecond(),
            question.until.as_millisecond(),
        );
        let mut points = store::read(&self.path, instance, span)?;
        // What is not written yet.
        let last = points.last().map_or(i64::MIN, |point| point.at_ms);
        let newest = self.sampler.window(instance, WRITE * 3);
        let newest = newest.iter().map(Point::from);
        let newest: Vec<Point> = newest.filter(|point| point.at_ms > last).collect();
        points.extend(thinned(newest));
        let of = (instance.process.clone(), instance.index, question.metric);
        Ok(Series::of(of, &points, span, question.steps))
    }
}

/// Did the wall clock run differently from the time that has passed?
fn jumped(before: (Instant, Timestamp), now: (Instant, Timestamp)) -> bool {
    let passed = i64::try_from((now.0 - before.0).as_millis()).unwrap_or(i64::MAX);
    let shown = now.1.as_millisecond() - before.1.as_millisecond();
    (shown - passed).abs() > JUMP_MS
}

/// A process with a memory limit is looked at each second: five of these become one point.
fn thinned(points: Vec<Point>) -> Vec<Point> {
    let span = match points.as_slice() {
        [first, .., last] => last.at_ms - first.at_ms,
        _ => return points,
    };
    // Backwards, or about as many as there should be.
    if span <= 0 || points.len() as i64 <= span / STEP_MS * 3 / 2 + 2 {
        return points;
    }
    block::averages(&points, STEP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(step_ms: i64, count: i64) -> Vec<Point> {
        let point = |at: i64| Point {
            at_ms: at * step_ms,
            cpu_percent: 2.0,
            ..Point::default()
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn five_seconds_lie_between_points() {
        assert_eq!(thinned(each(1_000, 60)).len(), 12);
        assert_eq!(thinned(each(5_003, 12)).len(), 12);
        assert_eq!(thinned(each(1_000, 1)).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_is_noticed() {
        let start = Instant::now();
        let wall: Timestamp = "2026-03-28T12:00:00Z".parse().expect("a time");
        let minute = start + WRITE;
        let at = |seconds: i64| wall + jiff::SignedDuration::from_secs(seconds);
        assert!(!jumped((start, wall), (minute, at(61))));
        assert!(jumped((start, wall), (minute, at(3_600))));
        assert!(jumped((start, wall), (minute, at(-3_600))));
    }
}
