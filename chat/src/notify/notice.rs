//! One thing that happened, as it is told. The body of a webhook is this as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventName, Severity};

/// Longest message that is kept, in bytes.
const MESSAGE: usize = 4 << 10;
/// Most details, and the longest of one as JSON, in bytes.
const DETAILS: usize = 40;
const DETAIL: usize = 8 << 10;
/// Longest of several texts of a detail, such as lines of output, in bytes.
const LINE: usize = 1_500;
/// Longest name of a process or host, in bytes.
const NAME: usize = 256;
/// Most links.
const LINKS: usize = 8;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its own id: the same in every channel and every try.
    pub id: String,
    /// What happened.
    pub event: EventName,
    /// How bad it is.
    pub severity: Severity,
    /// The process; empty when it is about the host.
    pub process: String,
    /// The instance, if it is about one.
    #[serde(default)]
    pub instance: Option<u16>,
    /// The machine.
    pub host: String,
    /// In a sentence, for people.
    pub message: String,
    /// Which of several of its kind it is about: a question, an incident of the brain, a sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Names and values. `last_lines` holds lines of output.
    #[serde(default)]
    pub details: BTreeMap<String, Value>,
    /// The incident that it belongs to.
    #[serde(default, rename = "incident_id", alias = "incident")]
    pub incident: Option<String>,
    /// When it happened.
    pub ts: Timestamp,
    /// Where to read on.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is called.
    pub label: String,
    /// An address with `http://` or `https://`; others are not shown.
    pub url: String,
}

impl Notice {
    /// About a process, with the severity of the event.
    pub fn new(
        id: impl Into<String>,
        event: EventName,
        process: impl Into<String>,
        message: impl Into<String>,
        ts: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            event,
            severity: event.severity(),
            process: process.into(),
            instance: None,
            host: String::new(),
            message: message.into(),
            topic: None,
            details: BTreeMap::new(),
            incident: None,
            ts,
            links: Vec::new(),
        }
    }

    /// With one more detail.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// About one of several of its kind.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Does it begin something that lasts, and whose end is told to the rules?
    pub(crate) fn lasts(&self) -> bool {
        match self.event {
            EventName::AgentApproval
            | EventName::Escalated
            | EventName::HealthScoreLow
            | EventName::DiskLow
            | EventName::SinkDown => true,
            // What is good to know has no end, nor has what is not about an incident.
            EventName::AgentAction | EventName::BrainHeal => {
                self.topic.is_some() && self.severity > Severity::Info
            }
            event => event.opens(),
        }
    }

    /// What it is about, of all that its class is about: a process, and which of several things
    /// there.
    pub(crate) fn matter(&self) -> String {
        matter(&self.process, self.topic.as_deref())
    }

    /// The process with its instance: `api`, `api:2`, or the host's name.
    pub fn subject(&self) -> String {
        match (self.process.is_empty(), self.instance) {
            (true, _) => self.host.clone(),
            (false, Some(instance)) => format!("{}:{instance}", self.process),
            (false, None) => self.process.clone(),
        }
    }

    /// With every text through `redact`, and nothing longer than is kept.
    #[must_use]
    pub fn tidied(mut self, redact: &dyn Fn(String) -> String) -> Self {
        let text = |text: String, most: usize| {
            let mut text = redact(text);
            text.truncate(text.floor_char_boundary(most));
            text
        };
        self.process = text(self.process, NAME);
        self.host = text(self.host, NAME);
        self.message = text(self.message, MESSAGE);
        let details = std::mem::take(&mut self.details).into_iter().take(DETAILS);
        self.details = details
            .map(|(name, value)| (text(name, NAME), redacted(value, redact, DETAIL)))
            .filter(|(_, value)| value.to_string().len() <= 2 * DETAIL)
            .collect();
        self.links.truncate(LINKS);
        self.links
            .retain(|link| link.url.starts_with("https://") || link.url.starts_with("http://"));
        self
    }

    /// What is kept of it in memory for long: enough to be told once more.
    pub(crate) fn slim(&self) -> Self {
        let mut slim = self.clone();
        slim.message.truncate(slim.message.floor_char_boundary(500));
        let lines = self.last_lines();
        let last = &lines[lines.len().saturating_sub(3)..];
        let short = |line: &&str| Value::from(&line[..line.floor_char_boundary(200)]);
        let last: Vec<Value> = last.iter().map(short).collect();
        slim.details
            .retain(|name, value| name != LAST_LINES && value.to_string().len() <= 200);
        while slim.details.len() > 10 {
            slim.details.pop_last();
        }
        if !last.is_empty() {
            slim.details.insert(LAST_LINES.to_owned(), last.into());
        }
        slim.links.truncate(2);
        slim
    }

    /// Lines of output that came with it.
    pub(crate) fn last_lines(&self) -> Vec<&str> {
        match self.details.get(LAST_LINES) {
            Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => text.lines().collect(),
            _ => Vec::new(),
        }
    }

    /// Names and values for people, without the lines of output.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => "–".to_owned(),
            other => other.to_string(),
        };
        let fields = self.details.iter().filter(|(name, _)| *name != LAST_LINES);
        fields
            .map(|(name, value)| (name.replace('_', " "), shown(value)))
            .collect()
    }
}

