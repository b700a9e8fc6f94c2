//! The tables of `metrics.sqlite`.
//!
//! Rows of one time lie together: writing a minute of a thousand instances touches few pages,
//! reading a day of one instance is 144 look-ups, and forgetting is one range.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};

use super::block::{self, Point};
use crate::ids::InstanceId;

/// Rows of this span lie together in `fine`.
const BUCKET_MS: i64 = 600_000;
/// Rows of this span lie together in `coarse`: one row of an instance.
const HOUR_MS: i64 = 3_600_000;
/// What is averaged when it gets old.
const MINUTE_MS: i64 = 60_000;
/// How far ahead of the clock a row may be before it is taken for a mistake of the clock.
const AHEAD_MS: i64 = HOUR_MS;
const LOCK_WAIT: Duration = Duration::from_millis(500);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS series (
    id       INTEGER PRIMARY KEY,
    process  TEXT NOT NULL,
    instance INTEGER NOT NULL,
    UNIQUE (process, instance)
);
CREATE TABLE IF NOT EXISTS fine (
    bucket  INTEGER NOT NULL,
    series  INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    points  BLOB NOT NULL,
    PRIMARY KEY (bucket, series, from_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coarse (
    hour   INTEGER NOT NULL,
    series INTEGER NOT NULL,
    points BLOB NOT NULL,
    PRIMARY KEY (hour, series)
) WITHOUT ROWID;
-- The first hour that was not averaged yet.
CREATE TABLE IF NOT EXISTS progress (hour INTEGER NOT NULL);
PRAGMA user_version = 1;
";

/// Why figures could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file could not be made.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What SQLite said.
    #[error("the stored metrics cannot be used: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The daemon ends.
    #[error("the daemon ends")]
    Closed,
}

/// The only connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    series: HashMap<InstanceId, i64>,
}

impl Writer {
    /// Opens or makes the file. A damaged one is moved aside: figures are no reason to stop.
    pub(super) fn open(path: &Path) -> Result<Self, MetricsError> {
        match Self::open_as_it_is(path) {
            Err(MetricsError::Sql(error)) if is_damaged(&error) => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(".damaged");
                let moved = std::fs::rename(path, &aside);
                moved.map_err(|source| MetricsError::Open {
                    path: path.to_owned(),
                    source,
                })?;
                for end in ["-wal", "-shm"] {
                    let mut beside = path.as_os_str().to_owned();
                    beside.push(end);
                    // They are seldom there.
                    let _ = std::fs::remove_file(beside);
                }
                tracing::warn!(
                    aside = %Path::new(&aside).display(),
                    "The stored metrics were damaged; they begin anew."
                );
                Self::open_as_it_is(path)
            }
            result => result,
        }
    }

    fn open_as_it_is(path: &Path) -> Result<Self, MetricsError> {
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        made.map_err(|source| MetricsError::Open {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(LOCK_WAIT)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "cache_size", -256)?;
        db.execute_batch(TABLES)?;
        Ok(Self {
            db,
            series: HashMap::new(),
        })
    }

    /// Moves all that was written into the file itself.
    pub(super) fn close(self) -> Result<(), MetricsError> {
        let moved = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.db.query_row(moved, [], |_| Ok(()))?)
    }

    /// Adds the newest points of some instances, all or none.
    pub(super) fn add(&mut self, news: &[(InstanceId, Vec<Point>)]) -> Result<(), MetricsError> {
        let transaction = self.db.transaction()?;
        let mut known = Vec::new();
        for (instance, points) in news {
            let Some(first) = points.first() else {
                continue;
            };
            let series = match self.series.get(instance) {
                Some(series) => *series,
                None => {
                    let series = series_of(&transaction, instance)?;
                    known.push((instance.clone(), series));
                    series
                }
            };
            transaction
                .prepare_cached("INSERT OR REPLACE INTO fine VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    first.at_ms.div_euclid(BUCKET_MS),
                    series,
                    first.at_ms,
                    block::pack(points)
                ])?;
        }
        transaction.commit()?;
        self.series.extend(known);
        Ok(())
    }

    /// Averages the hours that are over, and forgets what is too old or not yet to be.
    pub(super) fn keep_house(
        &mut self,
        now_ms: i64,
        fine_ms: i64,
        coarse_ms: i64,
    ) -> Result<(), MetricsError> {
        self.average_hours(now_ms)?;
        let db = self.db.transaction()?;
        let forget = [
            (
                "DELETE FROM fine WHERE bucket < ?1",
                (now_ms - fine_ms).div_euclid(BUCKET_MS),
            ),
            (
                "DELETE FROM fine WHERE bucket > ?1",
                (now_ms + AHEAD_MS).div_euclid(BUCKET_MS),
            ),
            (
                "DELETE FROM coarse WHERE hour < ?1",
                (now_ms - coarse_ms).div_euclid(HOUR_MS),
            ),
            (
                "DELETE FROM coarse WHERE hour > ?1",
                (now_ms + AHEAD_MS).div_euclid(HOUR_MS),
            ),
        ];
        for (sql, bound) in forget {
            db.execute(sql, [bound])?;
        }
        db.commit()?;
        Ok(())
    }

    /// Forgets the names of instances of which nothing is left. Reads everything.
    pub(super) fn forget_names(&mut self) -> Result<(), MetricsError> {
        self.db.execute_batch(
            "DELETE FROM series WHERE id NOT IN
                 (SELECT series FROM fine UNION SELECT series FROM coarse)",
        )?;
        self.series.clear();
        Ok(())
    }

    fn average_hours(&mut self, now_ms: i64) -> Result<(), MetricsError> {
        let this_hour = now_ms.div_euclid(HOUR_MS);
        let per_hour = HOUR_MS / BUCKET_MS;
        let known = self
            .db
            .query_row("SELECT hour FROM progress", [], |row| row.get::<_, i64>(0));
        let mut hour = known.optional()?.unwrap_or(i64::MIN / HOUR_MS);
        loop {
            // Hours in which the daemon did not run are passed over.
            let next: Option<i64> = self.db.query_row(
                "SELECT min(bucket) FROM fine WHERE bucket >= ?1",
                [hour.saturating_mul(per_hour)],
                |row| row.get(0),
            )?;
            hour = match next {
                Some(bucket) => hour.max(bucket.div_euclid(per_hour)).min(this_hour),
                None => this_hour,
            };
            let db = self.db.transaction()?;
            if hour < this_hour {
                average(&db, hour, hour * per_hour..(hour + 1) * per_hour)?;
                hour += 1;
            }
            db.execute("DELETE FROM progress", [])?;
            db.execute("INSERT INTO progress VALUES (?1)", [hour])?;
            db.commit()?;
            if hour >= this_hour {
                return Ok(());
            }
        }
    }
}

