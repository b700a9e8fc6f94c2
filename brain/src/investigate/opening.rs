//! The first message of an investigation: what is known, fenced, and what is wanted.

use serde_json::Value;

use super::desk::Shown;
use crate::incident::Incident;
use crate::observation::View;
use crate::words::{clean, fence};

/// Signs that are told, the newest.
const SIGNS: usize = 6;
/// Last words of a sign that are told.
const WORDS: usize = 12;

/// What is told first: all that is known, and then `wish`, what is to be said about it.
/// `room` is what the signs may take, in bytes; the view is as long as it is. Everything in it
/// that has an id may be cited from then on.
pub fn opening(
    wish: &str,
    incident: Option<&Incident>,
    view: &View,
    tried: &[String],
    shown: &mut Shown,
    room: usize,
) -> String {
    let mut text = fence("observation", &view.text, usize::MAX);
    shown.extend(view.shown.iter().cloned());
    if let Some(incident) = incident {
        text.push('\n');
        text.push_str(&fence("signs", &signs(incident, shown), room));
    }
    if !tried.is_empty() {
        text.push_str(&format!(
            "\nTried already, without help: {}.",
            tried.join(", ")
        ));
    }
    text.push_str("\n\n");
    text.push_str(wish);
    text
}

fn signs(incident: &Incident, shown: &mut Shown) -> String {
    let mut text = String::new();
    let from = incident.symptoms.len().saturating_sub(SIGNS);
    for sign in &incident.symptoms[from..] {
        let mut data = sign.data.clone();
        // Its last words follow line by line.
        let words = data
            .as_object_mut()
            .and_then(|data| data.remove("last_lines"));
        let id = match sign.event {
            Some(event) => format!("event:{event}"),
            None => format!("sign:{}", sign.kind.as_str()),
        };
        let said = format!(
            "{} {} {data}",
            sign.at.strftime("%H:%M:%S"),
            sign.kind.as_str()
        );
        let mut all = clean(&said, 400);
        for line in last(words.as_ref()) {
            all.push_str("\n  | ");
            all.push_str(&clean(line, 200));
        }
        shown.add(id.clone(), &all);
        text.push_str(&format!("[{id}] {all}\n"));
    }
    text
}

fn last(words: Option<&Value>) -> impl Iterator<Item = &str> {
    let lines = words
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    lines[lines.len().saturating_sub(WORDS)..]
        .iter()
        .filter_map(Value::as_str)
}
