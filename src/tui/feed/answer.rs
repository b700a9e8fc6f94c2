//! What is asked of the daemon, and what its messages mean. No socket here.

use agent::{Entry, Question};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::Event;
use supervisor::command::Done;
use supervisor::command::view::{HealthView, MetricsView};
use supervisor::logs::LogLine;

use crate::tui::data::{Ask, Daemon, Fed, ListReply, LogWish, Past};

/// What was asked, so that the answer is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// An answer that says nothing.
    Nothing,
    /// The stream of events.
    Opened,
    Daemon,
    Rows,
    Samples,
    Past,
    Agent,
    Scores,
    Incidents,
    Probes,
    Events,
    Log(LogWish),
    Done(Ask),
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing of interest.
    Nothing,
    /// For the screen.
    News(Fed),
    /// Lines of a log.
    Lines(LogBatch),
    /// The log that was wished for is this subscription.
    Subscribed(LogWish, String),
    /// Events were left out.
    Missed,
}

/// Lines of one subscription.
#[derive(Debug)]
pub(super) struct LogBatch {
    pub(super) subscription: String,
    pub(super) lines: Vec<LogLine>,
}

/// What kind of message it is. The rest is skipped, and read once its type is known.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Notice<T> {
    params: T,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
    #[serde(default)]
    data: Value,
}

impl Failure {
    /// All that it says, on one line.
    fn text(self) -> String {
        let details = self.data["details"].as_array();
        let more = details.into_iter().flatten().filter_map(Value::as_str);
        let mut text = self.message.clone();
        for detail in more.filter(|detail| !self.message.contains(*detail)) {
            text.push_str("; ");
            text.push_str(detail);
        }
        text
    }
}

/// The request for what a person asks.
pub(super) fn request(ask: &Ask) -> (&'static str, Value) {
    match ask {
        Ask::Restart(target) => ("process.restart", json!({ "name": target })),
        Ask::Stop(target) => ("process.stop", json!({ "name": target })),
        Ask::Delete(target) => ("process.delete", json!({ "name": target })),
        Ask::Approve(id, _) => ("agent.approve", json!({ "id": id })),
        Ask::Deny(id, _) => ("agent.deny", json!({ "id": id })),
    }
}

/// The query of a log.
pub(super) fn log_query(wish: &LogWish) -> Value {
    let mut query = json!({ "lines": wish.lines });
    if let Some(target) = &wish.target {
        query["target"] = json!(target);
    }
    if !wish.search.is_empty() {
        query["grep"] = json!(format!("(?i){}", regex::escape(&wish.search)));
    }
    if let Some(level) = wish.level {
        query["level"] = json!(level);
    }
    query
}

/// Reads a message; `asked` gives back what a number was asked for.
pub(super) fn read(
    message: &[u8],
    asked: impl FnOnce(u64) -> Option<Asked>,
) -> Result<Heard, String> {
    let head: Head = understood(serde_json::from_slice(message))?;
    if let Some(method) = head.method {
        return notification(&method, message);
    }
    let Some(asked) = head.id.and_then(asked) else {
        return Ok(Heard::Nothing);
    };
    match head.error {
        Some(failure) => Ok(refused(asked, failure.text())),
        None => answered(asked, message),
    }
}

fn understood<T>(read: serde_json::Result<T>) -> Result<T, String> {
    read.map_err(|error| format!("the daemon's answer was not understood: {error}"))
}

fn notification(method: &str, message: &[u8]) -> Result<Heard, String> {
    #[derive(Deserialize)]
    struct LineOf {
        subscription: String,
        line: LogLine,
    }
    #[derive(Deserialize)]
    struct EventOf {
        event: Event,
    }
    #[derive(Deserialize)]
    struct EndOf {
        #[serde(default)]
        error: Option<Failure>,
    }
    fn get<T: DeserializeOwned>(message: &[u8]) -> Result<T, String> {
        understood(serde_json::from_slice::<Notice<T>>(message)).map(|notice| notice.params)
    }
    Ok(match method {
        "logs.line" => {
            let LineOf { subscription, line } = get(message)?;
            Heard::Lines(LogBatch {
                subscription,
                lines: vec![line],
            })
        }
        "logs.end" => {
            let EndOf { error } = get(message)?;
            let why = error.map_or_else(|| "it ended".into(), Failure::text);
            Heard::News(Fed::LogFailed(why))
        }
        "events.event" => {
            let EventOf { event } = get(message)?;
            Heard::News(Fed::Event(event))
        }
        "events.gap" => Heard::Missed,
        _ => Heard::Nothing,
    })
}

fn get<T: DeserializeOwned>(message: &[u8]) -> Result<T, String> {
    understood(serde_json::from_slice::<Answer<T>>(message)).map(|answer| answer.result)
}

/// What was asked for was not given.
fn refused(asked: Asked, why: String) -> Heard {
    match asked {
        Asked::Log(_) => Heard::News(Fed::LogFailed(why)),
        Asked::Scores | Asked::Agent => Heard::News(Fed::BrainOff(why)),
        Asked::Done(ask) => Heard::News(Fed::Done(ask, Err(why))),
        _ => Heard::Nothing,
    }
}

