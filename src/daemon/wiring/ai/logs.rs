//! `ai.logs`: what a log says, or the answer to a question about it.
//!
//! Without a question the figures are over all lines of the time. With one, a model says what
//! to look for; that is read by our own parsers, really looked for, and what was found goes
//! back to the model with the question.

use std::time::Duration;

use brain::llm::{AnswerSchema, ModelError};
use brain::prompts::Purpose;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::logs::expr::Expr;
use supervisor::logs::{Level, LogQuery, TemplateView};
use supervisor::{ControlError, EventKind, ProcessName};

use super::AiPort;
use super::readings::before;
use super::tell::{Found, Manner, Task, attach, first_object};
use crate::daemon::hearer::Hearer;

/// How far back when nobody says.
const SINCE: Duration = Duration::from_secs(3_600);
/// Kinds of lines, of error lines, and moments that are told.
const KINDS: usize = 20;
const ERRORS: usize = 20;
const MOMENTS: usize = 40;
/// Longest pattern or line that is told, in characters.
const TEXT: usize = 300;
/// Longest question, in characters.
const QUESTION: usize = 1_000;
/// Lines that a question may find.
const FOUND: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsParams {
    name: String,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    since: Option<Timestamp>,
}

/// What a model wants to look for. Nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Wanted {
    search: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    since: Option<String>,
    limit: Option<u64>,
}

impl AiPort {
    /// Both forms.
    pub(super) async fn logs(
        &self,
        params: LogsParams,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let name = self.known(&params.name)?;
        let now = self.clock.now();
        let from = params.since.unwrap_or_else(|| before(now, SINCE));
        let local = self.happened(&name, (from, now)).await?;
        let question = params
            .question
            .filter(|question| !question.trim().is_empty());
        let Some(question) = question else {
            let facts = vec![("log", local.to_string())];
            let task = Task::prose(Purpose::Logs, Some(name.to_string()), facts);
            return self.tell(Found { local, task }, manner).await;
        };
        self.answer(&name, local, &question, (from, now), manner)
            .await
    }

    /// Errors by kind, all kinds, levels, and what happened when.
    async fn happened(
        &self,
        name: &ProcessName,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Value, ControlError> {
        let span = (from, to);
        let kinds = self.kinds(name, None, span).await?;
        let errors = self.kinds(name, Some(Level::Error), span).await?;
        let lines: u64 = kinds.iter().map(|one| one.count).sum();
        let error_lines: u64 = errors.iter().map(|one| one.count).sum();
        let told = [
            EventKind::Start,
            EventKind::Online,
            EventKind::Stop,
            EventKind::Exited,
            EventKind::Crash,
            EventKind::Errored,
            EventKind::Restart,
            EventKind::HealthFail,
            EventKind::HealthRecover,
            EventKind::MemoryExceeded,
            EventKind::ConfigChanged,
        ];
        let events = self.events(name, &told, span).await?;
        let mut moments: Vec<(Timestamp, String)> = events
            .iter()
            .map(|event| {
                let why = ["reason", "error", "code", "signal"]
                    .iter()
                    .find_map(|key| {
                        let value = &event.data[*key];
                        (!value.is_null())
                            .then(|| format!(" ({key} {})", value.to_string().trim_matches('"')))
                    });
                (
                    event.at,
                    format!("{}{}", event.kind, why.unwrap_or_default()),
                )
            })
            .collect();
        for one in errors.iter().take(ERRORS) {
            moments.push((
                one.first,
                format!("first of {}: {}", one.count, short(&one.pattern)),
            ));
        }
        moments.sort();
        let left_out = moments.len().saturating_sub(MOMENTS);
        let moments: Vec<Value> = moments
            .into_iter()
            .skip(left_out)
            .map(|(at, what)| json!({ "at": at, "what": what }))
            .collect();
        Ok(json!({
            "process": name,
            "from": from,
            "to": to,
            "lines": lines,
            "error_lines": error_lines,
            "kinds": kinds.len(),
            "errors": errors.iter().take(ERRORS).map(kind).collect::<Vec<_>>(),
            "top": kinds.iter().take(KINDS).map(kind).collect::<Vec<_>>(),
            "timeline": moments,
            "timeline_left_out": left_out,
        }))
    }

    /// Has a model say what to look for, looks for it, and has it answer.
    async fn answer(
        &self,
        name: &ProcessName,
        mut local: Value,
        question: &str,
        span: (Timestamp, Timestamp),
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let question: String = question.chars().take(QUESTION).collect();
        let task = Task {
            question: Some(question.clone()),
            schema: Some(schema()),
            max_tokens: 512,
            temperature: 0.0,
            ..Task::prose(
                Purpose::LogsQuery,
                Some(name.to_string()),
                vec![("kinds of lines", local["top"].to_string())],
            )
        };
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        let hearer = Hearer::current();
        self.tell_found(&hearer, &local).await?;
        local["question"] = json!(question);
        let read = move |text: &str| {
            let wanted: Wanted = first_object(text)?;
            Ok((query(&wanted, span.0, span.1)?, wanted))
        };
        let asked = match self.checked(&task, manner, read).await {
            Ok(((query, wanted), _)) => {
                let page = match self.lines(name, query).await {
                    Ok(page) => page,
                    Err(error) => {
                        let why = format!("the search that it asked for failed: {error}");
                        attach(&mut local, Err(ModelError::Nonsense(why)));
                        return Ok(local);
                    }
                };
                let lines = page.lines.iter().map(
                    |line| json!({ "id": line.id, "ts": line.ts, "message": short(&line.message) }),
                );
                Asked {
                    wanted,
                    lines: lines.collect(),
                }
            }
            Err(why) => {
                attach(&mut local, Err(why));
                return Ok(local);
            }
        };
        local["query"] = json!(asked.wanted);
        local["found"] = json!(asked.lines.len());
        local["hits"] = json!(asked.lines);
        let texts: Vec<String> = asked
            .lines
            .iter()
            .map(|line| {
                format!(
                    "{} {}",
                    line["ts"].as_str().unwrap_or_default(),
                    line["message"].as_str().unwrap_or_default()
                )
            })
            .collect();
        let facts = vec![
            ("query that mhost ran", local["query"].to_string()),
            ("lines that it found", texts.join("\n")),
        ];
        let task = Task {
            question: Some(question),
            ..Task::prose(Purpose::Logs, Some(name.to_string()), facts)
        };
        let words = self.words(&task, manner, &hearer).await;
        attach(&mut local, words);
        Ok(local)
    }
}

/// What was looked for and found.
struct Asked {
    wanted: Wanted,
    lines: Vec<Value>,
}

/// The query that is meant: every value read by the parser that reads a person's.
fn query(wanted: &Wanted, from: Timestamp, now: Timestamp) -> Result<LogQuery, String> {
    let text = |text: &Option<String>| {
        let text = text
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty() && *text != "null");
        text.map(str::to_owned)
    };
    let since = match text(&wanted.since) {
        None => from,
        Some(since) => match supervisor::units::parse_duration(&since) {
            Ok(back) => before(now, back),
            Err(_) => since
                .parse::<Timestamp>()
                .map_err(|_| format!("`{since}` is no time"))?,
        }
        // Who asks said how far back to look.
        .max(from),
    };
    let (search, condition) = (text(&wanted.search), text(&wanted.condition));
    if let Some(condition) = &condition {
        Expr::parse(condition, now.as_millisecond()).map_err(|error| error.to_string())?;
    }
    let limit = wanted.limit.unwrap_or(50).clamp(1, FOUND as u64);
    Ok(LogQuery {
        search,
        condition,
        since: Some(since),
        lines: usize::try_from(limit).unwrap_or(FOUND),
        ..LogQuery::default()
    })
}