fn average(
    db: &Transaction<'_>,
    hour: i64,
    buckets: std::ops::Range<i64>,
) -> Result<(), MetricsError> {
    let mut all: HashMap<i64, Vec<Point>> = HashMap::new();
    let mut fine =
        db.prepare_cached("SELECT series, points FROM fine WHERE bucket >= ?1 AND bucket < ?2")?;
    let mut rows = fine.query([buckets.start, buckets.end])?;
    while let Some(row) = rows.next()? {
        let points = block::unpack(row.get_ref(1)?.as_blob().unwrap_or_default());
        let minutes = block::averages(&points.unwrap_or_default(), MINUTE_MS);
        all.entry(row.get(0)?).or_default().extend(minutes);
    }
    let mut coarse = db.prepare_cached("INSERT OR REPLACE INTO coarse VALUES (?1, ?2, ?3)")?;
    for (series, mut minutes) in all {
        minutes.sort_unstable_by_key(|point| point.at_ms);
        // The two halves of a minute that was cut by a write.
        let minutes = block::averages(&minutes, MINUTE_MS);
        coarse.execute(params![hour, series, block::pack(&minutes)])?;
    }
    Ok(())
}

fn series_of(db: &Transaction<'_>, instance: &InstanceId) -> Result<i64, MetricsError> {
    let key = params![instance.process.as_str(), instance.index];
    db.prepare_cached("INSERT OR IGNORE INTO series (process, instance) VALUES (?1, ?2)")?
        .execute(key)?;
    let mut query =
        db.prepare_cached("SELECT id FROM series WHERE process = ?1 AND instance = ?2")?;
    Ok(query.query_row(key, |row| row.get(0))?)
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The points of an instance between two times, oldest first: in detail where that is kept.
pub(super) fn read(
    path: &Path,
    instance: &InstanceId,
    (from_ms, to_ms): (i64, i64),
) -> Result<Vec<Point>, MetricsError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(LOCK_WAIT)?;
    let series: Option<i64> = db
        .query_row(
            "SELECT id FROM series WHERE process = ?1 AND instance = ?2",
            params![instance.process.as_str(), instance.index],
            |row| row.get(0),
        )
        .optional()?;
    let Some(series) = series else {
        return Ok(Vec::new());
    };
    let first: Option<i64> = db.query_row("SELECT min(bucket) FROM fine", [], |row| row.get(0))?;
    let detailed = first.unwrap_or(i64::MAX / BUCKET_MS);
    // A block may begin a minute before the span, and in the bucket before.
    let buckets = (from_ms.div_euclid(BUCKET_MS) - 1).max(detailed)..=to_ms.div_euclid(BUCKET_MS);
    let detailed_ms = detailed.saturating_mul(BUCKET_MS);
    let hours = from_ms.div_euclid(HOUR_MS)..=to_ms.min(detailed_ms).div_euclid(HOUR_MS);
    let mut points = Vec::new();
    if from_ms < detailed_ms {
        let sql = "SELECT points FROM coarse WHERE hour = ?1 AND series = ?2";
        collect(&db, sql, hours, series, &mut points)?;
        points.retain(|point| point.at_ms < detailed_ms);
    }
    let sql = "SELECT points FROM fine WHERE bucket = ?1 AND series = ?2";
    collect(&db, sql, buckets, series, &mut points)?;
    points.retain(|point| (from_ms..=to_ms).contains(&point.at_ms));
    points.sort_by_key(|point| point.at_ms);
    Ok(points)
}

