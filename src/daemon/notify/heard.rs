//! What an event means for people: a notice with its words, or something for the rules alone.

use std::collections::BTreeMap;

use chat::notify::{EventName, Input, Notice, ProcessWish, Severity, Wanted};
use serde_json::Value;
use supervisor::spec::Signal;
use supervisor::units::{ByteSize, format_duration};
use supervisor::{Event, EventKind, ProcessName, RegistryHandle, Standing, Status, until};

/// Kinds that mean something.
pub(super) const KINDS: [EventKind; 13] = [
    EventKind::Online,
    EventKind::Stop,
    EventKind::Exited,
    EventKind::Crash,
    EventKind::Errored,
    EventKind::SpawnFailed,
    EventKind::Restart,
    EventKind::HealthFail,
    EventKind::HealthRecover,
    EventKind::MemoryExceeded,
    EventKind::Deleted,
    EventKind::Cleared,
    EventKind::HealthScoreLow,
];

/// Lines of output in a message.
const LINES: usize = 5;
/// Longest line that is looked through for secrets; what is shown of it is far less.
const LINE: usize = 16 << 10;
/// Failures to start that are remembered until their process is given up.
const SPAWNS: usize = 1_000;

/// What an event comes to.
pub(super) enum Heard {
    /// It is told.
    Notice(Box<Notice>, ProcessWish),
    /// The rules have to know.
    Input(Input),
}

/// Finds the words.
pub(super) struct Words {
    registry: RegistryHandle,
    /// Why a process could last not be started.
    spawns: BTreeMap<ProcessName, String>,
}

impl Words {
    pub(super) fn new(registry: RegistryHandle) -> Self {
        Self {
            registry,
            spawns: BTreeMap::new(),
        }
    }

    /// What there is to say of an event.
    pub(super) fn of(&mut self, event: &Event) -> Vec<Heard> {
        let process = &event.process;
        let standing = self.registry.standing(process, event.instance);
        let gone = || Heard::Input(Input::Gone(process.to_string()));
        // Nothing of it runs.
        let is_down = (standing.as_ref()).is_none_or(|one| one.state == Status::Stopped);
        match event.kind {
            EventKind::Online => {
                self.spawns.remove(process);
                // One copy that came up says nothing of another one that is down.
                let all_up = standing.is_none_or(|one| one.state != Status::Errored);
                let online = || Heard::Input(Input::Online(process.to_string()));
                return all_up.then(online).into_iter().collect();
            }
            EventKind::SpawnFailed => {
                if self.spawns.len() < SPAWNS {
                    let error = text(&event.data, "error").to_owned();
                    self.spawns.insert(process.clone(), error);
                }
                return Vec::new();
            }
            EventKind::Deleted => {
                self.spawns.remove(process);
                return vec![gone()];
            }
            // It ended well, or its trouble was waved aside.
            EventKind::Exited | EventKind::Cleared if is_down => return vec![gone()],
            // A part of a restart, of a smaller fleet or of the end of the daemon is told as that.
            EventKind::Stop if !is_down || text(&event.data, "reason") == "shutdown" => {
                return Vec::new();
            }
            _ => {}
        }
        let Some(notice) = self.notice(event, standing.as_ref()) else {
            return Vec::new();
        };
        let wish = standing.as_ref().map(wish).unwrap_or_default();
        let mut heard = vec![Heard::Notice(Box::new(notice), wish)];
        if event.kind == EventKind::Stop {
            heard.push(gone());
        }
        heard
    }

    fn notice(&mut self, event: &Event, standing: Option<&Standing>) -> Option<Notice> {
        let data = &event.data;
        let reason = text(data, "reason");
        let make = |name: EventName, message: String| {
            let id = format!("e{}", event.id);
            let mut notice = Notice::new(id, name, event.process.as_str(), message, event.at);
            // A number says something only where there are several.
            notice.instance = event
                .instance
                .filter(|_| standing.is_some_and(|one| one.instances > 1));
            notice
        };
        Some(match event.kind {
            EventKind::Crash => crash(make, event, standing),
            EventKind::Errored => {
                let spawn = self.spawns.remove(&event.process);
                errored(make, event, standing, spawn)
            }
            EventKind::Restart => {
                // After a crash, a breach or a failed probe it is a part of that, and in its words.
                let (why, by) = match reason {
                    "manual" => ("restarted", true),
                    "cron" => ("restarted by its schedule", false),
                    "watch" => ("restarted since a file changed", false),
                    "reload" => ("reloaded", true),
                    _ => return None,
                };
                let message = match by {
                    true => format!("{why} by {}", event.actor),
                    false => why.to_owned(),
                };
                let notice = make(EventName::Restart, message)
                    .detail("reason", reason)
                    .detail("by", event.actor.as_str());
                match text(data, "path") {
                    "" => notice,
                    path => notice.detail("file", path),
                }
            }
            EventKind::Stop => make(EventName::Stop, format!("stopped by {}", event.actor))
                .detail("by", event.actor.as_str()),
            EventKind::HealthFail => health_fail(make, data),
            EventKind::HealthRecover => {
                let down = span(data, "downtime_ms");
                let probe = text(data, "probe");
                make(
                    EventName::HealthRecover,
                    format!("{probe} passes again after {down}"),
                )
                .detail("probe", probe)
                .detail("downtime", down)
            }
            EventKind::MemoryExceeded => {
                let size = |key: &str| ByteSize(data[key].as_u64().unwrap_or_default()).to_string();
                let (rss, limit) = (size("rss"), size("limit"));
                let message = format!("it uses {rss}, and {limit} is its limit; it is restarted");
                make(EventName::MemoryExceeded, message)
                    .detail("rss", rss)
                    .detail("limit", limit)
            }
            EventKind::HealthScoreLow => {
                let score = data["score"].as_f64().unwrap_or_default().round();
                let below = data["below"].as_u64().unwrap_or_default();
                let message = format!(
                    "its health score is {score}, below {below}; mhost brain explain {}",
                    event.process
                );
                make(EventName::HealthScoreLow, message).detail("score", score)
            }
            _ => return None,
        })
    }
}