/// As in [`Notice::matter`]. No name of a process has the sign between the two.
pub(crate) fn matter(process: &str, topic: Option<&str>) -> String {
    match topic {
        Some(topic) => format!("{process}/{topic}"),
        None => process.to_owned(),
    }
}

/// The process of a matter.
pub(crate) fn process_of(matter: &str) -> &str {
    matter
        .split_once('/')
        .map_or(matter, |(process, _)| process)
}

/// The detail that holds lines of output.
const LAST_LINES: &str = "last_lines";

fn redacted(value: Value, redact: &dyn Fn(String) -> String, most: usize) -> Value {
    match value {
        Value::String(text) => {
            let mut text = redact(text);
            text.truncate(text.floor_char_boundary(most));
            Value::String(text)
        }
        Value::Array(values) => {
            let values = values.into_iter().take(DETAILS);
            Value::Array(values.map(|one| redacted(one, redact, LINE)).collect())
        }
        Value::Object(map) => {
            let map = map.into_iter().take(DETAILS);
            Value::Object(
                map.map(|(name, one)| (name, redacted(one, redact, LINE)))
                    .collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_too_long_texts_do_not_get_in() {
        let ts: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let notice = Notice {
            links: vec![
                Link {
                    label: "x".into(),
                    url: "javascript:alert(1)".into(),
                },
                Link {
                    label: "log".into(),
                    url: "https://h/log".into(),
                },
            ],
            ..Notice::new("n1", EventName::Crash, "api", "pw hunter22", ts)
        }
        .detail("last_lines", vec!["hunter22 a", "b"])
        .detail("long", "é".repeat(9_000))
        .detail("code", 3);
        let tidied = notice.tidied(&|text| text.replace("hunter22", "***"));
        assert_eq!(tidied.message, "pw ***");
        assert_eq!(tidied.last_lines(), ["*** a", "b"]);
        assert_eq!(tidied.links.len(), 1);
        let fields = tidied.fields();
        assert_eq!(fields[0], ("code".into(), "3".into()));
        assert!(fields[1].1.len() <= DETAIL);
        let slim = tidied.slim();
        assert_eq!(slim.last_lines(), ["*** a", "b"]);
        assert!(slim.details.contains_key("code") && !slim.details.contains_key("long"));
        let body = serde_json::to_value(&tidied).unwrap();
        assert_eq!(body["ts"], "2026-01-02T03:04:05Z");
        assert_eq!(body["event"], "crash");
        assert_eq!(serde_json::from_value::<Notice>(body).unwrap(), tidied);
    }
}
