//! The whole table of the machine, written down: what each input does in each state, by the
//! usual rules and then, where that differs, by each other rule.
//!
//! `table.txt` is made by `UPDATE=1 cargo test --workspace --lib machine::table`. A change of it
//! is a change of what mhost does: read it line by line.

use std::fmt::Write;

use serde_json::Value;

use super::tests::{all_inputs, all_states, at, rules, run, saved};
use super::*;
use crate::spec::{Autorestart, Sign};

/// What an input does that changes nothing.
const NOTHING: &str = "–";

/// The rules and the moment that a part of the table is for.
fn variants() -> Vec<(&'static str, Rules, Timestamp)> {
    let usual = rules;
    let later = at(5_000);
    let with = |change: fn(&mut Rules)| {
        let mut rules = usual();
        change(&mut rules);
        rules
    };
    vec![
        (
            "the usual rules, five seconds after the start",
            usual(),
            later,
        ),
        ("half a second after the start", usual(), at(500)),
        ("a minute after the start", usual(), at(60_000)),
        (
            "it is never restarted",
            with(|rules| rules.autorestart = Autorestart::Never),
            later,
        ),
        (
            "it is always restarted",
            with(|rules| rules.autorestart = Autorestart::Always),
            later,
        ),
        (
            "one short run is enough",
            with(|rules| rules.max_restarts = 1),
            at(500),
        ),
        (
            "its probes are awaited",
            with(|rules| rules.probed = true),
            later,
        ),
        (
            "READY=1 is awaited",
            with(|rules| rules.sign = Some(Sign::Notify)),
            later,
        ),
        (
            "READY=1 and its probes are awaited",
            with(|rules| {
                rules.sign = Some(Sign::Notify);
                rules.probed = true;
            }),
            later,
        ),
        (
            "only the program itself is ended",
            with(|rules| rules.kill_tree = false),
            later,
        ),
        (
            "without a grace period",
            with(|rules| rules.grace_period = Duration::ZERO),
            later,
        ),
        (
            "it is not wanted",
            with(|rules| rules.unwanted = true),
            later,
        ),
        ("it has a newer run", with(|rules| rules.newest = 7), later),
        (
            "its copies come back apart",
            with(|rules| rules.jitter = Some(3)),
            later,
        ),
    ]
}

/// Beside the states of the other tests, those in which a rule of its own holds.
fn states() -> Vec<State> {
    let stopping = |reason, killed| State::Stopping {
        run: run(),
        then: AfterStop::Stay,
        reason,
        deadline: at(10_000),
        killed,
        exit: None,
    };
    let mut states = all_states();
    states.extend([
        State::Starting {
            run: run(),
            said: false,
            extended: Some(at(40_000)),
        },
        stopping(Reason::Shutdown, false),
        stopping(Reason::Manual, true),
        State::Stopping {
            run: run(),
            then: AfterStop::Start,
            reason: Reason::Memory,
            deadline: at(10_000),
            killed: true,
            exit: Some(ExitStatus::Signal(9)),
        },
        State::Stopping {
            run: run(),
            then: AfterStop::Fail,
            reason: Reason::StartTimeout,
            deadline: at(10_000),
            killed: true,
            exit: Some(ExitStatus::Signal(9)),
        },
    ]);
    states
}

/// Beside the inputs of the other tests, those that are told from them by what they carry.
fn inputs() -> Vec<Input> {
    let mut inputs = all_inputs();
    inputs.extend([
        Input::Stop {
            reason: Reason::Manual,
            force: false,
            signal: Some(Signal(2)),
        },
        Input::Restart {
            reason: Reason::Watch,
            force: true,
            path: Some("app.js".into()),
        },
        Input::Exited(ExitStatus::Code(0)),
        Input::Exited(ExitStatus::Signal(9)),
        Input::SpawnFailed(SpawnError::Limit {
            limit: "nice".into(),
            error: "no".into(),
        }),
    ]);
    inputs
}

/// What each input does, in the order of the table; first when it wakes by itself.
fn lines(state: &State, rules: &Rules, now: Timestamp) -> Vec<(String, String)> {
    let before = Saved {
        counters: crate::state::Counters {
            restarts: 4,
            backoff: 2,
            ..saved(state.clone()).counters
        },
        ..saved(state.clone())
    };
    let waits = wake(&before, rules).map_or(NOTHING.to_owned(), |wake| {
        let deadline = wake.deadline.duration_since(at(0)).as_secs_f64();
        format!("at {deadline}s, in {:?} at most", wake.longest)
    });
    let mut lines = vec![("wakes".to_owned(), waits)];
    for input in inputs() {
        let named = named(&input);
        let told = match step(&before, input, rules, now) {
            Ok((after, effects)) => told(&before, &after, &effects, now),
            Err(refused) => format!("refused: {refused}"),
        };
        lines.push((named, told));
    }
    lines
}

/// An input, with what tells it from others of its name.
fn named(input: &Input) -> String {
    let more = match input {
        Input::Stop { force: true, .. } => " at once".to_owned(),
        Input::Restart { reason, .. } => format!(" {}", reason.as_str()),
        Input::Stop {
            signal: Some(signal),
            ..
        } => format!(" {signal}"),
        Input::Exited(ExitStatus::Signal(signal)) => format!(" by {signal}"),
        Input::Exited(ExitStatus::Code(code)) => format!(" {code}"),
        Input::Exited(ExitStatus::Unknown) => " ?".to_owned(),
        _ => String::new(),
    };
    format!("{}{more}", input_name(input))
}