fn answered(asked: Asked, message: &[u8]) -> Result<Heard, String> {
    #[derive(Deserialize)]
    struct Samples {
        metrics: Vec<MetricsView>,
    }
    #[derive(Deserialize)]
    struct Series {
        series: Vec<Past>,
    }
    #[derive(Deserialize)]
    struct Incidents {
        history: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Probes {
        health: Vec<HealthView>,
    }
    #[derive(Deserialize)]
    struct Events {
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Subscription {
        subscription: String,
    }
    Ok(Heard::News(match asked {
        Asked::Nothing | Asked::Opened => return Ok(Heard::Nothing),
        Asked::Daemon => Fed::Daemon(get::<Daemon>(message)?),
        Asked::Rows => Fed::Rows(get::<ListReply>(message)?.rows()),
        Asked::Samples => Fed::Samples(get::<Samples>(message)?.metrics),
        Asked::Past => Fed::Past(get::<Series>(message)?.series),
        Asked::Agent => Fed::Agent(get(message)?),
        Asked::Scores => Fed::Scores(get(message)?),
        Asked::Incidents => Fed::Incidents(get::<Incidents>(message)?.history),
        Asked::Probes => Fed::Probes(get::<Probes>(message)?.health),
        Asked::Events => Fed::Events(get::<Events>(message)?.events),
        Asked::Log(wish) => {
            let Subscription { subscription } = get(message)?;
            return Ok(Heard::Subscribed(wish, subscription));
        }
        Asked::Done(ask) => {
            let outcome = outcome(&ask, message)?;
            Fed::Done(ask, outcome)
        }
    }))
}

/// Whether it was done, with what a person should know of it.
fn outcome(ask: &Ask, message: &[u8]) -> Result<Result<Option<String>, String>, String> {
    #[derive(Deserialize)]
    struct DoneReply {
        done: Vec<Done>,
    }
    match ask {
        // More people may be needed.
        Ask::Approve(..) => {
            let question: Question = get(message)?;
            return Ok(Ok(question.so_far()));
        }
        Ask::Deny(..) => return Ok(Ok(None)),
        Ask::Restart(_) | Ask::Stop(_) | Ask::Delete(_) => {}
    }
    let DoneReply { done } = get(message)?;
    let mut note = None;
    for one in done {
        if let Some(error) = one.error {
            return Ok(Err(error));
        }
        note = note.or(one.note);
    }
    Ok(Ok(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(message: &str, asked: Asked) -> Heard {
        read(message.as_bytes(), |_| Some(asked)).unwrap()
    }

    #[test]
    fn answers_mean_what_was_asked() {
        let heard = hear(r#"{"id":1,"result":{"metrics":[]}}"#, Asked::Samples);
        assert!(matches!(heard, Heard::News(Fed::Samples(samples)) if samples.is_empty()));
        let heard = hear(
            r#"{"id":1,"error":{"code":-1,"message":"no brain","data":{"details":["turn it on"]}}}"#,
            Asked::Scores,
        );
        assert!(matches!(heard, Heard::News(Fed::BrainOff(why)) if why == "no brain; turn it on"));
        let ask = Ask::Stop("api".into());
        let heard = hear(
            r#"{"id":1,"result":{"done":[{"target":"api","changed":false,"note":null,"error":"it will not"}]}}"#,
            Asked::Done(ask.clone()),
        );
        assert!(matches!(heard, Heard::News(Fed::Done(_, Err(why))) if why == "it will not"));
        assert_eq!(request(&ask).0, "process.stop");
        assert!(read(b"no json", |_| None).is_err());
        assert!(matches!(
            read(br#"{"id":9,"result":{}}"#, |_| None),
            Ok(Heard::Nothing)
        ));
    }

    #[test]
    fn streams_are_told_apart() {
        let line = r#"{"method":"logs.line","params":{"subscription":"s2","line":{"id":"1",
            "ts":"2026-03-28T12:00:00Z","process":"api","instance":0,"stream":"out","message":"x"}}}"#;
        let heard = read(line.as_bytes(), |_| None).unwrap();
        assert!(matches!(heard, Heard::Lines(batch) if batch.subscription == "s2"));
        let heard = hear(
            r#"{"id":1,"result":{"subscription":"s2"}}"#,
            Asked::Log(LogWish::default()),
        );
        assert!(matches!(heard, Heard::Subscribed(_, id) if id == "s2"));
        let gap = read(br#"{"method":"events.gap","params":{"dropped":3}}"#, |_| {
            None
        });
        assert!(matches!(gap, Ok(Heard::Missed)));
    }

    #[test]
    fn a_search_is_text_and_not_a_pattern() {
        let wish = LogWish {
            target: Some("api".into()),
            search: "a.b[".into(),
            level: Some(supervisor::logs::Level::Warn),
            lines: 7,
        };
        assert_eq!(
            log_query(&wish),
            json!({ "lines": 7, "target": "api", "grep": "(?i)a\\.b\\[", "level": "warn" })
        );
    }
}
