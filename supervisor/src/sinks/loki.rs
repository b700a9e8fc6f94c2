//! The push interface of Loki: lines grouped by their labels, times in nanoseconds.
//!
//! Loki takes two equal lines of one stream and time for one. Captured times have whole
//! milliseconds, so the digits below carry the place of the line within its millisecond: it
//! is the same at every try, so that a batch sent twice is stored once.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::http::Http;
use super::{Identity, Sent, Sink, SinkError};
use crate::config::SinkConfig;
use crate::logs::feed::FeedLine;

/// Where lines are pushed to.
const PATH: &str = "/loki/api/v1/push";

/// A Loki server.
pub(super) struct Loki {
    http: Http,
    identity: Identity,
}

impl Loki {
    pub(super) fn new(config: &SinkConfig, identity: Identity) -> Result<Self, SinkError> {
        let base = config.url.as_deref().unwrap_or_default();
        let base = base.trim_end_matches('/');
        let url = if base.ends_with(PATH) {
            base.to_owned()
        } else {
            format!("{base}{PATH}")
        };
        let mut http = Http::new(config, &url)?;
        if let Some(tenant) = &config.tenant {
            http.header("x-scope-orgid", tenant)?;
        }
        Ok(Self { http, identity })
    }
}

#[async_trait]
impl Sink for Loki {
    async fn send(&mut self, batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
        let body = encode(batch, &self.identity);
        self.http.post("application/json", body).await?;
        Ok(Sent::default())
    }
}

/// The body of a push.
pub(super) fn encode(batch: &[Arc<FeedLine>], identity: &Identity) -> Vec<u8> {
    let mut streams: BTreeMap<Labels<'_>, Vec<(i128, &str)>> = BTreeMap::new();
    for line in batch {
        let labels = (
            line.process.as_str(),
            line.instance,
            line.level.map_or("unknown", |level| level.as_str()),
            line.stream.as_str(),
        );
        let below = i128::from(line.order.min(999_999));
        let nanos = i128::from(line.ts.as_millisecond()) * 1_000_000 + below;
        streams.entry(labels).or_default().push((nanos, &line.text));
    }
    let streams: Vec<Value> = streams
        .into_iter()
        .map(|(labels, mut values)| {
            values.sort_by_key(|(nanos, _)| *nanos);
            let values: Vec<Value> = values
                .into_iter()
                .map(|(nanos, text)| json!([nanos.to_string(), text]))
                .collect();
            json!({ "stream": names(labels, identity), "values": values })
        })
        .collect();
    json!({ "streams": streams }).to_string().into_bytes()
}

/// Process, instance, level, stream.
type Labels<'a> = (&'a str, u16, &'a str, &'a str);

fn names((process, instance, level, stream): Labels<'_>, identity: &Identity) -> Value {
    let mut labels = json!({
        "process": process,
        "instance": instance.to_string(),
        "level": level,
        "stream": stream,
        "host": identity.host,
    });
    if let Value::Object(labels) = &mut labels {
        for (key, value) in &identity.labels {
            labels.entry(label(key)).or_insert(value.as_str().into());
        }
    }
    labels
}

/// Letters, digits and `_`, not beginning with a digit.
fn label(key: &str) -> String {
    let mut name: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::super::testing::{arcs, identity, line, structured};
    use super::*;

    #[test]
    fn golden_push() {
        let mut second = line("two");
        second.order = 4;
        let batch = arcs(vec![second, structured(), line("one")]);
        let text = String::from_utf8(encode(&batch, &identity())).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"streams":[{"stream":{"process":"api","instance":"0","level":"unknown","stream":"out","host":"web-1","env":"prod"},"#,
                r#""values":[["1774708321123000000","one"],["1774708321123000004","two"]]},"#,
                r#"{"stream":{"process":"api","instance":"1","level":"error","stream":"err","host":"web-1","env":"prod"},"#,
                r#""values":[["1774708321123000000","{\"level\":\"error\",\"msg\":\"upstream \\\"pay\\\" failed\",\"status\":502,\"req\":{\"path\":\"/pay\"},\"id\":\"7\",\"ok\":false}"]]}]}"#
            )
        );
    }

    #[test]
    fn labels_are_made_names_that_loki_takes() {
        for (key, expected) in [("a.b-c", "a_b_c"), ("9x", "_9x"), ("é", "_")] {
            assert_eq!(label(key), expected);
        }
    }

    #[test]
    fn a_base_and_a_full_address_are_the_same() {
        use crate::config::SinkType;
        for url in [
            "http://l:3100",
            "http://l:3100/",
            "http://l:3100/loki/api/v1/push",
        ] {
            let mut config = SinkConfig::new(SinkType::Loki);
            config.url = Some(url.to_owned());
            let loki = Loki::new(&config, identity()).unwrap();
            assert_eq!(loki.http.path(), PATH);
        }
    }
}
