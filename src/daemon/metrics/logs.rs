//! How many lines were printed, and how many were lost.

use async_trait::async_trait;
use supervisor::logs::{Ingest, Level};

use super::collect::Contributor;
use super::exposition::{Exposition, Kind};

/// How a line without a level is counted.
const NO_LEVEL: &str = "none";

/// Figures of what is kept.
pub(crate) struct LogFigures {
    pub(crate) ingest: Ingest,
}

#[async_trait]
impl Contributor for LogFigures {
    async fn contribute(&self, page: &mut Exposition) {
        page.family(
            "mhost_log_lines_total",
            Kind::Counter,
            "Lines that were printed and indexed since the daemon started, by their level.",
        );
        let mut lines = self.ingest.came();
        lines.sort();
        for (process, level, count) in &lines {
            let level = level.map_or(NO_LEVEL, Level::as_str);
            let labels = [("name", process.as_str()), ("level", level)];
            page.figure(&labels, *count as f64);
        }
        page.family(
            "mhost_log_dropped_total",
            Kind::Counter,
            "Lines that were lost since the daemon started: the disk took none and memory was full.",
        );
        let mut dropped: Vec<_> = self.ingest.dropped().into_iter().collect();
        dropped.sort();
        for (process, count) in &dropped {
            page.figure(&[("name", process.as_str())], *count as f64);
        }
    }
}
