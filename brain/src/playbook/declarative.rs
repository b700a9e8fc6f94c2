//! Playbooks written as TOML: translated to the script they stand for.
//!
//! ```text
//!   <name>.toml ──read, check──► Declared ──write──► Rhai text ──► compiled like any other
//! ```
//!
//! There is one engine, one gate and one replay for both forms. A mistake is told with its
//! place in the TOML text; the script itself is right by construction.

mod condition;

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use rhai::Position;
use serde::Deserialize;
use toml::Spanned;

use super::check::Flaw;

/// A window that is not given: what a program says before it dies lies within.
const WINDOW: &str = "30s";
/// How long a check may stay unanswered, when the file does not say.
const WITHIN: &str = "60s";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: Option<Spanned<String>>,
    description: String,
    version: Option<i64>,
    priority: Option<i64>,
    confidence: Option<f64>,
    enabled: Option<bool>,
    trigger: Trigger,
    action: Vec<Spanned<Step>>,
    #[serde(default)]
    limits: Limits,
    verify: Option<Verify>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trigger {
    #[serde(default)]
    on: Vec<String>,
    process: Option<String>,
    pattern: Option<Spanned<String>>,
    exit_code: Option<i64>,
    condition: Option<Spanned<String>>,
    count: Option<u32>,
    window: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    instance: Option<i64>,
    #[serde(alias = "by")]
    n: Option<i64>,
    reason: Option<String>,
    key: Option<String>,
    value: Option<String>,
    #[serde(rename = "for")]
    time: Option<String>,
    severity: Option<String>,
    text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    cooldown: Option<String>,
    max_per_hour: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    condition: Spanned<String>,
    within: Option<Spanned<String>>,
}

/// The script that a TOML text stands for.
pub(crate) fn translate(file: &str, text: &str) -> Result<String, Flaw> {
    let declared: Declared = toml::from_str(text).map_err(|error| Flaw {
        text: error.message().to_owned(),
        at: error
            .span()
            .map_or(Position::NONE, |span| place(text, &span)),
    })?;
    let wrong = |span: Range<usize>, message: String| Flaw {
        text: message,
        at: place(text, &span),
    };
    if let Some(name) = &declared.name
        && name.get_ref() != file
    {
        let message = format!(
            "name is `{}`, but the file is called `{file}`",
            name.get_ref()
        );
        return Err(wrong(name.span(), message));
    }
    let mut script = String::new();
    let _ = writeln!(
        script,
        "//! {}\n//!\n//! Written in {file}.toml, of which this is the translation.\n",
        declared.description.replace('\n', " ")
    );
    header(&mut script, file, &declared);
    let trigger = &declared.trigger;
    let window = match &trigger.window {
        Some(window) => {
            duration(window.get_ref()).map_err(|message| wrong(window.span(), message))?;
            window.get_ref().as_str()
        }
        None => WINDOW,
    };
    let mut terms = Vec::new();
    if let Some(code) = trigger.exit_code {
        terms.push(format!(
            "c.event != () && \"code\" in c.event.data && c.event.data.code == {code}"
        ));
    }
    if let Some(pattern) = &trigger.pattern {
        regex::Regex::new(pattern.get_ref()).map_err(|error| {
            wrong(
                pattern.span(),
                format!("it is no regular expression: {error}"),
            )
        })?;
        terms.push(format!(
            "c.says({}, {})",
            quote(pattern.get_ref()),
            quote(window)
        ));
    }
    if let Some(condition) = &trigger.condition {
        terms.push(conditional(condition, text)?);
    }
    if let Some(count) = trigger.count {
        terms.push(counted(trigger, window, count));
    }
    if terms.is_empty() {
        if trigger.on.is_empty() {
            return Err(Flaw {
                text:
                    "the trigger has neither `on` nor anything to look for, so it would always act"
                        .into(),
                at: Position::NONE,
            });
        }
        terms.push("true".into());
    }
    let _ = writeln!(
        script,
        "fn matches(c) {{\n    {}\n}}\n",
        terms.join("\n        && ")
    );
    let _ = writeln!(
        script,
        "fn reason(c) {{ `${{c.name}}: ${{{}}}` }}\n",
        quote(&declared.description)
    );
    let mut steps = Vec::new();
    for step in &declared.action {
        steps.push(constructor(step.get_ref()).map_err(|message| wrong(step.span(), message))?);
    }
    let _ = writeln!(
        script,
        "fn plan(c) {{\n    [ {} ]\n}}",
        steps.join(",\n      ")
    );
    if let Some(verify) = &declared.verify {
        let condition = conditional(&verify.condition, text)?;
        let within = match &verify.within {
            Some(within) => {
                duration(within.get_ref()).map_err(|message| wrong(within.span(), message))?;
                within.get_ref().as_str()
            }
            None => WITHIN,
        };
        let _ = writeln!(
            script,
            "\nfn verify(c) {{\n    if {condition} {{ return true; }}\n    \
             if c.age_s > dur({}) {{ false }} else {{ () }}\n}}",
            quote(within)
        );
    }
    Ok(script)
}

