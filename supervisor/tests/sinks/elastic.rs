//! An Elasticsearch receiver, as strict as the bulk interface: NDJSON in pairs, ids, and an
//! answer for every item.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use supervisor::Stream;

use crate::http::{Asked, Server};
use crate::rig::Rig;

/// Actions and documents of a request, after all checks.
fn strict(asked: &Asked) -> Vec<(Value, Value)> {
    assert_eq!(asked.method, "POST");
    let (path, query) = asked.target.split_once('?').unwrap();
    assert_eq!(path, "/_bulk");
    assert!(query.starts_with("filter_path="));
    assert_eq!(asked.headers["content-type"], "application/x-ndjson");
    let text = std::str::from_utf8(&asked.body).unwrap();
    assert!(text.ends_with('\n'), "the last line ends, too");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() % 2, 0);
    let pairs: Vec<(Value, Value)> = lines
        .chunks(2)
        .map(|pair| (pair[0]["create"].clone(), pair[1].clone()))
        .collect();
    for (action, document) in &pairs {
        let index = action["_index"].as_str().unwrap();
        assert!(
            index
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
        );
        assert!(action["_id"].as_str().unwrap().len() <= 512);
        let day = document["@timestamp"].as_str().unwrap()[..10].replace('-', ".");
        assert_eq!(index, format!("mhost-{day}"), "the day of the record");
    }
    pairs
}

#[tokio::test]
async fn each_item_is_created_once_or_told() {
    let stored: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
    let (kept, busy) = (stored.clone(), Mutex::new(2));
    let server = Server::start(move |asked| {
        let mut errors = false;
        let items: Vec<Value> = strict(asked)
            .into_iter()
            .map(|(action, document)| {
                let id = action["_id"].as_str().unwrap().to_owned();
                let text = document["message"].as_str().unwrap();
                let mut busy = busy.lock().unwrap();
                let mut kept = kept.lock().unwrap();
                let (status, error) = if text.starts_with("poison") {
                    (400, Some("document_parsing_exception"))
                } else if text.starts_with("busy") && *busy > 0 {
                    *busy -= 1;
                    (429, Some("es_rejected_execution_exception"))
                } else {
                    match kept.entry(id) {
                        Entry::Occupied(_) => (409, Some("version_conflict_engine_exception")),
                        Entry::Vacant(free) => {
                            free.insert(document);
                            (201, None)
                        }
                    }
                };
                errors |= error.is_some();
                match error {
                    Some(kind) => json!({ "create": { "status": status, "error": { "type": kind, "reason": "r" } } }),
                    None => json!({ "create": { "status": status } }),
                }
            })
            .collect();
        (200, json!({ "errors": errors, "items": items }).to_string())
    })
    .await;
    let rig = Rig::new(&format!(
        "[sinks.es]\ntype = \"elasticsearch\"\nurl = \"http://127.0.0.1:{}\"\nindex = \"mhost-{{date}}\"\napi_key = \"c2VjcmV0\"\nflush = \"100ms\"",
        server.port
    ));
    rig.ready(&["es"]).await;
    let mut program = rig.program("api", 0, Stream::Out).await;
    program.print(
        "first\npoison\n{\"level\":\"error\",\"msg\":\"busy\",\"http\":{\"status\":502}}\nlast\n",
    );
    rig.until("es", |sink| (sink.sent, sink.rejected) == (3, 1))
        .await;
    let stored = stored.lock().unwrap();
    let mut texts: Vec<&str> = stored
        .values()
        .map(|document| document["message"].as_str().unwrap())
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, ["busy", "first", "last"]);
    let busy = stored
        .values()
        .find(|document| document["message"] == "busy");
    let busy = busy.unwrap();
    assert_eq!(busy["level"], "error");
    assert_eq!(busy["fields"], json!({ "http.status": 502 }));
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|one| one.headers["authorization"] == "ApiKey c2VjcmV0")
    );
    assert_eq!(asked.len(), 3, "only what was refused is tried again");
    let dead = std::fs::read_to_string(rig.paths.sinks().join("es.dead.jsonl")).unwrap();
    assert!(dead.contains("poison") && dead.contains("document_parsing_exception"));
    let status = rig.status("es");
    assert_eq!((status.failures, status.dropped, status.queued), (3, 1, 0));
    assert!(!format!("{status:?}").contains("c2VjcmV0"));
}
