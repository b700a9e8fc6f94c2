//! One log line as a person reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use supervisor::Stream;
use supervisor::command::view::ProcessView;
use supervisor::logs::LogLine;

use crate::output::date_format;
use crate::output::figures;
use crate::output::style::{Painter, Tone};
use crate::output::text;

/// Keys that hold the level, the message and the time of a JSON record; the first hit wins.
const LEVELS: [&str; 4] = ["level", "severity", "lvl", "levelname"];
const MESSAGES: [&str; 3] = ["message", "msg", "text"];
const TIMES: [&str; 4] = ["timestamp", "time", "ts", "@timestamp"];

/// How lines are shown.
#[derive(Debug)]
pub(crate) enum Layout {
    /// As they were printed.
    Raw,
    /// One JSON object per line.
    Json,
    /// For a person.
    Human(Box<Human>),
}

impl Layout {
    /// The lines, each with its line end.
    pub(crate) fn render(&self, lines: &[LogLine]) -> String {
        let mut out = String::new();
        for line in lines {
            match self {
                Layout::Raw => out.push_str(&line.message),
                Layout::Json => out.push_str(&serde_json::to_string(line).unwrap_or_default()),
                Layout::Human(human) => out.push_str(&human.line(line)),
            }
            out.push('\n');
        }
        out
    }
}

/// What the layout for a person needs to know.
#[derive(Debug)]
pub(crate) struct Human {
    /// How processes are named.
    pub(crate) labels: Labels,
    /// The zone of times; UTC when absent.
    pub(crate) zone: Option<TimeZone>,
    /// JSON records in full.
    pub(crate) pretty: bool,
    /// Colour.
    pub(crate) painter: Painter,
}

/// What stands in brackets before a line.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Processes with one copy, which are shown without its number.
    single: BTreeSet<String>,
    /// The key `log_date_format`, by process.
    formats: BTreeMap<String, String>,
    /// Width of the widest label, without brackets.
    width: usize,
}

impl Labels {
    /// Labels for these processes; the width is that of the widest that `target` may show.
    pub(crate) fn new(processes: &[ProcessView], target: Option<&str>) -> Self {
        let mut labels = Self::default();
        for process in processes {
            let name = process.name.as_str();
            let single = process.instances.len() == 1
                && process.instances.iter().all(|instance| instance.index == 0);
            let widest = if single {
                name.len()
            } else {
                let last = process.instances.iter().map(|i| i.index).max().unwrap_or(0);
                name.len() + 1 + last.to_string().len()
            };
            let asked = target.is_none_or(|target| {
                target == name || !processes.iter().any(|other| other.name.as_str() == target)
            });
            if asked {
                labels.width = labels.width.max(widest);
            }
            if single {
                labels.single.insert(name.to_owned());
            }
            if let Some(format) = &process.config.log_date_format {
                labels.formats.insert(name.to_owned(), format.clone());
            }
        }
        labels
    }

    fn of(&self, line: &LogLine) -> String {
        let name = line.process.as_str();
        if self.single.contains(name) && line.instance == 0 {
            format!("[{name}]")
        } else {
            format!("[{name}-{}]", line.instance)
        }
    }
}

impl Human {
    fn line(&self, line: &LogLine) -> String {
        let time = match self.labels.formats.get(line.process.as_str()) {
            Some(format) => date_format::format(format, line.ts, self.zone.as_ref()),
            None => figures::time(line.ts, self.zone.as_ref()),
        };
        let label = self.labels.of(line);
        // Brackets and two spaces after the widest label.
        let fill = (self.labels.width + 2 + 2)
            .saturating_sub(text::width(&label))
            .max(2);
        let tone = match line.stream {
            Stream::Err => Tone::Bad,
            Stream::Out => Tone::Strong,
        };
        let mut body = self.body(&line.message);
        if line.truncated {
            body.push(text::ELLIPSIS);
        }
        if line.context {
            body = self.painter.paint(&body, Tone::Quiet);
        }
        let label = self.painter.paint(&label, tone);
        let time = self.painter.paint(&time, Tone::Quiet);
        format!("{time}  {label}{}{body}", " ".repeat(fill))
    }

