//! `ai.postmortem`: the story of an incident as a document that people finish.

use std::fmt::Write as _;

use agent::Explanation;
use brain::numbers::span;
use brain::prompts::Purpose;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{ControlError, until};

use super::AiPort;
use super::tell::{Manner, Task, attach, for_document};
use crate::daemon::hearer::Hearer;
use crate::daemon::port::invalid;

/// Rows of the timeline.
const ROWS: usize = 60;
/// Longest text from outside, in characters.
const TEXT: usize = 300;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostmortemParams {
    /// A process, or the id of an incident.
    what: String,
    /// IANA name of the reader's time zone.
    #[serde(default)]
    zone: Option<String>,
}

impl AiPort {
    /// The document; a model, if there is one, writes its first part.
    pub(super) async fn postmortem(
        &self,
        params: PostmortemParams,
        manner: Manner,
    ) -> Result<Value, ControlError> {
        let zone = match params.zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name)
                .map_err(|_| invalid(format!("ai.postmortem: `{name}` is no time zone")))?,
        };
        let told = self.agent.explain(&params.what).await?;
        let now = self.clock.now();
        let task = Task::prose(
            Purpose::Postmortem,
            Some(told.process.to_string()),
            vec![("record", json!(told).to_string())],
        );
        if manner.show {
            return Ok(self.shown(&task).await);
        }
        // A document shows texts in a form of its own: what goes into it is looked through.
        let told: Explanation = self.looked_through(&told).await?;
        let mut local = json!({
            "incident": told.incident,
            "process": told.process,
            "markdown": document(&told, None, now, &zone),
        });
        let words = self.words(&task, manner, &Hearer::default()).await;
        if let Ok(reply) = &words {
            local["markdown"] = json!(document(&told, Some(&for_document(reply)), now, &zone));
        }
        attach(&mut local, words);
        Ok(local)
    }
}

/// The whole document.
fn document(told: &Explanation, prose: Option<&str>, now: Timestamp, zone: &TimeZone) -> String {
    let time = |at: Timestamp| {
        at.to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    let lasted = span(until(told.opened, told.closed.unwrap_or(now)).as_secs_f64());
    let mut text = format!(
        "# Postmortem: {} ({})\n\n",
        line(&told.title),
        told.incident
    );
    let _ = writeln!(text, "- Process: {}", line(told.process.as_str()));
    let _ = writeln!(text, "- Began: {}", time(told.opened));
    let _ = match told.closed {
        Some(at) => writeln!(text, "- Ended: {}, after {lasted}", time(at)),
        None => writeln!(text, "- Not over after {lasted}"),
    };
    if !told.victims.is_empty() {
        let names: Vec<&str> = told
            .victims
            .iter()
            .map(|one| one.process.as_str())
            .collect();
        let _ = writeln!(text, "- Suffered from it: {}", names.join(", "));
    }
    text.push_str("\n## Summary\n\n");
    match prose.map(str::trim).filter(|prose| !prose.is_empty()) {
        Some(prose) => text.push_str(prose),
        None => text.push_str("(what people noticed, in a sentence or two)"),
    }
    text.push_str("\n\n## Cause\n\n");
    match &told.root_cause {
        Some(cause) => {
            let sure = told
                .confidence
                .map_or_else(String::new, |sure| format!(" ({:.0} %)", sure * 100.0));
            let _ = writeln!(text, "{}{sure}", line(cause));
        }
        None => text.push_str("Not known.\n"),
    }
    for one in &told.evidence {
        let _ = writeln!(text, "- `{}` {}", line(&one.id), line(&one.text));
    }
    text.push_str("\n## Timeline\n\n");
    let skipped = told.story.len().saturating_sub(ROWS);
    if skipped > 0 {
        let _ = writeln!(text, "({skipped} earlier steps are left out)\n");
    }
    for step in told.story.iter().skip(skipped) {
        let what = ["title", "cause", "reason", "outcome", "text"]
            .iter()
            .find_map(|key| step.data[*key].as_str());
        // What was done has a part of its own.
        if let Some(what) = what {
            let kind = line(&step.kind).replace('_', " ");
            let _ = writeln!(text, "- {} {kind}: {}", time(step.ts), line(what));
        }
    }
    text.push_str("\n## What was done\n\n");
    if told.actions.is_empty() {
        text.push_str("Nothing.\n");
    }
    for act in &told.actions {
        let outcome = act.outcome.as_deref().unwrap_or(&act.result);
        let _ = writeln!(
            text,
            "- {} {} by {}: {}",
            time(act.ts),
            line(&act.action),
            line(&act.by),
            line(outcome)
        );
    }
    text.push_str("\n## What follows\n\n");
    if told.escalated || told.closed.is_none() {
        let _ = writeln!(
            text,
            "- [ ] Cure the cause; mhost could not: `mhost ai diagnose {}`",
            told.process
        );
    }
    text.push_str(
        "- [ ] What would have shown it earlier?\n- [ ] What would have kept it small?\n",
    );
    text
}

/// Text from outside on one line, without what Markdown or a terminal acts on.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_control() => ' ',
            '<' => '‹',
            '>' => '›',
            '`' => '\'',
            '[' => '(',
            ']' => ')',
            c => c,
        })
        .take(TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_its_parts_and_acts_on_nothing() {
        let at = |second: i64| Timestamp::from_second(1_774_700_000 + second).unwrap();
        let told: Explanation = serde_json::from_value(json!({
            "incident": "inc-3", "process": "api", "title": "api <script> died\u{1b}[2J of `x`",
            "trigger": "crash", "opened": at(0), "closed": at(90), "state": "resolved",
            "fingerprint": null, "root_cause": "settings.json is no JSON", "confidence": 0.93,
            "evidence": [{ "id": "log:7", "text": "Unexpected token" }], "playbook": null,
            "actions": [], "victims": [],
            "story": [{ "ts": at(1), "kind": "opened", "data": { "title": "crash" } }],
            "outcome": "verified", "escalated": false,
        }))
        .unwrap();
        let text = document(&told, None, at(100), &TimeZone::UTC);
        for part in [
            "# Postmortem: api",
            "after 1m 30s",
            "## Summary",
            "(93 %)",
            "`log:7` Unexpected",
            "opened: crash",
            "## What was done\n\nNothing.",
            "- [ ] What would have shown",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            !text.contains('\u{1b}') && !text.contains("<script>"),
            "{text}"
        );
        assert!(
            document(&told, Some("It was short."), at(100), &TimeZone::UTC)
                .contains("It was short.")
        );
    }
}
