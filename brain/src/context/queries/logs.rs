//! Questions about what is printed.

use super::*;

pub(super) fn errors_in(c: &Context, window: Duration) -> Answer<Vec<ErrorGroup>> {
    c.situation.ask(key("errors", window), |facts| {
        errors::errors(facts, &c.situation.process, window)
    })
}

pub(super) fn newest_line(c: &Context, window: Duration) -> Answer<Option<(String, String)>> {
    c.situation.ask(key("newest line", window), |facts| {
        errors::newest_line(facts, &c.situation.process, window)
            .map(|line| (format!("log:{}", line.id), knowledge::quotable(&line.text)))
    })
}

pub(super) fn bytes(c: &Context, window: Duration) -> Answer<i64> {
    c.situation.ask(key("log bytes", window), |facts| {
        i64::try_from(facts.log_bytes(&c.situation.process, window)).unwrap_or(i64::MAX)
    })
}

/// Lines that are looked through for figures: two minutes of four a second.
const FIGURE_LINES: usize = 500;

/// A number that a line tells.
#[derive(Serialize, Deserialize)]
struct Figure {
    n: i64,
    age_s: f64,
    id: String,
    text: String,
}

/// So many of them as are handed out, evenly: the first and the last, and those between.
fn spread(mut all: Vec<Figure>) -> Vec<Figure> {
    let (count, most) = (all.len(), LOG_LINES);
    if count > most {
        let mut chosen = (0..most).map(|place| place * (count - 1) / (most - 1));
        let (mut place, mut next) = (0, chosen.next());
        all.retain(|_| {
            let keep = next == Some(place);
            if keep {
                next = chosen.next();
            }
            place += 1;
            keep
        });
    }
    all
}

/// As much of a line as is kept.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Does the event, or a line of the last `w`, match? The event carries a program's last words,
/// which may not have reached the log yet.
pub(super) fn says(c: &Context, pattern: &str, w: Duration) -> Answer<bool> {
    let regex = Regex::new(pattern)
        .map_err(|error| failure(format!("`{pattern}` is no regular expression: {error}")))?;
    if let Some(symptom) = c.situation.event() {
        let lines = symptom.data["last_lines"].as_array().into_iter().flatten();
        let mut texts = lines
            .chain([&symptom.data["error"]])
            .filter_map(Value::as_str);
        if let Some(text) = texts.find(|text| regex.is_match(text)) {
            let id = symptom
                .event
                .map_or_else(String::new, |id| format!("event:{id}"));
            c.note(id, knowledge::quotable(text));
            return Ok(true);
        }
    }
    let found: Option<(String, String)> =
        c.situation
            .ask(key(&format!("says {pattern:?}"), w), |facts| {
                facts
                    .log_lines(&c.situation.process, pattern, w, 1)
                    .pop()
                    .map(|line| (line.id, cut(&line.text)))
            })?;
    if let Some((id, text)) = &found {
        c.note(format!("log:{id}"), knowledge::quotable(text));
    }
    Ok(found.is_some())
}