fn header(script: &mut String, file: &str, declared: &Declared) {
    let on = &declared.trigger.on;
    let on: Vec<String> = if on.is_empty() {
        vec![quote("tick")]
    } else {
        on.iter().map(|name| quote(name)).collect()
    };
    let _ = write!(
        script,
        "const META = #{{ name: {}, version: {},\n                description: {},\n                on: [{}]",
        quote(file),
        declared.version.unwrap_or(1),
        quote(&declared.description),
        on.join(", ")
    );
    let mut more = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(script, ", {key}: {value}");
        }
    };
    more("process", declared.trigger.process.as_deref().map(quote));
    more("priority", declared.priority.map(|n| n.to_string()));
    more("confidence", declared.confidence.map(|n| format!("{n:?}")));
    more("enabled", declared.enabled.map(|yes| yes.to_string()));
    more("cooldown", declared.limits.cooldown.as_deref().map(quote));
    more(
        "max_per_hour",
        declared.limits.max_per_hour.map(|n| n.to_string()),
    );
    script.push_str(" };\n\n");
}

/// So many events in a window, or lines where no event is named.
fn counted(trigger: &Trigger, window: &str, count: u32) -> String {
    let window = quote(window);
    let events = trigger
        .on
        .iter()
        .filter(|name| *name != "tick" && *name != "score");
    let mut parts: Vec<String> = events
        .map(|name| format!("c.events({}, {window}).len()", quote(name)))
        .collect();
    if parts.is_empty() {
        let pattern = trigger.pattern.as_ref().map_or(".", |one| one.get_ref());
        parts.push(format!("c.log_count({}, {window})", quote(pattern)));
    }
    format!("{} >= {count}", parts.join(" + "))
}

fn conditional(condition: &Spanned<String>, text: &str) -> Result<String, Flaw> {
    condition::translate(condition.get_ref()).map_err(|(at, message)| {
        let span = condition.span();
        // The span begins with the quote.
        let start = span.start + 1 + at;
        Flaw {
            text: message,
            at: place(text, &(start..span.end)),
        }
    })
}

