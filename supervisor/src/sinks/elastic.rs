//! The bulk interface of Elasticsearch and OpenSearch: NDJSON, one `create` per line.
//!
//! The `_id` of a document is the place of its line, so that a batch sent twice makes no
//! second document: the answer 409 means that it is there already. Every item of an answer is
//! looked at: what may work later is tried again, what never will is rejected.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http::Http;
use super::{Identity, Sent, Sink, SinkError};
use crate::config::SinkConfig;
use crate::logs::feed::FeedLine;

/// The answer holds only what is looked at.
const PATH: &str =
    "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

/// An Elasticsearch cluster.
pub(super) struct Elastic {
    http: Http,
    identity: Identity,
    index: String,
}

impl Elastic {
    pub(super) fn new(config: &SinkConfig, identity: Identity) -> Result<Self, SinkError> {
        let base = config.url.as_deref().unwrap_or_default();
        let mut http = Http::new(config, &format!("{}{PATH}", base.trim_end_matches('/')))?;
        if let Some(key) = &config.api_key {
            http.header("authorization", &format!("ApiKey {}", key.expose()))?;
        }
        Ok(Self {
            http,
            identity,
            index: config.index.clone().unwrap_or("mhost-logs".to_owned()),
        })
    }
}

#[async_trait]
impl Sink for Elastic {
    async fn send(&mut self, batch: &[Arc<FeedLine>]) -> Result<Sent, SinkError> {
        let body = encode(batch, &self.identity, &self.index);
        let answer = self.http.post("application/x-ndjson", body).await?;
        read(&answer, batch.len())
    }
}

/// The body of a bulk request.
pub(super) fn encode(batch: &[Arc<FeedLine>], identity: &Identity, index: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for line in batch {
        let index = index.replace("{date}", &line.ts.strftime("%Y.%m.%d").to_string());
        let action = json!({ "create": { "_index": index, "_id": id(line, identity) } });
        for value in [action, document(line, identity)] {
            body.extend(value.to_string().into_bytes());
            body.push(b'\n');
        }
    }
    body
}

/// At most 512 bytes are allowed.
fn id(line: &FeedLine, identity: &Identity) -> String {
    let mark = &line.mark;
    let host: String = identity.host.chars().take(64).collect();
    format!("{host}.{}.{:x}.{:x}", mark.stream, mark.epoch, mark.end)
}

fn document(line: &FeedLine, identity: &Identity) -> Value {
    let mut object = Map::new();
    object.insert("@timestamp".into(), format!("{:.3}", line.ts).into());
    if let Some(level) = line.level {
        object.insert("level".into(), level.as_str().into());
    }
    let message = line.message.as_deref().unwrap_or(&line.text);
    object.insert("message".into(), message.into());
    object.insert("process".into(), line.process.as_str().into());
    object.insert("instance".into(), line.instance.into());
    object.insert("stream".into(), line.stream.as_str().into());
    object.insert("host".into(), identity.host.as_str().into());
    if let Some(pid) = line.pid {
        object.insert("pid".into(), pid.into());
    }
    if line.truncated {
        object.insert("truncated".into(), true.into());
    }
    if !identity.labels.is_empty() {
        object.insert("labels".into(), json!(identity.labels));
    }
    if !line.fields.is_empty() {
        object.insert("fields".into(), Value::Object(line.fields.clone()));
    }
    Value::Object(object)
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    #[serde(default)]
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// What an answer says about each of `count` lines.
fn read(answer: &[u8], count: usize) -> Result<Sent, SinkError> {
    let strange = |what: &str| SinkError::Retry(format!("the answer {what}"));
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| strange("is not that of a bulk request"))?;
    if !answer.errors {
        return Ok(Sent::default());
    }
    if answer.items.len() != count {
        return Err(strange("does not speak of every line"));
    }
    let mut sent = Sent::default();
    for (place, item) in answer.items.into_iter().enumerate() {
        let item = item.into_iter().next().map(|(_, item)| item);
        let item: Item = item
            .and_then(|item| serde_json::from_value(item).ok())
            .ok_or_else(|| strange("has an item without a status"))?;
        let why = || {
            let kind = item.error.as_ref().and_then(|error| error.kind.clone());
            let reason = item.error.as_ref().and_then(|error| error.reason.clone());
            let parts = [Some(format!("status {}", item.status)), kind, reason];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            parts.join(": ")
        };
        match item.status {
            200..=299 | 409 => {}
            408 | 429 | 500..=599 => {
                sent.retry.push(place);
                sent.reason.get_or_insert_with(why);
            }
            _ => sent.rejected.push((place, why())),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{arcs, identity, line, structured};
    use super::*;

    #[test]
    fn golden_bulk() {
        let batch = arcs(vec![line("Server listening"), structured()]);
        let text = String::from_utf8(encode(&batch, &identity(), "mhost-{date}")).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"create":{"_index":"mhost-2026.03.28","_id":"web-1.api-0.out.5.64"}}"#,
                "\n",
                r#"{"@timestamp":"2026-03-28T14:32:01.123Z","message":"Server listening","process":"api","instance":0,"stream":"out","host":"web-1","pid":4711,"labels":{"env":"prod"}}"#,
                "\n",
                r#"{"create":{"_index":"mhost-2026.03.28","_id":"web-1.api-0.out.5.64"}}"#,
                "\n",
                r#"{"@timestamp":"2026-03-28T14:32:01.123Z","level":"error","message":"upstream \"pay\" failed","process":"api","instance":1,"stream":"err","host":"web-1","pid":4711,"labels":{"env":"prod"},"fields":{"status":502,"req.path":"/pay","id":"7","ok":false}}"#,
                "\n",
            )
        );
    }

    #[test]
    fn each_item_of_an_answer_counts() {
        let answer = br#"{"errors":true,"items":[
            {"create":{"status":201}},
            {"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue full"}}},
            {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:2] bad date"}}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}},
            {"create":{"status":503}}
        ]}"#;
        let sent = read(answer, 5).unwrap();
        assert_eq!(sent.retry, [1, 4]);
        let reason = "status 429: es_rejected_execution_exception: queue full";
        assert_eq!(sent.reason.as_deref(), Some(reason));
        let rejected = "status 400: document_parsing_exception: [1:2] bad date";
        assert_eq!(sent.rejected, [(2, rejected.to_owned())]);
    }

    #[test]
    fn strange_answers_are_tried_again() {
        let answers: [&[u8]; 5] = [
            b"",
            b"<html>",
            b"{\"took\":1}",
            br#"{"errors":true,"items":[{"create":{"status":429}}]}"#,
            br#"{"errors":true,"items":[{"create":{}},{}]}"#,
        ];
        for answer in answers {
            assert!(matches!(read(answer, 2), Err(SinkError::Retry(_))));
        }
        assert_eq!(read(br#"{"errors":false}"#, 2), Ok(Sent::default()));
    }
}