pub(super) fn register_logs(engine: &mut Engine) {
    engine
        .register_fn(
            "log_count",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<i64> {
                regex_checked(pattern)?;
                let w = window(&w)?;
                let question = key(&format!("log matches {pattern:?}"), w);
                let (count, newest) = c.situation.ask(question, |facts| {
                    let name = &c.situation.process;
                    let count = facts.log_count(name, pattern, w) as i64;
                    let newest = (count > 0)
                        .then(|| facts.log_lines(name, pattern, w, 1).pop())
                        .flatten()
                        .map(|LogHit { id, text, .. }| (id, cut(&text)));
                    (count, newest)
                })?;
                if let Some((id, text)) = newest {
                    c.note(format!("log:{id}"), knowledge::quotable(&text));
                }
                Ok(count)
            },
        )
        .register_fn(
            "log_lines",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<Array> {
                regex_checked(pattern)?;
                let w = window(&w)?;
                let lines: Vec<(String, String)> =
                    c.situation
                        .ask(key(&format!("log lines {pattern:?}"), w), |facts| {
                            facts
                                .log_lines(&c.situation.process, pattern, w, LOG_LINES)
                                .into_iter()
                                .map(|LogHit { id, text, .. }| (id, cut(&text)))
                                .collect()
                        })?;
                for (id, text) in lines.iter().rev().take(3) {
                    c.note(format!("log:{id}"), knowledge::quotable(text));
                }
                Ok(lines.into_iter().map(|(_, text)| text.into()).collect())
            },
        )
        .register_fn(
            "log_numbers",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<Array> {
                regex_checked(pattern)?;
                let w = window(&w)?;
                let question = key(&format!("figures {pattern:?}"), w);
                let found: Vec<Figure> = c.situation.ask(question, |facts| {
                    let Ok(regex) = Regex::new(pattern) else {
                        return Vec::new();
                    };
                    let (name, now) = (&c.situation.process, facts.now());
                    let lines = facts.log_lines(name, pattern, w, FIGURE_LINES);
                    let figure = |hit: LogHit| {
                        let found = regex.captures(&hit.text)?;
                        Some(Figure {
                            n: found.get(1)?.as_str().parse().ok()?,
                            age_s: supervisor::until(hit.at, now).as_secs_f64(),
                            text: cut(&hit.text),
                            id: hit.id,
                        })
                    };
                    spread(lines.into_iter().filter_map(figure).collect())
                })?;
                if let (Some(first), Some(last)) = (found.first(), found.last()) {
                    for Figure { id, text, .. } in [last, first] {
                        c.note(format!("log:{id}"), knowledge::quotable(text));
                    }
                }
                let map = |Figure { n, age_s, .. }| {
                    let mut map = Map::new();
                    map.insert("n".into(), Dynamic::from(n));
                    map.insert("age_s".into(), Dynamic::from(rounded(age_s)));
                    Dynamic::from(map)
                };
                Ok(found.into_iter().map(map).collect())
            },
        )
        .register_fn(
            "says",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<bool> {
                regex_checked(pattern)?;
                says(c, pattern, window(&w)?)
            },
        )
        .register_fn("log_bytes", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            bytes(c, window(&w)?)
        })
        .register_fn("log_rate_bytes", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let w = window(&w)?;
            let rate = rounded(bytes(c, w)? as f64 / w.as_secs_f64().max(0.001));
            c.note("metric:log_bytes", format!("{:.0} bytes/s of log", rate));
            Ok(rate)
        })
        .register_fn("error_rate", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            let w = window(&w)?;
            if count(c, &[EventKind::Crash], w)? >= 2 {
                return Ok(Dynamic::from(1.0));
            }
            let (errors, all) = c.situation.ask(key("error rate", w), |facts| {
                let name = &c.situation.process;
                let all = facts.log_count(name, r"\S", w);
                let pattern = r"(?i)\b(error|exception|fatal|critical|panic)\b|[A-Za-z](Error|Exception)\b|HTTP/[0-9.]+\W+5\d\d";
                (facts.log_count(name, pattern, w) as i64, all as i64)
            })?;
            // Fewer lines say nothing.
            Ok(if all < 20 {
                Dynamic::UNIT
            } else {
                Dynamic::from(errors as f64 / all as f64)
            })
        })
        .register_fn("errors", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            let found = errors_in(c, window(&w)?)?;
            if let Some(first) = found.first() {
                c.note(&first.id, &first.text);
            }
            dynamic(&found)
        })
        .register_fn("last_line", |c: &mut Context, w: Dynamic| -> Answer<String> {
            Ok(match newest_line(c, window(&w)?)? {
                Some((id, text)) => {
                    c.note(id, &text);
                    text
                }
                None => String::new(),
            })
        });
}