/// What the definition of a process wants for its messages.
pub(super) fn wish(standing: &Standing) -> ProcessWish {
    let adds = match standing.notify.on_crash {
        true => Wanted::of(["crash", "errored"]).unwrap_or_else(|_| Wanted::none()),
        false => Wanted::none(),
    };
    ProcessWish {
        channels: standing.notify.channels.clone(),
        adds,
        mute: false,
    }
}

fn crash(
    make: impl Fn(EventName, String) -> Notice,
    event: &Event,
    standing: Option<&Standing>,
) -> Notice {
    let data = &event.data;
    let (code, signal) = (data["code"].as_i64(), data["signal"].as_i64());
    let how = match (code, signal) {
        (_, Some(signal)) => {
            let name = i32::try_from(signal).map(|number| Signal(number).to_string());
            format!("killed by {}", name.unwrap_or_else(|_| signal.to_string()))
        }
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "it ended, and nobody saw how".to_owned(),
    };
    let uptime = span(data, "uptime_ms");
    let next = standing.map(|one| match (one.copy, one.next_try) {
        (Status::Errored, None) => "it is not tried again".to_owned(),
        (_, Some(at)) => {
            let wait = format_duration(millis(until(event.at, at)));
            format!("restart {} in {wait}", one.restarts + 1)
        }
        (_, None) => format!("restart {}", one.restarts),
    });
    let message = match next {
        Some(next) => format!("{how} after {uptime}; {next}"),
        None => format!("{how} after {uptime}"),
    };
    let mut notice = make(EventName::Crash, message).detail("uptime", uptime);
    if let Some(code) = code {
        notice = notice.detail("exit_code", code);
    }
    if let Some(standing) = standing {
        notice = notice.detail("restarts", standing.restarts);
    }
    let lines = data["last_lines"].as_array().map_or(&[][..], Vec::as_slice);
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let last: Vec<String> = last.iter().filter_map(Value::as_str).map(printed).collect();
    match last.is_empty() {
        true => notice,
        false => notice.detail("last_lines", last),
    }
}

/// A line without controls, and no longer than can be looked through.
fn printed(line: &str) -> String {
    let line = &line[..line.floor_char_boundary(LINE)];
    let spaced = line
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one });
    spaced.collect()
}

fn errored(
    make: impl Fn(EventName, String) -> Notice,
    event: &Event,
    standing: Option<&Standing>,
    spawn: Option<String>,
) -> Notice {
    let (data, process) = (&event.data, &event.process);
    let reason = text(data, "reason");
    let mut why = match reason {
        "max_restarts" => "it failed too often in a row and is not tried again".to_owned(),
        "held" => format!("{} holds it: {}", text(data, "by"), text(data, "error")),
        "spawn_failed" => "it could not be started".to_owned(),
        "start_timeout" => match text(data, "error") {
            "" => "it did not come up in time".to_owned(),
            error => format!("it did not come up in time: {error}"),
        },
        "probe" => "its probe did not recover".to_owned(),
        "no_autorestart" => "it ended, and `autorestart` is off".to_owned(),
        "unkillable" => "it does not end, not even by SIGKILL".to_owned(),
        other => other.replace('_', " "),
    };
    if let Some(error) = spawn.filter(|error| !error.is_empty()) {
        why = format!("{why}: {error}");
    }
    let retried = standing.is_some_and(|one| one.next_try.is_some());
    let message = match retried {
        true => format!("{why}; it is tried again"),
        false => format!("{why}. See: mhost logs {process}; then: mhost restart {process}"),
    };
    let mut notice = make(EventName::Errored, message).detail("reason", reason);
    if retried {
        notice.severity = Severity::Warning;
    }
    notice
}

fn health_fail(make: impl Fn(EventName, String) -> Notice, data: &Value) -> Notice {
    let (probe, error) = (text(data, "probe"), text(data, "error"));
    let failures = data["failures"].as_u64().unwrap_or_default();
    let message = match failures {
        1 => format!("{probe} failed: {error}"),
        _ => format!("{probe} failed {failures} times in a row: {error}"),
    };
    let mut notice = make(EventName::HealthFail, message)
        .detail("probe", probe)
        .detail("error", error)
        .detail("failures", failures);
    // As a probe over HTTP says it.
    let status = error.strip_prefix("status ");
    let status = status.and_then(|rest| rest.split_whitespace().next()?.parse::<u16>().ok());
    if let Some(status) = status {
        notice = notice.detail("status", status);
    }
    match text(data, "dependency") {
        "" => notice,
        dependency => notice.detail("dependency", dependency),
    }
}

fn text<'a>(data: &'a Value, key: &str) -> &'a str {
    data[key].as_str().unwrap_or_default()
}

/// Milliseconds as people write a time, without more of it than they want.
fn span(data: &Value, key: &str) -> String {
    let time = std::time::Duration::from_millis(data[key].as_u64().unwrap_or_default());
    format_duration(millis(time))
}

/// Whole seconds of what is longer than ten, whole milliseconds of the rest.
fn millis(time: std::time::Duration) -> std::time::Duration {
    match time.as_secs() {
        0..10 => std::time::Duration::from_millis(time.as_millis() as u64),
        seconds => std::time::Duration::from_secs(seconds),
    }
}