fn schema() -> AnswerSchema {
    let text = json!({ "type": ["string", "null"] });
    AnswerSchema {
        name: "log_search".into(),
        schema: json!({
            "type": "object",
            "properties": {
                "search": text, "where": text, "since": text,
                "limit": { "type": "integer", "minimum": 1, "maximum": FOUND },
            },
            "required": ["search", "where", "since", "limit"],
            "additionalProperties": false,
        }),
    }
}

fn kind(one: &TemplateView) -> Value {
    json!({ "pattern": short(&one.pattern), "count": one.count, "first": one.first, "last": one.last })
}

fn short(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_model_wants_is_read_by_our_parsers() {
        let (from, now) = (at("2026-03-28T11:00:00Z"), at("2026-03-28T12:00:00Z"));
        let text = "Sure! ```json\n{\"search\": \"timeout\", \"where\": \"level >= error\", \"since\": \"2h\", \"limit\": 9999}\n```";
        let read = query(&first_object(text).unwrap(), from, now).unwrap();
        assert_eq!(read.search.as_deref(), Some("timeout"));
        assert_eq!(
            read.since,
            Some(from),
            "no earlier than the person asked for"
        );
        let later = query(&first_object(r#"{"since": "10m"}"#).unwrap(), from, now).unwrap();
        assert_eq!(later.since, Some(at("2026-03-28T11:50:00Z")));
        assert_eq!(read.lines, FOUND, "no more than we allow");
        let bare = query(&first_object("{}").unwrap(), from, now).unwrap();
        assert_eq!((bare.since, bare.lines), (Some(from), 50));
        let nulls = r#"{"search": "null", "where": "", "since": null}"#;
        assert_eq!(
            query(&first_object(nulls).unwrap(), from, now)
                .unwrap()
                .search,
            None
        );
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        let (from, now) = (at("2026-03-28T11:00:00Z"), at("2026-03-28T12:00:00Z"));
        assert!(first_object::<Wanted>("no idea").is_err());
        assert!(first_object::<Wanted>(r#"{"limit": "many"}"#).is_err());
        let bad = |text| query(&first_object(text).unwrap(), from, now).unwrap_err();
        assert!(bad(r#"{"since": "yesterday"}"#).contains("yesterday"));
        assert!(!bad(r#"{"where": "drop table lines;"}"#).is_empty());
    }
}