fn collect(
    db: &Connection,
    sql: &str,
    keys: std::ops::RangeInclusive<i64>,
    series: i64,
    points: &mut Vec<Point>,
) -> Result<(), MetricsError> {
    let mut query = db.prepare(sql)?;
    for key in keys {
        let mut rows = query.query([key, series])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
            points.extend(block::unpack(bytes).unwrap_or_default());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * HOUR_MS;
    const NOW: i64 = 1_774_706_400_000;

    fn instance(name: &str) -> InstanceId {
        InstanceId::new(name.parse().expect("a name"), 0)
    }

    /// A point each 5 s, written a minute at a time.
    fn fill(writer: &mut Writer, name: &str, from_ms: i64, to_ms: i64) {
        for minute in (from_ms..to_ms).step_by(60_000) {
            let points = (0..12)
                .map(|at| Point {
                    at_ms: minute + at * 5_000,
                    cpu_percent: 1.0,
                    rss_bytes: 10 << 20,
                    fds: 5,
                    threads: 2,
                    ..Point::default()
                })
                .collect();
            writer.add(&[(instance(name), points)]).expect("writes");
        }
    }

    #[test]
    fn a_day_is_kept_in_detail_and_a_week_by_the_minute() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("metrics.sqlite");
        let mut writer = Writer::open(&path).expect("opens");
        fill(
            &mut writer,
            "api",
            NOW - 9 * DAY_MS,
            NOW - 9 * DAY_MS + HOUR_MS,
        );
        fill(
            &mut writer,
            "api",
            NOW - 2 * DAY_MS,
            NOW - 2 * DAY_MS + HOUR_MS,
        );
        fill(&mut writer, "api", NOW - HOUR_MS / 2, NOW);
        fill(&mut writer, "web", NOW - HOUR_MS / 2, NOW);
        writer
            .keep_house(NOW, DAY_MS, 7 * DAY_MS)
            .expect("keeps house");
        let count = |name: &str, from: i64, to: i64| {
            read(&path, &instance(name), (from, to))
                .expect("reads")
                .len()
        };
        assert_eq!(count("api", NOW - 10 * DAY_MS, NOW - 8 * DAY_MS), 0);
        assert_eq!(count("api", NOW - 3 * DAY_MS, NOW - DAY_MS), 60);
        assert_eq!(count("api", NOW - 7 * DAY_MS, NOW), 60 + 360);
        assert_eq!(count("api", NOW - 60_000, NOW - 1), 12);
        assert_eq!(count("none", 0, NOW), 0);
        // Once more changes nothing, and old names go with the last of their points.
        writer.keep_house(NOW, DAY_MS, 7 * DAY_MS).expect("again");
        writer
            .keep_house(NOW + 8 * DAY_MS, DAY_MS, 7 * DAY_MS)
            .expect("later");
        writer.forget_names().expect("forgets");
        fill(
            &mut writer,
            "api",
            NOW + 8 * DAY_MS,
            NOW + 8 * DAY_MS + 60_000,
        );
        assert_eq!(count("api", 0, NOW + 9 * DAY_MS), 12);
    }

    /// A clock that was wrong for a while leaves nothing behind.
    #[test]
    fn figures_of_the_future_are_forgotten() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("metrics.sqlite");
        let mut writer = Writer::open(&path).expect("opens");
        fill(
            &mut writer,
            "api",
            NOW + 300 * DAY_MS,
            NOW + 300 * DAY_MS + 60_000,
        );
        fill(&mut writer, "api", NOW - 60_000, NOW);
        writer
            .keep_house(NOW, DAY_MS, 7 * DAY_MS)
            .expect("keeps house");
        let all = read(&path, &instance("api"), (0, NOW + 400 * DAY_MS)).expect("reads");
        assert_eq!(all.len(), 12);
    }

    #[test]
    fn a_damaged_file_is_moved_aside() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("metrics.sqlite");
        std::fs::write(&path, "this is no database, however long it is").expect("writes");
        let mut writer = Writer::open(&path).expect("opens");
        fill(&mut writer, "api", NOW, NOW + 60_000);
        assert!(folder.path().join("metrics.sqlite.damaged").exists());
    }
}
