//! One log line as a person reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use supervisor::Stream;
use supervisor::command::view::ProcessView;
use supervisor::logs::record::{self, Form};
use supervisor::logs::{Level, LogLine, Record};

use crate::output::date_format;
use crate::output::figures;
use crate::output::style::{Painter, Tone};
use crate::output::text;

/// How lines are shown.
#[derive(Debug)]
pub(crate) enum Layout {
    /// As they were printed.
    Raw,
    /// One JSON object per line.
    Json,
    /// One row of comma-separated values per line.
    Csv {
        /// Without anything a terminal would act on.
        harmless: bool,
    },
    /// For a person.
    Human(Box<Human>),
}

impl Layout {
    /// Takes these lines into account before they are shown.
    pub(crate) fn see(&mut self, lines: &[LogLine]) {
        if let Layout::Human(human) = self {
            human.labels.see(lines);
        }
    }

    /// The lines, each with its line end.
    pub(crate) fn render(&self, lines: &[LogLine]) -> String {
        let mut out = String::new();
        for line in lines {
            match self {
                Layout::Raw => out.push_str(&line.message),
                Layout::Json => out.push_str(&text::json(&object(line).to_string())),
                Layout::Csv { harmless: false } => out.push_str(&csv(line)),
                Layout::Csv { harmless: true } => out.push_str(&text::clean_line(&csv(line))),
                Layout::Human(human) => out.push_str(&human.line(line)),
            }
            out.push('\n');
        }
        out
    }
}

/// The first row of comma-separated values.
pub(crate) const CSV_HEADER: &str = "ts,process,instance,stream,level,message\n";

/// A line with what it says: its level and its fields, where it has any.
pub(crate) fn object(line: &LogLine) -> Value {
    let mut object = serde_json::to_value(line).unwrap_or_default();
    let record = record::parse(&line.message);
    if let Some(level) = record.severity(line.stream) {
        object["level"] = Value::from(level.as_str());
    }
    if !record.fields.is_empty() {
        object["fields"] = Value::Object(record.fields.into_iter().collect());
    }
    object
}

fn csv(line: &LogLine) -> String {
    let level = record::parse(&line.message).severity(line.stream);
    [
        line.ts.to_string().as_str(),
        line.process.as_str(),
        line.instance.to_string().as_str(),
        line.stream.as_str(),
        level.map_or("", |level| level.as_str()),
        &line.message,
    ]
    .map(csv_cell)
    .join(",")
}

/// RFC 4180: quoted where it has to be.
pub(crate) fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
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

    /// Makes room for lines of copies that are no more: beside them, no line is of the only one.
    pub(crate) fn see(&mut self, lines: &[LogLine]) {
        for line in lines.iter().filter(|line| line.instance > 0) {
            let name = line.process.as_str();
            self.single.remove(name);
            let width = name.len() + 1 + line.instance.to_string().len();
            self.width = self.width.max(width);
        }
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
        if line.truncated || line.partial {
            body.push(text::ELLIPSIS);
        }
        if line.context {
            body = self.painter.paint(&body, Tone::Quiet);
        }
        let label = self.painter.paint(&label, tone);
        let time = self.painter.paint(&time, Tone::Quiet);
        // A time that is not known but guessed is marked, and nothing moves.
        let gap = if line.guessed { " ~" } else { "  " };
        format!("{time}{gap}{label}{}{body}", " ".repeat(fill))
    }

    fn body(&self, message: &str) -> String {
        if !message.starts_with('{') {
            return text::clean_line(message).into_owned();
        }
        if self.pretty
            && let Ok(whole) = serde_json::from_str::<Map<String, Value>>(message)
        {
            let full = serde_json::to_string_pretty(&whole).unwrap_or_default();
            return text::clean_block(&full);
        }
        let record = record::parse(message);
        match record.form {
            Form::Json => self.record(&record),
            _ => text::clean_line(message).into_owned(),
        }
    }

    /// `LEVEL message key=value …`
    fn record(&self, record: &Record<'_>) -> String {
        let mut out = String::new();
        if let Some(level) = record.level {
            let tone = match level {
                Level::Error | Level::Fatal => Tone::Bad,
                Level::Warn => Tone::Busy,
                Level::Trace | Level::Debug => Tone::Quiet,
                Level::Info => Tone::Good,
            };
            let level = level.as_str().to_uppercase();
            let _ = write!(out, "{}", self.painter.paint(&level, tone));
        }
        if record.has_message() {
            let gap = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{gap}{}", text::clean_line(&record.message));
        }
        for (key, value) in &record.fields {
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
            partial: false,
            guessed: false,
            context: false,
        }
    }

    /// A program may print what a terminal acts on: in a pipe it is kept, on a terminal not.
    #[test]
    fn rows_on_a_terminal_are_harmless() {
        let lines = [printed("db", "wiped \u{1b}[2J, \"all\" of it \u{7}")];
        let shown = |harmless| Layout::Csv { harmless }.render(&lines);
        assert!(shown(false).contains("wiped \u{1b}[2J, \"\"all\"\" of it"));
        let safe = shown(true);
        assert!(safe.trim_end().chars().all(|c| !c.is_control()), "{safe:?}");
        assert!(
            safe.contains("wiped ") && safe.contains("of it"),
            "{safe:?}"
        );
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
    fn a_guessed_time_is_marked() {
        let line = LogLine {
            guessed: true,
            ..printed("db", "ready")
        };
        insta::assert_snapshot!(human(false).line(&line), @"2026-03-28T14:32:01Z ~[db]     ready");
        assert_eq!(object(&line)["guessed"], true);
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
    fn objects_and_rows_say_the_level() {
        let line = printed("api", r#"{"level":"warn","msg":"a, \"b\"","n":{"k":1}}"#);
        assert_eq!(
            csv(&line),
            r#"2026-03-28T14:32:01.25Z,api,0,out,warn,"{""level"":""warn"",""msg"":""a, \""b\"""",""n"":{""k"":1}}""#
        );
        let object = object(&line);
        assert_eq!(object["level"], "warn");
        assert_eq!(object["fields"]["n.k"], 1);
        assert_eq!(
            csv(&printed("db", "ready")),
            "2026-03-28T14:32:01.25Z,db,0,out,,ready"
        );
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