/// What has become of it: what changed of that which is saved, then the effects in order.
fn told(before: &Saved, after: &Saved, effects: &[Effect], now: Timestamp) -> String {
    let mut parts = Vec::new();
    let empty = serde_json::Map::new();
    let (old, new) = (json(before, now), json(after, now));
    let (old, new) = (
        old.as_object().unwrap_or(&empty),
        new.as_object().unwrap_or(&empty),
    );
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(same), value) if same == value => {}
            (Some(Value::Object(was)), Value::Object(is)) if key == "counters" => {
                let changed = is
                    .iter()
                    .filter(|(key, value)| was.get(*key) != Some(*value));
                parts.extend(changed.map(|(key, value)| format!("{key} {value}")));
            }
            (_, value) if key == "state" => parts.push(short(value)),
            (_, value) => parts.push(format!("{key} {}", short(value))),
        }
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    parts.extend(gone.map(|key| format!("no {key}")));
    parts.extend(effects.iter().map(effect));
    match parts.is_empty() {
        true => NOTHING.to_owned(),
        false => parts.join(" · "),
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Spawn { generation } => format!("spawn {generation}"),
        Effect::Signal { signal, scope, .. } => format!("{signal} to {scope:?}"),
        Effect::AwaitTree { .. } => "await its tree".to_owned(),
        Effect::EndLeftovers { .. } => "end what it left".to_owned(),
        Effect::Event { kind, data } => format!("event {kind} {data}"),
    }
}

/// As it is kept, but with all times counted from now, and the one run that stands everywhere
/// by its name.
fn json<T: serde::Serialize>(value: &T, now: Timestamp) -> Value {
    fn walk(value: &mut Value, now: Timestamp) {
        if *value == serde_json::to_value(run()).expect("it is kept as JSON") {
            *value = json!("run 1");
        }
        match value {
            Value::String(text) => {
                if let Ok(time) = text.parse::<Timestamp>() {
                    let from_now = time.duration_since(now);
                    *text = format!("{:+}s", from_now.as_secs_f64());
                }
            }
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, now)),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, now)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut value = serde_json::to_value(value).expect("it is kept as JSON");
    walk(&mut value, now);
    value
}

/// Without the names of the fields that everybody knows.
fn short(value: &Value) -> String {
    let text = value.to_string().replace("{\"state\":", "{");
    text.replace("{\"hold\":\"", "{\"")
}

fn table() -> String {
    let (_, usual, usual_now) = variants().remove(0);
    let mut text = String::new();
    for (number, (title, rules, now)) in variants().into_iter().enumerate() {
        let _ = writeln!(text, "\n# {title}");
        for state in states() {
            let plain = lines(&state, &usual, usual_now);
            let lines = lines(&state, &rules, now);
            let told: Vec<_> = match number {
                0 => lines.iter().filter(|(_, told)| !is_plain(told)).collect(),
                _ => {
                    let differs = |(line, plain): &(&_, &_)| line != plain;
                    let both = lines.iter().zip(&plain).filter(differs);
                    both.map(|(line, _)| line).collect()
                }
            };
            if !told.is_empty() || number == 0 {
                let _ = writeln!(text, "\n{}", short(&json(&state, at(0))));
            }
            for (named, told) in told {
                let _ = writeln!(text, "  {named:<16} {told}");
            }
            if number == 0 {
                together(&mut text, "nothing", &lines, |told| told == NOTHING);
                together(&mut text, "refused", &lines, |told| {
                    told.starts_with("refused")
                });
            }
        }
    }
    text.trim_start().to_owned()
}

fn is_plain(told: &str) -> bool {
    told == NOTHING || told.starts_with("refused")
}

/// The inputs that all do the same, in one line.
fn together(text: &mut String, what: &str, lines: &[(String, String)], is: fn(&str) -> bool) {
    let names: Vec<&str> = lines
        .iter()
        .filter(|(_, told)| is(told))
        .map(|(named, _)| named.as_str())
        .collect();
    if !names.is_empty() {
        let _ = writeln!(text, "  {what:<16} {}", names.join(", "));
    }
}

#[test]
fn is_as_it_is_written_down() {
    let written = include_str!("table.txt");
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/machine/table.txt");
        std::fs::write(path, &table).expect("the table can be written");
        return;
    }
    let first = table
        .lines()
        .zip(written.lines())
        .find(|(is, was)| is != was);
    assert!(
        table == written,
        "the machine does something else than machine/table.txt says; first {first:#?}"
    );
}

#[test]
fn a_refusal_says_what_makes_no_sense_where() {
    let spawning = saved(all_states().remove(1));
    for input in inputs() {
        let Err(refused) = step(&spawning, input.clone(), &rules(), at(0)) else {
            continue;
        };
        let named = named(&input);
        assert!(named.starts_with(refused.input), "{named}: {refused}");
        assert_eq!(refused.state, "spawning");
        assert!(!refused.input.is_empty());
    }
}