    fn body(&self, message: &str) -> String {
        if !message.starts_with('{') {
            return text::clean_line(message).into_owned();
        }
        match serde_json::from_str::<Map<String, Value>>(message) {
            Ok(record) if self.pretty => {
                let full = serde_json::to_string_pretty(&record).unwrap_or_default();
                text::clean_block(&full)
            }
            Ok(record) => self.record(record),
            Err(_) => text::clean_line(message).into_owned(),
        }
    }

    /// `LEVEL message key=value …`
    fn record(&self, mut record: Map<String, Value>) -> String {
        let mut take = |keys: &[&str]| keys.iter().find_map(|key| record.shift_remove(*key));
        let level = take(&LEVELS).map(|level| level_name(&level));
        let message = take(&MESSAGES);
        // The line has a time of its own already.
        let _ = take(&TIMES);
        let mut out = String::new();
        if let Some(level) = level {
            let level = text::clean(&level).to_uppercase();
            let tone = match level.as_str() {
                "ERROR" | "ERR" | "FATAL" | "CRITICAL" | "CRIT" | "PANIC" => Tone::Bad,
                "WARN" | "WARNING" => Tone::Busy,
                "TRACE" | "DEBUG" | "DBG" => Tone::Quiet,
                _ => Tone::Good,
            };
            let _ = write!(out, "{}", self.painter.paint(&level, tone));
        }
        if let Some(message) = message {
            let gap = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{gap}{}", text::clean_line(&plain(&message)));
        }
        for (key, value) in &record {
            let gap = if out.is_empty() { "" } else { " " };
            let value = plain(value);
            let value = text::clean_line(&value);
            let quote = if value.contains(' ') || value.is_empty() {
                "\""
            } else {
                ""
            };
            let key = self
                .painter
                .paint(&format!("{}=", text::clean(key)), Tone::Quiet);
            let _ = write!(out, "{gap}{key}{quote}{value}{quote}");
        }
        out
    }
}

/// The name of a level; numbers are those of pino.
fn level_name(level: &Value) -> String {
    match level.as_u64() {
        Some(10..20) => "trace".to_owned(),
        Some(20..30) => "debug".to_owned(),
        Some(30..40) => "info".to_owned(),
        Some(40..50) => "warn".to_owned(),
        Some(50..60) => "error".to_owned(),
        Some(60..70) => "fatal".to_owned(),
        _ => plain(level),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn human(pretty: bool) -> Human {
        Human {
            labels: Labels {
                single: BTreeSet::from(["db".to_owned()]),
                formats: BTreeMap::new(),
                width: "api-0".len(),
            },
            zone: None,
            pretty,
            painter: Painter::PLAIN,
        }
    }

    fn printed(process: &str, message: &str) -> LogLine {
        LogLine {
            id: "1".into(),
            ts: "2026-03-28T14:32:01.250Z".parse().expect("a time"),
            process: process.parse().expect("a name"),
            instance: 0,
            stream: Stream::Out,
            message: message.into(),
            truncated: false,
            context: false,
        }
    }

    #[test]
    fn lines_have_the_documented_form() {
        let lines = [
            printed("api", "Server listening on :3000"),
            printed("db", "ready \u{1b}[2Jnow"),
            printed(
                "api",
                r#"{"level":50,"time":1,"msg":"no disk","path":"/a b","n":3}"#,
            ),
            printed("api", r#"{"broken": "#),
        ];
        let layout = Layout::Human(Box::new(human(false)));
        insta::assert_snapshot!(layout.render(&lines), @r#"
        2026-03-28T14:32:01Z  [api-0]  Server listening on :3000
        2026-03-28T14:32:01Z  [db]     ready now
        2026-03-28T14:32:01Z  [api-0]  ERROR no disk path="/a b" n=3
        2026-03-28T14:32:01Z  [api-0]  {"broken":
        "#);
    }

    #[test]
    fn pretty_shows_the_whole_record() {
        let line = human(true).line(&printed("db", r#"{"msg":"x","a":{"b":1}}"#));
        insta::assert_snapshot!(line, @r#"
        2026-03-28T14:32:01Z  [db]     {
          "msg": "x",
          "a": {
            "b": 1
          }
        }
        "#);
    }

    #[test]
    fn raw_changes_nothing() {
        let dirty = "\u{1b}[31mred\u{1b}[0m {";
        assert_eq!(
            Layout::Raw.render(&[printed("api", dirty)]),
            format!("{dirty}\n")
        );
    }
}
