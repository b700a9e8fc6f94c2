//! Questions about what is printed.

use super::*;

pub(super) fn errors_in(c: &Context, window: Duration) -> Answer<Vec<ErrorGroup>> {
    c.view.ask(Question::Errors(window))
}

pub(super) fn newest_line(c: &Context, window: Duration) -> Answer<Option<(String, String)>> {
    c.view.ask(Question::NewestLine(window))
}

pub(super) fn bytes(c: &Context, window: Duration) -> Answer<i64> {
    c.view.ask(Question::LogBytes(window))
}

/// Does the event, or a line of the last `w`, match? The event carries a program's last words,
/// which may not have reached the log yet.
pub(super) fn says(c: &Context, pattern: &str, w: Duration) -> Answer<bool> {
    let regex = regular(pattern).map_err(failure)?;
    if let Some(symptom) = &c.view.scene.event {
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
    let question = Question::Says(pattern.to_owned(), w);
    let found: Option<(String, String)> = c.view.ask(question)?;
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
                let question = Question::LogMatches(pattern.to_owned(), window(&w)?);
                let (count, newest): (i64, Option<(String, String)>) = c.view.ask(question)?;
                if let Some((id, text)) = newest {
                    c.note(format!("log:{id}"), knowledge::quotable(&text));
                }
                Ok(count)
            },
        )
        .register_fn(
            "log_lines",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<Array> {
                let question = Question::LogLines(pattern.to_owned(), window(&w)?);
                let lines: Vec<(String, String)> = c.view.ask(question)?;
                for (id, text) in lines.iter().rev().take(3) {
                    c.note(format!("log:{id}"), knowledge::quotable(text));
                }
                Ok(lines.into_iter().map(|(_, text)| text.into()).collect())
            },
        )
        .register_fn(
            "log_numbers",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<Array> {
                let question = Question::Figures(pattern.to_owned(), window(&w)?);
                let found: Vec<Figure> = c.view.ask(question)?;
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
                says(c, pattern, window(&w)?)
            },
        )
        .register_fn("log_bytes", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            bytes(c, window(&w)?)
        })
        .register_fn(
            "log_rate_bytes",
            |c: &mut Context, w: Dynamic| -> Answer<f64> {
                let w = window(&w)?;
                let rate = rounded(bytes(c, w)? as f64 / w.as_secs_f64().max(0.001));
                c.note("metric:log_bytes", format!("{:.0} bytes/s of log", rate));
                Ok(rate)
            },
        )
        .register_fn(
            "error_rate",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let w = window(&w)?;
                if count(c, &[EventKind::Crash], w)? >= 2 {
                    return Ok(Dynamic::from(1.0));
                }
                let (errors, all): (i64, i64) = c.view.ask(Question::ErrorRate(w))?;
                // Fewer lines say nothing.
                Ok(if all < 20 {
                    Dynamic::UNIT
                } else {
                    Dynamic::from(errors as f64 / all as f64)
                })
            },
        )
        .register_fn("errors", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            let found = errors_in(c, window(&w)?)?;
            if let Some(first) = found.first() {
                c.note(&first.id, &first.text);
            }
            dynamic(&found)
        })
        .register_fn(
            "last_line",
            |c: &mut Context, w: Dynamic| -> Answer<String> {
                Ok(match newest_line(c, window(&w)?)? {
                    Some((id, text)) => {
                        c.note(id, &text);
                        text
                    }
                    None => String::new(),
                })
            },
        );
}
