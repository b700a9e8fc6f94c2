//! What became of the lines that were to be sent.

use async_trait::async_trait;
use supervisor::sinks::{SinkStatus, Sinks};

use super::collect::Contributor;
use super::exposition::{Exposition, Kind};

/// Figures of the sinks.
pub(crate) struct SinkFigures {
    pub(crate) sinks: Sinks,
}

#[async_trait]
impl Contributor for SinkFigures {
    async fn contribute(&self, page: &mut Exposition) {
        type Get = fn(&SinkStatus) -> u64;
        let families: [(&'static str, Kind, &str, Get); 3] = [
            (
                "mhost_sink_sent_total",
                Kind::Counter,
                "Lines that the sink's server took.",
                |sink| sink.sent,
            ),
            (
                "mhost_sink_dropped_total",
                Kind::Counter,
                "Lines that will not be sent: too many waited, or the server refused them.",
                |sink| sink.dropped,
            ),
            (
                "mhost_sink_queued_lines",
                Kind::Gauge,
                "Lines that wait to be sent.",
                |sink| sink.queued,
            ),
        ];
        let sinks = self.sinks.status();
        for (name, kind, help, get) in families {
            page.family(name, kind, help);
            for sink in &sinks {
                page.figure(&[("sink", sink.name.as_str())], get(sink) as f64);
            }
        }
    }
}