/// The call that makes a step. Every key it has no use for is a mistake.
fn constructor(step: &Step) -> Result<String, String> {
    let kind = step.kind.as_str();
    let need = |what: &Option<String>, key: &str| {
        what.as_deref()
            .map(quote)
            .ok_or_else(|| format!("`{kind}` needs `{key}`"))
    };
    let given = [
        ("instance", step.instance.is_some()),
        ("n", step.n.is_some()),
        ("reason", step.reason.is_some()),
        ("key", step.key.is_some()),
        ("value", step.value.is_some()),
        ("for", step.time.is_some()),
        ("severity", step.severity.is_some()),
        ("text", step.text.is_some()),
    ];
    let (call, used): (String, &[&str]) = match kind {
        "restart" | "kill_restart" => {
            let instance = step.instance.map(|n| n.to_string()).unwrap_or_default();
            (format!("{kind}({instance})"), &["instance"])
        }
        "reload" | "start" | "stop" | "clear_error" | "update_score" | "run_probe" | "rollback" => {
            (format!("{kind}()"), &[])
        }
        "halt" => (
            format!("halt({})", need(&step.reason, "reason")?),
            &["reason"],
        ),
        "scale_up" | "scale_down" => (format!("{kind}({})", step.n.unwrap_or(1)), &["n"]),
        "set_limit" => (
            format!(
                "set_limit({}, {})",
                need(&step.key, "key")?,
                need(&step.value, "value")?
            ),
            &["key", "value"],
        ),
        "wait" => {
            let time = need(&step.time, "for")?;
            duration(step.time.as_deref().unwrap_or_default())?;
            (format!("wait({time})"), &["for"])
        }
        "notify" => {
            let severity = step.severity.as_deref().unwrap_or("warning");
            if !["info", "warning", "critical"].contains(&severity) {
                return Err("severity is `info`, `warning` or `critical`".into());
            }
            let text = match &step.text {
                Some(text) => quote(text),
                None => "reason(c)".into(),
            };
            (
                format!("notify({}, {text})", quote(severity)),
                &["severity", "text"],
            )
        }
        "log_incident" | "escalate" | "ask" => {
            let text = match &step.text {
                Some(text) => quote(text),
                None => "reason(c)".into(),
            };
            (format!("{kind}({text})"), &["text"])
        }
        other => {
            let known = super::reference::FUNCTIONS
                .iter()
                .filter(|one| super::reference::is_action(one.name))
                .map(|one| one.name);
            return Err(match super::reference::near(other, known) {
                Some(near) => format!("there is no action `{other}`; did you mean `{near}`?"),
                None => format!("there is no action `{other}`"),
            });
        }
    };
    match given
        .iter()
        .find(|(key, there)| *there && !used.contains(key))
    {
        Some((key, _)) => Err(format!("`{kind}` has no use for `{key}`")),
        None => Ok(call),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no duration; write \"5m\""))
}

/// A text as a literal of the script.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Line and column of a place in a text.
fn place(text: &str, span: &Range<usize>) -> Position {
    let before = &text[..text.floor_char_boundary(span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    Position::new(
        u16::try_from(line).unwrap_or(u16::MAX),
        u16::try_from(column).unwrap_or(u16::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = r#"
name = "port-conflict"
description = "Wait for the port, then restart"
[trigger]
on = ["crash"]
pattern = "EADDRINUSE"
exit_code = 1
condition = "restarts < 5"
count = 1
window = "5m"
process = "api-*"
[[action]]
type = "wait"
for = "5s"
[[action]]
type = "restart"
[limits]
cooldown = "5m"
max_per_hour = 3
[verify]
condition = "uptime > 30s"
within = "60s"
"#;

    #[test]
    fn the_sample_of_the_contract_is_translated() {
        let script = translate("port-conflict", PORT).unwrap();
        for wanted in [
            r#"process: "api-*""#,
            r#"c.says("EADDRINUSE", "5m")"#,
            "c.event.data.code == 1",
            "c.restarts < 5",
            r#"c.events("crash", "5m").len() >= 1"#,
            r#"wait("5s")"#,
            "c.uptime_s > 30",
            "max_per_hour: 3",
        ] {
            assert!(script.contains(wanted), "{wanted} is not in\n{script}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let at = |text: &str| {
            let flaw = translate("port-conflict", text).unwrap_err();
            (flaw.at.line().unwrap_or(0), flaw.text)
        };
        let (line, text) = at(&PORT.replace("\"restart\"", "\"restrat\""));
        assert!(line >= 15 && text.contains("`restart`"), "{line}: {text}");
        let (line, text) = at(&PORT.replace("EADDRINUSE", "("));
        assert!(line == 6 && text.contains("regular"), "{line}: {text}");
        let (line, text) = at(&PORT.replace("exit_code", "exitcode"));
        assert!(line == 7 && text.contains("exitcode"), "{line}: {text}");
        let (line, text) = at(&PORT.replace("restarts <", "retsarts <"));
        assert!(line == 8 && text.contains("restarts"), "{line}: {text}");
        assert!(
            at("description = \"x\"\n[trigger]\n[[action]]\ntype = \"start\"")
                .1
                .contains("always")
        );
        assert!(
            at(&PORT.replace("for = \"5s\"", "text = \"5s\""))
                .1
                .contains("needs `for`")
        );
    }
}
